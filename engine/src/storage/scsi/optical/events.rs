//! GET EVENT STATUS NOTIFICATION: what happened to the medium, asked for by polling. MMC-3 section 6.7.

use crate::storage::scsi::command::Command;
use crate::storage::scsi::sense::Sense;

use super::{Optical, Response, data};

/// What happened to the medium last, as the event codes of the media class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum MediaEvent {
    /// Nothing since it was last asked.
    None = 0,
    /// A person wants the medium out, but the guest has locked the tray.
    EjectRequest = 1,
    /// A medium was put in.
    NewMedium = 2,
    /// The medium was taken out.
    Removal = 3,
}

/// The number of the media class, and its bit in a request.
const MEDIA_CLASS: u8 = 4;

impl Optical {
    pub(super) fn get_event_status(&mut self, command: &Command) -> Result<Response, Sense> {
        let polled = command.byte(1) & 1 != 0;
        if !polled {
            return Err(Sense::INVALID_FIELD);
        }
        let allowed = usize::from(command.be16(7));
        let supported = 1 << MEDIA_CLASS;
        if command.byte(4) & supported == 0 {
            const NO_EVENT_AVAILABLE: u8 = 0x80;
            return Ok(data(vec![0, 2, NO_EVENT_AVAILABLE, supported], allowed));
        }
        // An event that does not fit the answer stays for the next one.
        let event = self.event as u8;
        if allowed > 4 {
            self.event = MediaEvent::None;
        }
        let status = u8::from(self.tray_open()) | (u8::from(self.medium.is_some()) << 1);
        Ok(data(
            vec![0, 6, MEDIA_CLASS, supported, event, status, 0, 0],
            allowed,
        ))
    }
}
