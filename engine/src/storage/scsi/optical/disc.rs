//! What is known of the disc: READ DISC INFORMATION, READ TRACK INFORMATION, READ DVD STRUCTURE, MECHANISM STATUS.
//! MMC-3 sections 6.22, 6.24, 6.27 and 6.12.

use crate::storage::scsi::command::Command;
use crate::storage::scsi::sense::Sense;

use super::{Optical, Response, data};

impl Optical {
    pub(super) fn read_disc_information(&mut self, command: &Command) -> Result<Response, Sense> {
        self.ready()?;
        if command.byte(1) & 7 != 0 {
            return Err(Sense::INVALID_FIELD);
        }
        let mut answer = vec![0; 34];
        answer[1] = 32;
        // The last session and the disc are complete.
        answer[2] = 0x0e;
        // First track; sessions; first and last track of the last session.
        for byte in [3, 4, 5, 6] {
            answer[byte] = 1;
        }
        // Unrestricted use.
        answer[7] = 0x20;
        // Nowhere to write: no lead-in of a next session, no last possible lead-out.
        answer[16..24].fill(0xff);
        Ok(data(answer, usize::from(command.be16(7))))
    }

    pub(super) fn read_track_information(&mut self, command: &Command) -> Result<Response, Sense> {
        let sectors = self.ready()?;
        let number = command.be32(2);
        let found = match command.byte(1) & 3 {
            0 => number < sectors,
            1 | 2 => number == 1,
            _ => false,
        };
        if !found {
            return Err(Sense::INVALID_FIELD);
        }
        let mut answer = vec![0; 36];
        answer[1] = 34;
        // Track and session 1, a data track of Mode 1.
        answer[2] = 1;
        answer[3] = 1;
        answer[5] = 0x04;
        answer[6] = 0x01;
        answer[24..28].copy_from_slice(&sectors.to_be_bytes());
        Ok(data(answer, usize::from(command.be16(7))))
    }

    pub(super) fn read_dvd_structure(&mut self, command: &Command) -> Result<Response, Sense> {
        let sectors = self.ready()?;
        if !self.is_dvd() {
            return Err(Sense::INCOMPATIBLE_FORMAT);
        }
        let blu_ray = command.byte(1) & 0x0f != 0;
        if blu_ray || command.byte(6) != 0 {
            return Err(Sense::INVALID_FIELD);
        }
        let content = match command.byte(7) {
            // Physical format: DVD-ROM of 120 mm, one read-only layer that starts at 0x30000.
            0 => {
                const FIRST: u32 = 0x3_0000;
                let last = FIRST.saturating_add(sectors.saturating_sub(1)) & 0x00ff_ffff;
                let mut layer = vec![0; 2048];
                layer[0] = 0x01;
                layer[1] = 0x0f;
                layer[2] = 0x01;
                layer[4..8].copy_from_slice(&FIRST.to_be_bytes());
                layer[8..12].copy_from_slice(&last.to_be_bytes());
                layer
            }
            // Copyright: not protected, all regions.
            1 => vec![0; 4],
            _ => return Err(Sense::INVALID_FIELD),
        };
        let length = u16::try_from(content.len() + 2).unwrap_or(u16::MAX);
        let mut answer = length.to_be_bytes().to_vec();
        answer.extend_from_slice(&[0, 0]);
        answer.extend_from_slice(&content);
        Ok(data(answer, usize::from(command.be16(8))))
    }

    pub(super) fn mechanism_status(&self, command: &Command) -> Response {
        let door = u8::from(self.tray_open()) << 4;
        data(
            vec![0, door, 0, 0, 0, 0, 0, 0],
            usize::from(command.be16(8)),
        )
    }
}
