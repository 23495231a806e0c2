//! The qcow2 header, read by ourselves before the format's library sees the image (docs/interop/qcow2.txt in QEMU's sources).
//!
//! The library ignores the encryption method, and would write plain text over cipher text; it trusts some lengths; and it cannot
//! keep the crash order where internal snapshots share tables. All that is refused here.

use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::super::OpenError;

const MAGIC: [u8; 4] = *b"QFI\xfb";
/// Bytes of the version 2 header.
const V2_LENGTH: u64 = 72;
/// Bytes of the smallest version 3 header.
const V3_LENGTH: u64 = 104;
/// The largest L1 table QEMU takes, in bytes.
const MAX_L1: u64 = 32 << 20;
/// The largest reference count table QEMU takes, in bytes.
const MAX_REFCOUNT_TABLE: u64 = 8 << 20;
/// Where the incompatible features are.
pub(super) const INCOMPATIBLE_FEATURES: u64 = 72;
/// The features' bits that are handled here, not by the library.
const DIRTY: u64 = 1 << 0;
const DATA_FILE: u64 = 1 << 2;
const COMPRESSION: u64 = 1 << 3;
/// The most that a header with its extensions can take: the largest cluster.
const MAX_CLUSTER_BITS: u32 = 21;

/// Header extensions.
const END_OF_EXTENSIONS: u32 = 0;
const FEATURE_NAMES: u32 = 0x6803_f857;
const BACKING_FORMAT: u32 = 0xe279_2aca;
const DATA_FILE_NAME: u32 = 0x4441_5441;
/// Bytes of the longest name of a file.
const LONGEST_NAME: u32 = 1023;
/// Bytes of an entry of the feature name table.
const FEATURE_NAME: usize = 48;

/// What an image needs that is not supported: bit, words for it, remedy.
const INCOMPATIBLE: [(u32, &str, &str); 3] = [
    (
        0,
        "was not closed properly by the program that used it last",
        "repair it with `guesthouse disk repair`, or attach it read-only",
    ),
    (
        1,
        "is marked as damaged",
        "restore it from a backup or repair it with `guesthouse disk repair`",
    ),
    (
        4,
        "has subclusters (extended L2 entries)",
        "convert it with `guesthouse disk convert`",
    ),
];

/// How compressed clusters are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::disk) enum Compression {
    Zlib,
    Zstd,
}

/// Names of other files in the header.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Names {
    backing_format: Option<String>,
    data_file: Option<String>,
}

/// What speaks against an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::disk) enum HeaderFault {
    NotQcow2,
    Unsupported {
        feature: String,
        remedy: &'static str,
    },
    Damaged(String),
}

/// Why there is no header.
#[derive(Debug)]
pub(in crate::disk) enum HeaderError {
    Host(io::Error),
    Fault(HeaderFault),
}

impl HeaderError {
    pub(in crate::disk) fn at(self, path: &Path) -> OpenError {
        match self {
            Self::Host(source) => OpenError::from_host(path, false, source),
            Self::Fault(fault) => OpenError::from_header(path, fault),
        }
    }
}

impl From<HeaderFault> for HeaderError {
    fn from(fault: HeaderFault) -> Self {
        Self::Fault(fault)
    }
}

/// What the header says, consistent in itself and with the length of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::disk) struct Header {
    /// Bytes that the guest sees.
    pub(in crate::disk) size: u64,
    /// Bytes of a cluster: 512 to 2 MiB.
    pub(in crate::disk) cluster_size: u64,
    /// Where the L1 table is in the file.
    pub(super) l1_offset: u64,
    /// Bytes of the L1 table.
    pub(super) l1_length: u64,
    /// Where the reference count table is in the file.
    pub(super) refcount_table_offset: u64,
    /// Bytes of the reference count table.
    pub(super) refcount_table_length: u64,
    /// The width of reference counts as a power of two, in bits.
    pub(super) refcount_order: u32,
    /// 2 or 3.
    pub(super) version: u32,
    crypt_method: u32,
    incompatible: u64,
    /// How compressed clusters are packed.
    pub(super) compression: Compression,
    /// The image that this one holds the differences to.
    pub(in crate::disk) backing_file: Option<String>,
    /// What that one's format is called, if the header says so.
    pub(in crate::disk) backing_format: Option<String>,
    /// The file that holds the data, if it is not this one: its name, empty where the header has none.
    pub(in crate::disk) data_file: Option<String>,
}

impl Header {
    /// Reads and checks the header of a file of `length` bytes.
    pub(in crate::disk) fn read(file: &impl FileExt, length: u64) -> Result<Self, HeaderError> {
        let take = length.min(1 << MAX_CLUSTER_BITS);
        let mut bytes = vec![0; usize::try_from(take).unwrap_or(0)];
        file.read_exact_at(&mut bytes, 0)
            .map_err(HeaderError::Host)?;
        Ok(Self::parse(&bytes, length)?)
    }

    /// Checks a header; `bytes` are the file's first (2 MiB, or all of a smaller file), `length` is the file's.
    pub(super) fn parse(bytes: &[u8], length: u64) -> Result<Self, HeaderFault> {
        if bytes.get(..4) != Some(&MAGIC[..]) {
            return Err(HeaderFault::NotQcow2);
        }
        let version = word(bytes, 4)?;
        if !(2..=3).contains(&version) {
            return Err(HeaderFault::Unsupported {
                feature: format!("has version {version} of the qcow2 format"),
                remedy: "convert it with the program that made it",
            });
        }
        let cluster_bits = word(bytes, 20)?;
        if !(9..=MAX_CLUSTER_BITS).contains(&cluster_bits) {
            return Err(damaged("its cluster size is out of range"));
        }
        let cluster_size = 1_u64 << cluster_bits;
        let incompatible = if version == 3 {
            long(bytes, INCOMPATIBLE_FEATURES)?
        } else {
            0
        };
        let names = if version == 3 {
            check_version_3(bytes, cluster_size)?
        } else {
            extensions(bytes, V2_LENGTH, cluster_size)?
        };
        let header = Self {
            size: long(bytes, 24)?,
            cluster_size,
            l1_length: u64::from(word(bytes, 36)?) * 8,
            l1_offset: long(bytes, 40)?,
            refcount_table_offset: long(bytes, 48)?,
            refcount_table_length: u64::from(word(bytes, 56)?) << cluster_bits,
            refcount_order: if version == 3 { word(bytes, 96)? } else { 4 },
            version,
            crypt_method: word(bytes, 32)?,
            incompatible,
            compression: compression(bytes, incompatible)?,
            backing_file: backing_file(bytes, cluster_size)?,
            backing_format: names.backing_format,
            data_file: (incompatible & DATA_FILE != 0).then(|| names.data_file.unwrap_or_default()),
        };
        header.check_tables(length)?;
        Ok(header)
    }

    fn check_tables(&self, file_length: u64) -> Result<(), HeaderFault> {
        let end = file_length
            .checked_next_multiple_of(self.cluster_size)
            .ok_or_else(|| damaged("the file is too long"))?;
        let table = |name: &str, offset: u64, length: u64, limit: u64| {
            if length == 0 || length > limit {
                Err(damaged(format!("the size of its {name} is out of range")))
            } else if !offset.is_multiple_of(self.cluster_size) || offset < self.cluster_size {
                Err(damaged(format!("its {name} is in an impossible place")))
            } else if offset.checked_add(length).is_none_or(|last| last > end) {
                Err(damaged(format!(
                    "the file ends before its {name}, as if it had been copied in part only"
                )))
            } else {
                Ok(offset..offset + length)
            }
        };
        let l1 = table("L1 table", self.l1_offset, self.l1_length, MAX_L1)?;
        let refcounts = table(
            "reference count table",
            self.refcount_table_offset,
            self.refcount_table_length,
            MAX_REFCOUNT_TABLE,
        )?;
        if l1.start < refcounts.end && refcounts.start < l1.end {
            return Err(damaged("its tables overlap"));
        }
        if self.size == 0 || self.size > i64::MAX.unsigned_abs() {
            return Err(damaged("the size of the disk is out of range"));
        }
        // Each L1 entry names a table that fills a cluster with entries of 8 bytes, one for each cluster of the guest's.
        let mapped_by_entry = self.cluster_size * (self.cluster_size / 8);
        if self.size.div_ceil(mapped_by_entry) > self.l1_length / 8 {
            return Err(damaged(
                "its L1 table is too short for the size of the disk",
            ));
        }
        Ok(())
    }

    /// Refuses what cannot be read correctly or, unless `read_only`, not written safely.
    pub(super) fn check_features(&self, read_only: bool) -> Result<(), HeaderFault> {
        let unsupported = |feature: &str, remedy| {
            Err(HeaderFault::Unsupported {
                feature: feature.to_owned(),
                remedy,
            })
        };
        if self.crypt_method != 0 {
            return unsupported(
                "is encrypted",
                "decrypt it with `qemu-img convert -O qcow2`",
            );
        }
        let rest = self.incompatible & !self.hidden_features(read_only) & !DATA_FILE;
        for (bit, feature, remedy) in INCOMPATIBLE {
            if rest & (1 << bit) != 0 {
                return unsupported(feature, remedy);
            }
        }
        if rest != 0 {
            return unsupported(
                "needs a feature of the qcow2 format that is unknown here",
                "convert it with the program that made it",
            );
        }
        Ok(())
    }

    /// The features that the library need not know of: how clusters are compressed, since it is not asked to unpack them; and that
    /// reference counts may be wrong, where none is used.
    pub(super) fn hidden_features(&self, read_only: bool) -> u64 {
        let hidden = COMPRESSION | if read_only { DIRTY } else { 0 };
        self.incompatible & hidden
    }
}

fn compression(bytes: &[u8], incompatible: u64) -> Result<Compression, HeaderFault> {
    if incompatible & COMPRESSION == 0 {
        return Ok(Compression::Zlib);
    }
    match (word(bytes, 100)? > 104).then(|| bytes.get(104)).flatten() {
        Some(1) => Ok(Compression::Zstd),
        Some(0) | None => Err(damaged("it does not say how it is compressed")),
        Some(_) => Err(HeaderFault::Unsupported {
            feature: "is compressed in another way than zlib and zstd".to_owned(),
            remedy: "convert it with the program that made it",
        }),
    }
}

fn check_version_3(bytes: &[u8], cluster_size: u64) -> Result<Names, HeaderFault> {
    if word(bytes, 96)? > 6 {
        return Err(damaged("the width of its reference counts is out of range"));
    }
    let header_length = u64::from(word(bytes, 100)?);
    if !(V3_LENGTH..=cluster_size).contains(&header_length) || header_length % 8 != 0 {
        return Err(damaged("the length of its header is out of range"));
    }
    extensions(bytes, header_length, cluster_size)
}

/// Goes through the header's extensions, from `offset` on.
fn extensions(bytes: &[u8], mut offset: u64, cluster_size: u64) -> Result<Names, HeaderFault> {
    let mut names = Names::default();
    loop {
        let (kind, length) = (word(bytes, offset)?, word(bytes, offset + 4)?);
        if kind == END_OF_EXTENSIONS {
            return Ok(names);
        }
        let data = offset + 8;
        let end = data + u64::from(length);
        if end > cluster_size {
            return Err(damaged("a header extension is too long"));
        }
        match kind {
            FEATURE_NAMES if !(length as usize).is_multiple_of(FEATURE_NAME) => {
                return Err(damaged("its table of feature names is cut off"));
            }
            BACKING_FORMAT => names.backing_format = Some(name(bytes, data, length)?),
            DATA_FILE_NAME => names.data_file = Some(name(bytes, data, length)?),
            _ => {}
        }
        offset = end.next_multiple_of(8);
        if offset + 8 > cluster_size {
            return Ok(names);
        }
    }
}

fn name(bytes: &[u8], offset: u64, length: u32) -> Result<String, HeaderFault> {
    usize::try_from(offset)
        .ok()
        .and_then(|offset| bytes.get(offset..)?.get(..length as usize))
        .filter(|_| length <= LONGEST_NAME)
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .ok_or_else(|| damaged("the name of a file that it needs is cut off or too long"))
}

fn backing_file(bytes: &[u8], cluster_size: u64) -> Result<Option<String>, HeaderFault> {
    let (offset, length) = (long(bytes, 8)?, word(bytes, 16)?);
    if offset == 0 {
        return Ok(None);
    }
    let end = offset.checked_add(u64::from(length));
    if length > LONGEST_NAME || offset < V2_LENGTH || end.is_none_or(|end| end > cluster_size) {
        return Err(damaged("the name of its backing file is out of range"));
    }
    name(bytes, offset, length).map(Some)
}

fn damaged(what: impl Into<String>) -> HeaderFault {
    HeaderFault::Damaged(what.into())
}

fn array<const N: usize>(bytes: &[u8], offset: u64) -> Result<[u8; N], HeaderFault> {
    usize::try_from(offset)
        .ok()
        .and_then(|offset| bytes.get(offset..)?.first_chunk::<N>())
        .copied()
        .ok_or_else(|| damaged("its header is cut off"))
}

fn word(bytes: &[u8], offset: u64) -> Result<u32, HeaderFault> {
    array(bytes, offset).map(u32::from_be_bytes)
}

fn long(bytes: &[u8], offset: u64) -> Result<u64, HeaderFault> {
    array(bytes, offset).map(u64::from_be_bytes)
}
