//! A CD/DVD drive on the cable: the way of its commands' data, and PACKET, which carries SCSI commands. ATA/ATAPI-6 sections
//! 8.23 and 9.8.

use crate::storage::ata::packet::{PacketDevice, PacketEffect};
use crate::storage::ata::task_file::{error, status};
use crate::storage::scsi::Sense;
use crate::storage::scsi::command::Command;
use crate::storage::scsi::optical::Response;

use super::adapter::Adapter;
use super::unit::{Direction, Drive, Phase, READY, Sink, Transfer, Unit, Way};

/// Interrupt reason: the data port takes the packet (C/D).
const REASON_PACKET: u8 = 1;
/// Interrupt reason: the command is done (C/D and I/O).
pub(super) const REASON_COMPLETE: u8 = 3;

/// Interrupt reason: data goes this way.
pub(super) fn reason(direction: Direction) -> u8 {
    match direction {
        Direction::In => 2,
        Direction::Out => 0,
    }
}

/// A CD/DVD drive on the cable.
pub(super) struct PacketDrive {
    pub(super) device: PacketDevice,
    /// How data of the packet command under way goes.
    way: Way,
    /// The command under way is PACKET, with its own protocol of interrupts, reasons and byte counts.
    in_packet: bool,
}

impl PacketDrive {
    pub(super) fn new(device: PacketDevice) -> Self {
        Self {
            device,
            way: Way::Port(2),
            in_packet: false,
        }
    }

    pub(super) fn soft_reset(&mut self) {
        self.device.soft_reset();
        self.in_packet = false;
    }

    pub(super) fn power_on(&mut self) {
        self.device.power_on();
    }
}

impl Unit {
    pub(super) fn packet_drive_command(&mut self, adapter: &mut Adapter, code: u8) {
        let Drive::Optical(drive) = &mut self.drive else {
            return;
        };
        drive.in_packet = false;
        match drive.device.execute(&mut self.registers, code) {
            PacketEffect::Packet => self.packet_command(adapter),
            PacketEffect::Answer(data) => {
                self.begin(adapter, Transfer::answer(Way::Port(512), data));
            }
            PacketEffect::Complete => self.complete(adapter),
            PacketEffect::Fail(error) => self.fail(adapter, error),
            PacketEffect::Sleep => {
                self.asleep = true;
                self.complete(adapter);
            }
        }
    }

    /// Whether the command under way, or the last one, is PACKET.
    pub(super) fn in_packet(&self) -> bool {
        matches!(&self.drive, Drive::Optical(drive) if drive.in_packet)
    }

    /// PACKET: the drive takes 12 bytes through the data port next.
    fn packet_command(&mut self, adapter: &mut Adapter) {
        const BY_BUS_MASTER: u8 = 0x01;
        const OVERLAPPED: u8 = 0x02;
        let features = self.registers.features.current;
        if features & OVERLAPPED != 0 {
            self.fail(adapter, error::ABORTED);
            return;
        }
        let way = if features & BY_BUS_MASTER != 0 {
            Way::BusMaster
        } else {
            // The limit is even, so that blocks before the last are whole words; none at all means the most there can be.
            Way::Port(match self.registers.byte_count() {
                0 | 0xffff => 0xfffe,
                limit => usize::from(limit & 0xfffe).max(2),
            })
        };
        if let Drive::Optical(drive) = &mut self.drive {
            drive.way = way;
            drive.in_packet = true;
        }
        self.registers.count.set(REASON_PACKET);
        self.registers.status = READY | status::DATA;
        self.phase = Phase::Packet {
            bytes: [0; 12],
            filled: 0,
        };
    }

    /// The packet is complete.
    pub(super) fn packet(&mut self, adapter: &mut Adapter, bytes: &[u8; 12]) {
        let Drive::Optical(drive) = &mut self.drive else {
            return;
        };
        let way = drive.way;
        let response = drive.device.optical.execute(&Command::new(bytes));
        self.respond(adapter, way, response);
    }

    /// The guest has sent the parameters that a packet asked for.
    pub(super) fn packet_parameters(&mut self, adapter: &mut Adapter, data: &[u8]) {
        let Drive::Optical(drive) = &mut self.drive else {
            return;
        };
        let way = drive.way;
        let response = drive.device.optical.parameters(data);
        self.respond(adapter, way, response);
    }

    fn respond(&mut self, adapter: &mut Adapter, way: Way, response: Response) {
        match response {
            Response::Good => self.complete(adapter),
            Response::Data(data) => self.begin(adapter, Transfer::answer(way, data)),
            Response::Read(read) => self.begin(
                adapter,
                Transfer::of_image(Direction::In, way, read.image, read.offset, read.length),
            ),
            Response::Parameters(length) => {
                let length = u64::try_from(length).unwrap_or(0);
                self.begin(adapter, Transfer::for_drive(way, Sink::Parameters, length));
            }
            Response::Failed(sense) => self.packet_failed(adapter, sense),
        }
    }

    /// CHECK CONDITION: the sense key stands in the error register.
    pub(super) fn packet_failed(&mut self, adapter: &mut Adapter, sense: Sense) {
        self.fail(adapter, sense.key_number() << 4);
    }
}
