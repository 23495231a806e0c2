//! Command descriptor blocks. SPC-2 section 4.3, operation codes from SPC-2 and MMC-3.

/// Operation codes.
pub mod operation {
    #![expect(
        missing_docs,
        reason = "the names are the standards' own command names"
    )]
    pub const TEST_UNIT_READY: u8 = 0x00;
    pub const REQUEST_SENSE: u8 = 0x03;
    pub const INQUIRY: u8 = 0x12;
    pub const MODE_SELECT_6: u8 = 0x15;
    pub const MODE_SENSE_6: u8 = 0x1a;
    pub const START_STOP_UNIT: u8 = 0x1b;
    pub const PREVENT_ALLOW_MEDIUM_REMOVAL: u8 = 0x1e;
    pub const READ_CAPACITY: u8 = 0x25;
    pub const READ_10: u8 = 0x28;
    pub const SEEK_10: u8 = 0x2b;
    pub const READ_TOC: u8 = 0x43;
    pub const GET_CONFIGURATION: u8 = 0x46;
    pub const GET_EVENT_STATUS_NOTIFICATION: u8 = 0x4a;
    pub const READ_DISC_INFORMATION: u8 = 0x51;
    pub const READ_TRACK_INFORMATION: u8 = 0x52;
    pub const MODE_SELECT_10: u8 = 0x55;
    pub const MODE_SENSE_10: u8 = 0x5a;
    pub const READ_12: u8 = 0xa8;
    pub const READ_DVD_STRUCTURE: u8 = 0xad;
    pub const READ_CD_MSF: u8 = 0xb9;
    pub const SET_CD_SPEED: u8 = 0xbb;
    pub const MECHANISM_STATUS: u8 = 0xbd;
    pub const READ_CD: u8 = 0xbe;
}

/// One command as the initiator sent it, at most 16 bytes; bytes it did not send read as zero.
#[derive(Debug, Clone, Copy)]
pub struct Command([u8; 16]);

impl Command {
    /// A command from its bytes; what goes beyond 16 is left out.
    pub fn new(bytes: &[u8]) -> Self {
        let mut block = [0; 16];
        for (to, from) in block.iter_mut().zip(bytes) {
            *to = *from;
        }
        Self(block)
    }

    /// The operation code.
    pub fn operation(&self) -> u8 {
        self.0[0]
    }

    /// Byte number `at`; zero beyond the end.
    pub fn byte(&self, at: usize) -> u8 {
        self.0.get(at).copied().unwrap_or(0)
    }

    /// The big-endian number in bytes `at` and `at + 1`.
    pub fn be16(&self, at: usize) -> u16 {
        u16::from_be_bytes([self.byte(at), self.byte(at + 1)])
    }

    /// The big-endian number in the three bytes from `at` on.
    pub fn be24(&self, at: usize) -> u32 {
        u32::from_be_bytes([0, self.byte(at), self.byte(at + 1), self.byte(at + 2)])
    }

    /// The big-endian number in the four bytes from `at` on.
    pub fn be32(&self, at: usize) -> u32 {
        (u32::from(self.be16(at)) << 16) | u32::from(self.be16(at + 2))
    }
}
