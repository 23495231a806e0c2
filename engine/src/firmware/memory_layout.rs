//! Where a machine's memory is, and what the firmware is told of it.

use std::ops::RangeInclusive;

/// What KVM keeps for itself below the BIOS on Intel processors: the identity map and the task state segment.
pub const KVM_PAGES: (u64, u64) = (0xfeff_c000, 0x4000);
/// The last address of the window for PCI devices' memory; the I/O APIC follows.
const PCI_HOLE_LAST: u32 = 0xfebf_ffff;

/// Main memory on both sides of the hole below 4 GiB, and the hole's part for PCI devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryLayout {
    /// Memory is from 0 up to here, in bytes; at most 3 GiB.
    pub low_end: u64,
    /// How much memory is from 4 GiB on, in bytes.
    pub high_size: u64,
    /// The addresses in which the firmware places PCI devices' memory.
    pub pci_hole: RangeInclusive<u32>,
}

impl MemoryLayout {
    /// Memory up to `low_end` and `high_size` bytes from 4 GiB on, with the hole where SeaBIOS takes it on an i440FX: from 2 GiB
    /// on when memory leaves that free, else from 3 GiB (SeaBIOS src/fw/pciinit.c).
    pub fn new(low_end: u64, high_size: u64) -> Self {
        let hole_start = if low_end <= 0x8000_0000 {
            0x8000_0000
        } else {
            0xc000_0000
        };
        Self {
            low_end,
            high_size,
            pci_hole: hole_start..=PCI_HOLE_LAST,
        }
    }

    /// The file `etc/e820`: start and length of 64 bits and kind of 32 bits for each range.
    pub(super) fn e820(&self) -> Vec<u8> {
        const MEMORY: u32 = 1;
        const RESERVED: u32 = 2;
        let ranges = [
            (0, self.low_end, MEMORY),
            (1 << 32, self.high_size, MEMORY),
            (KVM_PAGES.0, KVM_PAGES.1, RESERVED),
        ];
        let mut file = Vec::new();
        for (start, length, kind) in ranges {
            if length > 0 {
                file.extend(u64::to_le_bytes(start));
                file.extend(length.to_le_bytes());
                file.extend(kind.to_le_bytes());
            }
        }
        file
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_has_memory_on_both_sides_and_the_pages_of_kvm() {
        let entry = |start: u64, length: u64, kind: u32| {
            [
                start.to_le_bytes().as_slice(),
                &length.to_le_bytes(),
                &kind.to_le_bytes(),
            ]
            .concat()
        };
        let kvm = entry(0xfeff_c000, 0x4000, 2);
        assert_eq!(
            MemoryLayout::new(0xc000_0000, 0x4000_0000).e820(),
            [
                entry(0, 0xc000_0000, 1),
                entry(0x1_0000_0000, 0x4000_0000, 1),
                kvm.clone()
            ]
            .concat()
        );
        assert_eq!(
            MemoryLayout::new(0x100_0000, 0).e820(),
            [entry(0, 0x100_0000, 1), kvm].concat()
        );
    }

    #[test]
    fn the_hole_begins_where_seabios_lets_it() {
        for (low_end, start) in [
            (0x100_0000, 0x8000_0000),
            (0x8000_0000, 0x8000_0000),
            (0x8010_0000, 0xc000_0000),
            (0xc000_0000, 0xc000_0000),
        ] {
            assert_eq!(
                MemoryLayout::new(low_end, 0).pci_hole,
                start..=0xfebf_ffff,
                "{low_end:#x}"
            );
        }
    }
}
