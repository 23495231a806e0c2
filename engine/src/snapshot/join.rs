//! Joining an image of a deleted snapshot with the one overlay that is built on it: what the overlay holds is written into the
//! image, which then stands for both.
//!
//! Where the overlay was what the machine writes to, the machine goes on with the image; a disk that the person brought has all
//! its data back then. Where a later snapshot keeps the overlay, the image takes its name, or if it cannot (a raw image, one from
//! elsewhere), what is built on the overlay is told of the image.

use std::path::PathBuf;

use uuid::Uuid;

use super::SnapshotError;
use super::delete::Overlay;
use super::journal::Step;
use super::manifest::{FrozenDisk, Manifest};
use super::reclaim::Change;
use super::session::Session;
use crate::definition::ImageFormat;
use crate::disk::tools::{Job, commit_overlay};
use crate::disk::{Backing, DiskOptions};

impl Session<'_> {
    /// Joins image number `number` of the deleted snapshot `node` with the overlay that is built on it.
    pub(super) fn join(
        self,
        mut node: Manifest,
        number: usize,
        overlay: Overlay,
        job: &Job<'_>,
    ) -> Result<(), SnapshotError> {
        let missing = || SnapshotError::NotFound {
            name: format!("disk {number} of {}", node.name),
        };
        let base = node.disks.get(number).cloned().ok_or_else(missing)?;
        let above = self.file_of(overlay).ok_or_else(missing)?;
        let base_path = self.folder().join(&base.file);
        let above_path = self.folder().join(&above);
        let owner = format!("the deleted snapshot {:?}", node.name);
        self.tree.chain(&owner, &above_path, ImageFormat::Qcow2)?;
        // From the first write on, the image's times say nothing, and the snapshot cannot be had back.
        node.merging = true;
        if let Some(disk) = node.disks.get_mut(number) {
            disk.unsettled = true;
        }
        self.rewrite(&node)?;
        let options = DiskOptions {
            backing: self.consent(),
            ..DiskOptions::new(base.format)
        };
        // Others may use the library while data is moved; nobody else can use the machine.
        let held = self.without_library();
        commit_overlay(&above_path, &base_path, &options, job)
            .map_err(|error| SnapshotError::from_tool(&base_path, error))?;
        let session = held.with_library()?;
        session.replace(node.id, number, overlay, above)
    }

    /// Puts image number `number` of a deleted snapshot in the place of the overlay, which holds nothing else.
    fn replace(
        &self,
        deleted: Uuid,
        number: usize,
        overlay: Overlay,
        above: PathBuf,
    ) -> Result<(), SnapshotError> {
        let mut node = self.manifest(deleted)?;
        let base = node.disks.remove(number);
        let mut change = Change::new(self)?;
        match overlay {
            Overlay::Current { drive } => {
                let mut wanted = self.machine.definition.clone();
                if let Some(drive) = wanted.drives.get_mut(drive) {
                    drive.backing.retain(|file| *file != base.file);
                    drive.file = Some(base.file);
                    drive.format = base.format;
                }
                change.define(&wanted)?;
                change.remove(above);
            }
            Overlay::Kept { snapshot, disk } => {
                let mut after = self.manifest(snapshot)?;
                let built = self.overlays_of(&self.folder().join(&above));
                let takes_name = base.format == ImageFormat::Qcow2
                    && self.is_ours(&base.file)
                    && base.file.parent() == above.parent();
                if takes_name {
                    change.then(Step::Rename {
                        from: base.file,
                        to: above,
                    });
                } else {
                    if let Some(kept) = after.disks.get_mut(disk) {
                        kept.file = base.file.clone();
                        kept.format = base.format;
                    }
                    self.tell(&built, &base, &mut change)?;
                    change.remove(above);
                }
                if let Some(kept) = after.disks.get_mut(disk) {
                    kept.unsettled = true;
                }
                change.put(after);
                change.settle(snapshot, disk);
            }
        }
        change.put_last(node)?;
        change.commit()
    }

    /// Tells overlays that they are built on `base` from now on.
    fn tell(
        &self,
        overlays: &[Overlay],
        base: &FrozenDisk,
        change: &mut Change<'_, '_>,
    ) -> Result<(), SnapshotError> {
        for overlay in overlays {
            let Some(file) = self.file_of(*overlay) else {
                continue;
            };
            change.then(Step::Rebase {
                file,
                base: base.file.clone(),
                format: base.format,
            });
            if let Overlay::Kept { snapshot, disk } = *overlay {
                let mut node = change.manifest(snapshot)?;
                if let Some(disk) = node.disks.get_mut(disk) {
                    disk.unsettled = true;
                }
                change.put(node);
                change.settle(snapshot, disk);
            }
        }
        Ok(())
    }

    pub(super) fn manifest(&self, id: Uuid) -> Result<Manifest, SnapshotError> {
        self.tree
            .node(id)
            .cloned()
            .ok_or_else(|| SnapshotError::NotFound {
                name: id.to_string(),
            })
    }

    /// The file that an overlay is.
    fn file_of(&self, overlay: Overlay) -> Option<PathBuf> {
        match overlay {
            Overlay::Kept { snapshot, disk } => {
                let disk = self.tree.node(snapshot)?.disks.get(disk)?;
                Some(disk.file.clone())
            }
            Overlay::Current { drive } => self.machine.definition.drives.get(drive)?.file.clone(),
        }
    }

    /// The images outside of the machine's folder that may be read: what its snapshots keep was its own, and what it is built on
    /// was agreed to.
    fn consent(&self) -> Backing {
        let drives = self.machine.definition.drives.iter();
        let mut files: Vec<PathBuf> = drives.flat_map(|drive| drive.backing.clone()).collect();
        let kept = self.tree.nodes.iter().flat_map(|node| &node.disks);
        files.extend(kept.map(|disk| disk.file.clone()));
        let origin = self.tree.origin.iter().flat_map(|origin| &origin.bases);
        files.extend(origin.map(|base| base.file.clone()));
        files.retain(|file| file.is_absolute());
        Backing {
            files,
            folders: vec![self.folder().to_owned()],
        }
    }
}
