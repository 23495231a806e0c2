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
/// The most that a header with its extensions can take: the largest cluster.
const MAX_CLUSTER_BITS: u32 = 21;

/// Header extensions.
const END_OF_EXTENSIONS: u32 = 0;
const FEATURE_NAMES: u32 = 0x6803_f857;
/// Bytes of an entry of the feature name table.
const FEATURE_NAME: usize = 48;

/// What an image needs that not every program has: bit, words for it, remedy.
const INCOMPATIBLE: [(u32, &str, &str); 5] = [
    (
        0,
        "was not closed properly by the program that used it last",
        "repair it with `qemu-img check -r all`",
    ),
    (
        1,
        "is marked as damaged",
        "restore it from a backup or repair it with `qemu-img check -r all`",
    ),
    (
        2,
        "keeps its data in another file",
        "convert it with `qemu-img convert -O qcow2`",
    ),
    (
        3,
        "is compressed in another way than zlib",
        "convert it with `qemu-img convert -O qcow2`",
    ),
    (
        4,
        "has subclusters (extended L2 entries)",
        "convert it with `qemu-img convert -O qcow2`",
    ),
];

/// What speaks against an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::disk) enum HeaderFault {
    NotQcow2,
    Unsupported {
        feature: String,
        remedy: &'static str,
    },
    Damaged(String),
    Backing(String),
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
    pub(super) cluster_size: u64,
    /// Where the L1 table is in the file.
    pub(super) l1_offset: u64,
    /// Bytes of the L1 table.
    pub(super) l1_length: u64,
    /// Where the reference count table is in the file.
    pub(super) refcount_table_offset: u64,
    /// Bytes of the reference count table.
    pub(super) refcount_table_length: u64,
    snapshots: u32,
    crypt_method: u32,
    incompatible: u64,
    /// The image that this one holds the differences to.
    pub(in crate::disk) backing_file: Option<String>,
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
                remedy: "convert it with `qemu-img convert -O qcow2`",
            });
        }
        let cluster_bits = word(bytes, 20)?;
        if !(9..=MAX_CLUSTER_BITS).contains(&cluster_bits) {
            return Err(damaged("its cluster size is out of range"));
        }
        let cluster_size = 1_u64 << cluster_bits;
        let header = Self {
            size: long(bytes, 24)?,
            cluster_size,
            l1_length: u64::from(word(bytes, 36)?) * 8,
            l1_offset: long(bytes, 40)?,
            refcount_table_offset: long(bytes, 48)?,
            refcount_table_length: u64::from(word(bytes, 56)?) << cluster_bits,
            snapshots: word(bytes, 60)?,
            crypt_method: word(bytes, 32)?,
            incompatible: if version == 3 { long(bytes, 72)? } else { 0 },
            backing_file: backing_file(bytes, cluster_size)?,
        };
        if version == 3 {
            check_version_3(bytes, cluster_size)?;
        }
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
        for (bit, feature, remedy) in INCOMPATIBLE {
            if self.incompatible & (1 << bit) != 0 {
                return unsupported(feature, remedy);
            }
        }
        if self.incompatible != 0 {
            return unsupported(
                "needs a feature of the qcow2 format that is unknown here",
                "convert it with `qemu-img convert -O qcow2`",
            );
        }
        if let Some(backing) = &self.backing_file {
            return Err(HeaderFault::Backing(backing.clone()));
        }
        if self.snapshots != 0 && !read_only {
            return unsupported(
                "holds internal snapshots",
                "convert it with `qemu-img convert -O qcow2` (which keeps its present state only) or attach it read-only",
            );
        }
        Ok(())
    }
}

fn check_version_3(bytes: &[u8], cluster_size: u64) -> Result<(), HeaderFault> {
    if word(bytes, 96)? > 6 {
        return Err(damaged("the width of its reference counts is out of range"));
    }
    let header_length = u64::from(word(bytes, 100)?);
    if !(V3_LENGTH..=cluster_size).contains(&header_length) || header_length % 8 != 0 {
        return Err(damaged("the length of its header is out of range"));
    }
    let mut offset = header_length;
    loop {
        let (kind, length) = (word(bytes, offset)?, word(bytes, offset + 4)?);
        if kind == END_OF_EXTENSIONS {
            return Ok(());
        }
        let data = offset + 8;
        let end = data + u64::from(length);
        if end > cluster_size {
            return Err(damaged("a header extension is too long"));
        }
        if kind == FEATURE_NAMES && !(length as usize).is_multiple_of(FEATURE_NAME) {
            return Err(damaged("its table of feature names is cut off"));
        }
        offset = end.next_multiple_of(8);
    }
}

fn backing_file(bytes: &[u8], cluster_size: u64) -> Result<Option<String>, HeaderFault> {
    let (offset, length) = (long(bytes, 8)?, word(bytes, 16)?);
    if offset == 0 {
        return Ok(None);
    }
    let end = offset.checked_add(u64::from(length));
    if length > 1023 || offset < V2_LENGTH || end.is_none_or(|end| end > cluster_size) {
        return Err(damaged("the name of its backing file is out of range"));
    }
    let name = usize::try_from(offset)
        .ok()
        .and_then(|offset| bytes.get(offset..)?.get(..length as usize))
        .ok_or_else(|| damaged("the name of its backing file is cut off"))?;
    Ok(Some(String::from_utf8_lossy(name).into_owned()))
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
