//! A CD/DVD drive's own commands; PACKET, which carries SCSI commands, goes the way of its cable. ATA/ATAPI-6 sections 8 and 9.8.

use crate::storage::scsi::optical::Optical;

use super::identify::{self, TransferMode};
use super::task_file::{Signature, TaskFile, error};

/// A CD/DVD drive.
pub(in crate::storage) struct PacketDevice {
    pub(in crate::storage) optical: Optical,
    serial: String,
    mode: TransferMode,
    standby: bool,
}

/// What is to be done to carry a command out.
pub(in crate::storage) enum PacketEffect {
    /// Nothing more.
    Complete,
    /// The command failed, with this in the error register.
    Fail(u8),
    /// The guest gets this, one sector.
    Answer(Vec<u8>),
    /// The drive takes a packet.
    Packet,
    /// The drive sleeps until it is reset.
    Sleep,
}

impl PacketDevice {
    pub(in crate::storage) fn new(optical: Optical, serial: String) -> Self {
        Self {
            optical,
            serial,
            mode: TransferMode::default(),
            standby: false,
        }
    }

    pub(in crate::storage) fn soft_reset(&mut self) {
        self.standby = false;
    }

    pub(in crate::storage) fn power_on(&mut self) {
        self.optical.reset();
        self.mode = TransferMode::default();
    }

    /// Carries out command `code` with what `registers` say.
    pub(in crate::storage) fn execute(
        &mut self,
        registers: &mut TaskFile,
        code: u8,
    ) -> PacketEffect {
        match code {
            // PACKET
            0xa0 => {
                self.standby = false;
                PacketEffect::Packet
            }
            // IDENTIFY PACKET DEVICE
            0xa1 => PacketEffect::Answer(identify::optical(self.mode, &self.serial)),
            // IDENTIFY DEVICE and READ SECTORS fail with the signature, which tells what the drive is.
            0xec | 0x20 => {
                let device = registers.device;
                registers.set_signature(Signature::Atapi);
                registers.device = device;
                PacketEffect::Fail(error::ABORTED)
            }
            // STANDBY and IDLE, at once or after a time that the drive does not count.
            0xe0 | 0xe2 => {
                self.standby = true;
                PacketEffect::Complete
            }
            0xe1 | 0xe3 => {
                self.standby = false;
                PacketEffect::Complete
            }
            // CHECK POWER MODE
            0xe5 => {
                registers.count.set(if self.standby { 0x00 } else { 0xff });
                PacketEffect::Complete
            }
            // SLEEP
            0xe6 => PacketEffect::Sleep,
            // SET FEATURES: the transfer mode only.
            0xef => match registers.features.current {
                0x03 if self.mode.set(registers.count.current) => PacketEffect::Complete,
                0x66 => PacketEffect::Complete,
                _ => PacketEffect::Fail(error::ABORTED),
            },
            _ => PacketEffect::Fail(error::ABORTED),
        }
    }
}
