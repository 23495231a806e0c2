//! Opening images: checks, locks, and errors that say what to do.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};

use super::Image;
use super::lock::{self, Access};
use super::qcow2::{HeaderFault, Qcow2Image};
use super::raw::RawImage;
use crate::definition::{CacheMode, DiscardMode, Drive, ImageFormat};

/// Why an image cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no such file.
    #[error("{file} does not exist; put it back or choose another image", file = .file.display())]
    Missing {
        /// The image.
        file: PathBuf,
    },
    /// The file's permissions forbid it.
    #[error("{file} may not be {}; change its permissions or choose it again in the file dialog", if *.write { "written to" } else { "read" }, file = .file.display())]
    Permission {
        /// The image.
        file: PathBuf,
        /// Whether it was to be written to.
        write: bool,
    },
    /// Another machine or another program has it open.
    #[error("{file} is in use by another machine or program; shut that down, or attach the image read-only in both", file = .file.display())]
    InUse {
        /// The image.
        file: PathBuf,
    },
    /// It is a folder, a pipe or the like.
    #[error("{file} is not a file or a disk; choose an image file", file = .file.display())]
    NotAnImage {
        /// What was to be opened.
        file: PathBuf,
    },
    /// It holds no bytes.
    #[error("{file} is empty; choose another image or create a new disk", file = .file.display())]
    Empty {
        /// The image.
        file: PathBuf,
    },
    /// The file's content is not of the format that the definition says.
    #[error("{file} is not a qcow2 image; set the drive's format to raw if it is a raw image, or choose another image", file = .file.display())]
    NotQcow2 {
        /// The image.
        file: PathBuf,
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
    /// It contradicts itself.
    #[error("{file} is damaged: {fault}; restore it from a backup or repair it with `qemu-img check -r all`", file = .file.display())]
    Damaged {
        /// The image.
        file: PathBuf,
        /// In which way.
        fault: String,
    },
    /// It holds the differences to another image only.
    #[error("{file} holds only what differs from its backing file {backing:?}, which is not supported; join both into one image with `qemu-img convert -O qcow2`", file = .file.display())]
    Backing {
        /// The image.
        file: PathBuf,
        /// The other image, as the file names it.
        backing: String,
    },
    /// The host could not open or read it.
    #[error("could not open {file}: {source}", file = .file.display())]
    Io {
        /// The image.
        file: PathBuf,
        /// The host's word.
        source: io::Error,
    },
}

impl OpenError {
    pub(super) fn from_host(file: &Path, write: bool, source: io::Error) -> Self {
        let file = file.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => Self::Missing { file },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::Permission { file, write }
            }
            io::ErrorKind::IsADirectory => Self::NotAnImage { file },
            _ => Self::Io { file, source },
        }
    }

    pub(super) fn from_header(file: &Path, fault: HeaderFault) -> Self {
        let file = file.to_owned();
        match fault {
            HeaderFault::NotQcow2 => Self::NotQcow2 { file },
            HeaderFault::Unsupported { feature, remedy } => Self::Unsupported {
                file,
                feature,
                remedy,
            },
            HeaderFault::Damaged(fault) => Self::Damaged { file, fault },
            HeaderFault::Backing(backing) => Self::Backing { file, backing },
        }
    }
}

/// Which files a disk image may take data from because its header names them: its backing file, that one's and so on, and an
/// external data file. A guest or whoever made the image could name any file of the host there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backing {
    /// Those that the person has agreed to.
    pub files: Vec<PathBuf>,
    /// Everything below these folders.
    pub folders: Vec<PathBuf>,
}

/// How a disk image is to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskOptions {
    /// What its content is. The format is never guessed: a guest could write another format's header onto its disk.
    pub format: ImageFormat,
    /// Writes are refused, and other programs may read it too.
    pub read_only: bool,
    /// What stands between writes and the device.
    pub cache: CacheMode,
    /// What becomes of discarded ranges.
    pub discard: DiscardMode,
    /// The other files that it may need.
    pub backing: Backing,
}

impl DiskOptions {
    /// To read and write an image of `format` that needs no other files.
    pub fn new(format: ImageFormat) -> Self {
        Self {
            format,
            read_only: false,
            cache: CacheMode::default(),
            discard: DiscardMode::default(),
            backing: Backing::default(),
        }
    }

    /// As `drive` says, for a machine in `folder`.
    pub fn of_drive(drive: &Drive, folder: &Path) -> Self {
        Self {
            format: drive.format,
            read_only: drive.read_only,
            cache: drive.cache,
            discard: drive.discard,
            backing: Backing {
                files: drive.backing.clone(),
                folders: vec![folder.to_owned()],
            },
        }
    }

    /// Opens the disk image at `path` and locks it: against every other use when it may be written to, against writers otherwise.
    ///
    /// # Errors
    /// When the file or one that it needs cannot be opened, another program uses it, or its content is not what the format says or
    /// not supported.
    pub fn open(&self, path: &Path) -> Result<Arc<dyn Image>, OpenError> {
        let write = !self.read_only;
        let file = open_file(path, write)?;
        let size = size(&file, path)?;
        let access = if write { Access::Write } else { Access::Read };
        if !lock::acquire(&file, access)
            .map_err(|source| OpenError::from_host(path, write, source))?
        {
            return Err(OpenError::InUse {
                file: path.to_owned(),
            });
        }
        match self.format {
            ImageFormat::Raw => Ok(Arc::new(RawImage::new(
                file,
                path.to_owned(),
                size,
                self.read_only,
            ))),
            ImageFormat::Qcow2 => Ok(Arc::new(Qcow2Image::open(
                Box::new(file),
                path.to_owned(),
                self.read_only,
            )?)),
        }
    }
}

/// Opens the disk image at `path` with the defaults of [`DiskOptions::new`].
///
/// # Errors
/// As [`DiskOptions::open`].
pub fn open_disk(
    path: &Path,
    format: ImageFormat,
    read_only: bool,
) -> Result<Arc<dyn Image>, OpenError> {
    DiskOptions {
        read_only,
        ..DiskOptions::new(format)
    }
    .open(path)
}

/// Takes `file`, opened by somebody who may (the file dialog's portal), as an optical medium; `path` is what messages call it. The
/// medium is read only and not locked: it belongs to the person, not to the machine.
///
/// # Errors
/// When it is not a file or a disk, or empty.
pub fn open_optical(file: File, path: &Path) -> Result<Arc<dyn Image>, OpenError> {
    let size = size(&file, path)?;
    Ok(Arc::new(RawImage::new(file, path.to_owned(), size, true)))
}

/// Opens without waiting for the other end, should it be a pipe.
pub(super) fn open_file(path: &Path, write: bool) -> Result<File, OpenError> {
    let access = if write { OFlags::RDWR } else { OFlags::RDONLY };
    rustix::fs::open(
        path,
        access | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY,
        Mode::empty(),
    )
    .map(File::from)
    .map_err(|errno| OpenError::from_host(path, write, errno.into()))
}

/// The bytes in a file or a block device.
pub(super) fn size(file: &File, path: &Path) -> Result<u64, OpenError> {
    let host = |source| OpenError::from_host(path, false, source);
    let metadata = file.metadata().map_err(host)?;
    let size = if metadata.is_file() {
        metadata.len()
    } else if metadata.file_type().is_block_device() {
        let mut handle = file;
        handle.seek(SeekFrom::End(0)).map_err(host)?
    } else {
        return Err(OpenError::NotAnImage {
            file: path.to_owned(),
        });
    };
    if size == 0 {
        return Err(OpenError::Empty {
            file: path.to_owned(),
        });
    }
    Ok(size)
}
