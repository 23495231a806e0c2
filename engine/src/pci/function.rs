//! What a function on the bus offers: its configuration space and its windows into the address spaces.

use crate::bus::{Action, IoError, IoResult, Width};
use crate::memory::MemoryRegion;

/// Where a function sits on bus 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// Device (slot) number, 0 to 31.
    pub device: u8,
    /// Function number, 0 to 7.
    pub function: u8,
}

impl Address {
    /// Device and function; bits beyond their range are dropped.
    pub fn new(device: u8, function: u8) -> Self {
        Self {
            device: device & 0x1f,
            function: function & 7,
        }
    }
}

/// Which address space a window is in, and what stands behind it.
#[derive(Debug, Clone)]
pub enum Window {
    /// I/O ports: [`PciFunction::read_window`] and `write_window` are called.
    Ports,
    /// Memory-mapped registers: [`PciFunction::read_window`] and `write_window` are called.
    Registers,
    /// Plain memory (video memory) that the processor reaches without asking the device.
    Memory(MemoryRegion),
    /// Read-only memory (an expansion ROM) that the processor reads without asking the device.
    Rom(MemoryRegion),
    /// The configuration spaces of all functions on the bus, 4 KiB each: a host bridge's.
    Configuration,
}

/// A base address register that is decoded at this moment: enabled by the command register (and, for the expansion ROM, by its
/// own enable bit) and with an address assigned.
#[derive(Debug, Clone)]
pub struct BaseAddress {
    /// Which: 0 to 5, 6 for the expansion ROM, 7 and up for windows that registers of the function's own place.
    pub number: u8,
    /// The first port or guest-physical address.
    pub base: u64,
    /// Size in bytes, a power of two.
    pub size: u64,
    /// What is there.
    pub window: Window,
}

/// One function on the bus; one without windows leaves out what concerns them. The bus calls it with its lock held for one access at a time.
pub trait PciFunction: Send {
    /// Reads the configuration space at byte `offset` (0 to 255); the access never crosses a dword.
    fn read_config(&mut self, offset: u8, width: Width) -> u32;

    /// Writes the configuration space at byte `offset` (0 to 255); the access never crosses a dword. After it the bus asks for
    /// [`PciFunction::base_addresses`] again and moves what moved.
    fn write_config(&mut self, offset: u8, width: Width, value: u32) -> Option<Action>;

    /// The base address registers that are decoded now.
    fn base_addresses(&self) -> Vec<BaseAddress> {
        Vec::new()
    }

    /// Reads `_data.len()` bytes at `_offset` of window `_number`.
    ///
    /// # Errors
    /// When nothing answers there: the guest reads all ones.
    fn read_window(&mut self, _number: u8, _offset: u64, _data: &mut [u8]) -> IoResult<()> {
        Err(IoError::Unmapped)
    }

    /// Writes `_data` at `_offset` of window `_number`.
    ///
    /// # Errors
    /// When nothing answers there: the write is lost.
    fn write_window(
        &mut self,
        _number: u8,
        _offset: u64,
        _data: &[u8],
    ) -> IoResult<Option<Action>> {
        Err(IoError::Unmapped)
    }

    /// Window `_number` is reached at `_base` from now on, or (`None`) not any more: for doorbells that the hypervisor watches.
    fn window_placed(&mut self, _number: u8, _base: Option<u64>) {}

    /// As after power-on: configuration space (base addresses cleared, command register 0) and registers.
    fn reset(&mut self);
}
