//! Why an image cannot be read.

use std::io;
use std::path::{Path, PathBuf};

use super::super::OpenError;

/// Why an image cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// It cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The host could not.
    #[error("could not {action} {file}: {source}", file = .file.display())]
    Host {
        /// What was tried: "read".
        action: &'static str,
        /// The image.
        file: PathBuf,
        /// The host's word.
        source: io::Error,
    },
    /// It contradicts itself.
    #[error("{file} is damaged: {fault}; restore it from a backup{}", if *.repairable { " or repair it with \"guesthouse disk repair\"" } else { ", or download or copy it again" }, file = .file.display())]
    Damaged {
        /// The image.
        file: PathBuf,
        /// In which way.
        fault: String,
        /// Whether there is a tool for it.
        repairable: bool,
    },
    /// It is not of the format that it should be.
    #[error("{file} is not a {format} image; choose another file or another format", file = .file.display())]
    Not {
        /// The image.
        file: PathBuf,
        /// What it should be.
        format: &'static str,
    },
    /// It needs something that is not supported.
    #[error("{file} {feature}, which is not supported; {remedy}", file = .file.display())]
    Unsupported {
        /// The image.
        file: PathBuf,
        /// What it does: "is encrypted".
        feature: String,
        /// What to do about it.
        remedy: &'static str,
    },
    /// It takes data from a file that nobody agreed to.
    #[error("{file} takes data from {named}, which is outside of the folders that it may use; if you trust it, agree to that file (--backing {named})", file = .file.display(), named = .named.display())]
    NotAgreed {
        /// The image.
        file: PathBuf,
        /// The other file.
        named: PathBuf,
    },
    /// The image beneath is not there.
    #[error("{file} holds only what differs from {named}, which does not exist; put that back, or name its new place with \"guesthouse disk rebase --unsafe\"", file = .file.display())]
    NoParent {
        /// The image.
        file: PathBuf,
        /// The other file, as the image names it.
        named: String,
    },
    /// The image beneath is another one than it was.
    #[error("{parent} is not the image that {file} was made on: it was changed or replaced since; restore the one that it was made on", file = .file.display(), parent = .parent.display())]
    WrongParent {
        /// The image.
        file: PathBuf,
        /// The other file.
        parent: PathBuf,
    },
    /// The image is, by detours, its own backing file.
    #[error("{file} has itself among the images that it is based on; restore it from a backup", file = .file.display())]
    Circle {
        /// The image.
        file: PathBuf,
    },
    /// There are more images beneath than any honest one has.
    #[error("{file} is based on more than {most} other images; join some of them (\"guesthouse disk commit\")", file = .file.display())]
    TooDeep {
        /// The image.
        file: PathBuf,
        /// How many are taken.
        most: usize,
    },
}

impl FormatError {
    pub(in crate::disk) fn host(action: &'static str, file: &Path, source: io::Error) -> Self {
        Self::Host {
            action,
            file: file.to_owned(),
            source,
        }
    }

    pub(in crate::disk) fn damaged(file: &Path, fault: impl Into<String>) -> Self {
        Self::Damaged {
            file: file.to_owned(),
            fault: fault.into(),
            repairable: false,
        }
    }

    pub(in crate::disk) fn unsupported(
        file: &Path,
        feature: impl Into<String>,
        remedy: &'static str,
    ) -> Self {
        Self::Unsupported {
            file: file.to_owned(),
            feature: feature.into(),
            remedy,
        }
    }
}
