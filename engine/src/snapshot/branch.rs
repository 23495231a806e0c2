//! Machines made from snapshots, whose disks hold only what differs from the snapshot's.

use std::path::Path;

use uuid::Uuid;

use super::manifest::{self, Base, Link, Manifest, Origin, SCHEMA};
use super::session::{Session, kept, overlay, put_overlay};
use super::tree::real;
use super::{NewSnapshot, ORIGIN, SnapshotError, files};
use crate::definition::{ImageFormat, Name};
use crate::disk::inspect;
use crate::firmware::NVRAM_FILES;
use crate::library::{
    DEFINITION_FILE, Library, StoredMachine, Unfinished, merge_definition, renewed,
};

impl Library {
    /// Makes a machine called `name` from a snapshot, with an identity of its own. Its disks are built on the snapshot's, which
    /// can then not be deleted before the new machine is. Killed at any time, the machine is there or not.
    ///
    /// # Errors
    /// When the machine runs, there is no such snapshot, what it is built on is missing or was changed, or the name is taken.
    pub fn branch(
        &self,
        machine: &StoredMachine,
        id: Uuid,
        name: Name,
    ) -> Result<StoredMachine, SnapshotError> {
        let session = Session::open(self, machine)?;
        self.check_name(&name, None)?;
        session.branch(id, name)
    }
}

impl Session<'_> {
    /// Makes a linked machine from the snapshot `id`.
    pub(super) fn branch(&self, id: Uuid, name: Name) -> Result<StoredMachine, SnapshotError> {
        let node = self.tree.get(id)?;
        if node.running.is_some() {
            return Err(SnapshotError::Running {
                snapshot: node.name.clone(),
            });
        }
        let below = self.tree.check_snapshot(node)?;
        let below: Vec<_> = below.iter().map(|file| real(file)).collect();
        let (text, then) = self.definition_of(node)?;
        let mut wanted = renewed(&then, name);
        let unfinished = Unfinished::new(self.library)?;
        let folder = unfinished.folder();
        let write = |name: &str, content: &[u8]| {
            let file = folder.join(name);
            files::write_new(&file, content).map_err(SnapshotError::host("write", &file))
        };
        // What was in the machine's folder is not in the new one's.
        let home = real(self.folder());
        for drive in &mut wanted.drives {
            if let Some(file) = &drive.file {
                drive.file = Some(home.join(file));
            }
        }
        let mut bases = Vec::new();
        for disk in &node.disks {
            let Some(drive) = wanted.drives.get_mut(disk.drive) else {
                return Err(SnapshotError::Broken {
                    file: self.folder().join(kept(id, DEFINITION_FILE)),
                    message: format!("it has no drive number {}", disk.drive),
                });
            };
            let base = real(&self.folder().join(&disk.file));
            let name = format!("disk-{}.qcow2", disk.drive);
            write(&name, &overlay(&base, disk.format, disk.virtual_size)?)?;
            put_overlay(drive, Path::new(&name), &below);
            bases.push(Base {
                file: base,
                format: disk.format,
                identity: disk.identity,
            });
        }
        for file in below {
            let identity =
                manifest::Identity::of(&file).map_err(SnapshotError::host("read", &file))?;
            bases.push(Base {
                format: self.format_of(&file)?,
                file,
                identity,
            });
        }
        let text = merge_definition(&self.machine.file(), &text, &then, &wanted)?;
        write(DEFINITION_FILE, text.as_bytes())?;
        let origin = Origin {
            schema: SCHEMA,
            machine: self.machine.definition.uuid,
            name: self.machine.definition.name.to_string(),
            snapshot: id,
            bases,
        };
        write(
            ORIGIN,
            manifest::text(Path::new(ORIGIN), &origin)?.as_bytes(),
        )?;
        for name in NVRAM_FILES {
            let variables = self.folder().join(kept(id, name));
            if variables.exists() {
                files::copy_new(&variables, &folder.join(name))
                    .map_err(SnapshotError::host("copy", &variables))?;
            }
        }
        // The snapshot knows of the machine before there is one: a link that leads nowhere holds nothing.
        let mut linked: Manifest = node.clone();
        linked.clones.push(Link {
            machine: wanted.uuid,
            library: self.library.folder().to_owned(),
        });
        self.rewrite(&linked)?;
        files::step().map_err(SnapshotError::host("rename", folder))?;
        Ok(unfinished.publish(self.library, &wanted.name)?)
    }

    /// How an image below a snapshot stores what the guest sees.
    fn format_of(&self, file: &Path) -> Result<ImageFormat, SnapshotError> {
        Ok(match self.tree.known_format(file) {
            Some(format) => format,
            None => inspect(file)?.format,
        })
    }
}

impl Library {
    /// Makes a machine called `name` that holds only what differs from `machine` as it is now, of which a snapshot is taken for it, called
    /// `base` (of which the first 64 characters count).
    ///
    /// # Errors
    /// As [`Library::take_snapshot`] and [`Library::branch`].
    pub fn clone_linked(
        &self,
        machine: &StoredMachine,
        name: Name,
        base: &str,
    ) -> Result<StoredMachine, SnapshotError> {
        let id = {
            let session = Session::open(self, machine)?;
            self.check_name(&name, None)?;
            session.take(&NewSnapshot {
                name: base.chars().take(64).collect(),
                notes: String::new(),
            })?
        };
        self.branch(machine, id, name)
    }
}
