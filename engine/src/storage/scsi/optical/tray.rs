//! The tray: what a person and the guest do to the medium.

use std::fmt;
use std::sync::Arc;

use crate::disk::Image;
use crate::storage::scsi::command::Command;
use crate::storage::scsi::sense::Sense;

use super::events::MediaEvent;
use super::{Optical, Response, TrayMove};

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

    /// What the guest did to the tray since this was last asked, with the medium that came out.
    pub fn take_tray_move(&mut self) -> Option<(TrayMove, Option<Arc<dyn Image>>)> {
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
                self.note(TrayMove::Closed, None);
            }
        } else {
            if self.locked && self.medium.is_some() {
                return Err(Sense::REMOVAL_PREVENTED);
            }
            if !self.tray_open {
                let medium = self.take_out();
                self.note(TrayMove::Ejected, medium);
            }
        }
        Ok(Response::Good)
    }

    /// Notes a move of the tray. Only the last one matters to who watches, but a medium that came out must not be lost before
    /// its owner took it.
    fn note(&mut self, tray_move: TrayMove, medium: Option<Arc<dyn Image>>) {
        let earlier = self.moved.take().and_then(|(_, medium)| medium);
        self.moved = Some((tray_move, medium.or(earlier)));
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
