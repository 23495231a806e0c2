//! Machines and disks for other programs: a machine packed up as an OVA, a disk as it is now in a format of one's choice.

use std::path::Path;

use super::{Library, LibraryError, StoredMachine};
use crate::definition::{Drive, DriveKind, Generation};
use crate::disk::tools::{self, Export, Job, Source, TargetFormat, ToolError, convert};

impl StoredMachine {
    /// The image in `drive` with those that it is built on and that it may take data from.
    fn source(&self, drive: &Drive) -> Option<Source> {
        Source::of_drive(drive, &self.folder)
    }
}

impl Library {
    /// Packs the machine, which is off, up as the new OVA file `target`: its description, and its disks as they are now.
    /// `operating_system` is what its operating system is called.
    ///
    /// # Errors
    /// When the machine runs, a disk cannot be read, the target exists or cannot be written, or the job is cancelled; nothing is
    /// left behind.
    pub fn export_machine(
        &self,
        machine: &StoredMachine,
        operating_system: Option<&str>,
        target: &Path,
        job: &Job<'_>,
    ) -> Result<(), LibraryError> {
        let _held = machine.lock()?;
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
        Ok(tools::export(&export, target, job)?)
    }

    /// Copies the disk in drive number `drive`, counted from 0, of the machine, which is off, to the new image `target`, as it is
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
        Ok(convert(&source, target, format, false, job)?)
    }
}
