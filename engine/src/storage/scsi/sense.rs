//! Sense data: why a command failed, or what the initiator must know before it goes on. SPC-2 section 7.23.

/// The class of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum SenseKey {
    /// Nothing to report.
    NoSense = 0,
    /// The drive cannot reach its medium.
    NotReady = 2,
    /// The medium, or the image that stands for it, could not be read.
    MediumError = 3,
    /// The command is wrong.
    IllegalRequest = 5,
    /// Something changed since the last command.
    UnitAttention = 6,
}

/// One piece of sense data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sense {
    /// The class.
    pub key: SenseKey,
    /// Additional sense code.
    pub code: u8,
    /// Additional sense code qualifier.
    pub qualifier: u8,
}

impl Sense {
    /// Nothing to report.
    pub const NONE: Self = Self::new(SenseKey::NoSense, 0, 0);
    /// There is no medium.
    pub const MEDIUM_NOT_PRESENT: Self = Self::new(SenseKey::NotReady, 0x3a, 0x00);
    /// The image could not be read.
    pub const UNRECOVERED_READ_ERROR: Self = Self::new(SenseKey::MediumError, 0x11, 0x00);
    /// A parameter list is shorter than what it says.
    pub const PARAMETER_LIST_LENGTH: Self = Self::new(SenseKey::IllegalRequest, 0x1a, 0x00);
    /// The drive does not know the command.
    pub const INVALID_COMMAND: Self = Self::new(SenseKey::IllegalRequest, 0x20, 0x00);
    /// The medium ends before the addressed block.
    pub const ADDRESS_OUT_OF_RANGE: Self = Self::new(SenseKey::IllegalRequest, 0x21, 0x00);
    /// A field of the command has a value that the drive does not know.
    pub const INVALID_FIELD: Self = Self::new(SenseKey::IllegalRequest, 0x24, 0x00);
    /// What is asked for does not exist on a medium of this kind.
    pub const ILLEGAL_MODE_FOR_TRACK: Self = Self::new(SenseKey::IllegalRequest, 0x64, 0x00);
    /// The medium is of another kind than the command is for.
    pub const INCOMPATIBLE_FORMAT: Self = Self::new(SenseKey::IllegalRequest, 0x30, 0x02);
    /// Parameters cannot be kept over a power cycle.
    pub const SAVING_NOT_SUPPORTED: Self = Self::new(SenseKey::IllegalRequest, 0x39, 0x00);
    /// The tray is locked.
    pub const REMOVAL_PREVENTED: Self = Self::new(SenseKey::IllegalRequest, 0x53, 0x02);
    /// Another medium may be in the drive.
    pub const MEDIUM_CHANGED: Self = Self::new(SenseKey::UnitAttention, 0x28, 0x00);
    /// The drive was switched on or reset.
    pub const POWER_ON: Self = Self::new(SenseKey::UnitAttention, 0x29, 0x00);

    /// Key, additional sense code and its qualifier.
    pub const fn new(key: SenseKey, code: u8, qualifier: u8) -> Self {
        Self {
            key,
            code,
            qualifier,
        }
    }

    /// The sense key as the number it travels as.
    pub fn key_number(self) -> u8 {
        self.key as u8
    }

    /// The 18 bytes of fixed-format sense data for a current error.
    pub fn fixed_format(self) -> [u8; 18] {
        let mut data = [0; 18];
        data[0] = 0x70;
        data[2] = self.key_number();
        data[7] = 10;
        data[12] = self.code;
        data[13] = self.qualifier;
        data
    }
}
