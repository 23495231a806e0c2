//! Cloning machines: disks are shared with the original by the file system where it can do so, and copied with their holes where
//! it cannot; one that is built on others, as after a snapshot, is copied with all that it shows. Media that may only be read
//! (installer ISOs) are referred to by both.

use std::path::{Path, PathBuf};

use super::create::{Unfinished, renewed};
use super::{DEFINITION_FILE, Library, LibraryError, StoredMachine, document, scan};
use crate::definition::{Drive, ImageFormat, Name};
use crate::disk::inspect;
use crate::disk::tools::{Job, Source, TargetFormat, ToolError, convert, full_clone};
use crate::firmware::NVRAM_FILES;

impl Library {
    /// Makes a copy of the machine called `name`, with its disks and an identity of its own.
    ///
    /// # Errors
    /// When the machine runs, the name is taken, or a disk cannot be copied; nothing is left behind.
    pub fn clone_machine(
        &self,
        machine: &StoredMachine,
        name: Name,
        job: &Job<'_>,
    ) -> Result<StoredMachine, LibraryError> {
        let _machine = machine.lock()?;
        let unfinished = {
            let _lock = self.lock()?;
            self.check_name(&name, None)?;
            Unfinished::new(self)?
        };
        let mut definition = renewed(&machine.definition, name);
        for (number, drive) in definition.drives.iter_mut().enumerate() {
            let Some(file) = &drive.file else { continue };
            if drive.read_only && file.is_absolute() {
                continue;
            }
            let source = machine.folder.join(file);
            let target = free_name(unfinished.folder(), &source, number);
            let place = unfinished.folder().join(&target);
            if is_overlay(drive, &source)? {
                // What it is built on stays where it is: the clone has a disk of its own, whole.
                if let Some(from) = Source::of_drive(drive, &machine.folder) {
                    convert(&from, &place, TargetFormat::QCOW2, false, job)?;
                }
                drive.backing.clear();
            } else {
                full_clone(&source, &place, job)?;
            }
            drive.file = Some(target);
        }
        for name in NVRAM_FILES {
            let source = machine.folder.join(name);
            if source.symlink_metadata().is_ok() {
                full_clone(&source, &unfinished.folder().join(name), job)?;
            }
        }
        let source = machine.file();
        let text = scan::read_text(&source)?;
        let text = document::merge(&source, &text, &machine.definition, &definition)?;
        let file = unfinished.folder().join(DEFINITION_FILE);
        document::write_whole(&file, &text)
            .map_err(|source| LibraryError::folder("write", &file, source))?;
        let _lock = self.lock()?;
        unfinished.publish(self, &definition.name)
    }
}

/// A name in the clone's folder for a copy of `source`.
fn free_name(folder: &Path, source: &Path, number: usize) -> PathBuf {
    let name = PathBuf::from(source.file_name().unwrap_or_default());
    let free = folder.join(&name).symlink_metadata().is_err();
    let reserved = NVRAM_FILES.iter().any(|file| name == Path::new(file));
    if free && !reserved && !name.as_os_str().is_empty() && name != Path::new(DEFINITION_FILE) {
        return name;
    }
    PathBuf::from(format!("disk-{number}"))
}

/// Whether the image in a drive holds only what differs from another.
fn is_overlay(drive: &Drive, file: &Path) -> Result<bool, ToolError> {
    Ok(drive.format == ImageFormat::Qcow2 && inspect(file)?.backing_file.is_some())
}
