//! The drives as whoever runs the machine sees them: what is in them, media that go in and out, how busy they are.

use std::fmt;
use std::sync::Arc;

use crate::storage::scsi::optical::Optical;
use crate::storage::{DriveError, DriveGroup, TrayObserver};

use super::channel::Channel;
use super::unit::Drive;

/// A handle on a controller's drives: place 0 is the first drive of the primary channel, 1 the second, 2 and 3 are those of the
/// secondary channel. Cloning it is cheap; it needs none of the bus's locks.
#[derive(Clone)]
pub struct IdeDrives {
    pub(super) channels: [Arc<Channel>; 2],
}

impl DriveGroup for IdeDrives {
    fn with_optical(
        &self,
        place: usize,
        access: &mut dyn FnMut(&mut Optical),
    ) -> Result<(), DriveError> {
        let missing = DriveError::NoOpticalDrive;
        let channel = self.channels.get(place / 2).ok_or(missing)?;
        channel.with(|state| match &mut state.unit(place % 2).drive {
            Drive::Optical(drive) => {
                access(&mut drive.device.optical);
                Ok(())
            }
            Drive::Absent | Drive::Disk(_) => Err(missing),
        })
    }

    fn observe_trays(&self, observer: TrayObserver) {
        for channel in &self.channels {
            *channel.observer.lock() = Some(Arc::clone(&observer));
        }
    }

    fn drain(&self) {
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
