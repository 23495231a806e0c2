//! The drives as whoever runs the machine sees them.

use std::fmt;
use std::sync::Arc;

use crate::storage::scsi::optical::Optical;
use crate::storage::{DriveError, DriveGroup, TrayObserver};

use super::port::{Drive, Port};

/// A handle on a controller's drives: place 0 is the first port. Cloning it is cheap; it needs none of the bus's locks.
#[derive(Clone)]
pub struct AhciDrives {
    pub(super) ports: Arc<Vec<Arc<Port>>>,
}

impl DriveGroup for AhciDrives {
    fn with_optical(
        &self,
        place: usize,
        access: &mut dyn FnMut(&mut Optical),
    ) -> Result<(), DriveError> {
        let port = self.ports.get(place).ok_or(DriveError::NoOpticalDrive)?;
        port.with(|state| match &mut state.drive {
            Drive::Optical(drive) => {
                access(&mut drive.optical);
                Ok(())
            }
            Drive::Absent | Drive::Disk(_) => Err(DriveError::NoOpticalDrive),
        })
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
