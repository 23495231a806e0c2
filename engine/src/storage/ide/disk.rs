//! A hard disk's commands. ATA/ATAPI-6 section 8; the older ones (RECALIBRATE, SEEK, cylinder/head/sector addresses) after ATA-1.

use std::sync::Arc;

use crate::disk::Image;

use super::adapter::Adapter;
use super::identify;
use super::task_file::{TaskFile, device, error};
use super::unit::{Direction, Drive, Phase, Sink, Transfer, Unit, Way};
use super::worker::Task;

/// Bytes in a sector.
pub(super) const SECTOR: u64 = 512;
/// The most sectors of a READ or WRITE MULTIPLE block.
pub(super) const MAXIMUM_MULTIPLE: u8 = 16;
/// The sectors that 28 bits address.
pub(super) const LBA28_SECTORS: u64 = 1 << 28;

/// Cylinders, heads and sectors per track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Geometry {
    pub(super) cylinders: u16,
    pub(super) heads: u8,
    pub(super) sectors: u8,
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
    pub(super) fn capacity(self) -> u32 {
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
pub(super) struct Disk {
    pub(super) image: Arc<dyn Image>,
    sectors: u64,
    pub(super) serial: String,
    pub(super) natural: Geometry,
    pub(super) current: Geometry,
    /// Sectors per block of the MULTIPLE commands; 0 before SET MULTIPLE MODE.
    pub(super) multiple: u8,
    pub(super) write_cache: bool,
    pub(super) look_ahead: bool,
    pub(super) mode: identify::TransferMode,
    power: Power,
    buffer: Vec<u8>,
}

impl Disk {
    pub(super) fn new(image: Arc<dyn Image>, serial: String) -> Self {
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
            power: Power::Active,
            buffer: Vec::new(),
        }
    }

    /// The sectors of the disk.
    pub(super) fn sectors(&self) -> u64 {
        self.sectors
    }

    pub(super) fn write_cache(&self) -> bool {
        self.write_cache
    }

    pub(super) fn set_buffer(&mut self, data: Vec<u8>) {
        self.buffer = data;
    }

    /// A software reset leaves what the guest has set.
    pub(super) fn soft_reset(&mut self) {
        self.power = Power::Active;
    }

    pub(super) fn power_on(&mut self) {
        *self = Self::new(Arc::clone(&self.image), std::mem::take(&mut self.serial));
    }
}

/// Where a command starts and how far it goes.
struct Range {
    first: u64,
    count: u64,
}

/// What a command does to sectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Read(Block),
    Write(Block),
    Verify,
}

/// In which blocks sectors go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    Sector,
    Multiple,
    BusMaster,
}

impl Unit {
    pub(super) fn disk_command(&mut self, adapter: &mut Adapter, code: u8) {
        let Drive::Disk(disk) = &mut self.drive else {
            return;
        };
        match code {
            0x20 | 0x21 => self.sectors(adapter, false, Access::Read(Block::Sector)),
            0x24 => self.sectors(adapter, true, Access::Read(Block::Sector)),
            0x25 => self.sectors(adapter, true, Access::Read(Block::BusMaster)),
            0x29 => self.sectors(adapter, true, Access::Read(Block::Multiple)),
            0x30 | 0x31 => self.sectors(adapter, false, Access::Write(Block::Sector)),
            0x34 => self.sectors(adapter, true, Access::Write(Block::Sector)),
            0x35 => self.sectors(adapter, true, Access::Write(Block::BusMaster)),
            0x39 => self.sectors(adapter, true, Access::Write(Block::Multiple)),
            0x40 | 0x41 => self.sectors(adapter, false, Access::Verify),
            0x42 => self.sectors(adapter, true, Access::Verify),
            0xc4 => self.sectors(adapter, false, Access::Read(Block::Multiple)),
            0xc5 => self.sectors(adapter, false, Access::Write(Block::Multiple)),
            0xc8 | 0xc9 => self.sectors(adapter, false, Access::Read(Block::BusMaster)),
            0xca | 0xcb => self.sectors(adapter, false, Access::Write(Block::BusMaster)),
            // RECALIBRATE
            0x10..=0x1f => self.complete(adapter),
            // SEEK
            0x70..=0x7f => match self.range(false) {
                Some(range) if range.first < self.disk_sectors() => self.complete(adapter),
                _ => self.fail(adapter, error::NO_ADDRESS),
            },
            // INITIALIZE DEVICE PARAMETERS
            0x91 => {
                let heads = (self.registers.device & 0x0f) + 1;
                match self.registers.count.current {
                    0 => self.fail(adapter, error::ABORTED),
                    sectors => {
                        disk.current = Geometry::with(disk.sectors(), heads, sectors);
                        self.complete(adapter);
                    }
                }
            }
            // SET MULTIPLE MODE
            0xc6 => {
                let count = self.registers.count.current;
                if count == 0 || (count.is_power_of_two() && count <= MAXIMUM_MULTIPLE) {
                    disk.multiple = count;
                    self.complete(adapter);
                } else {
                    self.fail(adapter, error::ABORTED);
                }
            }
            // FLUSH CACHE (EXT)
            0xe7 | 0xea => self.flush(),
            // STANDBY (IMMEDIATE): what is in the cache goes to the disk before it stops.
            0xe0 | 0xe2 | 0x94 | 0x96 => {
                disk.power = Power::Standby;
                self.flush();
            }
            // IDLE (IMMEDIATE)
            0xe1 | 0xe3 | 0x95 | 0x97 => {
                disk.power = Power::Idle;
                self.complete(adapter);
            }
            // CHECK POWER MODE
            0xe5 | 0x98 => {
                self.registers.count.set(match disk.power {
                    Power::Active => 0xff,
                    Power::Idle => 0x80,
                    Power::Standby => 0x00,
                });
                self.complete(adapter);
            }
            // SLEEP: only a reset wakes it.
            0xe6 | 0x99 => {
                self.asleep = true;
                self.flush();
            }
            // READ BUFFER
            0xe4 => {
                let mut data = disk.buffer.clone();
                data.resize(512, 0);
                self.begin(adapter, Transfer::answer(Way::Port(512), data));
            }
            // WRITE BUFFER
            0xe8 => self.begin(
                adapter,
                Transfer::for_drive(Way::Port(512), Sink::Buffer, SECTOR),
            ),
            // IDENTIFY DEVICE
            0xec => {
                let data = identify::disk(disk);
                self.begin(adapter, Transfer::answer(Way::Port(512), data));
            }
            // SET FEATURES
            0xef => self.set_disk_features(adapter),
            // READ NATIVE MAX ADDRESS
            0xf8 => {
                let last = disk.sectors().min(LBA28_SECTORS).saturating_sub(1);
                self.registers.set_lba(last, false);
                self.complete(adapter);
            }
            // READ NATIVE MAX ADDRESS EXT
            0x27 => {
                let last = disk.sectors().saturating_sub(1);
                self.registers.set_lba(last, true);
                self.complete(adapter);
            }
            // NOP, SMART, security, packets and what else there is.
            _ => self.fail(adapter, error::ABORTED),
        }
    }

    fn disk_sectors(&self) -> u64 {
        match &self.drive {
            Drive::Disk(disk) => disk.sectors(),
            _ => 0,
        }
    }

    fn flush(&mut self) {
        if let Drive::Disk(disk) = &self.drive {
            let image = Arc::clone(&disk.image);
            self.post(image, Task::Flush, Phase::Working);
        }
    }

    fn set_disk_features(&mut self, adapter: &mut Adapter) {
        let Drive::Disk(disk) = &mut self.drive else {
            return;
        };
        match self.registers.features.current {
            0x02 => disk.write_cache = true,
            // What is cached goes to the disk first.
            0x82 => {
                disk.write_cache = false;
                self.flush();
                return;
            }
            0x03 => {
                if !disk.mode.set(self.registers.count.current) {
                    self.fail(adapter, error::ABORTED);
                    return;
                }
            }
            0xaa => disk.look_ahead = true,
            0x55 => disk.look_ahead = false,
            // Whether a software reset restores the defaults: it never does.
            0x66 => {}
            _ => {
                self.fail(adapter, error::ABORTED);
                return;
            }
        }
        self.complete(adapter);
    }

    /// The sectors that the registers name.
    fn range(&self, wide: bool) -> Option<Range> {
        let Drive::Disk(disk) = &self.drive else {
            return None;
        };
        let registers = &self.registers;
        let logical = registers.device & device::LBA != 0;
        let first = match (wide, logical) {
            (true, true) => registers.lba48(),
            (true, false) => return None,
            (false, true) => registers.lba28(),
            (false, false) => disk.current.address(registers)?,
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

    fn sectors(&mut self, adapter: &mut Adapter, wide: bool, access: Access) {
        let range = self.range(wide);
        let Drive::Disk(disk) = &mut self.drive else {
            return;
        };
        disk.power = Power::Active;
        let multiple = usize::from(disk.multiple) * 512;
        let way = match access {
            Access::Read(block) | Access::Write(block) => match block {
                Block::Sector => Way::Port(512),
                Block::Multiple if multiple == 0 => {
                    self.fail(adapter, error::ABORTED);
                    return;
                }
                Block::Multiple => Way::Port(multiple),
                Block::BusMaster => Way::BusMaster,
            },
            Access::Verify => Way::Port(512),
        };
        if matches!(access, Access::Write(_)) && disk.image.read_only() {
            self.fail(adapter, error::ABORTED);
            return;
        }
        let Some(range) = range else {
            self.fail(adapter, error::NO_ADDRESS);
            return;
        };
        let total = disk.sectors();
        if range.first.saturating_add(range.count) > total {
            let first_bad = range.first.max(total);
            self.show_sector(first_bad, wide);
            self.fail(adapter, error::NO_ADDRESS);
            return;
        }
        let image = Arc::clone(&disk.image);
        let (offset, length) = (range.first * SECTOR, range.count * SECTOR);
        match access {
            Access::Read(_) => self.begin(
                adapter,
                Transfer::of_image(Direction::In, way, image, offset, length),
            ),
            Access::Write(_) => self.begin(
                adapter,
                Transfer::of_image(Direction::Out, way, image, offset, length),
            ),
            Access::Verify => self.post(image, Task::Verify { offset, length }, Phase::Working),
        }
    }

    /// Shows in the registers which sector a command failed at.
    pub(super) fn show_failed_sector(&mut self, offset: u64) {
        let sector = offset / SECTOR;
        self.show_sector(sector, sector >= LBA28_SECTORS);
    }

    fn show_sector(&mut self, sector: u64, wide: bool) {
        if self.registers.device & device::LBA != 0 {
            self.registers.set_lba(sector, wide);
        }
    }
}
