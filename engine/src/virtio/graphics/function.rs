//! The adapter as one PCI function together with a VGA: until the guest has a driver for it, firmware and the guest use the VGA. Its
//! video memory is window 0, its registers are window 2; windows 1 and 4 are the transport's.

use std::io;

use super::{Connections, Graphics, VirtioPci};
use crate::bus::{Action, IoResult, Shared, Width, shared};
use crate::display::vga::{REGISTERS_WINDOW, Vga};
use crate::pci::{BaseAddress, PciFunction};

/// A VGA's PCI class code. With it firmware for PCs takes it for one, wherever its legacy registers are.
const CLASS: u32 = 0x03_00_00;
/// The registers that every function's configuration space has.
const COMMON: u8 = 0x40;

/// In a PCI option ROM: where the data structure's place is, and what is in that.
const STRUCTURE: usize = 0x18;
const VENDOR_AND_DEVICE: usize = 4;
/// In the VGA BIOS of SeaBIOS: the byte that makes the sum of all be 0, behind the length and a jump.
const CHECKSUM: usize = 6;

/// The two adapters.
pub struct GraphicsFunction {
    virtio: Shared<VirtioPci>,
    vga: Shared<Vga>,
}

impl GraphicsFunction {
    /// One function of `device` and `vga`.
    ///
    /// # Errors
    /// When the host has no more interrupt messages.
    pub fn new(device: Graphics, vga: Shared<Vga>, connections: Connections) -> io::Result<Self> {
        let virtio = VirtioPci::of_class(Box::new(device), connections, CLASS, |space| {
            vga.lock().add_windows(space)
        })?;
        Ok(Self {
            virtio: shared(virtio),
            vga,
        })
    }

    /// The adapter for the guest's driver.
    pub fn virtio(&self) -> &Shared<VirtioPci> {
        &self.virtio
    }

    /// Makes a VGA BIOS for another function one for this: firmware runs it only where its numbers are the function's.
    pub fn adopt_rom(mut rom: Vec<u8>) -> Vec<u8> {
        let place = rom.get(STRUCTURE..STRUCTURE + 2).unwrap_or(&[0, 0]);
        let structure = place
            .iter()
            .rev()
            .fold(0, |place, byte| place << 8 | usize::from(*byte));
        if rom.get(structure..structure + 4) != Some(b"PCIR") {
            return rom;
        }
        let sum = |rom: &[u8]| rom.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        let before = sum(&rom);
        let numbers = [0xf4, 0x1a, 0x50, 0x10];
        for (to, byte) in rom
            .iter_mut()
            .skip(structure + VENDOR_AND_DEVICE)
            .zip(numbers)
        {
            *to = byte;
        }
        let after = sum(&rom);
        if let Some(checksum) = rom.get_mut(CHECKSUM) {
            *checksum = checksum.wrapping_add(before).wrapping_sub(after);
        }
        rom
    }
}

impl PciFunction for GraphicsFunction {
    fn read_config(&mut self, offset: u8, width: Width) -> u32 {
        self.virtio.lock().read_config(offset, width)
    }

    fn write_config(&mut self, offset: u8, width: Width, value: u32) -> Option<Action> {
        if offset < COMMON {
            self.vga.lock().write_config(offset, width, value);
        }
        self.virtio.lock().write_config(offset, width, value)
    }

    fn base_addresses(&self) -> Vec<BaseAddress> {
        self.virtio.lock().base_addresses()
    }

    fn read_window(&mut self, number: u8, offset: u64, data: &mut [u8]) -> IoResult<()> {
        if number == REGISTERS_WINDOW {
            return self.vga.lock().read_window(number, offset, data);
        }
        self.virtio.lock().read_window(number, offset, data)
    }

    fn write_window(&mut self, number: u8, offset: u64, data: &[u8]) -> IoResult<Option<Action>> {
        if number == REGISTERS_WINDOW {
            return self.vga.lock().write_window(number, offset, data);
        }
        self.virtio.lock().write_window(number, offset, data)
    }

    fn window_placed(&mut self, number: u8, base: Option<u64>) {
        self.virtio.lock().window_placed(number, base);
    }

    fn reset(&mut self) {
        self.virtio.lock().reset();
        self.vga.lock().reset();
    }
}
