//! The images of the machines' drives, for the windows. None of this is for a thread that draws.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use guesthouse_engine::disk;

use super::{
    Definition, Drive, DriveKind, Entry, Host, ImageFormat, Machines, NewDisk, Severity,
    StoredMachine, TrashedImage,
};
use crate::text::{self, gettext, gettext_with};

/// What a disk's image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Bytes that the guest sees.
    pub size: u64,
    /// Bytes that the file takes up.
    pub used: u64,
    /// The image that it is built on, as it names it.
    pub base: Option<String>,
}

/// What the image in `drive` of a machine in `folder` is, or why that is not known, as a sentence.
///
/// # Errors
/// What is wrong with the file.
pub fn facts(drive: &Drive, folder: &Path) -> Result<Facts, String> {
    let path = drive
        .path(folder)
        .ok_or_else(|| gettext("There is no image."))?;
    let info = disk::inspect(&path).map_err(|error| text::sentence(&error))?;
    let raw = drive.format == ImageFormat::Raw;
    let length = || std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
    Ok(Facts {
        size: if raw { length() } else { info.virtual_size },
        used: info.allocated_size,
        base: info.backing_file.filter(|_| !raw),
    })
}

/// The images that the one at `path` is built on, the nearest first, as whole paths.
///
/// # Errors
/// When one of them cannot be read, as a sentence.
pub fn bases(path: &Path) -> Result<Vec<PathBuf>, String> {
    const LONGEST: usize = 64;
    let mut found: Vec<PathBuf> = Vec::new();
    let mut at = path.to_owned();
    while let Some(named) = disk::inspect(&at)
        .map_err(|error| text::sentence(&error))?
        .backing_file
    {
        let base = at.parent().unwrap_or(Path::new("/")).join(named);
        let base = std::fs::canonicalize(&base).map_err(|error| {
            gettext_with(
                "{file} cannot be opened: {reason}.",
                &[("file", &base.display()), ("reason", &error)],
            )
        })?;
        if found.len() == LONGEST || found.contains(&base) {
            return Err(gettext_with(
                "The images below {file} name one another in a circle, or are too many.",
                &[("file", &path.display())],
            ));
        }
        found.push(base.clone());
        at = base;
    }
    Ok(found)
}

/// Bytes that a folder with all in it takes up on its file system `device`; links are not followed.
fn taken(folder: &Path, device: u64) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)))
        .filter(|(_, metadata)| metadata.dev() == device)
        .map(|(path, metadata)| match metadata.is_dir() {
            true => taken(&path, device),
            false => metadata.blocks() * 512,
        })
        .sum()
}

impl Machines {
    /// The machines that are off and on the file system of `file`, and how many bytes each takes up there, the most first.
    pub fn off_beside(&self, file: &Path) -> Vec<(StoredMachine, u64)> {
        let Ok(device) = std::fs::metadata(file).map(|metadata| metadata.dev()) else {
            return Vec::new();
        };
        let entries = self.scan().unwrap_or_default().into_iter();
        let mut found: Vec<_> = entries
            .filter_map(|entry| match entry {
                Entry::Machine(machine) => Some(machine),
                Entry::Broken(_) => None,
            })
            .filter(|machine| !self.state(&machine.folder).is_alive())
            .map(|machine| {
                let drives = machine.definition.drives.iter();
                let elsewhere = drives
                    .filter(|drive| drive.kind == DriveKind::Disk)
                    .filter_map(|drive| drive.path(&machine.folder))
                    .filter(|path| !path.starts_with(&machine.folder))
                    .filter_map(|path| path.metadata().ok())
                    .filter(|metadata| metadata.dev() == device)
                    .map(|metadata| metadata.blocks() * 512);
                let bytes = taken(&machine.folder, device) + elsewhere.sum::<u64>();
                (machine, bytes)
            })
            .filter(|(_, bytes)| *bytes > 0)
            .collect();
        found.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
        found
    }

    /// Makes `machine` what `definition` says, unless that brings something that speaks against it.
    ///
    /// # Errors
    /// What speaks against it, or why it could not be written, as sentences.
    pub fn change(&self, machine: &StoredMachine, definition: &Definition) -> Result<(), String> {
        let host = Host::inspect().map_err(|error| text::sentence(&error))?;
        let find = |definition| {
            let found = self
                .library()
                .findings(definition, Some(&machine.folder), &host);
            found.map_err(|error| text::sentence(&error))
        };
        let before = find(&machine.definition)?;
        let bad = |message: &str| before.iter().any(|finding| finding.message == message);
        let new = find(definition)?
            .into_iter()
            .find(|finding| finding.severity == Severity::Error && !bad(&finding.message));
        if let Some(finding) = new {
            return Err(text::translated(&finding.message));
        }
        self.update(machine, definition)
            .map(drop)
            .map_err(|error| text::sentence(&error))
    }

    /// Gives `machine` another hard disk, new and empty, of `size` bytes.
    ///
    /// # Errors
    /// What speaks against it, as sentences; nothing is left behind.
    pub fn add_disk(
        &self,
        machine: &StoredMachine,
        format: ImageFormat,
        size: u64,
    ) -> Result<(), String> {
        let file = self.library().free_image_name(machine, format);
        let mut definition = machine.definition.clone();
        definition.drives.push(Drive::disk(file.clone(), format));
        let disk = NewDisk {
            file: file.clone(),
            format,
            size,
        };
        let created = self.library().create_image(machine, &disk);
        created.map_err(|error| text::sentence(&error))?;
        self.change(machine, &definition).inspect_err(|_| {
            // Nothing is on it yet, and nothing names it.
            if let Err(error) = std::fs::remove_file(machine.folder.join(&file)) {
                tracing::warn!(%error, "a new disk that is not used could not be removed");
            }
        })
    }

    /// Moves an image in the folder of `machine`, which is in none of its drives any more, to the Trash.
    ///
    /// # Errors
    /// Why not, as a sentence.
    pub fn trash_image(
        &self,
        machine: &StoredMachine,
        file: &Path,
    ) -> Result<TrashedImage, String> {
        let trashed = self.library().trash_image(machine, file);
        trashed.map_err(|error| text::sentence(&error))
    }

    /// Brings an image back from the Trash.
    ///
    /// # Errors
    /// Why not, as a sentence.
    pub fn restore_image(&self, image: &TrashedImage) -> Result<(), String> {
        let restored = self.library().restore_image(image);
        restored.map_err(|error| text::sentence(&error))
    }
}
