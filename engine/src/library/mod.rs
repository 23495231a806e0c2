//! The library of machines: a folder, and in it a folder for each machine with its `machine.toml`, the disks that were made for it,
//! and its log.
//!
//! What people brought themselves (installer media, images from elsewhere) is referred to by absolute paths and never moved,
//! changed or deleted here. A machine is made in a hidden folder and renamed when it is whole; `machine.toml` is replaced whole.
//! One program at a time changes the library (a lock on its `.lock`); one at a time holds a machine ([`MachineLock`]).

mod clone;
mod create;
mod delete;
mod document;
mod error;
mod export;
mod images;
mod import;
mod lock;
mod log;
mod media;
mod place;
mod scan;
#[cfg(test)]
mod tests;

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

pub use create::NewDisk;
pub use delete::Deleted;
pub use error::LibraryError;
pub use images::TrashedImage;
pub use import::{CopiedDisk, Original, Suggestion, copies_of, usable_name};
pub use lock::MachineLock;
pub use log::MachineLog;
pub use scan::{BrokenMachine, Entry, StoredMachine};

pub(crate) use create::{Unfinished, renewed};
pub(crate) use document::{merge as merge_definition, replace_file as replace_definition};
pub(crate) use lock::FolderLock;
pub(crate) use scan::{parse_definition, read_definition};

use crate::definition::{Definition, Name};
use crate::snapshot;

/// The file in a machine's folder that says what the machine is.
pub const DEFINITION_FILE: &str = "machine.toml";

/// A folder of machines.
#[derive(Debug, Clone)]
pub struct Library {
    folder: PathBuf,
}

impl Library {
    /// The library in `folder`, if there is such a folder; nothing in it is changed.
    ///
    /// # Errors
    /// When there is none, or it cannot be used.
    pub(crate) fn existing(folder: &Path) -> io::Result<Self> {
        Ok(Self {
            folder: fs::canonicalize(folder)?,
        })
    }

    /// Opens the library in `folder`, and makes it if there is none. What an interrupted run left unfinished is removed.
    ///
    /// # Errors
    /// When the folder cannot be made or used.
    pub fn open(folder: &Path) -> Result<Self, LibraryError> {
        let fault = |source| LibraryError::folder("open", folder, source);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(fault)?;
        let library = Self {
            folder: fs::canonicalize(folder).map_err(fault)?,
        };
        if let Some(_lock) = FolderLock::try_acquire(&library.folder).map_err(fault)? {
            library.remove_unfinished();
            library.complete_snapshots();
        }
        Ok(library)
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The machine called `name`, without regard to case.
    ///
    /// # Errors
    /// When there is none, or its definition cannot be read.
    pub fn find(&self, name: &str) -> Result<StoredMachine, LibraryError> {
        for entry in self.scan()? {
            match entry {
                Entry::Machine(machine) if machine.definition.name.matches(name) => {
                    return Ok(machine);
                }
                Entry::Broken(broken) if broken.is_called(name) => return Err(broken.into_error()),
                _ => {}
            }
        }
        Err(LibraryError::NotFound {
            name: name.to_owned(),
        })
    }

    /// Changes the machine's definition to `definition`: in its file only what differs from [`StoredMachine::definition`] is
    /// written; comments, order and keys that this version does not know stay. Answers what the file says now.
    ///
    /// # Errors
    /// When the file is of a newer version, cannot be understood, says something else by now, or cannot be written, and when the
    /// name is another machine's. The file is then as it was.
    pub fn update(
        &self,
        machine: &StoredMachine,
        definition: &Definition,
    ) -> Result<StoredMachine, LibraryError> {
        let _lock = self.lock()?;
        self.check_name(&definition.name, Some(&machine.folder))?;
        let file = machine.file();
        let text = scan::read_text(&file)?;
        let text = document::merge(&file, &text, &machine.definition, definition)?;
        document::replace_file(&file, &text)?;
        scan::read_machine(&machine.folder)
    }

    /// Gives the machine another name. Its folder stays: other machines may refer to what is in it.
    ///
    /// # Errors
    /// As [`Library::update`].
    pub fn rename(
        &self,
        machine: &StoredMachine,
        name: Name,
    ) -> Result<StoredMachine, LibraryError> {
        let definition = Definition {
            name,
            ..machine.definition.clone()
        };
        self.update(machine, &definition)
    }

    pub(crate) fn lock(&self) -> Result<FolderLock, LibraryError> {
        FolderLock::acquire(&self.folder)
            .map_err(|source| LibraryError::folder("lock", &self.folder, source))
    }

    /// Refuses a name that another machine than the one in `except` has.
    pub(crate) fn check_name(
        &self,
        name: &Name,
        except: Option<&Path>,
    ) -> Result<(), LibraryError> {
        let taken = self.scan()?.iter().any(|entry| {
            except != Some(entry.folder())
                && match entry {
                    Entry::Machine(machine) => machine.definition.name.matches(name.as_str()),
                    Entry::Broken(broken) => broken.is_called(name.as_str()),
                }
        });
        if taken {
            return Err(LibraryError::NameTaken { name: name.clone() });
        }
        Ok(())
    }

    /// Completes changes to machines' snapshots that were cut in the middle. Called with the library's lock held.
    fn complete_snapshots(&self) {
        let Ok(entries) = fs::read_dir(&self.folder) else {
            return;
        };
        for folder in entries.flatten().map(|entry| entry.path()) {
            // Who is at it right now holds the machine.
            if !snapshot::unfinished(&folder)
                || !folder.join(DEFINITION_FILE).exists()
                || !matches!(FolderLock::try_acquire(&folder), Ok(Some(_)))
            {
                continue;
            }
            if let Err(error) = snapshot::recover(&folder) {
                tracing::error!(folder = %folder.display(), %error, "a change to snapshots could not be completed");
            }
        }
    }

    /// Removes what a killed run left half made or half deleted. Called with the library's lock held.
    fn remove_unfinished(&self) {
        let Ok(entries) = fs::read_dir(&self.folder) else {
            return;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            let unfinished = entry
                .file_name()
                .to_str()
                .is_some_and(|name| name.starts_with(create::UNFINISHED));
            // Its maker holds its lock while it lives.
            if !unfinished || !matches!(FolderLock::try_acquire(&path), Ok(Some(_))) {
                continue;
            }
            match fs::remove_dir_all(&path) {
                Ok(()) => tracing::info!(folder = %path.display(), "removed an unfinished machine"),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    tracing::warn!(folder = %path.display(), %error, "could not remove an unfinished machine");
                }
            }
        }
    }
}
