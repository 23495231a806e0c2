//! What the battery-backed memory tells firmware of the machine: memory sizes, drives, boot order, processors.
//!
//! The layout is the IBM PC/AT's with the additions that SeaBIOS and OVMF read on virtual machines: 0x34/0x35 and 0x5b to 0x5d
//! for memory beyond 16 MiB and 4 GiB, 0x38/0x3d for the boot order, 0x5f for the processors.

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
/// 640 KiB, as ever.
const BASE_MEMORY_KIB: u64 = 640;
const EQUIPMENT_COPROCESSOR: u8 = 0x02;
const EQUIPMENT_MOUSE: u8 = 0x04;
const EQUIPMENT_FLOPPY: u8 = 0x01;
const FLOPPY_1_44_MB: u8 = 4;
/// The bytes that the checksum in 0x2e and 0x2f is the sum of.
const CHECKED: std::ops::Range<usize> = 0x10..0x2e;

/// What a machine may be started from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BootDevice {
    /// A floppy disk.
    Floppy,
    /// The first hard disk.
    Disk,
    /// An optical drive.
    Optical,
    /// The network.
    Network,
}

impl BootDevice {
    fn number(self) -> u8 {
        match self {
            Self::Floppy => 1,
            Self::Disk => 2,
            Self::Optical => 3,
            Self::Network => 4,
        }
    }
}

/// What firmware is told of the machine.
#[derive(Debug, Clone, Default)]
pub struct Configuration {
    /// Main memory below 4 GiB, in bytes.
    pub memory_below_4_gib: u64,
    /// Main memory from 4 GiB on, in bytes.
    pub memory_above_4_gib: u64,
    /// How many processors start: at least 1, of which 256 can be told.
    pub processors: u32,
    /// What to start from, in this order; the first three count.
    pub boot_order: Vec<BootDevice>,
    /// How many 1.44 MB floppy drives there are; two can be told.
    pub floppy_drives: u8,
}

impl Configuration {
    /// Writes it into the 128 bytes of the memory.
    pub(super) fn store(&self, memory: &mut [u8; 128]) {
        let extended = (self.memory_below_4_gib.saturating_sub(MIB) / KIB).min(0xffff);
        let beyond_16_mib =
            (self.memory_below_4_gib.saturating_sub(16 * MIB) / (64 * KIB)).min(0xffff);
        let beyond_4_gib = (self.memory_above_4_gib / (64 * KIB)).min(0xff_ffff);
        let mut put = |at: usize, value: u64, bytes: usize| {
            for (to, from) in memory
                .iter_mut()
                .skip(at)
                .take(bytes)
                .zip(value.to_le_bytes())
            {
                *to = from;
            }
        };
        put(0x15, BASE_MEMORY_KIB, 2);
        put(0x17, extended, 2);
        put(0x30, extended, 2);
        put(0x34, beyond_16_mib, 2);
        put(0x5b, beyond_4_gib, 3);
        put(0x5f, u64::from(self.processors.clamp(1, 256) - 1), 1);
        let boot = |place: usize| {
            self.boot_order
                .get(place)
                .map_or(0, |device| device.number())
        };
        memory[0x38] = boot(2) << 4;
        memory[0x3d] = boot(1) << 4 | boot(0);
        let drives = self.floppy_drives.min(2);
        memory[0x10] = match drives {
            0 => 0,
            1 => FLOPPY_1_44_MB << 4,
            _ => FLOPPY_1_44_MB << 4 | FLOPPY_1_44_MB,
        };
        memory[0x14] = EQUIPMENT_COPROCESSOR
            | EQUIPMENT_MOUSE
            | match drives {
                0 => 0,
                more => EQUIPMENT_FLOPPY | (more - 1) << 6,
            };
        let sum = memory[CHECKED]
            .iter()
            .fold(0_u16, |sum, byte| sum.wrapping_add(u16::from(*byte)));
        let [low, high] = sum.to_le_bytes();
        memory[0x2e] = high;
        memory[0x2f] = low;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(configuration: &Configuration) -> [u8; 128] {
        let mut memory = [0; 128];
        configuration.store(&mut memory);
        memory
    }

    #[test]
    fn sizes_are_where_firmware_looks_for_them() {
        let memory = stored(&Configuration {
            memory_below_4_gib: 256 * MIB,
            memory_above_4_gib: 5 << 30,
            processors: 4,
            boot_order: vec![BootDevice::Optical, BootDevice::Disk, BootDevice::Network],
            floppy_drives: 1,
        });
        for (at, value) in [
            (0x15, 0x80),
            (0x16, 0x02),
            (0x17, 0xff),
            (0x18, 0xff),
            (0x30, 0xff),
            (0x34, 0x00),
            (0x35, 0x0f),
            (0x5b, 0x00),
            (0x5c, 0x40),
            (0x5d, 0x01),
            (0x5f, 0x03),
            (0x38, 0x40),
            (0x3d, 0x23),
            (0x10, 0x40),
            (0x14, 0x07),
            (0x2e, 0x02),
            (0x2f, 0xc7),
        ] {
            assert_eq!(memory[at], value, "{at:#x}");
        }
    }

    #[test]
    fn small_and_enormous_machines_fit() {
        let memory = stored(&Configuration {
            memory_below_4_gib: 8 * MIB,
            ..Configuration::default()
        });
        assert_eq!(memory[0x17..0x19], [0x00, 0x1c]);
        assert_eq!(memory[0x34..0x36], [0, 0]);
        assert_eq!((memory[0x5f], memory[0x3d], memory[0x14]), (0, 0, 0x06));
        let memory = stored(&Configuration {
            memory_below_4_gib: u64::MAX,
            memory_above_4_gib: u64::MAX,
            processors: u32::MAX,
            boot_order: vec![BootDevice::Floppy; 9],
            floppy_drives: 255,
        });
        assert_eq!(memory[0x5b..0x5e], [0xff; 3]);
        assert_eq!((memory[0x5f], memory[0x14]), (0xff, 0x47));
    }
}
