//! Pixels one after another: the display interface's modes of 8 to 32 bits.

use super::super::dispi::Depth;
use super::picture::Linear;
use super::{Fetch, Target};

/// 5:6:5 bits as 8:8:8, the highest bits repeated below.
fn pixel_565(value: u16) -> u32 {
    let value = u32::from(value);
    let high = (value & 0xf800) << 8 | (value & 0x07e0) << 5 | (value & 0x001f) << 3;
    high | (high >> 5 & 0x0007_0007) | (high >> 6 & 0x0000_0300)
}

/// 5:5:5 bits as 8:8:8, the highest bits repeated below.
fn pixel_555(value: u16) -> u32 {
    let value = u32::from(value);
    let high = (value & 0x7c00) << 9 | (value & 0x03e0) << 6 | (value & 0x001f) << 3;
    high | (high >> 5 & 0x0007_0707)
}

/// Four pixels of three bytes, blue first.
fn four_pixels(bytes: &[[u8; 4]; 3]) -> [u32; 4] {
    let [first, second, third] = bytes.map(u32::from_le_bytes);
    [
        first & 0x00ff_ffff,
        (first >> 24 | second << 8) & 0x00ff_ffff,
        (second >> 16 | third << 16) & 0x00ff_ffff,
        third >> 8,
    ]
}

impl Linear {
    fn convert(&self, bytes: &[u8], row: &mut Vec<u32>) {
        row.clear();
        let words = bytes.as_chunks::<2>().0.iter();
        let dwords = bytes.as_chunks::<4>().0.iter();
        match (self.depth, self.big_endian) {
            (Depth::Planes | Depth::Bits8, _) => {
                row.extend(bytes.iter().map(|byte| self.colours[usize::from(*byte)]));
            }
            (Depth::Bits15, false) => {
                row.extend(words.map(|word| pixel_555(u16::from_le_bytes(*word))))
            }
            (Depth::Bits15, true) => {
                row.extend(words.map(|word| pixel_555(u16::from_be_bytes(*word))))
            }
            (Depth::Bits16, false) => {
                row.extend(words.map(|word| pixel_565(u16::from_le_bytes(*word))))
            }
            (Depth::Bits16, true) => {
                row.extend(words.map(|word| pixel_565(u16::from_be_bytes(*word))))
            }
            // Widths are multiples of eight pixels.
            (Depth::Bits24, big_endian) => {
                row.resize(bytes.len() / 3, 0);
                let groups = bytes.as_chunks::<4>().0.as_chunks::<3>().0;
                for (pixels, group) in row.as_chunks_mut::<4>().0.iter_mut().zip(groups) {
                    *pixels = four_pixels(group);
                }
                if big_endian {
                    for pixel in row {
                        *pixel = pixel.swap_bytes() >> 8;
                    }
                }
            }
            (Depth::Bits32, false) => {
                row.extend(dwords.map(|dword| u32::from_le_bytes(*dword) & 0x00ff_ffff));
            }
            (Depth::Bits32, true) => {
                row.extend(dwords.map(|dword| u32::from_be_bytes(*dword) & 0x00ff_ffff));
            }
        }
    }

    /// Draws the lines whose memory was written, or all.
    pub(super) fn draw(&self, fetch: &mut Fetch<'_>, target: &mut Target<'_>) {
        let length = self.depth.bytes(self.width) as usize;
        let reach = fetch.memory.size();
        for y in 0..self.height {
            let at = self.start.wrapping_add(y.wrapping_mul(self.pitch)) as usize;
            if target.everything || fetch.touched(at, length, reach) {
                self.convert(fetch.bytes(at, length, reach), target.row);
                target.draw(0, y);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_depth_becomes_true_colour() {
        let mut colours = [0; 256];
        colours[7] = 0x0012_3456;
        for (depth, big_endian, bytes, expected) in [
            (Depth::Bits8, false, vec![7, 0], vec![0x0012_3456, 0]),
            (
                Depth::Bits15,
                false,
                vec![0x1f, 0x7c, 0xe0, 0x83],
                vec![0x00ff_00ff, 0x0000_ff00],
            ),
            (Depth::Bits15, true, vec![0x7c, 0x1f], vec![0x00ff_00ff]),
            (
                Depth::Bits16,
                false,
                vec![0x1f, 0xf8, 0xe0, 0x07],
                vec![0x00ff_00ff, 0x0000_ff00],
            ),
            (Depth::Bits16, true, vec![0x07, 0xe0], vec![0x0000_ff00]),
            (
                Depth::Bits24,
                false,
                vec![0x33, 0x22, 0x11, 1, 0, 0, 0, 1, 0, 0xff, 0xff, 0xff],
                vec![0x0011_2233, 1, 0x100, 0x00ff_ffff],
            ),
            (
                Depth::Bits24,
                true,
                vec![0x11, 0x22, 0x33, 0, 0, 1, 0, 1, 0, 1, 0, 0],
                vec![0x0011_2233, 1, 0x100, 0x0001_0000],
            ),
            (
                Depth::Bits32,
                false,
                vec![0x33, 0x22, 0x11, 0xff],
                vec![0x0011_2233],
            ),
            (
                Depth::Bits32,
                true,
                vec![0xff, 0x11, 0x22, 0x33],
                vec![0x0011_2233],
            ),
        ] {
            let linear = Linear {
                width: 8,
                height: 1,
                start: 0,
                pitch: 32,
                depth,
                big_endian,
                colours,
            };
            let mut row = vec![9];
            linear.convert(&bytes, &mut row);
            assert_eq!(row, expected, "{depth:?} {big_endian}");
        }
    }
}
