//! Characters: cells of a character and an attribute in planes 0 and 1, their shapes in plane 2.

use super::super::codepage;
use super::super::crtc::TextCursor;
use super::picture::Text;
use super::{Fetch, Target};
use crate::memory::MemoryRegion;

/// The bytes of plane 2 that one character generator takes: 256 characters of 32 lines.
const FONT: usize = 256 * 32;

/// Which of the things that blink are shown at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Phase {
    /// The cursor.
    pub(super) cursor: bool,
    /// Blinking characters.
    pub(super) characters: bool,
}

/// A cell as it was drawn: the character, its attribute, and whether the cursor covers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Cell {
    character: u8,
    attribute: u8,
    cursor: bool,
}

/// Lines of the screen that show one row of characters or the visible part of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Row {
    /// The first line on the screen.
    y: u32,
    /// How many lines.
    lines: u32,
    panned: u32,
    cells: Vec<Cell>,
}

/// What is on the screen already.
#[derive(Debug, Default)]
pub(super) struct Drawn {
    rows: Vec<Row>,
    fonts: (Vec<u8>, Vec<u8>),
    phase: Option<Phase>,
    cursor: Option<TextCursor>,
    blinking: bool,
}

impl Drawn {
    /// Nothing is.
    pub(super) fn forget(&mut self) {
        self.rows.clear();
    }

    /// Whether what blinks was drawn as `phase` says.
    pub(super) fn is_at(&self, phase: Phase) -> bool {
        self.phase == Some(phase)
    }

    /// Whether something on the screen blinks.
    pub(super) fn blinks(&self) -> bool {
        self.blinking || self.cursor.is_some()
    }
}

/// Reads one character generator; tells whether it differs from what `font` held.
fn read_font(memory: &MemoryRegion, offset: usize, font: &mut Vec<u8>) -> bool {
    let mut bytes = vec![0; FONT * 4];
    memory.read(offset * 4, &mut bytes);
    let plane = bytes.as_chunks::<4>().0.iter().map(|planes| planes[2]);
    if font.len() == FONT && plane.clone().eq(font.iter().copied()) {
        return false;
    }
    font.clear();
    font.extend(plane);
    true
}

impl Text {
    /// How many dots are off the left edge, for a value of the panning register.
    fn panned(&self, register: u8) -> u32 {
        let value = u32::from(register);
        match (self.dots, value) {
            (9, 8..) => 0,
            (9, _) => value + 1,
            _ => value & 7,
        }
    }

    /// Whether characters of attribute bit 3 come from another generator than the rest.
    fn two_fonts(&self) -> bool {
        self.fonts.0 != self.fonts.1
    }

    /// Reads the rows of characters that are on the screen.
    fn rows(&self, fetch: &mut Fetch<'_>, cursor: Option<TextCursor>) -> Vec<Row> {
        let layout = &self.layout;
        let height = layout.shown_row_height();
        let split = layout.split();
        let mut rows = Vec::new();
        let mut y = 0;
        while y < layout.lines {
            let line = layout.line(y);
            let rest = height - (line.scan << layout.doubling());
            let end = (y + rest)
                .min(layout.lines)
                .min(split.filter(|split| *split > y).unwrap_or(u32::MAX));
            let panned = self.panned(line.panning);
            // One more than fits where a part of the first is off the edge.
            let columns = layout.columns + u32::from(panned > 0);
            let bytes = fetch.bytes(
                layout.byte(line.address),
                columns as usize * 4,
                layout.reach(),
            );
            let cells = (line.address..).zip(bytes.as_chunks::<4>().0);
            rows.push(Row {
                y,
                lines: end - y,
                panned,
                cells: cells
                    .map(|(address, [character, attribute, ..])| Cell {
                        character: *character,
                        attribute: *attribute,
                        cursor: cursor
                            .is_some_and(|cursor| u32::from(cursor.address) == address & 0xffff),
                    })
                    .collect(),
            });
            y = end;
        }
        rows
    }

    /// Draws one line of `cells` into `row`: `scan` is the line within the characters.
    fn draw_line(
        &self,
        cells: &[Cell],
        scan: u32,
        fonts: (&[u8], &[u8]),
        cursor: Option<TextCursor>,
        phase: Phase,
        row: &mut Vec<u32>,
    ) {
        let scale = self.scale as usize;
        let line = scan as usize & 31;
        let at_cursor = cursor.is_some_and(|cursor| {
            (u32::from(cursor.first)..=u32::from(cursor.last)).contains(&scan)
        });
        for cell in cells {
            let attribute = cell.attribute;
            let hidden = self.blinks && attribute & 0x80 != 0 && !phase.characters;
            let background = if self.blinks {
                attribute >> 4 & 7
            } else {
                attribute >> 4
            };
            let font = if attribute & 0x08 != 0 {
                fonts.0
            } else {
                fonts.1
            };
            let mut bits = font
                .get(usize::from(cell.character) * 32 + line)
                .copied()
                .unwrap_or(0);
            let mut ninth =
                self.line_graphics && (0xc0..=0xdf).contains(&cell.character) && bits & 1 != 0;
            if hidden {
                (bits, ninth) = (0, false);
            } else if self.underline == Some(scan) && attribute & 0x77 == 0x01 {
                (bits, ninth) = (0xff, true);
            }
            if cell.cursor && at_cursor && phase.cursor {
                (bits, ninth) = (0xff, true);
            }
            let colours = [
                self.colours[usize::from(background)],
                self.colours[usize::from(attribute & 0x0f)],
            ];
            let dots: [u32; 8] =
                std::array::from_fn(|dot| colours[usize::from(bits >> (7 - dot) & 1)]);
            if scale == 1 {
                row.extend_from_slice(&dots);
            } else {
                for colour in dots {
                    row.extend(std::iter::repeat_n(colour, scale));
                }
            }
            if self.dots == 9 {
                row.extend(std::iter::repeat_n(colours[usize::from(ninth)], scale));
            }
        }
    }

    fn draw_row(
        &self,
        row: &Row,
        before: Option<&Row>,
        drawn: (&[u8], &[u8]),
        changes: &Changes,
        target: &mut Target<'_>,
    ) {
        let same_place = before.filter(|before| {
            (before.y, before.lines, before.panned, before.cells.len())
                == (row.y, row.lines, row.panned, row.cells.len())
        });
        let stale = |at: usize, cell: &Cell| {
            let Some(before) = same_place.and_then(|before| before.cells.get(at)) else {
                return true;
            };
            before != cell
                || (cell.cursor && changes.cursor)
                || (self.blinks && cell.attribute & 0x80 != 0 && changes.characters)
        };
        let mut changed = row
            .cells
            .iter()
            .enumerate()
            .filter(|(at, cell)| stale(*at, cell));
        let Some((first, _)) = changed.next() else {
            return;
        };
        let last = changed.next_back().map_or(first, |(last, _)| last);
        // With a part of the first character off the edge all of the row is drawn.
        let (first, last) = if row.panned > 0 {
            (0, row.cells.len() - 1)
        } else {
            (first, last)
        };
        let cells = row.cells.get(first..=last).unwrap_or(&[]);
        let x = u32::try_from(first)
            .unwrap_or(u32::MAX)
            .saturating_mul(self.dots * self.scale);
        let width = (self.layout.columns * self.dots * self.scale) as usize;
        let mut line_drawn = None;
        for y in row.y..row.y + row.lines {
            let scan = self.layout.line(y).scan;
            if line_drawn != Some(scan) {
                target.row.clear();
                self.draw_line(cells, scan, drawn, changes.shape, changes.phase, target.row);
                let panned = (row.panned * self.scale) as usize;
                target.row.drain(..panned.min(target.row.len()));
                target.row.truncate(width);
                line_drawn = Some(scan);
            }
            target.draw(x, y);
        }
    }

    /// Draws the characters that changed, or all.
    pub(super) fn draw(
        &self,
        drawn: &mut Drawn,
        cursor: Option<TextCursor>,
        phase: Phase,
        fetch: &mut Fetch<'_>,
        target: &mut Target<'_>,
    ) {
        let size = FONT * 4;
        let font_changed = |offset: usize, font: &mut Vec<u8>, fetch: &Fetch<'_>| {
            let stale = target.everything
                || font.is_empty()
                || fetch.touched(offset * 4, size, fetch.memory.size());
            stale && read_font(fetch.memory, offset, font)
        };
        let first = font_changed(self.fonts.0, &mut drawn.fonts.0, fetch);
        let second = if self.two_fonts() {
            font_changed(self.fonts.1, &mut drawn.fonts.1, fetch)
        } else {
            false
        };
        if first || second || target.everything {
            drawn.forget();
        }
        let before = drawn.phase.replace(phase);
        let shape_changed = std::mem::replace(&mut drawn.cursor, cursor) != cursor;
        let changes = Changes {
            cursor: shape_changed || before.is_none_or(|before| before.cursor != phase.cursor),
            characters: before.is_none_or(|before| before.characters != phase.characters),
            shape: cursor,
            phase,
        };
        let fonts = if self.two_fonts() {
            (drawn.fonts.0.as_slice(), drawn.fonts.1.as_slice())
        } else {
            (drawn.fonts.0.as_slice(), drawn.fonts.0.as_slice())
        };
        let rows = self.rows(fetch, cursor);
        for (number, row) in rows.iter().enumerate() {
            self.draw_row(row, drawn.rows.get(number), fonts, &changes, target);
        }
        drawn.blinking = self.blinks
            && rows
                .iter()
                .any(|row| row.cells.iter().any(|cell| cell.attribute & 0x80 != 0));
        drawn.rows = rows;
    }

    /// The characters on the screen, row by row without trailing blanks.
    pub(super) fn characters(&self, fetch: &mut Fetch<'_>) -> Vec<String> {
        self.rows(fetch, None)
            .iter()
            .map(|row| {
                let columns = self.layout.columns as usize;
                let text: String = row
                    .cells
                    .iter()
                    .take(columns)
                    .map(|cell| codepage::character(cell.character))
                    .collect();
                text.trim_end().to_owned()
            })
            .collect()
    }
}

/// What may differ from the screen besides the cells themselves.
struct Changes {
    /// The cursor's shape, or whether it is shown.
    cursor: bool,
    /// Whether blinking characters are shown.
    characters: bool,
    /// The cursor now.
    shape: Option<TextCursor>,
    phase: Phase,
}
