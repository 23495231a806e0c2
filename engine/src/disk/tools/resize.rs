//! Growing, shrinking and compacting a disk where it is.

use std::os::unix::fs::FileExt;
use std::path::Path;

use super::super::check::{Tables, end_of_partitions, open_writable, put, renew};
use super::super::formats::qcow2::{Header, bits};
use super::super::formats::{Chain, ChainOptions, Container, Format, Kind, Locking, index};
use super::super::{Backing, MAX_DISK_SIZE, MIN_DISK_SIZE};
use super::convert::{check_limit, verify};
use super::copy::{copy, is_zero};
use super::sinks::{Qcow2Sink, Qcow2Writing, RawSink};
use super::{Job, Phase, ToolError, Unfinished};

/// Makes the disk in the image at `path` `size` bytes large. What is added reads as zeros. A disk is made smaller only if there is
/// nothing but zeros behind its new end and no partition reaches beyond it, or with `force`: what is there is then lost.
///
/// # Errors
/// When the size is out of range, something would be lost, the image is in use or cannot be resized, or the host refuses; it is
/// then as it was.
pub fn resize(
    path: &Path,
    format: Format,
    backing: &Backing,
    size: u64,
    force: bool,
    job: &Job<'_>,
) -> Result<(), ToolError> {
    if !(MIN_DISK_SIZE..=MAX_DISK_SIZE).contains(&size) || !size.is_multiple_of(512) {
        return Err(super::super::CreateError::Size { size }.into());
    }
    let (file, container) = open_writable(path)?;
    let host = |source| ToolError::from_host("resize", path, source);
    let before = open_held(path, format, None)?.size();
    if size == before {
        return Ok(());
    }
    if size < before && !force {
        guard(&open_held(path, format, Some(backing))?, path, size, job)?;
    }
    match format {
        Format::Raw if !file.metadata().map_err(host)?.is_file() => Err(ToolError::refused(
            path,
            "is a device, whose size is its own",
            "resize the volume or the partition by its own tool",
        )),
        Format::Raw => {
            check_limit(path, size)?;
            job.begin(Phase::Storing, 0)?;
            file.set_len(size).map_err(host)?;
            file.sync_all().map_err(host)
        }
        Format::Qcow2 => {
            let header = Header::read(&container)?;
            header.check_readable(&container)?;
            check_whole(path, &header, "resized")?;
            if size > header.size {
                grow(&file, &container, header, size, job)
            } else {
                rewrite(path, Some(size), false, job)
            }
        }
        other => Err(ToolError::refused(
            path,
            format!("is a {other} image, which cannot be resized"),
            "convert it to qcow2 first",
        )),
    }
}

/// The image at `path`, which the caller has locked; without those beneath it where none are allowed.
pub(super) fn open_held(
    path: &Path,
    format: Format,
    backing: Option<&Backing>,
) -> Result<Chain, ToolError> {
    let options = ChainOptions {
        format: Some(format),
        backing: backing.cloned().unwrap_or_default(),
        locking: Locking::Beneath,
        alone: backing.is_none(),
        ..ChainOptions::default()
    };
    Ok(Chain::open(path, &options)?)
}

/// Refuses what an image must not be when its tables are changed.
fn check_whole(path: &Path, header: &Header, action: &str) -> Result<(), ToolError> {
    let refuse = |reason: &str, remedy: &str| {
        Err(ToolError::refused(
            path,
            format!("{reason} and cannot be {action}"),
            remedy,
        ))
    };
    if header.incompatible & (bits::DIRTY | bits::CORRUPT) != 0 {
        return refuse(
            "was not closed properly or is marked as damaged",
            "repair it first (guesthouse disk repair)",
        );
    }
    if header.autoclear & bits::BITMAPS != 0 {
        return refuse(
            "keeps bitmaps of changes, for a backup program,",
            "remove them by that program, or copy the image with \"guesthouse disk convert\"",
        );
    }
    if header.data_file.is_some() {
        return refuse(
            "keeps its data in another file",
            "copy it with \"guesthouse disk convert\"",
        );
    }
    Ok(())
}

/// Refuses to lose something behind byte `size`.
fn guard(chain: &Chain, path: &Path, size: u64, job: &Job<'_>) -> Result<(), ToolError> {
    let mut start = vec![0; 1024];
    chain.read(0, &mut start)?;
    if let Some(end) = end_of_partitions(&start)
        && end > size
    {
        return Err(ToolError::refused(
            path,
            format!("has partitions up to byte {end}, which would be cut off at {size}"),
            "make them smaller in the guest first, or cut them off with --force",
        ));
    }
    job.begin(Phase::Checking, chain.size() - size)?;
    let mut window = vec![0; 1 << 20];
    let mut at = size;
    while let Some(extent) = chain.extent(at)? {
        let mut length = extent.length;
        if extent.kind == Kind::Data {
            length = length.min(window.len() as u64);
            let part = window.get_mut(..index(length)).unwrap_or_default();
            chain.read(at, part)?;
            if !is_zero(part) {
                return Err(ToolError::refused(
                    path,
                    format!("has data behind byte {size}, near {at}, which would be lost"),
                    "choose a larger size, or lose it with --force",
                ));
            }
        }
        at += length;
        job.advance(length)?;
    }
    Ok(())
}

/// Makes a qcow2 image's disk larger: by its header alone where the L1 table's clusters have room, else with a new table behind the
/// end of the file.
fn grow(
    file: &std::fs::File,
    container: &Container,
    header: Header,
    size: u64,
    job: &Job<'_>,
) -> Result<(), ToolError> {
    let path = container.path();
    let host = |source| ToolError::from_host("resize", path, source);
    if header.version == 2 && header.snapshots != 0 {
        return Err(ToolError::refused(
            path,
            "has snapshots whose disks would grow with it: they are of the format's version 2",
            "copy it with \"guesthouse disk convert\"",
        ));
    }
    let entries = size.div_ceil(header.l2_covers()).max(header.l1_entries);
    if entries * 8 > 32 << 20 {
        return Err(ToolError::refused(
            path,
            format!(
                "cannot hold a disk of {size} bytes in clusters of {}",
                header.cluster_size()
            ),
            "copy it with larger clusters (guesthouse disk convert --cluster-size 2M)",
        ));
    }
    let set = |bytes: &mut [u8], l1: Option<u64>| {
        put(bytes, 24, &size.to_be_bytes());
        put(
            bytes,
            36,
            &u32::try_from(entries).unwrap_or(u32::MAX).to_be_bytes(),
        );
        if let Some(offset) = l1 {
            put(bytes, 40, &offset.to_be_bytes());
        }
    };
    let old = header.l1_entries * 8;
    let room = old.next_multiple_of(header.cluster_size());
    if entries * 8 <= room && header.l1_offset.saturating_add(room) <= container.length() {
        let fresh = vec![0; index(entries * 8 - old)];
        file.write_all_at(&fresh, header.l1_offset + old)
            .map_err(host)?;
        file.sync_all().map_err(host)?;
        let mut bytes = vec![0; 72];
        file.read_exact_at(&mut bytes, 0).map_err(host)?;
        set(&mut bytes, None);
        file.write_all_at(&bytes, 0).map_err(host)?;
        return file.sync_all().map_err(host);
    }
    let damaged = !Tables::walk(container.clone(), job)?.report.is_clean();
    if damaged {
        return Err(ToolError::refused(
            path,
            "is damaged, or has space that is not accounted for",
            "repair it first (guesthouse disk repair)",
        ));
    }
    let mut l1 = super::super::check::read_l1(container, header.l1_offset, header.l1_entries)?;
    l1.resize(index(entries), 0);
    let offset = container.length().next_multiple_of(header.cluster_size());
    let bytes: Vec<u8> = l1.iter().flat_map(|entry| entry.to_be_bytes()).collect();
    file.write_all_at(&bytes, offset).map_err(host)?;
    let end = (offset + bytes.len() as u64).next_multiple_of(header.cluster_size());
    file.set_len(end).map_err(host)?;
    let changed = Header {
        size,
        l1_offset: offset,
        l1_entries: entries,
        ..header
    };
    let mut tables = Tables::walk_with(container.renewed()?, changed, l1, job)?;
    renew(file, path, &mut tables, |bytes| set(bytes, Some(offset)))
}

/// Gives the space that a disk has taken and does not need any more back to the host: zeros and what nothing refers to. The image
/// is copied, the copy compared, and put in the image's place.
///
/// # Errors
/// When the image is in use or has what a copy would lose, there is no space for the copy, or the host refuses; it is then as it was.
pub fn compact(
    path: &Path,
    format: Format,
    compress: bool,
    job: &Job<'_>,
) -> Result<(), ToolError> {
    let (_file, container) = open_writable(path)?;
    match format {
        Format::Raw => {
            let chain = open_held(path, format, None)?;
            let unfinished = Unfinished::replacing(path)?;
            job.begin(Phase::Copying, chain.size())?;
            let sink = RawSink::new(unfinished.file(), path, chain.size())?;
            copy(&chain, &sink, job)?;
            verify(&chain, &unfinished, format, job)?;
            job.begin(Phase::Storing, 0)?;
            unfinished.finish()
        }
        Format::Qcow2 => {
            let header = Header::read(&container)?;
            header.check_readable(&container)?;
            check_whole(path, &header, "compacted")?;
            rewrite(path, None, compress, job)
        }
        other => Err(ToolError::refused(
            path,
            format!("is a {other} image, which cannot be compacted"),
            "convert it to qcow2, which leaves out what is empty",
        )),
    }
}

/// Writes the qcow2 image at `path`, which the caller has locked, anew, with a disk of `size` bytes.
fn rewrite(path: &Path, size: Option<u64>, compress: bool, job: &Job<'_>) -> Result<(), ToolError> {
    let container = Container::open(path, false)?;
    let header = Header::read(&container)?;
    if header.snapshots != 0 {
        return Err(ToolError::refused(
            path,
            "holds internal snapshots, which a copy would lose",
            "delete them first, or copy the image with \"guesthouse disk convert\"",
        ));
    }
    let overlay = header.backing_file.is_some();
    if overlay && header.extended_l2() {
        return Err(ToolError::refused(
            path,
            "has subclusters over another image, which cannot be written anew",
            "copy it with \"guesthouse disk convert\", which joins both",
        ));
    }
    let backing = match (&header.backing_file, &header.backing_format) {
        (Some(name), format) => {
            let format = match format.as_deref().and_then(Format::named) {
                Some(format) => format,
                None => Format::detect(&super::super::formats::chain::beside(path, name))?,
            };
            Some((name.clone(), format))
        }
        (None, _) => None,
    };
    let nothing = Backing::default();
    let mut chain = open_held(path, Format::Qcow2, (!overlay).then_some(&nothing))?;
    if let Some(size) = size {
        chain = chain.resized(size);
    }
    let unfinished = Unfinished::replacing(path)?;
    job.begin(Phase::Copying, chain.size())?;
    let writing = Qcow2Writing {
        cluster_size: header.cluster_size(),
        compress,
        backing,
    };
    let sink = Qcow2Sink::new(unfinished.file(), path, chain.size(), writing)?;
    copy(&chain, &sink, job)?;
    sink.finish()?;
    super::convert::verify_layer(&chain, &unfinished, overlay, job)?;
    job.begin(Phase::Storing, 0)?;
    unfinished.finish()
}
