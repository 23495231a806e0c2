//! A raw image: what the guest sees, byte for byte. Also what an optical drive reads.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

use super::lock::Lock;
use super::qcow2::{DIRECT_ALIGNMENT, reopen_direct};
use super::{DirectFile, DiskOptions, Features, Image, ImageError};
use crate::definition::{CacheMode, DiscardMode};
use crate::memory::GuestBuffer;

/// Zeros are written in pieces of this many bytes where the file system cannot make them.
const ZEROS: usize = 1 << 20;

/// A raw image, opened. Its size is the file's at that time: a file that others make shorter underneath gives errors, not zeros.
#[derive(Debug)]
pub(super) struct RawImage {
    file: File,
    /// The same file past the page cache.
    direct: Option<Arc<File>>,
    path: PathBuf,
    size: AtomicU64,
    read_only: bool,
    cache: CacheMode,
    discard: DiscardMode,
    /// Set once the host failed to bring data to the device. The kernel then forgets that it failed, so a later success would
    /// not mean that the data is safe.
    lost: AtomicBool,
    /// It was said that the file is deleted.
    told_deleted: AtomicBool,
    _lock: Option<Lock>,
}

impl RawImage {
    /// An image of `size` bytes.
    pub(super) fn new(
        file: File,
        lock: Lock,
        path: PathBuf,
        size: u64,
        options: &DiskOptions,
    ) -> Self {
        let mut direct = None;
        if options.cache == CacheMode::None {
            match reopen_direct(&file) {
                Ok(file) => direct = Some(Arc::new(file)),
                Err(error) => {
                    tracing::warn!(file = %path.display(), %error, "its file system cannot do without the page cache");
                }
            }
        }
        Self {
            _lock: Some(lock),
            direct,
            read_only: options.read_only,
            cache: options.cache,
            discard: options.discard,
            ..Self::medium(file, path, size)
        }
    }

    /// An optical medium of `size` bytes.
    pub(super) fn medium(file: File, path: PathBuf, size: u64) -> Self {
        Self {
            file,
            direct: None,
            path,
            size: AtomicU64::new(size),
            read_only: true,
            cache: CacheMode::Writeback,
            discard: DiscardMode::Ignore,
            lost: AtomicBool::new(false),
            told_deleted: AtomicBool::new(false),
            _lock: None,
        }
    }

    fn truncated(&self) -> io::Error {
        let now = self.file.metadata().map_or(0, |metadata| metadata.len());
        io::Error::new(
            io::ErrorKind::UnexpectedEof,
            format!(
                "another program truncated it to {now} bytes while it was in use (it had {}); restore it from a backup",
                self.size()
            ),
        )
    }

    fn error(&self, action: &'static str, source: io::Error) -> ImageError {
        ImageError::from_host(action, &self.path, source)
    }

    fn check_write(&self, offset: u64, length: u64) -> Result<(), ImageError> {
        if self.read_only {
            return Err(ImageError::ReadOnly {
                file: self.path.clone(),
            });
        }
        ImageError::check_long_range(&self.path, self.size(), offset, length)
    }

    /// The file for a request of the guest's.
    fn file_for(&self, offset: u64, buffer: &GuestBuffer) -> &File {
        let aligned = offset.is_multiple_of(DIRECT_ALIGNMENT)
            && usize::try_from(DIRECT_ALIGNMENT)
                .is_ok_and(|alignment| buffer.is_aligned(alignment));
        match &self.direct {
            Some(direct) if aligned => direct,
            _ => &self.file,
        }
    }

    /// After each change.
    fn written(&self) -> Result<(), ImageError> {
        if self.cache == CacheMode::Writethrough {
            self.flush()
        } else {
            Ok(())
        }
    }

    /// Changes what a range occupies; false where the file system cannot.
    fn allocate(&self, flags: FallocateFlags, offset: u64, length: u64) -> io::Result<bool> {
        match fallocate(
            &self.file,
            flags | FallocateFlags::KEEP_SIZE,
            offset,
            length,
        ) {
            Ok(()) => Ok(true),
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::NODEV) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl Image for RawImage {
    fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    fn features(&self) -> Features {
        Features {
            discard: !self.read_only && self.discard == DiscardMode::Unmap,
            write_cache: self.cache != CacheMode::Writethrough,
            ..Features::default()
        }
    }

    fn read_only(&self) -> bool {
        self.read_only
    }

    fn file(&self) -> &Path {
        &self.path
    }

    fn read_at(&self, offset: u64, data: &mut [u8]) -> Result<(), ImageError> {
        ImageError::check_range(&self.path, self.size(), offset, data.len())?;
        self.file.read_exact_at(data, offset).map_err(|source| {
            if source.kind() == io::ErrorKind::UnexpectedEof {
                self.error("read", self.truncated())
            } else {
                self.error("read", source)
            }
        })
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), ImageError> {
        self.check_write(offset, data.len() as u64)?;
        self.file
            .write_all_at(data, offset)
            .map_err(|source| self.error("write to", source))?;
        self.written()
    }

    fn read_guest(&self, offset: u64, buffer: &GuestBuffer) -> Result<(), ImageError> {
        ImageError::check_range(&self.path, self.size(), offset, buffer.len())?;
        let read = buffer
            .read_from_file(self.file_for(offset, buffer), offset)
            .map_err(|source| self.error("read", source))?;
        if read < buffer.len() {
            return Err(self.error("read", self.truncated()));
        }
        Ok(())
    }

    fn write_guest(&self, offset: u64, buffer: &GuestBuffer) -> Result<(), ImageError> {
        self.check_write(offset, buffer.len() as u64)?;
        buffer
            .write_to_file(self.file_for(offset, buffer), offset)
            .map_err(|source| self.error("write to", source))?;
        self.written()
    }

    fn direct_file(&self, write: bool) -> Option<DirectFile> {
        if write && (self.read_only || self.cache == CacheMode::Writethrough) {
            return None;
        }
        Some(DirectFile {
            file: Arc::clone(self.direct.as_ref()?),
            alignment: usize::try_from(DIRECT_ALIGNMENT).ok()?,
        })
    }

    fn discard(&self, offset: u64, length: u64) -> Result<(), ImageError> {
        self.check_write(offset, length)?;
        if self.discard == DiscardMode::Ignore || length == 0 {
            return Ok(());
        }
        self.allocate(FallocateFlags::PUNCH_HOLE, offset, length)
            .map_err(|source| self.error("discard in", source))?;
        self.written()
    }

    fn write_zeroes(&self, offset: u64, length: u64, may_unmap: bool) -> Result<(), ImageError> {
        self.check_write(offset, length)?;
        if length == 0 {
            return Ok(());
        }
        let error = |source| self.error("write to", source);
        let unmap = may_unmap && self.discard == DiscardMode::Unmap;
        let made = unmap
            && self
                .allocate(FallocateFlags::PUNCH_HOLE, offset, length)
                .map_err(error)?
            || self
                .allocate(FallocateFlags::ZERO_RANGE, offset, length)
                .map_err(error)?;
        if !made {
            let zeros = vec![0; usize::try_from(length).unwrap_or(ZEROS).min(ZEROS)];
            let mut at = 0;
            while at < length {
                let count = usize::try_from(length - at).unwrap_or(ZEROS).min(ZEROS);
                self.file
                    .write_all_at(zeros.get(..count).unwrap_or(&zeros), offset + at)
                    .map_err(error)?;
                at += count as u64;
            }
        }
        self.written()
    }

    fn resize(&self, size: u64) -> Result<(), ImageError> {
        self.check_write(0, 0)?;
        let refuse = |reason: &str| ImageError::Unsupported {
            action: "grown",
            file: self.path.clone(),
            reason: reason.to_owned(),
        };
        let metadata = self
            .file
            .metadata()
            .map_err(|source| self.error("grow", source))?;
        if !metadata.is_file() {
            return Err(refuse(
                "it is a device; grow that, then start the machine again",
            ));
        }
        if size < self.size() || !size.is_multiple_of(512) {
            return Err(refuse(
                "its new size is no multiple of 512 bytes, or smaller than what it has",
            ));
        }
        if metadata.len() < self.size() {
            return Err(self.error("grow", self.truncated()));
        }
        self.file
            .set_len(size)
            .and_then(|()| self.file.sync_all())
            .map_err(|source| self.error("grow", source))?;
        self.size.store(size, Ordering::Release);
        Ok(())
    }

    fn flush(&self) -> Result<(), ImageError> {
        if self.read_only {
            return Ok(());
        }
        let metadata = self
            .file
            .metadata()
            .map_err(|source| self.error("flush", source))?;
        if metadata.is_file() && metadata.len() < self.size() {
            return Err(self.error("flush", self.truncated()));
        }
        super::check_linked(&self.file, &self.told_deleted)
            .map_err(|source| self.error("flush", source))?;
        if self.cache == CacheMode::Unsafe {
            return Ok(());
        }
        let result = if self.lost.load(Ordering::Relaxed) {
            Err(super::lost_writes())
        } else {
            self.file.sync_data().map_err(|source| {
                self.lost.store(true, Ordering::Relaxed);
                super::sync_failed(&source)
            })
        };
        result.map_err(|source| self.error("flush", source))
    }
}
