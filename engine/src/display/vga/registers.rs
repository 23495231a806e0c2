//! All of the adapter's registers that decide what is shown, as one value that the renderer can take a copy of.

use super::attribute::Attribute;
use super::crtc::Crtc;
use super::dispi::Dispi;
use super::graphics::Graphics;
use super::palette::Palette;
use super::sequencer::Sequencer;

/// The registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Registers {
    /// Miscellaneous output.
    pub(crate) miscellaneous: u8,
    /// Feature control.
    pub(crate) feature: u8,
    /// The sequencer.
    pub(crate) sequencer: Sequencer,
    /// The graphics controller.
    pub(crate) graphics: Graphics,
    /// The attribute controller.
    pub(crate) attribute: Attribute,
    /// The CRT controller.
    pub(crate) crtc: Crtc,
    /// The digital-to-analogue converter.
    pub(crate) palette: Palette,
    /// The Bochs display interface.
    pub(crate) dispi: Dispi,
    /// Linear pixels of more than a byte have their bytes in big-endian order.
    pub(crate) big_endian: bool,
}

impl Registers {
    /// The registers after power-on, with `memory` bytes of video memory.
    pub(crate) fn new(memory: u32) -> Self {
        Self {
            miscellaneous: 0,
            feature: 0,
            sequencer: Sequencer::default(),
            graphics: Graphics::default(),
            attribute: Attribute::default(),
            crtc: Crtc::default(),
            palette: Palette::default(),
            dispi: Dispi::new(memory),
            big_endian: false,
        }
    }

    /// The CRT controller and input status 1 answer at 0x3Dx rather than 0x3Bx.
    pub(crate) fn colour_addresses(&self) -> bool {
        self.miscellaneous & 0x01 != 0
    }

    /// The processor reaches video memory through the legacy window.
    pub(crate) fn memory_enabled(&self) -> bool {
        self.miscellaneous & 0x02 != 0
    }
}
