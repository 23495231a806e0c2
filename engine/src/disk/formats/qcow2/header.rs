//! The header, with nothing judged that does not have to be: the checker says what is wrong with the rest.

use super::super::container::{be32, be64};
use super::super::{Container, FormatError, index};

const MAGIC: &[u8] = b"QFI\xfb";
const V2_LENGTH: u64 = 72;
const V3_LENGTH: u64 = 104;
/// The most that is read of a header and its extensions: the largest cluster.
const MOST: u64 = 2 << 20;
/// The largest L1 table, in entries: that of QEMU.
const MOST_L1: u64 = (32 << 20) / 8;
/// The largest reference count table, in bytes: that of QEMU.
const MOST_REFCOUNT_TABLE: u64 = 8 << 20;

/// Bits of the header's fields.
pub(in crate::disk) mod bits {
    /// Incompatible: was not closed.
    pub(in crate::disk) const DIRTY: u64 = 1;
    /// Incompatible: found damaged.
    pub(in crate::disk) const CORRUPT: u64 = 1 << 1;
    /// Incompatible: the data is in another file.
    pub(in crate::disk) const DATA_FILE: u64 = 1 << 2;
    /// Incompatible: compressed in the way that the header says.
    pub(in crate::disk) const COMPRESSION: u64 = 1 << 3;
    /// Incompatible: subclusters.
    pub(in crate::disk) const EXTENDED_L2: u64 = 1 << 4;
    /// Compatible: reference counts are written late.
    pub(in crate::disk) const LAZY_REFCOUNTS: u64 = 1;
    /// Autoclear: the bitmaps are right.
    pub(in crate::disk) const BITMAPS: u64 = 1;
    /// Autoclear: the external data file is a raw image.
    pub(in crate::disk) const RAW_DATA: u64 = 1 << 1;
}

const EXTENSION_END: u32 = 0;
const EXTENSION_BACKING_FORMAT: u32 = 0xe279_2aca;
const EXTENSION_DATA_FILE: u32 = 0x4441_5441;

/// How clusters are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::disk) enum Compression {
    Zlib,
    Zstandard,
}

/// A header extension: what it is, and its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::disk) struct Extension {
    pub(in crate::disk) kind: u32,
    pub(in crate::disk) data: Vec<u8>,
}

/// What the header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::disk) struct Header {
    pub(in crate::disk) version: u32,
    pub(in crate::disk) cluster_bits: u32,
    /// Bytes of the disk.
    pub(in crate::disk) size: u64,
    pub(in crate::disk) crypt_method: u32,
    /// Entries.
    pub(in crate::disk) l1_entries: u64,
    pub(in crate::disk) l1_offset: u64,
    pub(in crate::disk) refcount_table_offset: u64,
    pub(in crate::disk) refcount_table_clusters: u64,
    pub(in crate::disk) snapshots: u32,
    pub(in crate::disk) snapshots_offset: u64,
    pub(in crate::disk) incompatible: u64,
    pub(in crate::disk) compatible: u64,
    pub(in crate::disk) autoclear: u64,
    /// A count has 1 << order bits.
    pub(in crate::disk) refcount_order: u32,
    /// Bytes of the header without its extensions.
    pub(in crate::disk) length: u64,
    pub(in crate::disk) compression: Compression,
    pub(in crate::disk) extensions: Vec<Extension>,
    pub(in crate::disk) backing_file: Option<String>,
    pub(in crate::disk) backing_format: Option<String>,
    pub(in crate::disk) data_file: Option<String>,
}

impl Header {
    pub(in crate::disk) fn read(container: &Container) -> Result<Self, FormatError> {
        let bytes = container.bytes(0, index(container.length().min(MOST)), "its header")?;
        if !bytes.starts_with(MAGIC) {
            return Err(FormatError::Not {
                file: container.path().to_owned(),
                format: "qcow2",
            });
        }
        let damaged = |fault: &str| Err(container.damaged(fault));
        if (bytes.len() as u64) < V2_LENGTH {
            return damaged("its header is cut off");
        }
        let version = be32(&bytes, 4);
        if !(2..=3).contains(&version) {
            return Err(FormatError::unsupported(
                container.path(),
                format!("has version {version} of the qcow2 format"),
                "convert it with the program that made it",
            ));
        }
        let cluster_bits = be32(&bytes, 20);
        if !(9..=21).contains(&cluster_bits) {
            return damaged("its cluster size is out of range");
        }
        let mut header = Self {
            version,
            cluster_bits,
            size: be64(&bytes, 24),
            crypt_method: be32(&bytes, 32),
            l1_entries: u64::from(be32(&bytes, 36)),
            l1_offset: be64(&bytes, 40),
            refcount_table_offset: be64(&bytes, 48),
            refcount_table_clusters: u64::from(be32(&bytes, 56)),
            snapshots: be32(&bytes, 60),
            snapshots_offset: be64(&bytes, 64),
            incompatible: 0,
            compatible: 0,
            autoclear: 0,
            refcount_order: 4,
            length: V2_LENGTH,
            compression: Compression::Zlib,
            extensions: Vec::new(),
            backing_file: None,
            backing_format: None,
            data_file: None,
        };
        if version == 3 {
            header.incompatible = be64(&bytes, 72);
            header.compatible = be64(&bytes, 80);
            header.autoclear = be64(&bytes, 88);
            header.refcount_order = be32(&bytes, 96);
            header.length = u64::from(be32(&bytes, 100));
            let lengths = V3_LENGTH..=header.cluster_size();
            if !lengths.contains(&header.length) || !header.length.is_multiple_of(8) {
                return damaged("the length of its header is out of range");
            }
            if header.refcount_order > 6 {
                return damaged("the width of its reference counts is out of range");
            }
            if header.incompatible & bits::COMPRESSION != 0 {
                header.compression = match bytes.get(104) {
                    Some(0) => Compression::Zlib,
                    Some(1) => Compression::Zstandard,
                    _ => {
                        return Err(FormatError::unsupported(
                            container.path(),
                            "is compressed in a way that is unknown here",
                            "convert it with the program that made it",
                        ));
                    }
                };
            }
        }
        header.read_extensions(container, &bytes)?;
        header.read_backing_file(container, &bytes)?;
        if header.size > i64::MAX.unsigned_abs() {
            return damaged("the size of its disk is out of range");
        }
        if header.l1_entries > MOST_L1 {
            return damaged("its L1 table is larger than any that is needed");
        }
        if header.refcount_table_clusters << cluster_bits
            > MOST_REFCOUNT_TABLE.max(1 << cluster_bits)
        {
            return damaged("its reference count table is larger than any that is needed");
        }
        Ok(header)
    }

    fn read_extensions(&mut self, container: &Container, bytes: &[u8]) -> Result<(), FormatError> {
        let end = index(self.cluster_size()).min(bytes.len());
        let mut at = index(self.length);
        // A version 2 header without extensions may be followed by the backing file's name at once.
        let names = index(be64(bytes, 8));
        while at.saturating_add(8) <= end && (names == 0 || at < names) {
            let (kind, length) = (be32(bytes, at), index(u64::from(be32(bytes, at + 4))));
            if kind == EXTENSION_END {
                break;
            }
            let data = bytes
                .get(at + 8..end)
                .and_then(|rest| rest.get(..length))
                .ok_or_else(|| container.damaged("a header extension is too long"))?;
            let text = || {
                let text = data.split(|byte| *byte == 0).next().unwrap_or_default();
                String::from_utf8_lossy(text).into_owned()
            };
            match kind {
                EXTENSION_BACKING_FORMAT => self.backing_format = Some(text()),
                EXTENSION_DATA_FILE => self.data_file = Some(text()),
                _ => {}
            }
            self.extensions.push(Extension {
                kind,
                data: data.to_vec(),
            });
            at = (at + 8 + length).next_multiple_of(8);
        }
        if self.incompatible & bits::DATA_FILE == 0 {
            self.data_file = None;
        } else if self.data_file.is_none() {
            return Err(container.damaged("it does not say which file holds its data"));
        }
        Ok(())
    }

    fn read_backing_file(
        &mut self,
        container: &Container,
        bytes: &[u8],
    ) -> Result<(), FormatError> {
        let (offset, length) = (be64(bytes, 8), index(u64::from(be32(bytes, 16))));
        if offset == 0 {
            return Ok(());
        }
        let name = bytes
            .get(index(offset)..index(self.cluster_size()).min(bytes.len()))
            .and_then(|rest| rest.get(..length))
            .filter(|_| length <= 1023 && offset >= V2_LENGTH)
            .ok_or_else(|| container.damaged("the name of its backing file is out of range"))?;
        if !name.is_empty() {
            self.backing_file = Some(String::from_utf8_lossy(name).into_owned());
        }
        Ok(())
    }

    /// Refuses what cannot be read at all.
    pub(in crate::disk) fn check_readable(&self, container: &Container) -> Result<(), FormatError> {
        if self.crypt_method != 0 {
            return Err(FormatError::unsupported(
                container.path(),
                "is encrypted",
                "decrypt it with the program that made it",
            ));
        }
        let known =
            bits::DIRTY | bits::CORRUPT | bits::DATA_FILE | bits::COMPRESSION | bits::EXTENDED_L2;
        if self.incompatible & !known != 0 {
            return Err(FormatError::unsupported(
                container.path(),
                "needs a feature of the qcow2 format that is unknown here",
                "convert it with the program that made it",
            ));
        }
        if self.extended_l2() && self.cluster_bits < 14 {
            return Err(container.damaged("its clusters are too small for subclusters"));
        }
        Ok(())
    }

    /// Bytes of a cluster.
    pub(in crate::disk) fn cluster_size(&self) -> u64 {
        1 << self.cluster_bits
    }

    /// Whether L2 entries have 16 bytes and clusters 32 parts.
    pub(in crate::disk) fn extended_l2(&self) -> bool {
        self.incompatible & bits::EXTENDED_L2 != 0
    }

    /// Entries of an L2 table.
    pub(in crate::disk) fn l2_entries(&self) -> u64 {
        self.cluster_size() / if self.extended_l2() { 16 } else { 8 }
    }

    /// Bytes of the disk that an L2 table is for.
    pub(in crate::disk) fn l2_covers(&self) -> u64 {
        self.cluster_size() * self.l2_entries()
    }
}
