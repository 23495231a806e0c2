//! Why something could not be done with a snapshot.

use std::io;
use std::path::{Path, PathBuf};

use crate::disk::tools::ToolError;
use crate::disk::{CreateError, OpenError};
use crate::library::LibraryError;

/// Why something could not be done with a snapshot. The machine and its snapshots are then as they were.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The machine or the library stand in the way.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// A disk cannot be opened.
    #[error(transparent)]
    Image(#[from] OpenError),
    /// An overlay cannot be made.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// No snapshot is called that.
    #[error(
        "there is no snapshot called {name:?}; `guesthouse snapshot list` shows those that there are"
    )]
    NotFound {
        /// What was asked for.
        name: String,
    },
    /// Several snapshots are called that.
    #[error(
        "several snapshots are called {name:?}; give the beginning of the identifier that `guesthouse snapshot list` shows"
    )]
    Ambiguous {
        /// What was asked for.
        name: String,
    },
    /// A text that cannot be a snapshot's name.
    #[error("a snapshot's name has 1 to 64 characters and no control characters")]
    Name,
    /// A manifest that cannot be understood.
    #[error("{file} cannot be understood: {message}; restore it from a backup", file = .file.display())]
    Broken {
        /// The manifest.
        file: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A manifest of a newer version.
    #[error("{file} was written by a newer version of Guesthouse (schema {schema}); update Guesthouse to use the machine's snapshots", file = .file.display())]
    Newer {
        /// The manifest.
        file: PathBuf,
        /// Its schema.
        schema: u32,
    },
    /// A snapshot says that it comes after one that does not exist.
    #[error(
        "the snapshot {snapshot:?} comes after a snapshot that is missing ({parent}); restore the folder snapshots/{parent} from a backup"
    )]
    ParentMissing {
        /// The one that is there.
        snapshot: String,
        /// The missing one's identifier.
        parent: String,
    },
    /// Snapshots come after one another in a circle.
    #[error(
        "the snapshots {snapshot:?} and those before it come after one another in a circle; restore the folder snapshots from a backup"
    )]
    Circle {
        /// One of them.
        snapshot: String,
    },
    /// An image belongs to two.
    #[error("{file} belongs to the snapshot {first:?} and to {second} too; restore the folder snapshots from a backup", file = .file.display())]
    OwnedTwice {
        /// The image.
        file: PathBuf,
        /// A snapshot's name.
        first: String,
        /// The other owner.
        second: String,
    },
    /// A drive would write to what a snapshot keeps.
    #[error("{file} is kept by the snapshot {snapshot:?} and may not be written to; attach it read-only, go back to the snapshot, or make a new machine from it", file = .file.display())]
    Frozen {
        /// The image.
        file: PathBuf,
        /// Whose it is.
        snapshot: String,
    },
    /// A base is gone.
    #[error("{file} is missing, which {owner} is built on; put it back to where it was", file = .file.display())]
    BaseMissing {
        /// The image.
        file: PathBuf,
        /// "the snapshot "Fresh"", "this machine".
        owner: String,
    },
    /// A base was changed.
    #[error("{file}, which {owner} is built on, was changed after the snapshot was taken: {difference}; what is built on it would read wrong data. Restore the file from a backup; if you know that its content is the same, `guesthouse snapshot accept` takes it as it is", file = .file.display())]
    BaseChanged {
        /// The image.
        file: PathBuf,
        /// "the snapshot "Fresh"", "this machine".
        owner: String,
        /// "it has 5 bytes instead of 4".
        difference: String,
    },
    /// An overlay names another base than it was made over.
    #[error("{file} is built on {found} instead of {expected}; another program has changed it. Restore it from a backup", file = .file.display())]
    OtherBase {
        /// The overlay.
        file: PathBuf,
        /// What its header says.
        found: String,
        /// What it was made over.
        expected: String,
    },
    /// A linked clone needs it.
    #[error(
        "the machine {machine} is built on the snapshot {snapshot:?}; delete {machine} first, or give it disks of its own by cloning it in full"
    )]
    HasClone {
        /// The snapshot.
        snapshot: String,
        /// The other machine.
        machine: String,
    },
    /// It was deleted.
    #[error(
        "the snapshot {snapshot:?} is deleted and its disks are being joined with the next ones; it cannot be had back"
    )]
    Merging {
        /// Its name.
        snapshot: String,
    },
    /// It holds the state of a running machine, which this version cannot bring back.
    #[error(
        "the snapshot {snapshot:?} holds the memory of a running machine, which this version cannot bring back; update Guesthouse"
    )]
    Running {
        /// Its name.
        snapshot: String,
    },
    /// A disk that is a device cannot be frozen.
    #[error("{file} is a device, of which no snapshot can be taken; attach it read-only or take it out first", file = .file.display())]
    Device {
        /// The device.
        file: PathBuf,
    },
    /// A path that cannot stand in an image's header.
    #[error("{file} cannot be the base of a snapshot: its path is longer than 1000 bytes or is not UTF-8; move it elsewhere", file = .file.display())]
    Path {
        /// The image.
        file: PathBuf,
    },
    /// Data could not be joined.
    #[error("could not join {file} with what is built on it: {source}", file = .file.display())]
    Merge {
        /// The image that was to go.
        file: PathBuf,
        /// Cause and remedy.
        source: ToolError,
    },
    /// A change was cut in the middle.
    #[error(
        "a change to the machine's snapshots was cut in the middle and is completed when the library is read next; try again"
    )]
    Interrupted,
    /// The person cancelled.
    #[error("cancelled; the data is whole, and the space is given back the next time")]
    Cancelled,
    /// The host could not.
    #[error("could not {action} {path}: {source}; check that you may write there and that the file system has space", path = .path.display())]
    Host {
        /// "write".
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// The host's word.
        source: io::Error,
    },
}

impl SnapshotError {
    /// Why `file` could not be joined.
    pub(super) fn from_tool(file: &Path, source: ToolError) -> Self {
        match source {
            ToolError::Cancelled => Self::Cancelled,
            source => Self::Merge {
                file: file.to_owned(),
                source,
            },
        }
    }

    /// What the host said to `action` on `path`.
    pub(super) fn host(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Host {
            action,
            path,
            source,
        }
    }
}
