//! The machine's drives: their images opened, placed on the IDE channels, and their media changed while the machine runs.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossbeam_channel::Sender;
use rustix::fs::OFlags;

use super::conductor::Message;
use super::{CommandError, StartError};
use crate::bus::InterruptLine;
use crate::definition::{Definition, Drive, DriveKind};
use crate::disk::{DiskOptions, open_optical};
use crate::memory::GuestMemory;
use crate::storage::FaultHandler;
use crate::storage::ide::{DriveError, IdeController, IdeDrive, IdeDrives, Place};
use crate::storage::scsi::optical::EjectError;

/// The handle on the drives of a running machine.
pub(super) struct Drives {
    ide: IdeDrives,
    /// Where each optical drive is connected, in the definition's order.
    optical: Vec<Place>,
}

/// Where drive number `number` of a definition is connected: the channels' places in turn.
fn place(number: usize) -> Place {
    Place {
        channel: number / 2 % 2,
        unit: number % 2,
    }
}

/// The file that a definition names: relative to the machine's folder.
fn path(folder: &Path, file: &Path) -> PathBuf {
    folder.join(file)
}

/// Opens without waiting for the other end, should it be a pipe; a pipe is refused later.
fn open_file(path: &Path) -> std::io::Result<File> {
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    File::options()
        .read(true)
        .custom_flags(nonblocking)
        .open(path)
}

fn open(folder: &Path, drive: &Drive, number: usize) -> Result<IdeDrive, StartError> {
    match drive.kind {
        DriveKind::Disk => {
            let file = drive.file.as_deref().unwrap_or(Path::new(""));
            let image = DiskOptions::of_drive(drive, folder).open(&path(folder, file))?;
            Ok(IdeDrive::Disk {
                image,
                name: format!("hard disk {number}"),
            })
        }
        DriveKind::Optical => {
            let medium = match &drive.file {
                Some(file) => {
                    let path = path(folder, file);
                    let opened = open_file(&path).map_err(|source| StartError::Medium {
                        file: path.clone(),
                        source,
                    })?;
                    Some(open_optical(opened, &path)?)
                }
                None => None,
            };
            Ok(IdeDrive::Optical {
                medium,
                name: format!("optical drive {number}"),
            })
        }
    }
}

impl Drives {
    /// Opens what `definition` names and makes the controller for it.
    ///
    /// # Errors
    /// When an image cannot be opened, or the host gives no thread.
    pub fn build(
        definition: &Definition,
        folder: &Path,
        lines: [InterruptLine; 2],
        memory: GuestMemory,
        faults: Arc<dyn FaultHandler>,
        sender: &Sender<Message>,
    ) -> Result<(IdeController, Self), StartError> {
        let mut places: [[Option<IdeDrive>; 2]; 2] = Default::default();
        let mut optical = Vec::new();
        let mut disks = 0;
        // More than four were refused when the definition was checked.
        for (number, drive) in definition.drives.iter().enumerate().take(4) {
            let place = place(number);
            let ordinal = match drive.kind {
                DriveKind::Disk => {
                    disks += 1;
                    disks
                }
                DriveKind::Optical => {
                    optical.push(place);
                    optical.len()
                }
            };
            places[place.channel][place.unit] = Some(open(folder, drive, ordinal)?);
        }
        let controller = IdeController::new(lines, memory, faults, places)
            .map_err(|error| StartError::Internal(error.to_string()))?;
        let ide = controller.drives();
        ide.observe_trays(Arc::new({
            let (sender, optical) = (sender.clone(), optical.clone());
            move |place| {
                if let Some(number) = optical.iter().position(|drive| *drive == place) {
                    // A machine that is gone needs no news.
                    let _ = sender.send(Message::TrayMoved(number));
                }
            }
        }));
        Ok((controller, Self { ide, optical }))
    }

    fn place(&self, drive: usize) -> Result<Place, CommandError> {
        self.optical
            .get(drive)
            .copied()
            .ok_or(CommandError::NoDrive { number: drive + 1 })
    }

    /// Changes the medium in optical drive number `drive`; one that the guest has locked stays.
    ///
    /// # Errors
    /// When there is no such drive, the guest has locked it, or the file cannot be a medium. The old medium stays then.
    pub fn insert(&self, drive: usize, file: File, path: &Path) -> Result<(), CommandError> {
        let place = self.place(drive)?;
        let medium = open_optical(file, path).map_err(|error| CommandError::Medium {
            reason: error.to_string(),
        })?;
        self.eject(drive, false)?;
        self.ide
            .insert(place, medium)
            .map_err(|error| CommandError::Medium {
                reason: error.to_string(),
            })
    }

    /// Takes the medium out of optical drive number `drive`.
    ///
    /// # Errors
    /// When there is no such drive, or the guest has locked it and `force` is not set.
    pub fn eject(&self, drive: usize, force: bool) -> Result<(), CommandError> {
        match self.ide.eject(self.place(drive)?, force) {
            Ok(_) => Ok(()),
            Err(DriveError::Eject(EjectError::Locked)) => Err(CommandError::Locked),
            Err(error) => Err(CommandError::Medium {
                reason: error.to_string(),
            }),
        }
    }

    /// What is in optical drive number `drive`; nothing if there is no such drive.
    pub fn medium(&self, drive: usize) -> Option<PathBuf> {
        let medium = self.ide.medium(self.place(drive).ok()?).ok()??;
        Some(medium.file().to_owned())
    }

    /// Waits until no request is under way.
    pub fn drain(&self) {
        self.ide.drain();
    }
}
