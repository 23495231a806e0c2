//! Where a PC's main memory is: below the PCI hole, and what does not fit there from 4 GiB on.

use std::ops::RangeInclusive;

use super::{GuestMemory, MemoryError, MemoryRegion, OutOfMemoryMap};

/// Where the legacy video window begins: main memory below it is the PC's 640 KiB.
pub const LEGACY_VIDEO: u64 = 0xa_0000;
/// Where option ROMs and the firmware's shadow begin.
pub const SHADOW: u64 = 0xc_0000;
/// Where the shadow ends and extended memory begins: 1 MiB.
pub const EXTENDED: u64 = 0x10_0000;
/// The end of the address space that 32 bits can name.
pub const FOUR_GIB: u64 = 1 << 32;

/// Where a Q35 board has the window of configuration spaces before its firmware has said where.
const CONFIGURATION_SPACES: u64 = 0xb000_0000;
/// How many bytes it is: a MiB for each of 256 buses.
pub const CONFIGURATION_SPACES_SIZE: u64 = 0x1000_0000;

/// Where the ICH9's configuration registers are.
const ICH9_REGISTERS: RangeInclusive<u64> = 0xfed1_c000..=0xfed1_ffff;

/// The most memory below 4 GiB on an i440FX board, and so the first address of its PCI hole.
const I440FX_LIMIT: u64 = 0xc000_0000;
/// The most memory below 4 GiB on a Q35 board: what lies above is in whole GiB then.
const Q35_LIMIT: u64 = 0x8000_0000;

/// The main memory of a machine, placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryLayout {
    /// How much is below 4 GiB, in bytes, from address 0 on.
    pub low: u64,
    /// How much is from 4 GiB on, in bytes.
    pub high: u64,
    hole: (u64, u64),
    is_q35: bool,
}

/// What the addresses below 4 GiB that are no main memory are for, as the firmware has divided them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PciSpace {
    /// Where PCI devices may have memory.
    pub windows: Vec<RangeInclusive<u64>>,
    /// Where the configuration spaces begin, on a Q35 board.
    pub configuration: u64,
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
    /// Places `bytes` of memory (1 MiB at least, a multiple of 1 MiB) on an i440FX board.
    pub fn new(bytes: u64) -> Self {
        let low = bytes.min(I440FX_LIMIT);
        Self {
            low,
            high: bytes - low,
            // Up to the I/O APIC.
            hole: (low.max(0x8000_0000), 0xfebf_ffff),
            is_q35: false,
        }
    }

    /// Places `bytes` of memory (1 MiB at least, a multiple of 1 MiB) on a Q35 board.
    pub fn q35(bytes: u64) -> Self {
        let low = bytes.min(Q35_LIMIT);
        Self {
            low,
            high: bytes - low,
            // As OVMF uses it.
            hole: (low.max(0x8000_0000), 0xfbff_ffff),
            is_q35: true,
        }
    }

    /// How the addresses below 4 GiB are divided when the configuration spaces begin at `configuration`: OVMF has them at
    /// 0xb000_0000 up to its release of 2022, at 0xe000_0000 since, and PCI devices' memory on either side. What no firmware would
    /// choose counts as not chosen.
    pub fn pci_space(self, configuration: u64) -> PciSpace {
        let (first, last) = self.hole;
        if !self.is_q35 {
            return PciSpace {
                windows: vec![first..=last],
                configuration: 0,
            };
        }
        let fits = configuration.is_multiple_of(CONFIGURATION_SPACES_SIZE)
            && configuration > first
            && configuration < last - CONFIGURATION_SPACES_SIZE;
        let configuration = if fits {
            configuration
        } else {
            CONFIGURATION_SPACES
        };
        PciSpace {
            windows: vec![
                first..=configuration - 1,
                configuration + CONFIGURATION_SPACES_SIZE..=last,
            ],
            configuration,
        }
    }

    /// Where windows of the board's own and of PCI devices may be below 4 GiB, and the place of the ICH9's registers.
    pub fn device_holes(self) -> Vec<RangeInclusive<u64>> {
        vec![self.hole.0..=self.hole.1, ICH9_REGISTERS]
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
    fn devices_are_on_either_side_of_the_configuration_spaces() {
        let layout = MemoryLayout::q35(4 << 30);
        for (written, configuration) in [
            (0xe000_0000, 0xe000_0000),
            (0xb000_0000, 0xb000_0000),
            (0x9000_0000, 0x9000_0000),
            // Not written, in main memory, across the end, beyond it, askew.
            (0, 0xb000_0000),
            (0x7000_0000, 0xb000_0000),
            (0x8000_0000, 0xb000_0000),
            (0xf000_0000, 0xb000_0000),
            (0x1_e000_0000, 0xb000_0000),
            (0xe400_0000, 0xb000_0000),
            (u64::MAX, 0xb000_0000),
        ] {
            let space = layout.pci_space(written);
            assert_eq!(space.configuration, configuration, "{written:#x}");
            let windows = [
                0x8000_0000..=configuration - 1,
                configuration + 0x1000_0000..=0xfbff_ffff,
            ];
            assert_eq!(space.windows, windows, "{written:#x}");
        }
    }

    #[test]
    fn memory_goes_around_the_hole() {
        let sizes = |layout: MemoryLayout| (layout.low, layout.high);
        assert_eq!(sizes(MemoryLayout::new(1 << 30)), (1 << 30, 0));
        assert_eq!(sizes(MemoryLayout::new(4 << 30)), (3 << 30, 1 << 30));
        assert_eq!(sizes(MemoryLayout::q35(4 << 30)), (2 << 30, 2 << 30));
        let windows = |layout: MemoryLayout| layout.pci_space(0xe000_0000).windows;
        assert_eq!(
            windows(MemoryLayout::new(1 << 30)),
            [0x8000_0000..=0xfebf_ffff]
        );
        assert_eq!(
            windows(MemoryLayout::new(4 << 30)),
            [0xc000_0000..=0xfebf_ffff]
        );
        let memory = MemoryLayout::new(4 << 30).reserve().unwrap();
        assert!(
            memory.contains(0x1_3fff_ffff, 1)
                && memory.contains(0xbfff_ffff, 1)
                && !memory.contains(0xc000_0000, 1)
        );
    }
}
