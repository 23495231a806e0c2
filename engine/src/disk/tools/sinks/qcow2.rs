//! A qcow2 image, version 3, written from its beginning to its end: each cluster is taken when there is data for it, each L2 table
//! written when its part of the disk is done, and the counts, the L1 table and the header when all is.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use flate2::{Compress, Compression, FlushCompress, Status};
use parking_lot::Mutex;

use super::super::ToolError;
use super::super::copy::{Sink, Turn};
use crate::disk::formats::qcow2::COPIED;
use crate::disk::formats::{Format, index};

const COMPRESSED: u64 = 1 << 62;
const ZERO: u64 = 1;
/// Bytes of the header with all of its fields.
const HEADER: usize = 112;
/// The largest L1 table that QEMU takes, in entries.
const MOST_L1: u64 = (32 << 20) / 8;
/// The window of deflate that QEMU's reader has.
const WINDOW_BITS: u8 = 12;
const REFCOUNT_BITS: u64 = 16;

/// How an image is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::disk::tools) struct Qcow2Writing {
    /// Bytes of a cluster: a power of two from 512 to 2 MiB.
    pub(in crate::disk::tools) cluster_size: u64,
    /// Deflate the clusters.
    pub(in crate::disk::tools) compress: bool,
    /// The image beneath, as the header is to name it, and its format.
    pub(in crate::disk::tools) backing: Option<(String, Format)>,
}

#[derive(Debug, Default)]
struct Table {
    entries: Vec<u64>,
    /// Bytes of the disk that are accounted for.
    done: u64,
}

#[derive(Debug)]
struct State {
    /// The first byte of the file that nothing has taken.
    next: u64,
    /// Where the next compressed cluster goes: up to the next border of clusters the place is taken for it, and for no other kind.
    packed: u64,
    /// References to each cluster of the file.
    counts: Vec<u16>,
    l1: Vec<u64>,
    tables: BTreeMap<u64, Table>,
}

/// A new, empty file that becomes a qcow2 image.
pub(in crate::disk::tools) struct Qcow2Sink<'a> {
    file: &'a File,
    target: &'a Path,
    size: u64,
    writing: Qcow2Writing,
    state: Mutex<State>,
}

impl<'a> Qcow2Sink<'a> {
    /// Takes `file`, which is going to be `target`, for a disk of `size` bytes.
    pub(in crate::disk::tools) fn new(
        file: &'a File,
        target: &'a Path,
        size: u64,
        writing: Qcow2Writing,
    ) -> Result<Self, ToolError> {
        let cluster = writing.cluster_size;
        if !cluster.is_power_of_two() || !(512..=2 << 20).contains(&cluster) {
            return Err(ToolError::refused(
                target,
                format!("cannot have clusters of {cluster} bytes"),
                "choose a power of two from 512 bytes to 2 MiB",
            ));
        }
        let size = size.next_multiple_of(512);
        let entries = size.div_ceil(cluster * (cluster / 8));
        if entries > MOST_L1 {
            return Err(ToolError::refused(
                target,
                format!("cannot hold a disk of {size} bytes in clusters of {cluster}"),
                "choose larger clusters",
            ));
        }
        let state = State {
            next: cluster,
            packed: cluster,
            counts: vec![1],
            l1: vec![0; index(entries)],
            tables: BTreeMap::new(),
        };
        Ok(Self {
            file,
            target,
            size,
            writing,
            state: Mutex::new(state),
        })
    }

    fn host(&self, source: io::Error) -> ToolError {
        ToolError::from_host("write to", self.target, source)
    }

    fn put(&self, offset: u64, data: &[u8]) -> Result<(), ToolError> {
        self.file
            .write_all_at(data, offset)
            .map_err(|source| self.host(source))
    }

    fn entries(&self) -> u64 {
        self.writing.cluster_size / 8
    }

    fn covers(&self) -> u64 {
        self.writing.cluster_size * self.entries()
    }

    /// Enters what became of the clusters from `offset` on; `entry` says it for each by its number in the run. With no `entry`
    /// nothing is to be entered.
    fn enter(
        &self,
        offset: u64,
        length: u64,
        entry: Option<&dyn Fn(u64) -> u64>,
    ) -> Result<(), ToolError> {
        let (cluster, covers) = (self.writing.cluster_size, self.covers());
        let mut at = offset;
        let end = (offset + length).min(self.size);
        while at < end {
            let number = at / covers;
            let table_end = ((number + 1) * covers).min(self.size);
            let part_end = end.min(table_end);
            let whole = table_end - number * covers;
            let mut state = self.state.lock();
            if entry.is_none() && part_end - at == whole {
                at = part_end;
                continue;
            }
            let table = state.tables.entry(number).or_default();
            table.done += part_end - at;
            if let Some(entry) = entry {
                table.entries.resize(index(self.entries()), 0);
                let first = at / cluster;
                for this in first..part_end.div_ceil(cluster) {
                    let place = index(this % self.entries());
                    if let Some(place) = table.entries.get_mut(place) {
                        *place = entry(this - offset / cluster);
                    }
                }
            }
            let done = table.done >= whole;
            if done && let Some(table) = state.tables.remove(&number) {
                self.write_table(&mut state, number, &table)?;
            }
            at = part_end;
        }
        Ok(())
    }

    fn write_table(&self, state: &mut State, number: u64, table: &Table) -> Result<(), ToolError> {
        if table.entries.iter().all(|entry| *entry == 0) {
            return Ok(());
        }
        let place = state.take(self.writing.cluster_size, 1);
        if let Some(entry) = state.l1.get_mut(index(number)) {
            *entry = place | COPIED;
        }
        self.put(place, &big_endian(&table.entries))
    }

    fn write_plain(&self, offset: u64, data: &[u8]) -> Result<(), ToolError> {
        let cluster = self.writing.cluster_size;
        let count = (data.len() as u64).div_ceil(cluster);
        let place = self.state.lock().take(cluster, count);
        self.put(place, data)?;
        self.enter(
            offset,
            data.len() as u64,
            Some(&|number| (place + number * cluster) | COPIED),
        )
    }

    fn write_compressed(&self, offset: u64, data: &[u8]) -> Result<(), ToolError> {
        let cluster = index(self.writing.cluster_size);
        let mut deflate = Compress::new_with_window_bits(Compression::new(6), false, WINDOW_BITS);
        // What does not become smaller by a sector is kept as it is.
        let mut packed = vec![0; cluster.saturating_sub(512)];
        let mut padded = Vec::new();
        for (number, part) in data.chunks(cluster).enumerate() {
            let place = offset + (number * cluster) as u64;
            let mut whole = part;
            if part.len() < cluster {
                padded = part.to_vec();
                padded.resize(cluster, 0);
            }
            if !padded.is_empty() {
                whole = &padded;
            }
            deflate.reset();
            let status = deflate.compress(whole, &mut packed, FlushCompress::Finish);
            let length = index(deflate.total_out());
            match status {
                Ok(Status::StreamEnd) => {
                    self.place_compressed(place, packed.get(..length).unwrap_or_default())?;
                }
                _ => self.write_plain(place, part)?,
            }
        }
        Ok(())
    }

    fn place_compressed(&self, offset: u64, packed: &[u8]) -> Result<(), ToolError> {
        let cluster = self.writing.cluster_size;
        let length = packed.len() as u64;
        let place = {
            let mut state = self.state.lock();
            let place = state.take_packed(cluster, length);
            let first = place & !511;
            let end = (place + length).next_multiple_of(512);
            for touched in first / cluster..end.div_ceil(cluster) {
                state.refer(touched);
            }
            place
        };
        self.put(place, packed)?;
        let bits = 62 - (cluster.trailing_zeros() - 8);
        let sectors = (place + length - 1) / 512 - place / 512;
        let entry = COMPRESSED | sectors << bits | place;
        self.enter(offset, cluster, Some(&|_| entry))
    }

    /// Takes clusters for the whole disk, which then needs no more while it is used.
    pub(in crate::disk::tools) fn preallocate(&self) -> Result<(), ToolError> {
        let cluster = self.writing.cluster_size;
        let mut at = 0;
        while at < self.size {
            let length = self.covers().min(self.size - at);
            let place = self.state.lock().take(cluster, length.div_ceil(cluster));
            self.enter(
                at,
                length,
                Some(&|number| (place + number * cluster) | COPIED),
            )?;
            at += length;
        }
        Ok(())
    }

    /// Writes what refers to all that was written; the length of the file.
    pub(in crate::disk::tools) fn finish(self) -> Result<u64, ToolError> {
        let cluster = self.writing.cluster_size;
        let mut state = self.state.lock();
        while let Some((number, table)) = state.tables.pop_first() {
            self.write_table(&mut state, number, &table)?;
        }
        let l1_clusters = (state.l1.len() as u64 * 8).div_ceil(cluster).max(1);
        let l1_offset = state.take(cluster, l1_clusters);
        self.put(l1_offset, &big_endian(&state.l1))?;
        // The counts count themselves.
        let per_block = cluster * 8 / REFCOUNT_BITS;
        let before = state.next.div_ceil(cluster);
        let (mut blocks, mut table) = (0, 0);
        loop {
            let needed = (before + blocks + table).div_ceil(per_block);
            let needed_table = (needed * 8).div_ceil(cluster);
            if (needed, needed_table) == (blocks, table) {
                break;
            }
            (blocks, table) = (needed, needed_table);
        }
        let table_offset = state.take(cluster, table);
        let blocks_offset = state.take(cluster, blocks);
        let places: Vec<u64> = (0..blocks)
            .map(|number| blocks_offset + number * cluster)
            .collect();
        self.put(table_offset, &big_endian(&places))?;
        for (place, counts) in places.iter().zip(state.counts.chunks(index(per_block))) {
            let bytes: Vec<u8> = counts
                .iter()
                .flat_map(|count| count.to_be_bytes())
                .collect();
            self.put(*place, &bytes)?;
        }
        let length = state.next;
        self.file
            .set_len(length)
            .map_err(|source| self.host(source))?;
        let header = self.header(&state, l1_offset, table_offset, table)?;
        self.put(0, &header)?;
        Ok(length)
    }

    fn header(
        &self,
        state: &State,
        l1_offset: u64,
        table_offset: u64,
        table_clusters: u64,
    ) -> Result<Vec<u8>, ToolError> {
        let mut header = vec![0; HEADER];
        let mut set = |at: usize, bytes: &[u8]| {
            if let Some(place) = header.get_mut(at..at + bytes.len()) {
                place.copy_from_slice(bytes);
            }
        };
        let word = |number: u64| u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes();
        set(0, b"QFI\xfb");
        set(4, &word(3));
        set(
            20,
            &self.writing.cluster_size.trailing_zeros().to_be_bytes(),
        );
        set(24, &self.size.to_be_bytes());
        set(36, &word(state.l1.len() as u64));
        set(40, &l1_offset.to_be_bytes());
        set(48, &table_offset.to_be_bytes());
        set(56, &word(table_clusters));
        set(96, &word(4));
        set(100, &word(HEADER as u64));
        write_names(&mut header, self.writing.backing.as_ref());
        if header.len() as u64 > self.writing.cluster_size {
            return Err(ToolError::refused(
                self.target,
                "cannot keep so long a name of its backing file in its first cluster",
                "choose larger clusters, or a shorter path",
            ));
        }
        Ok(header)
    }
}

/// Appends the extensions to a header, and the backing file's name.
pub(in crate::disk::tools) fn write_names(
    header: &mut Vec<u8>,
    backing: Option<&(String, Format)>,
) {
    let extension = |header: &mut Vec<u8>, kind: u32, data: &[u8]| {
        header.extend(kind.to_be_bytes());
        header.extend(u32::try_from(data.len()).unwrap_or(u32::MAX).to_be_bytes());
        header.extend(data);
        header.resize(header.len().next_multiple_of(8), 0);
    };
    if let Some((_, format)) = backing {
        let name = if *format == Format::Vhd {
            "vpc"
        } else {
            format.name()
        };
        extension(header, 0xe279_2aca, name.as_bytes());
    }
    extension(header, 0, &[]);
    if let Some((name, _)) = backing {
        let place = (header.len() as u64).to_be_bytes();
        let length = u32::try_from(name.len()).unwrap_or(u32::MAX).to_be_bytes();
        if let Some(fields) = header.get_mut(8..20) {
            let (offset, rest) = fields.split_at_mut(8);
            offset.copy_from_slice(&place);
            rest.copy_from_slice(&length);
        }
        header.extend(name.as_bytes());
    }
}

impl State {
    /// One more reference to a cluster.
    fn refer(&mut self, cluster: u64) {
        let cluster = index(cluster);
        if self.counts.len() <= cluster {
            self.counts.resize(cluster + 1, 0);
        }
        if let Some(count) = self.counts.get_mut(cluster) {
            *count = count.saturating_add(1);
        }
    }

    /// Takes clusters that lie side by side.
    fn take(&mut self, cluster: u64, count: u64) -> u64 {
        let place = self.next;
        self.next = place + count * cluster;
        self.counts.resize(index(place / cluster), 0);
        self.counts.resize(index(self.next / cluster), 1);
        place
    }

    /// Takes `length` bytes, less than a cluster, right after the last compressed cluster, where they fit in what is left there or
    /// the file goes on behind it. Compressed clusters have clusters of the file to themselves: were they to lie wherever
    /// something else ended, each would cost as much as a whole one once threads write both kinds in turn.
    fn take_packed(&mut self, cluster: u64, length: u64) -> u64 {
        let end = self.packed.next_multiple_of(cluster);
        if length > end - self.packed {
            if self.next != end {
                self.packed = self.next;
            }
            // Who refers to it counts it.
            self.next += cluster;
        }
        let place = self.packed;
        self.packed += length;
        place
    }
}

fn big_endian(entries: &[u64]) -> Vec<u8> {
    entries
        .iter()
        .flat_map(|entry| entry.to_be_bytes())
        .collect()
}

impl Sink for Qcow2Sink<'_> {
    fn granule(&self) -> u64 {
        self.writing.cluster_size
    }

    fn file(&self) -> (&File, &Path) {
        (self.file, self.target)
    }

    fn write(&self, _turn: &Turn<'_>, offset: u64, data: &[u8]) -> Result<(), ToolError> {
        if self.writing.compress {
            self.write_compressed(offset, data)
        } else {
            self.write_plain(offset, data)
        }
    }

    fn zeros(&self, _turn: &Turn<'_>, offset: u64, length: u64) -> Result<(), ToolError> {
        // Over another image, zeros must hide what that one has.
        let hides = self.writing.backing.is_some();
        self.enter(offset, length, hides.then_some(&|_| ZERO))
    }

    fn absent(&self, _turn: &Turn<'_>, offset: u64, length: u64) -> Result<(), ToolError> {
        self.enter(offset, length, None)
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::disk::tools::tests::{Folder, assert_sound, content};

    /// Two threads bring what deflates well and what does not at all in turn: neither may cost the other place.
    #[test]
    fn clusters_of_both_kinds_in_turn_leave_no_gaps() {
        const CLUSTER: usize = 64 << 10;
        const COUNT: usize = 64;
        let folder = Folder::new();
        let path = folder.path("mixed.qcow2");
        let mut state = 1_u64;
        let disk: Vec<u8> = (0..COUNT * CLUSTER)
            .map(|number| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                match number / CLUSTER % 2 {
                    0 => state.to_be_bytes()[0],
                    _ => b"a text that repeats "[number % 20],
                }
            })
            .collect();
        let file = File::create_new(&path).unwrap();
        let writing = Qcow2Writing {
            cluster_size: CLUSTER as u64,
            compress: true,
            backing: None,
        };
        let sink = Qcow2Sink::new(&file, &path, disk.len() as u64, writing).unwrap();
        for (number, cluster) in disk.chunks(CLUSTER).enumerate() {
            sink.write_compressed((number * CLUSTER) as u64, cluster)
                .unwrap();
        }
        let length = sink.finish().unwrap();
        // Noise, all the text in one cluster, and the header, two tables and the counts.
        let clusters = length / CLUSTER as u64;
        assert!(clusters <= COUNT as u64 / 2 + 6, "{clusters}");
        assert!(content("qcow2", &path) == disk);
        assert_sound(&path);
    }
}
