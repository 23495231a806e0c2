//! New disks with more to choose than [`create_disk`](super::super::create_disk) has: clusters, space taken beforehand, an image
//! beneath.

use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate};

use super::super::formats::Format;
use super::super::{MAX_DISK_SIZE, MIN_DISK_SIZE};
use super::convert::{check_limit, folder_of};
use super::sinks::{Qcow2Sink, Qcow2Writing};
use super::{Job, Phase, Source, TargetFormat, ToolError, Unfinished};

/// How much of a new disk's space is taken at once; QEMU's names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Preallocation {
    /// None.
    #[default]
    Off,
    /// qcow2: the tables, so that the first writes need not make any.
    Metadata,
    /// All of it, without writing to it where the file system can.
    Falloc,
    /// All of it, written with zeros.
    Full,
}

/// Makes an empty disk of `size` bytes at `target`.
///
/// # Errors
/// When the size is out of range, the target exists, or the host refuses; nothing is left behind.
pub fn create(
    target: &Path,
    format: TargetFormat,
    size: u64,
    preallocation: Preallocation,
    job: &Job<'_>,
) -> Result<(), ToolError> {
    if !(MIN_DISK_SIZE..=MAX_DISK_SIZE).contains(&size) || !size.is_multiple_of(512) {
        return Err(super::super::CreateError::Size { size }.into());
    }
    let host = |source| ToolError::from_host("write to", target, source);
    check_limit(target, size)?;
    let unfinished = Unfinished::new(target)?;
    let file = unfinished.file();
    let length = match format {
        TargetFormat::Raw => {
            file.set_len(size).map_err(host)?;
            size
        }
        TargetFormat::Qcow2 { cluster_size, .. } => {
            let writing = Qcow2Writing {
                cluster_size,
                compress: false,
                backing: None,
            };
            let sink = Qcow2Sink::new(file, target, size, writing)?;
            if preallocation != Preallocation::Off {
                sink.preallocate()?;
            }
            sink.finish()?
        }
        TargetFormat::VmdkStreamOptimised => {
            return Err(ToolError::refused(
                target,
                "cannot be an empty stream-optimised VMDK, which nothing can write to",
                "choose qcow2 or raw",
            ));
        }
    };
    match preallocation {
        Preallocation::Off | Preallocation::Metadata => {}
        Preallocation::Falloc => match fallocate(file, FallocateFlags::empty(), 0, length) {
            Ok(()) => {}
            Err(rustix::io::Errno::OPNOTSUPP) => write_out(&unfinished, length, job)?,
            Err(errno) => return Err(host(errno.into())),
        },
        Preallocation::Full => write_out(&unfinished, length, job)?,
    }
    job.begin(Phase::Storing, 0)?;
    unfinished.finish()
}

/// Writes to every part of the file, what is there or zeros.
fn write_out(unfinished: &Unfinished, length: u64, job: &Job<'_>) -> Result<(), ToolError> {
    use std::os::unix::fs::FileExt;
    let file = unfinished.file();
    let host = |source| ToolError::from_host("write to", unfinished.target(), source);
    let mut piece = vec![0; 1 << 20];
    job.begin(Phase::Copying, length)?;
    let mut at = 0;
    while at < length {
        let count = piece.len().min(super::super::formats::index(length - at));
        let part = piece.get_mut(..count).unwrap_or_default();
        file.read_exact_at(part, at).map_err(host)?;
        file.write_all_at(part, at).map_err(host)?;
        at += count as u64;
        job.advance(count as u64)?;
    }
    Ok(())
}

/// Makes a qcow2 image at `target` that holds only what will differ from the image `base`, which must not change any more. Its
/// disk is as large as that one's, or `size` bytes where more is wanted.
///
/// # Errors
/// When the base cannot be read, the target exists, or the host refuses; nothing is left behind.
pub fn linked_clone(
    base: &Source,
    target: &Path,
    size: Option<u64>,
    job: &Job<'_>,
) -> Result<(), ToolError> {
    let chain = base.open()?;
    let format = chain
        .links()
        .first()
        .map_or(Format::Raw, |link| link.format);
    let name = name_from(target, &base.file)?;
    let unfinished = Unfinished::new(target)?;
    let size = size.unwrap_or(0).max(chain.size());
    write_overlay(&unfinished, size, 64 << 10, Some((name, format)))?;
    job.begin(Phase::Storing, 0)?;
    unfinished.finish()
}

/// Fills a file with an image that has no data of its own.
pub(super) fn write_overlay(
    unfinished: &Unfinished,
    size: u64,
    cluster_size: u64,
    backing: Option<(String, Format)>,
) -> Result<(), ToolError> {
    let writing = Qcow2Writing {
        cluster_size,
        compress: false,
        backing,
    };
    let sink = Qcow2Sink::new(unfinished.file(), unfinished.target(), size, writing)?;
    sink.finish().map(|_| ())
}

/// How an image at `child` is to name the file `base`: by its bare name beside it, so that both can move together, else by its
/// whole path.
pub(super) fn name_from(child: &Path, base: &Path) -> Result<String, ToolError> {
    let whole = |path: &Path| {
        std::fs::canonicalize(path).map_err(|source| ToolError::from_host("find", path, source))
    };
    let base = whole(base)?;
    let folder = whole(folder_of(child))?;
    let name = match base.strip_prefix(&folder) {
        Ok(name) => name,
        Err(_) => &base,
    };
    let name = name
        .to_str()
        .map(ToOwned::to_owned)
        .filter(|name| name.len() <= 1023);
    name.ok_or_else(|| {
        ToolError::refused(
            &base,
            "has a name that cannot be kept in an image (it is too long, or not Unicode)",
            "rename it or its folder",
        )
    })
}
