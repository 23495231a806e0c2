//! Deleting a snapshot and having it back, and what is built on what.

use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::SnapshotError;
use super::manifest::Manifest;
use super::session::Session;
use super::tree::{backing_path, is_written, real};
use crate::definition::ImageFormat;
use crate::disk::inspect;
use crate::library::{Entry, Library, StoredMachine};

impl Library {
    /// Deletes a snapshot: it is no longer shown, and can be had back until its space is given back.
    ///
    /// # Errors
    /// When the machine runs, there is no such snapshot, or another machine is built on it.
    pub fn delete_snapshot(&self, machine: &StoredMachine, id: Uuid) -> Result<(), SnapshotError> {
        let session = Session::open(self, machine)?;
        let mut node = session.tree.get(id)?.clone();
        if let Some(machine) = session.clone_of(&node)? {
            return Err(SnapshotError::HasClone {
                snapshot: node.name,
                machine,
            });
        }
        node.deleted = true;
        session.rewrite(&node)?;
        session.close()?;
        Ok(())
    }

    /// Brings a deleted snapshot back.
    ///
    /// # Errors
    /// When its space was given back, or is being.
    pub fn restore_snapshot(&self, machine: &StoredMachine, id: Uuid) -> Result<(), SnapshotError> {
        let session = Session::open(self, machine)?;
        let mut node = session
            .tree
            .node(id)
            .cloned()
            .ok_or_else(|| SnapshotError::NotFound {
                name: id.to_string(),
            })?;
        if node.merging {
            return Err(SnapshotError::Merging {
                snapshot: node.name,
            });
        }
        node.deleted = false;
        session.rewrite(&node)
    }
}

/// What is built on an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overlay {
    /// An image that a snapshot keeps.
    Kept { snapshot: Uuid, disk: usize },
    /// What the machine writes to, in this drive.
    Current { drive: usize },
}

impl Session<'_> {
    /// The name of a machine that is built on a snapshot, if there is one: one that the snapshot knows of, or one in this library
    /// whose disks name an image of it.
    pub(super) fn clone_of(&self, node: &Manifest) -> Result<Option<String>, SnapshotError> {
        let kept: Vec<PathBuf> = node
            .disks
            .iter()
            .map(|disk| real(&self.folder().join(&disk.file)))
            .collect();
        for entry in self.library.scan()? {
            let Entry::Machine(machine) = entry else {
                continue;
            };
            if machine.folder == self.folder() {
                continue;
            }
            let linked = node
                .clones
                .iter()
                .any(|link| link.machine == machine.definition.uuid);
            if linked || builds_on(&machine, &kept) {
                return Ok(Some(machine.definition.name.to_string()));
            }
        }
        for link in &node.clones {
            if real(&link.library) == real(self.library.folder()) {
                continue;
            }
            // A clone in another library, which may not be there right now.
            let Ok(library) = Library::existing(&link.library) else {
                continue;
            };
            for entry in library.scan()? {
                if let Entry::Machine(machine) = entry
                    && machine.definition.uuid == link.machine
                {
                    return Ok(Some(machine.definition.name.to_string()));
                }
            }
        }
        Ok(None)
    }

    /// Everything of this machine that is built on the image at `path`.
    pub(super) fn overlays_of(&self, path: &Path) -> Vec<Overlay> {
        let base = real(path);
        let is_over = |file: &Path, format| {
            let file = self.folder().join(file);
            format == ImageFormat::Qcow2
                && inspect(&file).is_ok_and(|info| {
                    info.backing_file
                        .is_some_and(|named| real(&backing_path(&file, &named)) == base)
                })
        };
        let mut found = Vec::new();
        for node in &self.tree.nodes {
            for (number, disk) in node.disks.iter().enumerate() {
                if is_over(&disk.file, disk.format) {
                    found.push(Overlay::Kept {
                        snapshot: node.id,
                        disk: number,
                    });
                }
            }
        }
        for (number, drive) in self.machine.definition.drives.iter().enumerate() {
            if let Some(file) = &drive.file
                && is_written(drive)
                && is_over(file, drive.format)
            {
                found.push(Overlay::Current { drive: number });
            }
        }
        found
    }

    /// Whether an image was made for the machine: it is in its folder.
    pub(super) fn is_ours(&self, file: &Path) -> bool {
        file.is_relative() && real(&self.folder().join(file)).starts_with(real(self.folder()))
    }
}

/// Whether a machine's disks are built on one of these images, by what their headers say.
fn builds_on(machine: &StoredMachine, images: &[PathBuf]) -> bool {
    let drives = machine.definition.drives.iter();
    drives
        .filter(|drive| drive.format == ImageFormat::Qcow2)
        .filter_map(|drive| drive.path(&machine.folder))
        .any(|mut path| {
            for _ in 0..64 {
                let Some(named) = inspect(&path).ok().and_then(|info| info.backing_file) else {
                    return false;
                };
                path = backing_path(&path, &named);
                if images.contains(&real(&path)) {
                    return true;
                }
            }
            false
        })
}
