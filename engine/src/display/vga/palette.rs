//! The digital-to-analogue converter (ports 0x3C6 to 0x3C9): 256 colours of 6 or 8 bits for each of red, green and blue.
//! IBM VGA XGA Technical Reference Manual, section 2, "Video Digital-to-Analog Converter"; the 8-bit width is the VBE's.

/// The colours and the state of the ports that reach them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Palette {
    entries: [[u8; 3]; 256],
    /// The bits of a pixel that reach the converter.
    pub(crate) mask: u8,
    /// Values have 8 bits instead of 6.
    pub(crate) eight_bits: bool,
    write_index: u8,
    read_index: u8,
    /// Which of red, green and blue comes next.
    component: usize,
    pending: [u8; 3],
    reading: bool,
}

impl Default for Palette {
    fn default() -> Self {
        Self {
            entries: [[0; 3]; 256],
            mask: 0xff,
            eight_bits: false,
            write_index: 0,
            read_index: 0,
            component: 0,
            pending: [0; 3],
            reading: false,
        }
    }
}

impl Palette {
    /// Port 0x3C7 written: the colour that is read next.
    pub(crate) fn start_reading(&mut self, index: u8) {
        (self.read_index, self.component, self.reading) = (index, 0, true);
    }

    /// Port 0x3C7 read: 3 while colours are read, 0 while they are written.
    pub(crate) fn state(&self) -> u8 {
        if self.reading { 3 } else { 0 }
    }

    /// Port 0x3C8 written: the colour that is written next.
    pub(crate) fn start_writing(&mut self, index: u8) {
        (self.write_index, self.component, self.reading) = (index, 0, false);
    }

    /// Port 0x3C8 read.
    pub(crate) fn write_index(&self) -> u8 {
        self.write_index
    }

    fn width_mask(&self) -> u8 {
        if self.eight_bits { 0xff } else { 0x3f }
    }

    /// Port 0x3C9 read: red, green, blue and on to the next colour.
    pub(crate) fn read(&mut self) -> u8 {
        let entry = self.entries[usize::from(self.read_index)];
        let value = entry.get(self.component).copied().unwrap_or(0);
        self.component += 1;
        if self.component >= entry.len() {
            self.component = 0;
            self.read_index = self.read_index.wrapping_add(1);
        }
        value
    }

    /// Port 0x3C9 written: red, green, blue and on to the next colour; tells whether a colour changed.
    pub(crate) fn write(&mut self, value: u8) -> bool {
        let value = value & self.width_mask();
        if let Some(component) = self.pending.get_mut(self.component) {
            *component = value;
        }
        self.component += 1;
        if self.component < self.pending.len() {
            return false;
        }
        self.component = 0;
        let entry = &mut self.entries[usize::from(self.write_index)];
        self.write_index = self.write_index.wrapping_add(1);
        std::mem::replace(entry, self.pending) != self.pending
    }

    /// What a pixel of value `index` looks like, 0x00RRGGBB.
    pub(crate) fn colour(&self, index: u8) -> u32 {
        let [red, green, blue] = self.entries[usize::from(index & self.mask)].map(|value| {
            if self.eight_bits {
                value
            } else {
                let value = value & 0x3f;
                value << 2 | value >> 4
            }
        });
        u32::from_be_bytes([0, red, green, blue])
    }

    /// All 256 colours, 0x00RRGGBB.
    pub(crate) fn colours(&self) -> [u32; 256] {
        let mut index = 0_u8;
        std::array::from_fn(|_| {
            let colour = self.colour(index);
            index = index.wrapping_add(1);
            colour
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_written_and_read_in_threes() {
        let mut palette = Palette::default();
        palette.start_writing(0xff);
        assert!(!palette.write(0x3f) && !palette.write(0x15) && palette.write(0xea));
        assert_eq!((palette.write_index(), palette.state()), (0, 0));
        assert_eq!(palette.colour(0xff), 0x00ff_55aa);
        palette.start_reading(0xff);
        assert_eq!(palette.state(), 3);
        assert_eq!(
            [palette.read(), palette.read(), palette.read()],
            [0x3f, 0x15, 0x2a]
        );
        palette.mask = 0x0f;
        assert_eq!(palette.colour(0xff), 0);
    }

    #[test]
    fn eight_bits_are_kept_whole() {
        let mut palette = Palette {
            eight_bits: true,
            ..Palette::default()
        };
        palette.start_writing(7);
        for value in [0x12, 0x80, 0xff] {
            palette.write(value);
        }
        assert_eq!(palette.colours()[7], 0x0012_80ff);
    }
}
