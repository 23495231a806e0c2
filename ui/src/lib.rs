//! The windows of Guesthouse.
//!
//! Each component has a file of its own and talks by messages: the window ([`run`]) holds the list, the chosen machine's page and
//! the wizard; all of them look at the machines through [`model::Machines`], which the command line's socket shares.

mod access;
mod app;
mod dialogs;
pub mod display;
mod library;
mod machine;
pub mod model;
mod network;
mod paths;
mod reason;
mod settings;
mod share;
pub mod text;
mod wizard;

pub use app::{APPLICATION_ID, Options, run};
