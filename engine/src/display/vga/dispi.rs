//! The Bochs display interface (ports 0x1CE and 0x1CF, or the second window at 0x500): linear modes of any size.
//! "VBE DISPI interface", doc/vbe_extensions of Bochs, ids 0xB0C0 to 0xB0C5.

/// The largest width in pixels.
pub const MAXIMUM_WIDTH: u32 = 2560;
/// The largest height in pixels.
pub const MAXIMUM_HEIGHT: u32 = 1600;

const LATEST_ID: u16 = 0xb0c5;
const FIRST_ID: u16 = 0xb0c0;

/// Bits of the enable register.
mod enable {
    pub(super) const ENABLED: u16 = 0x01;
    pub(super) const GET_CAPABILITIES: u16 = 0x02;
    pub(super) const EIGHT_BIT_PALETTE: u16 = 0x20;
    pub(super) const LINEAR: u16 = 0x40;
    pub(super) const NO_CLEAR: u16 = 0x80;
}

/// How a pixel is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Depth {
    /// Four planes, 16 colours.
    Planes,
    /// A byte, 256 colours.
    #[default]
    Bits8,
    /// Two bytes, 5:5:5.
    Bits15,
    /// Two bytes, 5:6:5.
    Bits16,
    /// Three bytes, blue first.
    Bits24,
    /// Four bytes, blue first.
    Bits32,
}

impl Depth {
    fn from_bits(bits: u16) -> Option<Self> {
        Some(match bits {
            4 => Self::Planes,
            0 | 8 => Self::Bits8,
            15 => Self::Bits15,
            16 => Self::Bits16,
            24 => Self::Bits24,
            32 => Self::Bits32,
            _ => return None,
        })
    }

    fn bits(self) -> u16 {
        match self {
            Self::Planes => 4,
            Self::Bits8 => 8,
            Self::Bits15 => 15,
            Self::Bits16 => 16,
            Self::Bits24 => 24,
            Self::Bits32 => 32,
        }
    }

    /// The bytes of video memory that `pixels` pixels (a multiple of eight for planes) take.
    pub(crate) fn bytes(self, pixels: u32) -> u32 {
        match self {
            Self::Planes => pixels.div_ceil(8).saturating_mul(4),
            Self::Bits8 => pixels,
            Self::Bits15 | Self::Bits16 => pixels.saturating_mul(2),
            Self::Bits24 => pixels.saturating_mul(3),
            Self::Bits32 => pixels.saturating_mul(4),
        }
    }
}

/// What a write asks of the adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing changed.
    None,
    /// What is shown may have changed.
    Shown,
    /// A mode was switched on that wants its first bytes of video memory, so many, zeroed.
    Clear(u32),
}

/// The registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dispi {
    /// Which register the data port reaches.
    pub(crate) index: u16,
    memory: u32,
    id: u16,
    width: u16,
    height: u16,
    depth: Depth,
    enable: u16,
    bank: u16,
    virtual_width: u16,
    x_offset: u16,
    y_offset: u16,
}

fn low_word(value: u32) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}

impl Dispi {
    /// The registers of an adapter with `memory` bytes of video memory.
    pub(crate) fn new(memory: u32) -> Self {
        Self {
            index: 0,
            memory,
            id: LATEST_ID,
            width: 0,
            height: 0,
            depth: Depth::default(),
            enable: 0,
            bank: 0,
            virtual_width: 0,
            x_offset: 0,
            y_offset: 0,
        }
    }

    /// A mode is on.
    pub(crate) fn enabled(&self) -> bool {
        self.enable & enable::ENABLED != 0
    }

    /// The palette is 8 bits wide.
    pub(crate) fn eight_bit_palette(&self) -> bool {
        self.enable & enable::EIGHT_BIT_PALETTE != 0
    }

    /// The mode's pixel format.
    pub(crate) fn depth(&self) -> Depth {
        self.depth
    }

    /// The mode's width and height in pixels.
    pub(crate) fn size(&self) -> (u32, u32) {
        (u32::from(self.width), u32::from(self.height))
    }

    /// Bytes from one line to the next.
    pub(crate) fn pitch(&self) -> u32 {
        self.depth.bytes(u32::from(self.virtual_width))
    }

    /// The first byte shown, and for planes how many pixels of it are off the left edge.
    pub(crate) fn start(&self) -> (u32, u32) {
        let (x, y) = (u32::from(self.x_offset), u32::from(self.y_offset));
        let line = y.wrapping_mul(self.pitch());
        match self.depth {
            Depth::Planes => (line.wrapping_add(x / 8 * 4), x % 8),
            depth => (line.wrapping_add(depth.bytes(x)), 0),
        }
    }

    /// Where in video memory the banked window begins, in bytes (in each plane, for planes).
    pub(crate) fn bank(&self) -> u32 {
        u32::from(self.bank) << 16
    }

    fn virtual_height(&self) -> u16 {
        match self.pitch() {
            0 => 0,
            pitch => low_word(self.memory / pitch),
        }
    }

    /// Register `index`; 0 where none is.
    pub(crate) fn read(&self, index: u16) -> u16 {
        let capabilities = self.enable & enable::GET_CAPABILITIES != 0;
        match index {
            0 => self.id,
            1 if capabilities => low_word(MAXIMUM_WIDTH),
            1 => self.width,
            2 if capabilities => low_word(MAXIMUM_HEIGHT),
            2 => self.height,
            3 if capabilities => Depth::Bits32.bits(),
            3 => self.depth.bits(),
            4 => self.enable,
            5 => self.bank,
            6 => self.virtual_width,
            7 => self.virtual_height(),
            8 => self.x_offset,
            9 => self.y_offset,
            10 => low_word(self.memory >> 16),
            _ => 0,
        }
    }

    /// Sets register `index`.
    pub(crate) fn write(&mut self, index: u16, value: u16) -> Effect {
        let before = self.clone();
        match index {
            0 if (FIRST_ID..=LATEST_ID).contains(&value) => self.id = value,
            1 => self.width = value,
            2 => self.height = value,
            3 => self.depth = Depth::from_bits(value).unwrap_or(self.depth),
            4 => return self.write_enable(value),
            5 => self.bank = value & low_word((self.memory >> 16).wrapping_sub(1)),
            6 => self.virtual_width = value,
            8 => self.x_offset = value,
            9 => self.y_offset = value,
            _ => {}
        }
        if !self.enabled() {
            return Effect::None;
        }
        self.fit();
        if *self == before {
            Effect::None
        } else {
            Effect::Shown
        }
    }

    fn write_enable(&mut self, value: u16) -> Effect {
        let was_enabled = self.enabled();
        self.enable = value
            & (enable::ENABLED
                | enable::GET_CAPABILITIES
                | enable::EIGHT_BIT_PALETTE
                | enable::LINEAR
                | enable::NO_CLEAR);
        if !self.enabled() {
            self.bank = 0;
            return Effect::Shown;
        }
        if was_enabled {
            return Effect::Shown;
        }
        (self.virtual_width, self.x_offset, self.y_offset, self.bank) = (0, 0, 0, 0);
        self.fit();
        if self.enable & enable::NO_CLEAR != 0 {
            Effect::Shown
        } else {
            Effect::Clear(self.pitch().saturating_mul(u32::from(self.height)))
        }
    }

    /// Makes the mode one that exists: within the limits and within video memory.
    fn fit(&mut self) {
        self.width = (self.width & !7).clamp(8, low_word(MAXIMUM_WIDTH));
        self.height = self.height.clamp(1, low_word(MAXIMUM_HEIGHT));
        let widest = self.memory / u32::from(self.height) / self.depth.bytes(8).max(1) * 8;
        self.virtual_width = (self.virtual_width & !7)
            .min(low_word(widest) & !7)
            .max(self.width);
        self.x_offset = self.x_offset.min(self.virtual_width - self.width);
        self.y_offset = self
            .y_offset
            .min(self.virtual_height().saturating_sub(self.height));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMORY: u32 = 16 << 20;

    #[test]
    fn firmware_probes_and_sets_a_mode() {
        let mut dispi = Dispi::new(MEMORY);
        dispi.write(0, 0xb0c0);
        assert_eq!(dispi.read(0), 0xb0c0);
        dispi.write(0, 0xb0c5);
        assert_eq!(dispi.write(0, 0x1234), Effect::None);
        assert_eq!((dispi.read(0), dispi.read(10)), (0xb0c5, 0x100));
        dispi.write(4, 2);
        assert_eq!(
            (dispi.read(1), dispi.read(2), dispi.read(3)),
            (2560, 1600, 32)
        );
        for (index, value) in [
            (4, 0),
            (5, 0),
            (8, 0),
            (9, 0),
            (3, 32),
            (1, 1280),
            (6, 1280),
            (2, 800),
        ] {
            dispi.write(index, value);
        }
        assert_eq!(dispi.write(4, 0x41), Effect::Clear(1280 * 800 * 4));
        assert_eq!(dispi.size(), (1280, 800));
        assert_eq!((dispi.read(6), dispi.read(7)), (1280, 3276));
        dispi.write(9, 800);
        assert_eq!(dispi.start(), (1280 * 4 * 800, 0));
        assert_eq!(dispi.write(9, 800), Effect::None);
        assert_eq!(dispi.write(4, 0), Effect::Shown);
    }

    #[test]
    fn modes_are_made_to_fit() {
        for depth in [4, 8, 15, 16, 24, 32, 0, 77] {
            for (width, height, wide) in
                [(0, 0, 0), (u16::MAX, u16::MAX, u16::MAX), (641, 480, 9999)]
            {
                let mut dispi = Dispi::new(MEMORY);
                for (index, value) in [
                    (3, depth),
                    (1, width),
                    (2, height),
                    (4, 0xc1),
                    (6, wide),
                    (8, u16::MAX),
                    (9, u16::MAX),
                ] {
                    dispi.write(index, value);
                }
                let (width, height) = dispi.size();
                assert!(
                    (8..=MAXIMUM_WIDTH).contains(&width) && (1..=MAXIMUM_HEIGHT).contains(&height)
                );
                assert!(dispi.pitch() * height <= MEMORY, "{depth} {width}x{height}");
                assert!(dispi.start().0 + dispi.pitch() * (height - 1) < MEMORY);
            }
        }
    }
}
