//! Why something could not be done with the library.

use std::io;
use std::path::{Path, PathBuf};

use crate::definition::Name;
use crate::disk::CreateError;
use crate::disk::tools::ToolError;

/// Why something could not be done with the library. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// No machine has the name.
    #[error("there is no machine called {name:?}; `guesthouse list` shows those that there are")]
    NotFound {
        /// What was asked for.
        name: String,
    },
    /// The folder that the user chose for machines is not there.
    #[error("{folder}, where your machines are, is not there; connect the disk that it is on, or choose another folder in the preferences", folder = .folder.display())]
    Away {
        /// The folder.
        folder: PathBuf,
    },
    /// Neither the environment nor the user says where machines are.
    #[error("the folder of machines is not known: set HOME, or name one with --machines")]
    Nowhere,
    /// Another machine has the name.
    #[error("a machine called {name} exists already; choose another name")]
    NameTaken {
        /// The name.
        name: Name,
    },
    /// The machine is running, or something else is done with it.
    #[error("{machine} is in use{}; shut it down first", .process.map(|id| format!(" by process {id}")).unwrap_or_default())]
    InUse {
        /// The machine's folder, by its last part.
        machine: String,
        /// Who holds it, where known.
        process: Option<u32>,
    },
    /// A definition that cannot be understood. It is never overwritten.
    #[error("{file}{} cannot be understood: {message}; correct the file in a text editor or restore it from a backup", .line.map(|line| format!(", line {line},")).unwrap_or_default(), file = .file.display())]
    Broken {
        /// `machine.toml`.
        file: PathBuf,
        /// Which line, counted from 1, where known.
        line: Option<usize>,
        /// What is wrong there.
        message: String,
    },
    /// A definition of a newer version.
    #[error("{file} was written by a newer version of Guesthouse (schema {schema}); update Guesthouse to use the machine", file = .file.display())]
    Newer {
        /// `machine.toml`.
        file: PathBuf,
        /// Its schema.
        schema: i64,
    },
    /// The file says something else than what the change was made from.
    #[error("{file} was changed by another program meanwhile; look at the machine again, then repeat the change", file = .file.display())]
    Changed {
        /// `machine.toml`.
        file: PathBuf,
    },
    /// A disk to be made has a name with a folder in it, or one of the machine's own files' names.
    #[error(
        "a disk cannot be called {file:?}; choose a file name without '/' that no other file of the machine has"
    )]
    DiskName {
        /// The name.
        file: PathBuf,
    },
    /// A disk could not be made.
    #[error(transparent)]
    Disk(#[from] CreateError),
    /// Another machine has an image that is in this one's folder.
    #[error("{other} uses {image}, which is in the folder of the machine; remove the drive from {other} first", image = .image.display())]
    ImageInUse {
        /// The other machine.
        other: Name,
        /// The image.
        image: PathBuf,
    },
    /// A disk could not be copied or converted.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// There is no trash for the folder.
    #[error("{folder} could not be moved to the Trash: {reason}; move it elsewhere by hand, or delete it permanently", folder = .folder.display())]
    NoTrash {
        /// The machine's folder.
        folder: PathBuf,
        /// Why not.
        reason: String,
    },
    /// What was deleted is not to be had back.
    #[error("{folder} could not be restored from the Trash: {reason}; look for it in the Trash of the file manager", folder = .folder.display())]
    NotRestored {
        /// The machine's folder as it was.
        folder: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The host could not do something with a file or folder.
    #[error("could not {action} {path}: {source}; check that you may write there and that the file system has space", path = .path.display())]
    Host {
        /// What was tried: "read".
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// The host's word.
        source: io::Error,
    },
}

impl LibraryError {
    pub(super) fn folder(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Host {
            action,
            path: path.to_owned(),
            source,
        }
    }
}
