//! Which bytes of the planes each line of the picture comes from: the CRT controller's counters.

use super::super::registers::Registers;

/// The panning register's value that moves nothing, whether characters have eight dots or nine.
const UNMOVED: u8 = 8;

/// The counters' settings, and where in video memory they count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Characters (or groups of eight dots) in a line.
    pub(crate) columns: u32,
    /// Lines of the picture.
    pub(crate) lines: u32,
    /// The character counter at the start.
    start: u32,
    /// The character counter at the start of what is below the split.
    split_start: u32,
    /// From one row to the next.
    pitch: u32,
    /// Lines in a row of characters, before doubling.
    row_height: u32,
    /// 1 where every line is shown twice, else 0.
    doubling: u32,
    /// The line of its row that the picture starts with.
    preset: u32,
    /// The last line above the split.
    line_compare: u32,
    /// The panning register above and below the split.
    panning: (u8, u8),
    /// The bits of the counter that the line within the row replaces.
    banks: (u32, u32),
    /// The counter wraps around at this, a power of two.
    modulus: u32,
}

/// Where a line comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line {
    /// The character counter at its start.
    pub(crate) address: u32,
    /// Which line of its row of characters it is.
    pub(crate) scan: u32,
    /// The panning register's value.
    pub(crate) panning: u8,
}

impl Layout {
    /// The layout that the VGA's own registers give, no larger than `columns` by `lines`.
    pub(crate) fn of(registers: &Registers, columns: u32, lines: u32) -> Self {
        let (crtc, attribute) = (&registers.crtc, &registers.attribute);
        let panning = attribute.panning();
        let keeps = !attribute.pans_above_split_only();
        Self {
            columns: crtc.columns().min(columns),
            lines: crtc.lines().min(lines),
            start: crtc.start(),
            split_start: if keeps { crtc.byte_panning() } else { 0 },
            pitch: crtc.pitch(),
            row_height: crtc.row_height(),
            doubling: u32::from(crtc.doubles_lines()),
            preset: crtc.preset_row_scan().min(crtc.row_height() - 1),
            line_compare: crtc.line_compare(),
            panning: (panning, if keeps { panning } else { UNMOVED }),
            banks: crtc.row_scan_banks(),
            modulus: 0x1_0000,
        }
    }

    /// The layout of a mode of the display interface in planes: `start` and `pitch` in counts, `panning` in dots.
    pub(crate) fn plain(
        size: (u32, u32),
        start: u32,
        pitch: u32,
        panning: u8,
        modulus: u32,
    ) -> Self {
        Self {
            columns: size.0.div_ceil(8),
            lines: size.1,
            start,
            split_start: 0,
            pitch,
            row_height: 1,
            doubling: 0,
            preset: 0,
            line_compare: u32::MAX,
            panning: (panning, panning),
            banks: (0, 0),
            modulus,
        }
    }

    /// Where line `y` comes from.
    pub(crate) fn line(&self, y: u32) -> Line {
        let (start, line, panning) = if y > self.line_compare {
            let below = (y - self.line_compare - 1) >> self.doubling;
            (self.split_start, below, self.panning.1)
        } else {
            (
                self.start,
                (y >> self.doubling) + self.preset,
                self.panning.0,
            )
        };
        let (row, scan) = (line / self.row_height, line % self.row_height);
        let mut address = start.wrapping_add(row.wrapping_mul(self.pitch));
        for (bank, bit) in [(self.banks.0, scan & 1), (self.banks.1, scan >> 1 & 1)] {
            address = if bit != 0 {
                address | bank
            } else {
                address & !bank
            };
        }
        Line {
            address: address & (self.modulus - 1),
            scan,
            panning,
        }
    }

    /// Lines in a row of characters as they are shown.
    pub(crate) fn shown_row_height(&self) -> u32 {
        self.row_height << self.doubling
    }

    /// 1 where every line is shown twice, else 0.
    pub(crate) fn doubling(&self) -> u32 {
        self.doubling
    }

    /// The line below the split, if one is on the screen.
    pub(crate) fn split(&self) -> Option<u32> {
        self.line_compare.checked_add(1).filter(|y| *y < self.lines)
    }

    /// Where in video memory counter value `address` lies.
    pub(crate) fn byte(&self, address: u32) -> usize {
        (address & (self.modulus - 1)) as usize * 4
    }

    /// The size of the part of video memory that the counter reaches.
    pub(crate) fn reach(&self) -> usize {
        self.modulus as usize * 4
    }
}
