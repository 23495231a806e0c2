//! The VGA's ports, 0x3B0 to 0x3DF, and the display interface's, 0x1CE and 0x1CF.

use std::time::Instant;

use super::Vga;
use super::dispi::Effect;
use crate::bus::{Action, IoError, IoResult, PortDevice, Width};

/// The display interface's index port; its data port is the next one.
const DISPI_INDEX: u16 = 0x1ce;
const DISPI_DATA: u16 = 0x1cf;

/// The processor reaches the VGA (port 0x3C3).
const SUBSYSTEM_ENABLED: u8 = 0x01;
/// A colour monitor is connected (input status 0).
const MONITOR_SENSED: u8 = 0x10;

impl Vga {
    /// The port without its monochrome or colour address, if it answers at the one the port has.
    fn alias(&self, port: u16) -> Option<u16> {
        match port {
            0x3b0..=0x3bf if !self.registers.colour_addresses() => Some(port + 0x20),
            0x3d0..=0x3df if self.registers.colour_addresses() => Some(port),
            0x3c0..=0x3cf => Some(port),
            _ => None,
        }
    }

    /// Reads one VGA port.
    pub(super) fn read_vga(&mut self, port: u16) -> IoResult<u8> {
        let port = self.alias(port).ok_or(IoError::Unmapped)?;
        let registers = &mut self.registers;
        Ok(match port {
            0x3c0 => registers.attribute.index(),
            0x3c1 => registers.attribute.read(),
            0x3c2 => MONITOR_SENSED,
            0x3c3 => SUBSYSTEM_ENABLED,
            0x3c4 => registers.sequencer.index,
            0x3c5 => registers.sequencer.read(),
            0x3c6 => registers.palette.mask,
            0x3c7 => registers.palette.state(),
            0x3c8 => registers.palette.write_index(),
            0x3c9 => registers.palette.read(),
            0x3ca => registers.feature,
            0x3cc => registers.miscellaneous,
            0x3ce => registers.graphics.index,
            0x3cf => registers.graphics.read(),
            0x3d4 => registers.crtc.index,
            0x3d5 => registers.crtc.read(),
            0x3da => {
                registers.attribute.expect_index();
                let now = Instant::now().duration_since(self.started).as_nanos();
                let crtc = &registers.crtc;
                self.beam.status(
                    u64::try_from(now).unwrap_or(u64::MAX),
                    crtc.lines(),
                    crtc.total_lines(),
                )
            }
            _ => return Err(IoError::Unmapped),
        })
    }

    /// Writes one VGA port.
    pub(super) fn write_vga(&mut self, port: u16, value: u8) -> IoResult<()> {
        let port = self.alias(port).ok_or(IoError::Unmapped)?;
        let registers = &mut self.registers;
        let shown = match port {
            0x3c0 => registers.attribute.write(value),
            0x3c2 => std::mem::replace(&mut registers.miscellaneous, value) != value,
            0x3c4 => {
                registers.sequencer.index = value;
                false
            }
            0x3c5 => registers.sequencer.write(value),
            0x3c6 => std::mem::replace(&mut registers.palette.mask, value) != value,
            0x3c7 => {
                registers.palette.start_reading(value);
                false
            }
            0x3c8 => {
                registers.palette.start_writing(value);
                false
            }
            0x3c9 => registers.palette.write(value),
            0x3ce => {
                registers.graphics.index = value;
                false
            }
            0x3cf => registers.graphics.write(value),
            0x3d4 => {
                registers.crtc.index = value;
                false
            }
            0x3d5 => registers.crtc.write(value),
            0x3da => {
                registers.feature = value;
                false
            }
            // The subsystem stays enabled; input status 0 and the feature register's read port take nothing.
            0x3c1 | 0x3c3 | 0x3ca | 0x3cc => false,
            _ => return Err(IoError::Unmapped),
        };
        if shown {
            self.changed();
        }
        Ok(())
    }

    /// Sets register `index` of the display interface.
    pub(super) fn write_dispi(&mut self, index: u16, value: u16) {
        let effect = self.registers.dispi.write(index, value);
        self.registers.palette.eight_bits = self.registers.dispi.eight_bit_palette();
        if let Effect::Clear(length) = effect {
            let length = length as usize;
            self.memory.fill(0, length, 0);
            self.dirty.mark(0, length);
        }
        if effect != Effect::None {
            self.changed();
        }
    }
}

impl PortDevice for Vga {
    fn read_port(&mut self, port: u16, width: Width) -> IoResult<u32> {
        match (port, width) {
            (DISPI_INDEX, Width::Word) => Ok(u32::from(self.registers.dispi.index)),
            (DISPI_DATA, Width::Word) => {
                let dispi = &self.registers.dispi;
                Ok(u32::from(dispi.read(dispi.index)))
            }
            (DISPI_INDEX | DISPI_DATA, _) => Err(IoError::Width),
            (_, Width::Byte) => self.read_vga(port).map(u32::from),
            _ => {
                // Wider than a byte is one access to each port in turn.
                let mut bytes = [0xff; 4];
                for (step, byte) in (0..).zip(&mut bytes).take(width.bytes()) {
                    *byte = self.read_vga(port.wrapping_add(step)).unwrap_or(0xff);
                }
                Ok(width.load(&bytes))
            }
        }
    }

    fn write_port(&mut self, port: u16, width: Width, value: u32) -> IoResult<Option<Action>> {
        let [low, high, ..] = value.to_le_bytes();
        match (port, width) {
            (DISPI_INDEX, Width::Word) => {
                self.registers.dispi.index = u16::from_le_bytes([low, high]);
            }
            (DISPI_DATA, Width::Word) => {
                self.write_dispi(self.registers.dispi.index, u16::from_le_bytes([low, high]));
            }
            (DISPI_INDEX | DISPI_DATA, _) => return Err(IoError::Width),
            (_, Width::Byte) => self.write_vga(port, low)?,
            _ => {
                for (step, byte) in (0..).zip(value.to_le_bytes()).take(width.bytes()) {
                    // A port in the middle that nobody answers does not keep the others from their byte.
                    let _ = self.write_vga(port.wrapping_add(step), byte);
                }
            }
        }
        Ok(None)
    }
}
