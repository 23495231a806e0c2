//! The chosen machine's page and its views.

mod actions;
mod broken;
mod drives;
mod keys;
mod log;
mod overview;
mod page;
mod screen;
mod screenshot;

pub use broken::{BrokenOutput, BrokenPage};
pub use page::{MachinePage, PageInit, PageInput, PageOutput};
