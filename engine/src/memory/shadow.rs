//! The 256 KiB below 1 MiB, where ROM and main memory lie over one another and the chipset says which of them is read and which
//! written (the i440FX's programmable attribute map). Intel 82441FX data sheet, section 3.2.17.

use std::sync::Arc;

use parking_lot::Mutex;

use super::layout::{EXTENDED, SHADOW};
use super::{GuestMemory, MemoryRegion};
use crate::bus::{Action, IoError, IoResult, MemoryDevice};
use crate::hypervisor::{HypervisorError, MemorySlots, SlotKind};

/// The pieces in which the map is changed: thirteen, from 0xC0000 on, of 16 KiB each but the last, which is 64 KiB.
pub const SEGMENTS: usize = 13;
const SEGMENT: u64 = 0x4000;
/// Where the firmware's own 128 KiB begin.
const FIRMWARE: u64 = 0xe_0000;

/// First address and size of a segment.
fn place(segment: usize) -> (u64, u64) {
    let base = SHADOW + segment as u64 * SEGMENT;
    (
        base,
        if segment + 1 == SEGMENTS {
            EXTENDED - base
        } else {
            SEGMENT
        },
    )
}

/// What of a segment goes to main memory; what does not goes to the ROM behind it, or to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attributes {
    /// Reads come from main memory.
    pub read: bool,
    /// Writes go to main memory.
    pub write: bool,
}

/// The shadowed region of one machine.
pub struct Shadow {
    slots: Arc<MemorySlots>,
    /// Main memory below 4 GiB.
    memory: GuestMemory,
    /// The firmware's last 128 KiB.
    firmware: MemoryRegion,
    attributes: Mutex<[Attributes; SEGMENTS]>,
}

impl Shadow {
    /// A shadow over `memory` with the firmware's last 128 KiB, `firmware`, behind it. Nothing is mapped until
    /// [`Shadow::reset`].
    pub fn new(slots: Arc<MemorySlots>, memory: GuestMemory, firmware: MemoryRegion) -> Self {
        Self {
            slots,
            memory,
            firmware,
            attributes: Mutex::new([Attributes::default(); SEGMENTS]),
        }
    }

    /// As at power-on: all reads come from the ROM, all writes are lost.
    ///
    /// # Errors
    /// When the kernel refuses a change of the map.
    pub fn reset(&self) -> Result<(), HypervisorError> {
        let mut current = self.attributes.lock();
        for (segment, attributes) in current.iter_mut().enumerate() {
            *attributes = Attributes::default();
            self.apply(segment, *attributes)?;
        }
        Ok(())
    }

    /// Changes segment number `segment` (0 at 0xC0000 to 12 at 0xF0000; others do not exist).
    ///
    /// # Errors
    /// When the kernel refuses the change.
    pub fn set(&self, segment: usize, attributes: Attributes) -> Result<(), HypervisorError> {
        let mut current = self.attributes.lock();
        match current.get_mut(segment) {
            Some(before) if *before != attributes => {
                *before = attributes;
                self.apply(segment, attributes)
            }
            _ => Ok(()),
        }
    }

    fn apply(&self, segment: usize, attributes: Attributes) -> Result<(), HypervisorError> {
        let (base, length) = place(segment);
        let size = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        let low = self.memory.regions().first().map(|(_, region)| region);
        match (attributes.read, low) {
            (true, Some(low)) => {
                let kind = if attributes.write {
                    SlotKind::Memory
                } else {
                    SlotKind::ReadOnly
                };
                self.slots.map(base, low, size(base), size(length), kind)
            }
            (false, _) if base >= FIRMWARE => self.slots.map(
                base,
                &self.firmware,
                size(base - FIRMWARE),
                size(length),
                SlotKind::ReadOnly,
            ),
            _ => self.slots.unmap(base),
        }
    }

    fn attributes_at(&self, address: u64) -> Attributes {
        let segment = usize::try_from(address.saturating_sub(SHADOW) / SEGMENT)
            .unwrap_or(usize::MAX)
            .min(SEGMENTS - 1);
        self.attributes
            .lock()
            .get(segment)
            .copied()
            .unwrap_or_default()
    }
}

/// What reaches the bus from the shadowed region: reads where there is no ROM, and writes to what is mapped for reading only.
/// Mapped at 0xC0000.
pub struct ShadowWindow(pub Arc<Shadow>);

impl MemoryDevice for ShadowWindow {
    fn read_memory(&mut self, offset: u64, data: &mut [u8]) -> IoResult<()> {
        let address = SHADOW.saturating_add(offset);
        if self.0.attributes_at(address).read {
            // The map changed between the processor's access and its arrival here.
            return self
                .0
                .memory
                .read(address, data)
                .map_err(|_| IoError::Unmapped);
        }
        Err(IoError::Unmapped)
    }

    fn write_memory(&mut self, offset: u64, data: &[u8]) -> IoResult<Option<Action>> {
        let address = SHADOW.saturating_add(offset);
        if self.0.attributes_at(address).write {
            self.0
                .memory
                .write(address, data)
                .map_err(|_| IoError::Unmapped)?;
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_segments_cover_the_region_without_a_gap() {
        let mut next = SHADOW;
        for segment in 0..SEGMENTS {
            let (base, length) = place(segment);
            assert_eq!(base, next);
            next = base + length;
        }
        assert_eq!(next, EXTENDED);
        assert_eq!(place(12), (0xf_0000, 0x1_0000));
        assert_eq!(place(8), (0xe_0000, 0x4000));
    }
}
