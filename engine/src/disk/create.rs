//! Making new disks. Both formats start sparse: they take space on the host as the guest writes.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use qcow2_rs::meta::Qcow2Header;
use uuid::Uuid;

use super::place::{Space, rename_to_free_name, sync_folder};
use crate::definition::ImageFormat;

/// The smallest disk that can be made, in bytes: 1 MiB.
pub const MIN_DISK_SIZE: u64 = 1 << 20;
/// The largest disk that can be made, in bytes: 64 TiB.
pub const MAX_DISK_SIZE: u64 = 64 << 40;

/// 64 KiB, as QEMU makes them: an L2 table then maps 512 MiB.
const CLUSTER_BITS: usize = 16;
/// Reference counts of 16 bits.
const REFCOUNT_ORDER: u8 = 4;
const SECTOR: u16 = 512;

/// Why a disk could not be made. No file is left behind.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The size is out of range.
    #[error("a disk of {size} bytes cannot be made; choose a multiple of 512 from 1 MiB to 64 TiB")]
    Size {
        /// Bytes.
        size: u64,
    },
    /// The name is taken.
    #[error("{file} exists already; choose another name", file = .file.display())]
    Exists {
        /// The disk to be made.
        file: PathBuf,
    },
    /// The file system's files are too small.
    #[error("{file} cannot become {size} bytes large: files on its file system end at {limit} bytes; choose a smaller size or a folder on another file system", file = .file.display())]
    FileLimit {
        /// The disk to be made.
        file: PathBuf,
        /// Bytes.
        size: u64,
        /// Bytes.
        limit: u64,
    },
    /// No space for even the empty disk.
    #[error("no space is left on the file system for {file}; free some space or choose another folder", file = .file.display())]
    NoSpace {
        /// The disk to be made.
        file: PathBuf,
    },
    /// The format's library refused.
    #[error("could not lay out {file} as qcow2: {reason}; choose another size", file = .file.display())]
    Layout {
        /// The disk to be made.
        file: PathBuf,
        /// Its word.
        reason: String,
    },
    /// The host could not.
    #[error("could not create {file}: {source}; check that its folder exists and may be written to", file = .file.display())]
    Io {
        /// The disk to be made.
        file: PathBuf,
        /// The host's word.
        source: io::Error,
    },
}

impl CreateError {
    fn from_host(path: &Path, source: io::Error) -> Self {
        let file = path.to_owned();
        match source.kind() {
            io::ErrorKind::AlreadyExists => Self::Exists { file },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace { file },
            _ => Self::Io { file, source },
        }
    }
}

/// Makes an empty disk of `size` bytes at `path`: it is there whole or not at all, and never replaces a file.
///
/// # Errors
/// When the size is out of range, the name is taken, or the host refuses.
pub fn create_disk(path: &Path, format: ImageFormat, size: u64) -> Result<(), CreateError> {
    if !(MIN_DISK_SIZE..=MAX_DISK_SIZE).contains(&size) || !size.is_multiple_of(u64::from(SECTOR)) {
        return Err(CreateError::Size { size });
    }
    let host = |source| CreateError::from_host(path, source);
    if path.symlink_metadata().is_ok() {
        return Err(CreateError::Exists {
            file: path.to_owned(),
        });
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if let Some(limit) = Space::of(folder).map_err(host)?.largest_file
        && size > limit
    {
        return Err(CreateError::FileLimit {
            file: path.to_owned(),
            size,
            limit,
        });
    }
    let temporary = folder.join(format!(".{}.part", Uuid::new_v4()));
    let result = write_new(&temporary, path, format, size)
        .and_then(|()| rename_to_free_name(&temporary, path).map_err(host));
    if result.is_err()
        && let Err(error) = fs::remove_file(&temporary)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(file = %temporary.display(), %error, "could not remove an unfinished disk");
    }
    result?;
    sync_folder(folder).map_err(host)
}

fn write_new(
    temporary: &Path,
    path: &Path,
    format: ImageFormat,
    size: u64,
) -> Result<(), CreateError> {
    let host = |source: io::Error| {
        if source.kind() == io::ErrorKind::FileTooLarge {
            CreateError::FileLimit {
                file: path.to_owned(),
                size,
                limit: size.saturating_sub(1),
            }
        } else {
            CreateError::from_host(path, source)
        }
    };
    let file: File = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(temporary)
        .map_err(host)?;
    match format {
        ImageFormat::Raw => file.set_len(size).map_err(host)?,
        ImageFormat::Qcow2 => {
            let content = qcow2_metadata(size).map_err(|reason| CreateError::Layout {
                file: path.to_owned(),
                reason,
            })?;
            file.write_all_at(&content, 0).map_err(host)?;
        }
    }
    file.sync_all().map_err(host)
}

/// The header, reference counts and empty L1 table of a new image.
fn qcow2_metadata(size: u64) -> Result<Vec<u8>, String> {
    let block = usize::from(SECTOR);
    let (table, blocks, l1) =
        Qcow2Header::calculate_meta_params(size, CLUSTER_BITS, REFCOUNT_ORDER, block);
    let clusters = [table.1, blocks.1, l1.1]
        .iter()
        .try_fold(1_u32, |sum, count| sum.checked_add(*count))
        .and_then(|count| usize::try_from(count).ok())
        .ok_or("its tables are too large")?;
    let mut content = vec![0; clusters << CLUSTER_BITS];
    Qcow2Header::format_qcow2(&mut content, size, CLUSTER_BITS, REFCOUNT_ORDER, block)
        .map_err(|error| error.to_string())?;
    Ok(content)
}

/// Bytes of the version 3 header that the library writes, with its padding.
const HEADER: usize = 112;
/// The header extension that says how the backing file stores what the guest sees.
const BACKING_FORMAT: [u8; 4] = [0xe2, 0x79, 0x2a, 0xca];

/// All of an empty qcow2 image of `size` bytes that holds only what differs from the image called `name`, which has `format`;
/// `base` is what messages call that.
pub(crate) fn overlay_content(
    base: &Path,
    name: &str,
    format: ImageFormat,
    size: u64,
) -> Result<Vec<u8>, CreateError> {
    let refused = |reason: String| CreateError::Layout {
        file: base.to_owned(),
        reason,
    };
    let mut content = qcow2_metadata(size.next_multiple_of(u64::from(SECTOR))).map_err(refused)?;
    let word: &[u8] = match format {
        ImageFormat::Raw => b"raw",
        ImageFormat::Qcow2 => b"qcow2",
    };
    let mut extensions = Vec::new();
    extensions.extend(BACKING_FORMAT);
    extensions.extend(u32::try_from(word.len()).unwrap_or(0).to_be_bytes());
    extensions.extend(word);
    extensions.resize(extensions.len().next_multiple_of(8), 0);
    // The end of the extensions.
    extensions.extend([0; 8]);
    let place = HEADER + extensions.len();
    extensions.extend(name.as_bytes());
    let length = u32::try_from(name.len()).ok();
    let (Some(length), Some(room), Some(place)) = (
        length.filter(|length| *length <= MAX_BACKING_NAME),
        content.get_mut(HEADER..HEADER + extensions.len()),
        u64::try_from(place).ok(),
    ) else {
        return Err(refused("its path is too long".to_owned()));
    };
    room.copy_from_slice(&extensions);
    let fields: [(usize, &[u8]); 2] = [(8, &place.to_be_bytes()), (16, &length.to_be_bytes())];
    for (offset, bytes) in fields {
        if let Some(field) = content.get_mut(offset..offset + bytes.len()) {
            field.copy_from_slice(bytes);
        }
    }
    Ok(content)
}

/// The longest name of a backing file that the format allows, in bytes.
const MAX_BACKING_NAME: u32 = 1023;
