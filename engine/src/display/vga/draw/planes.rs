//! Dots of the four planes: 16, 4, 2 and 256 colours.

use super::super::graphics::Shift;
use super::picture::Planes;
use super::{Fetch, Target};

/// For each byte of a plane, its bits as eight bytes of 0 or 1, the leftmost dot in the lowest byte.
const SPREAD: [u64; 256] = {
    let mut table = [0; 256];
    let mut value = 0;
    while value < 256 {
        let mut dot = 0;
        while dot < 8 {
            if value >> (7 - dot) & 1 != 0 {
                table[value] |= 1 << (8 * dot);
            }
            dot += 1;
        }
        value += 1;
    }
    table
};

fn spread(byte: u8) -> u64 {
    SPREAD[usize::from(byte)]
}

impl Planes {
    /// The colour numbers of the dots that the planes' `bytes` make.
    fn dots_of(&self, bytes: [u8; 4]) -> [u8; 8] {
        let [first, second, third, fourth] = bytes;
        match self.shift {
            Shift::Planes => {
                let dots =
                    spread(first) | spread(second) << 1 | spread(third) << 2 | spread(fourth) << 3;
                dots.to_le_bytes()
            }
            // Planes 0 and 2 make the first four dots, planes 1 and 3 the others.
            Shift::Pairs => std::array::from_fn(|dot| {
                let (low, high) = if dot < 4 {
                    (first, third)
                } else {
                    (second, fourth)
                };
                let shift = 6 - 2 * (dot & 3);
                (low >> shift & 3) | (high >> shift & 3) << 2
            }),
            Shift::Bytes => [first, second, third, fourth, 0, 0, 0, 0],
        }
    }

    fn convert(&self, bytes: &[u8], row: &mut Vec<u32>) {
        let (dots, scale) = (self.dots() as usize, self.scale as usize);
        let groups = bytes.as_chunks::<4>().0;
        row.resize(groups.len() * dots * scale, 0);
        for (group, pixels) in groups.iter().zip(row.chunks_exact_mut(dots * scale)) {
            let colours = self
                .dots_of(*group)
                .map(|dot| self.colours[usize::from(dot)]);
            match scale {
                1 => pixels.copy_from_slice(&colours[..dots]),
                _ => {
                    for (colour, pixels) in colours.iter().zip(pixels.chunks_exact_mut(scale)) {
                        pixels.fill(*colour);
                    }
                }
            }
        }
    }

    /// Draws the lines whose memory was written, or all.
    pub(super) fn draw(&self, fetch: &mut Fetch<'_>, target: &mut Target<'_>) {
        let layout = &self.layout;
        // One group more than fits, for panning.
        let length = (layout.columns as usize + 1) * 4;
        let width = (layout.columns * self.dots() * self.scale) as usize;
        // Lines that are shown more than once are converted once.
        let mut drawn = None;
        for y in 0..layout.lines {
            let line = layout.line(y);
            let (at, reach) = (layout.byte(line.address), layout.reach());
            if !target.everything && !fetch.touched(at, length, reach) {
                continue;
            }
            if drawn != Some((line.address, line.panning)) {
                self.convert(fetch.bytes(at, length, reach), target.row);
                let panned = (self.panned(line.panning) * self.scale) as usize;
                target.row.drain(..panned.min(target.row.len()));
                target.row.truncate(width);
                drawn = Some((line.address, line.panning));
            }
            target.draw(0, y);
        }
    }
}
