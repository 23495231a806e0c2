//! Drives as whoever runs the machine sees them, whatever controller they are connected to.

use std::sync::Arc;

use crate::disk::Image;
use crate::storage::scsi::optical::{EjectError, InsertError, Optical};

/// A drive to be connected to a controller.
pub enum NewDrive {
    /// A hard disk.
    Disk {
        /// What it holds. The disk's size is the image's at this moment, in whole sectors of 512 bytes.
        image: Arc<dyn Image>,
        /// What a person calls it, for messages: "hard disk 1".
        name: String,
    },
    /// A CD/DVD drive.
    Optical {
        /// What is in it.
        medium: Option<Arc<dyn Image>>,
        /// What a person calls it, for messages: "optical drive 1".
        name: String,
    },
}

/// Why a medium did not move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DriveError {
    /// There is no optical drive in that place.
    #[error("there is no optical drive in that place")]
    NoOpticalDrive,
    /// The medium does not go in.
    #[error(transparent)]
    Insert(#[from] InsertError),
    /// The medium does not come out.
    #[error(transparent)]
    Eject(#[from] EjectError),
}

/// Called after the guest has opened or closed the tray of the drive in that place, by the thread that did it, which holds no
/// lock of the drive's but may hold one of the bus's; [`DriveGroup::medium`] says what is in it now. It must not wait for anything.
pub type TrayObserver = Arc<dyn Fn(usize) + Send + Sync>;

/// A handle on the drives of one controller, which counts their places from 0. It needs none of the bus's locks.
pub trait DriveGroup: Send + Sync {
    /// Lets `access` at the optical drive in `place`.
    ///
    /// # Errors
    /// When there is no optical drive.
    fn with_optical(
        &self,
        place: usize,
        access: &mut dyn FnMut(&mut Optical),
    ) -> Result<(), DriveError>;

    /// Puts `medium` into the empty optical drive in `place` and tells the guest, as
    /// [`Optical::insert`](super::scsi::optical::Optical::insert) says.
    ///
    /// # Errors
    /// When there is no optical drive, or a medium in it.
    fn insert(&self, place: usize, medium: Arc<dyn Image>) -> Result<(), DriveError> {
        let mut done = Ok(());
        self.with_optical(place, &mut |optical| {
            done = optical.insert(Arc::clone(&medium));
        })?;
        Ok(done?)
    }

    /// Takes the medium out of the optical drive in `place`, even when the guest has locked it if `force` is set. What the
    /// drive reads from it at this moment it still reads.
    ///
    /// # Errors
    /// When there is no optical drive, or the guest has locked it and `force` is not set.
    fn eject(&self, place: usize, force: bool) -> Result<Option<Arc<dyn Image>>, DriveError> {
        let mut done = Ok(None);
        self.with_optical(place, &mut |optical| done = optical.eject(force))?;
        Ok(done?)
    }

    /// The medium in the optical drive in `place`.
    ///
    /// # Errors
    /// When there is no optical drive.
    fn medium(&self, place: usize) -> Result<Option<Arc<dyn Image>>, DriveError> {
        let mut medium = None;
        self.with_optical(place, &mut |optical| medium = optical.medium().cloned())?;
        Ok(medium)
    }

    /// Says who is told when the guest moves a tray.
    fn observe_trays(&self, observer: TrayObserver);

    /// Waits until no drive has anything under way, except requests about which a fault handler decides. It stays so while no
    /// processor runs and no fault handler answers.
    fn drain(&self);
}
