//! The chosen machine's page and its views.

mod actions;
mod broken;
mod clone;
mod drives;
mod export;
mod graph;
mod hardware;
mod keys;
mod log;
mod overview;
mod page;
mod screen;
mod screenshot;
mod serial;
mod snapshots;
mod usage;

pub use actions::row_menu;
pub use broken::{BrokenOutput, BrokenPage};
pub use hardware::GENERATIONS;
pub use page::{MachinePage, PageInit, PageInput, PageOutput};
pub use snapshots::machine_name_objection;
