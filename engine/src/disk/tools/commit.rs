//! Writing what an image holds into the image that it is based on.
//!
//! While data is written into the base, whoever reads through the overlay sees the same as before: it has of its own everything that
//! is written. So the work may be cut anywhere and done again.

use std::path::{Path, PathBuf};

use super::super::check::open_writable;
use super::super::formats::{Chain, ChainOptions, Container, Format, Kind, Locking, index};
use super::super::{Backing, DiskOptions, Image};
use super::create::write_overlay;
use super::rebase::header_of;
use super::resize::open_held;
use super::{Job, Phase, ToolError, Unfinished};

/// Bytes that are moved at a time.
const PIECE: usize = 2 << 20;
/// Bytes that are made zeros at a time, so that the work can be cancelled.
const ZEROS: u64 = 64 << 20;

/// Writes what `top`, opened alone, holds into `image`, which grows if it is smaller. All of it is on the device when this returns.
fn write_into(top: &Chain, image: &dyn Image, job: &Job<'_>) -> Result<(), ToolError> {
    if top.size() > image.size() {
        image.resize(top.size())?;
    }
    job.begin(Phase::Copying, top.size())?;
    let mut piece = vec![0; PIECE];
    let mut at = 0;
    while let Some(extent) = top.extent(at)? {
        let mut length = extent.length;
        match extent.kind {
            Kind::Absent => {}
            Kind::Zero => {
                length = length.min(ZEROS);
                image.write_zeroes(at, length, true)?;
            }
            Kind::Data => {
                length = length.min(piece.len() as u64);
                let part = piece.get_mut(..index(length)).unwrap_or_default();
                top.read(at, part)?;
                image.write_at(at, part)?;
            }
        }
        at += length;
        job.advance(length)?;
    }
    job.begin(Phase::Storing, 0)?;
    Ok(image.flush()?)
}

/// Writes what the qcow2 image `overlay` holds of its own into `base`, which is opened with `options`.
///
/// # Errors
/// When one of them cannot be opened or is in use, the job is cancelled, or the host fails. The overlay is never changed.
pub(crate) fn commit_overlay(
    overlay: &Path,
    base: &Path,
    options: &DiskOptions,
    job: &Job<'_>,
) -> Result<(), ToolError> {
    let _held = Container::open(overlay, true)?;
    let above = open_held(overlay, Format::Qcow2, None)?;
    write_into(&above, &*options.open(base)?, job)
}

/// Writes what the qcow2 image at `path` holds into its backing file, and empties it, or with `remove` removes it. Nothing else may
/// be based on the backing file.
///
/// The backing file is on the device, whole, before the image that hides it is touched: cut short at any moment, the disk is what it
/// was, and the work can be done again.
///
/// # Errors
/// When one of the images is in use or cannot be written to, or the job is cancelled; the disk is then what it was.
pub fn commit(
    path: &Path,
    backing: &Backing,
    remove: bool,
    job: &Job<'_>,
) -> Result<PathBuf, ToolError> {
    let (_file, container) = open_writable(path)?;
    let header = header_of(path, &container)?;
    if header.snapshots != 0 {
        return Err(ToolError::refused(
            path,
            "holds internal snapshots, which would change with its backing file",
            "delete them first",
        ));
    }
    let options = ChainOptions {
        format: Some(Format::Qcow2),
        backing: backing.clone(),
        locking: Locking::None,
        ..ChainOptions::default()
    };
    let (base, format) = {
        let chain = Chain::open(path, &options)?;
        let Some(link) = chain.links().get(1) else {
            return Err(ToolError::refused(
                path,
                "is based on no other image",
                "nothing needs to be done",
            ));
        };
        (link.path.clone(), link.format)
    };
    let Some(writable) = format.as_image_format() else {
        return Err(ToolError::refused(
            &base,
            format!("is a {format} image, which cannot be written to"),
            "join both in a new image with \"guesthouse disk convert\"",
        ));
    };
    let top = open_held(path, Format::Qcow2, None)?;
    let image = DiskOptions {
        backing: backing.clone(),
        ..DiskOptions::new(writable)
    }
    .open(&base)?;
    write_into(&top, &*image, job)?;
    drop(image);
    if remove {
        std::fs::remove_file(path)
            .map_err(|source| ToolError::from_host("remove", path, source))?;
        return Ok(base);
    }
    let name = header.backing_file.clone().unwrap_or_default();
    let unfinished = Unfinished::replacing(path)?;
    write_overlay(
        &unfinished,
        header.size,
        header.cluster_size(),
        Some((name, format)),
    )?;
    unfinished.finish()?;
    Ok(base)
}
