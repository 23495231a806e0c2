//! The sequencer (ports 0x3C4 and 0x3C5): dot clock, which planes are written, where character generators lie.
//! IBM VGA XGA Technical Reference Manual, section 2, "Sequencer Registers".

/// The bits that exist in each register, by index: reset, clocking mode, map mask, character map select, memory mode.
const IMPLEMENTED: [u8; 5] = [0x03, 0x3d, 0x0f, 0x3f, 0x0e];

/// The registers by index.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Sequencer {
    /// Which register the data port reaches.
    pub(crate) index: u8,
    registers: [u8; IMPLEMENTED.len()],
}

impl Sequencer {
    fn get(&self, index: usize) -> u8 {
        self.registers.get(index).copied().unwrap_or(0)
    }

    /// The register the index points to; 0 where none is.
    pub(crate) fn read(&self) -> u8 {
        self.get(usize::from(self.index))
    }

    /// Sets the register the index points to; tells whether its value changed.
    pub(crate) fn write(&mut self, value: u8) -> bool {
        let index = usize::from(self.index);
        let (Some(register), Some(bits)) = (self.registers.get_mut(index), IMPLEMENTED.get(index))
        else {
            return false;
        };
        let value = value & bits;
        std::mem::replace(register, value) != value
    }

    /// Characters are eight dots wide instead of nine.
    pub(crate) fn eight_dots(&self) -> bool {
        self.get(1) & 0x01 != 0
    }

    /// The dot clock is halved: every dot is drawn twice as wide.
    pub(crate) fn half_dot_clock(&self) -> bool {
        self.get(1) & 0x08 != 0
    }

    /// The screen is switched off to give the processor all of the memory's time.
    pub(crate) fn screen_off(&self) -> bool {
        self.get(1) & 0x20 != 0
    }

    /// The planes that writes reach, one bit each.
    pub(crate) fn map_mask(&self) -> u8 {
        self.get(2)
    }

    /// Where in plane 2 the character generators A and B begin, in bytes.
    pub(crate) fn fonts(&self) -> (usize, usize) {
        let select = self.get(3);
        // Three bits each, the highest of them apart; odd values lie 8 KiB above the even ones.
        let offset =
            |low: u8, high: u8| usize::from(low & 3) * 0x4000 + usize::from(high & 1) * 0x2000;
        (
            offset(select >> 2, select >> 5),
            offset(select, select >> 4),
        )
    }

    /// Writes go to planes in address order rather than odd addresses to odd planes.
    pub(crate) fn sequential(&self) -> bool {
        self.get(4) & 0x04 != 0
    }

    /// The two lowest address bits choose the plane.
    pub(crate) fn chain_4(&self) -> bool {
        self.get(4) & 0x08 != 0
    }
}
