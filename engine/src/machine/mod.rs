//! One machine alive.

mod event;

pub use event::{MachineEvent, State};
