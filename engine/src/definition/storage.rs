//! The machine's disks and optical drives.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

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
        }
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

/// What connects a drive. An IDE bus has four places: drives take them in the order they are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bus {
    /// IDE (ATA and ATAPI).
    #[default]
    Ide,
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
