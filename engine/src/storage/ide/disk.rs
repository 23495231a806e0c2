//! A hard disk on the cable: the way of its commands' data.

use std::sync::Arc;

use crate::disk::queue::{Buffer, Kind};
use crate::storage::ata::disk::{Access, Block, Effect, SECTOR, show_failed_sector};

use super::adapter::Adapter;
use super::unit::{Direction, Drive, Phase, Sink, Transfer, Unit, Way};

impl Unit {
    pub(super) fn disk_command(&mut self, adapter: &mut Adapter, code: u8) {
        let Drive::Disk(disk) = &mut self.drive else {
            return;
        };
        let effect = disk.execute(&mut self.registers, code);
        let image = Arc::clone(&disk.image);
        let multiple = usize::from(disk.multiple) * 512;
        let way = |block| match block {
            Block::Sector => Way::Port(512),
            Block::Multiple => Way::Port(multiple),
            Block::Direct => Way::BusMaster,
        };
        match effect {
            Effect::Complete => self.complete(adapter),
            Effect::Fail(error) => self.fail(adapter, error),
            Effect::Answer(data) => self.begin(adapter, Transfer::answer(Way::Port(512), data)),
            Effect::TakeBuffer => self.begin(
                adapter,
                Transfer::for_drive(Way::Port(512), Sink::Buffer, SECTOR),
            ),
            Effect::Sectors {
                access: Access::Read(block),
                offset,
                length,
            } => self.begin(
                adapter,
                Transfer::of_image(Direction::In, way(block), image, offset, length),
            ),
            Effect::Sectors {
                access: Access::Write(block),
                offset,
                length,
            } => self.begin(
                adapter,
                Transfer::of_image(Direction::Out, way(block), image, offset, length),
            ),
            Effect::Sectors {
                access: Access::Verify,
                offset,
                length,
            } => {
                let kind = Kind::Verify { length };
                self.post(image, kind, offset, Buffer::None, Phase::Working);
            }
            Effect::Flush => self.post(image, Kind::Flush, 0, Buffer::None, Phase::Working),
            Effect::Sleep => {
                self.asleep = true;
                self.post(image, Kind::Flush, 0, Buffer::None, Phase::Working);
            }
        }
    }

    /// Shows in the registers which sector a command failed at.
    pub(super) fn show_failed_sector(&mut self, offset: u64) {
        show_failed_sector(&mut self.registers, offset);
    }
}
