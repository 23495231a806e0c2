//! The legacy window, 0xA0000 to 0xBFFFF: the processor's way to the four planes.
//!
//! Video memory holds the four planes' bytes side by side: byte `4 n + p` is byte `n` of plane `p`. Where the processor's low
//! address bits choose the plane (chain 4, odd/even), the bits above them are the byte, so that what the character counter
//! counts is always `n` and mode 13h is a linear picture.

use super::Vga;
use super::dispi::Depth;
use super::registers::Registers;
use crate::bus::{IoError, IoResult};

/// The planes' bytes that one address of the window reaches.
struct Cell {
    /// Where in video memory the four bytes begin.
    at: usize,
    /// The one plane that the address itself chooses, if it does.
    plane: Option<u8>,
    /// The planes that a write may reach, one bit each.
    planes: u8,
}

/// What an address of the window is.
enum Place {
    /// A byte of video memory.
    Linear(usize),
    /// The four planes.
    Planes(Cell),
}

fn place(registers: &Registers, offset: u32, writing: bool, size: usize) -> Option<Place> {
    let dispi = &registers.dispi;
    if dispi.enabled() && dispi.depth() != Depth::Planes {
        let at = (dispi.bank() | (offset & 0xffff)) as usize;
        return (offset < 0x1_0000 && at < size).then_some(Place::Linear(at));
    }
    if !registers.memory_enabled() {
        return None;
    }
    let (first, length) = registers.graphics.window();
    let address = offset.checked_sub(first).filter(|at| *at < length)?;
    let low = address.to_le_bytes()[0];
    let odd_even = if writing {
        !registers.sequencer.sequential()
    } else {
        registers.graphics.odd_even()
    };
    let (byte, plane, planes) = if registers.sequencer.chain_4() {
        (address >> 2, Some(low & 3), 1 << (low & 3))
    } else if odd_even {
        let plane = (registers.graphics.read_plane() & 2) | (low & 1);
        (
            address >> 1,
            Some(plane),
            if low & 1 == 0 { 0b0101 } else { 0b1010 },
        )
    } else {
        (address, None, 0b1111)
    };
    let byte = if dispi.enabled() {
        byte + dispi.bank()
    } else {
        byte & 0xffff
    };
    let at = (byte as usize).checked_mul(4)?;
    (at < size).then_some(Place::Planes(Cell { at, plane, planes }))
}

/// The offset, if it lies in the window.
fn within(offset: u64) -> IoResult<u32> {
    u32::try_from(offset)
        .ok()
        .filter(|at| *at < 0x2_0000)
        .ok_or(IoError::Unmapped)
}

impl Vga {
    fn planes_at(&self, at: usize) -> u32 {
        let mut bytes = [0; 4];
        self.memory.read(at, &mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn read_window_byte(&mut self, offset: u32) -> IoResult<u8> {
        let place = place(&self.registers, offset, false, self.memory.size());
        match place.ok_or(IoError::Unmapped)? {
            Place::Linear(at) => {
                let mut byte = [0];
                self.memory.read(at, &mut byte);
                Ok(byte[0])
            }
            Place::Planes(cell) => {
                self.latch = self.planes_at(cell.at);
                let graphics = &self.registers.graphics;
                if graphics.compares_on_read() {
                    return Ok(graphics.compare(self.latch));
                }
                let plane = cell.plane.unwrap_or(graphics.read_plane());
                Ok(self.latch.to_le_bytes()[usize::from(plane & 3)])
            }
        }
    }

    fn write_window_byte(&mut self, offset: u32, value: u8) -> IoResult<()> {
        let place = place(&self.registers, offset, true, self.memory.size());
        let at = match place.ok_or(IoError::Unmapped)? {
            Place::Linear(at) => {
                self.memory.write(at, &[value]);
                at
            }
            Place::Planes(cell) => {
                let reached = cell.planes & self.registers.sequencer.map_mask();
                if reached == 0 {
                    return Ok(());
                }
                let composed = self.registers.graphics.compose(value, self.latch);
                let mask = super::graphics::planes(reached);
                let bytes = (composed & mask) | (self.planes_at(cell.at) & !mask);
                self.memory.write(cell.at, &bytes.to_le_bytes());
                cell.at
            }
        };
        self.dirty.mark(at, 1);
        Ok(())
    }

    /// Reads `data.len()` bytes at `offset` of the legacy window.
    pub(super) fn read_legacy(&mut self, offset: u64, data: &mut [u8]) -> IoResult<()> {
        let first = within(offset)?;
        for (offset, byte) in (first..).zip(data) {
            *byte = self.read_window_byte(offset)?;
        }
        Ok(())
    }

    /// Writes `data` at `offset` of the legacy window.
    pub(super) fn write_legacy(&mut self, offset: u64, data: &[u8]) -> IoResult<()> {
        let first = within(offset)?;
        for (offset, byte) in (first..).zip(data) {
            self.write_window_byte(offset, *byte)?;
        }
        self.wake.wake();
        Ok(())
    }
}
