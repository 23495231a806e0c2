//! Doorbells: registers of which only the write counts, not the value. The hypervisor can turn such a write into an event for
//! whoever waits for it, and the processor goes on without leaving the guest for long.

use std::io;

use vmm_sys_util::eventfd::EventFd;

use super::Unconnected;

/// Watches memory addresses for writes: the hypervisor.
///
/// A device keeps answering at its doorbells itself too: they may not be watched (the host has no more events, or the write
/// came through configuration space).
pub trait DoorbellSink: Send + Sync {
    /// From now on each write at guest-physical `address`, of any width, adds one to `event` and does not reach the bus.
    ///
    /// # Errors
    /// When the host refuses: the writes then reach the bus as before.
    fn attach(&self, address: u64, event: &EventFd) -> io::Result<()>;

    /// Undoes [`DoorbellSink::attach`] with the same arguments.
    fn detach(&self, address: u64, event: &EventFd);
}

impl DoorbellSink for Unconnected {
    fn attach(&self, _address: u64, _event: &EventFd) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn detach(&self, _address: u64, _event: &EventFd) {}
}
