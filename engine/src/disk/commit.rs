//! Writing what an overlay holds into the image that it is built on, and building an overlay on another image.
//!
//! While data is written into the base, whoever reads through the overlay sees the same as before: it has of its own everything
//! that is written. So the work may be cut anywhere and done again.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::lock::{self, Access};
use super::open::{open_file, size};
use super::qcow2::{Extent, Header, Layer};
use super::tools::{Job, Phase, ToolError};
use super::{DiskOptions, OpenError};
use crate::definition::ImageFormat;

/// Bytes that are moved at a time.
const PIECE: usize = 2 << 20;

/// Writes what the qcow2 image `overlay` holds of its own into `base`, which is opened with `options`. The base grows if the
/// overlay is larger. All of it is on the device when this returns.
///
/// # Errors
/// When one of them cannot be opened or is in use, the job is cancelled, or the host fails. The overlay is never changed.
pub(crate) fn commit_overlay(
    overlay: &Path,
    base: &Path,
    options: &DiskOptions,
    job: &Job<'_>,
) -> Result<(), ToolError> {
    let above = Layer::open(overlay)?;
    let below = options.open(base)?;
    let size = above.size();
    if below.size() < size {
        below.resize(size)?;
    }
    job.begin(Phase::Copying, size)?;
    let mut piece = vec![0; PIECE];
    let mut offset = 0;
    while offset < size {
        let (extent, length) = above.extent(offset)?;
        let end = offset.saturating_add(length).min(size);
        match extent {
            Extent::Nothing => job.advance(end - offset)?,
            Extent::Zero => {
                below.write_zeroes(offset, end - offset, true)?;
                job.advance(end - offset)?;
            }
            Extent::Data => {
                let mut at = offset;
                while at < end {
                    let wanted = usize::try_from(end - at).unwrap_or(PIECE).min(PIECE);
                    let data = piece.get_mut(..wanted).unwrap_or_default();
                    above.read(at, data)?;
                    below.write_at(at, data)?;
                    at = at.saturating_add(wanted as u64);
                    job.advance(wanted as u64)?;
                }
            }
        }
        offset = end;
    }
    job.begin(Phase::Storing, 0)?;
    below.flush()?;
    Ok(())
}

/// The header extension that says how the backing file stores what the guest sees.
const BACKING_FORMAT: u32 = 0xe279_2aca;
/// What the device writes all or nothing of.
const SECTOR: usize = 512;

/// Has the qcow2 image `overlay`, which names a backing file and its format, name another one of the same content: `name`, which
/// has `format`. After a crash it names the one or the other.
///
/// # Errors
/// When it cannot be opened or is in use, its header has no room, or the host fails.
pub(crate) fn set_backing(
    overlay: &Path,
    name: &str,
    format: ImageFormat,
) -> Result<(), ToolError> {
    let host = |source| ToolError::from_host("write to", overlay, source);
    let refused = || {
        ToolError::refused(
            overlay,
            "has no room in its header for another backing file",
            "convert it with `guesthouse disk convert`",
        )
    };
    let file = open_file(overlay, true)?;
    let length = size(&file, overlay)?;
    let Some(_lock) = lock::acquire(&file, Access::Write).map_err(host)? else {
        return Err(OpenError::InUse {
            file: overlay.to_owned(),
        }
        .into());
    };
    let header = Header::read(&file, length).map_err(|error| error.at(overlay))?;
    let room = usize::try_from(header.cluster_size.min(length)).unwrap_or(0);
    let mut content = vec![0; room];
    file.read_exact_at(&mut content, 0).map_err(host)?;
    let place = extension(&content).ok_or_else(refused)?;
    // Beyond the name that it has, so that this one stays until the first sector names the other.
    let (old, old_length) = (number(&content, 12), number(&content, 16));
    let free = (old + old_length).next_multiple_of(8).max(SECTOR);
    let content_end = free.checked_add(name.len()).filter(|end| *end <= room);
    if content_end.is_none() || place + 16 > SECTOR || number(&content, 8) != 0 {
        return Err(refused());
    }
    file.write_all_at(name.as_bytes(), free as u64)
        .map_err(host)?;
    file.sync_all().map_err(host)?;
    let word: &[u8] = match format {
        ImageFormat::Raw => b"raw",
        ImageFormat::Qcow2 => b"qcow2",
    };
    let mut padded = [0; 8];
    for (to, from) in padded.iter_mut().zip(word) {
        *to = *from;
    }
    let short = |number: usize| u32::try_from(number).unwrap_or(0).to_be_bytes();
    for (at, bytes) in [
        (8, &(free as u64).to_be_bytes()[..]),
        (16, &short(name.len())),
        (place + 4, &short(word.len())),
        (place + 8, &padded),
    ] {
        if let Some(field) = content.get_mut(at..at + bytes.len()) {
            field.copy_from_slice(bytes);
        }
    }
    write_first_sector(&file, &content).map_err(host)
}

fn write_first_sector(file: &File, content: &[u8]) -> std::io::Result<()> {
    file.write_all_at(content.get(..SECTOR).unwrap_or(content), 0)?;
    file.sync_all()
}

/// Four bytes of a header, as a number.
fn number(content: &[u8], at: usize) -> usize {
    let bytes = content.get(at..).and_then(|rest| rest.first_chunk::<4>());
    bytes.map_or(0, |bytes| {
        usize::try_from(u32::from_be_bytes(*bytes)).unwrap_or(0)
    })
}

/// Where the extension with the backing file's format is, if there is one that has room for every format's name.
fn extension(content: &[u8]) -> Option<usize> {
    let mut at = match number(content, 4) {
        2 => 72,
        _ => number(content, 100),
    };
    while at + 8 <= content.len() {
        let (kind, length) = (number(content, at), number(content, at + 4));
        if kind == 0 {
            return None;
        }
        if u32::try_from(kind) == Ok(BACKING_FORMAT) {
            return (1..=8).contains(&length).then_some(at);
        }
        at = at.checked_add(8)?.checked_add(length.next_multiple_of(8))?;
    }
    None
}
