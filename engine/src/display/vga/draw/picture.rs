//! What the registers say is to be shown.

use super::super::dispi::{Depth, MAXIMUM_HEIGHT, MAXIMUM_WIDTH};
use super::super::graphics::Shift;
use super::super::registers::Registers;
use super::layout::Layout;

/// What is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Picture {
    /// Nothing: the screen is off.
    Dark,
    /// Characters.
    Text(Text),
    /// Dots of the four planes.
    Planes(Planes),
    /// Pixels one after another.
    Linear(Linear),
}

/// How characters are drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text {
    /// Where the characters lie.
    pub(crate) layout: Layout,
    /// The width of a character in dots: 8 or 9.
    pub(crate) dots: u32,
    /// How many pixels wide a dot is.
    pub(crate) scale: u32,
    /// The sixteen colours, 0x00RRGGBB.
    pub(crate) colours: [u32; 16],
    /// Where in plane 2 the character generators A and B begin.
    pub(crate) fonts: (usize, usize),
    /// The ninth dot of line-drawing characters repeats the eighth.
    pub(crate) line_graphics: bool,
    /// The highest attribute bit makes a character blink.
    pub(crate) blinks: bool,
    /// The line of a character that is underlined, where underlining exists.
    pub(crate) underline: Option<u32>,
}

/// How dots are drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Planes {
    /// Where the dots lie.
    pub(crate) layout: Layout,
    /// How bits become colours.
    pub(crate) shift: Shift,
    /// How many pixels wide a dot is.
    pub(crate) scale: u32,
    /// The colours: the first sixteen, or all where a dot has a byte. 0x00RRGGBB.
    pub(crate) colours: [u32; 256],
}

/// How linear pixels are drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Linear {
    /// Width in pixels.
    pub(crate) width: u32,
    /// Height in pixels.
    pub(crate) height: u32,
    /// The first byte shown.
    pub(crate) start: u32,
    /// Bytes from one line to the next.
    pub(crate) pitch: u32,
    /// How a pixel is stored.
    pub(crate) depth: Depth,
    /// The bytes of a pixel come highest first.
    pub(crate) big_endian: bool,
    /// The colours of pixels of one byte; all black for others.
    pub(crate) colours: [u32; 256],
}

impl Picture {
    /// What `registers` say, with `memory` bytes of video memory.
    pub(crate) fn of(registers: &Registers, memory: usize) -> Self {
        if !registers.attribute.palette_is_screens() || registers.sequencer.screen_off() {
            Self::Dark
        } else if registers.dispi.enabled() {
            Self::of_dispi(registers, memory)
        } else if registers.graphics.is_graphics() {
            Self::of_planes(registers)
        } else {
            Self::of_text(registers)
        }
    }

    fn sixteen_colours(registers: &Registers) -> [u32; 16] {
        registers
            .attribute
            .colours()
            .map(|entry| registers.palette.colour(entry))
    }

    fn of_dispi(registers: &Registers, memory: usize) -> Self {
        let dispi = &registers.dispi;
        let (size, depth) = (dispi.size(), dispi.depth());
        let (start, panning) = dispi.start();
        if depth == Depth::Planes {
            let counts = u32::try_from(memory / 4).unwrap_or(0x1_0000);
            let panning = u8::try_from(panning).unwrap_or(0);
            let mut colours = [0; 256];
            colours[..16].copy_from_slice(&Self::sixteen_colours(registers));
            return Self::Planes(Planes {
                layout: Layout::plain(size, start / 4, dispi.pitch() / 4, panning, counts),
                shift: Shift::Planes,
                scale: 1,
                colours,
            });
        }
        Self::Linear(Linear {
            width: size.0,
            height: size.1,
            start,
            pitch: dispi.pitch(),
            depth,
            big_endian: registers.big_endian,
            colours: if depth == Depth::Bits8 {
                registers.palette.colours()
            } else {
                [0; 256]
            },
        })
    }

    fn of_planes(registers: &Registers) -> Self {
        let shift = registers.graphics.shift();
        let mut scale = if registers.sequencer.half_dot_clock() {
            2
        } else {
            1
        };
        let mut colours = [0; 256];
        if shift == Shift::Bytes {
            // A pixel of a byte takes two dots.
            scale *= 2;
            colours = registers.palette.colours();
        } else {
            colours[..16].copy_from_slice(&Self::sixteen_colours(registers));
        }
        let dots = if shift == Shift::Bytes { 4 } else { 8 };
        Self::Planes(Planes {
            layout: Layout::of(registers, MAXIMUM_WIDTH / dots / scale, MAXIMUM_HEIGHT),
            shift,
            scale,
            colours,
        })
    }

    fn of_text(registers: &Registers) -> Self {
        let (sequencer, attribute) = (&registers.sequencer, &registers.attribute);
        let dots = if sequencer.eight_dots() { 8 } else { 9 };
        let scale = if sequencer.half_dot_clock() { 2 } else { 1 };
        Self::Text(Text {
            layout: Layout::of(registers, MAXIMUM_WIDTH / dots / scale, MAXIMUM_HEIGHT),
            dots,
            scale,
            colours: Self::sixteen_colours(registers),
            fonts: sequencer.fonts(),
            line_graphics: attribute.line_graphics(),
            blinks: attribute.blinks(),
            underline: attribute.monochrome().then(|| registers.crtc.underline()),
        })
    }

    /// Width and height in pixels; nothing for a dark screen, which keeps the size it had.
    pub(crate) fn size(&self) -> Option<(u32, u32)> {
        match self {
            Self::Dark => None,
            Self::Text(text) => {
                let layout = &text.layout;
                Some((layout.columns * text.dots * text.scale, layout.lines))
            }
            Self::Planes(planes) => {
                let layout = &planes.layout;
                Some((layout.columns * planes.dots() * planes.scale, layout.lines))
            }
            Self::Linear(linear) => Some((linear.width, linear.height)),
        }
    }
}

impl Planes {
    /// The dots that four bytes of the planes make.
    pub(crate) fn dots(&self) -> u32 {
        if self.shift == Shift::Bytes { 4 } else { 8 }
    }

    /// How many dots are off the left edge, for a value of the panning register.
    pub(crate) fn panned(&self, register: u8) -> u32 {
        let dots = u32::from(register & 7);
        if self.shift == Shift::Bytes {
            dots / 2
        } else {
            dots
        }
    }
}
