//! READ TOC/PMA/ATIP: the table of contents of the one data track. MMC-3 section 6.25.

use crate::storage::scsi::command::Command;
use crate::storage::scsi::sense::Sense;

use super::{Optical, Response, data};

/// ADR 1 (position) and control 4 (data track, copying not permitted).
const DATA_TRACK: u8 = 0x14;
const LEAD_OUT: u8 = 0xaa;
const FRAMES: u32 = 75;
const SECONDS: u32 = 60;
/// The two seconds before the first sector.
const PREGAP: u32 = 2 * FRAMES;

/// Minute, second and frame of a sector; what lies beyond 255 minutes (on a DVD) is said to be there.
pub(super) fn minute_second_frame(sector: u32) -> [u8; 3] {
    let frames = sector
        .saturating_add(PREGAP)
        .min(256 * SECONDS * FRAMES - 1);
    [
        frames / FRAMES / SECONDS,
        frames / FRAMES % SECONDS,
        frames % FRAMES,
    ]
    .map(|part| u8::try_from(part).unwrap_or(u8::MAX))
}

/// The sector at a minute, second and frame, if it is one and not in the lead-in.
pub(super) fn address_of([minute, second, frame]: [u8; 3]) -> Option<u32> {
    let (minute, second, frame) = (u32::from(minute), u32::from(second), u32::from(frame));
    if second >= SECONDS || frame >= FRAMES {
        return None;
    }
    ((minute * SECONDS + second) * FRAMES + frame).checked_sub(PREGAP)
}

impl Optical {
    pub(super) fn read_toc(&mut self, command: &Command) -> Result<Response, Sense> {
        let sectors = self.ready()?;
        let times = command.byte(1) & 2 != 0;
        let start = command.byte(6);
        // Before MMC the format stood in the control byte.
        let format = match command.byte(2) & 0x0f {
            0 => command.byte(9) >> 6,
            format => format,
        };
        let address = |sector: u32| -> [u8; 4] {
            if times {
                let [minute, second, frame] = minute_second_frame(sector);
                [0, minute, second, frame]
            } else {
                sector.to_be_bytes()
            }
        };
        let mut answer = vec![0, 0, 1, 1];
        match format {
            0 => {
                if start > 1 && start != LEAD_OUT {
                    return Err(Sense::INVALID_FIELD);
                }
                if start <= 1 {
                    answer.extend_from_slice(&[0, DATA_TRACK, 1, 0]);
                    answer.extend_from_slice(&address(0));
                }
                answer.extend_from_slice(&[0, DATA_TRACK, LEAD_OUT, 0]);
                answer.extend_from_slice(&address(sectors));
            }
            1 => {
                answer.extend_from_slice(&[0, DATA_TRACK, 1, 0]);
                answer.extend_from_slice(&address(0));
            }
            2 => {
                let entries = [
                    (0xa0, [1, 0, 0]),
                    (0xa1, [1, 0, 0]),
                    (0xa2, minute_second_frame(sectors)),
                    (0x01, minute_second_frame(0)),
                ];
                for (point, [minute, second, frame]) in entries {
                    answer.extend_from_slice(&[
                        1, DATA_TRACK, 0, point, 0, 0, 0, 0, minute, second, frame,
                    ]);
                }
            }
            _ => return Err(Sense::INVALID_FIELD),
        }
        let length = u16::try_from(answer.len() - 2).unwrap_or(u16::MAX);
        answer
            .iter_mut()
            .zip(length.to_be_bytes())
            .for_each(|(to, from)| *to = from);
        Ok(data(answer, usize::from(command.be16(7))))
    }
}
