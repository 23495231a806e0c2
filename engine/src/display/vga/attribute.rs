//! The attribute controller (ports 0x3C0 and 0x3C1): sixteen colours, blinking, overscan, panning.
//! IBM VGA XGA Technical Reference Manual, section 2, "Attribute Controller Registers".

/// The bits that exist in each register, by index: 16 palette entries, mode control, overscan, colour plane enable, horizontal
/// pixel panning, colour select.
const IMPLEMENTED: [u8; 21] = [
    0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f,
    0xef, 0xff, 0x3f, 0x0f, 0x0f,
];

/// The registers by index, and which of index and data comes next at port 0x3C0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Attribute {
    index: u8,
    registers: [u8; IMPLEMENTED.len()],
    data_next: bool,
}

impl Attribute {
    fn get(&self, index: usize) -> u8 {
        self.registers.get(index).copied().unwrap_or(0)
    }

    /// The index as port 0x3C0 reads, with the palette address source in bit 5.
    pub(crate) fn index(&self) -> u8 {
        self.index
    }

    /// The register the index points to; 0 where none is.
    pub(crate) fn read(&self) -> u8 {
        self.get(usize::from(self.index & 0x1f))
    }

    /// A write to port 0x3C0, index and data in turn; tells whether what is shown changed.
    pub(crate) fn write(&mut self, value: u8) -> bool {
        self.data_next = !self.data_next;
        if self.data_next {
            let shown = self.palette_is_screens();
            self.index = value & 0x3f;
            return shown != self.palette_is_screens();
        }
        let index = usize::from(self.index & 0x1f);
        let (Some(register), Some(bits)) = (self.registers.get_mut(index), IMPLEMENTED.get(index))
        else {
            return false;
        };
        let value = value & bits;
        std::mem::replace(register, value) != value
    }

    /// The next write to port 0x3C0 is an index (input status 1 was read).
    pub(crate) fn expect_index(&mut self) {
        self.data_next = false;
    }

    /// The screen, not the processor, reaches the palette: while it does not, nothing is shown.
    pub(crate) fn palette_is_screens(&self) -> bool {
        self.index & 0x20 != 0
    }

    /// Attributes are those of a monochrome display: one of them underlines.
    pub(crate) fn monochrome(&self) -> bool {
        self.get(0x10) & 0x02 != 0
    }

    /// The ninth dot of the line-drawing characters (0xC0 to 0xDF) repeats the eighth.
    pub(crate) fn line_graphics(&self) -> bool {
        self.get(0x10) & 0x04 != 0
    }

    /// The highest attribute bit blinks the character instead of brightening its background.
    pub(crate) fn blinks(&self) -> bool {
        self.get(0x10) & 0x08 != 0
    }

    /// Panning ends where the screen is split.
    pub(crate) fn pans_above_split_only(&self) -> bool {
        self.get(0x10) & 0x20 != 0
    }

    /// The planes whose bits count, one bit each.
    pub(crate) fn plane_enable(&self) -> u8 {
        self.get(0x12) & 0x0f
    }

    /// How far the picture is moved to the left, as the register has it.
    pub(crate) fn panning(&self) -> u8 {
        self.get(0x13)
    }

    /// The digital-to-analogue converter's entry for each of the sixteen colours.
    pub(crate) fn colours(&self) -> [u8; 16] {
        let (mode, select) = (self.get(0x10), self.get(0x14));
        std::array::from_fn(|colour| {
            let entry = self.get(colour & usize::from(self.plane_enable()));
            let low = if mode & 0x80 != 0 {
                (entry & 0x0f) | (select & 3) << 4
            } else {
                entry
            };
            low | (select & 0x0c) << 4
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(attribute: &mut Attribute, index: u8, value: u8) -> bool {
        attribute.expect_index();
        attribute.write(index);
        attribute.write(value)
    }

    #[test]
    fn index_and_data_take_turns() {
        let mut attribute = Attribute::default();
        assert!(set(&mut attribute, 7, 0x2a));
        assert!(!set(&mut attribute, 7, 0x2a), "the same again");
        assert_eq!((attribute.index(), attribute.read()), (7, 0x2a));
        attribute.write(0x20);
        assert!(attribute.palette_is_screens());
        attribute.expect_index();
        assert!(attribute.write(0), "the screen goes dark");
    }

    #[test]
    fn colours_combine_palette_and_select() {
        let mut attribute = Attribute::default();
        for entry in 0..16 {
            set(&mut attribute, entry, 0x30 | entry);
        }
        set(&mut attribute, 0x12, 0x0f);
        assert_eq!(attribute.colours()[9], 0x39);
        set(&mut attribute, 0x14, 0x0d);
        assert_eq!(attribute.colours()[9], 0xf9);
        set(&mut attribute, 0x10, 0x80);
        assert_eq!(attribute.colours()[9], 0xd9);
        set(&mut attribute, 0x12, 0x07);
        assert_eq!(attribute.colours()[9], 0xd1, "a plane that does not count");
    }
}
