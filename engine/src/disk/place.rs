//! The place where files go: its free space, its limit for one file, and renames that never replace or lose anything.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with, statfs};
use rustix::io::Errno;

/// The `f_type` of the FAT file systems (statfs(2), MSDOS_SUPER_MAGIC).
const FAT: u64 = 0x4d44;

/// What a folder has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes that this user can still fill.
    pub available: u64,
    /// The largest file in bytes, where the file system has a limit that disks reach: 4 GiB - 1 on FAT.
    pub largest_file: Option<u64>,
}

impl Space {
    /// Asks the file system that holds `folder`, or would if it existed.
    ///
    /// # Errors
    /// When the host does not say.
    pub fn of(folder: &Path) -> io::Result<Self> {
        let absolute = std::path::absolute(folder)?;
        let mut place = absolute.as_path();
        let status = loop {
            match statfs(place) {
                Err(Errno::NOENT) => match place.parent() {
                    Some(parent) => place = parent,
                    None => return Err(Errno::NOENT.into()),
                },
                other => break other?,
            }
        };
        let block = u64::try_from(status.f_bsize).unwrap_or(0);
        Ok(Self {
            available: status.f_bavail.saturating_mul(block),
            largest_file: (u64::try_from(status.f_type) == Ok(FAT)).then_some(u64::from(u32::MAX)),
        })
    }
}

/// Gives `from` the name `to` unless something has it already.
///
/// # Errors
/// `AlreadyExists`, or what the host says.
pub(crate) fn rename_to_free_name(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // The file system cannot tell whether the name is free; ask, then rename.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            if to.symlink_metadata().is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            std::fs::rename(from, to)
        }
        other => Ok(other?),
    }
}

/// Brings the names in `folder` to the device.
///
/// # Errors
/// What the host says.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
