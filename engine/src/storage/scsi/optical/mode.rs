//! MODE SENSE and MODE SELECT: the drive's parameters, none of them changeable. MMC-3 section 6.5, SPC-2 section 8.3.

use crate::storage::scsi::command::Command;
use crate::storage::scsi::sense::Sense;

use super::{Optical, Response, data};

const ALL_PAGES: u8 = 0x3f;
const PAGES: [u8; 4] = [0x01, 0x0d, 0x0e, 0x2a];
/// A reading speed of 50 times a CD's 176 kB/s.
const SPEED: u16 = 50 * 176;

/// MODE SELECT: the parameters are taken and change nothing.
pub(super) fn select(length: usize) -> Result<Response, Sense> {
    if length == 0 {
        return Ok(Response::Good);
    }
    Ok(Response::Parameters(length))
}

impl Optical {
    pub(super) fn mode_sense_6(&self, command: &Command) -> Result<Response, Sense> {
        let pages = self.mode_pages(command)?;
        let mut answer = vec![
            u8::try_from(pages.len() + 3).unwrap_or(u8::MAX),
            self.medium_type(),
            0,
            0,
        ];
        answer.extend_from_slice(&pages);
        Ok(data(answer, usize::from(command.byte(4))))
    }

    pub(super) fn mode_sense_10(&self, command: &Command) -> Result<Response, Sense> {
        let pages = self.mode_pages(command)?;
        let length = u16::try_from(pages.len() + 6).unwrap_or(u16::MAX);
        let mut answer = length.to_be_bytes().to_vec();
        answer.extend_from_slice(&[self.medium_type(), 0, 0, 0, 0, 0]);
        answer.extend_from_slice(&pages);
        Ok(data(answer, usize::from(command.be16(7))))
    }

    /// 0x01: data CD of 120 mm; 0x70: no disc; 0x71: tray open.
    fn medium_type(&self) -> u8 {
        match (self.medium.is_some(), self.tray_open()) {
            (true, _) => 0x01,
            (false, false) => 0x70,
            (false, true) => 0x71,
        }
    }

    fn mode_pages(&self, command: &Command) -> Result<Vec<u8>, Sense> {
        let wanted = command.byte(2) & 0x3f;
        let control = command.byte(2) >> 6;
        if control == 3 {
            return Err(Sense::SAVING_NOT_SUPPORTED);
        }
        let changeable = control == 1;
        let mut pages = Vec::new();
        for page in PAGES {
            if wanted == page || wanted == ALL_PAGES {
                let mut content = self.mode_page(page);
                if changeable {
                    content.iter_mut().skip(2).for_each(|byte| *byte = 0);
                }
                pages.extend_from_slice(&content);
            }
        }
        if pages.is_empty() {
            return Err(Sense::INVALID_FIELD);
        }
        Ok(pages)
    }

    fn mode_page(&self, page: u8) -> Vec<u8> {
        match page {
            // Read error recovery: 5 retries.
            0x01 => vec![0x01, 0x0a, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0],
            // CD device parameters: 60 seconds in a minute, 75 frames in a second.
            0x0d => vec![0x0d, 0x06, 0, 0x0d, 0, 60, 0, 75],
            // CD audio control: immediate; ports 0 and 1 at full volume.
            0x0e => vec![
                0x0e, 0x0e, 0x04, 0, 0, 0, 0, 0, 0x01, 0xff, 0x02, 0xff, 0, 0, 0, 0,
            ],
            _ => self.capabilities(),
        }
    }

    /// Page 2A: CD/DVD capabilities and mechanical status.
    fn capabilities(&self) -> Vec<u8> {
        let mut page = vec![0_u8; 22];
        page[0] = 0x2a;
        page[1] = 20;
        // Reads CD-R, CD-RW, method 2 packets, DVD-ROM, DVD-R; writes nothing.
        page[2] = 0x1f;
        // Reads Mode 2 forms 1 and 2, and several sessions.
        page[4] = 0x70;
        // A tray that can be locked and ejects; bit 1 is the lock's state.
        page[6] = 0x29 | (u8::from(self.locked()) << 1);
        let speed = SPEED.to_be_bytes();
        for (at, value) in [(8, speed), (12, 2048_u16.to_be_bytes()), (14, speed)] {
            page[at] = value[0];
            page[at + 1] = value[1];
        }
        page
    }
}
