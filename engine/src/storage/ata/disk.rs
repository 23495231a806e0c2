//! A hard disk's commands. ATA/ATAPI-6 section 8; the older ones (RECALIBRATE, SEEK, cylinder/head/sector addresses) after ATA-1.

use std::sync::Arc;

use crate::disk::Image;

use super::identify;
use super::task_file::{TaskFile, device, error};

/// Bytes in a sector.
pub(in crate::storage) const SECTOR: u64 = 512;
/// The most sectors of a READ or WRITE MULTIPLE block.
pub(in crate::storage) const MAXIMUM_MULTIPLE: u8 = 16;
/// The sectors that 28 bits address.
pub(in crate::storage) const LBA28_SECTORS: u64 = 1 << 28;

/// Cylinders, heads and sectors per track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::storage) struct Geometry {
    pub(in crate::storage) cylinders: u16,
    pub(in crate::storage) heads: u8,
    pub(in crate::storage) sectors: u8,
}

impl Geometry {
    /// What a disk of `sectors` says of itself: 16 heads, 63 sectors, at most 16,383 cylinders.
    fn natural(sectors: u64) -> Self {
        Self::with(sectors, 16, 63)
    }

    fn with(total: u64, heads: u8, sectors: u8) -> Self {
        let per_cylinder = (u64::from(heads) * u64::from(sectors)).max(1);
        let cylinders = (total / per_cylinder).clamp(1, 16_383);
        Self {
            cylinders: u16::try_from(cylinders).unwrap_or(16_383),
            heads,
            sectors,
        }
    }

    /// How many sectors it addresses.
    pub(in crate::storage) fn capacity(self) -> u32 {
        u32::from(self.cylinders) * u32::from(self.heads) * u32::from(self.sectors)
    }

    fn address(self, registers: &TaskFile) -> Option<u64> {
        let cylinder = registers.byte_count();
        let head = registers.device & 0x0f;
        let sector = registers.low.current;
        if cylinder >= self.cylinders || head >= self.heads || sector > self.sectors {
            return None;
        }
        let track = u64::from(cylinder) * u64::from(self.heads) + u64::from(head);
        Some(track * u64::from(self.sectors) + u64::from(sector.checked_sub(1)?))
    }
}

/// What the drive does when the guest leaves it alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Power {
    Active,
    Idle,
    Standby,
}

/// A hard disk.
pub(in crate::storage) struct Disk {
    pub(in crate::storage) image: Arc<dyn Image>,
    sectors: u64,
    pub(in crate::storage) serial: String,
    pub(in crate::storage) natural: Geometry,
    pub(in crate::storage) current: Geometry,
    /// Sectors per block of the MULTIPLE commands; 0 before SET MULTIPLE MODE.
    pub(in crate::storage) multiple: u8,
    pub(in crate::storage) write_cache: bool,
    pub(in crate::storage) look_ahead: bool,
    pub(in crate::storage) mode: identify::TransferMode,
    /// It is a Serial ATA disk, which queues commands.
    pub(in crate::storage) serial_ata: bool,
    /// The queued command that failed last, until the guest has asked for it.
    pub(in crate::storage) failed: Option<FailedCommand>,
    power: Power,
    buffer: Vec<u8>,
}

/// A queued command that failed, for the log by which the guest finds out which one it was.
#[derive(Debug, Clone, Copy)]
pub(in crate::storage) struct FailedCommand {
    pub(in crate::storage) tag: u8,
    /// Its registers, with the status and the error.
    pub(in crate::storage) registers: TaskFile,
}

impl Disk {
    pub(in crate::storage) fn new(image: Arc<dyn Image>, serial: String) -> Self {
        let sectors = (image.size() / SECTOR).min((1 << 48) - 1);
        let natural = Geometry::natural(sectors);
        Self {
            image,
            sectors,
            serial,
            natural,
            current: natural,
            multiple: 0,
            write_cache: true,
            look_ahead: true,
            mode: identify::TransferMode::default(),
            serial_ata: false,
            failed: None,
            power: Power::Active,
            buffer: Vec::new(),
        }
    }

    /// A Serial ATA disk.
    pub(in crate::storage) fn serial_ata(image: Arc<dyn Image>, serial: String) -> Self {
        Self {
            serial_ata: true,
            ..Self::new(image, serial)
        }
    }

    /// The sectors of the disk.
    pub(in crate::storage) fn sectors(&self) -> u64 {
        self.sectors
    }

    pub(in crate::storage) fn write_cache(&self) -> bool {
        self.write_cache
    }

    pub(in crate::storage) fn set_buffer(&mut self, data: Vec<u8>) {
        self.buffer = data;
    }

    /// A software reset leaves what the guest has set.
    pub(in crate::storage) fn soft_reset(&mut self) {
        self.power = Power::Active;
    }

    pub(in crate::storage) fn power_on(&mut self) {
        *self = Self {
            serial_ata: self.serial_ata,
            ..Self::new(Arc::clone(&self.image), std::mem::take(&mut self.serial))
        };
    }
}

/// Where a command starts and how far it goes.
struct Range {
    first: u64,
    count: u64,
}

/// What a command does to sectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::storage) enum Access {
    Read(Block),
    Write(Block),
    Verify,
}

/// In which blocks sectors go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::storage) enum Block {
    /// One sector a block, through the data port.
    Sector,
    /// As many sectors a block as the guest has set, through the data port.
    Multiple,
    /// By direct memory access.
    Direct,
}

/// What is to be done to carry a command out. The registers show everything that does not depend on how that goes.
pub(in crate::storage) enum Effect {
    /// Nothing more.
    Complete,
    /// The command failed, with this in the error register.
    Fail(u8),
    /// The guest gets this, one sector.
    Answer(Vec<u8>),
    /// The guest gives one sector for [`Disk::set_buffer`].
    TakeBuffer,
    /// Bytes of the image are read, written or verified.
    Sectors {
        access: Access,
        /// In bytes.
        offset: u64,
        /// In bytes.
        length: u64,
    },
    /// What was written goes to the device that holds the image.
    Flush,
    /// The same, and the drive sleeps until it is reset.
    Sleep,
}

impl Disk {
    /// Carries out command `code` with what `registers` say, as far as that needs no image.
    pub(in crate::storage) fn execute(&mut self, registers: &mut TaskFile, code: u8) -> Effect {
        use Access::{Read, Verify, Write};
        match code {
            0x20 | 0x21 => self.sectors_command(registers, false, Read(Block::Sector)),
            0x24 => self.sectors_command(registers, true, Read(Block::Sector)),
            0x25 => self.sectors_command(registers, true, Read(Block::Direct)),
            0x29 => self.sectors_command(registers, true, Read(Block::Multiple)),
            0x30 | 0x31 => self.sectors_command(registers, false, Write(Block::Sector)),
            0x34 => self.sectors_command(registers, true, Write(Block::Sector)),
            0x35 => self.sectors_command(registers, true, Write(Block::Direct)),
            0x39 => self.sectors_command(registers, true, Write(Block::Multiple)),
            0x40 | 0x41 => self.sectors_command(registers, false, Verify),
            0x42 => self.sectors_command(registers, true, Verify),
            0xc4 => self.sectors_command(registers, false, Read(Block::Multiple)),
            0xc5 => self.sectors_command(registers, false, Write(Block::Multiple)),
            0xc8 | 0xc9 => self.sectors_command(registers, false, Read(Block::Direct)),
            0xca | 0xcb => self.sectors_command(registers, false, Write(Block::Direct)),
            // RECALIBRATE
            0x10..=0x1f => Effect::Complete,
            // SEEK
            0x70..=0x7f => match self.range(registers, false) {
                Some(range) if range.first < self.sectors => Effect::Complete,
                _ => Effect::Fail(error::NO_ADDRESS),
            },
            // INITIALIZE DEVICE PARAMETERS
            0x91 => {
                let heads = (registers.device & 0x0f) + 1;
                match registers.count.current {
                    0 => Effect::Fail(error::ABORTED),
                    sectors => {
                        self.current = Geometry::with(self.sectors, heads, sectors);
                        Effect::Complete
                    }
                }
            }
            // SET MULTIPLE MODE
            0xc6 => {
                let count = registers.count.current;
                if count == 0 || (count.is_power_of_two() && count <= MAXIMUM_MULTIPLE) {
                    self.multiple = count;
                    Effect::Complete
                } else {
                    Effect::Fail(error::ABORTED)
                }
            }
            // FLUSH CACHE (EXT)
            0xe7 | 0xea => Effect::Flush,
            // STANDBY (IMMEDIATE): what is in the cache goes to the disk before it stops.
            0xe0 | 0xe2 | 0x94 | 0x96 => {
                self.power = Power::Standby;
                Effect::Flush
            }
            // IDLE (IMMEDIATE)
            0xe1 | 0xe3 | 0x95 | 0x97 => {
                self.power = Power::Idle;
                Effect::Complete
            }
            // CHECK POWER MODE
            0xe5 | 0x98 => {
                registers.count.set(match self.power {
                    Power::Active => 0xff,
                    Power::Idle => 0x80,
                    Power::Standby => 0x00,
                });
                Effect::Complete
            }
            // SLEEP: only a reset wakes it.
            0xe6 | 0x99 => Effect::Sleep,
            // READ BUFFER
            0xe4 => {
                let mut data = self.buffer.clone();
                data.resize(512, 0);
                Effect::Answer(data)
            }
            // WRITE BUFFER
            0xe8 => Effect::TakeBuffer,
            // IDENTIFY DEVICE
            0xec => Effect::Answer(identify::disk(self)),
            // SET FEATURES
            0xef => self.set_features(registers),
            // READ NATIVE MAX ADDRESS
            0xf8 => {
                let last = self.sectors.min(LBA28_SECTORS).saturating_sub(1);
                registers.set_lba(last, false);
                Effect::Complete
            }
            // READ NATIVE MAX ADDRESS EXT
            0x27 => {
                registers.set_lba(self.sectors.saturating_sub(1), true);
                Effect::Complete
            }
            // READ LOG EXT
            0x2f if self.serial_ata => self.read_log(registers),
            // NOP, SMART, security, packets and what else there is.
            _ => Effect::Fail(error::ABORTED),
        }
    }

    /// The logs of a disk that queues commands: which ones there are (0), and which command failed (0x10).
    fn read_log(&mut self, registers: &TaskFile) -> Effect {
        const DIRECTORY: u8 = 0x00;
        const QUEUED_ERROR: u8 = 0x10;
        const NOT_QUEUED: u8 = 1 << 7;
        let page = u16::from_le_bytes([registers.middle.current, registers.middle.previous]);
        if page != 0 || registers.count48() != 1 {
            return Effect::Fail(error::ABORTED);
        }
        let mut log = [0; 512];
        match registers.low.current {
            DIRECTORY => {
                // The version, and how many pages the other log has.
                log[0] = 1;
                log[2 * usize::from(QUEUED_ERROR)] = 1;
            }
            QUEUED_ERROR => match self.failed.take() {
                None => log[0] = NOT_QUEUED,
                Some(FailedCommand { tag, registers }) => {
                    log[0] = tag;
                    for (at, value) in [
                        (2, registers.status),
                        (3, registers.error),
                        (4, registers.low.current),
                        (5, registers.middle.current),
                        (6, registers.high.current),
                        (7, registers.device),
                        (8, registers.low.previous),
                        (9, registers.middle.previous),
                        (10, registers.high.previous),
                        (12, registers.count.current),
                        (13, registers.count.previous),
                    ] {
                        log[at] = value;
                    }
                }
            },
            _ => return Effect::Fail(error::ABORTED),
        }
        if registers.low.current == QUEUED_ERROR {
            let sum = log.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
            log[511] = sum.wrapping_neg();
        }
        Effect::Answer(log.to_vec())
    }

    /// First byte and length of what a queued command names, whose sectors are counted in the features register; else what the
    /// error register says.
    pub(in crate::storage) fn queued_sectors(
        &mut self,
        registers: &mut TaskFile,
        write: bool,
    ) -> Result<(u64, u64), u8> {
        self.power = Power::Active;
        if registers.device & device::LBA == 0 || write && self.image.read_only() {
            return Err(error::ABORTED);
        }
        let first = registers.lba48();
        let count =
            match u16::from_le_bytes([registers.features.current, registers.features.previous]) {
                0 => 0x1_0000,
                count => u64::from(count),
            };
        if first.saturating_add(count) > self.sectors {
            registers.set_lba(first.max(self.sectors), true);
            return Err(error::NO_ADDRESS);
        }
        Ok((first * SECTOR, count * SECTOR))
    }

    fn set_features(&mut self, registers: &TaskFile) -> Effect {
        match registers.features.current {
            0x02 => self.write_cache = true,
            // What is cached goes to the disk first.
            0x82 => {
                self.write_cache = false;
                return Effect::Flush;
            }
            0x03 => {
                if !self.mode.set(registers.count.current) {
                    return Effect::Fail(error::ABORTED);
                }
            }
            0xaa => self.look_ahead = true,
            0x55 => self.look_ahead = false,
            // Whether a software reset restores the defaults: it never does.
            0x66 => {}
            _ => return Effect::Fail(error::ABORTED),
        }
        Effect::Complete
    }

    /// The sectors that the registers name.
    fn range(&self, registers: &TaskFile, wide: bool) -> Option<Range> {
        let logical = registers.device & device::LBA != 0;
        let first = match (wide, logical) {
            (true, true) => registers.lba48(),
            (true, false) => return None,
            (false, true) => registers.lba28(),
            (false, false) => self.current.address(registers)?,
        };
        let count = if wide {
            registers.count48()
        } else {
            registers.count28()
        };
        Some(Range {
            first,
            count: u64::from(count),
        })
    }

    fn sectors_command(&mut self, registers: &mut TaskFile, wide: bool, access: Access) -> Effect {
        let range = self.range(registers, wide);
        self.power = Power::Active;
        let multiple = matches!(
            access,
            Access::Read(Block::Multiple) | Access::Write(Block::Multiple)
        );
        if multiple && self.multiple == 0 {
            return Effect::Fail(error::ABORTED);
        }
        if matches!(access, Access::Write(_)) && self.image.read_only() {
            return Effect::Fail(error::ABORTED);
        }
        let Some(range) = range else {
            return Effect::Fail(error::NO_ADDRESS);
        };
        if range.first.saturating_add(range.count) > self.sectors {
            show_sector(registers, range.first.max(self.sectors), wide);
            return Effect::Fail(error::NO_ADDRESS);
        }
        Effect::Sectors {
            access,
            offset: range.first * SECTOR,
            length: range.count * SECTOR,
        }
    }
}

/// Shows in the registers which sector a command failed at, by the byte of the image.
pub(in crate::storage) fn show_failed_sector(registers: &mut TaskFile, offset: u64) {
    let sector = offset / SECTOR;
    show_sector(registers, sector, sector >= LBA28_SECTORS);
}

fn show_sector(registers: &mut TaskFile, sector: u64, wide: bool) {
    if registers.device & device::LBA != 0 {
        registers.set_lba(sector, wide);
    }
}
