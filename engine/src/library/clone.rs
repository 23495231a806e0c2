//! Cloning machines: disks are shared with the original by the file system where it can do so, and copied with their holes where
//! it cannot. Media that may only be read (installer ISOs) are referred to by both.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{SeekFrom, ioctl_ficlone, seek};
use rustix::io::Errno;
use uuid::Uuid;

use super::create::Unfinished;
use super::{DEFINITION_FILE, Library, LibraryError, StoredMachine, document, scan};
use crate::definition::{Definition, Name};

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
    ) -> Result<StoredMachine, LibraryError> {
        let _machine = machine.lock()?;
        let unfinished = {
            let _lock = self.lock()?;
            self.check_name(&name, None)?;
            Unfinished::new(self)?
        };
        let mut definition = Definition {
            name,
            uuid: Uuid::new_v4(),
            ..machine.definition.clone()
        };
        definition.renew_mac_addresses();
        for (number, drive) in definition.drives.iter_mut().enumerate() {
            let Some(file) = &drive.file else { continue };
            if drive.read_only && file.is_absolute() {
                continue;
            }
            let source = machine.folder.join(file);
            let target = free_name(unfinished.folder(), &source, number);
            copy(&source, &unfinished.folder().join(&target))?;
            drive.file = Some(target);
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
    if free && !name.as_os_str().is_empty() && name != Path::new(DEFINITION_FILE) {
        return name;
    }
    PathBuf::from(format!("disk-{number}"))
}

fn copy(source: &Path, target: &Path) -> Result<(), LibraryError> {
    let fault = |error| LibraryError::folder("copy", source, error);
    let from = File::open(source).map_err(fault)?;
    let metadata = from.metadata().map_err(fault)?;
    if !metadata.is_file() {
        return Err(LibraryError::NotAFile {
            image: source.to_owned(),
        });
    }
    let to = File::create_new(target).map_err(fault)?;
    if ioctl_ficlone(&to, &from).is_err() {
        copy_data(&from, &to, metadata.len()).map_err(fault)?;
    }
    to.sync_all().map_err(fault)
}

/// Copies what is there and leaves holes holes.
fn copy_data(from: &File, to: &File, length: u64) -> io::Result<()> {
    to.set_len(length)?;
    let mut piece = vec![0; PIECE];
    let mut position = 0;
    while position < length {
        let start = match seek(from, SeekFrom::Data(position)) {
            Ok(start) => start,
            // Only a hole follows.
            Err(Errno::NXIO) => break,
            Err(errno) => return Err(errno.into()),
        };
        let end = seek(from, SeekFrom::Hole(start))?.min(length);
        position = start;
        while position < end {
            let wanted = usize::try_from(end - position).unwrap_or(PIECE).min(PIECE);
            let part = piece.get_mut(..wanted).unwrap_or_default();
            from.read_exact_at(part, position)?;
            to.write_all_at(part, position)?;
            position = position.saturating_add(wanted as u64);
        }
    }
    Ok(())
}
