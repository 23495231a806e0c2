//! The two registers of the chipset by which software resets the machine: reset control (0xCF9) and system control port A (0x92).
//!
//! Intel 82371SB data sheet, sections 2.5.7.1 (port 92) and 2.5.7.2 (reset control). Line A20 is never masked, as the kernel's
//! processors have no such pin: the bit of port 0x92 reads as it was written and nothing more.

use crate::bus::{Action, IoError, IoResult};
use crate::legacy::ByteDevice;

const RESET_CONTROL: u16 = 0xcf9;
const SYSTEM_CONTROL_A: u16 = 0x92;
/// Goes from 0 to 1: the processor is reset.
const RESET_PROCESSOR: u8 = 1 << 2;
/// System reset and full reset are kept beside it.
const RESET_WRITABLE: u8 = 0x0e;
/// Goes from 0 to 1: the processor is reset.
const FAST_RESET: u8 = 1 << 0;

/// The reset registers.
#[derive(Debug, Default)]
pub struct ResetControl {
    reset: u8,
    system: u8,
}

impl ResetControl {
    /// The ports to map it at.
    pub const PORTS: [u16; 2] = [RESET_CONTROL, SYSTEM_CONTROL_A];

    /// As after power-on.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

impl ByteDevice for ResetControl {
    fn read_byte(&mut self, port: u16) -> IoResult<u8> {
        match port {
            RESET_CONTROL => Ok(self.reset),
            SYSTEM_CONTROL_A => Ok(self.system),
            _ => Err(IoError::Unmapped),
        }
    }

    fn write_byte(&mut self, port: u16, value: u8) -> IoResult<Option<Action>> {
        let (register, bit, writable) = match port {
            RESET_CONTROL => (&mut self.reset, RESET_PROCESSOR, RESET_WRITABLE),
            SYSTEM_CONTROL_A => (&mut self.system, FAST_RESET, 0xff),
            _ => return Err(IoError::Unmapped),
        };
        let rises = value & bit != 0 && *register & bit == 0;
        *register = value & writable;
        Ok(rises.then_some(Action::Reset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reset_control_resets_on_the_rising_edge() {
        let mut control = ResetControl::default();
        for (value, action) in [
            (0x02, None),
            (0x06, Some(Action::Reset)),
            (0x06, None),
            (0x00, None),
            (0x0e, Some(Action::Reset)),
        ] {
            assert_eq!(control.write_byte(0xcf9, value), Ok(action), "{value:#x}");
        }
        assert_eq!(control.read_byte(0xcf9), Ok(0x0e));
        control.reset();
        assert_eq!(control.read_byte(0xcf9), Ok(0));
    }

    #[test]
    fn the_a20_bit_reads_back_what_seabios_writes() {
        let mut control = ResetControl::default();
        assert_eq!(control.read_byte(0x92), Ok(0));
        assert_eq!(control.write_byte(0x92, 0x02), Ok(None));
        assert_eq!(control.read_byte(0x92), Ok(2));
        assert_eq!(control.write_byte(0x92, 0x03), Ok(Some(Action::Reset)));
    }

    #[test]
    fn other_ports_are_not_its_own() {
        let mut control = ResetControl::default();
        for port in [0, 0x91, 0x93, 0xcf8, 0xcfa, 0xffff] {
            assert_eq!(control.read_byte(port), Err(IoError::Unmapped));
            assert_eq!(control.write_byte(port, 0xff), Err(IoError::Unmapped));
        }
    }
}
