//! The list of machines beside the chosen machine's page.

mod list;
mod row;

pub use list::{MachineList, MachineListInput, MachineListOutput};
pub use row::Item;
