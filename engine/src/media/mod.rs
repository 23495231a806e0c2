//! What a boot medium holds: the file that someone chose for a new machine is looked at, and told apart by what is in it, never
//! by its name.
//!
//! Everything is read from fixed places in bounded pieces: the volume descriptors and the boot catalog of an optical disc, the
//! partition tables of a raw disk, the first bytes of everything else. The file is an attacker's: nothing in it decides how much
//! work is done.

mod el_torito;
mod image;
mod iso9660;
pub mod operating_system;
mod source;
#[cfg(test)]
mod tests;
mod udf;
mod verdict;

use std::fmt;
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

pub use image::{Foreign, Partitioning};
pub use operating_system::{Database, Defaults, OperatingSystem, Resources, operating_systems};
pub use verdict::{Reason, Verdict};

use image::Recognised;
use iso9660::Disc;
use operating_system::DiscIdentity;
use source::{FileSource, Source};

/// What kind of medium a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediumKind {
    /// The image of an optical disc: for an optical drive.
    Optical,
    /// The image of a disk, byte for byte.
    RawDisk(Partitioning),
    /// A qcow2 image of a disk.
    Qcow2,
    /// Something that must be unpacked or converted first.
    Foreign(Foreign),
    /// Nothing that is recognised.
    Unknown,
}

/// Something that is wrong with a medium. Shown as a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// The file is shorter than the disc that it should hold.
    Truncated {
        /// The size that the disc says it has, in bytes.
        expected: u64,
        /// The size of the file, in bytes.
        actual: u64,
    },
    /// The boot catalog is not there or does not add up.
    CatalogDamaged,
    /// The boot catalog points beyond the end of the file.
    BootImageMissing,
}

impl fmt::Display for Warning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { expected, actual } => write!(
                formatter,
                "The file has {actual} bytes, but the disc in it has {expected}: it is not whole; download or copy it again."
            ),
            Self::CatalogDamaged => formatter.write_str(
                "The disc's boot catalog is damaged; download or copy the file again.",
            ),
            Self::BootImageMissing => formatter.write_str(
                "What the disc starts from lies beyond the end of the file; download or copy the file again.",
            ),
        }
    }
}

/// A medium that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Medium {
    /// What it is.
    pub kind: MediumKind,
    /// The label of its file system, where it has one.
    pub label: Option<String>,
    /// When an optical disc was made, as `2025-05-17`, if it says so.
    pub created: Option<String>,
    /// Whether a BIOS can start it; `None` where that cannot be told from outside (qcow2).
    pub bios_bootable: Option<bool>,
    /// Whether UEFI can start it; `None` where that cannot be told from outside.
    pub uefi_bootable: Option<bool>,
    /// Whether it can also be started as a disk: an optical disc's image that has a master boot record as well.
    pub hybrid: bool,
    /// The operating system on it, where osinfo-db recognises it.
    pub operating_system: Option<OperatingSystem>,
    /// The processors that the operating system is for, as osinfo-db calls them: `x86_64`, `i686`, `aarch64`.
    pub architecture: Option<String>,
    /// Whether the operating system runs from the medium.
    pub live: bool,
    /// The size of the file, in bytes.
    pub size: u64,
    /// What is wrong with it.
    pub warnings: Vec<Warning>,
}

/// Why a file could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// The user may not read it.
    #[error("{path} cannot be read: permission denied; change its permissions, or choose it through the file dialog", path = .0.display())]
    PermissionDenied(PathBuf),
    /// It is not there.
    #[error("{path} is not there any more; was it moved, or the drive with it removed?", path = .0.display())]
    Missing(PathBuf),
    /// It is a folder.
    #[error("{path} is a folder; choose a file in it", path = .0.display())]
    IsDirectory(PathBuf),
    /// It is a socket, a pipe or another thing without content of its own.
    #[error("{path} is neither a file nor a drive; choose a file", path = .0.display())]
    NotAFile(PathBuf),
    /// There is nothing in it.
    #[error("{path} is empty; was its download interrupted?", path = .0.display())]
    Empty(PathBuf),
    /// There is less in it than a single sector.
    #[error("{path} has {size} bytes only, too few for a medium; was its download interrupted?", path = .path.display())]
    TooShort {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
    },
    /// The host could not read it.
    #[error("could not read {path}: {source}", path = .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The host's word.
        source: io::Error,
    },
}

impl MediaError {
    fn new(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::PermissionDenied => Self::PermissionDenied(path),
            io::ErrorKind::NotFound => Self::Missing(path),
            io::ErrorKind::IsADirectory => Self::IsDirectory(path),
            _ => Self::Read { path, source },
        }
    }
}

/// Opens and looks at the file at `path`, with this host's [`operating_systems`]. May take a moment: not for the main thread.
///
/// # Errors
/// When the file cannot be opened or read, or cannot be a medium.
pub fn inspect_path(path: &Path) -> Result<Medium, MediaError> {
    // Opening a pipe that nobody writes to would wait for ever.
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits();
    let file = File::options()
        .read(true)
        .custom_flags(i32::try_from(nonblocking).unwrap_or(0))
        .open(path)
        .map_err(|error| MediaError::new(path, error))?;
    inspect(&file, path)
}

/// Looks at `file`, which is called `path` in messages, with this host's [`operating_systems`]. May take a moment: not for the
/// main thread.
///
/// # Errors
/// When the file cannot be read, or cannot be a medium.
pub fn inspect(file: &File, path: &Path) -> Result<Medium, MediaError> {
    inspect_with(file, path, operating_systems)
}

/// As [`inspect`], with the operating systems that `database` gives when an optical disc asks for them.
pub(crate) fn inspect_with<'a>(
    file: &File,
    path: &Path,
    database: impl FnOnce() -> &'a Database,
) -> Result<Medium, MediaError> {
    const SMALLEST: u64 = 512;
    let size = size(file, path)?;
    if size == 0 {
        return Err(MediaError::Empty(path.to_owned()));
    }
    if size < SMALLEST {
        let path = path.to_owned();
        return Err(MediaError::TooShort { path, size });
    }
    examine(&FileSource { file, size }, database).map_err(|error| MediaError::new(path, error))
}

fn size(file: &File, path: &Path) -> Result<u64, MediaError> {
    let metadata = file
        .metadata()
        .map_err(|error| MediaError::new(path, error))?;
    if metadata.is_dir() {
        Err(MediaError::IsDirectory(path.to_owned()))
    } else if metadata.is_file() {
        Ok(metadata.len())
    } else if metadata.file_type().is_block_device() {
        let mut file = file;
        file.seek(SeekFrom::End(0))
            .map_err(|error| MediaError::new(path, error))
    } else {
        Err(MediaError::NotAFile(path.to_owned()))
    }
}

/// What the disk image in the first `size` bytes of `file` is; an optical disc is not asked after.
///
/// # Errors
/// When the host cannot read it.
pub(crate) fn disk_kind(file: &File, size: u64) -> io::Result<MediumKind> {
    Ok(match image::recognise(&FileSource { file, size })? {
        Recognised::Qcow2 => MediumKind::Qcow2,
        Recognised::Raw { partitioning, .. } => MediumKind::RawDisk(partitioning),
        Recognised::Foreign(kind) => MediumKind::Foreign(kind),
        Recognised::Unknown => MediumKind::Unknown,
    })
}

/// What `source` holds.
fn examine<'a>(
    source: &impl Source,
    database: impl FnOnce() -> &'a Database,
) -> io::Result<Medium> {
    let mut medium = Medium {
        kind: MediumKind::Unknown,
        label: None,
        created: None,
        bios_bootable: Some(false),
        uefi_bootable: Some(false),
        hybrid: false,
        operating_system: None,
        architecture: None,
        live: false,
        size: source.size(),
        warnings: Vec::new(),
    };
    if let Some(disc) = iso9660::read(source)? {
        medium.take_disc(&disc, database);
        medium.hybrid = matches!(
            image::recognise(source)?,
            Recognised::Raw { bios: true, .. }
        );
        return Ok(medium);
    }
    match image::recognise(source)? {
        Recognised::Qcow2 => {
            medium.kind = MediumKind::Qcow2;
            medium.bios_bootable = None;
            medium.uefi_bootable = None;
        }
        Recognised::Raw {
            partitioning,
            bios,
            uefi,
        } => {
            medium.kind = MediumKind::RawDisk(partitioning);
            medium.bios_bootable = Some(bios);
            medium.uefi_bootable = Some(uefi);
        }
        Recognised::Foreign(kind) => medium.kind = MediumKind::Foreign(kind),
        Recognised::Unknown => {}
    }
    Ok(medium)
}

impl Medium {
    fn take_disc<'a>(&mut self, disc: &Disc, database: impl FnOnce() -> &'a Database) {
        self.kind = MediumKind::Optical;
        let volume = disc.primary.as_ref().map(|primary| &primary.volume);
        self.label = volume
            .filter(|label| !label.is_empty())
            .or(disc.udf.as_ref().filter(|label| !label.is_empty()))
            .cloned();
        if let Some(catalog) = &disc.catalog {
            self.bios_bootable = Some(catalog.bios);
            self.uefi_bootable = Some(catalog.uefi);
            if catalog.damaged {
                self.warnings.push(Warning::CatalogDamaged);
            }
            if catalog.beyond_end {
                self.warnings.push(Warning::BootImageMissing);
            }
        }
        let Some(primary) = &disc.primary else {
            return;
        };
        self.created.clone_from(&primary.created);
        if primary.size > self.size {
            let (expected, actual) = (primary.size, self.size);
            self.warnings
                .insert(0, Warning::Truncated { expected, actual });
        }
        let identity = DiscIdentity {
            volume: &primary.volume,
            system: &primary.system,
            publisher: &primary.publisher,
            application: &primary.application,
            size: primary.size,
        };
        if let Some(found) = database().recognise(&identity) {
            self.operating_system = Some(found.system.clone());
            self.architecture = Some(found.architecture.to_owned());
            self.live = found.live;
        }
    }
}
