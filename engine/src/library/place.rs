//! Where a user's library is: in their data folder, or in a folder of their choice. The choice is a file of its own, the path in
//! `guesthouse/machines-folder` in `$XDG_CONFIG_HOME`, so that every program of this one finds the same machines.

use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::document::write_whole;
use super::{Library, LibraryError};
use crate::disk::place::sync_folder;

/// The file in which the choice is.
const CHOICE: &str = "guesthouse/machines-folder";

impl Library {
    /// Where a user's machines are unless they say otherwise: `guesthouse/machines` in `$XDG_DATA_HOME`, which is
    /// `~/.local/share` by default.
    pub fn default_folder() -> Option<PathBuf> {
        base("XDG_DATA_HOME", ".local/share").map(|data| data.join("guesthouse/machines"))
    }

    /// The folder that the user chose instead, if they did.
    ///
    /// # Errors
    /// When the choice cannot be read.
    pub fn chosen_folder() -> Result<Option<PathBuf>, LibraryError> {
        choice().map_or(Ok(None), |file| read(&file))
    }

    /// Has the user's machines looked for in `folder` from the next start of any program on; without one, where they are by default.
    /// The folder is made if there is none. Machines stay where they are.
    ///
    /// # Errors
    /// When the folder cannot be used for machines, or the choice not be written; the choice is then as it was.
    pub fn choose_folder(folder: Option<&Path>) -> Result<(), LibraryError> {
        let file = choice().ok_or_else(|| {
            let unknown = io::Error::other("set HOME to a folder of yours");
            LibraryError::folder("write", Path::new(CHOICE), unknown)
        })?;
        write(&file, folder)
    }

    /// Opens the library that the user chose, or else the one that is there by default.
    ///
    /// # Errors
    /// When the folder that was chosen is not there (it is not made: the disk that it is on may not be connected), or cannot be used.
    pub fn open_usual() -> Result<Self, LibraryError> {
        if let Some(folder) = Self::chosen_folder()? {
            if !folder.is_dir() {
                return Err(LibraryError::Away { folder });
            }
            return Self::open(&folder);
        }
        Self::open_default()
    }

    /// Opens the library that is there by default, whatever the user chose.
    ///
    /// # Errors
    /// When its place is not known, or cannot be used.
    pub fn open_default() -> Result<Self, LibraryError> {
        let folder = Self::default_folder().ok_or(LibraryError::Nowhere)?;
        Self::open(&folder)
    }
}

/// A folder that `variable` names, or else `usual` in the home folder.
fn base(variable: &str, usual: &str) -> Option<PathBuf> {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute(variable).or_else(|| Some(absolute("HOME")?.join(usual)))
}

fn choice() -> Option<PathBuf> {
    base("XDG_CONFIG_HOME", ".config").map(|folder| folder.join(CHOICE))
}

fn read(file: &Path) -> Result<Option<PathBuf>, LibraryError> {
    match fs::read(file) {
        Ok(mut path) => {
            if path.last() == Some(&b'\n') {
                path.pop();
            }
            let path = PathBuf::from(OsString::from_vec(path));
            Ok(path.is_absolute().then_some(path))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(LibraryError::folder("read", file, source)),
    }
}

fn write(file: &Path, folder: Option<&Path>) -> Result<(), LibraryError> {
    let failed = |source| LibraryError::folder("write", file, source);
    let Some(folder) = folder else {
        return match fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
            _ => Ok(()),
        };
    };
    // What cannot hold a library is not chosen.
    let library = Library::open(folder)?;
    let keep = || -> io::Result<()> {
        let parent = file.parent().ok_or(io::ErrorKind::InvalidInput)?;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)?;
        let temporary = file.with_extension("new");
        let mut path = library.folder().as_os_str().as_bytes().to_vec();
        path.push(b'\n');
        write_whole(&temporary, path)?;
        fs::rename(&temporary, file)?;
        sync_folder(parent)
    };
    keep().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_kept_and_taken_back() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("settings").join(CHOICE);
        assert_eq!(read(&file).unwrap(), None);
        write(&file, None).unwrap();

        let folder = fs::canonicalize(place.path()).unwrap().join("my\nmachines");
        write(&file, Some(&folder)).unwrap();
        assert!(folder.is_dir());
        assert_eq!(read(&file).unwrap(), Some(folder.clone()));

        let no_folder = place.path().join("file");
        fs::write(&no_folder, "").unwrap();
        write(&file, Some(&no_folder)).unwrap_err();
        assert_eq!(read(&file).unwrap(), Some(folder));

        write(&file, None).unwrap();
        assert_eq!(read(&file).unwrap(), None);
    }

    #[test]
    fn what_is_no_path_is_no_choice() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("choice");
        for text in ["", "\n", "machines\n", "./machines"] {
            fs::write(&file, text).unwrap();
            assert_eq!(read(&file).unwrap(), None, "{text:?}");
        }
    }
}
