//! Main memory as devices reach it by DMA: guest-physical addresses, with a hole below 4 GiB.

use std::ops::Range;
use std::sync::Arc;

use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryMmap, GuestRegionMmap};

use super::MemoryRegion;

/// A device was told to reach where the guest has no memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{length} bytes at guest address {address:#x} are not all in the guest's memory")]
pub struct OutOfMemoryMap {
    /// The first guest-physical address.
    pub address: u64,
    /// How many bytes.
    pub length: usize,
}

/// All of a guest's main memory. Cloning shares it.
#[derive(Clone)]
pub struct GuestMemory {
    map: Arc<GuestMemoryMmap<()>>,
    regions: Arc<Vec<(u64, MemoryRegion)>>,
}

impl GuestMemory {
    /// Main memory made of `regions`, each with the guest-physical address it starts at, in ascending order without overlaps.
    ///
    /// # Errors
    /// When the regions overlap or are out of order.
    pub fn new(regions: Vec<(u64, MemoryRegion)>) -> Result<Self, OutOfMemoryMap> {
        let mapped = regions
            .iter()
            .map(|(start, region)| {
                GuestRegionMmap::with_arc(Arc::clone(region.mapping()), GuestAddress(*start))
                    .ok_or(OutOfMemoryMap {
                        address: *start,
                        length: region.size(),
                    })
                    .map(Arc::new)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let first = regions.first().map_or(0, |(start, _)| *start);
        let map = GuestMemoryMmap::from_arc_regions(mapped).map_err(|_| OutOfMemoryMap {
            address: first,
            length: 0,
        })?;
        Ok(Self {
            map: Arc::new(map),
            regions: Arc::new(regions),
        })
    }

    /// The map, for the crates that work on it.
    pub(crate) fn map(&self) -> &GuestMemoryMmap<()> {
        &self.map
    }

    /// The regions with the guest-physical address each starts at.
    pub fn regions(&self) -> &[(u64, MemoryRegion)] {
        &self.regions
    }

    /// All memory, in bytes.
    pub fn size(&self) -> u64 {
        self.regions
            .iter()
            .map(|(_, region)| region.size() as u64)
            .sum()
    }

    /// How much of it the host has given so far and not taken back, in bytes, about. Looked up in /proc/self/smaps, which takes some
    /// milliseconds.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn resident(&self) -> std::io::Result<u64> {
        let text = std::fs::read_to_string("/proc/self/smaps")?;
        let places: Vec<_> = self
            .regions
            .iter()
            .map(|(_, region)| region.host_range())
            .collect();
        Ok(resident(&text, &places))
    }

    /// Copies `data.len()` bytes at guest-physical `address` into `data`.
    ///
    /// # Errors
    /// When not all of it is memory; `data` may be partly filled then.
    pub fn read(&self, address: u64, data: &mut [u8]) -> Result<(), OutOfMemoryMap> {
        let length = data.len();
        self.map
            .read_slice(data, GuestAddress(address))
            .map_err(|_| OutOfMemoryMap { address, length })
    }

    /// Copies `data` to guest-physical `address`.
    ///
    /// # Errors
    /// When not all of it is memory; a part may have been written then.
    pub fn write(&self, address: u64, data: &[u8]) -> Result<(), OutOfMemoryMap> {
        self.map
            .write_slice(data, GuestAddress(address))
            .map_err(|_| OutOfMemoryMap {
                address,
                length: data.len(),
            })
    }

    /// Gives the whole pages within `length` bytes at `address` back to the host, as far as they are memory: they read as zeros
    /// then, until they are written again.
    pub fn release(&self, address: u64, length: u64) {
        let end = address.saturating_add(length);
        for (start, region) in self.regions.iter() {
            let region_end = start.saturating_add(region.size() as u64);
            let (from, to) = (address.max(*start), end.min(region_end));
            if from < to {
                let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
                region.release(size(from - start), size(to - from));
            }
        }
    }

    /// Whether all of `length` bytes at `address` are memory.
    pub fn contains(&self, address: u64, length: usize) -> bool {
        self.map.check_range(GuestAddress(address), length)
    }
}

/// What `smaps` says of the host addresses in `places`, in bytes. The kernel joins mappings that lie side by side: of such a one
/// the places' share is taken.
fn resident(smaps: &str, places: &[Range<u64>]) -> u64 {
    let (mut total, mut ours, mut size) = (0_u64, 0_u64, 1_u64);
    for line in smaps.lines() {
        let mut words = line.split_ascii_whitespace();
        let Some(first) = words.next() else { continue };
        if first == "Rss:" && ours > 0 {
            let kibibytes: u64 = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
            let bytes = u128::from(kibibytes) * 1024 * u128::from(ours) / u128::from(size);
            total = total.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        } else if let Some((start, end)) = first.split_once('-')
            && let (Ok(start), Ok(end)) =
                (u64::from_str_radix(start, 16), u64::from_str_radix(end, 16))
        {
            size = end.saturating_sub(start).max(1);
            let overlap =
                |place: &Range<u64>| place.end.min(end).saturating_sub(place.start.max(start));
            ours = places.iter().map(overlap).sum();
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> GuestMemory {
        let low = MemoryRegion::new("low", 0x10000).unwrap();
        let high = MemoryRegion::new("high", 0x10000).unwrap();
        GuestMemory::new(vec![(0, low), (0x1_0000_0000, high)]).unwrap()
    }

    #[test]
    fn both_sides_of_the_hole_are_memory_and_the_hole_is_not() {
        let memory = memory();
        memory.write(0x1_0000_0010, b"high").unwrap();
        let mut data = [0; 4];
        memory.read(0x1_0000_0010, &mut data).unwrap();
        assert_eq!(&data, b"high");
        assert!(memory.read(0x10000, &mut data).is_err());
        assert!(memory.write(0xfffe, &[0; 4]).is_err());
        assert!(memory.write(u64::MAX - 1, &[0; 4]).is_err());
        assert!(memory.contains(0xfff0, 16) && !memory.contains(0xfff0, 17));
        assert_eq!(memory.size(), 0x20000);
    }

    #[test]
    fn regions_out_of_order_are_refused() {
        let region = || MemoryRegion::new("region", 0x10000).unwrap();
        assert!(GuestMemory::new(vec![(0, region()), (0x8000, region())]).is_err());
    }

    #[test]
    fn what_the_host_has_given_is_summed_up() {
        let smaps = "\
7f0000000000-7f0000400000 rw-p 00000000 00:00 0
Size:               4096 kB
Rss:                1024 kB
Pss:                1024 kB
7f0000400000-7f0000800000 rw-p 00000000 00:00 0 [anon:x y]
Rss:                2048 kB
7f0010000000-7f0010001000 r--p 00000000 00:00 0 /lib/x
Rss:                   4 kB
";
        let one = 0x7f00_0000_0000..0x7f00_0040_0000;
        let half = 0x7f00_0060_0000..0x7f00_0080_0000;
        assert_eq!(resident(smaps, std::slice::from_ref(&one)), 1 << 20);
        assert_eq!(resident(smaps, &[one, half]), 2 << 20);
        assert_eq!(resident("", std::slice::from_ref(&(0..4096))), 0);
    }

    #[test]
    fn memory_counts_once_it_is_touched() {
        let region = MemoryRegion::new("test", 64 << 20).unwrap();
        let memory = GuestMemory::new(vec![(0, region)]).unwrap();
        let before = memory.resident().unwrap();
        for page in 0..(32 << 20) / 4096_u64 {
            memory.write(page * 4096, &[1]).unwrap();
        }
        let after = memory.resident().unwrap();
        assert!(after >= before + (24 << 20), "{before} {after}");
    }
}
