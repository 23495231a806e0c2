//! Why a machine could not be backed up or brought back.

use std::path::{Path, PathBuf};

use crate::definition::Name;
use crate::disk::OpenError;
use crate::disk::tools::ToolError;
use crate::library::LibraryError;
use crate::snapshot::SnapshotError;

/// Why a machine could not be backed up or brought back. The machine is as it was, and nothing is left of what was begun.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The machine or the library stand in the way.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// The machine's snapshots do not hold together.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A file could not be read or written, or the work was cancelled.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// A disk could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The file is something else.
    #[error("{file} is not a backup of a machine; choose another file", file = .file.display())]
    Not {
        /// The file.
        file: PathBuf,
    },
    /// The file was written by a newer version.
    #[error("{file} was written by a newer version of Guesthouse; update Guesthouse to restore it", file = .file.display())]
    Newer {
        /// The file.
        file: PathBuf,
    },
    /// The file is not what was written.
    #[error("{file} is damaged: {fault}; nothing was restored, copy the file again from where it came or use another backup", file = .file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// In which way.
        fault: String,
    },
    /// The machine is there.
    #[error(
        "{other} is the machine in the backup; restore it as a machine of its own (another name, a new identity), or delete {other} first"
    )]
    StillThere {
        /// What the machine is called now.
        other: Name,
    },
    /// The machine has something that is neither a file nor a folder.
    #[error("{file} is neither a file nor a folder and cannot be backed up; move it out of the machine's folder", file = .file.display())]
    Odd {
        /// What it is.
        file: PathBuf,
    },
}

impl BackupError {
    pub(super) fn damaged(file: &Path, fault: impl Into<String>) -> Self {
        Self::Damaged {
            file: file.to_owned(),
            fault: fault.into(),
        }
    }

    /// Whether it is because someone asked for it to end.
    pub fn is_cancelled(&self) -> bool {
        matches!(
            self,
            Self::Tool(ToolError::Cancelled)
                | Self::Library(LibraryError::Tool(ToolError::Cancelled))
        )
    }
}
