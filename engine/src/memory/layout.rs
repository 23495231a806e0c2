//! Where a PC's main memory is: below the PCI hole, and what does not fit there from 4 GiB on.

use super::{GuestMemory, MemoryError, MemoryRegion, OutOfMemoryMap};

/// Where the legacy video window begins: main memory below it is the PC's 640 KiB.
pub const LEGACY_VIDEO: u64 = 0xa_0000;
/// Where option ROMs and the firmware's shadow begin.
pub const SHADOW: u64 = 0xc_0000;
/// Where the shadow ends and extended memory begins: 1 MiB.
pub const EXTENDED: u64 = 0x10_0000;
/// The end of the address space that 32 bits can name.
pub const FOUR_GIB: u64 = 1 << 32;

/// The largest piece of memory below 4 GiB, and so the PCI hole's first address: 3 GiB, as on i440FX boards.
const LOW_LIMIT: u64 = 0xc000_0000;

/// The main memory of a machine, placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryLayout {
    /// How much is below 4 GiB, in bytes, from address 0 on.
    pub low: u64,
    /// How much is from 4 GiB on, in bytes.
    pub high: u64,
}

/// Why main memory could not be reserved.
#[derive(Debug, thiserror::Error)]
pub enum ReserveError {
    /// The host refused.
    #[error(transparent)]
    Host(#[from] MemoryError),
    /// The pieces overlap.
    #[error(transparent)]
    Map(#[from] OutOfMemoryMap),
}

impl MemoryLayout {
    /// Places `bytes` of memory (1 MiB at least, a multiple of 1 MiB).
    pub fn new(bytes: u64) -> Self {
        let low = bytes.min(LOW_LIMIT);
        Self {
            low,
            high: bytes - low,
        }
    }

    /// The addresses that PCI devices may use below 4 GiB, up to the I/O APIC's.
    pub fn pci_hole(self) -> std::ops::RangeInclusive<u64> {
        self.low.max(0x8000_0000)..=0xfebf_ffff
    }

    /// Reserves the memory.
    ///
    /// # Errors
    /// When the host refuses, or the pieces do not fit beside one another (they do).
    pub fn reserve(self) -> Result<GuestMemory, ReserveError> {
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        let mut regions = vec![(0, MemoryRegion::new("main memory", size(self.low))?)];
        if self.high > 0 {
            regions.push((
                FOUR_GIB,
                MemoryRegion::new("main memory above 4 GiB", size(self.high))?,
            ));
        }
        Ok(GuestMemory::new(regions)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_goes_around_the_hole() {
        assert_eq!(
            MemoryLayout::new(1 << 30),
            MemoryLayout {
                low: 1 << 30,
                high: 0
            }
        );
        assert_eq!(
            MemoryLayout::new(4 << 30),
            MemoryLayout {
                low: 3 << 30,
                high: 1 << 30
            }
        );
        assert_eq!(
            MemoryLayout::new(1 << 30).pci_hole(),
            0x8000_0000..=0xfebf_ffff
        );
        assert_eq!(
            MemoryLayout::new(4 << 30).pci_hole(),
            0xc000_0000..=0xfebf_ffff
        );
        let memory = MemoryLayout::new(4 << 30).reserve().unwrap();
        assert!(
            memory.contains(0x1_3fff_ffff, 1)
                && memory.contains(0xbfff_ffff, 1)
                && !memory.contains(0xc000_0000, 1)
        );
    }
}
