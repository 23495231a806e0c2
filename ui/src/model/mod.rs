//! What the windows show: the machines on disk and those alive, as the engine's facade gives them.
//!
//! No widget is in here, and nothing here knows one; whoever wants to follow what happens subscribes.

mod machines;
pub mod media;
mod pending;

pub use guesthouse_engine::definition::{
    Clock, Definition, Drive, DriveKind, Finding, Generation, Host, ImageFormat, Name, Severity,
};
pub use guesthouse_engine::input::{InputEvent, ScanCode};
pub use guesthouse_engine::machine::{MachineEvent, State};
pub use machines::{Change, Machines};
pub use pending::*;
