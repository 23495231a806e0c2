//! What the firmware is told of the machine's memory.

use crate::hypervisor::{PRIVATE_PAGES, PRIVATE_PAGES_SIZE};
use crate::memory::MemoryLayout;
use crate::memory::layout::FOUR_GIB;

/// The file's name in fw_cfg.
pub(super) const FILE: &str = "etc/e820";

/// The file: start and length of 64 bits and kind of 32 bits for each range of memory, and for the pages that KVM keeps.
pub(super) fn memory_map(layout: &MemoryLayout) -> Vec<u8> {
    const MEMORY: u32 = 1;
    const RESERVED: u32 = 2;
    let ranges = [
        (0, layout.low, MEMORY),
        (FOUR_GIB, layout.high, MEMORY),
        (PRIVATE_PAGES, PRIVATE_PAGES_SIZE, RESERVED),
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
            memory_map(&MemoryLayout::new(4 << 30)),
            [
                entry(0, 0xc000_0000, 1),
                entry(0x1_0000_0000, 0x4000_0000, 1),
                kvm.clone()
            ]
            .concat()
        );
        assert_eq!(
            memory_map(&MemoryLayout::new(16 << 20)),
            [entry(0, 0x100_0000, 1), kvm].concat()
        );
    }
}
