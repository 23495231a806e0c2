//! What the wizard wants to know of a file that a person chose.

use std::path::Path;

use guesthouse_engine::disk::{self, OpenError};
use guesthouse_engine::media::{self, Medium, MediumKind};

use crate::text;

/// What a file is to a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Something for the optical drive.
    Optical,
    /// A hard disk's image, byte for byte.
    RawDisk,
    /// A hard disk's image in QEMU's format.
    Qcow2Disk,
}

/// What `medium` is to a machine. What nobody recognises is only ever read.
pub fn role(medium: &Medium) -> Role {
    match medium.kind {
        MediumKind::RawDisk(_) => Role::RawDisk,
        MediumKind::Qcow2 => Role::Qcow2Disk,
        MediumKind::Optical | MediumKind::Foreign(_) | MediumKind::Unknown => Role::Optical,
    }
}

/// Reads what `path` holds. It may last, on a network's file system or at the first call, so this is for a worker.
///
/// # Errors
/// Why it cannot be used, as a sentence.
pub fn inspect(path: &Path) -> Result<Box<Medium>, String> {
    let medium = recognise(path)?;
    if medium.kind == MediumKind::Qcow2 {
        let image = disk::inspect(path).map_err(|error| text::sentence(&error))?;
        if let Some(backing) = image.backing_file {
            let file = path.to_owned();
            let other = backing.into();
            return Err(text::sentence(&OpenError::NotAgreed { file, other }));
        }
    }
    Ok(medium)
}

/// Reads what `path` holds, without what it may be built on.
///
/// # Errors
/// Why it cannot be used, as a sentence.
pub fn recognise(path: &Path) -> Result<Box<Medium>, String> {
    let medium = media::inspect_path(path).map_err(|error| text::sentence(&error))?;
    Ok(Box::new(medium))
}
