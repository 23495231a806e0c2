//! The adapter as a PCI function: 16 MiB of video memory at base address 0, 4 KiB of registers at base address 2, its ROM.

use std::ops::RangeInclusive;

use super::Vga;
use crate::bus::{Action, IoError, IoResult, Width};
use crate::memory::{MemoryError, MemoryRegion};
use crate::pci::{BaseAddress, ConfigSpace, ConfigSpaceBuilder, Identity, PciFunction};

/// Where in guest-physical memory the legacy window lies.
pub const LEGACY_WINDOW: RangeInclusive<u64> = 0xa0000..=0xbffff;

/// Where the registers are.
pub const REGISTERS_WINDOW: u8 = 2;
const REGISTERS_SIZE: u32 = 0x1000;

/// Within the register window: the EDID block, the VGA ports from 0x3C0 on, the display interface, the extension.
const EDID_END: u64 = 0x400;
const VGA: u64 = 0x400;
const VGA_END: u64 = 0x420;
const DISPI: u64 = 0x500;
const DISPI_END: u64 = 0x516;
const EXTENSION: u64 = 0x600;
const EXTENSION_END: u64 = 0x608;

/// The extension's size in bytes, which is its first register.
const EXTENSION_SIZE: u32 = 8;
const LITTLE_ENDIAN: u32 = 0x1e1e_1e1e;
const BIG_ENDIAN: u32 = 0xbebe_bebe;

/// What the adapter is to software: a VGA, or a display without a VGA's ports and window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Vga,
    Display,
}

/// A ROM with this content; none if it is empty.
pub(super) fn rom(content: &[u8]) -> Result<Option<MemoryRegion>, MemoryError> {
    if content.is_empty() {
        return Ok(None);
    }
    let region = MemoryRegion::new("video ROM", content.len().next_power_of_two().max(4096))?;
    region.write(0, content);
    Ok(Some(region))
}

/// The configuration space of an adapter with this video memory and ROM.
pub(super) fn config_space(
    class: Class,
    memory: &MemoryRegion,
    rom: Option<&MemoryRegion>,
) -> ConfigSpace {
    let builder = ConfigSpace::builder(Identity {
        vendor: 0x1234,
        device: 0x1111,
        revision: 2,
        class: match class {
            Class::Vga => 0x03_00_00,
            Class::Display => 0x03_80_00,
        },
    })
    .subsystem(0x1af4, 0x1100);
    add_windows(builder, memory, rom).build()
}

fn add_windows(
    builder: ConfigSpaceBuilder,
    memory: &MemoryRegion,
    rom: Option<&MemoryRegion>,
) -> ConfigSpaceBuilder {
    let builder = builder
        .memory_window(0, memory.clone())
        .register_window(REGISTERS_WINDOW, REGISTERS_SIZE);
    match rom {
        Some(rom) => builder.expansion_rom(rom.clone()),
        None => builder,
    }
}

impl Vga {
    /// Adds its windows (0, 2 and the ROM) to the configuration space of another function that it is a part of. That one hands on
    /// what is written to the common registers of its configuration space, and accesses to window 2.
    pub fn add_windows(&self, builder: ConfigSpaceBuilder) -> ConfigSpaceBuilder {
        add_windows(builder, &self.memory, self.rom.as_ref())
    }

    fn extension(&self) -> [u8; 8] {
        let order = if self.registers.big_endian {
            BIG_ENDIAN
        } else {
            LITTLE_ENDIAN
        };
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&EXTENSION_SIZE.to_le_bytes());
        bytes[4..].copy_from_slice(&order.to_le_bytes());
        bytes
    }

    fn read_register_byte(&mut self, offset: u64) -> IoResult<u8> {
        let within = |start: u64| usize::try_from(offset - start).unwrap_or(usize::MAX);
        match offset {
            // The memory behind the EDID block is there and empty.
            0..EDID_END => Ok(self.edid.get(within(0)).copied().unwrap_or(0)),
            VGA..VGA_END => self.read_vga(port(offset)),
            DISPI..DISPI_END => {
                let [low, high] = self.registers.dispi.read(register(offset)).to_le_bytes();
                Ok(if offset.is_multiple_of(2) { low } else { high })
            }
            EXTENSION..EXTENSION_END => Ok(self
                .extension()
                .get(within(EXTENSION))
                .copied()
                .unwrap_or(0)),
            _ => Err(IoError::Unmapped),
        }
    }

    fn write_registers(&mut self, offset: u64, data: &[u8]) -> IoResult<()> {
        match offset {
            VGA..VGA_END => {
                for (offset, byte) in (offset..VGA_END).zip(data) {
                    self.write_vga(port(offset), *byte)?;
                }
            }
            DISPI..DISPI_END if offset.is_multiple_of(2) && data.len() >= 2 => {
                for (offset, word) in (offset..DISPI_END).step_by(2).zip(data.chunks_exact(2)) {
                    if let [low, high] = *word {
                        self.write_dispi(register(offset), u16::from_le_bytes([low, high]));
                    }
                }
            }
            DISPI..DISPI_END => return Err(IoError::Width),
            // The byte order is the extension's one register that can be set.
            _ if offset == EXTENSION + 4 && data.len() >= 4 => {
                let big_endian = match Width::Dword.load(data) {
                    LITTLE_ENDIAN => false,
                    BIG_ENDIAN => true,
                    _ => return Ok(()),
                };
                if self.registers.big_endian != big_endian {
                    self.registers.big_endian = big_endian;
                    self.changed();
                }
            }
            0..EDID_END | EXTENSION..EXTENSION_END => {}
            _ => return Err(IoError::Unmapped),
        }
        Ok(())
    }
}

fn low_word(value: u64) -> u16 {
    u16::try_from(value & 0xffff).unwrap_or(0)
}

/// The VGA port behind an offset in the register window.
fn port(offset: u64) -> u16 {
    low_word(offset - VGA + 0x3c0)
}

/// The display interface's register behind an offset in the register window.
fn register(offset: u64) -> u16 {
    low_word((offset - DISPI) / 2)
}

impl PciFunction for Vga {
    fn read_config(&mut self, offset: u8, width: Width) -> u32 {
        self.config.read(offset, width)
    }

    fn write_config(&mut self, offset: u8, width: Width, value: u32) -> Option<Action> {
        self.config.write(offset, width, value);
        None
    }

    fn base_addresses(&self) -> Vec<BaseAddress> {
        self.config.base_addresses()
    }

    fn read_window(&mut self, number: u8, offset: u64, data: &mut [u8]) -> IoResult<()> {
        if number != REGISTERS_WINDOW || offset >= u64::from(REGISTERS_SIZE) {
            return Err(IoError::Unmapped);
        }
        for (offset, byte) in (offset..).zip(data) {
            *byte = self.read_register_byte(offset)?;
        }
        Ok(())
    }

    fn write_window(&mut self, number: u8, offset: u64, data: &[u8]) -> IoResult<Option<Action>> {
        if number != REGISTERS_WINDOW || offset >= u64::from(REGISTERS_SIZE) {
            return Err(IoError::Unmapped);
        }
        self.write_registers(offset, data).map(|()| None)
    }

    fn reset(&mut self) {
        self.config.reset();
        self.reset_registers();
    }
}
