//! What drives say of themselves: IDENTIFY DEVICE and IDENTIFY PACKET DEVICE. ATA/ATAPI-6 sections 8.15 and 8.16.

use super::disk::{Disk, LBA28_SECTORS, MAXIMUM_MULTIPLE};

/// The transfer mode the guest selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::storage) enum TransferMode {
    /// PIO only.
    #[default]
    Port,
    /// Multiword DMA, mode 0 to 2.
    Multiword(u8),
    /// Ultra DMA, mode 0 to 5.
    Ultra(u8),
}

impl TransferMode {
    /// SET FEATURES, set transfer mode. False when the drive does not have the mode.
    pub(in crate::storage) fn set(&mut self, value: u8) -> bool {
        let mode = value & 7;
        match value >> 3 {
            0 if mode <= 1 => *self = Self::Port,
            1 if mode <= 4 => *self = Self::Port,
            4 if mode <= 2 => *self = Self::Multiword(mode),
            8 if mode <= 5 => *self = Self::Ultra(mode),
            _ => return false,
        }
        true
    }

    fn words(self) -> (u16, u16) {
        match self {
            Self::Port => (0x0007, 0x003f),
            Self::Multiword(mode) => (0x0007 | (0x100 << mode), 0x003f),
            Self::Ultra(mode) => (0x0007, 0x003f | (0x100 << mode)),
        }
    }
}

const FIRMWARE: &str = "1.0";

struct Words([u16; 256]);

impl Words {
    fn new(values: &[(usize, u16)]) -> Self {
        let mut words = Self([0; 256]);
        for (at, value) in values {
            words.set(*at, *value);
        }
        words
    }

    fn set(&mut self, at: usize, value: u16) {
        if let Some(word) = self.0.get_mut(at) {
            *word = value;
        }
    }

    /// A number of 32 or more bits, low word first.
    fn number(&mut self, at: usize, words: usize, value: u64) {
        for word in 0..words {
            let part = (value >> (16 * word)) & 0xffff;
            self.set(at + word, u16::try_from(part).unwrap_or(0));
        }
    }

    /// Text: two characters a word, the first in the high byte, padded with blanks.
    fn text(&mut self, at: usize, words: usize, text: &str) {
        let mut bytes = text
            .bytes()
            .filter(|byte| byte.is_ascii_graphic() || *byte == b' ')
            .chain(std::iter::repeat(b' '));
        for word in 0..words {
            let pair = [bytes.next().unwrap_or(b' '), bytes.next().unwrap_or(b' ')];
            self.set(at + word, u16::from_be_bytes(pair));
        }
    }

    /// The 512 bytes, with the checksum in the last.
    fn finish(self) -> Vec<u8> {
        let mut data: Vec<u8> = self.0.iter().flat_map(|word| word.to_le_bytes()).collect();
        if let Some((checksum, rest)) = data.split_last_mut() {
            if let Some(signature) = rest.last_mut() {
                *signature = 0xa5;
            }
            let sum = rest.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
            *checksum = sum.wrapping_neg();
        }
        data
    }
}

/// Supported and selected modes, and what both kinds of drive say alike.
fn common(words: &mut Words, mode: TransferMode, serial: &str, model: &str) {
    words.text(10, 10, serial);
    words.text(23, 4, FIRMWARE);
    words.text(27, 20, model);
    let (multiword, ultra) = mode.words();
    for (at, value) in [
        // IORDY (may be disabled), LBA, DMA.
        (49, 0x0f00),
        (50, 0x4000),
        // PIO mode 2 at least.
        (51, 0x0200),
        (52, 0x0200),
        (63, multiword),
        // PIO modes 3 and 4; cycle times of 120 ns.
        (64, 0x0003),
        (65, 120),
        (66, 120),
        (67, 120),
        (68, 120),
        // ATA-1 to ATA/ATAPI-6.
        (80, 0x007e),
        (88, ultra),
        // An 80-conductor cable.
        (93, 0x6001),
    ] {
        words.set(at, value);
    }
}

/// A hard disk's IDENTIFY DEVICE data.
pub(in crate::storage) fn disk(disk: &Disk) -> Vec<u8> {
    let (natural, current) = (disk.natural, disk.current);
    let multiple = u16::from(disk.multiple);
    // READ BUFFER, WRITE BUFFER, NOP, look-ahead, write cache, power management.
    const SUPPORTED: u16 = 0x7068;
    let enabled = 0x7008 | (u16::from(disk.write_cache) << 5) | (u16::from(disk.look_ahead) << 6);
    let mut words = Words::new(&[
        // A fixed disk.
        (0, 0x0040),
        (1, natural.cylinders),
        (3, u16::from(natural.heads)),
        (6, u16::from(natural.sectors)),
        (47, 0x8000 | u16::from(MAXIMUM_MULTIPLE)),
        // Words 54-58, 64-70 and 88 are valid.
        (53, 0x0007),
        (54, current.cylinders),
        (55, u16::from(current.heads)),
        (56, u16::from(current.sectors)),
        (59, if multiple == 0 { 0 } else { 0x0100 | multiple }),
        (82, SUPPORTED),
        // FLUSH CACHE and FLUSH CACHE EXT, 48-bit addresses.
        (83, 0x7400),
        (84, 0x4000),
        (85, enabled),
        (86, 0x3400),
        (87, 0x4000),
    ]);
    common(&mut words, disk.mode, &disk.serial, "Guesthouse Hard Disk");
    if disk.serial_ata {
        for (at, value) in [
            // 32 commands in the queue (75); queueing, 1.5 and 3 Gbit/s (76).
            (75, 31),
            (76, 0x0106),
            // Logs.
            (84, 0x4020),
            (87, 0x4020),
            // No cable of several conductors.
            (93, 0),
        ] {
            words.set(at, value);
        }
    }
    words.number(57, 2, u64::from(current.capacity()));
    words.number(60, 2, disk.sectors().min(LBA28_SECTORS - 1));
    words.number(100, 4, disk.sectors());
    words.finish()
}

/// A CD/DVD drive's IDENTIFY PACKET DEVICE data.
pub(in crate::storage) fn optical(mode: TransferMode, serial: &str) -> Vec<u8> {
    let mut words = Words::new(&[
        // ATAPI, CD/DVD, removable, takes the packet within 50 microseconds, 12 bytes.
        (0, 0x85c0),
        // Words 64-70 and 88 are valid.
        (53, 0x0006),
        // Bus release and service never happen; times to do so.
        (71, 30),
        (72, 30),
        // NOP, DEVICE RESET, PACKET, power management.
        (82, 0x4218),
        (83, 0x4000),
        (84, 0x4000),
        (85, 0x4218),
        (87, 0x4000),
    ]);
    common(&mut words, mode, serial, "Guesthouse DVD-ROM");
    words.finish()
}
