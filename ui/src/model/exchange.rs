//! Machines that come from elsewhere or go there, for the windows. None of this is for a thread that draws.

use std::path::Path;

use super::machines::Change;
use super::{
    CopiedDisk, Definition, Job, KeptIdentity, Machines, Name, NewDisk, Occupied, StoredMachine,
    TargetFormat, operating_systems,
};
use crate::text;

impl Machines {
    /// Makes a machine with new, empty `disks` and with `copies` of others.
    ///
    /// # Errors
    /// Why not, as a sentence; nothing is left behind.
    pub fn create_with(
        &self,
        definition: &Definition,
        disks: &[NewDisk],
        copies: &[CopiedDisk],
        job: &Job<'_>,
    ) -> Result<StoredMachine, String> {
        let made = self.library().create_with(definition, disks, copies, job);
        self.tell(&Change::Library);
        made.map_err(|error| text::sentence(&error))
    }

    /// Packs `machine` up as the OVA file `target`.
    ///
    /// # Errors
    /// Why not, as a sentence; nothing is left behind.
    pub fn export_machine(
        &self,
        machine: &StoredMachine,
        target: &Path,
        occupied: Occupied,
        job: &Job<'_>,
    ) -> Result<(), String> {
        let system = machine.definition.operating_system.as_deref();
        let system = system.and_then(|id| operating_systems().find(id));
        let called = system.map(|system| system.name.as_str());
        let library = self.library();
        let done = library.export_machine(machine, called, target, occupied, job);
        done.map_err(|error| text::sentence(&error))
    }

    /// Copies the disk in drive number `drive` of `machine` to the image `target`.
    ///
    /// # Errors
    /// Why not, as a sentence; nothing is left behind.
    pub fn export_disk(
        &self,
        machine: &StoredMachine,
        drive: usize,
        target: &Path,
        format: TargetFormat,
        occupied: Occupied,
        job: &Job<'_>,
    ) -> Result<(), String> {
        let library = self.library();
        let done = library.export_disk(machine, drive, target, format, occupied, job);
        done.map_err(|error| text::sentence(&error))
    }

    /// Writes `machine` with all that belongs to it to the file `target`.
    ///
    /// # Errors
    /// Why not, as a sentence; nothing is left behind.
    pub fn back_up(
        &self,
        machine: &StoredMachine,
        target: &Path,
        occupied: Occupied,
        job: &Job<'_>,
    ) -> Result<(), String> {
        let done = self.library().back_up(machine, target, occupied, job);
        done.map_err(|error| text::sentence(&error))
    }

    /// Brings the machine in the backup `file` back.
    ///
    /// # Errors
    /// Why not, as a sentence; nothing is left behind.
    pub fn restore_backup(
        &self,
        file: &Path,
        name: Name,
        identity: KeptIdentity,
        job: &Job<'_>,
    ) -> Result<StoredMachine, String> {
        let made = self.library().restore_backup(file, name, identity, job);
        self.tell(&Change::Library);
        made.map_err(|error| text::sentence(&error))
    }
}
