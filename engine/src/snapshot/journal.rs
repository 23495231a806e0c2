//! Changes to several files that happen all or not at all.
//!
//! New files are prepared in a hidden folder. Then the list of what is to be renamed and removed is put in place by one rename:
//! from there on the change is done, whoever carries the list out. Before that nothing refers to the hidden folder, and it is
//! removed. Each entry of the list may be carried out again.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::manifest::{self, Identity, Manifest, SCHEMA};
use super::session::backing_name;
use super::tree::relative_place;
use super::{MANIFEST, SNAPSHOTS, SnapshotError, files};
use crate::definition::ImageFormat;
use crate::disk::tools::set_backing;
use crate::library::{DEFINITION_FILE, replace_definition};

const JOURNAL: &str = "journal.toml";
/// How the names of hidden folders begin.
const PREPARED: &str = ".new-";

/// A list of what is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Journal {
    schema: u32,
    #[serde(default, rename = "step")]
    steps: Vec<Step>,
}

/// One change. Paths are relative to the machine's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub(super) enum Step {
    /// Gives a file or folder another name, in the place of whatever file has it.
    Rename { from: PathBuf, to: PathBuf },
    /// Gives `machine.toml` the text of a file, which is removed.
    Define { from: PathBuf },
    /// Has an overlay name the image that it is built on otherwise.
    Rebase {
        file: PathBuf,
        base: PathBuf,
        format: ImageFormat,
    },
    /// Writes down how an image is now that a snapshot keeps, by the number of its disk.
    Settle { snapshot: Uuid, disk: usize },
    /// Removes a file.
    Remove { file: PathBuf },
    /// Removes a folder.
    RemoveFolder { folder: PathBuf },
}

/// New files that nothing refers to yet; they go unless they are committed.
pub(super) struct Prepared {
    machine: PathBuf,
    name: PathBuf,
    steps: Vec<Step>,
}

impl Prepared {
    /// An empty hidden folder for the machine in `machine`.
    pub(super) fn new(machine: &Path) -> Result<Self, SnapshotError> {
        let snapshots = machine.join(SNAPSHOTS);
        let host = SnapshotError::host("create", &snapshots);
        let name = Path::new(SNAPSHOTS).join(format!("{PREPARED}{}", Uuid::new_v4().simple()));
        let prepared = Self {
            machine: machine.to_owned(),
            name,
            steps: Vec::new(),
        };
        files::make_folder(&snapshots)
            .and_then(|()| files::sync(machine))
            .and_then(|()| files::make_folder(&machine.join(&prepared.name)))
            .map_err(host)?;
        Ok(prepared)
    }

    /// Where something called `name` is prepared.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.machine.join(self.inside(name))
    }

    fn inside(&self, name: &str) -> PathBuf {
        self.name.join(name)
    }

    /// Writes a file.
    pub(super) fn write(&self, name: &str, content: &[u8]) -> Result<(), SnapshotError> {
        let file = self.path(name);
        files::write_new(&file, content).map_err(SnapshotError::host("write", &file))
    }

    /// Makes a folder.
    pub(super) fn folder(&self, name: &str) -> Result<(), SnapshotError> {
        let folder = self.path(name);
        files::make_folder(&folder).map_err(SnapshotError::host("create", &folder))
    }

    /// Copies a file, if it is there; tells whether it is.
    pub(super) fn copy(&self, from: &Path, name: &str) -> Result<bool, SnapshotError> {
        match files::copy_new(from, &self.path(name)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(SnapshotError::host("copy", from)(error)),
        }
    }

    /// What is prepared as `name` goes to `to` in the machine's folder.
    pub(super) fn place(&mut self, name: &str, to: impl Into<PathBuf>) {
        let from = self.inside(name);
        self.steps.push(Step::Rename {
            from,
            to: to.into(),
        });
    }

    /// The file prepared as `name` becomes the machine's definition.
    pub(super) fn define(&mut self, name: &str) {
        let from = self.inside(name);
        self.steps.push(Step::Define { from });
    }

    /// Adds something that is to be done.
    pub(super) fn then(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// Makes it so.
    pub(super) fn commit(mut self) -> Result<(), SnapshotError> {
        let folder = self.name.clone();
        self.steps.push(Step::RemoveFolder { folder });
        let journal = Journal {
            schema: SCHEMA,
            steps: std::mem::take(&mut self.steps),
        };
        let file = self.machine.join(SNAPSHOTS).join(JOURNAL);
        let text = manifest::text(&file, &journal)?;
        // What the list names is on the device before the list is.
        sync_tree(&self.machine.join(&self.name)).map_err(SnapshotError::host("write", &file))?;
        files::replace(&file, text.as_bytes()).map_err(SnapshotError::host("write", &file))?;
        apply(&self.machine, &journal)
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        // Where there is a list, what it names is not thrown away.
        if self.machine.join(SNAPSHOTS).join(JOURNAL).exists() {
            return;
        }
        let folder = self.machine.join(&self.name);
        if let Err(error) = files::remove_folder(&folder) {
            tracing::warn!(folder = %folder.display(), %error, "could not remove what was prepared for a snapshot");
        }
    }
}

fn sync_tree(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_tree(&entry.path())?;
        }
    }
    files::sync(folder)
}

/// Carries out a list and takes it away.
fn apply(machine: &Path, journal: &Journal) -> Result<(), SnapshotError> {
    for step in &journal.steps {
        match step {
            Step::Rename { from, to } => {
                let (from, to) = (machine.join(from), machine.join(to));
                if from.symlink_metadata().is_ok() {
                    files::rename(&from, &to).map_err(SnapshotError::host("rename", &from))?;
                }
            }
            Step::Define { from } => {
                let from = machine.join(from);
                if from.symlink_metadata().is_ok() {
                    let text =
                        fs::read_to_string(&from).map_err(SnapshotError::host("read", &from))?;
                    let file = machine.join(DEFINITION_FILE);
                    files::step().map_err(SnapshotError::host("write", &file))?;
                    replace_definition(&file, &text)?;
                    files::remove_file(&from).map_err(SnapshotError::host("remove", &from))?;
                }
            }
            Step::Rebase { file, base, format } => rebase(&machine.join(file), base, *format)?,
            Step::Settle { snapshot, disk } => settle(machine, *snapshot, *disk)?,
            Step::Remove { file } => {
                let file = machine.join(file);
                files::remove_file(&file).map_err(SnapshotError::host("remove", &file))?;
            }
            Step::RemoveFolder { folder } => {
                let folder = machine.join(folder);
                files::remove_folder(&folder).map_err(SnapshotError::host("remove", &folder))?;
            }
        }
    }
    let snapshots = machine.join(SNAPSHOTS);
    let file = snapshots.join(JOURNAL);
    files::sync(&snapshots)
        .and_then(|()| files::sync(machine))
        .and_then(|()| files::remove_file(&file))
        .and_then(|()| files::sync(&snapshots))
        .map_err(SnapshotError::host("remove", &file))
}

fn rebase(file: &Path, base: &Path, format: ImageFormat) -> Result<(), SnapshotError> {
    files::step().map_err(SnapshotError::host("write to", file))?;
    let name = backing_name(base)?;
    set_backing(file, name, format.into()).map_err(|error| SnapshotError::from_tool(file, error))
}

fn settle(machine: &Path, snapshot: Uuid, disk: usize) -> Result<(), SnapshotError> {
    let file = machine.join(relative_place(snapshot)).join(MANIFEST);
    let mut node: Manifest = manifest::read(&file)?;
    if let Some(disk) = node.disks.get_mut(disk) {
        let path = machine.join(&disk.file);
        disk.identity = Identity::of(&path).map_err(SnapshotError::host("read", &path))?;
        disk.unsettled = false;
    }
    let text = manifest::text(&file, &node)?;
    files::replace(&file, text.as_bytes()).map_err(SnapshotError::host("write", &file))
}

/// Whether a change was decided and not completed in the machine in `folder`.
pub(crate) fn is_decided(folder: &Path) -> bool {
    folder.join(SNAPSHOTS).join(JOURNAL).exists()
}

/// Whether something was cut in the middle in the machine in `folder`.
pub(crate) fn unfinished(folder: &Path) -> bool {
    is_decided(folder)
        || fs::read_dir(folder.join(SNAPSHOTS)).is_ok_and(|entries| {
            entries
                .flatten()
                .any(|entry| is_prepared(&entry.file_name()))
        })
}

fn is_prepared(name: &std::ffi::OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with(PREPARED))
}

/// Ends what was cut in the middle in the machine in `folder`: as done if it had been decided, else as not done. Called with the
/// library's lock and the machine's held.
pub(crate) fn recover(folder: &Path) -> Result<(), SnapshotError> {
    let snapshots = folder.join(SNAPSHOTS);
    let file = snapshots.join(JOURNAL);
    if file.exists() {
        let journal: Journal = manifest::read(&file)?;
        check(&file, &journal)?;
        tracing::info!(folder = %folder.display(), "a change to snapshots that was cut in the middle is completed");
        apply(folder, &journal)?;
    }
    let Ok(entries) = fs::read_dir(&snapshots) else {
        return Ok(());
    };
    for entry in entries.flatten() {
        if is_prepared(&entry.file_name()) {
            files::remove_folder(&entry.path())
                .map_err(SnapshotError::host("remove", &entry.path()))?;
        }
    }
    Ok(())
}

/// Refuses a list that leads out of the machine's folder: the folder may come from somebody else.
fn check(file: &Path, journal: &Journal) -> Result<(), SnapshotError> {
    let inside = |path: &Path| {
        let mut parts = path.components().peekable();
        parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
    };
    let good = journal.steps.iter().all(|step| match step {
        Step::Rename { from, to } => inside(from) && inside(to),
        Step::Define { from: path }
        | Step::Remove { file: path }
        | Step::Rebase { file: path, .. } => inside(path),
        Step::Settle { .. } => true,
        Step::RemoveFolder { folder } => inside(folder) && folder.starts_with(SNAPSHOTS),
    });
    if good {
        return Ok(());
    }
    Err(SnapshotError::Broken {
        file: file.to_owned(),
        message: "it leads out of the machine's folder".to_owned(),
    })
}
