//! The devices of the PC/AT that software still expects, each at its ports of 1984, and what they share.

mod clock;
mod isa;
mod timer;

#[cfg(test)]
pub(crate) use clock::tests::TestClock;
pub use clock::{Clock, RunningClock, WallClock};
pub use isa::ByteDevice;
pub use timer::{Timed, TimerThread, Wakeup};
