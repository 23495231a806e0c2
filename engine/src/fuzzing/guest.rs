//! What a guest does with a function on the PCI bus and with its memory.

use std::sync::Arc;

use super::{Input, Script};
use crate::bus::Width;
use crate::memory::{GuestMemory, MemoryRegion};
use crate::pci::PciFunction;

/// The accesses; a target's own codes begin behind them.
pub(crate) const SET: u8 = 0;
pub(crate) const GET: u8 = 1;
pub(crate) const MEMORY: u8 = 2;
pub(crate) const CONFIG: u8 = 3;
/// Any number of bytes anywhere in a window is 4.
pub(crate) const OWN: u8 = 5;

/// Main memory of `size` bytes.
pub(crate) fn memory(size: usize) -> GuestMemory {
    GuestMemory::new(vec![(0, MemoryRegion::new("fuzzing", size).unwrap())]).unwrap()
}

/// Carries out one of the accesses.
pub(crate) fn access(
    code: u8,
    input: &mut Input<'_>,
    function: &mut dyn PciFunction,
    memory: &GuestMemory,
) {
    match code {
        SET | GET => {
            let [place, width] = [input.byte(), input.byte()];
            let (offset, mut data) = (u64::from(input.word()), [0; 8]);
            let width = 1 << (width & 3);
            if code == SET {
                data[..width].copy_from_slice(&input.quad().to_le_bytes()[..width]);
                let _ = function.write_window(place & 7, offset, &data[..width]);
            } else {
                let _ = function.read_window(place & 7, offset, &mut data[..width]);
            }
        }
        MEMORY => {
            let at = input.long().into();
            let _ = memory.write(at, input.piece());
        }
        CONFIG => {
            let [offset, width] = [input.byte(), input.byte()];
            let width = Width::ALL[usize::from(width % 3)];
            // The bus splits what crosses a dword, and aligns nothing.
            let offset = offset - offset % 4 + (offset % 4).min(4 - width.bytes() as u8);
            let value = input.long() & width.ones();
            function.write_config(offset, width, value);
            function.read_config(offset, width);
            function.base_addresses();
        }
        _ => {
            let [place, length] = [input.byte(), input.byte()];
            let (offset, mut data) = (input.quad(), [0x5a; 64]);
            let data = &mut data[..usize::from(length % 64)];
            let _ = function.write_window(place & 7, offset, data);
            let _ = function.read_window(place & 7, offset, data);
        }
    }
}

impl Script {
    /// Writes `width` bytes of window `place`.
    pub(crate) fn set(self, place: u8, offset: u16, width: u8, value: u64) -> Self {
        let width = u8::try_from(width.trailing_zeros()).unwrap();
        self.code(SET)
            .byte(place)
            .byte(width)
            .word(offset)
            .quad(value)
    }

    pub(crate) fn get(self, place: u8, offset: u16, width: u8) -> Self {
        let width = u8::try_from(width.trailing_zeros()).unwrap();
        self.code(GET).byte(place).byte(width).word(offset)
    }

    /// Writes into the guest's memory.
    pub(crate) fn memory(self, at: u32, bytes: &[u8]) -> Self {
        bytes
            .chunks(255)
            .zip((at..).step_by(255))
            .fold(self, |script, (piece, at)| {
                script.code(MEMORY).long(at).piece(piece)
            })
    }

    pub(crate) fn config(self, offset: u8, width: Width, value: u32) -> Self {
        let width = width as u8;
        self.code(CONFIG).byte(offset).byte(width).long(value)
    }
}

/// An image in memory.
pub(crate) struct Disk {
    data: parking_lot::Mutex<Vec<u8>>,
    read_only: bool,
}

impl Disk {
    pub(crate) fn new(size: usize, read_only: bool) -> Arc<Self> {
        Arc::new(Self {
            data: parking_lot::Mutex::new(vec![0; size]),
            read_only,
        })
    }
}

impl crate::disk::Image for Disk {
    fn size(&self) -> u64 {
        self.data.lock().len() as u64
    }

    fn features(&self) -> crate::disk::Features {
        crate::disk::Features {
            discard: true,
            ..crate::disk::Features::default()
        }
    }

    fn read_only(&self) -> bool {
        self.read_only
    }

    fn file(&self) -> &std::path::Path {
        std::path::Path::new("memory")
    }

    fn read_at(&self, offset: u64, data: &mut [u8]) -> Result<(), crate::disk::ImageError> {
        let stored = self.data.lock();
        let start = self.within(&stored, offset, data.len());
        data.copy_from_slice(&stored[start..start + data.len()]);
        Ok(())
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), crate::disk::ImageError> {
        assert!(!self.read_only, "a disc is never written");
        let mut stored = self.data.lock();
        let start = self.within(&stored, offset, data.len());
        stored[start..start + data.len()].copy_from_slice(data);
        Ok(())
    }

    fn flush(&self) -> Result<(), crate::disk::ImageError> {
        Ok(())
    }
}

impl Disk {
    /// Drives know the size of their images, and ask for nothing beyond.
    fn within(&self, stored: &[u8], offset: u64, length: usize) -> usize {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = start.checked_add(length);
        assert!(
            end.is_some_and(|end| end <= stored.len()),
            "{length} bytes at {offset} lie beyond the end"
        );
        start
    }
}
