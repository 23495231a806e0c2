//! The machine's disks and optical drives.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Definition;

/// A disk or an optical drive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drive {
    /// What it is.
    pub kind: DriveKind,
    /// What connects it.
    #[serde(default)]
    pub bus: Bus,
    /// The image in it: relative to the machine's folder if it is in there, else absolute. An optical drive may be empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// How the image stores what the guest sees. Always said, never guessed from the content: a guest could otherwise write a
    /// qcow2 header onto its raw disk and read any file of the host as its backing file.
    #[serde(default)]
    pub format: ImageFormat,
    /// Whether the guest may only read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
    /// Its place in the boot order: 1 is tried first. A drive without a number is not booted from, unless none has a number: then
    /// the firmware tries disks before optical drives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<u32>,
    /// What stands between the guest's writes and the device that holds the image.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cache: CacheMode,
    /// What becomes of ranges that the guest discards.
    #[serde(default, skip_serializing_if = "is_default")]
    pub discard: DiscardMode,
    /// What happens when the image fails; without a choice, see [`Drive::error_policy`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_error: Option<ErrorPolicy>,
    /// The files outside the machine's folder that the image may take data from because its header names them (backing files,
    /// external data files), as whole paths: those the person has agreed to. Files in the machine's own folder need no consent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backing: Vec<PathBuf>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Drive {
    /// A hard disk on `file`.
    pub fn disk(file: PathBuf, format: ImageFormat) -> Self {
        Self {
            kind: DriveKind::Disk,
            bus: Bus::Ide,
            file: Some(file),
            format,
            read_only: false,
            boot: None,
            cache: CacheMode::default(),
            discard: DiscardMode::default(),
            on_error: None,
            backing: Vec::new(),
        }
    }

    /// An optical drive with `file` in it, or empty.
    pub fn optical(file: Option<PathBuf>) -> Self {
        Self {
            kind: DriveKind::Optical,
            bus: Bus::Ide,
            file,
            format: ImageFormat::Raw,
            read_only: true,
            boot: None,
            cache: CacheMode::default(),
            discard: DiscardMode::default(),
            on_error: None,
            backing: Vec::new(),
        }
    }

    /// What happens when the image fails: the machine pauses for a disk, whose data would otherwise be in danger, and the guest
    /// hears of it for an optical drive, where media with scratches are everyday things.
    pub fn error_policy(&self) -> ErrorPolicy {
        self.on_error.unwrap_or(match self.kind {
            DriveKind::Disk => ErrorPolicy::Pause,
            DriveKind::Optical => ErrorPolicy::Report,
        })
    }
}

impl Definition {
    /// What a person calls each drive, in order: "hard disk 1", "optical drive 1", "hard disk 2".
    pub fn drive_names(&self) -> Vec<String> {
        let (mut disks, mut opticals) = (0, 0);
        self.drives
            .iter()
            .map(|drive| {
                let (count, kind) = match drive.kind {
                    DriveKind::Disk => (&mut disks, "hard disk"),
                    DriveKind::Optical => (&mut opticals, "optical drive"),
                };
                *count += 1;
                format!("{kind} {count}")
            })
            .collect()
    }
}

/// What a drive is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DriveKind {
    /// A hard disk.
    Disk,
    /// A CD or DVD drive.
    Optical,
}

/// What connects a drive. A bus has a number of places: drives take them in the order they are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bus {
    /// IDE (ATA and ATAPI): four places, generation 1 only.
    #[default]
    Ide,
    /// SATA (AHCI): six places, generation 2 only.
    Sata,
    /// Virtio: disks only, for guests that have its driver; the fastest.
    Virtio,
}

/// How an image stores what the guest sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageFormat {
    /// Byte for byte.
    #[default]
    Raw,
    /// QEMU's copy-on-write format, version 2 or 3.
    Qcow2,
}

/// What stands between the guest's writes and the device that holds the image; QEMU's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CacheMode {
    /// The host's page cache. What the guest flushes is on the device; what it does not may be lost in a crash of the host.
    #[default]
    Writeback,
    /// The host's page cache for reads; each write is on the device before the guest hears that it is done.
    Writethrough,
    /// Past the host's page cache (O_DIRECT), where the file system can. What the guest flushes is on the device.
    None,
    /// The host's page cache, and flushes are ignored: a crash of the host may destroy the whole disk. For disks that can be lost.
    Unsafe,
}

/// What becomes of ranges that the guest discards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DiscardMode {
    /// The host gets their space back.
    #[default]
    Unmap,
    /// Nothing: the image keeps their space.
    Ignore,
}

/// What happens when an image cannot do what the guest asked of its drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ErrorPolicy {
    /// The machine pauses and says why; when it is resumed the request is made again.
    Pause,
    /// The guest hears that its drive failed. A full disk pauses the machine all the same: guests take that for a broken drive.
    Report,
}
