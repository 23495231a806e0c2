//! The processor's two address spaces as devices see them: I/O ports and memory-mapped registers.
//!
//! A device offers the capabilities it has ([`PortDevice`], [`MemoryDevice`], an [`InterruptLine`] or [`MessageSource`] it was
//! given) and answers each access with an [`IoResult`]. The bus, not the device, decides what an access that nobody decodes reads as (all ones,
//! as on a PC's floating bus) and what of it is logged. A bus looks its target up, clones the `Arc`, lets go of its own lock
//! and only then calls the device, so that a device may change the bus from within a call.

mod access;
mod action;
mod doorbell;
mod interrupt_line;
mod memory_io;
mod message;
mod port_io;

pub use access::{IoError, IoResult, Width};
pub use action::Action;
pub use doorbell::DoorbellSink;
#[cfg(test)]
pub(crate) use interrupt_line::tests::Recorder;
pub use interrupt_line::{InterruptLine, InterruptSink, SharedInterrupt};
pub use memory_io::{MemoryBus, MemoryDevice};
#[cfg(test)]
pub(crate) use message::tests::MessageRecorder;
pub use message::{Message, MessageSink, MessageSource, Unconnected};
pub use port_io::{PortBus, PortDevice};

/// A device as the buses hold it: shared between the virtual processors' threads, one access at a time.
pub type Shared<D> = std::sync::Arc<parking_lot::Mutex<D>>;

/// Makes a device shareable between buses.
pub fn shared<D>(device: D) -> Shared<D> {
    std::sync::Arc::new(parking_lot::Mutex::new(device))
}
