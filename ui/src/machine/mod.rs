//! The chosen machine's page and its views.

mod actions;
mod banners;
mod broken;
mod clone;
mod command;
mod drives;
mod dropped;
mod export;
mod full_screen;
mod graph;
mod hardware;
mod keys;
mod layout;
mod log;
mod medium;
mod overview;
mod page;
mod power;
mod room;
mod screen;
mod screenshot;
mod serial;
mod snapshots;
mod space;
mod typing;
mod usage;
mod window;

pub use actions::{Scale, row_menu};
pub use broken::{BrokenOutput, BrokenPage};
pub use full_screen::{enter as enter_full_screen, enter_on as enter_full_screen_on};
pub use hardware::GENERATIONS;
pub use keys::{HELD, choices, label};
pub use page::{MachinePage, PageInit, PageInput, PageOutput};
pub use snapshots::machine_name_objection;
pub use window::{MachineWindow, WindowInput, WindowOutput};
