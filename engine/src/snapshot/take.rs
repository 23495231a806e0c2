//! Taking a snapshot.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use super::journal::Prepared;
use super::manifest::{self, FrozenDisk, Identity, Manifest, SCHEMA};
use super::session::{Session, current_text, overlay, put_overlay};
use super::tree::{Tree, is_written, relative_place};
use super::{CURRENT, MANIFEST, SCREEN, SNAPSHOTS, SnapshotError};
use crate::disk::DiskOptions;
use crate::firmware::NVRAM_FILES;
use crate::library::{DEFINITION_FILE, Library, StoredMachine, merge_definition};

/// What a new snapshot is to be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewSnapshot {
    /// What people call it: 1 to 64 characters without control characters.
    pub name: String,
    /// What they write about it.
    pub notes: String,
}

/// `text` as a snapshot's name.
pub(super) fn name(text: &str) -> Result<String, SnapshotError> {
    let text = text.trim();
    let length = text.chars().count();
    if length == 0 || length > 64 || text.chars().any(char::is_control) {
        return Err(SnapshotError::Name);
    }
    Ok(text.to_owned())
}

impl Library {
    /// The machine's snapshots.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub fn snapshots(&self, machine: &StoredMachine) -> Result<Tree, SnapshotError> {
        Tree::read(&machine.folder)
    }

    /// Takes a snapshot of the machine, which is off: its disks, its variable store and its definition. Killed at any time, it is
    /// taken or not.
    ///
    /// # Errors
    /// When the machine runs, a disk cannot be frozen, or its snapshots do not hold together. Nothing is changed then.
    pub fn take_snapshot(
        &self,
        machine: &StoredMachine,
        new: &NewSnapshot,
    ) -> Result<Uuid, SnapshotError> {
        let session = Session::open(self, machine)?;
        let id = session.take(new)?;
        session.close()?;
        Ok(id)
    }

    /// Gives a snapshot another name and other notes.
    ///
    /// # Errors
    /// When there is none, the name cannot be one, or the host refuses.
    pub fn describe_snapshot(
        &self,
        machine: &StoredMachine,
        id: Uuid,
        new: &NewSnapshot,
    ) -> Result<(), SnapshotError> {
        let session = Session::open(self, machine)?;
        let mut node = session.tree.get(id)?.clone();
        node.name = name(&new.name)?;
        node.notes = new.notes.trim().to_owned();
        session.rewrite(&node)
    }
}

impl Session<'_> {
    /// Takes a snapshot.
    pub(super) fn take(&self, new: &NewSnapshot) -> Result<Uuid, SnapshotError> {
        let id = Uuid::new_v4();
        let folder = self.folder();
        self.tree.check_current(&self.machine.definition)?;
        let mut node = Manifest {
            schema: SCHEMA,
            id,
            parent: self.tree.current,
            name: name(&new.name)?,
            notes: new.notes.trim().to_owned(),
            created: now(),
            deleted: false,
            merging: false,
            running: None,
            disks: Vec::new(),
            clones: Vec::new(),
        };
        let mut prepared = Prepared::new(folder)?;
        let mut wanted = self.machine.definition.clone();
        let mut names: Vec<PathBuf> = Vec::new();
        // Held until all is done, so that no other program writes to what is being frozen.
        let mut held = Vec::new();
        for (number, drive) in wanted.drives.iter_mut().enumerate() {
            if !is_written(drive) {
                continue;
            }
            let (Some(file), Some(path)) = (drive.file.clone(), drive.path(folder)) else {
                continue;
            };
            if !path.is_file() {
                return Err(SnapshotError::Device { file: path });
            }
            let options = DiskOptions {
                read_only: true,
                ..DiskOptions::of_drive(drive, folder)
            };
            let image = options.open(&path)?;
            let size = image.size();
            let name = self.free_name(&file, &names);
            let content = overlay(&file, drive.format, size)?;
            let prepared_name = prepared_disk(number);
            prepared.write(&prepared_name, &content)?;
            prepared.place(&prepared_name, &name);
            node.disks.push(FrozenDisk {
                drive: number,
                file,
                format: drive.format,
                virtual_size: size,
                identity: Identity::of(&path).map_err(SnapshotError::host("read", &path))?,
                unsettled: false,
            });
            put_overlay(drive, &name, &[]);
            names.push(name);
            held.push(image);
        }
        const KEPT: &str = "snapshot";
        prepared.folder(KEPT)?;
        let kept = |name: &str| format!("{KEPT}/{name}");
        prepared.write(&kept(DEFINITION_FILE), self.text.as_bytes())?;
        for name in NVRAM_FILES {
            prepared.copy(&folder.join(name), &kept(name))?;
        }
        prepared.copy(&folder.join(SCREEN), &kept(SCREEN))?;
        let text = manifest::text(Path::new(MANIFEST), &node)?;
        prepared.write(&kept(MANIFEST), text.as_bytes())?;
        prepared.write(CURRENT, current_text(folder, Some(id))?.as_bytes())?;
        let text = merge_definition(
            &self.machine.file(),
            &self.text,
            &self.machine.definition,
            &wanted,
        )?;
        prepared.write(DEFINITION_FILE, text.as_bytes())?;
        prepared.place(KEPT, relative_place(id));
        prepared.define(DEFINITION_FILE);
        prepared.place(CURRENT, Path::new(SNAPSHOTS).join(CURRENT));
        prepared.commit()?;
        Ok(id)
    }
}

/// What the overlay for drive `number` is called until it is in its place.
pub(super) fn prepared_disk(number: usize) -> String {
    format!("disk-{number}.qcow2")
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}
