//! Devices made for virtual machines: queues of buffers in the guest's memory instead of registers for each transfer.
//! Virtual I/O Device (VIRTIO) Version 1.2, OASIS committee specification 01; only the modern interface, on PCI.
//!
//! A device implements [`VirtioDevice`]; [`VirtioPci`] makes a PCI function of it. When the guest's driver is ready, the device
//! is given its [`Queue`]s and starts threads that serve them. A queue checks what the driver put into it: a ring or chain that
//! is not as the specification demands stops the device, and the driver is told that it needs a reset.

pub mod balloon;
pub mod block;
mod chain;
pub mod console;
mod device;
pub mod entropy;
pub mod graphics;
pub mod input;
mod interrupt;
pub mod network;
mod queue;
#[cfg(test)]
pub(crate) mod testing;
mod transport;
mod worker;

pub use chain::{Chain, Piece};
pub use device::{Activation, DeviceType, VirtioDevice, feature};
pub use interrupt::Interrupt;
pub use queue::{Queue, SharedQueue};
pub use transport::{Connections, VirtioPci};
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use worker::by_hand::ByHand;
