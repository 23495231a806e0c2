//! A raw image: what the guest sees, byte for byte. Also what an optical drive reads.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{DirectFile, Image, ImageError};
use crate::memory::GuestBuffer;

/// A raw image, opened. Its size is the file's at that time: a file that others make shorter underneath gives errors, not zeros.
#[derive(Debug)]
pub(super) struct RawImage {
    file: Arc<File>,
    path: PathBuf,
    size: u64,
    read_only: bool,
    /// Set once the host failed to bring data to the device. The kernel then forgets that it failed, so a later success would
    /// not mean that the data is safe.
    lost: AtomicBool,
}

impl RawImage {
    pub(super) fn new(file: File, path: PathBuf, size: u64, read_only: bool) -> Self {
        Self {
            file: Arc::new(file),
            path,
            size,
            read_only,
            lost: AtomicBool::new(false),
        }
    }

    fn truncated(&self) -> io::Error {
        let now = self.file.metadata().map_or(0, |metadata| metadata.len());
        io::Error::new(
            io::ErrorKind::UnexpectedEof,
            format!(
                "another program truncated it to {now} bytes while it was in use (it had {}); restore it from a backup",
                self.size
            ),
        )
    }

    fn error(&self, action: &'static str, source: io::Error) -> ImageError {
        ImageError::from_host(action, &self.path, source)
    }
}

impl Image for RawImage {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_only(&self) -> bool {
        self.read_only
    }

    fn file(&self) -> &Path {
        &self.path
    }

    fn read_at(&self, offset: u64, data: &mut [u8]) -> Result<(), ImageError> {
        ImageError::check_range(&self.path, self.size, offset, data.len())?;
        self.file.read_exact_at(data, offset).map_err(|source| {
            if source.kind() == io::ErrorKind::UnexpectedEof {
                self.error("read", self.truncated())
            } else {
                self.error("read", source)
            }
        })
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), ImageError> {
        if self.read_only {
            return Err(ImageError::ReadOnly {
                file: self.path.clone(),
            });
        }
        ImageError::check_range(&self.path, self.size, offset, data.len())?;
        self.file
            .write_all_at(data, offset)
            .map_err(|source| self.error("write to", source))
    }

    fn read_guest(&self, offset: u64, buffer: &GuestBuffer) -> Result<(), ImageError> {
        ImageError::check_range(&self.path, self.size, offset, buffer.len())?;
        let read = buffer
            .read_from_file(&self.file, offset)
            .map_err(|source| self.error("read", source))?;
        if read < buffer.len() {
            return Err(self.error("read", self.truncated()));
        }
        Ok(())
    }

    fn write_guest(&self, offset: u64, buffer: &GuestBuffer) -> Result<(), ImageError> {
        if self.read_only {
            return Err(ImageError::ReadOnly {
                file: self.path.clone(),
            });
        }
        ImageError::check_range(&self.path, self.size, offset, buffer.len())?;
        buffer
            .write_to_file(&self.file, offset)
            .map_err(|source| self.error("write to", source))
    }

    fn direct_file(&self, write: bool) -> Option<DirectFile> {
        (!write || !self.read_only).then(|| DirectFile {
            file: Arc::clone(&self.file),
            alignment: 1,
        })
    }

    fn flush(&self) -> Result<(), ImageError> {
        if self.read_only {
            return Ok(());
        }
        let metadata = self
            .file
            .metadata()
            .map_err(|source| self.error("flush", source))?;
        if metadata.is_file() && metadata.len() < self.size {
            return Err(self.error("flush", self.truncated()));
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
