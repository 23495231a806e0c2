//! The machine's drives: their images opened, connected to the controllers that the definition names, and their media changed
//! while the machine runs.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::OFlags;

use super::board::{Board, Chipset};
use super::conductor::Message;
use super::{CommandError, StartError, generation1, generation2, virtio};
use crate::bus::shared;
use crate::definition::{Bus, Drive, DriveKind, Generation};
use crate::disk::{DiskOptions, open_optical};
use crate::storage::ahci::{self, AhciController};
use crate::storage::ide::IdeController;
use crate::storage::scsi::optical::EjectError;
use crate::storage::{DriveError, DriveGroup, FaultHandler, NewDrive};
use crate::virtio::block::Block;

/// Where a drive is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Connection {
    /// The number of the controller.
    group: usize,
    /// Its place there.
    place: usize,
}

/// The handle on the drives of a running machine.
pub(super) struct Drives {
    groups: Vec<Arc<dyn DriveGroup>>,
    /// Where each optical drive is connected, in the definition's order.
    optical: Vec<Connection>,
}

/// A drive whose image is open, not connected yet.
struct Opened<'a> {
    drive: &'a Drive,
    content: NewDrive,
    /// Its number among the optical drives, if it is one.
    optical: Option<usize>,
}

/// Opens without waiting for the other end, should it be a pipe; a pipe is refused later.
fn open_file(path: &Path) -> std::io::Result<File> {
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    File::options()
        .read(true)
        .custom_flags(nonblocking)
        .open(path)
}

/// Opens the drive called `name`.
fn open(folder: &Path, drive: &Drive, name: String) -> Result<NewDrive, StartError> {
    match drive.kind {
        DriveKind::Disk => {
            let file = drive.file.as_deref().unwrap_or(Path::new(""));
            let image = DiskOptions::of_drive(drive, folder).open(&folder.join(file))?;
            Ok(NewDrive::Disk { image, name })
        }
        DriveKind::Optical => {
            let medium = match &drive.file {
                Some(file) => {
                    let path = folder.join(file);
                    let opened = open_file(&path).map_err(|source| StartError::Medium {
                        file: path.clone(),
                        source,
                    })?;
                    Some(open_optical(opened, &path)?)
                }
                None => None,
            };
            Ok(NewDrive::Optical { medium, name })
        }
    }
}

/// Opens all drives of the definition.
fn open_all<'a>(board: &Board<'a>) -> Result<Vec<Opened<'a>>, StartError> {
    let definition = board.order.definition;
    let mut opticals = 0;
    let drives = definition.drives.iter().zip(definition.drive_names());
    drives
        .map(|(drive, name)| {
            let optical = (drive.kind == DriveKind::Optical).then_some(opticals);
            opticals += usize::from(optical.is_some());
            Ok(Opened {
                drive,
                content: open(board.order.folder, drive, name)?,
                optical,
            })
        })
        .collect()
}

impl Drives {
    /// Opens what the definition names and connects it.
    ///
    /// # Errors
    /// When an image cannot be opened, or the host gives no thread.
    pub fn build(board: &Board<'_>, chipset: &dyn Chipset) -> Result<Self, StartError> {
        let (mut ide, mut sata, mut virtio) = (Vec::new(), Vec::new(), Vec::new());
        for opened in open_all(board)? {
            match opened.drive.bus {
                Bus::Ide => ide.push(opened),
                Bus::Sata => sata.push(opened),
                Bus::Virtio => virtio.push(opened),
            }
        }
        let mut drives = Self {
            groups: Vec::new(),
            optical: Vec::new(),
        };
        let mut optical = Vec::new();
        match board.order.definition.generation {
            Generation::One => drives.connect_ide(board, ide, &mut optical)?,
            Generation::Two => drives.connect_sata(board, chipset, sata, &mut optical)?,
        }
        drives.connect_virtio(board, chipset, virtio)?;
        optical.sort_by_key(|(number, _)| *number);
        drives.optical = optical
            .into_iter()
            .map(|(_, connection)| connection)
            .collect();
        drives.observe(board);
        Ok(drives)
    }

    /// The IDE controller with its four places, taken in the definition's order. More drives than that were refused when the
    /// definition was checked.
    fn connect_ide(
        &mut self,
        board: &Board<'_>,
        drives: Vec<Opened<'_>>,
        optical: &mut Vec<(usize, Connection)>,
    ) -> Result<(), StartError> {
        let mut places: [[Option<NewDrive>; 2]; 2] = Default::default();
        let group = self.groups.len();
        for (place, opened) in drives.into_iter().enumerate().take(4) {
            let (channel, unit) = (place / 2, place % 2);
            if let Some(number) = opened.optical {
                optical.push((number, Connection { group, place }));
            }
            let path = format!("/pci@i0cf8/ide@1,1/drive@{channel}/disk@{unit}");
            board.add_boot_entry(opened.drive.boot, path);
            places[channel][unit] = Some(opened.content);
        }
        let controller = IdeController::new(
            generation1::ide_lines(board),
            &board.memory,
            &(Arc::clone(board.order.faults) as _),
            places,
        )
        .map_err(|error| StartError::Internal(error.to_string()))?;
        self.groups.push(Arc::new(controller.drives()));
        let controller = shared(controller);
        for range in IdeController::PORTS {
            board.buses.ports.map(range, controller.clone());
        }
        board.attach(generation1::IDE, controller)
    }

    /// A card for each disk. Optical drives were refused when the definition was checked.
    fn connect_virtio(
        &mut self,
        board: &Board<'_>,
        chipset: &dyn Chipset,
        drives: Vec<Opened<'_>>,
    ) -> Result<(), StartError> {
        let processors = board.order.definition.processor.count;
        let queues = u16::try_from(processors).unwrap_or(u16::MAX);
        for (number, opened) in drives.into_iter().enumerate() {
            let NewDrive::Disk { image, name } = opened.content else {
                continue;
            };
            let faults = Arc::clone(board.order.faults) as _;
            let serial = format!("GUESTHOUSE-VD-{number:02}");
            let block = Block::new(image, name, &serial, queues, faults)?;
            self.groups.push(Arc::new(block.handle()));
            let place = virtio::insert(board, chipset, "virtio disk", Box::new(block))?;
            let path = format!("/pci@i0cf8/scsi@{:x}/disk@0,0", place.device);
            board.add_boot_entry(opened.drive.boot, path);
        }
        Ok(())
    }

    /// The AHCI controller with its six ports, taken in the definition's order.
    fn connect_sata(
        &mut self,
        board: &Board<'_>,
        chipset: &dyn Chipset,
        drives: Vec<Opened<'_>>,
        optical: &mut Vec<(usize, Connection)>,
    ) -> Result<(), StartError> {
        let mut places: [Option<NewDrive>; ahci::PORTS] = Default::default();
        let group = self.groups.len();
        for ((place, port), opened) in places.iter_mut().enumerate().zip(drives) {
            if let Some(number) = opened.optical {
                optical.push((number, Connection { group, place }));
            }
            let path = format!("/pci@i0cf8/pci8086,2922@1f,2/drive@{place}/disk@0");
            board.add_boot_entry(opened.drive.boot, path);
            *port = Some(opened.content);
        }
        let faults: Arc<dyn FaultHandler> = Arc::clone(board.order.faults) as _;
        let line = generation2::ahci_line(chipset);
        let controller = AhciController::new(
            line,
            board.vm.interrupts().as_ref(),
            &board.memory,
            &faults,
            places,
        )?;
        self.groups.push(Arc::new(controller.drives()));
        board.attach(generation2::AHCI, shared(controller))
    }

    /// Tells the machine's thread when the guest moves a tray.
    fn observe(&self, board: &Board<'_>) {
        for (group, drives) in self.groups.iter().enumerate() {
            let (sender, optical) = (board.order.sender.clone(), self.optical.clone());
            drives.observe_trays(Arc::new(move |place| {
                let moved = Connection { group, place };
                if let Some(number) = optical.iter().position(|drive| *drive == moved) {
                    // A machine that is gone needs no news.
                    let _ = sender.send(Message::TrayMoved(number));
                }
            }));
        }
    }

    fn find(&self, drive: usize) -> Result<(&dyn DriveGroup, usize), CommandError> {
        self.optical
            .get(drive)
            .and_then(|at| Some((self.groups.get(at.group)?.as_ref(), at.place)))
            .ok_or(CommandError::NoDrive { number: drive + 1 })
    }

    /// Changes the medium in optical drive number `drive`; one that the guest has locked stays.
    ///
    /// # Errors
    /// When there is no such drive, the guest has locked it, or the file cannot be a medium. The old medium stays then.
    pub fn insert(&self, drive: usize, file: File, path: &Path) -> Result<(), CommandError> {
        let (group, place) = self.find(drive)?;
        let medium = open_optical(file, path).map_err(|error| CommandError::Medium {
            reason: error.to_string(),
        })?;
        self.eject(drive, false)?;
        group
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
        let (group, place) = self.find(drive)?;
        match group.eject(place, force) {
            Ok(_) => Ok(()),
            Err(DriveError::Eject(EjectError::Locked)) => Err(CommandError::Locked),
            Err(error) => Err(CommandError::Medium {
                reason: error.to_string(),
            }),
        }
    }

    /// What is in optical drive number `drive`; nothing if there is no such drive.
    pub fn medium(&self, drive: usize) -> Option<PathBuf> {
        let (group, place) = self.find(drive).ok()?;
        let medium = group.medium(place).ok()??;
        Some(medium.file().to_owned())
    }

    /// Waits until no request is under way.
    pub fn drain(&self) {
        for group in &self.groups {
            group.drain();
        }
    }
}
