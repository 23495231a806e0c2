//! The command block registers of one drive. ATA/ATAPI-6 section 7.

/// Status register bits.
pub(in crate::storage) mod status {
    /// Busy: no other bit, and no other register, means anything.
    pub(in crate::storage) const BUSY: u8 = 0x80;
    /// Ready for commands.
    pub(in crate::storage) const READY: u8 = 0x40;
    /// Seek complete.
    pub(in crate::storage) const SEEK: u8 = 0x10;
    /// The data port wants to be read or written.
    pub(in crate::storage) const DATA: u8 = 0x08;
    /// The last command failed; the error register says how.
    pub(in crate::storage) const ERROR: u8 = 0x01;
}

/// Error register bits.
pub(in crate::storage) mod error {
    /// The data cannot be read.
    pub(in crate::storage) const UNCORRECTABLE: u8 = 0x40;
    /// There is no such sector.
    pub(in crate::storage) const NO_ADDRESS: u8 = 0x10;
    /// The command was not carried out.
    pub(in crate::storage) const ABORTED: u8 = 0x04;
    /// Not an error: after a reset, that the diagnostics passed.
    pub(in crate::storage) const DIAGNOSTICS_PASSED: u8 = 0x01;
}

/// Device register bits.
pub(in crate::storage) mod device {
    /// Bits that old drives always read as one.
    pub(in crate::storage) const ALWAYS: u8 = 0xa0;
    /// The address is a logical block address.
    pub(in crate::storage) const LBA: u8 = 0x40;
    /// Drive 1 of the channel.
    pub(in crate::storage) const SECOND: u8 = 0x10;
}

/// A register that remembers what was written before, for the 48-bit commands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::storage) struct Pair {
    pub(in crate::storage) current: u8,
    pub(in crate::storage) previous: u8,
}

impl Pair {
    pub(in crate::storage) fn write(&mut self, value: u8) {
        self.previous = self.current;
        self.current = value;
    }

    pub(in crate::storage) fn set(&mut self, current: u8) {
        self.current = current;
    }

    fn read(self, previous: bool) -> u8 {
        if previous {
            self.previous
        } else {
            self.current
        }
    }
}

/// The command block registers.
#[derive(Debug, Clone, Copy)]
pub(in crate::storage) struct TaskFile {
    pub(in crate::storage) features: Pair,
    pub(in crate::storage) count: Pair,
    pub(in crate::storage) low: Pair,
    pub(in crate::storage) middle: Pair,
    pub(in crate::storage) high: Pair,
    pub(in crate::storage) device: u8,
    pub(in crate::storage) status: u8,
    pub(in crate::storage) error: u8,
}

/// What a drive is, as it shows in the signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::storage) enum Signature {
    /// A hard disk.
    Ata,
    /// A drive that takes packets.
    Atapi,
}

impl TaskFile {
    /// Registers of a place with no drive.
    pub(in crate::storage) fn absent() -> Self {
        let zero = Pair::default();
        Self {
            features: zero,
            count: zero,
            low: zero,
            middle: zero,
            high: zero,
            device: device::ALWAYS,
            status: 0,
            error: 0,
        }
    }

    /// Writes one of the registers 1 to 6.
    pub(in crate::storage) fn write(&mut self, register: u16, value: u8) {
        match register {
            1 => self.features.write(value),
            2 => self.count.write(value),
            3 => self.low.write(value),
            4 => self.middle.write(value),
            5 => self.high.write(value),
            6 => self.device = value | device::ALWAYS,
            _ => {}
        }
    }

    /// Reads one of the registers 1 to 6; with `previous` set, what was written before the last time.
    pub(in crate::storage) fn read(&self, register: u16, previous: bool) -> u8 {
        match register {
            1 => self.error,
            2 => self.count.read(previous),
            3 => self.low.read(previous),
            4 => self.middle.read(previous),
            5 => self.high.read(previous),
            6 => self.device,
            _ => 0,
        }
    }

    /// The signature that tells what the drive is. ATA/ATAPI-6 section 9.12.
    pub(in crate::storage) fn set_signature(&mut self, signature: Signature) {
        let (middle, high) = match signature {
            Signature::Ata => (0x00, 0x00),
            Signature::Atapi => (0x14, 0xeb),
        };
        self.count = Pair {
            current: 1,
            previous: 0,
        };
        self.low = Pair {
            current: 1,
            previous: 0,
        };
        self.middle = Pair {
            current: middle,
            previous: 0,
        };
        self.high = Pair {
            current: high,
            previous: 0,
        };
    }

    /// Sets address registers to what names sector `sector`: a 48-bit address, a 28-bit one or a cylinder, head and sector.
    pub(in crate::storage) fn set_lba(&mut self, sector: u64, wide: bool) {
        let bytes = sector.to_le_bytes();
        self.low.current = bytes[0];
        self.middle.current = bytes[1];
        self.high.current = bytes[2];
        if wide {
            self.low.previous = bytes[3];
            self.middle.previous = bytes[4];
            self.high.previous = bytes[5];
        } else {
            self.device = (self.device & 0xf0) | (bytes[3] & 0x0f);
        }
    }

    /// The 28-bit address.
    pub(in crate::storage) fn lba28(&self) -> u64 {
        u64::from(u32::from_le_bytes([
            self.low.current,
            self.middle.current,
            self.high.current,
            self.device & 0x0f,
        ]))
    }

    /// The 48-bit address.
    pub(in crate::storage) fn lba48(&self) -> u64 {
        u64::from_le_bytes([
            self.low.current,
            self.middle.current,
            self.high.current,
            self.low.previous,
            self.middle.previous,
            self.high.previous,
            0,
            0,
        ])
    }

    /// The number of sectors of a 28-bit command: 1 to 256.
    pub(in crate::storage) fn count28(&self) -> u32 {
        match self.count.current {
            0 => 256,
            count => u32::from(count),
        }
    }

    /// The number of sectors of a 48-bit command: 1 to 65,536.
    pub(in crate::storage) fn count48(&self) -> u32 {
        match u16::from_le_bytes([self.count.current, self.count.previous]) {
            0 => 0x1_0000,
            count => u32::from(count),
        }
    }

    /// The middle and high register together: cylinder, or a packet command's byte count.
    pub(in crate::storage) fn byte_count(&self) -> u16 {
        u16::from_le_bytes([self.middle.current, self.high.current])
    }

    pub(in crate::storage) fn set_byte_count(&mut self, count: u16) {
        let [low, high] = count.to_le_bytes();
        self.middle.current = low;
        self.high.current = high;
    }
}
