//! The machines' snapshots and copies, for the windows. None of this is for a thread that draws.

use std::path::Path;

use guesthouse_engine::disk::tools::Job;
use guesthouse_engine::snapshot::{NewSnapshot, SnapshotError, Tree};
use uuid::Uuid;

use super::machines::Change;
use super::{LibraryError, Machines, Name, StoredMachine};
use crate::text::gettext_with;

impl Machines {
    /// The snapshots of `machine`.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub fn snapshots(&self, machine: &StoredMachine) -> Result<Tree, SnapshotError> {
        self.library().snapshots(machine)
    }

    /// Takes a snapshot of `machine`.
    ///
    /// # Errors
    /// As [`Library::take_snapshot`](guesthouse_engine::Library::take_snapshot).
    pub fn take_snapshot(
        &self,
        machine: &StoredMachine,
        new: &NewSnapshot,
    ) -> Result<Uuid, SnapshotError> {
        self.told(self.library().take_snapshot(machine, new))
    }

    /// Gives a snapshot another name and other notes.
    ///
    /// # Errors
    /// As [`Library::describe_snapshot`](guesthouse_engine::Library::describe_snapshot).
    pub fn describe_snapshot(
        &self,
        machine: &StoredMachine,
        id: Uuid,
        new: &NewSnapshot,
    ) -> Result<(), SnapshotError> {
        self.told(self.library().describe_snapshot(machine, id, new))
    }

    /// Brings `machine` back to a snapshot.
    ///
    /// # Errors
    /// As [`Library::revert`](guesthouse_engine::Library::revert).
    pub fn revert(&self, machine: &StoredMachine, id: Uuid) -> Result<(), SnapshotError> {
        self.told(self.library().revert(machine, id).map(drop))
    }

    /// Takes the image at `base`, which the machine's snapshots or disks are built on, as it is now.
    ///
    /// # Errors
    /// As [`Library::accept_bases`](guesthouse_engine::Library::accept_bases).
    pub fn accept_base(&self, machine: &StoredMachine, base: &Path) -> Result<(), SnapshotError> {
        self.told(self.library().accept_bases(machine, Some(base)))
    }

    /// Deletes a snapshot; [`Machines::restore_snapshot`] brings it back.
    ///
    /// # Errors
    /// As [`Library::delete_snapshot`](guesthouse_engine::Library::delete_snapshot).
    pub fn delete_snapshot(&self, machine: &StoredMachine, id: Uuid) -> Result<(), SnapshotError> {
        self.told(self.library().delete_snapshot(machine, id))
    }

    /// Brings a deleted snapshot back.
    ///
    /// # Errors
    /// As [`Library::restore_snapshot`](guesthouse_engine::Library::restore_snapshot).
    pub fn restore_snapshot(&self, machine: &StoredMachine, id: Uuid) -> Result<(), SnapshotError> {
        self.told(self.library().restore_snapshot(machine, id))
    }

    /// Gives back the space of deleted snapshots, which cannot be had back then.
    ///
    /// # Errors
    /// As [`Library::reclaim`](guesthouse_engine::Library::reclaim).
    pub fn reclaim(&self, machine: &StoredMachine, job: &Job<'_>) -> Result<(), SnapshotError> {
        self.told(self.library().reclaim(machine, job))
    }

    /// Makes a machine from a snapshot.
    ///
    /// # Errors
    /// As [`Library::branch`](guesthouse_engine::Library::branch).
    pub fn branch(
        &self,
        machine: &StoredMachine,
        id: Uuid,
        name: Name,
    ) -> Result<StoredMachine, SnapshotError> {
        self.told(self.library().branch(machine, id, name))
    }

    /// Makes a machine that holds only what differs from `machine` as it is now.
    ///
    /// # Errors
    /// As [`Library::clone_linked`](guesthouse_engine::Library::clone_linked).
    pub fn clone_linked(
        &self,
        machine: &StoredMachine,
        name: Name,
    ) -> Result<StoredMachine, SnapshotError> {
        let base = gettext_with("Base of {machine}", &[("machine", &name)]);
        self.told(self.library().clone_linked(machine, name, &base))
    }

    /// Makes a copy of `machine`.
    ///
    /// # Errors
    /// As [`Library::clone_machine`](guesthouse_engine::Library::clone_machine).
    pub fn clone_machine(
        &self,
        machine: &StoredMachine,
        name: Name,
        job: &Job<'_>,
    ) -> Result<StoredMachine, LibraryError> {
        self.told(self.library().clone_machine(machine, name, job))
    }

    /// Tells those who follow that something on disk may be another now, also where something failed.
    fn told<T>(&self, result: T) -> T {
        self.tell(&Change::Library);
        result
    }
}
