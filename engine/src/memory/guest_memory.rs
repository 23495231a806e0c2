//! Main memory as devices reach it by DMA: guest-physical addresses, with a hole below 4 GiB.

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
}
