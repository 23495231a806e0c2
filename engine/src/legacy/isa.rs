//! Devices of the ISA bus with registers of 8 bits, and what a wider access does to them: the bus breaks it into one access per
//! byte, at consecutive ports, lowest first (ISA bus specification, data bus size translation).

use crate::bus::{Action, IoError, IoResult, PortDevice, Width};

/// A device whose registers are all 8 bits wide. It is a [`PortDevice`] by that.
pub trait ByteDevice: Send {
    /// Reads the register at `port`.
    ///
    /// # Errors
    /// When the device does not answer there.
    fn read_byte(&mut self, port: u16) -> IoResult<u8>;

    /// Writes the register at `port`.
    ///
    /// # Errors
    /// When the device does not answer there.
    fn write_byte(&mut self, port: u16, value: u8) -> IoResult<Option<Action>>;
}

impl<D: ByteDevice> PortDevice for D {
    fn read_port(&mut self, port: u16, width: Width) -> IoResult<u32> {
        let mut data = [0xff; 4];
        let mut answered = false;
        for (index, byte) in (0..).zip(data.iter_mut().take(width.bytes())) {
            if let Ok(value) = self.read_byte(port.wrapping_add(index)) {
                *byte = value;
                answered = true;
            }
        }
        if answered {
            Ok(width.load(&data))
        } else {
            Err(IoError::Unmapped)
        }
    }

    fn write_port(&mut self, port: u16, width: Width, value: u32) -> IoResult<Option<Action>> {
        let mut action = None;
        for (index, byte) in (0..).zip(value.to_le_bytes()).take(width.bytes()) {
            action = self
                .write_byte(port.wrapping_add(index), byte)
                .unwrap_or(None)
                .or(action);
        }
        Ok(action)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Pair([u8; 2]);
    impl ByteDevice for Pair {
        fn read_byte(&mut self, port: u16) -> IoResult<u8> {
            self.0
                .get(usize::from(port.wrapping_sub(0x70)))
                .copied()
                .ok_or(IoError::Unmapped)
        }
        fn write_byte(&mut self, port: u16, value: u8) -> IoResult<Option<Action>> {
            *self
                .0
                .get_mut(usize::from(port.wrapping_sub(0x70)))
                .ok_or(IoError::Unmapped)? = value;
            Ok((value == 6).then_some(Action::Reset))
        }
    }

    #[test]
    fn wide_accesses_are_broken_into_bytes() {
        let mut pair = Pair([0; 2]);
        assert_eq!(
            pair.write_port(0x70, Width::Word, 0x0506),
            Ok(Some(Action::Reset))
        );
        assert_eq!(pair.0, [6, 5]);
        assert_eq!(pair.read_port(0x71, Width::Word), Ok(0xff05));
        assert_eq!(pair.read_port(0xffff, Width::Dword), Err(IoError::Unmapped));
    }
}
