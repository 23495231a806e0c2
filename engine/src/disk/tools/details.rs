//! What an image is, in all that can be told without changing it.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::super::check::{SecondOpinion, Tables, Usage, second_opinion};
use super::super::formats::qcow2::{Compression, Header, bits};
use super::super::formats::{Chain, ChainOptions, Container, Format, Locking};
use super::super::{Backing, lock};
use super::{Job, ToolError};

/// What an image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Details {
    /// The image.
    pub file: PathBuf,
    /// What it is.
    pub format: Format,
    /// How it keeps its data, in the format's words: "dynamic", "streamOptimized".
    pub variant: String,
    /// Bytes of the disk.
    pub virtual_size: u64,
    /// Bytes of the file.
    pub file_size: u64,
    /// Bytes that the file takes up on the host.
    pub allocated_size: u64,
    /// The images beneath, the next one first.
    pub chain: Vec<Beneath>,
    /// Why the images beneath are not known, where one is named but cannot be opened.
    pub broken_chain: Option<String>,
    /// What only qcow2 images have.
    pub qcow2: Option<Qcow2Details>,
    /// Whether somebody has it open for writing.
    pub in_use: bool,
    /// The processes that have it open, as far as this user may see: number and name.
    pub processes: Vec<(u32, String)>,
}

/// An image beneath another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beneath {
    /// The image.
    pub file: PathBuf,
    /// What it is.
    pub format: Format,
    /// Bytes of its disk.
    pub virtual_size: u64,
}

/// What only qcow2 images have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Qcow2Details {
    /// Version of the format.
    pub version: u32,
    /// Bytes of a cluster.
    pub cluster_size: u64,
    /// Bits of a reference count.
    pub refcount_bits: u32,
    /// How its compressed clusters are compressed: "zlib".
    pub compression: &'static str,
    /// What is special about it, in words.
    pub features: Vec<&'static str>,
    /// The image beneath, as it is named.
    pub backing_file: Option<String>,
    /// The format of that one, as it is named.
    pub backing_format: Option<String>,
    /// The file that has its data.
    pub data_file: Option<String>,
    /// Its internal snapshots.
    pub snapshots: Vec<InternalSnapshot>,
    /// How it uses its file; not known while somebody writes to it.
    pub usage: Option<Usage>,
    /// What a second reader says of that; not known while somebody writes to it.
    pub second: Option<SecondOpinion>,
}

/// A state that a qcow2 image keeps within itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InternalSnapshot {
    /// Its number.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Seconds since 1970.
    pub time: u64,
    /// Bytes of the machine's state, 0 where it was off.
    pub state_size: u64,
    /// Bytes of its disk.
    pub disk_size: u64,
}

/// What an image is, as far as its headers tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// What it is.
    pub format: Format,
    /// Bytes of the disk.
    pub virtual_size: u64,
    /// The images that it is built on and takes data from, the next one first.
    pub chain: Vec<PathBuf>,
}

/// Looks at the headers of the image at `path` and of all that it is built on, wherever they are: that is how a person can be asked
/// whether it may take data from them.
///
/// # Errors
/// When one of them cannot be read.
pub fn outline(path: &Path) -> Result<Outline, ToolError> {
    let options = ChainOptions {
        backing: Backing {
            files: Vec::new(),
            folders: vec![PathBuf::from("/")],
        },
        locking: Locking::None,
        ..ChainOptions::default()
    };
    let chain = Chain::open(path, &options)?;
    let (first, beneath) = chain.links().split_first().ok_or(ToolError::Panicked)?;
    Ok(Outline {
        format: first.format,
        virtual_size: chain.size(),
        chain: beneath.iter().map(|link| link.path.clone()).collect(),
    })
}

/// Looks at the image at `path`, which may be in use; what is beneath it is opened as far as `backing` allows.
///
/// # Errors
/// When it cannot be read.
pub fn details(
    path: &Path,
    format: Option<Format>,
    backing: &Backing,
    job: &Job<'_>,
) -> Result<Details, ToolError> {
    let options = ChainOptions {
        format,
        backing: backing.clone(),
        locking: Locking::None,
        ..ChainOptions::default()
    };
    let alone = ChainOptions {
        alone: true,
        ..options.clone()
    };
    let (chain, broken_chain) = match Chain::open(path, &options) {
        Ok(chain) => (chain, None),
        Err(error) => (
            // What is wrong with the image itself is wrong with it alone, too.
            Chain::open(path, &alone)?,
            Some(error.to_string()),
        ),
    };
    let (first, beneath) = chain.links().split_first().ok_or(ToolError::Panicked)?;
    let container = Container::open(path, false)?;
    let metadata = container
        .file()
        .metadata()
        .map_err(|source| ToolError::from_host("read", path, source))?;
    let in_use = lock::is_written(container.file())
        .map_err(|source| ToolError::from_host("read", path, source))?;
    let qcow2 = if first.format == Format::Qcow2 {
        Some(qcow2_details(&container, in_use, job)?)
    } else {
        None
    };
    Ok(Details {
        file: path.to_owned(),
        format: first.format,
        variant: first.opened.variant.clone(),
        virtual_size: chain.size(),
        file_size: container.length(),
        allocated_size: metadata.blocks().saturating_mul(512),
        chain: beneath
            .iter()
            .map(|link| Beneath {
                file: link.path.clone(),
                format: link.format,
                virtual_size: link.opened.layer.size(),
            })
            .collect(),
        broken_chain,
        qcow2,
        in_use,
        processes: holders(metadata.dev(), metadata.ino()),
    })
}

fn qcow2_details(
    container: &Container,
    in_use: bool,
    job: &Job<'_>,
) -> Result<Qcow2Details, ToolError> {
    let header = Header::read(container)?;
    let tables = if in_use {
        None
    } else {
        Some(Tables::walk(container.clone(), job)?)
    };
    let features = [
        (
            header.incompatible & bits::DIRTY != 0,
            "was not closed properly",
        ),
        (
            header.incompatible & bits::CORRUPT != 0,
            "is marked as damaged",
        ),
        (
            header.incompatible & bits::DATA_FILE != 0,
            "external data file",
        ),
        (header.incompatible & bits::EXTENDED_L2 != 0, "subclusters"),
        (
            header.compatible & bits::LAZY_REFCOUNTS != 0,
            "lazy reference counts",
        ),
        (header.autoclear & bits::BITMAPS != 0, "bitmaps of changes"),
        (header.autoclear & bits::RAW_DATA != 0, "raw external data"),
        (header.crypt_method != 0, "encrypted"),
    ];
    let snapshots = super::super::formats::qcow2::Snapshot::read_all(container, &header)?;
    Ok(Qcow2Details {
        version: header.version,
        cluster_size: header.cluster_size(),
        refcount_bits: 1 << header.refcount_order,
        compression: match header.compression {
            Compression::Zlib => "zlib",
            Compression::Zstandard => "zstd",
        },
        features: features
            .into_iter()
            .filter_map(|(has, name)| has.then_some(name))
            .collect(),
        backing_file: header.backing_file,
        backing_format: header.backing_format,
        data_file: header.data_file,
        snapshots: snapshots
            .into_iter()
            .map(|snapshot| InternalSnapshot {
                id: snapshot.id,
                name: snapshot.name,
                time: snapshot.time,
                state_size: snapshot.state_size,
                disk_size: snapshot.disk_size,
            })
            .collect(),
        second: tables.as_ref().map(second_opinion),
        usage: tables.map(|tables| tables.usage),
    })
}

/// The processes, this one aside, that have a file open.
fn holders(device: u64, inode: u64) -> Vec<(u32, String)> {
    let own = std::process::id();
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    processes
        .flatten()
        .filter_map(|entry| {
            let id: u32 = entry.file_name().to_str()?.parse().ok()?;
            let open = std::fs::read_dir(entry.path().join("fd")).ok()?;
            let has = open.flatten().any(|descriptor| {
                std::fs::metadata(descriptor.path())
                    .is_ok_and(|file| (file.dev(), file.ino()) == (device, inode))
            });
            let name = || std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            (has && id != own).then(|| (id, name().trim().to_owned()))
        })
        .collect()
}
