//! What has to be on the device before something else is written, and what is held back until it may be.

use std::io;
use std::sync::atomic::Ordering;

use imago::io_buffers::IoVector;

use super::{
    HEADER_FIELDS, Inner, OFFSET, SIZE_FIELD, State, Unsynced, damaged, field, read_whole,
};
use crate::disk::qcow2::header::Header;
use crate::disk::qcow2::host_file::Positioned;
use crate::disk::qcow2::reference_counts;

impl State {
    pub(super) fn wrote(&mut self, what: Unsynced) {
        self.unsynced = what;
        self.writes = self.writes.wrapping_add(1);
    }
}

impl Inner {
    pub(super) fn apply_header(&self, state: &mut State) -> io::Result<()> {
        let Some(fields) = &mut state.held_header else {
            return Ok(());
        };
        let changed = !fields.is_empty();
        for (offset, bytes) in fields.iter() {
            let mut bytes = bytes.clone();
            if let Some(size) = state.size_held
                && let Some(field) = field(&mut bytes, *offset, SIZE_FIELD)
            {
                *field = size.to_be_bytes();
            }
            self.file.write(&bytes, *offset)?;
        }
        if state.size_held.is_some() {
            fields.retain_mut(|(offset, bytes)| field(bytes, *offset, SIZE_FIELD).is_some());
        } else {
            state.held_header = None;
        }
        if changed {
            state.wrote(Unsynced::Other);
            self.sync(state)?;
            self.header_changed(state)?;
        }
        Ok(())
    }

    pub(super) fn apply_refcount_table(&self, state: &mut State) -> io::Result<()> {
        if state.held_refcount_table.is_empty() {
            return Ok(());
        }
        if state.unsynced == Unsynced::L2Tables {
            self.sync(state)?;
        }
        for (offset, entry) in &state.held_refcount_table {
            self.file.write(entry, *offset)?;
        }
        state.held_refcount_table.clear();
        state.wrote(Unsynced::Other);
        Ok(())
    }

    /// Holds an entry back if it is one of those.
    pub(super) fn hold_back(&self, state: &mut State, bufv: &IoVector<'_>, offset: u64) -> bool {
        if bufv.len() != 8 {
            return false;
        }
        let mut places = self.places.write();
        let is_l1 = places.l1.contains(&offset);
        if !(is_l1 || places.refcount_table.contains(&offset)) {
            return false;
        }
        let mut entry = [0; 8];
        bufv.copy_into_slice(&mut entry);
        let target = u64::from_be_bytes(entry) & OFFSET;
        if is_l1 {
            state.held_l1.insert(offset, entry);
            places.l2_tables.insert(target);
        } else {
            state.held_refcount_table.insert(offset, entry);
            places.refcount_blocks.insert(target);
        }
        true
    }

    /// Puts what must be on the device before a write of `length` bytes at `offset` there, and says what kind of write it is.
    pub(super) fn prepare_write(
        &self,
        state: &mut State,
        offset: u64,
        length: u64,
    ) -> io::Result<Unsynced> {
        let end = offset
            .checked_add(length)
            .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        if end <= HEADER_FIELDS || (state.opening && end <= self.cluster_size) {
            self.apply_refcount_table(state)?;
            self.sync(state)?;
            return Ok(Unsynced::Other);
        }
        let (hit, is_l2) = {
            let places = self.places.read();
            (
                places.meets(offset, end, self.cluster_size),
                length == self.cluster_size && places.l2_tables.contains(&offset),
            )
        };
        if hit {
            return Err(damaged());
        }
        if is_l2 {
            self.apply_refcount_table(state)?;
            if state.unsynced == Unsynced::Other {
                self.sync(state)?;
            }
            return Ok(Unsynced::L2Tables);
        }
        if state.unsynced == Unsynced::L2Tables {
            self.sync(state)?;
        }
        Ok(Unsynced::Other)
    }

    /// The library moved a table: it has written the new one whole, and now the header that names it.
    pub(super) fn header_changed(&self, state: &mut State) -> io::Result<()> {
        let header = Header::read(&Positioned(&*self.file), self.file.length()?)
            .map_err(|error| io::Error::other(error.at(&self.path)))?;
        self.find_places(&header)?;
        let places = self.places.read();
        state.held_l1.retain(|offset, _| places.l1.contains(offset));
        state
            .held_refcount_table
            .retain(|offset, _| places.refcount_table.contains(offset));
        Ok(())
    }

    /// Writes a reference count block, but for the counts that became smaller: those wait. True if that was all.
    pub(super) fn write_counts(
        &self,
        state: &mut State,
        bufv: &IoVector<'_>,
        offset: u64,
    ) -> io::Result<bool> {
        let is_block =
            bufv.len() == self.cluster_size && self.places.read().refcount_blocks.contains(&offset);
        if !is_block {
            return Ok(false);
        }
        let length = usize::try_from(self.cluster_size).map_err(io::Error::other)?;
        let (mut block, mut merged) = (vec![0; length], vec![0; length]);
        bufv.copy_into_slice(&mut block);
        read_whole(&*self.file, &mut merged, offset, self.cluster_size)?;
        let changed = reference_counts::raise(&mut merged, &block, self.refcount_order);
        if changed {
            let kind = self.prepare_write(state, offset, bufv.len())?;
            state.wrote(kind);
            self.file.write(&merged, offset)?;
        }
        if merged == block {
            state.held_counts.remove(&offset);
        } else {
            state.held_counts.insert(offset, block);
        }
        self.counts_held
            .store(!state.held_counts.is_empty(), Ordering::Release);
        Ok(true)
    }
}
