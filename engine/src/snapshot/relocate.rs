//! Machines whose files went through other hands: held while they are copied away, and put right where they come back.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::manifest::{self, Identity, Manifest};
use super::session::{Session, kept};
use super::tree::{Tree, real};
use super::{MANIFEST, ORIGIN, SnapshotError, files};
use crate::definition::{Definition, DriveKind, ImageFormat, Name};
use crate::library::{
    DEFINITION_FILE, Library, MachineLock, StoredMachine, merge_definition, parse_definition,
    read_definition, renewed,
};

/// Holds `machine`, which is off, as it is on disk, with its snapshots, all of them checked.
///
/// # Errors
/// When it runs, or something does not hold together.
pub(crate) fn hold(
    library: &Library,
    machine: &StoredMachine,
) -> Result<(MachineLock, StoredMachine, Tree), SnapshotError> {
    let session = Session::open(library, machine)?;
    session.tree.check_current(&session.machine.definition)?;
    for node in &session.tree.nodes {
        session.tree.check_snapshot(node)?;
    }
    Ok(session.into_parts())
}

impl Tree {
    /// The hard disks' images that `definition` and the snapshots name, as they name them.
    ///
    /// # Errors
    /// When a snapshot cannot be read.
    pub(crate) fn named_images(
        &self,
        definition: &Definition,
    ) -> Result<Vec<(PathBuf, ImageFormat)>, SnapshotError> {
        let mut found = images(definition);
        for node in &self.nodes {
            let file = self.folder().join(kept(node.id, DEFINITION_FILE));
            let text = fs::read_to_string(&file).map_err(SnapshotError::host("read", &file))?;
            found.extend(images(&parse_definition(&file, &text)?));
            found.extend(
                node.disks
                    .iter()
                    .map(|disk| (disk.file.clone(), disk.format)),
            );
        }
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        found.dedup();
        Ok(found)
    }

    /// How an image that something is built on stores what the guest sees, where that is known.
    pub(crate) fn format_of(&self, image: &Path) -> Option<ImageFormat> {
        self.known_format(image)
    }
}

fn images(definition: &Definition) -> Vec<(PathBuf, ImageFormat)> {
    definition
        .drives
        .iter()
        .filter(|drive| drive.kind == DriveKind::Disk)
        .filter_map(|drive| Some((drive.file.clone()?, drive.format)))
        .collect()
}

/// What is to become of a machine that came back.
pub(crate) struct Relocation {
    /// Images that are named by whole paths, and their names in the machine's folder now.
    pub(crate) places: BTreeMap<PathBuf, PathBuf>,
    /// What it is called.
    pub(crate) name: Name,
    /// It is another machine than the one that it was.
    pub(crate) renewed: bool,
}

/// Puts the machine in `folder`, which is not published yet, right: its definition and its snapshots name what is in the folder.
///
/// # Errors
/// When one of its files cannot be understood or written.
pub(crate) fn relocate(folder: &Path, relocation: &Relocation) -> Result<(), SnapshotError> {
    let (machine, text) = read_definition(folder)?;
    let mut wanted = relocation.definition(&machine.definition);
    wanted.name = relocation.name.clone();
    if relocation.renewed {
        wanted = renewed(&wanted, relocation.name.clone());
    }
    let file = machine.file();
    write(
        &file,
        &merge_definition(&file, &text, &machine.definition, &wanted)?,
    )?;
    let tree = Tree::read(folder)?;
    for node in &tree.nodes {
        let file = folder.join(kept(node.id, DEFINITION_FILE));
        let text = fs::read_to_string(&file).map_err(SnapshotError::host("read", &file))?;
        let then = parse_definition(&file, &text)?;
        let wanted = relocation.definition(&then);
        if wanted != then {
            write(&file, &merge_definition(&file, &text, &then, &wanted)?)?;
        }
        let mut now: Manifest = node.clone();
        for disk in &mut now.disks {
            if let Some(name) = relocation.places.get(&disk.file) {
                disk.file.clone_from(name);
            }
            let path = folder.join(&disk.file);
            // Its content was compared with its checksum; when it was written says nothing any more.
            disk.identity = Identity::of(&path).map_err(SnapshotError::host("read", &path))?;
        }
        if relocation.renewed {
            now.clones.clear();
        }
        let file = tree.place(node.id).join(MANIFEST);
        write(&file, &manifest::text(&file, &now)?)?;
    }
    // What it was built on came with it.
    let origin = folder.join(ORIGIN);
    files::remove_file(&origin).map_err(SnapshotError::host("remove", &origin))?;
    let tree = Tree::read(folder)?;
    tree.check(&wanted)?;
    tree.check_current(&wanted)?;
    for node in &tree.nodes {
        for below in tree.check_snapshot(node)? {
            if !real(&below).starts_with(real(folder)) {
                return Err(SnapshotError::BaseMissing {
                    file: below,
                    owner: format!("the snapshot {:?}", node.name),
                });
            }
        }
    }
    Ok(())
}

fn write(file: &Path, text: &str) -> Result<(), SnapshotError> {
    files::replace(file, text.as_bytes()).map_err(SnapshotError::host("write", file))
}

impl Relocation {
    /// `definition` with the disks that are in the machine's folder now.
    fn definition(&self, definition: &Definition) -> Definition {
        let mut definition = definition.clone();
        for drive in &mut definition.drives {
            if drive.kind != DriveKind::Disk {
                continue;
            }
            if let Some(name) = drive.file.as_ref().and_then(|file| self.places.get(file)) {
                drive.file = Some(name.clone());
            }
            drive.backing.retain(|file| !self.places.contains_key(file));
        }
        definition
    }
}
