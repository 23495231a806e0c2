//! What the driver and the device say to each other on the queues. Sections 5.7.6.7 to 5.7.6.10.

use crate::display::Rectangle;

/// Bytes of the header of every request and answer.
pub(super) const HEADER: u32 = 24;
/// In the header's flags: the answer is to repeat the fence.
const FENCE: u32 = 1;

/// The most scanouts that an answer has room for.
const SCANOUTS: usize = 16;
/// The room for the display's identification in an answer.
const IDENTIFICATION: usize = 1024;

/// The kinds of request that are understood.
pub(super) mod request {
    pub const DISPLAY_INFORMATION: u32 = 0x100;
    pub const CREATE: u32 = 0x101;
    pub const UNREFERENCE: u32 = 0x102;
    pub const SET_SCANOUT: u32 = 0x103;
    pub const FLUSH: u32 = 0x104;
    pub const TRANSFER: u32 = 0x105;
    pub const ATTACH_BACKING: u32 = 0x106;
    pub const DETACH_BACKING: u32 = 0x107;
    pub const IDENTIFICATION: u32 = 0x10a;
    pub const UPDATE_CURSOR: u32 = 0x300;
    pub const MOVE_CURSOR: u32 = 0x301;
}

const OK: u32 = 0x1100;
const OK_DISPLAY_INFORMATION: u32 = 0x1101;
const OK_IDENTIFICATION: u32 = 0x1104;

/// Why a request was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Unspecified = 0x1200,
    OutOfMemory = 0x1201,
    Scanout = 0x1202,
    Resource = 0x1203,
    Parameter = 0x1205,
}

/// The header of a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub kind: u32,
    flags: u32,
    fence: u64,
    context: u32,
    ring: [u8; 4],
}

impl Header {
    /// Takes it off the front of a request.
    pub fn take(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self {
            kind: fields.long()?,
            flags: fields.long()?,
            fence: fields.long_long()?,
            context: fields.long()?,
            ring: fields.array()?,
        })
    }

    /// The header of the answer.
    fn answered(self, kind: u32) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER as usize);
        let fenced = self.flags & FENCE != 0;
        bytes.extend(kind.to_le_bytes());
        bytes.extend((self.flags & FENCE).to_le_bytes());
        bytes.extend(if fenced { self.fence } else { 0 }.to_le_bytes());
        bytes.extend(self.context.to_le_bytes());
        bytes.extend(self.ring);
        bytes
    }
}

/// What a request comes to.
pub(super) enum Answer {
    Done,
    /// The one scanout's preferred size in pixels.
    DisplayInformation(u32, u32),
    /// The display's identification.
    Identification([u8; 128]),
}

/// The bytes of an answer to the request with this header.
pub(super) fn answer(header: Header, outcome: Result<Answer, Refusal>) -> Vec<u8> {
    match outcome {
        Ok(Answer::Done) => header.answered(OK),
        Ok(Answer::DisplayInformation(width, height)) => {
            let mut bytes = header.answered(OK_DISPLAY_INFORMATION);
            // At the top left; enabled; no flags.
            for number in [0, 0, width, height, 1, 0] {
                bytes.extend(number.to_le_bytes());
            }
            bytes.resize(HEADER as usize + 24 * SCANOUTS, 0);
            bytes
        }
        Ok(Answer::Identification(block)) => {
            let mut bytes = header.answered(OK_IDENTIFICATION);
            bytes.extend(u32::try_from(block.len()).unwrap_or(0).to_le_bytes());
            bytes.extend([0; 4]);
            bytes.extend(block);
            bytes.resize(HEADER as usize + 8 + IDENTIFICATION, 0);
            bytes
        }
        Err(refusal) => header.answered(refusal as u32),
    }
}

/// How the bytes of a pixel are laid out in the guest's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Format {
    /// At which byte red, green, blue and alpha are.
    bytes: [usize; 4],
    has_alpha: bool,
}

impl Format {
    /// The format with this number.
    pub fn of(number: u32) -> Option<Self> {
        let (bytes, has_alpha) = match number {
            1 => ([2, 1, 0, 3], true),
            2 => ([2, 1, 0, 3], false),
            3 => ([1, 2, 3, 0], true),
            4 => ([1, 2, 3, 0], false),
            67 => ([0, 1, 2, 3], true),
            68 => ([3, 2, 1, 0], false),
            121 => ([3, 2, 1, 0], true),
            134 => ([0, 1, 2, 3], false),
            _ => return None,
        };
        Some(Self { bytes, has_alpha })
    }

    /// A pixel as 0xAARRGGBB.
    pub fn pixel(self, bytes: [u8; 4]) -> u32 {
        let [red, green, blue, alpha] = self.bytes.map(|at| bytes.get(at).copied().unwrap_or(0));
        let alpha = if self.has_alpha { alpha } else { 0xff };
        u32::from_be_bytes([alpha, red, green, blue])
    }
}

/// The little-endian fields of a request, one after the other; nothing once it ends.
pub(super) struct Fields<'a>(pub &'a [u8]);

impl Fields<'_> {
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*first)
    }

    pub fn long(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn long_long(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub fn rectangle(&mut self) -> Option<Rectangle> {
        let [x, y, width, height] = [self.long()?, self.long()?, self.long()?, self.long()?];
        Some(Rectangle::new(x, y, width, height))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_of_every_format() {
        let expected = 0x1122_3344;
        for (number, bytes) in [
            (1, [0x44, 0x33, 0x22, 0x11]),
            (3, [0x11, 0x22, 0x33, 0x44]),
            (67, [0x22, 0x33, 0x44, 0x11]),
            (121, [0x11, 0x44, 0x33, 0x22]),
        ] {
            let format = Format::of(number).unwrap();
            assert_eq!(format.pixel(bytes), expected, "format {number}");
        }
        for (with, without) in [(1, 2), (3, 4), (67, 134), (121, 68)] {
            let bytes = [1, 2, 3, 4];
            let [with, without] = [with, without].map(|number| Format::of(number).unwrap());
            assert_eq!(
                with.pixel(bytes) | 0xff00_0000,
                without.pixel(bytes),
                "the same but for alpha"
            );
        }
        for number in [0, 5, 66, 69, 120, 133, u32::MAX] {
            assert_eq!(Format::of(number), None);
        }
    }
}
