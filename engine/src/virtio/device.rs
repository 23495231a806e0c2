//! What a device offers to the transport.

use std::io;
use std::sync::Arc;

use super::{Interrupt, SharedQueue};
use crate::memory::GuestMemory;

/// The feature bits that belong to the transport and the rings, not to a kind of device. Section 6.
pub mod feature {
    /// A descriptor may refer to a table of descriptors.
    pub const INDIRECT_DESCRIPTORS: u64 = 1 << 28;
    /// Driver and device say at which index they want to be told next.
    pub const EVENT_INDEX: u64 = 1 << 29;
    /// The modern interface.
    pub const VERSION_1: u64 = 1 << 32;
}

/// The kinds of device. Section 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceType {
    /// A network card.
    Network,
    /// A disk.
    Block,
    /// A console.
    Console,
    /// A source of random numbers.
    Entropy,
    /// A memory balloon.
    Balloon,
    /// A graphics adapter.
    Gpu,
    /// A keyboard, mouse or tablet.
    Input,
}

impl DeviceType {
    /// Its number in the specification.
    pub fn number(self) -> u16 {
        match self {
            Self::Network => 1,
            Self::Block => 2,
            Self::Console => 3,
            Self::Entropy => 4,
            Self::Balloon => 5,
            Self::Gpu => 16,
            Self::Input => 18,
        }
    }

    /// The PCI class code that it has as a function.
    pub(super) fn class(self) -> u32 {
        match self {
            Self::Network => 0x02_00_00,
            Self::Block => 0x01_00_00,
            Self::Console => 0x07_80_00,
            Self::Entropy | Self::Balloon => 0x00_ff_00,
            Self::Gpu => 0x03_80_00,
            Self::Input => 0x09_80_00,
        }
    }

    /// Its name in logs.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Network => "virtio network",
            Self::Block => "virtio disk",
            Self::Console => "virtio console",
            Self::Entropy => "virtio entropy",
            Self::Balloon => "virtio balloon",
            Self::Gpu => "virtio graphics",
            Self::Input => "virtio input",
        }
    }
}

/// What a device is given when the guest's driver is ready for it (DRIVER_OK).
pub struct Activation {
    /// The features that both sides know, the transport's and the rings' too.
    pub features: u64,
    /// The guest's memory.
    pub memory: GuestMemory,
    /// The queues by number; those that the driver did not enable are missing.
    pub queues: Vec<Option<Arc<SharedQueue>>>,
    /// The way to the driver, for changes of the configuration. Queues have their own.
    pub interrupt: Interrupt,
}

impl Activation {
    /// Takes queue number `number`, if the driver enabled it.
    pub fn take_queue(&mut self, number: usize) -> Option<Arc<SharedQueue>> {
        self.queues.get_mut(number)?.take()
    }
}

/// A device behind the transport. The transport calls it with its own lock held, from the processors' and the machine's threads,
/// so none of the calls may wait for anything but the device's own short work.
///
/// Life: made; any number of times [`activate`](Self::activate) and [`reset`](Self::reset) in turn; dropped, when its threads end.
/// Between activation and reset the device serves its queues on threads of its own, each of which:
///
/// 1. waits in [`SharedQueue::wait`] (or polls [`SharedQueue::event`] together with other things) until the driver has rung the
///    queue's doorbell; `false` says that the queue is dead, for good: the thread ends;
/// 2. locks the queue, takes [`Queue::pop`]s of what the driver made available, and gives each chain back by [`Queue::complete`],
///    in any order and at any later time;
/// 3. calls [`Queue::interrupt`] once after a batch.
///
/// The queue's lock may be held while guest memory is copied, never while waiting for the host. A dead queue gives no chains and
/// takes none back, so that a device need not be told of a reset to leave the guest's memory alone, except for what it does
/// without the lock: see [`is_quiet`](Self::is_quiet). A paused machine's queues give no chains either.
pub trait VirtioDevice: Send {
    /// What it is.
    fn device_type(&self) -> DeviceType;

    /// The features of its own kind that it offers; the transport adds those in [`feature`].
    fn features(&self) -> u64 {
        0
    }

    /// The greatest size of each of its queues, a power of two from 2 to 1024 each.
    fn queue_sizes(&self) -> Vec<u16>;

    /// Reads its configuration at `_offset` (section 5, "Device configuration layout"); `_data` is zeroed, and what lies beyond
    /// the configuration's end is left so.
    fn read_config(&self, _offset: u64, _data: &mut [u8]) {}

    /// The driver writes `_data` into its configuration at `_offset`.
    fn write_config(&mut self, _offset: u64, _data: &[u8]) {}

    /// The driver is ready: starts serving the queues.
    ///
    /// # Errors
    /// When the host does not give what is needed (a thread, say): the driver is told that the device needs a reset.
    fn activate(&mut self, activation: Activation) -> io::Result<()>;

    /// The driver has let go of the device; its queues are dead already. Everything as before the activation.
    fn reset(&mut self);

    /// Whether nothing that was begun before the last [`reset`](Self::reset) reaches into the guest's memory any more. As long
    /// as it does (host I/O straight from or to the guest's buffers), the driver sees the reset as not finished.
    fn is_quiet(&self) -> bool {
        true
    }

    /// The machine stands still, and the queues give no more chains: waits until what was taken before is done with, or waits
    /// for a decision of the person at the machine. The processors do not run meanwhile.
    fn drain(&self) {}
}
