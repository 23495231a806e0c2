//! The one face that every disk image shows to the drive in front of it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::memory::GuestBuffer;

/// Guest memory is copied in pieces of this many bytes where an image cannot reach it itself.
const BOUNCE: usize = 1 << 20;

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
    /// The device failed to store data before: what was written then may be lost, and nothing brings it back.
    #[error("could not flush {file}: {LostWrites}", file = .file.display())]
    Lost {
        /// The image.
        file: PathBuf,
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
    /// The image cannot do this at all.
    #[error("{file} cannot be {action}: {reason}", file = .file.display())]
    Unsupported {
        /// "resized".
        action: &'static str,
        /// The image.
        file: PathBuf,
        /// Why, and what to do instead.
        reason: String,
    },
}

/// What every flush after a failed one is reported as. The kernel forgets that it failed.
#[derive(Debug, thiserror::Error)]
#[error(
    "the device that holds it failed to store data earlier; shut the machine down, check the device, then start it again"
)]
pub(super) struct LostWrites;

impl ImageError {
    /// What the host said to `action` on `file`.
    pub(super) fn from_host(action: &'static str, file: &Path, source: io::Error) -> Self {
        let file = file.to_owned();
        if source
            .get_ref()
            .is_some_and(|inner| inner.is::<LostWrites>())
        {
            return Self::Lost { file };
        }
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
        Self::check_long_range(file, size, offset, length as u64)
    }

    /// As [`ImageError::check_range`] for lengths that need not fit in memory.
    pub(super) fn check_long_range(
        file: &Path,
        size: u64,
        offset: u64,
        length: u64,
    ) -> Result<(), Self> {
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

/// What a drive tells its guest of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Features {
    /// Discarded ranges give their space back to the host; otherwise a discard is taken and does nothing.
    pub discard: bool,
    /// Bytes: what of a discarded range does not fill such a unit is kept. A power of two, 512 at least.
    pub discard_granularity: u32,
    /// Bytes: requests that start and end on such a border do not make the host read before it writes. A power of two.
    pub optimal_block_size: u32,
    /// Written data may be lost in a crash until it is flushed: the drive has a write cache that the guest must flush. Without it
    /// each write is on the device when it returns.
    pub write_cache: bool,
}

impl Default for Features {
    fn default() -> Self {
        Self {
            discard: false,
            discard_granularity: 4096,
            optimal_block_size: 4096,
            write_cache: true,
        }
    }
}

/// A file past the host's page cache that requests may go to without the image's help.
#[derive(Debug, Clone)]
pub struct DirectFile {
    /// The file.
    pub file: Arc<File>,
    /// Bytes: offsets, addresses and lengths must be multiples of it (a power of two).
    pub alignment: usize,
}

/// A disk image, opened: an array of bytes that outlives the machine. All calls may come from several threads at once; calls whose
/// ranges overlap are carried out in any order.
pub trait Image: Send + Sync {
    /// The size that the guest sees, in bytes. Only [`Image::resize`] changes it.
    fn size(&self) -> u64;

    /// What a drive tells its guest of the image.
    fn features(&self) -> Features {
        Features::default()
    }

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
    /// Fills `buffer` from byte `offset` on: [`Image::read_at`] into guest memory.
    ///
    /// # Errors
    /// As [`Image::read_at`]; a part of the buffer may have been filled then.
    fn read_guest(&self, offset: u64, buffer: &GuestBuffer) -> Result<(), ImageError> {
        ImageError::check_range(self.file(), self.size(), offset, buffer.len())?;
        let mut data = vec![0; buffer.len().min(BOUNCE)];
        let mut at = 0;
        while at < buffer.len() {
            let count = data.len().min(buffer.len() - at);
            let piece = data.get_mut(..count).unwrap_or_default();
            self.read_at(offset.saturating_add(at as u64), piece)?;
            buffer.write(at, piece);
            at += count;
        }
        Ok(())
    }

    /// Writes `buffer` from byte `offset` on: [`Image::write_at`] from guest memory.
    ///
    /// # Errors
    /// As [`Image::write_at`].
    fn write_guest(&self, offset: u64, buffer: &GuestBuffer) -> Result<(), ImageError> {
        ImageError::check_range(self.file(), self.size(), offset, buffer.len())?;
        let mut data = vec![0; buffer.len().min(BOUNCE)];
        let mut at = 0;
        while at < buffer.len() {
            let count = data.len().min(buffer.len() - at);
            let piece = data.get_mut(..count).unwrap_or_default();
            buffer.read(at, piece);
            self.write_at(offset.saturating_add(at as u64), piece)?;
            at += count;
        }
        Ok(())
    }

    /// The file past the host's page cache that holds the disk's byte n at its byte n, if reads (or with `write` writes) within the
    /// image may go to it without the image's help.
    fn direct_file(&self, write: bool) -> Option<DirectFile> {
        let _ = write;
        None
    }

    /// The guest does not need `length` bytes from `offset` on any more: reading them gives what was there or zeros, and the host
    /// gets the space back where it can be given (see [`Features`]).
    ///
    /// # Errors
    /// When the range is not all in the image, the image is read-only, or the host fails; what was in the range may be gone then.
    fn discard(&self, offset: u64, length: u64) -> Result<(), ImageError> {
        ImageError::check_long_range(self.file(), self.size(), offset, length)
    }

    /// Makes `length` bytes from `offset` on read as zeros, in the cheapest way there is; with `may_unmap` the host gets the space
    /// back where it can be given, else the space stays the guest's.
    ///
    /// # Errors
    /// As [`Image::write_at`].
    fn write_zeroes(&self, offset: u64, length: u64, may_unmap: bool) -> Result<(), ImageError> {
        let _ = may_unmap;
        ImageError::check_long_range(self.file(), self.size(), offset, length)?;
        let zeros = vec![0; usize::try_from(length).unwrap_or(BOUNCE).min(BOUNCE)];
        let mut at = 0;
        while at < length {
            let count = usize::try_from(length - at).unwrap_or(BOUNCE).min(BOUNCE);
            self.write_at(
                offset.saturating_add(at),
                zeros.get(..count).unwrap_or(&zeros),
            )?;
            at += count as u64;
        }
        Ok(())
    }

    /// Makes the disk `size` bytes large, larger than it was; what is added reads as zeros. On the device when it returns.
    ///
    /// # Errors
    /// When the image cannot grow, `size` is smaller than what it has, or the host refuses; the size is then as it was.
    fn resize(&self, size: u64) -> Result<(), ImageError> {
        let _ = size;
        Err(ImageError::Unsupported {
            action: "resized",
            file: self.file().to_owned(),
            reason: "its kind has a fixed size; convert it to another format".to_owned(),
        })
    }
}
