//! A VGA with the Bochs display interface: PCI 1234:1111, the adapter that every PC operating system and firmware can show a
//! picture on. It holds registers and video memory; [`Renderer`] draws what they mean.
//!
//! IBM VGA XGA Technical Reference Manual (1992) for the VGA; doc/vbe_extensions of Bochs for the display interface;
//! docs/specs/standard-vga of QEMU for the PCI function's windows.

mod attribute;
mod codepage;
mod crtc;
mod dispi;
mod draw;
mod function;
mod graphics;
mod palette;
mod ports;
mod registers;
mod sequencer;
mod status;
mod window;

use std::time::Instant;

pub use dispi::{MAXIMUM_HEIGHT, MAXIMUM_WIDTH};
pub use draw::{Refreshed, Renderer};
pub use function::{LEGACY_WINDOW, REGISTERS_WINDOW};

use super::edid;
use super::scanout::{DirtyPages, Wake};
use crate::bus::{Action, IoResult, MemoryDevice};
use crate::memory::{MemoryError, MemoryRegion};
use crate::pci::ConfigSpace;
use registers::Registers;

/// How much video memory there is: enough for the largest mode at 32 bits a pixel.
const MEMORY: u32 = 16 << 20;

/// The size in pixels that the display prefers.
pub const PREFERRED: (u32, u32) = (1280, 800);

/// The adapter.
pub struct Vga {
    registers: Registers,
    /// The planes' bytes that were read last.
    latch: u32,
    memory: MemoryRegion,
    rom: Option<MemoryRegion>,
    /// What the adapter itself wrote to video memory since the renderer asked last.
    dirty: DirtyPages,
    /// Counts changes of the registers.
    generation: u64,
    beam: status::Beam,
    started: Instant,
    config: ConfigSpace,
    edid: [u8; edid::LENGTH],
    wake: Wake,
}

impl Vga {
    /// An adapter with 16 MiB of video memory, whose expansion ROM holds `rom` (a VGA BIOS; empty for no ROM).
    ///
    /// # Errors
    /// When the host has no memory for it.
    pub fn new(rom: &[u8]) -> Result<Self, MemoryError> {
        Self::of_class(function::Class::Vga, rom)
    }

    /// The same adapter for a machine without a VGA: it says that it is none, and its ports and legacy window are not to be given
    /// to the buses. What software needs of the VGA's registers it finds in the function's register window.
    ///
    /// # Errors
    /// When the host has no memory for it.
    pub fn without_legacy() -> Result<Self, MemoryError> {
        Self::of_class(function::Class::Display, &[])
    }

    fn of_class(class: function::Class, rom: &[u8]) -> Result<Self, MemoryError> {
        let memory = MemoryRegion::new("video memory", MEMORY as usize)?;
        let (width, height) = PREFERRED;
        let rom = function::rom(rom)?;
        Ok(Self {
            registers: Registers::new(MEMORY),
            latch: 0,
            dirty: DirtyPages::new(memory.size()),
            generation: 0,
            beam: status::Beam::default(),
            started: Instant::now(),
            config: function::config_space(class, &memory, rom.as_ref()),
            memory,
            rom,
            edid: edid::block(width, height),
            wake: Wake::default(),
        })
    }

    /// The video memory, which is also window 0 of the function.
    pub fn memory(&self) -> &MemoryRegion {
        &self.memory
    }

    /// What wakes the display's thread when something changed that it would only see at its next look.
    pub fn wake(&self) -> &Wake {
        &self.wake
    }

    /// The characters on the screen, row by row without trailing blanks; nothing when the screen shows graphics or is dark.
    pub fn text(&self) -> Option<Vec<String>> {
        draw::text(&self.registers, &self.memory)
    }

    /// What is shown may have changed by a register.
    fn changed(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        self.wake.wake();
    }

    fn reset_registers(&mut self) {
        self.registers = Registers::new(MEMORY);
        self.latch = 0;
        self.changed();
    }
}

impl MemoryDevice for Vga {
    /// The legacy window: offset 0 is guest-physical 0xA0000.
    fn read_memory(&mut self, offset: u64, data: &mut [u8]) -> IoResult<()> {
        self.read_legacy(offset, data)
    }

    /// The legacy window: offset 0 is guest-physical 0xA0000.
    fn write_memory(&mut self, offset: u64, data: &[u8]) -> IoResult<Option<Action>> {
        self.write_legacy(offset, data).map(|()| None)
    }
}

#[cfg(test)]
mod tests;
