//! Opening images: checks, locks, and errors that say what to do.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};

use super::Image;
use super::lock::{self, Access, Lock};
use super::qcow2::{Header, HeaderFault, HostFile, Parts, Qcow2Image, UncachedFile, UnsafeFile};
use super::raw::RawImage;
use crate::definition::{CacheMode, DiscardMode, Drive, ImageFormat};

/// The most files that one disk may be made of.
const LONGEST_CHAIN: usize = 64;

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
    #[error("{file} is damaged: {fault}; restore it from a backup or repair it with `guesthouse disk repair`", file = .file.display())]
    Damaged {
        /// The image.
        file: PathBuf,
        /// In which way.
        fault: String,
    },
    /// It takes data from another file that nobody has agreed to.
    #[error("{file} takes data from {other}, which it may do only after you have agreed to it; do so, if you know and trust both files, or join them with `guesthouse disk convert`", file = .file.display(), other = .other.display())]
    NotAgreed {
        /// The image.
        file: PathBuf,
        /// The file that it needs.
        other: PathBuf,
    },
    /// The file that it takes data from is missing.
    #[error("{file} takes data from {other}, which does not exist; put that file back to where it was", file = .file.display(), other = .other.display())]
    MissingBacking {
        /// The image.
        file: PathBuf,
        /// The file that it needs.
        other: PathBuf,
    },
    /// The chain of backing files comes back to where it was, or is endless.
    #[error("{file} is in its own chain of backing files, or that has more than {LONGEST_CHAIN} links; restore it from a backup", file = .file.display())]
    Chain {
        /// The image.
        file: PathBuf,
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
        self.open_link(path, &mut Vec::new())
    }

    /// Opens one image of a chain; `chain` are the files above it, by device and number.
    fn open_link(
        &self,
        path: &Path,
        chain: &mut Vec<(u64, u64)>,
    ) -> Result<Arc<dyn Image>, OpenError> {
        let host = |source| OpenError::from_host(path, !self.read_only, source);
        let file = open_file(path, !self.read_only)?;
        let size = size(&file, path)?;
        let metadata = file.metadata().map_err(host)?;
        let identity = (metadata.dev(), metadata.ino());
        if chain.contains(&identity) || chain.len() >= LONGEST_CHAIN {
            return Err(OpenError::Chain {
                file: path.to_owned(),
            });
        }
        chain.push(identity);
        let lock = self.lock(&file, path)?;
        match self.format {
            ImageFormat::Raw => Ok(Arc::new(RawImage::new(
                file,
                lock,
                path.to_owned(),
                size,
                self,
            ))),
            ImageFormat::Qcow2 => {
                let header = Header::read(&file, size).map_err(|error| error.at(path))?;
                let backing = match &header.backing_file {
                    Some(name) => {
                        let format = header.backing_format.as_deref();
                        Some(self.open_backing(path, name, format, chain)?)
                    }
                    None => None,
                };
                let mut locks = vec![lock];
                let data_file = match &header.data_file {
                    Some(name) => {
                        let (file, lock) = self.open_data_file(path, name)?;
                        locks.push(lock);
                        Some(file)
                    }
                    None => None,
                };
                Ok(Arc::new(Qcow2Image::open(Parts {
                    file: self.host_file(file),
                    path: path.to_owned(),
                    data_file,
                    locks,
                    backing,
                    read_only: self.read_only,
                    cache: self.cache,
                    discard: self.discard,
                })?))
            }
        }
    }

    /// Refuses an image at `path` whose chain has a file that may not be opened or is not there, without opening any of them as a
    /// disk: they may be in use.
    ///
    /// # Errors
    /// As [`DiskOptions::open`], as far as the headers say.
    pub fn check_references(&self, path: &Path) -> Result<(), OpenError> {
        let mut path = path.to_owned();
        let mut format = Some(self.format);
        for _ in 0..LONGEST_CHAIN {
            let file = open_file(&path, false)?;
            let size = size(&file, &path)?;
            let header = match Header::read(&file, size) {
                Ok(header) if format != Some(ImageFormat::Raw) => header,
                Err(error) if format == Some(ImageFormat::Qcow2) => return Err(error.at(&path)),
                _ => return Ok(()),
            };
            if let Some(name) = &header.data_file {
                self.agreed(&path, name)?;
            }
            let Some(name) = &header.backing_file else {
                return Ok(());
            };
            let below = self.agreed(&path, name)?;
            format = match header.backing_format.as_deref() {
                Some("qcow2") => Some(ImageFormat::Qcow2),
                None => None,
                Some(_) => Some(ImageFormat::Raw),
            };
            path = below;
        }
        Err(OpenError::Chain { file: path })
    }

    fn lock(&self, file: &File, path: &Path) -> Result<Lock, OpenError> {
        let access = if self.read_only {
            Access::Read
        } else {
            Access::Write
        };
        match lock::acquire(file, access) {
            Ok(Some(lock)) => Ok(lock),
            Ok(None) => Err(OpenError::InUse {
                file: path.to_owned(),
            }),
            Err(source) => Err(OpenError::from_host(path, !self.read_only, source)),
        }
    }

    fn host_file(&self, file: File) -> Box<dyn HostFile> {
        match self.cache {
            CacheMode::Writeback | CacheMode::Writethrough => Box::new(file),
            CacheMode::Unsafe => Box::new(UnsafeFile(file)),
            CacheMode::None => match UncachedFile::new(file) {
                Ok(file) => Box::new(file),
                Err(file) => Box::new(file),
            },
        }
    }

    fn open_backing(
        &self,
        path: &Path,
        name: &str,
        format: Option<&str>,
        chain: &mut Vec<(u64, u64)>,
    ) -> Result<Arc<dyn Image>, OpenError> {
        let other = self.agreed(path, name)?;
        let format = match format {
            Some("qcow2") => ImageFormat::Qcow2,
            Some("raw" | "file" | "host_device") => ImageFormat::Raw,
            Some(_) => {
                return Err(OpenError::Unsupported {
                    file: path.to_owned(),
                    feature: "has a backing file that is neither raw nor qcow2".to_owned(),
                    remedy: "join both with `guesthouse disk convert`",
                });
            }
            // The header does not say. It is one of the files that the person has agreed to, and so are those it may name itself.
            None => super::inspect(&other)?.format,
        };
        Self {
            format,
            read_only: true,
            ..self.clone()
        }
        .open_link(&other, chain)
        .map_err(|error| match error {
            OpenError::Missing { file } if file == other => OpenError::MissingBacking {
                file: path.to_owned(),
                other: file,
            },
            other => other,
        })
    }

    fn open_data_file(
        &self,
        path: &Path,
        name: &str,
    ) -> Result<(Box<dyn HostFile>, Lock), OpenError> {
        if name.is_empty() {
            return Err(OpenError::Unsupported {
                file: path.to_owned(),
                feature: "keeps its data in another file and does not say in which".to_owned(),
                remedy: "restore it from a backup",
            });
        }
        let other = self.agreed(path, name)?;
        let file = open_file(&other, !self.read_only).map_err(|error| match error {
            OpenError::Missing { file: other } => OpenError::MissingBacking {
                file: path.to_owned(),
                other,
            },
            error => error,
        })?;
        size(&file, &other)?;
        let lock = self.lock(&file, &other)?;
        Ok((self.host_file(file), lock))
    }

    /// The file that the image at `path` calls `name`, if it may be opened.
    fn agreed(&self, path: &Path, name: &str) -> Result<PathBuf, OpenError> {
        let other = referred(path, name).ok_or_else(|| OpenError::Unsupported {
            file: path.to_owned(),
            feature: format!("takes data from {name:?}, which is not a file"),
            remedy: "join both into one image with `guesthouse disk convert`",
        })?;
        let real = match other.canonicalize() {
            Ok(real) => real,
            Err(source) if source.kind() == io::ErrorKind::NotFound => {
                return Err(OpenError::MissingBacking {
                    file: path.to_owned(),
                    other,
                });
            }
            Err(source) => return Err(OpenError::from_host(&other, false, source)),
        };
        let same = |file: &PathBuf| file.canonicalize().is_ok_and(|file| file == real);
        let above = |folder: &PathBuf| {
            folder
                .canonicalize()
                .is_ok_and(|folder| real.starts_with(folder))
        };
        if self.backing.files.iter().any(same) || self.backing.folders.iter().any(above) {
            // What was judged is what is opened, whatever a symbolic link says by then.
            Ok(real)
        } else {
            Err(OpenError::NotAgreed {
                file: path.to_owned(),
                other: real,
            })
        }
    }
}

/// The file that the image at `path` means by `name` in its header; none if it means something else than a file.
pub(crate) fn referred(path: &Path, name: &str) -> Option<PathBuf> {
    let name = name.strip_prefix("file:").unwrap_or(name);
    // "json:{...}", "nbd://...": QEMU's other ways to name a source.
    let protocol = name
        .split_once(':')
        .is_some_and(|(protocol, _)| !protocol.is_empty() && !protocol.contains('/'));
    if protocol || name.is_empty() || name.contains('\0') {
        return None;
    }
    Some(path.parent().unwrap_or(Path::new("")).join(name))
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
    Ok(Arc::new(RawImage::medium(file, path.to_owned(), size)))
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
