//! The one face that every disk image shows to the drive in front of it.

use std::io;
use std::path::{Path, PathBuf};

/// Why a request to an image failed.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The host's file system has no room for what the guest wrote. Nothing of the request need be lost: it can be made again
    /// once there is room.
    #[error("no space is left for {file}: its file system is full, or a quota or a limit for one file is reached; make room there, then resume the machine", file = .file.display())]
    NoSpace {
        /// The image.
        file: PathBuf,
    },
    /// The host could not carry out the request.
    #[error("could not {action} {file}: {source}", file = .file.display())]
    Io {
        /// What was tried: "read", "write to", "flush".
        action: &'static str,
        /// The image.
        file: PathBuf,
        /// The host's word.
        source: io::Error,
    },
    /// The request goes beyond the end of the image.
    #[error("{length} bytes at {offset} lie beyond the end of {file}", file = .file.display())]
    OutOfRange {
        /// The image.
        file: PathBuf,
        /// First byte.
        offset: u64,
        /// Bytes.
        length: u64,
    },
    /// The image was opened for reading only.
    #[error("{file} is open for reading only", file = .file.display())]
    ReadOnly {
        /// The image.
        file: PathBuf,
    },
}

impl ImageError {
    /// What the host said to `action` on `file`.
    pub(super) fn from_host(action: &'static str, file: &Path, source: io::Error) -> Self {
        let file = file.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => Self::NoSpace { file },
            _ => Self::Io {
                action,
                file,
                source,
            },
        }
    }

    /// Refuses a range that is not all within `size` bytes.
    pub(super) fn check_range(
        file: &Path,
        size: u64,
        offset: u64,
        length: usize,
    ) -> Result<(), Self> {
        let length = length as u64;
        match offset.checked_add(length) {
            Some(end) if end <= size => Ok(()),
            _ => Err(Self::OutOfRange {
                file: file.to_owned(),
                offset,
                length,
            }),
        }
    }
}

/// A disk image, opened: an array of bytes that outlives the machine. All calls may come from several threads at once.
pub trait Image: Send + Sync {
    /// The size that the guest sees, in bytes.
    fn size(&self) -> u64;

    /// Whether writes are refused.
    fn read_only(&self) -> bool;

    /// The file, for messages.
    fn file(&self) -> &Path;

    /// Fills `data` from byte `offset` on.
    ///
    /// # Errors
    /// When the range is not all in the image or the host cannot read it.
    fn read_at(&self, offset: u64, data: &mut [u8]) -> Result<(), ImageError>;

    /// Writes `data` from byte `offset` on. It may be lost in a crash until [`Image::flush`] returned.
    ///
    /// # Errors
    /// When the range is not all in the image, the image is read-only, or the host cannot write it.
    fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), ImageError>;

    /// Returns once everything written before is on the device that holds the image, its metadata too.
    ///
    /// # Errors
    /// When the host cannot say so; what was written since the last flush may then be lost.
    fn flush(&self) -> Result<(), ImageError>;
}
