//! Why a tool did not do its work. Its source is as it was, and nothing is left of what it began.

use std::io;
use std::path::{Path, PathBuf};

use super::super::formats::FormatError;
use super::super::{CreateError, ImageError, OpenError};

/// Why a tool did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// It was asked to stop.
    #[error("cancelled; nothing was changed")]
    Cancelled,
    /// An image could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// An image cannot be read.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// A disk could not be made.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// An image could not be read or written to.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The name is taken.
    #[error("{file} exists already; choose another name", file = .file.display())]
    Exists {
        /// What was to be made.
        file: PathBuf,
    },
    /// The same file is being made already.
    #[error("{file} is being made by another program right now; wait for it or choose another name", file = .file.display())]
    Busy {
        /// What was to be made.
        file: PathBuf,
    },
    /// The file system is full.
    #[error("no space is left on the file system for {file}; free some space or choose another folder", file = .file.display())]
    NoSpace {
        /// What was to be made or changed.
        file: PathBuf,
    },
    /// What is asked for would lose something, or makes no sense with this image.
    #[error("{file} {reason}; {remedy}", file = .file.display())]
    Refused {
        /// The image.
        file: PathBuf,
        /// What speaks against it, as the rest of a sentence that begins with the file.
        reason: String,
        /// What to do.
        remedy: String,
    },
    /// The copy is not what its source is.
    #[error("the copy of {file} differs from it at byte {offset}: the device or the memory of this computer is not to be trusted, or another program writes to the image; nothing was changed", file = .file.display())]
    Differs {
        /// The source.
        file: PathBuf,
        /// The first byte that differs.
        offset: u64,
    },
    /// A thread of the tool ended in a panic.
    #[error(
        "a fault in Guesthouse ended the work; nothing was changed; please report it with the log"
    )]
    Panicked,
    /// The host could not.
    #[error("could not {action} {file}: {source}; check that its folder exists and may be written to", file = .file.display())]
    Host {
        /// What was tried: "write to".
        action: &'static str,
        /// With what.
        file: PathBuf,
        /// The host's word.
        source: io::Error,
    },
}

impl ToolError {
    /// What the host said to `action` on `file`.
    pub(crate) fn from_host(action: &'static str, file: &Path, source: io::Error) -> Self {
        let file = file.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => Self::NoSpace { file },
            io::ErrorKind::AlreadyExists => Self::Exists { file },
            _ => Self::Host {
                action,
                file,
                source,
            },
        }
    }

    /// Refuses to do something with `file`.
    pub(in crate::disk) fn refused(
        file: &Path,
        reason: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::Refused {
            file: file.to_owned(),
            reason: reason.into(),
            remedy: remedy.into(),
        }
    }
}
