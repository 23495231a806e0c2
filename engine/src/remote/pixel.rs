//! How a client wants a pixel (RFC 6143, section 7.4) and the change from 0x00RRGGBB to that.

/// A colour of a pixel format: its highest value and its lowest bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Channel {
    /// 2^n - 1.
    pub maximum: u16,
    /// In bits.
    pub shift: u8,
}

/// A true-colour pixel format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PixelFormat {
    /// 8, 16 or 32.
    pub bits: u8,
    /// How many of the bits mean something.
    pub depth: u8,
    /// The order of bytes.
    pub big_endian: bool,
    /// Red.
    pub red: Channel,
    /// Green.
    pub green: Channel,
    /// Blue.
    pub blue: Channel,
}

/// A pixel format that cannot be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Neither 8, 16 nor 32 bits per pixel.
    #[error("the client asked for pixels of {0} bits; 8, 16 and 32 are possible")]
    Bits(u8),
    /// A colour map.
    #[error("the client asked for a colour map; choose true colours in the client")]
    ColourMap,
    /// A colour without a value, or beyond the pixel's bits.
    #[error("the client asked for a colour that does not fit into its pixel")]
    Channel,
}

impl PixelFormat {
    /// What the picture is kept in: 0x00RRGGBB, little-endian.
    pub const NATIVE: Self = Self {
        bits: 32,
        depth: 24,
        big_endian: false,
        red: Channel {
            maximum: 255,
            shift: 16,
        },
        green: Channel {
            maximum: 255,
            shift: 8,
        },
        blue: Channel {
            maximum: 255,
            shift: 0,
        },
    };

    /// Reads the protocol's 16 bytes.
    pub fn parse(bytes: &[u8; 16]) -> Result<Self, FormatError> {
        let [
            bits,
            depth,
            big,
            true_colour,
            r1,
            r0,
            g1,
            g0,
            b1,
            b0,
            rs,
            gs,
            bs,
            ..,
        ] = *bytes;
        if !matches!(bits, 8 | 16 | 32) {
            return Err(FormatError::Bits(bits));
        }
        if true_colour == 0 {
            return Err(FormatError::ColourMap);
        }
        let channel = |high, low, shift| {
            let maximum = u16::from_be_bytes([high, low]);
            // A u16 shifted by less than 32 stays within a u64.
            let fits = shift < bits && u64::from(maximum) << shift < 1_u64 << bits;
            (maximum != 0 && fits)
                .then_some(Channel { maximum, shift })
                .ok_or(FormatError::Channel)
        };
        Ok(Self {
            bits,
            depth,
            big_endian: big != 0,
            red: channel(r1, r0, rs)?,
            green: channel(g1, g0, gs)?,
            blue: channel(b1, b0, bs)?,
        })
    }

    /// The protocol's 16 bytes.
    pub fn to_bytes(self) -> [u8; 16] {
        let [r1, r0] = self.red.maximum.to_be_bytes();
        let [g1, g0] = self.green.maximum.to_be_bytes();
        let [b1, b0] = self.blue.maximum.to_be_bytes();
        [
            self.bits,
            self.depth,
            u8::from(self.big_endian),
            1,
            r1,
            r0,
            g1,
            g0,
            b1,
            b0,
            self.red.shift,
            self.green.shift,
            self.blue.shift,
            0,
            0,
            0,
        ]
    }
}

/// How many of a pixel's bytes an encoding sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// All.
    Whole,
    /// The three bytes of the lower 24 bits.
    Low,
    /// The three bytes of the upper 24 bits.
    High,
    /// Red, green, blue.
    Colours,
}

/// Pixels on their way to one client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Converter {
    format: PixelFormat,
    red: Box<[u32; 256]>,
    green: Box<[u32; 256]>,
    blue: Box<[u32; 256]>,
}

impl Converter {
    /// For clients that asked for `format`.
    pub fn new(format: PixelFormat) -> Self {
        let table = |channel: Channel| {
            let mut table = Box::new([0; 256]);
            for (value, entry) in (0_u32..).zip(table.iter_mut()) {
                *entry = ((value * u32::from(channel.maximum) + 127) / 255) << channel.shift;
            }
            table
        };
        Self {
            format,
            red: table(format.red),
            green: table(format.green),
            blue: table(format.blue),
        }
    }

    /// The pixel's value in the client's format.
    fn value(&self, pixel: u32) -> u32 {
        let [blue, green, red, _] = pixel.to_le_bytes();
        self.red[usize::from(red)] | self.green[usize::from(green)] | self.blue[usize::from(blue)]
    }

    /// The packing of ZRLE's compressed pixels (RFC 6143, section 7.7.5).
    pub fn compressed(&self) -> Packing {
        let format = self.format;
        if format.bits != 32 || format.depth > 24 {
            return Packing::Whole;
        }
        let used = [format.red, format.green, format.blue]
            .iter()
            .fold(0, |used, channel| {
                used | u32::from(channel.maximum) << channel.shift
            });
        if used & 0xff00_0000 == 0 {
            Packing::Low
        } else if used & 0xff == 0 {
            Packing::High
        } else {
            Packing::Whole
        }
    }

    /// The packing of Tight's pixels.
    pub fn tight(&self) -> Packing {
        let format = self.format;
        let full = [format.red, format.green, format.blue]
            .iter()
            .all(|channel| channel.maximum == 255);
        if format.bits == 32 && format.depth == 24 && full {
            Packing::Colours
        } else {
            Packing::Whole
        }
    }

    /// How many bytes a pixel takes.
    pub fn size(&self, packing: Packing) -> usize {
        match packing {
            Packing::Whole => usize::from(self.format.bits / 8),
            Packing::Low | Packing::High | Packing::Colours => 3,
        }
    }

    /// Appends `pixels` to `out`.
    pub fn put(&self, packing: Packing, pixels: &[u32], out: &mut Vec<u8>) {
        let big = self.format.big_endian;
        let three = |out: &mut Vec<u8>, bytes: fn(&Self, u32) -> [u8; 3]| {
            for pixel in pixels {
                out.extend_from_slice(&bytes(self, *pixel));
            }
        };
        match (packing, self.format.bits, big) {
            (Packing::Colours, ..) => three(out, |_, pixel| {
                let [blue, green, red, _] = pixel.to_le_bytes();
                [red, green, blue]
            }),
            (Packing::Low, _, false) => three(out, |this, pixel| {
                let [a, b, c, _] = this.value(pixel).to_le_bytes();
                [a, b, c]
            }),
            (Packing::Low, _, true) => three(out, |this, pixel| {
                let [a, b, c, _] = this.value(pixel).to_le_bytes();
                [c, b, a]
            }),
            (Packing::High, _, false) => three(out, |this, pixel| {
                let [_, b, c, d] = this.value(pixel).to_le_bytes();
                [b, c, d]
            }),
            (Packing::High, _, true) => three(out, |this, pixel| {
                let [_, b, c, d] = this.value(pixel).to_le_bytes();
                [d, c, b]
            }),
            (Packing::Whole, 8, _) => out.extend(pixels.iter().map(|pixel| {
                let [low, ..] = self.value(*pixel).to_le_bytes();
                low
            })),
            (Packing::Whole, 16, _) => {
                for pixel in pixels {
                    let [low, high, ..] = self.value(*pixel).to_le_bytes();
                    out.extend_from_slice(&if big { [high, low] } else { [low, high] });
                }
            }
            (Packing::Whole, ..) => {
                let start = out.len();
                out.resize(start + pixels.len() * 4, 0);
                let Some(room) = out.get_mut(start..) else {
                    return;
                };
                let places = room.as_chunks_mut::<4>().0.iter_mut().zip(pixels);
                if self.format == PixelFormat::NATIVE {
                    places.for_each(|(place, pixel)| *place = pixel.to_le_bytes());
                } else if big {
                    places.for_each(|(place, pixel)| *place = self.value(*pixel).to_be_bytes());
                } else {
                    places.for_each(|(place, pixel)| *place = self.value(*pixel).to_le_bytes());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(bits: u8, depth: u8, big_endian: bool, channels: [(u16, u8); 3]) -> PixelFormat {
        let [red, green, blue] = channels.map(|(maximum, shift)| Channel { maximum, shift });
        PixelFormat {
            bits,
            depth,
            big_endian,
            red,
            green,
            blue,
        }
    }

    #[test]
    fn formats_are_read_as_they_are_written() {
        for known in [
            PixelFormat::NATIVE,
            format(16, 16, true, [(31, 11), (63, 5), (31, 0)]),
            format(8, 6, false, [(3, 4), (3, 2), (3, 0)]),
        ] {
            assert_eq!(PixelFormat::parse(&known.to_bytes()), Ok(known));
        }
    }

    #[test]
    fn what_cannot_be_served_is_refused() {
        let native = PixelFormat::NATIVE.to_bytes();
        for (at, value, error) in [
            (0, 24, FormatError::Bits(24)),
            (0, 0, FormatError::Bits(0)),
            (3, 0, FormatError::ColourMap),
            (10, 25, FormatError::Channel),
            (11, 255, FormatError::Channel),
            (0, 8, FormatError::Channel),
        ] {
            let mut bytes = native;
            bytes[at] = value;
            assert_eq!(PixelFormat::parse(&bytes), Err(error), "{at} = {value}");
        }
        let mut none = native;
        none[4..6].fill(0);
        assert_eq!(PixelFormat::parse(&none), Err(FormatError::Channel));
    }

    #[test]
    fn pixels_by_hand() {
        let put = |format, packing: fn(&Converter) -> Packing| {
            let converter = Converter::new(format);
            let mut out = Vec::new();
            converter.put(packing(&converter), &[0x0012_80ff], &mut out);
            assert_eq!(out.len(), converter.size(packing(&converter)));
            out
        };
        let whole = |_: &Converter| Packing::Whole;
        let rgb888 = [(255, 16), (255, 8), (255, 0)];
        assert_eq!(put(PixelFormat::NATIVE, whole), [0xff, 0x80, 0x12, 0]);
        assert_eq!(
            put(format(32, 24, true, rgb888), whole),
            [0, 0x12, 0x80, 0xff]
        );
        let rgb565 = [(31, 11), (63, 5), (31, 0)];
        // Red 0x12 of 255 is 2 of 31, green 0x80 is 32 of 63, blue is all.
        assert_eq!(put(format(16, 16, true, rgb565), whole), [0x14, 0x1f]);
        assert_eq!(put(format(16, 16, false, rgb565), whole), [0x1f, 0x14]);
        assert_eq!(
            put(format(8, 8, false, [(7, 0), (7, 3), (3, 6)]), whole),
            [0xe0]
        );
        assert_eq!(
            put(PixelFormat::NATIVE, Converter::tight),
            [0x12, 0x80, 0xff]
        );
        assert_eq!(
            put(PixelFormat::NATIVE, Converter::compressed),
            [0xff, 0x80, 0x12]
        );
        let high = [(255, 24), (255, 16), (255, 8)];
        assert_eq!(
            put(format(32, 24, false, high), Converter::compressed),
            [0xff, 0x80, 0x12]
        );
        assert_eq!(
            put(format(32, 24, true, high), Converter::compressed),
            [0x12, 0x80, 0xff]
        );
        assert_eq!(
            put(format(32, 32, false, rgb888), Converter::compressed),
            [0xff, 0x80, 0x12, 0]
        );
    }
}
