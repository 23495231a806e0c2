//! Machines and disks for other programs: a machine packed up as an OVA, a disk as it is now in a format of one's choice.

use std::path::Path;

use super::{Library, LibraryError, StoredMachine};
use crate::definition::{Drive, DriveKind, Generation};
use crate::disk::tools::{
    self, Export, Job, Occupied, Source, TargetFormat, ToolError, Unfinished, convert_into,
};

impl StoredMachine {
    /// The image in `drive` with those that it is built on and that it may take data from.
    fn source(&self, drive: &Drive) -> Option<Source> {
        Source::of_drive(drive, &self.folder)
    }
}

impl Library {
    /// Begins a file for people's own folders, which may exist if `occupied` says so.
    ///
    /// # Errors
    /// When its name is taken, also where it may be replaced: by what belongs to a machine, or a disk that is in use.
    pub(crate) fn begin(
        &self,
        target: &Path,
        occupied: Occupied,
    ) -> Result<Unfinished, LibraryError> {
        if occupied == Occupied::Replace
            && let Ok(there) = target.canonicalize()
        {
            if let Some(other) = self.users_of(&there, None)?.into_iter().next() {
                return Err(LibraryError::ImageInUse {
                    other: other.definition.name,
                    image: there,
                });
            }
            let machines = self.folder().canonicalize();
            if machines.is_ok_and(|machines| there.starts_with(machines)) {
                return Err(ToolError::Exists { file: there }.into());
            }
        }
        Ok(Unfinished::at(target, occupied)?)
    }

    /// Packs the machine, which is off, up as the OVA file `target`: its description, and its disks as they are now.
    /// `operating_system` is what its operating system is called.
    ///
    /// # Errors
    /// When the machine runs, a disk cannot be read, the target exists and may not be replaced or cannot be written, or the job is
    /// cancelled; nothing is left behind, and what was there stays.
    pub fn export_machine(
        &self,
        machine: &StoredMachine,
        operating_system: Option<&str>,
        target: &Path,
        occupied: Occupied,
        job: &Job<'_>,
    ) -> Result<(), LibraryError> {
        let _held = machine.lock()?;
        let unfinished = self.begin(target, occupied)?;
        let definition = &machine.definition;
        let disks = definition
            .drives
            .iter()
            .filter(|drive| drive.kind == DriveKind::Disk);
        let export = Export {
            name: definition.name.to_string(),
            processors: definition.processor.count,
            memory: definition.memory.bytes(),
            uefi: definition.generation == Generation::Two,
            operating_system: operating_system.map(str::to_owned),
            networks: definition.networks.len(),
            disks: disks.filter_map(|drive| machine.source(drive)).collect(),
        };
        Ok(tools::export(&export, unfinished, job)?)
    }

    /// Copies the disk in drive number `drive`, counted from 0, of the machine, which is off, to the image `target`, as it is
    /// now with all that it is built on.
    ///
    /// # Errors
    /// As [`Library::export_machine`].
    pub fn export_disk(
        &self,
        machine: &StoredMachine,
        drive: usize,
        target: &Path,
        format: TargetFormat,
        occupied: Occupied,
        job: &Job<'_>,
    ) -> Result<(), LibraryError> {
        let _held = machine.lock()?;
        let drive = machine
            .definition
            .drives
            .get(drive)
            .filter(|drive| drive.kind == DriveKind::Disk);
        let source = drive.and_then(|drive| machine.source(drive));
        let source = source.ok_or_else(|| ToolError::Refused {
            file: machine.file(),
            reason: "has no such hard disk".to_owned(),
            remedy: "choose one of its hard disks".to_owned(),
        })?;
        let unfinished = self.begin(target, occupied)?;
        Ok(convert_into(&source, unfinished, format, false, job)?)
    }
}
