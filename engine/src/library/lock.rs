//! Locks on folders: a `.lock` file, locked by flock(2) and so free again however its holder ends, with the holder's process
//! number in it for messages.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::Path;

use super::LibraryError;

const LOCK_FILE: &str = ".lock";

/// A lock on the folder of the library or of a machine, until it is dropped.
#[derive(Debug)]
pub(crate) struct FolderLock {
    file: File,
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Closing would do, but for a program just being started by another thread, which has the descriptor until it runs.
        let _ = self.file.unlock();
    }
}

impl FolderLock {
    fn file(folder: &Path) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(folder.join(LOCK_FILE))
    }

    /// Waits for it.
    pub(super) fn acquire(folder: &Path) -> io::Result<Self> {
        let file = Self::file(folder)?;
        file.lock()?;
        Ok(Self { file })
    }

    /// Nothing when somebody else has it.
    pub(super) fn try_acquire(folder: &Path) -> io::Result<Option<Self>> {
        let mut file = Self::file(folder)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        file.set_len(0)?;
        write!(file, "{}", std::process::id())?;
        Ok(Some(Self { file }))
    }
}

/// The right to run a machine or to do something with its files, until it is dropped: one program at a time has it.
#[derive(Debug)]
pub struct MachineLock {
    _lock: FolderLock,
}

impl MachineLock {
    /// Takes the machine in `folder`.
    ///
    /// # Errors
    /// When somebody has it, or the folder cannot be written to.
    pub fn acquire(folder: &Path) -> Result<Self, LibraryError> {
        match FolderLock::try_acquire(folder) {
            Ok(Some(lock)) => Ok(Self { _lock: lock }),
            Ok(None) => Err(LibraryError::InUse {
                machine: super::scan::folder_name(folder),
                process: Self::holder(folder),
            }),
            Err(source) => Err(LibraryError::folder("lock", folder, source)),
        }
    }

    /// Which process wrote itself down as the holder; it may have ended since.
    pub fn holder(folder: &Path) -> Option<u32> {
        fs::read_to_string(folder.join(LOCK_FILE))
            .ok()?
            .trim()
            .parse()
            .ok()
    }
}
