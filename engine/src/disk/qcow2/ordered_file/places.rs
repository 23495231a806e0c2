//! Where an image keeps its tables, and what must not be written over them.

use std::io;
use std::ops::Range;
use std::sync::atomic::Ordering;

use super::super::header::Header;
use super::{Inner, OFFSET, Places, damaged, read_whole};

impl Places {
    /// Whether something there is not the guest's.
    pub(super) fn meets(&self, offset: u64, end: u64, cluster_size: u64) -> bool {
        let overlaps = |range: &Range<u64>| offset < range.end && range.start < end;
        overlaps(&(0..cluster_size)) || overlaps(&self.l1) || overlaps(&self.refcount_table)
    }
}

impl Inner {
    pub(super) fn find_places(&self, header: &Header) -> io::Result<()> {
        let l1 = self.table(header.l1_offset, header.l1_length)?;
        let refcounts = self.table(header.refcount_table_offset, header.refcount_table_length)?;
        let mut places = self.places.write();
        places.l1 = header.l1_offset..header.l1_offset.saturating_add(header.l1_length);
        places.refcount_table = header.refcount_table_offset
            ..header
                .refcount_table_offset
                .saturating_add(header.refcount_table_length);
        places.l2_tables.extend(l1);
        places.refcount_blocks.extend(refcounts);
        Ok(())
    }

    /// Refuses an image whose tables lie over one another or count as free: what is written would go over them.
    pub(super) fn check_places(&self, header: &Header) -> io::Result<()> {
        let refuse = |what: &str| Err(io::Error::new(io::ErrorKind::InvalidData, what.to_owned()));
        let places = self.places.read();
        let tables = self.table(header.l1_offset, header.l1_length)?;
        if tables.count() != places.l2_tables.len() {
            return refuse("two parts of the disk share a table");
        }
        let mut counts = vec![0; usize::try_from(header.refcount_table_length).unwrap_or(0)];
        read_whole(
            &*self.file,
            &mut counts,
            header.refcount_table_offset,
            self.cluster_size,
        )?;
        let fixed = [0..1, places.l1.clone(), places.refcount_table.clone()]
            .into_iter()
            .flat_map(|range| range.step_by(usize::try_from(self.cluster_size).unwrap_or(1 << 21)));
        let tables = places.l2_tables.iter().chain(&places.refcount_blocks);
        for offset in fixed.chain(tables.copied()) {
            if !offset.is_multiple_of(self.cluster_size) {
                return refuse("a table is in an impossible place");
            }
            if places.l2_tables.contains(&offset) && places.refcount_blocks.contains(&offset)
                || (places.meets(offset, offset.saturating_add(1), self.cluster_size)
                    && (places.l2_tables.contains(&offset)
                        || places.refcount_blocks.contains(&offset)))
            {
                return refuse("two of its tables are in one place");
            }
            if !self.is_counted(&counts, offset / self.cluster_size)? {
                return refuse("a table that is in use counts as free");
            }
        }
        Ok(())
    }

    /// Whether a cluster has a reference count; `table` is the reference count table.
    fn is_counted(&self, table: &[u8], cluster: u64) -> io::Result<bool> {
        let per_block = (self.cluster_size * 8) >> self.refcount_order;
        let block = usize::try_from(cluster / per_block)
            .ok()
            .and_then(|index| table.get(index.checked_mul(8)?..)?.first_chunk::<8>())
            .map_or(0, |entry| u64::from_be_bytes(*entry) & OFFSET);
        if block == 0 {
            return Ok(false);
        }
        let bit = (cluster % per_block) << self.refcount_order;
        let mut bytes = [0; 8];
        let width = 1 << self.refcount_order.saturating_sub(3).min(3);
        let count = bytes.get_mut(..width).unwrap_or_default();
        read_whole(
            &*self.file,
            count,
            block.saturating_add(bit / 8),
            self.cluster_size,
        )?;
        Ok(if self.refcount_order < 3 {
            let mask = (1_u8 << (1 << self.refcount_order)) - 1;
            (bytes[0] >> (bit % 8)) & mask != 0
        } else {
            bytes != [0; 8]
        })
    }

    /// The offsets in a table's entries.
    fn table(&self, offset: u64, length: u64) -> io::Result<impl Iterator<Item = u64> + use<>> {
        let mut table = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        // Straight from the file: no table is among the blocks that are held back, and those may be locked.
        read_whole(&*self.file, &mut table, offset, self.cluster_size)?;
        let mut at = 0;
        Ok(std::iter::from_fn(move || {
            let entry: &[u8; 8] = table.get(at..)?.first_chunk()?;
            at += 8;
            Some(u64::from_be_bytes(*entry) & OFFSET)
        })
        .filter(|offset| *offset != 0))
    }

    /// Refuses to write data where the image keeps its tables, or far behind the end of the file.
    pub(super) fn check_data(&self, offset: u64, length: u64) -> io::Result<()> {
        if self.data_file.is_some() {
            return Ok(());
        }
        let end = offset.checked_add(length).ok_or_else(damaged)?;
        let places = self.places.read();
        let mut cluster = offset - offset % self.cluster_size;
        let mut hit = places.meets(offset, end, self.cluster_size);
        while cluster < end && !hit {
            hit = places.l2_tables.contains(&cluster) || places.refcount_blocks.contains(&cluster);
            cluster = cluster.saturating_add(self.cluster_size);
        }
        drop(places);
        if hit {
            return Err(damaged());
        }
        if end > self.length.load(Ordering::Relaxed) {
            let length = self
                .file
                .length()?
                .checked_next_multiple_of(self.cluster_size)
                .ok_or_else(damaged)?;
            self.length.store(length, Ordering::Relaxed);
            if end > length {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the file ends before data that it should hold; it was truncated or copied in part only, restore it from a backup",
                ));
            }
        }
        Ok(())
    }
}
