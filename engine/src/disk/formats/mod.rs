//! Readers of every format that disk images come in, for the tools that copy, compare and check them.
//!
//! A [`Layer`] is one image by itself: a map of where it has data, zeros or nothing, and the data. A [`Chain`] puts an image and
//! those that it holds the differences to on top of one another. Everything is read from the file when it is asked for, in
//! bounded pieces and by any number of threads, because images are other people's: nothing in one decides how much memory is
//! taken or how long a search goes on.
//!
//! The published readers of these formats do not fit: vhd-core 0.1 reads the whole file into memory and knows no differencing
//! disks; vdi 0.2 takes the memory that the header asks for (16 GiB) and reads neither fixed images nor zero blocks;
//! vhdx-core 0.4 and vmdk-core 0.8 read soundly but by one thread, and cannot say what is empty, so that an empty disk of
//! terabytes takes minutes. A live qcow2 disk is imago's (`disk/qcow2`), which by design refuses images that can still be read.

pub(in crate::disk) mod chain;
mod container;
mod error;
pub mod ova;
mod ovf;
pub(in crate::disk) mod qcow2;
mod raw;
mod vdi;
mod vhd;
mod vhdx;
mod vmdk;

use std::fmt;
use std::fs::File;
use std::path::Path;

pub use error::FormatError;

pub(in crate::disk) use chain::{Chain, ChainOptions, Locking};
pub(in crate::disk) use container::Container;

use crate::definition::ImageFormat;

/// The formats that images can be read in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Byte for byte.
    Raw,
    /// QEMU's copy-on-write format, versions 2 and 3.
    Qcow2,
    /// VMware's: sparse, stream-optimised, flat and split.
    Vmdk,
    /// VirtualBox's.
    Vdi,
    /// Virtual PC's: fixed, dynamic and differencing.
    Vhd,
    /// Hyper-V's: fixed, dynamic and differencing.
    Vhdx,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Raw,
        Self::Qcow2,
        Self::Vmdk,
        Self::Vdi,
        Self::Vhd,
        Self::Vhdx,
    ];

    /// What the field calls it: `qcow2`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
            Self::Vmdk => "vmdk",
            Self::Vdi => "vdi",
            Self::Vhd => "vhd",
            Self::Vhdx => "vhdx",
        }
    }

    /// The format called `name`; QEMU's `vpc` is VHD.
    pub fn named(name: &str) -> Option<Self> {
        if name == "vpc" {
            return Some(Self::Vhd);
        }
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// The format as machines' definitions have it; `None` for those that no machine can use.
    pub fn as_image_format(self) -> Option<ImageFormat> {
        match self {
            Self::Raw => Some(ImageFormat::Raw),
            Self::Qcow2 => Some(ImageFormat::Qcow2),
            _ => None,
        }
    }

    /// The format of the file at `path` by its content: what is nothing else is raw. For files that a person has chosen; never for
    /// a disk that a guest writes to, which could begin with another format's header.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn detect(path: &Path) -> Result<Self, FormatError> {
        let file = super::open::open_file(path, false)?;
        let size = super::open::size(&file, path)?;
        Self::of(&file, size).map_err(|source| FormatError::host("read", path, source))
    }

    fn of(file: &File, size: u64) -> std::io::Result<Self> {
        use crate::media::{Foreign, MediumKind};
        Ok(match crate::media::disk_kind(file, size)? {
            MediumKind::Qcow2 => Self::Qcow2,
            MediumKind::Foreign(Foreign::Vmdk) => Self::Vmdk,
            MediumKind::Foreign(Foreign::Vdi) => Self::Vdi,
            MediumKind::Foreign(Foreign::Vhd) => Self::Vhd,
            MediumKind::Foreign(Foreign::Vhdx) => Self::Vhdx,
            _ => Self::Raw,
        })
    }
}

impl From<ImageFormat> for Format {
    fn from(format: ImageFormat) -> Self {
        match format {
            ImageFormat::Raw => Self::Raw,
            ImageFormat::Qcow2 => Self::Qcow2,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// What an image has in a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::disk) enum Kind {
    /// Data, which may be zeros all the same.
    Data,
    /// Zeros, without data.
    Zero,
    /// Nothing: what the image beneath has.
    Absent,
}

/// A range of one kind, from the place that was asked for on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::disk) struct Extent {
    pub(in crate::disk) kind: Kind,
    /// Bytes, 1 at least; the range may go on with the same kind.
    pub(in crate::disk) length: u64,
}

impl Extent {
    pub(in crate::disk) fn new(kind: Kind, length: u64) -> Self {
        Self { kind, length }
    }
}

/// One image by itself.
pub(in crate::disk) trait Layer: Send + Sync {
    /// The size of the disk in bytes.
    fn size(&self) -> u64;

    /// What the image has at `offset`, which lies within its size, and for how long.
    fn extent(&self, offset: u64) -> Result<Extent, FormatError>;

    /// Fills `data` from `offset` on, all of it within extents of the kind [`Kind::Data`].
    fn read(&self, offset: u64, data: &mut [u8]) -> Result<(), FormatError>;
}

/// The image beneath another, as that one names it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::disk) struct Parent {
    /// Names to try in turn: paths relative to the child's folder, or whole ones.
    pub(in crate::disk) names: Vec<String>,
    /// Its format, where the child says.
    pub(in crate::disk) format: Option<Format>,
    /// What its own identity must be.
    pub(in crate::disk) identity: Option<Identity>,
}

/// What tells a differencing image's parent from another image of the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::disk) enum Identity {
    /// A VMDK's content ID.
    Content(u32),
    /// A VHD's or VDI's UUID.
    Unique([u8; 16]),
    /// Any of the write GUIDs of a VHDX.
    AnyOf(Vec<[u8; 16]>),
}

impl Identity {
    /// Whether an image that says `own` of itself is the one that is meant.
    fn matches(&self, own: Option<&Self>) -> bool {
        match (self, own) {
            (Self::AnyOf(meant), Some(Self::Unique(own))) => meant.contains(own),
            (meant, Some(own)) => meant == own,
            (_, None) => true,
        }
    }
}

/// An image that was opened.
pub(in crate::disk) struct Opened {
    pub(in crate::disk) layer: Box<dyn Layer>,
    pub(in crate::disk) parent: Option<Parent>,
    pub(in crate::disk) identity: Option<Identity>,
    /// How the image keeps its data, in the format's words: "streamOptimized".
    pub(in crate::disk) variant: String,
}

impl Opened {
    pub(in crate::disk) fn alone(layer: impl Layer + 'static, variant: impl Into<String>) -> Self {
        Self {
            layer: Box::new(layer),
            parent: None,
            identity: None,
            variant: variant.into(),
        }
    }
}

/// How many entries of its tables a layer looks at for one extent, so that work can be stopped in between.
const LOOK_AHEAD: u32 = 1 << 16;

/// A place in a table in memory; what does not fit there is nowhere.
pub(in crate::disk) fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The checksum of a VHDX's structures, for tests that make damage which checksums do not show.
#[cfg(any(test, feature = "fuzzing"))]
pub(in crate::disk) fn vhdx_checksum(bytes: &[u8]) -> u32 {
    vhdx::crc32c(bytes)
}
