//! One piece of host memory that the guest sees: main memory, video memory, a ROM.
//!
//! Anonymous and private, populated when first touched, left out of core dumps, and in transparent huge pages where the host
//! has them. The guest may change it at any instant, so it is only ever copied from and to, never borrowed.

use std::fmt;
use std::sync::Arc;

use vm_memory::bitmap::BitmapSlice;
use vm_memory::{Bytes, MmapRegion, VolatileMemory, VolatileSlice};

/// The host could not give the memory.
#[derive(Debug, thiserror::Error)]
#[error(
    "could not reserve {size} bytes of memory for {name}: {source}; close other programs or give the machine less memory"
)]
pub struct MemoryError {
    name: &'static str,
    size: usize,
    source: vm_memory::mmap::MmapRegionError,
}

/// A piece of host memory shared between the guest and its devices. Cloning shares it.
#[derive(Clone)]
pub struct MemoryRegion {
    name: &'static str,
    mapping: Arc<MmapRegion>,
}

impl MemoryRegion {
    /// Reserves `size` bytes (more than 0, rounded up to whole 4 KiB pages by the host), zeroed, called `name` in messages.
    ///
    /// # Errors
    /// When the host refuses the reservation.
    pub fn new(name: &'static str, size: usize) -> Result<Self, MemoryError> {
        let mapping = MmapRegion::new(size).map_err(|source| MemoryError { name, size, source })?;
        let region = Self {
            name,
            mapping: Arc::new(mapping),
        };
        region.advise();
        Ok(region)
    }

    #[expect(unsafe_code, reason = "madvise on a mapping of our own")]
    fn advise(&self) {
        use rustix::mm::{Advice, madvise};
        let address = self.mapping.as_ptr().cast();
        for advice in [Advice::LinuxDontDump, Advice::LinuxHugepage] {
            // SAFETY: the address and size are those of a mapping that `self` keeps alive, and neither advice changes what
            // the memory holds or whether it can be accessed.
            if let Err(error) = unsafe { madvise(address, self.mapping.size(), advice) } {
                tracing::debug!(region = self.name, ?advice, %error, "the host does not take this advice");
            }
        }
    }

    /// What the region is called in messages.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The region's size in bytes.
    pub fn size(&self) -> usize {
        self.mapping.size()
    }

    /// Where it is in this process.
    pub(super) fn host_range(&self) -> std::ops::Range<u64> {
        let start = self.mapping.as_ptr().addr() as u64;
        start..start.saturating_add(self.size() as u64)
    }

    /// Copies from the region at `offset` into `data`. What lies beyond the region's end is left as it was in `data`; the
    /// number of bytes copied is returned.
    pub fn read(&self, offset: usize, data: &mut [u8]) -> usize {
        self.mapping
            .as_volatile_slice()
            .read(data, offset)
            .unwrap_or(0)
    }

    /// Copies `data` into the region at `offset`, as far as the region goes; returns the number of bytes copied.
    pub fn write(&self, offset: usize, data: &[u8]) -> usize {
        self.mapping
            .as_volatile_slice()
            .write(data, offset)
            .unwrap_or(0)
    }

    /// Sets `length` bytes from `offset` on to `value`, as far as the region goes.
    pub fn fill(&self, offset: usize, length: usize, value: u8) {
        const CHUNK: [u8; 4096] = [0; 4096];
        let mut chunk = CHUNK;
        chunk.fill(value);
        let end = offset.saturating_add(length).min(self.size());
        let mut at = offset;
        while at < end {
            let part = (end - at).min(chunk.len());
            at += self.write(at, chunk.get(..part).unwrap_or(&[])).max(1);
        }
    }

    /// Gives the whole pages within `length` bytes from `offset` on back to the host, as far as the region goes: they read as
    /// zeros then, until they are written again.
    #[expect(unsafe_code, reason = "madvise on a mapping of our own")]
    pub fn release(&self, offset: usize, length: usize) {
        const PAGE: usize = 4096;
        let end = offset.saturating_add(length).min(self.size()) / PAGE * PAGE;
        let start = offset.min(self.size()).next_multiple_of(PAGE);
        if start >= end {
            return;
        }
        let address = self.mapping.as_ptr().wrapping_add(start).cast();
        // SAFETY: the range lies within a mapping that `self` keeps alive, and whatever reads it only ever copies: no Rust
        // reference to it exists whose content would change.
        let outcome =
            unsafe { rustix::mm::madvise(address, end - start, rustix::mm::Advice::LinuxDontNeed) };
        if let Err(error) = outcome {
            tracing::debug!(region = self.name, %error, "the host does not take pages back");
        }
    }

    /// The region as a slice for vectored I/O, if `offset` and `length` lie within it.
    pub fn slice(
        &self,
        offset: usize,
        length: usize,
    ) -> Option<VolatileSlice<'_, impl BitmapSlice>> {
        self.mapping.get_slice(offset, length).ok()
    }

    /// The host address of the region's first byte, for the hypervisor's memory slots.
    pub(crate) fn host_address(&self) -> u64 {
        self.mapping.as_ptr() as u64
    }

    /// Whether `other` is this very region.
    pub fn same_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.mapping, &other.mapping)
    }

    pub(super) fn mapping(&self) -> &Arc<MmapRegion> {
        &self.mapping
    }
}

impl fmt::Debug for MemoryRegion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "MemoryRegion({}, {} bytes)",
            self.name,
            self.size()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_the_end_holds() {
        let region = MemoryRegion::new("test", 8192).unwrap();
        assert_eq!(region.write(8190, &[1, 2, 3, 4]), 2);
        let mut data = [9; 4];
        assert_eq!(region.read(8190, &mut data), 2);
        assert_eq!(data, [1, 2, 9, 9]);
        assert_eq!(region.read(usize::MAX, &mut data), 0);
        assert_eq!(region.write(8192, &[1]), 0);
        region.fill(8000, usize::MAX, 7);
        assert_eq!(region.read(8191, &mut data), 1);
        assert_eq!(data[0], 7);
        region.write(4095, &[8, 9]);
        region.release(4095, usize::MAX);
        region.read(4095, &mut data);
        assert_eq!(data[..2], [8, 0], "only whole pages are given back");
        region.fill(8000, usize::MAX, 7);
        assert!(region.slice(8000, 193).is_none() && region.slice(8000, 192).is_some());
    }
}
