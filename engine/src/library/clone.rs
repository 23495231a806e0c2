//! Cloning machines: disks are shared with the original by the file system where it can do so, and copied with their holes where
//! it cannot; one that is built on others, as after a snapshot, is copied with all that it shows. Media that may only be read
//! (installer ISOs) are referred to by both.

use std::path::{Path, PathBuf};

use super::create::{Unfinished, renewed};
use super::{DEFINITION_FILE, Library, LibraryError, StoredMachine, document, scan};
use crate::definition::{Drive, ImageFormat, Name};
use crate::disk::tools::{Job, Phase, ToolError, full_clone};
use crate::disk::{DiskOptions, create_disk, inspect, open_disk};
use crate::firmware::NVRAM_FILES;

/// Bytes that are copied at a time.
const PIECE: usize = 1 << 20;

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
                copy_content(drive, &machine.folder, &source, &place, job)?;
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

/// Copies what the guest sees of the disk in `drive` to a new qcow2 image.
fn copy_content(
    drive: &Drive,
    folder: &Path,
    source: &Path,
    target: &Path,
    job: &Job<'_>,
) -> Result<(), ToolError> {
    let options = DiskOptions {
        read_only: true,
        ..DiskOptions::of_drive(drive, folder)
    };
    let from = options.open(source)?;
    let size = from.size();
    create_disk(target, ImageFormat::Qcow2, size.next_multiple_of(512))?;
    let to = open_disk(target, ImageFormat::Qcow2, false)?;
    job.begin(Phase::Copying, size)?;
    let mut piece = vec![0; PIECE];
    let mut offset = 0;
    while offset < size {
        let wanted = usize::try_from(size - offset).unwrap_or(PIECE).min(PIECE);
        let data = piece.get_mut(..wanted).unwrap_or_default();
        from.read_at(offset, data)?;
        if data.iter().any(|byte| *byte != 0) {
            to.write_at(offset, data)?;
        }
        offset = offset.saturating_add(wanted as u64);
        job.advance(wanted as u64)?;
    }
    job.begin(Phase::Storing, 0)?;
    Ok(to.flush()?)
}
