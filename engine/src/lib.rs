//! The virtual machine monitor of Guesthouse and its library of machines.
//!
//! The public face is [`Definition`] (what a machine is), [`Machine`](machine::Machine) (one machine alive) and the rooms below;
//! it knows no toolkit and no message bus.

pub mod backup;
pub mod bus;
pub mod chipset;
pub mod definition;
pub mod disk;
pub mod display;
pub mod firmware;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod hypervisor;
pub mod input;
pub mod legacy;
pub mod library;
pub mod machine;
pub mod media;
pub mod memory;
pub mod network;
pub mod pci;
pub mod remote;
pub mod snapshot;
pub mod storage;
pub mod virtio;

pub use definition::Definition;
pub use library::Library;
