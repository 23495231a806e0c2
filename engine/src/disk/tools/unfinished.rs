//! A file that is being made.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::super::OpenError;
use super::super::lock::{self, Access, Lock};
use super::super::open::open_file;
use super::super::place::{rename_to_free_name, sync_folder};
use super::ToolError;

/// What becomes of a file that has the name already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occupied {
    /// It stays, and nothing is made.
    Refuse,
    /// It goes once the new one is whole: a person agreed to that.
    Replace,
}

/// A file on its way to its place: until then it is `.NAME.part` in the same folder, and goes away when this is dropped.
///
/// Whoever makes it holds a lock on it. A `.NAME.part` that nobody holds is what a crash left, and is taken over.
#[derive(Debug)]
pub struct Unfinished {
    file: File,
    temporary: PathBuf,
    target: PathBuf,
    folder: PathBuf,
    /// It takes the place of another file.
    replaces: bool,
    /// Keeps other programs from using that one meanwhile.
    held: Option<Lock>,
    placed: bool,
}

impl Unfinished {
    /// Begins the file that is to be called `target`.
    ///
    /// # Errors
    /// When the name is taken, another program makes the same file, or the host refuses.
    pub fn new(target: &Path) -> Result<Self, ToolError> {
        if target.symlink_metadata().is_ok() {
            return Err(ToolError::Exists {
                file: target.to_owned(),
            });
        }
        Self::begin(target)
    }

    /// Begins the file that is to be called `target`, which may exist if `occupied` says so.
    ///
    /// # Errors
    /// As [`Unfinished::new`]; when what is there is no file, or another program uses it as a disk.
    pub fn at(target: &Path, occupied: Occupied) -> Result<Self, ToolError> {
        let Ok(there) = target.symlink_metadata() else {
            return Self::new(target);
        };
        if occupied == Occupied::Refuse {
            return Self::new(target);
        }
        let host = |source| ToolError::from_host("open", target, source);
        let file = there.is_symlink() || there.is_file();
        if !file || !fs::metadata(target).map_err(host)?.is_file() {
            return Err(ToolError::refused(
                target,
                "is no file that could be replaced",
                "choose another name",
            ));
        }
        let held = match lock::acquire(&open_file(target, true)?, Access::Write) {
            Ok(Some(held)) => Some(held),
            // A Flatpak's files are chosen by a person, and cannot be locked.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => None,
            Err(error) => return Err(host(error)),
            Ok(None) => {
                return Err(OpenError::InUse {
                    file: target.to_owned(),
                }
                .into());
            }
        };
        let mut unfinished = Self::replacing(target)?;
        unfinished.held = held;
        Ok(unfinished)
    }

    /// Begins a file that is to take the place of `target`, which exists, with that one's owner and permissions.
    ///
    /// # Errors
    /// When another program does the same, or the host refuses.
    pub fn replacing(target: &Path) -> Result<Self, ToolError> {
        // Through a symbolic link, the file that it leads to is replaced, not the link.
        let target = fs::canonicalize(target)
            .map_err(|source| ToolError::from_host("find", target, source))?;
        let mut unfinished = Self::begin(&target)?;
        unfinished.replaces = true;
        Ok(unfinished)
    }

    fn begin(target: &Path) -> Result<Self, ToolError> {
        let host = |source| ToolError::from_host("create", target, source);
        let name = target
            .file_name()
            .ok_or_else(|| ToolError::refused(target, "is not a file's name", "choose another"))?;
        let folder = match target.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(".part");
        let temporary = folder.join(hidden);
        loop {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .custom_flags(libc::O_NOFOLLOW)
                .open(&temporary)
                .map_err(host)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) | Err(rustix::io::Errno::NOSYS | rustix::io::Errno::OPNOTSUPP) => {}
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    return Err(ToolError::Busy {
                        file: target.to_owned(),
                    });
                }
                Err(errno) => return Err(host(errno.into())),
            }
            // Its maker may have finished or given it up between the opening and the lock.
            let ours = file.metadata().map_err(host)?;
            match fs::symlink_metadata(&temporary) {
                Ok(there) if (there.dev(), there.ino()) == (ours.dev(), ours.ino()) => {}
                Ok(_) => continue,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(host(error)),
            }
            let unfinished = Self {
                file,
                temporary,
                target: target.to_owned(),
                folder,
                replaces: false,
                held: None,
                placed: false,
            };
            unfinished.file.set_len(0).map_err(host)?;
            return Ok(unfinished);
        }
    }

    /// The file, open for reading and writing, and empty at first.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Where it is until it is finished.
    pub fn path(&self) -> &Path {
        &self.temporary
    }

    /// Where it is going to be.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Brings the file to the device and gives it its name. Nothing may have that, unless this replaces it.
    ///
    /// # Errors
    /// When something has taken the name meanwhile, or the host refuses; the file is then gone, and what it was to replace stays.
    pub fn finish(mut self) -> Result<(), ToolError> {
        if self.replaces {
            return self.replace();
        }
        let host = |source| ToolError::from_host("create", &self.target, source);
        self.file.sync_all().map_err(host)?;
        rename_to_free_name(&self.temporary, &self.target).map_err(host)?;
        self.placed = true;
        sync_folder(&self.folder).map_err(host)
    }

    fn replace(mut self) -> Result<(), ToolError> {
        let host = |source| ToolError::from_host("replace", &self.target, source);
        let metadata = fs::metadata(&self.target).map_err(host)?;
        let ours = self.file.metadata().map_err(host)?;
        if (metadata.uid(), metadata.gid()) != (ours.uid(), ours.gid()) {
            std::os::unix::fs::fchown(&self.file, Some(metadata.uid()), Some(metadata.gid()))
                .map_err(host)?;
        }
        self.file
            .set_permissions(metadata.permissions())
            .map_err(host)?;
        self.file.sync_all().map_err(host)?;
        fs::rename(&self.temporary, &self.target).map_err(host)?;
        self.placed = true;
        sync_folder(&self.folder).map_err(host)?;
        // The other file is gone by now, also for those who waited for it.
        self.held = None;
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.placed
            && let Err(error) = fs::remove_file(&self.temporary)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(file = %self.temporary.display(), %error, "could not remove an unfinished file");
        }
    }
}
