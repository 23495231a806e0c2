//! Drives as whoever runs the machine sees them, whatever controller they are connected to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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

/// What a drive has moved between image and guest since the machine was started.
#[derive(Debug, Default)]
pub struct Activity {
    reads: AtomicU64,
    bytes_read: AtomicU64,
    writes: AtomicU64,
    bytes_written: AtomicU64,
}

impl Activity {
    pub(crate) fn read(&self, bytes: usize) {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.bytes_read
            .fetch_add(u64::try_from(bytes).unwrap_or(0), Ordering::Relaxed);
    }

    pub(crate) fn written(&self, bytes: usize) {
        self.writes.fetch_add(1, Ordering::Relaxed);
        self.bytes_written
            .fetch_add(u64::try_from(bytes).unwrap_or(0), Ordering::Relaxed);
    }

    /// Requests to read that the image answered.
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// Bytes read from the image.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    /// Requests to write that the image took.
    pub fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }

    /// Bytes written to the image.
    pub fn bytes_written(&self) -> u64 {
        self.bytes_written.load(Ordering::Relaxed)
    }
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

/// Called from a drive's thread, with no lock held, after the guest has opened or closed the tray of the drive in that place;
/// [`DriveGroup::medium`] says what is in it now. It must not wait for the drive ([`DriveGroup::drain`]).
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
