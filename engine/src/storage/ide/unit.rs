//! One of a channel's two places, the drive in it, and the way of data between its image and the guest.

use std::sync::Arc;

use crate::disk::Image;
use crate::disk::queue::{Buffer, Done, Failure, Kind, Request};

use super::adapter::Adapter;
use super::bus_master::{Moved, Piece};
use super::packet::PacketDrive;
use crate::storage::ata::disk::Disk;
use crate::storage::ata::task_file::{Signature, TaskFile, device, error, status};

/// The most that is read, written or moved at once, in bytes: a multiple of every ATA block and of the optical sector.
const CHUNK: u64 = 128 * 1024;

/// Ready, nothing to report.
pub(super) const READY: u8 = status::READY | status::SEEK;

/// What is in a place.
#[derive(Default)]
pub(super) enum Drive {
    /// Nothing.
    #[default]
    Absent,
    /// A hard disk.
    Disk(Disk),
    /// A CD or DVD drive.
    Optical(PacketDrive),
}

/// Which way data goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// From the drive to the guest.
    In,
    /// From the guest to the drive.
    Out,
}

/// How data goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Through the data port, in blocks of at most this many bytes.
    Port(usize),
    /// By the bus master.
    BusMaster,
}

/// Where data that goes out ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sink {
    /// In the image.
    Image,
    /// In the drive's sector buffer (WRITE BUFFER).
    Buffer,
    /// As parameters of a packet command.
    Parameters,
}

/// Data on its way.
pub(super) struct Transfer {
    pub(super) direction: Direction,
    pub(super) way: Way,
    pub(super) sink: Sink,
    /// The image that has or gets the data; none when the data is all in `data` or stays in the drive.
    pub(super) image: Option<Arc<dyn Image>>,
    /// Where in the image the chunk after the one in `data` starts.
    pub(super) offset: u64,
    /// The bytes still to come after the chunk in `data`.
    pub(super) remaining: u64,
    /// The chunk that the guest reads or fills.
    pub(super) data: Vec<u8>,
    position: usize,
    block_end: usize,
}

impl Transfer {
    /// `length` bytes of `image` from `offset` on.
    pub(super) fn of_image(
        direction: Direction,
        way: Way,
        image: Arc<dyn Image>,
        offset: u64,
        length: u64,
    ) -> Self {
        Self {
            direction,
            way,
            sink: Sink::Image,
            image: Some(image),
            offset,
            remaining: length,
            data: Vec::new(),
            position: 0,
            block_end: 0,
        }
    }

    /// An answer that the drive has at hand.
    pub(super) fn answer(way: Way, data: Vec<u8>) -> Self {
        Self {
            direction: Direction::In,
            way,
            sink: Sink::Image,
            image: None,
            offset: 0,
            remaining: 0,
            data,
            position: 0,
            block_end: 0,
        }
    }

    /// `length` bytes for the drive itself.
    pub(super) fn for_drive(way: Way, sink: Sink, length: u64) -> Self {
        Self {
            direction: Direction::Out,
            way,
            sink,
            image: None,
            offset: 0,
            remaining: length,
            data: Vec::new(),
            position: 0,
            block_end: 0,
        }
    }

    /// Takes the next chunk out of what remains.
    fn next_chunk(&mut self) -> (u64, usize) {
        let length = self.remaining.min(CHUNK);
        let offset = self.offset;
        self.offset = offset.saturating_add(length);
        self.remaining -= length;
        self.position = 0;
        self.block_end = 0;
        (offset, usize::try_from(length).unwrap_or(0))
    }
}

/// Where a command stands.
pub(super) enum Phase {
    /// No command is under way.
    Idle,
    /// A packet drive takes the 12 bytes of a packet.
    Packet { bytes: [u8; 12], filled: usize },
    /// The data port moves a block.
    Port(Transfer),
    /// The guest has not started the bus master yet.
    AwaitBusMaster(Transfer),
    /// The queue reads or writes a chunk.
    Chunk(Transfer),
    /// The queue does something without data.
    Working,
}

/// What the drive's queue is to do next.
pub(super) struct Job {
    pub(super) image: Arc<dyn Image>,
    pub(super) request: Request,
}

/// A place for a drive.
pub(super) struct Unit {
    pub(super) registers: TaskFile,
    pub(super) drive: Drive,
    pub(super) phase: Phase,
    /// Counts resets: what the queue brings for an earlier one is dropped.
    pub(super) generation: u64,
    /// What the drive's queue is to do next.
    pub(super) job: Option<Job>,
    /// What the queue has is to be forgotten before that.
    pub(super) given_up: bool,
    /// Something of a command that was given up is still under way: the drive is busy until that has ended.
    pub(super) resetting: bool,
    /// The drive sleeps until it is reset.
    pub(super) asleep: bool,
}

impl Unit {
    pub(super) fn new(drive: Drive) -> Self {
        let mut unit = Self {
            registers: TaskFile::absent(),
            drive,
            phase: Phase::Idle,
            generation: 0,
            job: None,
            given_up: false,
            resetting: false,
            asleep: false,
        };
        unit.set_signature();
        unit
    }

    pub(super) fn present(&self) -> bool {
        !matches!(self.drive, Drive::Absent)
    }

    pub(super) fn is_optical(&self) -> bool {
        matches!(self.drive, Drive::Optical(_))
    }

    /// Ends what is under way and shows the signature, as after a software reset. What the queue does at this moment it
    /// finishes, in whole chunks.
    pub(super) fn reset(&mut self) {
        self.abandon();
        self.asleep = false;
        match &mut self.drive {
            Drive::Absent => self.registers = TaskFile::absent(),
            Drive::Disk(disk) => disk.soft_reset(),
            Drive::Optical(drive) => drive.soft_reset(),
        }
        self.set_signature();
    }

    /// As after power-on.
    pub(super) fn power_on(&mut self) {
        self.reset();
        match &mut self.drive {
            Drive::Absent => {}
            Drive::Disk(disk) => disk.power_on(),
            Drive::Optical(drive) => drive.power_on(),
        }
    }

    /// Forgets the command under way.
    pub(super) fn abandon(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        self.job = None;
        self.given_up = true;
        self.phase = Phase::Idle;
    }

    /// Its status register.
    pub(super) fn status(&self) -> u8 {
        if self.resetting {
            status::BUSY
        } else {
            self.registers.status
        }
    }

    pub(super) fn set_signature(&mut self) {
        let (signature, status) = match self.drive {
            Drive::Absent => return,
            Drive::Disk(_) => (Signature::Ata, READY),
            // A packet drive is not "ready" before its first command: how old drivers tell it from a disk.
            Drive::Optical(_) => (Signature::Atapi, 0),
        };
        self.registers.set_signature(signature);
        self.registers.device = device::ALWAYS | (self.registers.device & device::SECOND);
        self.registers.status = status;
        self.registers.error = error::DIAGNOSTICS_PASSED;
    }

    /// The guest writes the command register of this drive.
    pub(super) fn command(&mut self, adapter: &mut Adapter, code: u8) {
        const DEVICE_RESET: u8 = 0x08;
        if code == DEVICE_RESET && self.is_optical() {
            self.reset();
            return;
        }
        let busy = self.status() & (status::BUSY | status::DATA) != 0;
        if !self.present() || self.asleep || busy {
            return;
        }
        self.registers.error = 0;
        self.registers.status = READY;
        match self.drive {
            Drive::Absent => {}
            Drive::Disk(_) => self.disk_command(adapter, code),
            Drive::Optical(_) => self.packet_drive_command(adapter, code),
        }
    }

    /// Starts to move data.
    pub(super) fn begin(&mut self, adapter: &mut Adapter, mut transfer: Transfer) {
        match (transfer.way, transfer.direction) {
            (Way::Port(_), Direction::In) if transfer.image.is_some() => self.read_chunk(transfer),
            (Way::Port(_), Direction::In) => self.open_block(adapter, transfer, true),
            (Way::Port(_), Direction::Out) => {
                let (_, length) = transfer.next_chunk();
                transfer.data = vec![0; length];
                // Only a packet command interrupts also for the first block that it takes.
                let interrupt = self.in_packet();
                self.open_block(adapter, transfer, interrupt);
            }
            (Way::BusMaster, _) => {
                self.registers.status = READY | status::BUSY;
                self.phase = Phase::AwaitBusMaster(transfer);
                self.bus_master_runs(adapter);
            }
        }
    }

    /// Goes on with a transfer that waits for the bus master, if that runs.
    pub(super) fn bus_master_runs(&mut self, adapter: &mut Adapter) {
        if !adapter.bus_master.running() || !matches!(self.phase, Phase::AwaitBusMaster(_)) {
            return;
        }
        if let Phase::AwaitBusMaster(transfer) = std::mem::replace(&mut self.phase, Phase::Idle) {
            match (transfer.direction, transfer.image.is_some()) {
                (Direction::In, true) => self.read_chunk(transfer),
                (Direction::In, false) => self.deliver(adapter, transfer),
                (Direction::Out, _) => self.collect(adapter, transfer),
            }
        }
    }

    /// The guest stopped the bus master: a transfer that it was moving ends there.
    pub(super) fn bus_master_stopped(&mut self) {
        if let Phase::Chunk(transfer) = &self.phase
            && transfer.way == Way::BusMaster
        {
            self.abandon();
            self.registers.error = error::ABORTED;
            self.registers.status = status::READY | status::ERROR;
        }
    }

    /// Posts a request for the drive's queue; until it is done the drive is busy.
    pub(super) fn post(
        &mut self,
        image: Arc<dyn Image>,
        kind: Kind,
        offset: u64,
        buffer: Buffer,
        phase: Phase,
    ) {
        self.job = Some(Job {
            image,
            request: Request {
                kind,
                offset,
                buffer,
            },
        });
        self.registers.status = READY | status::BUSY;
        self.phase = phase;
    }

    fn read_chunk(&mut self, mut transfer: Transfer) {
        let (offset, length) = transfer.next_chunk();
        if let Some(image) = transfer.image.clone() {
            let buffer = Buffer::Bytes(vec![0; length]);
            self.post(image, Kind::Read, offset, buffer, Phase::Chunk(transfer));
        }
    }

    /// The guest has filled the chunk: to the image with it, or to the drive itself.
    fn write_chunk(&mut self, adapter: &mut Adapter, mut transfer: Transfer) {
        let data = std::mem::take(&mut transfer.data);
        match (transfer.sink, transfer.image.clone()) {
            (Sink::Image, Some(image)) => {
                let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
                let offset = transfer.offset.saturating_sub(length);
                let through = matches!(&self.drive, Drive::Disk(disk) if !disk.write_cache());
                let (kind, buffer) = (Kind::Write { through }, Buffer::Bytes(data));
                self.post(image, kind, offset, buffer, Phase::Chunk(transfer));
            }
            (Sink::Parameters, _) => self.packet_parameters(adapter, &data),
            (_, _) => {
                if let Drive::Disk(disk) = &mut self.drive {
                    disk.set_buffer(data);
                }
                self.complete(adapter);
            }
        }
    }

    /// Lets the guest at the next block of the chunk through the data port.
    fn open_block(&mut self, adapter: &mut Adapter, mut transfer: Transfer, interrupt: bool) {
        let Way::Port(block) = transfer.way else {
            return;
        };
        transfer.block_end = transfer
            .position
            .saturating_add(block.max(2))
            .min(transfer.data.len());
        if self.in_packet() {
            let count = transfer.block_end - transfer.position;
            self.registers
                .set_byte_count(u16::try_from(count).unwrap_or(u16::MAX));
            self.registers
                .count
                .set(super::packet::reason(transfer.direction));
        }
        self.registers.status = READY | status::DATA;
        self.phase = Phase::Port(transfer);
        if interrupt {
            adapter.interrupt();
        }
    }

    /// The guest has moved the whole block.
    fn block_done(&mut self, adapter: &mut Adapter) {
        let Phase::Port(transfer) = std::mem::replace(&mut self.phase, Phase::Idle) else {
            return;
        };
        let more_in_chunk = transfer.position < transfer.data.len();
        match transfer.direction {
            _ if more_in_chunk => self.open_block(adapter, transfer, true),
            Direction::In if transfer.remaining > 0 => self.read_chunk(transfer),
            // The last block was announced by its own interrupt; only a packet command also ends with one.
            Direction::In if !self.in_packet() => {
                self.registers.status = READY;
            }
            Direction::In => self.complete(adapter),
            Direction::Out => self.write_chunk(adapter, transfer),
        }
    }

    /// Moves the chunk that was read to memory.
    fn deliver(&mut self, adapter: &mut Adapter, transfer: Transfer) {
        let moved = adapter
            .bus_master
            .transfer(&adapter.memory, Piece::ToMemory(&transfer.data));
        match moved {
            Moved::All if transfer.remaining > 0 => self.read_chunk(transfer),
            Moved::All => self.complete(adapter),
            Moved::Short => self.table_ended(),
            Moved::Fault => self.fail(adapter, error::ABORTED),
        }
    }

    /// Fetches the next chunk to be written from memory.
    fn collect(&mut self, adapter: &mut Adapter, mut transfer: Transfer) {
        let (_, length) = transfer.next_chunk();
        transfer.data = vec![0; length];
        let moved = adapter
            .bus_master
            .transfer(&adapter.memory, Piece::FromMemory(&mut transfer.data));
        match moved {
            Moved::All => self.write_chunk(adapter, transfer),
            Moved::Short => self.table_ended(),
            Moved::Fault => self.fail(adapter, error::ABORTED),
        }
    }

    /// The table of regions is shorter than what the command moves: the bus master stops and, as the interface says of this
    /// case, no interrupt comes.
    fn table_ended(&mut self) {
        self.phase = Phase::Idle;
        self.registers.status = READY;
    }

    /// The queue is done with the chunk or the task.
    pub(super) fn done(&mut self, adapter: &mut Adapter, kind: Kind, done: Done) {
        let phase = std::mem::replace(&mut self.phase, Phase::Idle);
        if let Err(failure) = done.result {
            self.image_failed(adapter, kind, &failure);
            return;
        }
        match (phase, done.buffer) {
            (Phase::Chunk(mut transfer), Buffer::Bytes(data)) if kind == Kind::Read => {
                transfer.data = data;
                match transfer.way {
                    Way::Port(_) => self.open_block(adapter, transfer, true),
                    Way::BusMaster => self.deliver(adapter, transfer),
                }
            }
            (Phase::Chunk(mut transfer), _) if transfer.remaining > 0 => match transfer.way {
                Way::Port(_) => {
                    let (_, length) = transfer.next_chunk();
                    transfer.data = vec![0; length];
                    self.open_block(adapter, transfer, true);
                }
                Way::BusMaster => self.collect(adapter, transfer),
            },
            _ => self.complete(adapter),
        }
    }

    fn image_failed(&mut self, adapter: &mut Adapter, kind: Kind, failure: &Failure) {
        if let Drive::Optical(drive) = &mut self.drive {
            let sense = drive.device.optical.read_failed();
            self.packet_failed(adapter, sense);
            return;
        }
        if let Failure::Image {
            offset: Some(offset),
            ..
        } = failure
        {
            self.show_failed_sector(*offset);
        }
        let code = match kind {
            Kind::Read | Kind::Verify { .. } => error::UNCORRECTABLE,
            _ => error::ABORTED,
        };
        self.fail(adapter, code);
    }

    /// The command is done.
    pub(super) fn complete(&mut self, adapter: &mut Adapter) {
        self.phase = Phase::Idle;
        self.registers.status = READY;
        if self.in_packet() {
            self.registers.count.set(super::packet::REASON_COMPLETE);
        }
        adapter.bus_master.finish();
        adapter.interrupt();
    }

    /// The command failed with `code` in the error register.
    pub(super) fn fail(&mut self, adapter: &mut Adapter, code: u8) {
        self.phase = Phase::Idle;
        self.registers.error = code;
        self.registers.status = status::READY | status::ERROR;
        if self.in_packet() {
            self.registers.count.set(super::packet::REASON_COMPLETE);
        }
        adapter.interrupt();
    }

    /// The guest reads the data port, in items of `width` bytes.
    pub(super) fn read_data(&mut self, adapter: &mut Adapter, width: usize, out: &mut [u8]) {
        let mut filled = 0;
        while filled < out.len() {
            let Phase::Port(transfer) = &mut self.phase else {
                break;
            };
            if transfer.direction != Direction::In {
                break;
            }
            let part =
                (transfer.block_end.saturating_sub(transfer.position)).min(out.len() - filled);
            let from = transfer
                .data
                .get(transfer.position..transfer.position + part);
            if let (Some(from), Some(to)) = (from, out.get_mut(filled..filled + part)) {
                to.copy_from_slice(from);
            }
            transfer.position += part;
            filled += part;
            if transfer.position >= transfer.block_end {
                // An odd last byte fills its item; the next block starts with the next one.
                let next = filled.next_multiple_of(width).min(out.len());
                if let Some(padding) = out.get_mut(filled..next) {
                    padding.fill(0);
                }
                filled = next;
                self.block_done(adapter);
            }
        }
        if let Some(rest) = out.get_mut(filled..) {
            rest.fill(0);
        }
    }

    /// The guest writes the data port, in items of `width` bytes.
    pub(super) fn write_data(&mut self, adapter: &mut Adapter, width: usize, data: &[u8]) {
        let mut taken = 0;
        while taken < data.len() {
            match &mut self.phase {
                Phase::Packet { bytes, filled } => {
                    let part = (bytes.len() - *filled).min(data.len() - taken);
                    if let (Some(to), Some(from)) = (
                        bytes.get_mut(*filled..*filled + part),
                        data.get(taken..taken + part),
                    ) {
                        to.copy_from_slice(from);
                    }
                    *filled += part;
                    taken += part;
                    if *filled >= bytes.len() {
                        let packet = *bytes;
                        self.phase = Phase::Idle;
                        self.packet(adapter, &packet);
                    }
                }
                Phase::Port(transfer) if transfer.direction == Direction::Out => {
                    let part = (transfer.block_end.saturating_sub(transfer.position))
                        .min(data.len() - taken);
                    if let (Some(to), Some(from)) = (
                        transfer
                            .data
                            .get_mut(transfer.position..transfer.position + part),
                        data.get(taken..taken + part),
                    ) {
                        to.copy_from_slice(from);
                    }
                    transfer.position += part;
                    taken += part;
                    if transfer.position >= transfer.block_end {
                        taken = taken.next_multiple_of(width);
                        self.block_done(adapter);
                    }
                }
                _ => return,
            }
        }
    }
}
