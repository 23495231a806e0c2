//! A raw image: zeros stay holes.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::super::ToolError;
use super::super::copy::{Sink, Turn};

/// A new, empty file that becomes a raw image.
pub(in crate::disk::tools) struct RawSink<'a> {
    file: &'a File,
    target: &'a Path,
}

impl<'a> RawSink<'a> {
    /// Takes `file`, which is going to be `target`, for a disk of `size` bytes.
    pub(in crate::disk::tools) fn new(
        file: &'a File,
        target: &'a Path,
        size: u64,
    ) -> Result<Self, ToolError> {
        file.set_len(size)
            .map_err(|source| ToolError::from_host("write to", target, source))?;
        Ok(Self { file, target })
    }
}

impl Sink for RawSink<'_> {
    fn granule(&self) -> u64 {
        4096
    }

    fn write(&self, _turn: &Turn<'_>, offset: u64, data: &[u8]) -> Result<(), ToolError> {
        self.file
            .write_all_at(data, offset)
            .map_err(|source| ToolError::from_host("write to", self.target, source))
    }

    fn file(&self) -> (&File, &Path) {
        (self.file, self.target)
    }

    fn zeros(&self, _turn: &Turn<'_>, _offset: u64, _length: u64) -> Result<(), ToolError> {
        Ok(())
    }
}
