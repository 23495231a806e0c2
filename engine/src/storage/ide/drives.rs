//! The drives as whoever runs the machine sees them: what is in them, media that go in and out, how busy they are.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::disk::Image;
use crate::storage::scsi::optical::{EjectError, InsertError, Optical};

use super::channel::Channel;
use super::unit::Drive;

/// A drive to be connected.
pub enum IdeDrive {
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

/// Where a drive is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// 0: primary, 1: secondary.
    pub channel: usize,
    /// 0: the first (master), 1: the second (slave).
    pub unit: usize,
}

/// Called from a drive's thread, with no lock held, after the guest has opened or closed a tray;
/// [`IdeDrives::medium`] says what is in it now. It must not wait for the drive ([`IdeDrives::drain`]).
pub type TrayObserver = Arc<dyn Fn(Place) + Send + Sync>;

/// What a drive has moved between image and guest since the machine was started.
#[derive(Debug, Default)]
pub struct Activity {
    reads: AtomicU64,
    bytes_read: AtomicU64,
    writes: AtomicU64,
    bytes_written: AtomicU64,
}

impl Activity {
    pub(super) fn read(&self, bytes: usize) {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.bytes_read
            .fetch_add(u64::try_from(bytes).unwrap_or(0), Ordering::Relaxed);
    }

    pub(super) fn written(&self, bytes: usize) {
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
    #[error("there is no optical drive at IDE channel {}, unit {}", .0.channel, .0.unit)]
    NoOpticalDrive(Place),
    /// The medium does not go in.
    #[error(transparent)]
    Insert(#[from] InsertError),
    /// The medium does not come out.
    #[error(transparent)]
    Eject(#[from] EjectError),
}

/// A handle on a controller's drives. Cloning it is cheap; it needs none of the bus's locks.
#[derive(Clone)]
pub struct IdeDrives {
    pub(super) channels: [Arc<Channel>; 2],
    pub(super) activity: [[Arc<Activity>; 2]; 2],
}

impl IdeDrives {
    fn optical<R>(
        &self,
        place: Place,
        access: impl FnOnce(&mut Optical) -> R,
    ) -> Result<R, DriveError> {
        let missing = DriveError::NoOpticalDrive(place);
        let channel = self.channels.get(place.channel).ok_or(missing)?;
        if place.unit > 1 {
            return Err(missing);
        }
        channel.with(|state| match &mut state.unit(place.unit).drive {
            Drive::Optical(drive) => Ok(access(&mut drive.optical)),
            Drive::Absent | Drive::Disk(_) => Err(missing),
        })
    }

    /// Puts `medium` into the empty optical drive at `place` and tells the guest, as [`Optical::insert`] says.
    ///
    /// # Errors
    /// When there is no optical drive, or a medium in it.
    pub fn insert(&self, place: Place, medium: Arc<dyn Image>) -> Result<(), DriveError> {
        Ok(self.optical(place, |optical| optical.insert(medium))??)
    }

    /// Takes the medium out of the optical drive at `place`, even when the guest has locked it if `force` is set. What the
    /// drive reads from it at this moment it still reads.
    ///
    /// # Errors
    /// When there is no optical drive, or the guest has locked it and `force` is not set.
    pub fn eject(&self, place: Place, force: bool) -> Result<Option<Arc<dyn Image>>, DriveError> {
        Ok(self.optical(place, |optical| optical.eject(force))??)
    }

    /// The medium in the optical drive at `place`.
    ///
    /// # Errors
    /// When there is no optical drive.
    pub fn medium(&self, place: Place) -> Result<Option<Arc<dyn Image>>, DriveError> {
        self.optical(place, |optical| optical.medium().cloned())
    }

    /// Whether the guest has locked the optical drive at `place`.
    ///
    /// # Errors
    /// When there is no optical drive.
    pub fn locked(&self, place: Place) -> Result<bool, DriveError> {
        self.optical(place, |optical| optical.locked())
    }

    /// Says who is told when the guest moves a tray.
    pub fn observe_trays(&self, observer: TrayObserver) {
        for channel in &self.channels {
            channel.with(|state| state.observer = Some(Arc::clone(&observer)));
        }
    }

    /// What the drive at `place` has moved.
    pub fn activity(&self, place: Place) -> Option<&Activity> {
        self.activity
            .get(place.channel)
            .and_then(|units| units.get(place.unit))
            .map(Arc::as_ref)
    }

    /// Waits until no drive has anything under way, except requests about which a fault handler decides. It stays so while no
    /// processor runs and no fault handler answers.
    pub fn drain(&self) {
        for channel in &self.channels {
            channel.drain();
        }
    }
}

impl fmt::Debug for IdeDrives {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("IdeDrives").finish_non_exhaustive()
    }
}
