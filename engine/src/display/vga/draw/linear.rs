//! Pixels one after another: the display interface's modes of 8 to 32 bits.

use super::super::dispi::Depth;
use super::picture::Linear;
use super::{Fetch, Target};

/// Five bits as eight.
fn five(value: u16) -> u32 {
    let value = u32::from(value & 0x1f);
    value << 3 | value >> 2
}

/// Six bits as eight.
fn six(value: u16) -> u32 {
    let value = u32::from(value & 0x3f);
    value << 2 | value >> 4
}

fn pixel_555(value: u16) -> u32 {
    five(value >> 10) << 16 | five(value >> 5) << 8 | five(value)
}

fn pixel_565(value: u16) -> u32 {
    five(value >> 11) << 16 | six(value >> 5) << 8 | five(value)
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
            (Depth::Bits24, big_endian) => {
                row.extend(
                    bytes
                        .as_chunks::<3>()
                        .0
                        .iter()
                        .map(|[first, second, third]| {
                            if big_endian {
                                u32::from_be_bytes([0, *first, *second, *third])
                            } else {
                                u32::from_le_bytes([*first, *second, *third, 0])
                            }
                        }),
                );
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
                vec![0x33, 0x22, 0x11, 1, 0, 0],
                vec![0x0011_2233, 1],
            ),
            (
                Depth::Bits24,
                true,
                vec![0x11, 0x22, 0x33],
                vec![0x0011_2233],
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
