//! The graphics controller (ports 0x3CE and 0x3CF): how the processor's bytes become the four planes' and back.
//! IBM VGA XGA Technical Reference Manual, section 2, "Graphics Controller Registers".

/// The bits that exist in each register, by index: set/reset, enable set/reset, colour compare, data rotate, read map select,
/// mode, miscellaneous, colour don't care, bit mask.
const IMPLEMENTED: [u8; 9] = [0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff];

/// A nibble's bits, each spread over a plane's whole byte: plane 0 in the lowest byte.
pub(crate) const PLANES: [u32; 16] = [
    0x0000_0000,
    0x0000_00ff,
    0x0000_ff00,
    0x0000_ffff,
    0x00ff_0000,
    0x00ff_00ff,
    0x00ff_ff00,
    0x00ff_ffff,
    0xff00_0000,
    0xff00_00ff,
    0xff00_ff00,
    0xff00_ffff,
    0xffff_0000,
    0xffff_00ff,
    0xffff_ff00,
    0xffff_ffff,
];

/// The same byte in all four planes.
fn everywhere(byte: u8) -> u32 {
    u32::from_ne_bytes([byte; 4])
}

/// A nibble's bits, each over a plane's whole byte.
pub(crate) fn planes(nibble: u8) -> u32 {
    PLANES[usize::from(nibble & 0x0f)]
}

/// How the picture's bits leave the planes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shift {
    /// One bit of each plane makes a colour of 16.
    Planes,
    /// Two bits in a row make a colour of four, as on the CGA.
    Pairs,
    /// Two nibbles make a colour of 256.
    Bytes,
}

/// The registers by index.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Graphics {
    /// Which register the data port reaches.
    pub(crate) index: u8,
    registers: [u8; IMPLEMENTED.len()],
}

impl Graphics {
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

    /// The plane that reads in mode 0 return.
    pub(crate) fn read_plane(&self) -> u8 {
        self.get(4)
    }

    /// Reads compare colours (mode 1) instead of returning a plane.
    pub(crate) fn compares_on_read(&self) -> bool {
        self.get(5) & 0x08 != 0
    }

    /// Reads of odd addresses come from odd planes.
    pub(crate) fn odd_even(&self) -> bool {
        self.get(5) & 0x10 != 0
    }

    /// How the picture's bits leave the planes.
    pub(crate) fn shift(&self) -> Shift {
        match self.get(5) >> 5 & 3 {
            0 => Shift::Planes,
            1 => Shift::Pairs,
            _ => Shift::Bytes,
        }
    }

    /// Graphics: the character generator is off.
    pub(crate) fn is_graphics(&self) -> bool {
        self.get(6) & 0x01 != 0
    }

    /// Where the legacy window lies within the 128 KiB from 0xA0000 on: its first byte and its size.
    pub(crate) fn window(&self) -> (u32, u32) {
        match self.get(6) >> 2 & 3 {
            0 => (0, 0x2_0000),
            1 => (0, 0x1_0000),
            2 => (0x1_0000, 0x8000),
            _ => (0x1_8000, 0x8000),
        }
    }

    /// What a write of `value` makes of the four planes' bytes, before the map mask: `latch` are the bytes read last, plane 0
    /// in the lowest byte.
    pub(crate) fn compose(&self, value: u8, latch: u32) -> u32 {
        let mode = self.get(5) & 3;
        let rotated = value.rotate_right(u32::from(self.get(3) & 7));
        let set_reset = planes(self.get(0));
        let (data, bits) = match mode {
            0 => {
                let enabled = planes(self.get(1));
                (
                    (everywhere(rotated) & !enabled) | (set_reset & enabled),
                    self.get(8),
                )
            }
            1 => return latch,
            2 => (planes(value), self.get(8)),
            _ => (set_reset, rotated & self.get(8)),
        };
        let data = match self.get(3) >> 3 & 3 {
            0 => data,
            1 => data & latch,
            2 => data | latch,
            _ => data ^ latch,
        };
        let bits = everywhere(bits);
        (data & bits) | (latch & !bits)
    }

    /// What a read in mode 1 returns: a bit is set where the planes that are cared for show the compared colour.
    pub(crate) fn compare(&self, latch: u32) -> u8 {
        let different = (latch ^ planes(self.get(2))) & planes(self.get(7));
        let [first, second, third, fourth] = different.to_le_bytes();
        !(first | second | third | fourth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(registers: &[(u8, u8)]) -> Graphics {
        let mut graphics = Graphics::default();
        for (index, value) in registers {
            graphics.index = *index;
            graphics.write(*value);
        }
        graphics
    }

    #[test]
    fn write_modes() {
        const LATCH: u32 = 0x4433_2211;
        for (name, registers, value, expected) in [
            ("plain", vec![(8, 0xff)], 0xa5, 0xa5a5_a5a5),
            ("rotated by 4", vec![(8, 0xff), (3, 4)], 0x5a, 0xa5a5_a5a5),
            (
                "set/reset in planes 0 and 1",
                vec![(8, 0xff), (0, 0x1), (1, 0x3)],
                0x77,
                0x7777_00ff,
            ),
            ("bit mask", vec![(8, 0x0f)], 0xff, 0x4f3f_2f1f),
            ("and", vec![(8, 0xff), (3, 0x08)], 0x0f, 0x0403_0201),
            ("or", vec![(8, 0xff), (3, 0x10)], 0x0f, 0x4f3f_2f1f),
            (
                "exclusive or",
                vec![(8, 0xff), (3, 0x18)],
                0xff,
                0xbbcc_ddee,
            ),
            ("mode 1", vec![(5, 1), (8, 0)], 0x99, LATCH),
            ("mode 2", vec![(5, 2), (8, 0xff)], 0x05, 0x00ff_00ff),
            ("mode 2 masked", vec![(5, 2), (8, 0xf0)], 0x0f, 0xf4f3_f2f1),
            (
                "mode 3",
                vec![(5, 3), (8, 0x3c), (0, 0x0f)],
                0xf0,
                0x7433_3231,
            ),
        ] {
            let composed = set(&registers).compose(value, LATCH);
            assert_eq!(composed, expected, "{name}: {composed:#010x}");
        }
    }

    #[test]
    fn read_mode_1_marks_the_colour() {
        // Pixels from the left: colour 5 three times, colour 1, colour 13, black...
        let latch = u32::from_le_bytes([0b1111_1000, 0, 0b1110_1000, 0b0000_1000]);
        assert_eq!(set(&[(2, 5), (7, 0x0f)]).compare(latch), 0b1110_0000);
        assert_eq!(set(&[(2, 5), (7, 0x07)]).compare(latch), 0b1110_1000);
        assert_eq!(set(&[(2, 5), (7, 0)]).compare(latch), 0xff);
    }

    #[test]
    fn only_existing_bits_and_registers_keep_values() {
        let graphics = set(&[(5, 0xff), (6, 0xff), (9, 0xff), (0xff, 0xff)]);
        assert_eq!((graphics.get(5), graphics.get(6)), (0x7b, 0x0f));
        assert_eq!(graphics.read(), 0);
    }
}
