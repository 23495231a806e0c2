//! The list of machines beside the chosen machine's page.

mod factories;
mod item;
mod list;
mod pictures;
mod pointer;
mod row;
mod several;
pub mod sign;

pub use item::{Item, Order};
pub use list::{MachineList, MachineListInit, MachineListInput, MachineListOutput};
pub use several::{Several, Together, menu as several_menu};
