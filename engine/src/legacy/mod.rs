//! The devices of the PC/AT that software still expects, each at its ports of 1984, and what they share.
//!
//! Left to the kernel: the interrupt controllers, the interval timer, and with its speaker option port 0x61 (speaker gate, refresh
//! bit and the timer's output), for which there is therefore no device here.

mod clock;
mod isa;
mod keyboard_controller;
mod ps2_keyboard;
mod ps2_mouse;
mod rtc;
mod scan_codes;
mod serial;
mod timer;

#[cfg(test)]
pub(crate) use clock::tests::TestClock;
pub use clock::{Clock, RunningClock, WallClock};
pub use isa::ByteDevice;
pub use keyboard_controller::KeyboardController;
pub use rtc::{BootDevice, Configuration, Rtc};
pub use serial::SerialPort;
pub use timer::{Timed, TimerThread, Wakeup};
