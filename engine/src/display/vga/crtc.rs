//! The CRT controller (ports 0x3D4 and 0x3D5, or 0x3B4 and 0x3B5): the size of the picture, where in memory it starts, the
//! cursor. IBM VGA XGA Technical Reference Manual, section 2, "CRT Controller Registers".

/// How many registers there are.
const COUNT: usize = 0x19;

/// The registers by index.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Crtc {
    /// Which register the data port reaches.
    pub(crate) index: u8,
    registers: [u8; COUNT],
}

/// The text cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TextCursor {
    /// The character counter's value where it stands.
    pub(crate) address: u16,
    /// The first line of the character that it covers.
    pub(crate) first: u8,
    /// The last line of the character that it covers.
    pub(crate) last: u8,
}

impl Crtc {
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
        let protected = self.get(0x11) & 0x80 != 0 && index <= 7;
        let Some(register) = self.registers.get_mut(index) else {
            return false;
        };
        let value = if !protected {
            value
        } else if index == 7 {
            // The line compare bit alone stays writable.
            (*register & !0x10) | (value & 0x10)
        } else {
            return false;
        };
        std::mem::replace(register, value) != value
    }

    /// The picture's width in characters (eight or nine dots each), 1 to 256.
    pub(crate) fn columns(&self) -> u32 {
        u32::from(self.get(1)) + 1
    }

    fn overflow(&self, low: usize, eighth: u8, ninth: u32) -> u32 {
        u32::from(self.get(low)) | u32::from(self.get(7) >> eighth & 1) << 8 | ninth << 9
    }

    /// The picture's height in lines, 1 to 2048.
    pub(crate) fn lines(&self) -> u32 {
        let end = self.overflow(0x12, 1, u32::from(self.get(7) >> 6 & 1));
        // The vertical counter may run at half speed.
        (end + 1) << (self.get(0x17) >> 2 & 1)
    }

    /// All lines from one picture to the next, 2 to 2050.
    pub(crate) fn total_lines(&self) -> u32 {
        let total = self.overflow(0x06, 0, u32::from(self.get(7) >> 5 & 1));
        (total + 2) << (self.get(0x17) >> 2 & 1)
    }

    /// The last line above the split; what follows comes from address 0.
    pub(crate) fn line_compare(&self) -> u32 {
        self.overflow(0x18, 4, u32::from(self.get(9) >> 6 & 1)) << (self.get(0x17) >> 2 & 1)
    }

    /// Lines in a row of characters, 1 to 32, before doubling.
    pub(crate) fn row_height(&self) -> u32 {
        u32::from(self.get(9) & 0x1f) + 1
    }

    /// Every line is shown twice.
    pub(crate) fn doubles_lines(&self) -> bool {
        self.get(9) & 0x80 != 0
    }

    /// The line of its row of characters that the picture starts with.
    pub(crate) fn preset_row_scan(&self) -> u32 {
        u32::from(self.get(8) & 0x1f)
    }

    /// The character counter where the picture starts, byte panning included.
    pub(crate) fn start(&self) -> u32 {
        u32::from(u16::from_be_bytes([self.get(0x0c), self.get(0x0d)]))
            + u32::from(self.get(8) >> 5 & 3)
    }

    /// Byte panning alone: what is left of the start below the split.
    pub(crate) fn byte_panning(&self) -> u32 {
        u32::from(self.get(8) >> 5 & 3)
    }

    /// From one row of characters to the next, in counts of the character counter.
    pub(crate) fn pitch(&self) -> u32 {
        u32::from(self.get(0x13)) * 2
    }

    /// The line of a character that an underline is drawn at.
    pub(crate) fn underline(&self) -> u32 {
        u32::from(self.get(0x14) & 0x1f)
    }

    /// The bits of the character counter that the lowest bits of the line within a row replace, as on the CGA (bit 13) and the
    /// Hercules card (bit 14): masks for line bit 0 and line bit 1, or 0.
    pub(crate) fn row_scan_banks(&self) -> (u32, u32) {
        let mode = self.get(0x17);
        // In word mode the counter is moved up by one before the bits are replaced.
        let word = u32::from(mode & 0x40 == 0);
        let bank = |enabled: bool, bit: u32| if enabled { 1 << (bit - word) } else { 0 };
        (bank(mode & 1 == 0, 13), bank(mode & 2 == 0, 14))
    }

    /// The text cursor, if it is on.
    pub(crate) fn cursor(&self) -> Option<TextCursor> {
        let (start, end) = (self.get(0x0a), self.get(0x0b));
        let skew = u16::from(end >> 5 & 3);
        (start & 0x20 == 0 && start & 0x1f <= end & 0x1f).then(|| TextCursor {
            address: u16::from_be_bytes([self.get(0x0e), self.get(0x0f)]).wrapping_add(skew),
            first: start & 0x1f,
            last: end & 0x1f,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(crtc: &mut Crtc, index: u8, value: u8) -> bool {
        crtc.index = index;
        crtc.write(value)
    }

    #[test]
    fn text_mode_three() {
        let mut crtc = Crtc::default();
        for (index, value) in (0..).zip([
            0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0, 0, 0, 0,
            0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff,
        ]) {
            set(&mut crtc, index, value);
        }
        assert_eq!(
            (crtc.columns(), crtc.lines(), crtc.total_lines()),
            (80, 400, 449)
        );
        assert_eq!((crtc.row_height(), crtc.pitch()), (16, 80));
        assert_eq!(crtc.line_compare(), 0x3ff);
        assert_eq!(crtc.row_scan_banks(), (0, 0));
        let cursor = crtc.cursor().unwrap();
        assert_eq!((cursor.first, cursor.last), (13, 14));
        assert!(!set(&mut crtc, 0, 1), "protected");
        assert!(set(&mut crtc, 7, 0x00));
        assert_eq!(crtc.read(), 0x0f, "line compare bit 8 is not protected");
        assert!(set(&mut crtc, 0x11, 0x0e) && set(&mut crtc, 0, 1));
        assert!(!set(&mut crtc, 0x19, 0xff) && crtc.read() == 0);
    }
}
