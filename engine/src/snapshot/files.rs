//! Every change that snapshots make to the file system, one function each, so that tests can cut an operation after any of them.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use crate::disk::place::sync_folder;

#[cfg(test)]
thread_local! {
    /// How many changes are still made before everything fails, as after a kill.
    pub(super) static CHANGES_LEFT: std::cell::Cell<Option<u32>> = const { std::cell::Cell::new(None) };
}

/// Counts a change that is made elsewhere; refuses after a simulated kill.
#[cfg(test)]
pub(super) fn step() -> io::Result<()> {
    match CHANGES_LEFT.get() {
        Some(0) => Err(io::Error::other("cut")),
        Some(left) => {
            CHANGES_LEFT.set(Some(left - 1));
            Ok(())
        }
        None => Ok(()),
    }
}

#[cfg(not(test))]
#[expect(clippy::unnecessary_wraps, reason = "its counterpart in tests fails")]
pub(super) fn step() -> io::Result<()> {
    Ok(())
}

/// Makes a folder for its owner only, unless it is there.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    step()?;
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        other => other,
    }
}

/// Writes a new file to the device.
pub(super) fn write_new(file: &Path, content: &[u8]) -> io::Result<()> {
    step()?;
    let mut file = File::create_new(file)?;
    file.write_all(content)?;
    step()?;
    file.sync_all()
}

/// Copies a small file to the device.
pub(super) fn copy_new(from: &Path, to: &Path) -> io::Result<()> {
    write_new(to, &fs::read(from)?)
}

/// Puts `content` at `file`, which is afterwards as it was or as it is to be.
pub(super) fn replace(file: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = file.with_extension("part");
    remove_file(&temporary)?;
    write_new(&temporary, content)?;
    rename(&temporary, file)?;
    sync(file.parent().ok_or(io::ErrorKind::InvalidInput)?)
}

/// Renames over whatever is there.
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    step()?;
    fs::rename(from, to)
}

/// Removes a file if it is there.
pub(super) fn remove_file(file: &Path) -> io::Result<()> {
    step()?;
    absent_is_fine(fs::remove_file(file))
}

/// Removes a folder and what is in it, if it is there.
pub(super) fn remove_folder(folder: &Path) -> io::Result<()> {
    step()?;
    absent_is_fine(fs::remove_dir_all(folder))
}

/// Brings the names in a folder to the device.
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    step()?;
    sync_folder(folder)
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
