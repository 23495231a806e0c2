//! What every change to snapshots begins with: the machine and the library held, what was cut in the middle completed, and the
//! snapshots read and checked.

use std::path::{Path, PathBuf};

use super::manifest::{self, Current, Manifest, SCHEMA};
use super::tree::{Tree, is_written, relative_place};
use super::{CURRENT, MANIFEST, SnapshotError, files, journal};
use crate::definition::{Definition, Drive, ImageFormat};
use crate::disk::overlay_content;
use crate::library::{FolderLock, Library, MachineLock, StoredMachine, read_definition};

/// The longest path that an image's header takes, in bytes.
const LONGEST_BACKING: usize = 1000;

/// A machine held for a change to its snapshots.
pub(super) struct Session<'a> {
    pub(super) library: &'a Library,
    pub(super) machine: StoredMachine,
    /// `machine.toml`.
    pub(super) text: String,
    pub(super) tree: Tree,
    library_lock: FolderLock,
    machine_lock: MachineLock,
}

/// A machine held for work that takes long, with the library free for others.
pub(super) struct Held<'a> {
    library: &'a Library,
    folder: PathBuf,
    machine_lock: MachineLock,
}

impl<'a> Held<'a> {
    /// Holds the library too, and reads what is on disk again: others may have changed the definition.
    pub(super) fn with_library(self) -> Result<Session<'a>, SnapshotError> {
        let library_lock = self.library.lock()?;
        Session::read(self.library, &self.folder, library_lock, self.machine_lock)
    }
}

impl<'a> Session<'a> {
    /// Holds `machine`.
    ///
    /// # Errors
    /// When it runs or something else is done with it, or what is on disk does not hold together.
    pub(super) fn open(
        library: &'a Library,
        machine: &StoredMachine,
    ) -> Result<Self, SnapshotError> {
        let library_lock = library.lock()?;
        let machine_lock = machine.lock()?;
        Self::read(library, &machine.folder, library_lock, machine_lock)
    }

    fn read(
        library: &'a Library,
        folder: &Path,
        library_lock: FolderLock,
        machine_lock: MachineLock,
    ) -> Result<Self, SnapshotError> {
        journal::recover(folder)?;
        let (machine, text) = read_definition(folder)?;
        let tree = Tree::read(&machine.folder)?;
        tree.check(&machine.definition)?;
        Ok(Self {
            library,
            machine,
            text,
            tree,
            library_lock,
            machine_lock,
        })
    }

    /// Lets others use the library while something is done with the machine.
    pub(super) fn without_library(self) -> Held<'a> {
        drop(self.library_lock);
        Held {
            library: self.library,
            folder: self.machine.folder,
            machine_lock: self.machine_lock,
        }
    }

    /// The machine as it was read, still held.
    pub(super) fn into_parts(self) -> (MachineLock, StoredMachine, Tree) {
        (self.machine_lock, self.machine, self.tree)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.machine.folder
    }

    /// Checks that what is on disk holds together after a change; gives the machine as it is now.
    pub(super) fn close(self) -> Result<StoredMachine, SnapshotError> {
        let (machine, _) = read_definition(&self.machine.folder)?;
        let tree = Tree::read(&machine.folder)?;
        tree.check(&machine.definition)?;
        tree.check_current(&machine.definition)?;
        Ok(machine)
    }

    /// Writes down what changed of a snapshot.
    pub(super) fn rewrite(&self, node: &Manifest) -> Result<(), SnapshotError> {
        let file = self.tree.place(node.id).join(MANIFEST);
        let text = manifest::text(&file, node)?;
        files::replace(&file, text.as_bytes()).map_err(SnapshotError::host("write", &file))
    }

    /// A name in the machine's folder that nothing has, for an overlay over the image `file`; `taken` are names given already.
    pub(super) fn free_name(&self, file: &Path, taken: &[PathBuf]) -> PathBuf {
        let root = self.root(file);
        let stem = root.file_stem().unwrap_or_default().to_string_lossy();
        let mut number = 1_u64;
        loop {
            let name = PathBuf::from(format!("{stem}.{number}.qcow2"));
            let free = self.folder().join(&name).symlink_metadata().is_err();
            let written = self
                .machine
                .definition
                .drives
                .iter()
                .filter(|drive| is_written(drive));
            let meant = written
                .clone()
                .any(|drive| drive.file.as_ref() == Some(&name));
            let kept = self.tree.nodes.iter().flat_map(|node| &node.disks);
            if free
                && !meant
                && !taken.contains(&name)
                && !kept.clone().any(|disk| disk.file == name)
            {
                return name;
            }
            number += 1;
        }
    }

    /// The image that `file` is the latest overlay of, by names: "disk" of "disk.3.qcow2", where that was an overlay of ours.
    fn root(&self, file: &Path) -> PathBuf {
        let stem = Path::new(file.file_stem().unwrap_or_default());
        let numbered = stem
            .extension()
            .and_then(|extension| extension.to_str())
            .is_some_and(|extension| extension.bytes().all(|byte| byte.is_ascii_digit()));
        let plain = stem.with_extension("qcow2");
        if numbered && file.is_relative() && file.extension().is_some_and(|end| end == "qcow2") {
            plain
        } else {
            file.to_owned()
        }
    }
}

/// An empty overlay in a machine's folder over the image `base` of that machine.
pub(super) fn overlay(
    base: &Path,
    format: ImageFormat,
    size: u64,
) -> Result<Vec<u8>, SnapshotError> {
    let name = backing_name(base)?;
    Ok(overlay_content(base, &name, format, size)?)
}

/// How an overlay in a machine's folder names the image `base` of that machine.
pub(super) fn backing_name(base: &Path) -> Result<String, SnapshotError> {
    let name = base
        .to_str()
        .filter(|name| name.len() <= LONGEST_BACKING)
        .ok_or_else(|| SnapshotError::Path {
            file: base.to_owned(),
        })?;
    // A colon would make a protocol of what comes before it.
    Ok(if base.is_relative() && name.contains(':') {
        format!("./{name}")
    } else {
        name.to_owned()
    })
}

/// The file that says that the machine goes on from `parent`.
pub(super) fn current_text(
    folder: &Path,
    parent: Option<uuid::Uuid>,
) -> Result<String, SnapshotError> {
    let current = Current {
        schema: SCHEMA,
        parent,
    };
    manifest::text(&folder.join(CURRENT), &current)
}

/// Where a snapshot's copy of a file is, in the machine's folder.
pub(super) fn kept(id: uuid::Uuid, name: &str) -> PathBuf {
    relative_place(id).join(name)
}

/// Keeps the name and the identity of `now` in a definition of then.
pub(super) fn keep_identity(definition: &mut Definition, now: &Definition) {
    definition.name = now.name.clone();
    definition.uuid = now.uuid;
}

/// Puts the overlay called `name` in the place of the image in a drive, which it is built on, and of `below`, which it is built on
/// too. Those that are not in the machine's folder are agreed to: it was its own disk until now.
pub(super) fn put_overlay(drive: &mut Drive, name: &Path, below: &[PathBuf]) {
    let image = drive.file.replace(name.to_owned());
    let outside = image.iter().chain(below).filter(|file| file.is_absolute());
    for file in outside {
        if !drive.backing.contains(file) {
            drive.backing.push(file.clone());
        }
    }
    drive.format = ImageFormat::Qcow2;
}
