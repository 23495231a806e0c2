//! One access of the processor to a device: how wide, and how it ended.

/// The width of one access to a port or register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Width {
    /// 8 bits.
    Byte,
    /// 16 bits.
    Word,
    /// 32 bits.
    Dword,
}

impl Width {
    /// Every width, narrowest first.
    pub const ALL: [Self; 3] = [Self::Byte, Self::Word, Self::Dword];

    /// The width of an access of `bytes` bytes: 1, 2 or 4.
    pub fn from_bytes(bytes: usize) -> Option<Self> {
        match bytes {
            1 => Some(Self::Byte),
            2 => Some(Self::Word),
            4 => Some(Self::Dword),
            _ => None,
        }
    }

    /// How many bytes the access moves: 1, 2 or 4.
    pub fn bytes(self) -> usize {
        match self {
            Self::Byte => 1,
            Self::Word => 2,
            Self::Dword => 4,
        }
    }

    /// All the bits an access of this width can carry, set: also what a read that nobody answers returns.
    pub fn ones(self) -> u32 {
        match self {
            Self::Byte => 0xff,
            Self::Word => 0xffff,
            Self::Dword => 0xffff_ffff,
        }
    }

    /// A value of this width from the first bytes of `data`, little endian; missing bytes are zero.
    pub fn load(self, data: &[u8]) -> u32 {
        data.iter()
            .take(self.bytes())
            .rev()
            .fold(0, |value, byte| (value << 8) | u32::from(*byte))
    }

    /// Stores `value` into the first bytes of `data`, little endian; bytes that do not fit are left out.
    pub fn store(self, value: u32, data: &mut [u8]) {
        for (to, from) in data.iter_mut().take(self.bytes()).zip(value.to_le_bytes()) {
            *to = from;
        }
    }
}

/// Why a device did not take an access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IoError {
    /// Nothing answers at this address: a read gives all ones, a write is lost.
    #[error("nothing answers at this address")]
    Unmapped,
    /// The register exists but not at this width: a read gives all ones, a write is lost.
    #[error("the register does not answer an access of this width")]
    Width,
}

/// How an access ended.
pub type IoResult<T> = Result<T, IoError>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_travel_little_endian() {
        let mut data = [0_u8; 4];
        Width::Dword.store(0x1234_5678, &mut data);
        assert_eq!(data, [0x78, 0x56, 0x34, 0x12]);
        assert_eq!(Width::Word.load(&data), 0x5678);
        Width::Word.store(0xaabb_ccdd, &mut data);
        assert_eq!(data, [0xdd, 0xcc, 0x34, 0x12]);
    }

    #[test]
    fn short_buffers_are_neither_overrun_nor_invented() {
        assert_eq!(Width::Dword.load(&[0x11, 0x22]), 0x2211);
        let mut one = [0_u8; 1];
        Width::Dword.store(0xffff_ff07, &mut one);
        assert_eq!(one, [0x07]);
        assert_eq!(Width::from_bytes(3), None);
    }
}
