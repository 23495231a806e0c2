//! What the wizard wants to know of a file that a person chose.

use std::path::{Path, PathBuf};

use guesthouse_engine::disk::formats::Format;
use guesthouse_engine::disk::formats::ova::Appliance;
use guesthouse_engine::disk::tools::outline;
use guesthouse_engine::library::Suggestion;
use guesthouse_engine::media::{self, Foreign, Medium, MediumKind};

use super::{Host, operating_systems};
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
    /// A hard disk's image in a format that a machine can only have a copy of.
    OtherDisk,
    /// A whole machine that was packed up.
    Appliance,
}

impl Role {
    /// Whether it is a hard disk's image.
    pub fn is_disk(self) -> bool {
        matches!(self, Self::RawDisk | Self::Qcow2Disk | Self::OtherDisk)
    }
}

/// What was found in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What it is as a medium.
    pub medium: Medium,
    /// The machine in it, and what it is as one of this host's.
    pub packed: Option<(Appliance, Suggestion)>,
    /// Bytes of the disk in it, where it is a disk's image.
    pub disk_size: Option<u64>,
    /// The files that it takes data from, because it holds only what differs from them.
    pub chain: Vec<PathBuf>,
}

impl From<Medium> for Found {
    fn from(medium: Medium) -> Self {
        Self {
            medium,
            packed: None,
            disk_size: None,
            chain: Vec::new(),
        }
    }
}

impl Found {
    /// What it is to a machine.
    pub fn role(&self) -> Role {
        if self.packed.is_some() {
            Role::Appliance
        } else {
            role(&self.medium)
        }
    }
}

/// What `medium` is to a machine. What nobody recognises is only ever read.
pub fn role(medium: &Medium) -> Role {
    match medium.kind {
        MediumKind::RawDisk(_) => Role::RawDisk,
        MediumKind::Qcow2 => Role::Qcow2Disk,
        MediumKind::Foreign(Foreign::Vmdk | Foreign::Vdi | Foreign::Vhd | Foreign::Vhdx) => {
            Role::OtherDisk
        }
        MediumKind::Optical | MediumKind::Foreign(_) | MediumKind::Unknown => Role::Optical,
    }
}

/// The format of the image that `medium` is.
pub fn format_of(medium: &Medium) -> Format {
    match medium.kind {
        MediumKind::Qcow2 => Format::Qcow2,
        MediumKind::Foreign(Foreign::Vmdk) => Format::Vmdk,
        MediumKind::Foreign(Foreign::Vdi) => Format::Vdi,
        MediumKind::Foreign(Foreign::Vhd) => Format::Vhd,
        MediumKind::Foreign(Foreign::Vhdx) => Format::Vhdx,
        _ => Format::Raw,
    }
}

/// Reads what `path` holds. It may last, on a network's file system or at the first call, so this is for a worker.
///
/// # Errors
/// Why it cannot be used, as a sentence.
pub fn inspect(path: &Path) -> Result<Box<Found>, String> {
    let mut found = Found::from(*recognise(path)?);
    let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
    if found.medium.kind == MediumKind::Foreign(Foreign::Tar) || ending == "ovf" {
        let appliance = Appliance::read(path).map_err(|error| text::sentence(&error))?;
        let host = Host::inspect().map_err(|error| text::sentence(&error))?;
        let suggestion = Suggestion::new(&appliance, &host, operating_systems());
        found.medium.operating_system.clone_from(&suggestion.system);
        found.packed = Some((appliance, suggestion));
    } else if found.role().is_disk() {
        let outline = outline(path).map_err(|error| text::sentence(&error))?;
        found.disk_size = Some(outline.virtual_size);
        found.chain = outline.chain;
    }
    Ok(Box::new(found))
}

/// Reads what `path` holds, without what it may be built on.
///
/// # Errors
/// Why it cannot be used, as a sentence.
pub fn recognise(path: &Path) -> Result<Box<Medium>, String> {
    let medium = media::inspect_path(path).map_err(|error| text::sentence(&error))?;
    Ok(Box::new(medium))
}
