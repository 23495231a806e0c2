//! One machine alive: put together, run, watched, told what to do, and taken apart.
//!
//! [`Machine`] is the handle. Behind it a thread of the machine's own (the conductor) carries out commands one after the other and
//! hears what the processors' and drives' threads report. A panic in any of them makes this one machine [`State::Crashed`].

mod board;
mod conductor;
mod display;
mod drives;
mod error;
mod event;
mod fault;
mod generation1;
mod generation2;
mod handle;
mod hardware;
mod input;
mod interrupts;
mod isa;
mod log;
mod memory_map;
mod networks;
mod processors;
mod serial;
mod usage;
mod virtio;
mod watch;

pub use error::{CommandError, StartError};
pub use event::{MachineEvent, PauseReason, State};
pub use handle::{Machine, StartOptions};
pub use networks::{CardStatus, ForwardStatus};
pub use serial::{SerialConnection, SerialConsole, SerialReader};
pub use usage::Usage;

pub use crate::hypervisor::{Activity, ProcessorState};
