//! A CD or DVD drive: the one core of MMC commands behind ATAPI, AHCI and virtio. MMC-3 and SPC-2.
//!
//! [`Optical::execute`] answers a command at once: with data, with the range of the image to be read (which its caller does,
//! off the virtual processor's thread), or with sense. The medium is one data track in one session, a CD up to 80 minutes and
//! a DVD beyond. Sectors of a CD can be had with all that stands around their 2,048 bytes of user data, which is made as it is asked
//! for; sub-channels are not offered.

mod configuration;
mod disc;
mod events;
mod inquiry;
mod mode;
mod raw;
#[cfg(test)]
mod tests;
mod toc;
mod tray;

use std::ops::Range;
use std::sync::Arc;

use crate::disk::Image;

use super::command::{Command, operation};
use super::sense::Sense;
use raw::RawSectors;

pub use tray::{EjectError, InsertError, Moved};

/// Bytes of user data in a sector.
pub const SECTOR: u64 = 2048;

/// The sectors of a CD of 80 minutes; what is bigger is a DVD.
const CD_SECTORS: u32 = 80 * 60 * 75;

/// What carries the commands, for the core feature of GET CONFIGURATION.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interface {
    /// SCSI and what behaves like it.
    Scsi,
    /// ATAPI, parallel or serial.
    Atapi,
}

/// What a drive is called in INQUIRY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The serial number.
    pub serial: String,
    /// What carries the commands.
    pub interface: Interface,
}

/// A range of the medium to be handed to the initiator.
#[derive(Clone)]
pub struct MediumRead {
    /// The medium's image.
    pub image: Arc<dyn Image>,
    /// The first byte.
    pub offset: u64,
    /// How many bytes; they all lie within the image.
    pub length: u64,
}

/// How the drive answers a command.
pub enum Response {
    /// Done; there is no data.
    Good,
    /// Done, with this data (cut to the length the initiator allowed).
    Data(Vec<u8>),
    /// Read this and hand it over; if it cannot be read, [`Optical::read_failed`] says what the initiator is told.
    Read(MediumRead),
    /// Take up to this many bytes of parameters from the initiator and give them to [`Optical::parameters`].
    Parameters(usize),
    /// CHECK CONDITION with this sense, which REQUEST SENSE also returns.
    Failed(Sense),
}

/// A CD or DVD drive.
pub struct Optical {
    identity: Identity,
    medium: Option<Arc<dyn Image>>,
    tray_open: bool,
    locked: bool,
    sense: Sense,
    attention: Option<Sense>,
    /// The guest has not been told yet that the last medium is gone.
    absence_unseen: bool,
    /// The next command that needs a medium finds none, although there is a new one: what a person does with a tray takes
    /// longer than what a program does, and guests rely on seeing the drive empty between two media.
    report_absence: bool,
    event: events::MediaEvent,
    /// The guest moved the tray, and this came out.
    moved: Option<Moved>,
}

impl Optical {
    /// A drive with `medium` in it, just switched on.
    pub fn new(identity: Identity, medium: Option<Arc<dyn Image>>) -> Self {
        Self {
            identity,
            medium,
            tray_open: false,
            locked: false,
            sense: Sense::NONE,
            attention: Some(Sense::POWER_ON),
            absence_unseen: false,
            report_absence: false,
            event: events::MediaEvent::None,
            moved: None,
        }
    }

    /// Answers one command.
    pub fn execute(&mut self, command: &Command) -> Response {
        let operation = command.operation();
        if operation != operation::REQUEST_SENSE {
            self.sense = Sense::NONE;
        }
        match self.dispatch(command) {
            Ok(response) => response,
            Err(sense) => {
                self.sense = sense;
                Response::Failed(sense)
            }
        }
    }

    fn dispatch(&mut self, command: &Command) -> Result<Response, Sense> {
        if !passes_unit_attention(command.operation())
            && let Some(attention) = self.take_attention()
        {
            return Err(attention);
        }
        match command.operation() {
            operation::TEST_UNIT_READY => self.ready().map(|_| Response::Good),
            operation::REQUEST_SENSE => Ok(self.request_sense(command)),
            operation::INQUIRY => self.inquiry(command),
            operation::MODE_SELECT_6 => mode::select(usize::from(command.byte(4))),
            operation::MODE_SELECT_10 => mode::select(usize::from(command.be16(7))),
            operation::MODE_SENSE_6 => self.mode_sense_6(command),
            operation::MODE_SENSE_10 => self.mode_sense_10(command),
            operation::START_STOP_UNIT => self.start_stop(command),
            operation::PREVENT_ALLOW_MEDIUM_REMOVAL => {
                self.locked = command.byte(4) & 1 != 0;
                Ok(Response::Good)
            }
            operation::READ_CAPACITY => self.read_capacity(),
            operation::READ_10 => self.read(command.be32(2), u32::from(command.be16(7))),
            operation::READ_12 => self.read(command.be32(2), command.be32(6)),
            operation::READ_CD => self.read_cd(command),
            operation::READ_CD_MSF => self.read_cd_msf(command),
            operation::SEEK_10 => {
                let sectors = self.ready()?;
                if command.be32(2) < sectors {
                    Ok(Response::Good)
                } else {
                    Err(Sense::ADDRESS_OUT_OF_RANGE)
                }
            }
            operation::READ_TOC => self.read_toc(command),
            operation::GET_CONFIGURATION => self.get_configuration(command),
            operation::GET_EVENT_STATUS_NOTIFICATION => self.get_event_status(command),
            operation::READ_DISC_INFORMATION => self.read_disc_information(command),
            operation::READ_TRACK_INFORMATION => self.read_track_information(command),
            operation::READ_DVD_STRUCTURE => self.read_dvd_structure(command),
            operation::SET_CD_SPEED => Ok(Response::Good),
            operation::MECHANISM_STATUS => Ok(self.mechanism_status(command)),
            _ => Err(Sense::INVALID_COMMAND),
        }
    }

    /// Takes the parameters that a [`Response::Parameters`] asked for. They are accepted and change nothing: no field of the
    /// drive's mode pages is changeable.
    pub fn parameters(&mut self, data: &[u8]) -> Response {
        if data.len() < 4 {
            self.sense = Sense::PARAMETER_LIST_LENGTH;
            return Response::Failed(self.sense);
        }
        Response::Good
    }

    /// The range of a [`Response::Read`] could not be read: remembers and returns what the initiator is told.
    pub fn read_failed(&mut self) -> Sense {
        self.sense = Sense::UNRECOVERED_READ_ERROR;
        self.sense
    }

    /// As after a reset of the bus or the machine. The medium stays, and the tray where it is.
    pub fn reset(&mut self) {
        self.locked = false;
        self.sense = Sense::NONE;
        self.attention = Some(Sense::POWER_ON);
        self.absence_unseen = false;
        self.report_absence = false;
        self.event = events::MediaEvent::None;
    }

    /// The whole sectors of the medium, if there is one.
    fn sectors(&self) -> Option<u32> {
        let image = self.medium.as_ref()?;
        Some(u32::try_from(image.size() / SECTOR).unwrap_or(u32::MAX))
    }

    /// The medium's sectors, for a command that needs one.
    fn ready(&mut self) -> Result<u32, Sense> {
        match self.sectors() {
            Some(sectors) if !self.report_absence => Ok(sectors),
            _ => {
                self.absence_unseen = false;
                self.report_absence = false;
                Err(Sense::MEDIUM_NOT_PRESENT)
            }
        }
    }

    fn is_dvd(&self) -> bool {
        self.sectors().is_some_and(|sectors| sectors > CD_SECTORS)
    }

    fn take_attention(&mut self) -> Option<Sense> {
        // A new medium is announced only after the drive was seen empty.
        if self.report_absence && self.attention == Some(Sense::MEDIUM_CHANGED) {
            return None;
        }
        self.attention.take()
    }

    fn request_sense(&mut self, command: &Command) -> Response {
        let mut sense = std::mem::replace(&mut self.sense, Sense::NONE);
        if sense == Sense::NONE
            && let Some(attention) = self.take_attention()
        {
            sense = attention;
        }
        data(sense.fixed_format().to_vec(), usize::from(command.byte(4)))
    }

    fn read_capacity(&mut self) -> Result<Response, Sense> {
        let last = self.ready()?.saturating_sub(1);
        let mut answer = last.to_be_bytes().to_vec();
        answer.extend_from_slice(&[0, 0, 8, 0]);
        Ok(Response::Data(answer))
    }

    fn read(&mut self, first: u32, count: u32) -> Result<Response, Sense> {
        let sectors = self.ready()?;
        let end = u64::from(first) + u64::from(count);
        if end > u64::from(sectors) {
            return Err(Sense::ADDRESS_OUT_OF_RANGE);
        }
        match &self.medium {
            Some(image) if count > 0 => Ok(Response::Read(MediumRead {
                image: Arc::clone(image),
                offset: u64::from(first) * SECTOR,
                length: u64::from(count) * SECTOR,
            })),
            _ => Ok(Response::Good),
        }
    }

    fn read_cd(&mut self, command: &Command) -> Result<Response, Sense> {
        let part = cd_fields(command)?;
        self.read_part(command.be32(2), command.be24(6), part)
    }

    fn read_cd_msf(&mut self, command: &Command) -> Result<Response, Sense> {
        let part = cd_fields(command)?;
        let first = toc::address_of([command.byte(3), command.byte(4), command.byte(5)]);
        let end = toc::address_of([command.byte(6), command.byte(7), command.byte(8)]);
        let (Some(first), Some(end)) = (first, end) else {
            return Err(Sense::ADDRESS_OUT_OF_RANGE);
        };
        let count = end.checked_sub(first).ok_or(Sense::INVALID_FIELD)?;
        self.read_part(first, count, part)
    }

    /// Reads a part of each sector as it stands on a CD; an empty one is nothing.
    fn read_part(&mut self, first: u32, count: u32, part: Range<usize>) -> Result<Response, Sense> {
        if part.is_empty() {
            return self.read(first, 0);
        }
        let read = self.read(first, count)?;
        if raw::is_user_data(&part) {
            return Ok(read);
        }
        if self.is_dvd() {
            return Err(Sense::ILLEGAL_MODE_FOR_TRACK);
        }
        let Response::Read(read) = read else {
            return Ok(read);
        };
        let sectors = RawSectors::new(read.image, part);
        Ok(Response::Read(MediumRead {
            offset: u64::from(first) * sectors.sector(),
            length: u64::from(count) * sectors.sector(),
            image: Arc::new(sectors),
        }))
    }
}

/// The part of each sector that READ CD wants. The expected sector type must be any (0) or Mode 1 (2), and sub-channels cannot be
/// asked for.
fn cd_fields(command: &Command) -> Result<Range<usize>, Sense> {
    let sector_type = (command.byte(1) >> 2) & 7;
    if !matches!(sector_type, 0 | 2) || command.byte(10) & 7 != 0 {
        return Err(Sense::INVALID_FIELD);
    }
    raw::chosen(command.byte(9)).ok_or(Sense::INVALID_FIELD)
}

/// Whether a command is carried out although a unit attention waits, and leaves it waiting.
fn passes_unit_attention(code: u8) -> bool {
    matches!(
        code,
        operation::REQUEST_SENSE
            | operation::INQUIRY
            | operation::GET_CONFIGURATION
            | operation::GET_EVENT_STATUS_NOTIFICATION
    )
}

/// An answer cut to the length that the initiator allowed.
fn data(mut answer: Vec<u8>, allowed: usize) -> Response {
    answer.truncate(allowed);
    if answer.is_empty() {
        Response::Good
    } else {
        Response::Data(answer)
    }
}
