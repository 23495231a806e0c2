//! A file that is read whole while nobody may write to it.

use std::fs::File;
use std::path::Path;

use super::OpenError;
use super::lock::{self, Access, Lock};
use super::open::{open_file, size};
use super::tools::ToolError;

/// The file, locked against writers as disk images are, until it is dropped.
pub(crate) struct HeldFile {
    pub(crate) file: File,
    /// Bytes.
    pub(crate) length: u64,
    _lock: Lock,
}

impl HeldFile {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read, or another program writes to it.
    pub(crate) fn open(path: &Path) -> Result<Self, ToolError> {
        let file = open_file(path, false)?;
        let host = |error| ToolError::from_host("read", path, error);
        let metadata = file.metadata().map_err(host)?;
        // An empty file is one, unlike an empty disk.
        let length = match metadata.is_file() {
            true => metadata.len(),
            false => size(&file, path)?,
        };
        let lock = lock::acquire(&file, Access::Read)
            .map_err(|error| ToolError::from_host("lock", path, error))?
            .ok_or_else(|| OpenError::InUse {
                file: path.to_owned(),
            })?;
        Ok(Self {
            file,
            length,
            _lock: lock,
        })
    }
}
