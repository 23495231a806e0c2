//! The tray: what a person and the guest do to the medium.

use std::fmt;
use std::sync::Arc;

use crate::disk::Image;
use crate::storage::scsi::command::Command;
use crate::storage::scsi::sense::Sense;

use super::events::MediaEvent;
use super::{Optical, Response};

/// Why a medium did not come out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EjectError {
    /// The guest holds the tray shut. It has been told of the wish, as if the drive's button had been pressed.
    #[error("the guest has locked the drive; eject the medium inside the guest, or force it out")]
    Locked,
}

/// Why a medium did not go in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InsertError {
    /// There is one already.
    #[error("there is a medium in the drive; eject it first")]
    Occupied,
}

/// What came out of the drive when the guest moved its tray: nothing when it was empty, or when the tray closed.
pub type Moved = Option<Arc<dyn Image>>;

impl Optical {
    /// Puts `medium` into the empty drive and closes the tray. The guest is told: first that the drive is empty, if it does
    /// not know yet, then by a unit attention, and by a media event.
    ///
    /// # Errors
    /// When there is a medium already.
    pub fn insert(&mut self, medium: Arc<dyn Image>) -> Result<(), InsertError> {
        if self.medium.is_some() {
            return Err(InsertError::Occupied);
        }
        self.medium = Some(medium);
        self.tray_open = false;
        self.report_absence = self.absence_unseen;
        self.attention = Some(Sense::MEDIUM_CHANGED);
        self.event = MediaEvent::NewMedium;
        Ok(())
    }

    /// Takes the medium out, even from a locked drive when `force` is set. Returns it, if there was one.
    ///
    /// # Errors
    /// When the guest has locked the drive and `force` is not set.
    pub fn eject(&mut self, force: bool) -> Result<Option<Arc<dyn Image>>, EjectError> {
        if self.locked && self.medium.is_some() && !force {
            self.event = MediaEvent::EjectRequest;
            return Err(EjectError::Locked);
        }
        self.locked = false;
        Ok(self.take_out())
    }

    /// The medium in the drive.
    pub fn medium(&self) -> Option<&Arc<dyn Image>> {
        self.medium.as_ref()
    }

    /// Whether the guest has locked the tray.
    pub fn locked(&self) -> bool {
        self.locked
    }

    /// Whether the guest moved the tray since this was last asked, and what came out of it.
    pub fn take_tray_move(&mut self) -> Option<Moved> {
        self.moved.take()
    }

    /// Whether [`Optical::take_tray_move`] has something to say.
    pub fn tray_moved(&self) -> bool {
        self.moved.is_some()
    }

    fn take_out(&mut self) -> Option<Arc<dyn Image>> {
        let medium = self.medium.take();
        if medium.is_some() {
            self.absence_unseen = true;
            self.report_absence = false;
            self.event = MediaEvent::Removal;
            if self.attention == Some(Sense::MEDIUM_CHANGED) {
                self.attention = None;
            }
        }
        self.tray_open = true;
        medium
    }

    pub(super) fn tray_open(&self) -> bool {
        self.tray_open
    }

    /// START STOP UNIT: with the load/eject bit set it moves the tray; spinning up and down is immediate and does nothing.
    pub(super) fn start_stop(&mut self, command: &Command) -> Result<Response, Sense> {
        let power_condition = command.byte(4) >> 4;
        let (load_eject, start) = (command.byte(4) & 2 != 0, command.byte(4) & 1 != 0);
        if power_condition != 0 || !load_eject {
            return Ok(Response::Good);
        }
        if start {
            if self.tray_open {
                self.tray_open = false;
                self.moved.get_or_insert_default();
            }
        } else {
            if self.locked && self.medium.is_some() {
                return Err(Sense::REMOVAL_PREVENTED);
            }
            if !self.tray_open {
                let medium = self.take_out();
                if medium.is_some() || self.moved.is_none() {
                    self.moved = Some(medium);
                }
            }
        }
        Ok(Response::Good)
    }
}

impl fmt::Debug for Optical {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Optical")
            .field("medium", &self.medium.as_ref().map(|image| image.file()))
            .field("tray_open", &self.tray_open)
            .field("locked", &self.locked)
            .finish_non_exhaustive()
    }
}
