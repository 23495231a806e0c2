//! The disk in a qcow2 image: the L1 table in memory, some L2 tables at hand, the rest in the file.

use std::collections::{HashMap, VecDeque};
use std::io::Read;
use std::sync::Arc;

use flate2::{Decompress, FlushDecompress, Status};
use parking_lot::Mutex;
use ruzstd::decoding::StreamingDecoder;

use super::super::container::array;
use super::super::{Container, Extent, FormatError, Kind, Layer, index};
use super::{Compression, Header, Snapshot};

/// The bits of a table's entry that hold an offset.
pub(in crate::disk) const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
/// An L1 or L2 entry whose cluster nobody else refers to.
pub(in crate::disk) const COPIED: u64 = 1 << 63;
const COMPRESSED: u64 = 1 << 62;
/// An L2 entry of zeros, whether or not there is a cluster for it.
const ZERO: u64 = 1;
/// Memory for L2 tables, in bytes.
const CACHE: u64 = 16 << 20;
const SUBCLUSTERS: u64 = 32;

/// An L2 table's entries, and their bitmaps where there are subclusters.
struct Table {
    bytes: Vec<u8>,
}

#[derive(Default)]
struct Cache {
    tables: HashMap<u64, Arc<Table>>,
    order: VecDeque<u64>,
}

/// Where a unit of the disk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Absent,
    Zero,
    At(u64),
    Compressed(u64),
}

impl Place {
    fn kind(self) -> Kind {
        match self {
            Self::Absent => Kind::Absent,
            Self::Zero => Kind::Zero,
            Self::At(_) | Self::Compressed(_) => Kind::Data,
        }
    }
}

/// A qcow2 image.
pub(in crate::disk) struct Qcow2 {
    container: Container,
    data: Container,
    header: Header,
    size: u64,
    l1: Vec<u64>,
    cache: Mutex<Cache>,
}

/// Where compressed data is, by its L2 entry: offset and length, which may reach behind it.
pub(in crate::disk) fn compressed_place(entry: u64, cluster_bits: u32) -> (u64, u64) {
    let bits = 62 - (cluster_bits - 8);
    let offset = entry & ((1 << bits) - 1);
    let sectors = ((entry & !(COPIED | COMPRESSED)) >> bits) + 1;
    (offset, sectors * 512 - (offset & 511))
}

/// The entry of a compressed cluster that goes no further than to byte `end` of the file, which lies behind its beginning.
pub(in crate::disk) fn shortened(entry: u64, cluster_bits: u32, end: u64) -> u64 {
    let bits = 62 - (cluster_bits - 8);
    let offset = entry & ((1 << bits) - 1);
    let sectors = end.saturating_sub(offset & !511).div_ceil(512).max(1);
    offset | (sectors - 1) << bits | COMPRESSED
}

impl Qcow2 {
    pub(in crate::disk) fn new(
        container: Container,
        data: Container,
        header: Header,
    ) -> Result<Self, FormatError> {
        let (offset, entries, size) = (header.l1_offset, header.l1_entries, header.size);
        Self::with_l1(container, data, header, offset, entries, size)
    }

    pub(in crate::disk) fn of_snapshot(
        container: Container,
        data: Container,
        header: Header,
        snapshot: &Snapshot,
    ) -> Result<Self, FormatError> {
        let (offset, entries) = (snapshot.l1_offset, snapshot.l1_entries);
        Self::with_l1(container, data, header, offset, entries, snapshot.disk_size)
    }

    fn with_l1(
        container: Container,
        data: Container,
        header: Header,
        offset: u64,
        entries: u64,
        size: u64,
    ) -> Result<Self, FormatError> {
        if size > i64::MAX.unsigned_abs() || entries > (32 << 20) / 8 {
            return Err(container.damaged("a size in its tables is out of range"));
        }
        if size.div_ceil(header.l2_covers()) > entries {
            return Err(container.damaged("its L1 table is too short for the size of its disk"));
        }
        let bytes = container.bytes(offset, index(entries * 8), "its L1 table")?;
        let (entries, _) = bytes.as_chunks::<8>();
        let l1 = entries
            .iter()
            .map(|entry| u64::from_be_bytes(*entry))
            .collect();
        Ok(Self {
            container,
            data,
            header,
            size,
            l1,
            cache: Mutex::default(),
        })
    }

    fn damaged(&self, fault: impl Into<String>) -> FormatError {
        FormatError::Damaged {
            file: self.container.path().to_owned(),
            fault: fault.into(),
            repairable: true,
        }
    }

    fn table(&self, offset: u64) -> Result<Arc<Table>, FormatError> {
        if let Some(table) = self.cache.lock().tables.get(&offset) {
            return Ok(Arc::clone(table));
        }
        let size = self.header.cluster_size();
        if !offset.is_multiple_of(size) {
            return Err(self.damaged("an L2 table does not begin where a cluster does"));
        }
        let mut bytes = vec![0; index(size)];
        self.container
            .fill(offset, &mut bytes, "an L2 table")
            .map_err(|error| match error {
                FormatError::Damaged { fault, .. } => self.damaged(fault),
                other => other,
            })?;
        let table = Arc::new(Table { bytes });
        let mut cache = self.cache.lock();
        if cache.tables.insert(offset, Arc::clone(&table)).is_none() {
            cache.order.push_back(offset);
        }
        while cache.order.len() as u64 > (CACHE / size).max(4) {
            if let Some(oldest) = cache.order.pop_front() {
                cache.tables.remove(&oldest);
            }
        }
        Ok(table)
    }

    /// Bytes of the smallest part of the disk that is mapped by itself.
    fn unit(&self) -> u64 {
        if self.header.extended_l2() {
            self.header.cluster_size() / SUBCLUSTERS
        } else {
            self.header.cluster_size()
        }
    }

    /// The L2 table for `offset`, if there is one.
    fn table_for(&self, offset: u64) -> Result<Option<Arc<Table>>, FormatError> {
        let entry = self
            .l1
            .get(index(offset / self.header.l2_covers()))
            .copied()
            .ok_or_else(|| self.damaged("its L1 table is too short"))?;
        match entry & OFFSET {
            0 => Ok(None),
            place => self.table(place).map(Some),
        }
    }

    /// Where the unit with `offset` in it is.
    fn place(&self, table: &Table, offset: u64) -> Result<Place, FormatError> {
        let cluster_size = self.header.cluster_size();
        let number = index(offset / cluster_size % self.header.l2_entries());
        let width = if self.header.extended_l2() { 16 } else { 8 };
        let entry = u64::from_be_bytes(array(&table.bytes, number * width));
        if entry & COMPRESSED != 0 {
            return Ok(Place::Compressed(entry));
        }
        let host = entry & OFFSET;
        if !host.is_multiple_of(cluster_size) {
            return Err(self.damaged(format!(
                "the data at {offset} of its disk does not begin where a cluster does"
            )));
        }
        if self.header.extended_l2() {
            let part = offset % cluster_size / self.unit();
            let bitmap = u64::from_be_bytes(array(&table.bytes, number * width + 8));
            let (allocated, zero) = (bitmap >> part & 1 != 0, bitmap >> (part + 32) & 1 != 0);
            return Ok(match (allocated, zero) {
                (_, true) => Place::Zero,
                (true, false) => Place::At(host + part * self.unit()),
                (false, false) => Place::Absent,
            });
        }
        if self.header.version >= 3 && entry & ZERO != 0 {
            return Ok(Place::Zero);
        }
        // In an external data file, offset 0 is a place like any other; the flag says that it is used.
        if host == 0 && !(self.header.data_file.is_some() && entry & COPIED != 0) {
            return Ok(Place::Absent);
        }
        Ok(Place::At(host))
    }

    fn decompress(&self, entry: u64) -> Result<Vec<u8>, FormatError> {
        let (offset, length) = compressed_place(entry, self.header.cluster_bits);
        let length = length.min(self.container.length().saturating_sub(offset));
        let packed = self
            .container
            .bytes(offset, index(length), "compressed data")?;
        let mut data = vec![0; index(self.header.cluster_size())];
        let whole = match self.header.compression {
            Compression::Zlib => {
                let mut inflate = Decompress::new(false);
                let status = inflate.decompress(&packed, &mut data, FlushDecompress::Finish);
                matches!(
                    status,
                    Ok(Status::Ok | Status::StreamEnd | Status::BufError)
                ) && inflate.total_out() == data.len() as u64
            }
            Compression::Zstandard => StreamingDecoder::new(&*packed)
                .is_ok_and(|mut decoder| decoder.read_exact(&mut data).is_ok()),
        };
        if !whole {
            return Err(self.damaged(format!(
                "the compressed data at {offset} cannot be unpacked"
            )));
        }
        Ok(data)
    }
}

impl Layer for Qcow2 {
    fn size(&self) -> u64 {
        self.size
    }

    fn extent(&self, offset: u64) -> Result<Extent, FormatError> {
        let covers = self.header.l2_covers();
        let end = (offset / covers + 1).saturating_mul(covers).min(self.size);
        let Some(table) = self.table_for(offset)? else {
            return Ok(Extent::new(Kind::Absent, end - offset));
        };
        let unit = self.unit();
        let kind = self.place(&table, offset)?.kind();
        let mut next = offset - offset % unit + unit;
        while next < end && self.place(&table, next)?.kind() == kind {
            next += unit;
        }
        Ok(Extent::new(kind, next.min(end) - offset))
    }

    fn read(&self, mut offset: u64, data: &mut [u8]) -> Result<(), FormatError> {
        let unit = self.unit();
        let mut rest = data;
        while !rest.is_empty() {
            let Some(table) = self.table_for(offset)? else {
                rest.fill(0);
                return Ok(());
            };
            let within = offset % unit;
            let mut count = index(unit - within).min(rest.len());
            let place = self.place(&table, offset)?;
            if let Place::At(host) = place {
                // What follows in the file is read along, as far as this table goes.
                let covers = self.header.l2_covers();
                let end = (offset / covers + 1) * covers;
                let mut next = offset - within + unit;
                let mut follows = host + unit;
                while count < rest.len()
                    && next < end
                    && self.place(&table, next)? == Place::At(follows)
                {
                    count = count.saturating_add(index(unit)).min(rest.len());
                    next += unit;
                    follows = follows.saturating_add(unit);
                }
            }
            let (part, others) = rest.split_at_mut(count);
            match place {
                Place::Absent | Place::Zero => part.fill(0),
                Place::At(host) => {
                    if host >= self.data.length() {
                        return Err(self.damaged(format!(
                            "the data at {offset} of its disk lies beyond the end of the file"
                        )));
                    }
                    self.data.fill_to_end(host + within, part)?;
                }
                Place::Compressed(entry) => {
                    let cluster = self.decompress(entry)?;
                    let from = index(offset % self.header.cluster_size());
                    let piece = cluster.get(from..).unwrap_or_default();
                    for (to, byte) in part.iter_mut().zip(piece) {
                        *to = *byte;
                    }
                }
            }
            offset = offset.saturating_add(count as u64);
            rest = others;
        }
        Ok(())
    }
}
