//! Copies of a disk in another format, or the same anew.

use std::path::{Path, PathBuf};

use super::super::formats::ova::{Appliance, ApplianceDisk};
use super::super::formats::{Chain, ChainOptions, Format, Locking};
use super::super::{Backing, Space};
use super::copy::{compare, copy};
use super::sinks::{Qcow2Sink, Qcow2Writing, RawSink, VmdkSink};
use super::{Job, Phase, ToolError, Unfinished};
use crate::definition::Drive;

/// The image that is copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Where it is.
    pub file: PathBuf,
    /// What it is; by its content where nothing is said.
    pub format: Option<Format>,
    /// The other files that it may take data from.
    pub backing: Backing,
    /// One of its internal snapshots, by name or number, instead of the present state.
    pub snapshot: Option<String>,
}

impl Source {
    /// The image at `file`, which may take data from other files in its folder.
    pub fn new(file: &Path) -> Self {
        Self {
            file: file.to_owned(),
            format: None,
            backing: Backing {
                files: Vec::new(),
                folders: vec![folder_of(file).to_owned()],
            },
            snapshot: None,
        }
    }

    /// The image in `drive` of a machine in `folder`, which may take data from that folder and from what the person agreed to; none
    /// of an empty drive.
    pub fn of_drive(drive: &Drive, folder: &Path) -> Option<Self> {
        Some(Self {
            file: drive.path(folder)?,
            format: Some(drive.format.into()),
            backing: Backing {
                files: drive.backing.clone(),
                folders: vec![folder.to_owned()],
            },
            snapshot: None,
        })
    }

    pub(super) fn open(&self) -> Result<Chain, ToolError> {
        let options = ChainOptions {
            format: self.format,
            backing: self.backing.clone(),
            snapshot: self.snapshot.clone(),
            ..ChainOptions::default()
        };
        Ok(Chain::open(&self.file, &options)?)
    }
}

/// The folder that a file is in.
pub(super) fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// What is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetFormat {
    /// Byte for byte, with holes for zeros.
    Raw,
    /// qcow2 version 3.
    Qcow2 {
        /// Bytes of a cluster: a power of two from 512 to 2 MiB; 64 KiB suits most.
        cluster_size: u64,
        /// Smaller, slower to read, and written to as if it were not.
        compress: bool,
    },
    /// VMware's for exchange: compressed, and read only until it is converted.
    VmdkStreamOptimised,
}

impl TargetFormat {
    /// qcow2 with clusters of 64 KiB, not compressed.
    pub const QCOW2: Self = Self::Qcow2 {
        cluster_size: 64 << 10,
        compress: false,
    };

    fn format(self) -> Format {
        match self {
            Self::Raw => Format::Raw,
            Self::Qcow2 { .. } => Format::Qcow2,
            Self::VmdkStreamOptimised => Format::Vmdk,
        }
    }
}

/// Copies the disk in `source`, with all that it is based on, to the new image `target`; with `verify` the copy is read again and
/// compared before it gets its name.
///
/// # Errors
/// When the source cannot be read, the target exists or cannot be written, or the job is cancelled; nothing is left behind.
pub fn convert(
    source: &Source,
    target: &Path,
    format: TargetFormat,
    verify: bool,
    job: &Job<'_>,
) -> Result<(), ToolError> {
    let unfinished = Unfinished::new(target)?;
    convert_into(source, unfinished, format, verify, job)
}

/// As [`convert`], to a file that was begun.
///
/// # Errors
/// As [`convert`].
pub fn convert_into(
    source: &Source,
    unfinished: Unfinished,
    format: TargetFormat,
    verify: bool,
    job: &Job<'_>,
) -> Result<(), ToolError> {
    let chain = source.open()?;
    convert_chain(&chain, unfinished, format, verify, job)
}

/// Copies a disk of an OVA or OVF file to a file that was begun; with `verify` as [`convert`].
///
/// # Errors
/// As [`convert`].
pub fn import_disk(
    appliance: &Appliance,
    disk: &ApplianceDisk,
    unfinished: Unfinished,
    format: TargetFormat,
    verify: bool,
    job: &Job<'_>,
) -> Result<(), ToolError> {
    let chain = appliance.open(disk)?;
    convert_chain(&chain, unfinished, format, verify, job)
}

fn convert_chain(
    chain: &Chain,
    unfinished: Unfinished,
    format: TargetFormat,
    verify: bool,
    job: &Job<'_>,
) -> Result<(), ToolError> {
    if format == TargetFormat::Raw {
        check_limit(unfinished.target(), chain.size())?;
    }
    write(chain, &unfinished, format, job)?;
    if verify {
        self::verify(chain, &unfinished, format.format(), job)?;
    }
    job.begin(Phase::Storing, 0)?;
    unfinished.finish()
}

/// Refuses a file that is larger than the file system's can be.
pub(super) fn check_limit(target: &Path, size: u64) -> Result<(), ToolError> {
    let space = Space::of(folder_of(target))
        .map_err(|source| ToolError::from_host("create", target, source))?;
    match space.largest_file {
        Some(limit) if size > limit => Err(super::super::CreateError::FileLimit {
            file: target.to_owned(),
            size,
            limit,
        }
        .into()),
        _ => Ok(()),
    }
}

/// Fills a file with the content of `chain`.
pub(super) fn write(
    chain: &Chain,
    unfinished: &Unfinished,
    format: TargetFormat,
    job: &Job<'_>,
) -> Result<(), ToolError> {
    let (file, target) = (unfinished.file(), unfinished.target());
    job.begin(Phase::Copying, chain.size())?;
    match format {
        TargetFormat::Raw => copy(chain, &RawSink::new(file, target, chain.size())?, job),
        TargetFormat::Qcow2 {
            cluster_size,
            compress,
        } => {
            let writing = Qcow2Writing {
                cluster_size,
                compress,
                backing: None,
            };
            let sink = Qcow2Sink::new(file, target, chain.size(), writing)?;
            copy(chain, &sink, job)?;
            sink.finish().map(|_| ())
        }
        TargetFormat::VmdkStreamOptimised => {
            let sink = VmdkSink::new(file, target, 0, chain.size());
            copy(chain, &sink, job)?;
            let name = target.file_name().unwrap_or_default().to_string_lossy();
            sink.finish(&name, content_id()).map(|_| ())
        }
    }
}

/// A number that tells one content from another.
pub(super) fn content_id() -> u32 {
    let (high, _, _, _) = uuid::Uuid::new_v4().as_fields();
    // All ones mean "none".
    high & 0x7fff_ffff
}

/// Reads the copy again and compares it with its source.
pub(super) fn verify(
    chain: &Chain,
    unfinished: &Unfinished,
    format: Format,
    job: &Job<'_>,
) -> Result<(), ToolError> {
    verify_as(chain, unfinished, format, false, job)
}

/// As [`verify`] for a qcow2 image, which may be `alone` what is compared, without those beneath it.
pub(super) fn verify_layer(
    chain: &Chain,
    unfinished: &Unfinished,
    alone: bool,
    job: &Job<'_>,
) -> Result<(), ToolError> {
    verify_as(chain, unfinished, Format::Qcow2, alone, job)
}

fn verify_as(
    chain: &Chain,
    unfinished: &Unfinished,
    format: Format,
    alone: bool,
    job: &Job<'_>,
) -> Result<(), ToolError> {
    let options = ChainOptions {
        format: Some(format),
        locking: Locking::None,
        alone,
        ..ChainOptions::default()
    };
    let made = Chain::open(unfinished.path(), &options)?;
    job.begin(Phase::Verifying, chain.size().max(made.size()))?;
    match compare(chain, &made, job)? {
        None => Ok(()),
        Some(offset) => Err(ToolError::Differs {
            file: chain
                .links()
                .first()
                .map(|link| link.path.clone())
                .unwrap_or_default(),
            offset,
        }),
    }
}

/// Compares the content of two disks, whatever their formats: the first byte that differs. What one has beyond the other's end
/// counts as zeros there.
///
/// # Errors
/// When one of them cannot be read.
pub fn compare_disks(
    one: &Source,
    other: &Source,
    job: &Job<'_>,
) -> Result<Option<u64>, ToolError> {
    let (one, other) = (one.open()?, other.open()?);
    job.begin(Phase::Verifying, one.size().max(other.size()))?;
    compare(&one, &other, job)
}
