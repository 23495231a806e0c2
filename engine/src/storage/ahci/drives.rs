//! The drives as whoever runs the machine sees them.

use std::fmt;
use std::sync::Arc;

use crate::disk::Image;
use crate::storage::scsi::optical::Optical;
use crate::storage::{Activity, DriveError, DriveGroup, TrayObserver};

use super::port::{Drive, Port};

/// A handle on a controller's drives: place 0 is the first port. Cloning it is cheap; it needs none of the bus's locks.
#[derive(Clone)]
pub struct AhciDrives {
    pub(super) ports: Arc<Vec<Arc<Port>>>,
}

impl AhciDrives {
    fn optical<R>(
        &self,
        place: usize,
        access: impl FnOnce(&mut Optical) -> R,
    ) -> Result<R, DriveError> {
        let port = self.ports.get(place).ok_or(DriveError::NoOpticalDrive)?;
        port.with(|state| match &mut state.drive {
            Drive::Optical(drive) => Ok(access(&mut drive.optical)),
            Drive::Absent | Drive::Disk(_) => Err(DriveError::NoOpticalDrive),
        })
    }

    /// What the drive at `place` has moved.
    pub fn activity(&self, place: usize) -> Option<&Activity> {
        self.ports.get(place).map(|port| port.activity.as_ref())
    }
}

impl DriveGroup for AhciDrives {
    fn insert(&self, place: usize, medium: Arc<dyn Image>) -> Result<(), DriveError> {
        Ok(self.optical(place, |optical| optical.insert(medium))??)
    }

    fn eject(&self, place: usize, force: bool) -> Result<Option<Arc<dyn Image>>, DriveError> {
        Ok(self.optical(place, |optical| optical.eject(force))??)
    }

    fn medium(&self, place: usize) -> Result<Option<Arc<dyn Image>>, DriveError> {
        self.optical(place, |optical| optical.medium().cloned())
    }

    fn observe_trays(&self, observer: TrayObserver) {
        for port in self.ports.iter() {
            *port.observer.lock() = Some(Arc::clone(&observer));
        }
    }

    fn drain(&self) {
        for port in self.ports.iter() {
            port.drain();
        }
    }
}

impl fmt::Debug for AhciDrives {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("AhciDrives").finish_non_exhaustive()
    }
}
