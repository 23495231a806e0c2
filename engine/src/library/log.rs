//! A machine's log: `machine.log` in its folder, and `machine.log.1` with what was before, each at most 1 MiB.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Bytes of one of the two files.
const LIMIT: u64 = 1 << 20;

/// A machine's log, opened to add to it.
#[derive(Debug)]
pub struct MachineLog {
    path: PathBuf,
    file: File,
    length: u64,
}

impl MachineLog {
    /// Where the log of the machine in `folder` is.
    pub fn path(folder: &Path) -> PathBuf {
        folder.join("machine.log")
    }

    /// When the machine in `folder` was used last, which is when something was written into its log; nothing if it never ran.
    pub fn last_written(folder: &Path) -> Option<SystemTime> {
        fs::metadata(Self::path(folder)).ok()?.modified().ok()
    }

    /// Opens the log of the machine in `folder`.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let path = Self::path(folder);
        let file = OpenOptions::new().append(true).create(true).open(&path)?;
        let length = file.metadata()?.len();
        Ok(Self { path, file, length })
    }

    fn rotate(&mut self) -> io::Result<()> {
        fs::rename(&self.path, self.path.with_extension("log.1"))?;
        self.file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&self.path)?;
        self.length = 0;
        Ok(())
    }
}

impl Write for MachineLog {
    /// Takes all of `data`, or the first MiB of it.
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let data = data
            .get(..usize::try_from(LIMIT).unwrap_or(usize::MAX))
            .unwrap_or(data);
        if self.length > 0 && self.length.saturating_add(data.len() as u64) > LIMIT {
            self.rotate()?;
        }
        self.file.write_all(data)?;
        self.length = self.length.saturating_add(data.len() as u64);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
