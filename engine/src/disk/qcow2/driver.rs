//! The format's library with what it lacks: clusters compressed by zstd.

use std::fmt;
use std::io::{self, Read};

use imago::format::PreallocateMode;
use imago::format::drivers::{FormatDriverInstance, PreparedDataMapping, ShallowMapping};
use imago::io_buffers::IoVectorMut;
use imago::qcow2::Qcow2;
use ruzstd::decoding::StreamingDecoder;

use super::header::{Compression, Header};
use super::ordered_file::{OFFSET, OrderedFile};
use super::store::Store;

/// An L2 entry's mark of a compressed cluster.
const COMPRESSED: u64 = 1 << 62;

/// A qcow2 image as the library sees it.
#[derive(Debug)]
pub(super) struct Driver {
    qcow2: Qcow2<Store>,
    zstd: Option<Zstd>,
}

/// What reading compressed clusters takes.
#[derive(Debug)]
struct Zstd {
    file: OrderedFile,
    header: Header,
}

impl Driver {
    pub(super) fn new(qcow2: Qcow2<Store>, file: OrderedFile, header: &Header) -> Self {
        Self {
            qcow2,
            zstd: (header.compression == Compression::Zstd).then(|| Zstd {
                file,
                header: header.clone(),
            }),
        }
    }
}

impl Zstd {
    /// The cluster that holds guest byte `offset`, unpacked.
    fn read_cluster(&self, offset: u64) -> io::Result<Vec<u8>> {
        let size = self.header.cluster_size;
        let entries = size / 8;
        let cluster = offset / size;
        let l1 = self
            .file
            .l1_entry(self.file.l1_offset(&self.header), cluster / entries)?;
        let place = (l1 & OFFSET).saturating_add(cluster % entries * 8);
        let mut entry = [0; 8];
        self.file.read(&mut entry, place)?;
        let entry = u64::from_be_bytes(entry);
        if l1 & OFFSET == 0 || entry & COMPRESSED == 0 {
            return Err(io::Error::other("its tables changed while they were read"));
        }
        // The offset takes 62 - (cluster bits - 8) bits, the number of further sectors the rest (qcow2 specification, "Compressed
        // Clusters Descriptor").
        let shift = 62 - (size.trailing_zeros() - 8);
        let from = entry & ((1 << shift) - 1);
        let sectors = (entry & (COMPRESSED - 1)) >> shift;
        let length = (sectors + 1) * 512 - from % 512;
        let mut packed = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        let available = self.file.length()?.saturating_sub(from).min(length);
        packed.truncate(usize::try_from(available).map_err(io::Error::other)?);
        self.file.read(&mut packed, from)?;
        let mut data = vec![0; usize::try_from(size).map_err(io::Error::other)?];
        let broken = |what: String| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("a compressed cluster is damaged: {what}; restore the image from a backup"),
            )
        };
        StreamingDecoder::new(packed.as_slice())
            .map_err(|error| broken(error.to_string()))?
            .read_exact(&mut data)
            .map_err(|error| broken(error.to_string()))?;
        Ok(data)
    }
}

impl fmt::Display for Driver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.qcow2.fmt(formatter)
    }
}

#[expect(
    unsafe_code,
    reason = "the trait makes some methods unsafe to call; no operation in them is"
)]
impl FormatDriverInstance for Driver {
    type Storage = Store;

    fn format(&self) -> imago::format::Format {
        self.qcow2.format()
    }

    unsafe fn probe(_storage: &Store) -> io::Result<bool> {
        // Formats are never guessed here.
        Ok(false)
    }

    fn size(&self) -> u64 {
        self.qcow2.size()
    }

    fn zero_granularity(&self) -> Option<u64> {
        self.qcow2.zero_granularity()
    }

    fn collect_storage_dependencies(&self) -> Vec<&Store> {
        self.qcow2.collect_storage_dependencies()
    }

    fn writable(&self) -> bool {
        self.qcow2.writable()
    }

    fn get_mapping<'a>(
        &'a self,
        offset: u64,
        max_length: u64,
    ) -> io::Result<(ShallowMapping<'a, Store>, u64)> {
        self.qcow2.get_mapping(offset, max_length)
    }

    fn prepare_data_mapping<'a>(
        &'a self,
        offset: u64,
        length: u64,
        overwrite: bool,
    ) -> io::Result<PreparedDataMapping<'a, Store>> {
        self.qcow2.prepare_data_mapping(offset, length, overwrite)
    }

    fn commit_data_mapping(&self, mapping: PreparedDataMapping<'_, Store>) -> io::Result<()> {
        self.qcow2.commit_data_mapping(mapping)
    }

    fn ensure_zero_mapping(&self, offset: u64, length: u64) -> io::Result<(u64, u64)> {
        self.qcow2.ensure_zero_mapping(offset, length)
    }

    fn discard_to_zero(&mut self, offset: u64, length: u64) -> io::Result<(u64, u64)> {
        self.qcow2.discard_to_zero(offset, length)
    }

    fn discard_to_backing(&mut self, offset: u64, length: u64) -> io::Result<(u64, u64)> {
        self.qcow2.discard_to_backing(offset, length)
    }

    fn readv_special(&self, bufv: IoVectorMut<'_>, offset: u64) -> io::Result<()> {
        match self.try_readv_special(bufv, offset)? {
            None => Ok(()),
            Some(_) => Err(io::Error::other("its tables changed while they were read")),
        }
    }

    fn try_readv_special<'a>(
        &self,
        mut bufv: IoVectorMut<'a>,
        mut offset: u64,
    ) -> io::Result<Option<(IoVectorMut<'a>, u64)>> {
        let Some(zstd) = &self.zstd else {
            return self.qcow2.try_readv_special(bufv, offset);
        };
        let size = zstd.header.cluster_size;
        while !bufv.is_empty() {
            let inside = offset % size;
            let length = (size - inside).min(bufv.len());
            let (mut chunk, rest) = bufv.split_at(length);
            let data = zstd.read_cluster(offset)?;
            let part = usize::try_from(inside)
                .ok()
                .zip(usize::try_from(inside + chunk.len()).ok())
                .and_then(|(from, to)| data.get(from..to))
                .unwrap_or_default();
            offset += chunk.len();
            chunk.copy_from_slice(part);
            bufv = rest;
        }
        Ok(None)
    }

    fn flush(&self) -> io::Result<()> {
        self.qcow2.flush()
    }

    fn sync(&self) -> io::Result<()> {
        self.qcow2.sync()
    }

    unsafe fn invalidate_cache(&self) -> io::Result<()> {
        // Nobody else changes the image.
        Ok(())
    }

    fn resize_grow(&self, new_size: u64, mode: PreallocateMode) -> io::Result<()> {
        self.qcow2.resize_grow(new_size, mode)
    }

    fn resize_shrink(&mut self, new_size: u64) -> io::Result<()> {
        self.qcow2.resize_shrink(new_size)
    }
}
