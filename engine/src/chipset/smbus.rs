//! The SMBus host controller of the PIIX4, with nothing connected to its bus.
//!
//! Intel 82371AB data sheet, section 7.3. A transaction ends at once with a device error (no device acknowledged its address),
//! which is how drivers find an empty bus.

const HOST_STATUS: u64 = 0;
const HOST_CONTROL: u64 = 2;
const STATUS_DEVICE_ERROR: u8 = 1 << 2;
/// Interrupt, device error, bus error, failed: cleared by writing ones.
const STATUS_CLEARED_BY_ONES: u8 = 0x1e;
const CONTROL_START: u8 = 1 << 6;

/// The host controller's registers.
#[derive(Debug, Default)]
pub(super) struct SmBus {
    status: u8,
    /// Control, command, address, data 0 and data 1: registers 2 to 6.
    registers: [u8; 5],
}

impl SmBus {
    fn index(offset: u64) -> Option<usize> {
        usize::try_from(offset.checked_sub(HOST_CONTROL)?).ok()
    }

    /// The register at `offset`.
    pub(super) fn read(&self, offset: u64) -> u8 {
        if offset == HOST_STATUS {
            return self.status;
        }
        Self::index(offset)
            .and_then(|index| self.registers.get(index))
            .copied()
            .unwrap_or(0)
    }

    /// Writes the register at `offset`.
    pub(super) fn write(&mut self, offset: u64, value: u8) {
        match offset {
            HOST_STATUS => self.status &= !(value & STATUS_CLEARED_BY_ONES),
            HOST_CONTROL => {
                // Start and kill read as 0.
                self.registers[0] = value & 0x1d;
                if value & CONTROL_START != 0 {
                    self.status |= STATUS_DEVICE_ERROR;
                }
            }
            _ => {
                if let Some(register) =
                    Self::index(offset).and_then(|index| self.registers.get_mut(index))
                {
                    *register = value;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_bus_acknowledges_nothing() {
        let mut bus = SmBus::default();
        assert_eq!(bus.read(0), 0);
        bus.write(4, 0xa1);
        bus.write(3, 0x10);
        bus.write(2, 0x48);
        assert_eq!(bus.read(0), 0x04, "done, with a device error");
        assert_eq!((bus.read(2), bus.read(3), bus.read(4)), (0x08, 0x10, 0xa1));
        bus.write(0, 0xff);
        assert_eq!(bus.read(0), 0);
    }

    #[test]
    fn offsets_beyond_the_registers_read_as_zero() {
        let mut bus = SmBus::default();
        for offset in [1, 7, 8, 15, u64::MAX] {
            bus.write(offset, 0xff);
            assert_eq!(bus.read(offset), 0, "{offset}");
        }
    }
}
