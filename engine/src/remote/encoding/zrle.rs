//! ZRLE (RFC 6143, section 7.7.6): tiles of 64 by 64 pixels as one colour, packed palette, run lengths or plain, in one zlib stream.

use std::io;

use super::{Manner, number, send_head, zlib};
use crate::{
    display::Rectangle,
    remote::{
        picture::Picture,
        pixel::{Converter, Packing},
        stream::Output,
    },
};

/// The edge of a tile in pixels.
const TILE: u32 = 64;
/// The largest palette.
const LARGEST_PALETTE: usize = 127;
/// The largest palette whose indices are packed.
const LARGEST_PACKED: usize = 16;

/// The encoder of one client.
#[derive(Default)]
pub struct Zrle {
    stream: zlib::Stream,
    plain: Vec<u8>,
    compressed: Vec<u8>,
    tile: Vec<u32>,
}

impl Zrle {
    /// Sends `part`.
    pub fn send(
        &mut self,
        out: &mut Output,
        manner: Manner,
        picture: &Picture,
        part: Rectangle,
    ) -> io::Result<()> {
        self.plain.clear();
        let (right, bottom) = (part.x + part.width, part.y + part.height);
        for y in (part.y..bottom).step_by(TILE as usize) {
            for x in (part.x..right).step_by(TILE as usize) {
                let width = TILE.min(right - x);
                self.tile.clear();
                for row in y..bottom.min(y + TILE) {
                    self.tile.extend_from_slice(picture.row(x, row, width));
                }
                put_tile(
                    &self.tile,
                    width as usize,
                    manner.converter,
                    &mut self.plain,
                );
            }
        }
        self.compressed.clear();
        self.stream
            .compress(&self.plain, manner.level, &mut self.compressed);
        send_head(out, part, number::ZRLE)?;
        out.long(u32::try_from(self.compressed.len()).map_err(io::Error::other)?)?;
        out.bytes(&self.compressed)
    }
}

/// The colours of a tile in the order they come in, if not too many, and how many runs of one colour it has.
fn survey(tile: &[u32]) -> (Option<Vec<u32>>, usize, usize) {
    let mut palette: Vec<u32> = Vec::new();
    let mut few = true;
    let (mut runs, mut long) = (0, 0);
    for run in tile.chunk_by(|left, right| left == right) {
        runs += 1;
        // Bytes that this run takes beyond one for its length.
        long += (run.len() - 1) / 255;
        if let Some(colour) = run.first()
            && few
            && !palette.contains(colour)
        {
            few = palette.len() < LARGEST_PALETTE;
            palette.push(*colour);
        }
    }
    (few.then_some(palette), runs, long)
}

fn put_length(length: usize, out: &mut Vec<u8>) {
    let mut rest = length.saturating_sub(1);
    while rest >= 255 {
        out.push(255);
        rest -= 255;
    }
    out.push(u8::try_from(rest).unwrap_or(u8::MAX));
}

/// Bits of an index into a packed palette.
fn index_bits(colours: usize) -> usize {
    match colours {
        0..=2 => 1,
        3..=4 => 2,
        _ => 4,
    }
}

fn put_tile(tile: &[u32], width: usize, converter: &Converter, out: &mut Vec<u8>) {
    let packing: Packing = converter.compressed();
    let size = converter.size(packing);
    let (palette, runs, long) = survey(tile);
    let rows = tile.len() / width.max(1);
    let raw = tile.len() * size;
    let run_lengths = runs * (size + 1) + long;
    let Some(palette) = palette else {
        if run_lengths < raw {
            out.push(128);
            put_runs(tile, converter, packing, out);
        } else {
            out.push(0);
            converter.put(packing, tile, out);
        }
        return;
    };
    let colours = palette.len();
    let number = u8::try_from(colours).unwrap_or(0);
    if colours <= 1 {
        out.push(1);
        converter.put(packing, &palette, out);
        return;
    }
    let index = |colour: &u32| {
        let at = palette.iter().position(|known| known == colour);
        u8::try_from(at.unwrap_or(0)).unwrap_or(0)
    };
    let packed = if colours <= LARGEST_PACKED {
        colours * size + rows * (width * index_bits(colours)).div_ceil(8)
    } else {
        usize::MAX
    };
    // At most two bytes for a run, one for a pixel alone.
    let palette_runs = colours * size + 2 * runs + long;
    let best = raw.min(run_lengths).min(packed).min(palette_runs);
    if best == packed {
        out.push(number);
        converter.put(packing, &palette, out);
        let bits = index_bits(colours);
        for row in tile.chunks(width.max(1)) {
            for group in row.chunks(8 / bits) {
                out.push(group.iter().enumerate().fold(0, |byte, (place, colour)| {
                    byte | index(colour) << (8 - bits * (place + 1))
                }));
            }
        }
    } else if best == palette_runs {
        out.push(128 + number);
        converter.put(packing, &palette, out);
        for run in tile.chunk_by(|left, right| left == right) {
            let Some(colour) = run.first() else { continue };
            if run.len() == 1 {
                out.push(index(colour));
            } else {
                out.push(128 | index(colour));
                put_length(run.len(), out);
            }
        }
    } else if best == run_lengths {
        out.push(128);
        put_runs(tile, converter, packing, out);
    } else {
        out.push(0);
        converter.put(packing, tile, out);
    }
}

fn put_runs(tile: &[u32], converter: &Converter, packing: Packing, out: &mut Vec<u8>) {
    for run in tile.chunk_by(|left, right| left == right) {
        converter.put(packing, run.get(..1).unwrap_or(&[]), out);
        put_length(run.len(), out);
    }
}
