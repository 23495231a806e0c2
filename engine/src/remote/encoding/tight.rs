//! Tight: each rectangle as one colour, as a palette with indices, or with all its colours, the latter two in zlib streams of their
//! own. JPEG and the gradient filter are not used: a machine's screen is to be seen as it is.

use std::io;

use super::{Manner, number, send_head, zlib};
use crate::{
    display::Rectangle,
    remote::{picture::Picture, pixel::Packing, stream::Output},
};

/// The widest rectangle that clients have to take, in pixels.
const WIDEST: u32 = 2048;
/// Where rectangles may be cut to find areas of one colour, in pixels.
const TILE: u32 = 64;
/// Data of fewer bytes is not compressed.
const SMALLEST_COMPRESSED: usize = 12;
/// The most colours of a palette.
const LARGEST_PALETTE: usize = 256;
/// Slots of the table in which colours are looked up; a power of two well above the palette.
const SLOTS: usize = 1024;

/// The compression control byte of a rectangle of one colour.
const FILL: u8 = 0x80;
/// Says that a byte names the filter.
const EXPLICIT_FILTER: u8 = 0x40;
/// The palette filter.
const PALETTE_FILTER: u8 = 1;

/// The encoder of one client.
#[derive(Default)]
pub struct Tight {
    /// For all colours, for two, and for palettes.
    streams: [zlib::Stream; 3],
    pixels: Vec<u32>,
    plain: Vec<u8>,
    compressed: Vec<u8>,
}

/// The colour of `part`, if it has only one.
fn only_colour(picture: &Picture, part: Rectangle) -> Option<u32> {
    let colour = *picture.row(part.x, part.y, 1).first()?;
    (part.y..part.y + part.height)
        .all(|y| {
            picture
                .row(part.x, y, part.width)
                .iter()
                .all(|pixel| *pixel == colour)
        })
        .then_some(colour)
}

/// Cuts `part` to what clients take; and, when they take any number of rectangles, so that areas of one colour are by themselves.
pub fn split(picture: &Picture, part: Rectangle, uncounted: bool) -> Vec<Rectangle> {
    let step = if uncounted { TILE } else { WIDEST };
    let mut found: Vec<(Rectangle, Option<u32>)> = Vec::new();
    for x in (part.x..part.x + part.width).step_by(step as usize) {
        let width = step.min(part.x + part.width - x);
        let tile = Rectangle::new(x, part.y, width, part.height);
        let colour = if uncounted {
            only_colour(picture, tile)
        } else {
            None
        };
        match found.last_mut() {
            Some((last, other)) if *other == colour && last.width + width <= WIDEST => {
                last.width += width;
            }
            _ => found.push((tile, colour)),
        }
    }
    found.into_iter().map(|(part, _)| part).collect()
}

/// Colours and the place of each, found by hashing.
struct Palette {
    colours: Vec<u32>,
    /// One more than the place in `colours`; 0 where empty.
    slots: [u16; SLOTS],
}

impl Palette {
    /// The palette of `pixels`; `None` when they have too many colours to be worth it.
    fn of(pixels: &[u32]) -> Option<Self> {
        let limit = LARGEST_PALETTE.min(pixels.len() / 4);
        let mut palette = Self {
            colours: Vec::new(),
            slots: [0; SLOTS],
        };
        let mut last = None;
        for pixel in pixels {
            if last != Some(*pixel) {
                last = Some(*pixel);
                palette.add(*pixel);
                if palette.colours.len() > limit {
                    return None;
                }
            }
        }
        Some(palette)
    }

    fn slot(&self, colour: u32) -> usize {
        let mut slot = (colour.wrapping_mul(0x9e37_79b9) >> 22) as usize;
        // Ends: there are more slots than colours.
        while let Some(place @ 1..) = self.slots.get(slot)
            && self.colours.get(usize::from(*place) - 1) != Some(&colour)
        {
            slot = (slot + 1) % SLOTS;
        }
        slot
    }

    fn add(&mut self, colour: u32) {
        let slot = self.slot(colour);
        if let Some(place @ 0) = self.slots.get_mut(slot) {
            self.colours.push(colour);
            *place = u16::try_from(self.colours.len()).unwrap_or(0);
        }
    }

    fn index(&self, colour: u32) -> u8 {
        let place = self.slots.get(self.slot(colour)).copied().unwrap_or(0);
        u8::try_from(place.saturating_sub(1)).unwrap_or(0)
    }
}

impl Tight {
    /// Sends `part`, which [`split`] gave.
    pub fn send(
        &mut self,
        out: &mut Output,
        manner: Manner,
        picture: &Picture,
        part: Rectangle,
    ) -> io::Result<()> {
        let converter = manner.converter;
        let packing: Packing = converter.tight();
        send_head(out, part, number::TIGHT)?;
        if let Some(colour) = only_colour(picture, part) {
            out.bytes(&[FILL])?;
            return out.fill(|buffer| converter.put(packing, &[colour], buffer));
        }
        self.pixels.clear();
        for y in part.y..part.y + part.height {
            self.pixels
                .extend_from_slice(picture.row(part.x, y, part.width));
        }
        self.plain.clear();
        let stream = match Palette::of(&self.pixels) {
            None => {
                out.bytes(&[0])?;
                converter.put(packing, &self.pixels, &mut self.plain);
                0
            }
            Some(palette) => {
                let stream = if palette.colours.len() == 2 { 1 } else { 2 };
                let last = u8::try_from(palette.colours.len() - 1).unwrap_or(u8::MAX);
                out.bytes(&[EXPLICIT_FILTER | stream << 4, PALETTE_FILTER, last])?;
                out.fill(|buffer| converter.put(packing, &palette.colours, buffer))?;
                if let [_, second] = palette.colours.as_slice() {
                    for row in self.pixels.chunks(part.width as usize) {
                        self.plain.extend(row.chunks(8).map(|group| {
                            group.iter().enumerate().fold(0, |byte, (bit, pixel)| {
                                byte | u8::from(pixel == second) << (7 - bit)
                            })
                        }));
                    }
                } else {
                    let indices = self.pixels.iter().map(|pixel| palette.index(*pixel));
                    self.plain.extend(indices);
                }
                stream
            }
        };
        if self.plain.len() < SMALLEST_COMPRESSED {
            return out.bytes(&self.plain);
        }
        self.compressed.clear();
        if let Some(stream) = self.streams.get_mut(usize::from(stream)) {
            stream.compress(&self.plain, manner.level, &mut self.compressed);
        }
        send_length(out, self.compressed.len())?;
        out.bytes(&self.compressed)
    }
}

/// A length in one to three bytes of seven bits (the third of eight), the lowest first.
fn send_length(out: &mut Output, length: usize) -> io::Result<()> {
    let [low, middle, high, ..] = length.to_le_bytes();
    let bits = |number: u8| number & 0x7f;
    let second = middle << 1 | low >> 7;
    let third = high << 2 | middle >> 6;
    match length {
        0..0x80 => out.bytes(&[low]),
        0x80..0x4000 => out.bytes(&[low | 0x80, bits(second)]),
        0x4000..0x40_0000 => out.bytes(&[low | 0x80, second | 0x80, third]),
        _ => Err(io::Error::other("a rectangle of Tight is too large")),
    }
}
