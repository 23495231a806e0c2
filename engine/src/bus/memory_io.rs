//! Memory-mapped registers: the guest-physical addresses behind which a device stands instead of memory.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use parking_lot::RwLock;

use super::{Action, IoResult, Shared};

/// A device with registers (or a window) in the guest-physical address space.
///
/// `offset` counts from the start of the range it was mapped at; `data` is 1, 2, 4 or 8 bytes, little endian. An access that
/// crosses the end of the range is cut there by the bus.
pub trait MemoryDevice: Send {
    /// Reads `data.len()` bytes at `offset`.
    ///
    /// # Errors
    /// When the device does not answer there: the guest reads all ones.
    fn read_memory(&mut self, offset: u64, data: &mut [u8]) -> IoResult<()>;

    /// Writes `data` at `offset`.
    ///
    /// # Errors
    /// When the device does not answer there: the write is lost.
    fn write_memory(&mut self, offset: u64, data: &[u8]) -> IoResult<Option<Action>>;
}

type Target = Shared<dyn MemoryDevice>;

#[derive(Clone)]
struct Region {
    last: u64,
    device: Target,
}

/// The map from guest-physical addresses to devices.
#[derive(Default)]
pub struct MemoryBus {
    /// By first address; ranges never overlap.
    regions: RwLock<BTreeMap<u64, Region>>,
}

/// Two ranges of addresses overlap.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the memory range {0:#x?} overlaps one that a device already answers at")]
pub struct Overlap(RangeInclusive<u64>);

impl MemoryBus {
    /// Lets `device` answer at `range`.
    ///
    /// # Errors
    /// When a part of the range is taken; nothing changes then.
    pub fn map(&self, range: RangeInclusive<u64>, device: Target) -> Result<(), Overlap> {
        let mut regions = self.regions.write();
        let taken = regions
            .range(..=*range.end())
            .next_back()
            .is_some_and(|(_, other)| other.last >= *range.start());
        if taken || range.is_empty() {
            return Err(Overlap(range));
        }
        regions.insert(
            *range.start(),
            Region {
                last: *range.end(),
                device,
            },
        );
        Ok(())
    }

    /// Frees the range that starts at `first`, if `device` is the one that answers there.
    pub fn unmap(&self, first: u64, device: &Target) {
        let mut regions = self.regions.write();
        if regions
            .get(&first)
            .is_some_and(|region| Arc::ptr_eq(&region.device, device))
        {
            regions.remove(&first);
        }
    }

    fn target(&self, address: u64) -> Option<(u64, Region)> {
        let regions = self.regions.read();
        let (first, region) = regions.range(..=address).next_back()?;
        (region.last >= address).then(|| (*first, region.clone()))
    }

    /// The processor reads `data.len()` bytes at `address`; what nobody answers reads as all ones.
    pub fn read(&self, address: u64, data: &mut [u8]) {
        data.fill(0xff);
        let Some((first, region)) = self.target(address) else {
            tracing::trace!(address, "read of an address that nobody answers");
            return;
        };
        let available = usize::try_from(region.last - address)
            .unwrap_or(usize::MAX)
            .saturating_add(1);
        let length = data.len().min(available);
        if let Some(part) = data.get_mut(..length)
            && region
                .device
                .lock()
                .read_memory(address - first, part)
                .is_err()
        {
            part.fill(0xff);
        }
    }

    /// The processor writes `data` at `address`; what nobody answers is lost.
    pub fn write(&self, address: u64, data: &[u8]) -> Option<Action> {
        let (first, region) = self.target(address)?;
        let available = usize::try_from(region.last - address)
            .unwrap_or(usize::MAX)
            .saturating_add(1);
        let part = data.get(..data.len().min(available))?;
        region
            .device
            .lock()
            .write_memory(address - first, part)
            .ok()
            .flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::{IoError, shared};

    #[derive(Default)]
    struct Window([u8; 16]);
    impl MemoryDevice for Window {
        fn read_memory(&mut self, offset: u64, data: &mut [u8]) -> IoResult<()> {
            let start = usize::try_from(offset).map_err(|_| IoError::Unmapped)?;
            data.copy_from_slice(
                self.0
                    .get(start..start + data.len())
                    .ok_or(IoError::Unmapped)?,
            );
            Ok(())
        }
        fn write_memory(&mut self, offset: u64, data: &[u8]) -> IoResult<Option<Action>> {
            let start = usize::try_from(offset).map_err(|_| IoError::Unmapped)?;
            self.0
                .get_mut(start..start + data.len())
                .ok_or(IoError::Unmapped)?
                .copy_from_slice(data);
            Ok(None)
        }
    }

    #[test]
    fn accesses_reach_the_device_at_its_own_offset() {
        let bus = MemoryBus::default();
        bus.map(0xa0000..=0xa000f, shared(Window::default()))
            .unwrap();
        bus.write(0xa0004, &[1, 2, 3, 4]);
        let mut data = [0; 4];
        bus.read(0xa0005, &mut data);
        assert_eq!(data, [2, 3, 4, 0]);
        bus.read(0x9ffff, &mut data);
        assert_eq!(data, [0xff; 4], "just below the window");
    }

    #[test]
    fn an_access_across_the_end_is_cut_there() {
        let bus = MemoryBus::default();
        bus.map(0x1000..=0x100f, shared(Window::default())).unwrap();
        bus.write(0x100e, &[7, 8, 9, 10]);
        let mut data = [0; 4];
        bus.read(0x100e, &mut data);
        assert_eq!(data, [7, 8, 0xff, 0xff]);
    }

    #[test]
    fn ranges_do_not_overlap_even_at_the_top_of_the_address_space() {
        let bus = MemoryBus::default();
        let top: Target = shared(Window::default());
        bus.map(u64::MAX - 15..=u64::MAX, top.clone()).unwrap();
        assert!(
            bus.map(u64::MAX - 20..=u64::MAX - 15, shared(Window::default()))
                .is_err()
        );
        let mut data = [0; 8];
        bus.read(u64::MAX, &mut data);
        assert_eq!(data, [0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        bus.unmap(u64::MAX - 15, &top);
        bus.read(u64::MAX, &mut data);
        assert_eq!(data, [0xff; 8]);
    }
}
