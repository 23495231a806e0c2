//! The enhanced configuration access mechanism: the configuration spaces of all functions as memory, 4 KiB each, from an address
//! that the host bridge names. PCI Express Base Specification 3.0, section 7.2.2.
//!
//! The functions here are those of conventional PCI, with 256 bytes; what lies behind reads as all ones, which tells software so.

use std::sync::Weak;

use super::{Address, PciBus};
use crate::bus::{Action, IoError, IoResult, MemoryDevice, Width};

/// The window: a bus a MiB, of which there is one.
pub(super) struct Ecam(pub(super) Weak<PciBus>);

/// The function and register behind an offset in the window.
fn decode(offset: u64) -> Option<(Address, u8)> {
    const BUS: u64 = 20;
    const FUNCTION: u64 = 12;
    if offset >> BUS != 0 {
        return None;
    }
    let function = u8::try_from(offset >> FUNCTION & 0xff).ok()?;
    let register = u8::try_from(offset & 0xfff).ok()?;
    Some((Address::new(function >> 3, function), register))
}

/// An access in pieces that a configuration space takes: at most a dword each.
fn pieces(length: usize) -> usize {
    match length {
        8 => 4,
        other => other,
    }
}

impl MemoryDevice for Ecam {
    fn read_memory(&mut self, offset: u64, data: &mut [u8]) -> IoResult<()> {
        let bus = self.0.upgrade().ok_or(IoError::Unmapped)?;
        let size = pieces(data.len());
        let width = Width::from_bytes(size).ok_or(IoError::Width)?;
        for (at, part) in (offset..).step_by(size).zip(data.chunks_mut(size)) {
            let value = match decode(at) {
                Some((address, register)) => bus.read_config(address, register, width),
                None => width.ones(),
            };
            width.store(value, part);
        }
        Ok(())
    }

    fn write_memory(&mut self, offset: u64, data: &[u8]) -> IoResult<Option<Action>> {
        let bus = self.0.upgrade().ok_or(IoError::Unmapped)?;
        let size = pieces(data.len());
        let width = Width::from_bytes(size).ok_or(IoError::Width)?;
        let mut action = None;
        for (at, part) in (offset..).step_by(size).zip(data.chunks(size)) {
            if let Some((address, register)) = decode(at) {
                action = bus
                    .write_config(address, register, width, width.load(part))
                    .or(action);
            }
        }
        Ok(action)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_name_functions_and_registers() {
        for (offset, found) in [
            (0, Some((Address::new(0, 0), 0))),
            (0xf_a0f0, Some((Address::new(31, 2), 0xf0))),
            (0xf_ffff - 0xf00, Some((Address::new(31, 7), 0xff))),
            (0x100, None),
            (0x10_0000, None),
            (u64::MAX, None),
        ] {
            assert_eq!(decode(offset), found, "{offset:#x}");
        }
    }
}
