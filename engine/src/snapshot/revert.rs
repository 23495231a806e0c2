//! Going back to a snapshot.

use std::fs;
use std::path::Path;

use uuid::Uuid;

use super::journal::{Prepared, Step};
use super::manifest::Manifest;
use super::session::{Session, current_text, keep_identity, kept, overlay, put_overlay};
use super::take::prepared_disk;
use super::tree::{backing_path, is_written};
use super::{CURRENT, SNAPSHOTS, SnapshotError};
use crate::definition::{Definition, ImageFormat};
use crate::disk::inspect;
use crate::firmware::NVRAM_FILES;
use crate::library::{DEFINITION_FILE, Library, StoredMachine, merge_definition, parse_definition};

impl Library {
    /// Brings the machine back to a snapshot of it. What it was since its last snapshot is gone; its name stays. A disk that came
    /// into its folder since is taken out of its drives and left where it is. Killed at any time, it is back or as it was.
    ///
    /// # Errors
    /// When the machine runs, there is no such snapshot, or what it is built on is missing or was changed.
    pub fn revert(
        &self,
        machine: &StoredMachine,
        id: Uuid,
    ) -> Result<StoredMachine, SnapshotError> {
        let session = Session::open(self, machine)?;
        session.revert(id)?;
        session.close()
    }
}

impl Session<'_> {
    fn revert(&self, id: Uuid) -> Result<(), SnapshotError> {
        let node = self.tree.get(id)?.clone();
        if node.running.is_some() {
            return Err(SnapshotError::Running {
                snapshot: node.name,
            });
        }
        self.tree.check_snapshot(&node)?;
        let folder = self.folder();
        let mut prepared = Prepared::new(folder)?;
        let (text, then) = self.definition_of(&node)?;
        let mut wanted = then.clone();
        keep_identity(&mut wanted, &self.machine.definition);
        let mut names = Vec::new();
        for disk in &node.disks {
            let Some(drive) = wanted.drives.get_mut(disk.drive) else {
                return Err(SnapshotError::Broken {
                    file: folder.join(kept(id, DEFINITION_FILE)),
                    message: format!("it has no drive number {}", disk.drive),
                });
            };
            let name = self.free_name(&disk.file, &names);
            let content = overlay(&disk.file, disk.format, disk.virtual_size)?;
            prepared.write(&prepared_disk(disk.drive), &content)?;
            prepared.place(&prepared_disk(disk.drive), &name);
            put_overlay(drive, &name, &[]);
            names.push(name);
        }
        let text = merge_definition(&self.machine.file(), &text, &then, &wanted)?;
        prepared.write(DEFINITION_FILE, text.as_bytes())?;
        prepared.define(DEFINITION_FILE);
        for name in NVRAM_FILES {
            if prepared.copy(&folder.join(kept(id, name)), name)? {
                prepared.place(name, name);
            } else {
                prepared.then(Step::Remove { file: name.into() });
            }
        }
        prepared.write(CURRENT, current_text(folder, Some(id))?.as_bytes())?;
        prepared.place(CURRENT, Path::new(SNAPSHOTS).join(CURRENT));
        for file in self.overlays_of_now() {
            prepared.then(Step::Remove { file });
        }
        prepared.commit()
    }

    /// `machine.toml` as a snapshot keeps it.
    pub(super) fn definition_of(
        &self,
        node: &Manifest,
    ) -> Result<(String, Definition), SnapshotError> {
        let file = self.folder().join(kept(node.id, DEFINITION_FILE));
        let text = fs::read_to_string(&file).map_err(SnapshotError::host("read", &file))?;
        let definition = parse_definition(&file, &text)?;
        Ok((text, definition))
    }

    /// The overlays in the machine's folder that only its current state has. Whole disks are not among them: nothing else holds
    /// what is on them.
    fn overlays_of_now(&self) -> Vec<std::path::PathBuf> {
        let drives = self.machine.definition.drives.iter();
        let written =
            drives.filter(|drive| is_written(drive) && drive.format == ImageFormat::Qcow2);
        written
            .filter_map(|drive| drive.file.clone())
            .filter(|file| {
                let path = self.folder().join(file);
                file.components().count() == 1
                    && file.is_relative()
                    && self.tree.keeper(&path).is_none()
                    && inspect(&path).is_ok_and(|info| {
                        info.backing_file.is_some_and(|named| {
                            self.tree.keeper(&backing_path(&path, &named)).is_some()
                        })
                    })
            })
            .collect()
    }
}
