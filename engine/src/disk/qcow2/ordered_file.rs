//! The file under the format's library, which makes writes reach the device in an order that a crash cannot turn into damage.
//!
//! imago writes an L1 entry as soon as it has a new L2 table, long before the reference counts of both; and it writes changed
//! reference counts and L2 tables one after the other without waiting for the device. Killed at the wrong time, the image then has
//! clusters in use that count as free, and the next machine that opens it gives them out a second time. So here:
//!
//! - Entries of the L1 table and of the reference count table are held back: the latter until an L2 table is written, the former
//!   until the whole image is flushed ([`OrderedFile::finish_flush`]). Holding them back also means that a full or failing host
//!   cannot leave the library believing in an entry that is not there.
//! - Between a write to an L2 table and a write to anything else, in either direction, everything is brought to the device. Data
//!   and counts are so on it before a table refers to them, and a table has forgotten a cluster before it is given out again.
//!
//! What a crash leaves is then at worst clusters that count as used and are not.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use imago::Storage;
use imago::io_buffers::{IoVector, IoVectorMut};
use imago::storage::drivers::CommonStorageHelper;
use parking_lot::Mutex;

use super::header::Header;
use super::host_file::{HostFile, Positioned};

/// Bytes at the start of the header that the library may rewrite: all of the version 3 header's fields.
const HEADER_FIELDS: u64 = 112;
/// The bits of an L1 or reference count table entry that hold an offset.
const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
/// Zeros are written in pieces of this many bytes where the file system cannot make a hole.
const ZEROS: usize = 64 << 10;

/// The file of a qcow2 image. Clones are the same file.
#[derive(Debug, Clone)]
pub(super) struct OrderedFile(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: Box<dyn HostFile>,
    path: PathBuf,
    cluster_size: u64,
    read_only: bool,
    state: Mutex<State>,
    helper: CommonStorageHelper,
}

/// What was written since the device last had everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unsynced {
    Nothing,
    L2Tables,
    Other,
}

#[derive(Debug)]
struct State {
    unsynced: Unsynced,
    /// Counts writes, so that a sync beside them knows whether it saw all.
    writes: u64,
    /// Where the L1 table is in the file.
    l1: Range<u64>,
    /// Where the reference count table is in the file.
    refcount_table: Range<u64>,
    /// Where L2 tables are that an L1 entry refers to, written or held back.
    l2_tables: HashSet<u64>,
    /// Entries held back, by their place in the file.
    held_l1: BTreeMap<u64, [u8; 8]>,
    held_refcount_table: BTreeMap<u64, [u8; 8]>,
    /// The library has not finished opening the image; it may rewrite the whole header.
    opening: bool,
    /// The device failed to store something. The kernel forgets that it did, so no later sync can be believed.
    lost: bool,
}

impl OrderedFile {
    /// Takes the file whose header is `header`.
    pub(super) fn new(
        file: Box<dyn HostFile>,
        path: PathBuf,
        header: &Header,
        read_only: bool,
    ) -> io::Result<Self> {
        let mut state = State {
            unsynced: Unsynced::Nothing,
            writes: 0,
            l1: 0..0,
            refcount_table: 0..0,
            l2_tables: HashSet::new(),
            held_l1: BTreeMap::new(),
            held_refcount_table: BTreeMap::new(),
            opening: true,
            lost: false,
        };
        if !read_only {
            state.find_tables(header);
        }
        let file = Self(Arc::new(Inner {
            file,
            path,
            cluster_size: header.cluster_size,
            read_only,
            state: Mutex::new(state),
            helper: CommonStorageHelper::default(),
        }));
        if !read_only {
            file.find_l2_tables(header)?;
        }
        Ok(file)
    }

    /// From now on the header's fields alone may change.
    pub(super) fn opened(&self) {
        self.0.state.lock().opening = false;
    }

    fn find_l2_tables(&self, header: &Header) -> io::Result<()> {
        let length = usize::try_from(header.l1_length).map_err(io::Error::other)?;
        let mut table = vec![0; length];
        self.0.read(&mut table, header.l1_offset)?;
        let (entries, _) = table.as_chunks::<8>();
        self.0.state.lock().l2_tables = entries
            .iter()
            .map(|entry| u64::from_be_bytes(*entry) & OFFSET)
            .filter(|offset| *offset != 0)
            .collect();
        Ok(())
    }

    /// Brings everything written to the device, without holding up writes meanwhile.
    pub(super) fn sync_beside_writes(&self) -> io::Result<()> {
        let writes = {
            let state = self.0.state.lock();
            if state.lost {
                return Err(crate::disk::lost_writes());
            }
            if state.unsynced == Unsynced::Nothing {
                return Ok(());
            }
            state.writes
        };
        let result = self.0.file.sync();
        let mut state = self.0.state.lock();
        if let Err(source) = result {
            state.lost = true;
            return Err(crate::disk::sync_failed(&source));
        }
        if state.writes == writes {
            state.unsynced = Unsynced::Nothing;
        }
        Ok(())
    }

    /// Ends a flush: everything that the library wrote, then the L1 entries that refer to it. What fails stays held back, and is
    /// tried again by the next flush.
    pub(super) fn finish_flush(&self) -> io::Result<()> {
        let inner = &self.0;
        let mut state = inner.state.lock();
        inner.apply_refcount_table(&mut state)?;
        inner.sync(&mut state)?;
        if state.held_l1.is_empty() {
            return Ok(());
        }
        for (offset, entry) in &state.held_l1 {
            inner.file.write(entry, *offset)?;
        }
        state.held_l1.clear();
        state.wrote(Unsynced::Other);
        inner.sync(&mut state)
    }
}

impl State {
    fn find_tables(&mut self, header: &Header) {
        self.l1 = header.l1_offset..header.l1_offset.saturating_add(header.l1_length);
        self.refcount_table = header.refcount_table_offset
            ..header
                .refcount_table_offset
                .saturating_add(header.refcount_table_length);
    }

    fn wrote(&mut self, what: Unsynced) {
        self.unsynced = what;
        self.writes = self.writes.wrapping_add(1);
    }
}

impl Inner {
    /// Fills `data`. What lies behind the end of the file reads as zeros only as far as the file's last cluster goes.
    fn read(&self, mut data: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !data.is_empty() {
            match self.file.read(data, offset) {
                Ok(0) => return self.read_behind_end(data, offset),
                Ok(count) => {
                    data = data.get_mut(count..).unwrap_or_default();
                    offset = offset.saturating_add(count as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn read_behind_end(&self, data: &mut [u8], offset: u64) -> io::Result<()> {
        let length = self.file.length()?;
        let end = length
            .checked_next_multiple_of(self.cluster_size)
            .unwrap_or(length);
        if offset
            .checked_add(data.len() as u64)
            .is_none_or(|last| last > end)
        {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!(
                    "the file ends at {length} bytes, before data that it should hold; it was truncated or copied in part only, restore it from a backup"
                ),
            ));
        }
        data.fill(0);
        Ok(())
    }

    fn sync(&self, state: &mut State) -> io::Result<()> {
        if state.lost {
            return Err(crate::disk::lost_writes());
        }
        if state.unsynced != Unsynced::Nothing {
            self.file.sync().map_err(|source| {
                state.lost = true;
                crate::disk::sync_failed(&source)
            })?;
            state.unsynced = Unsynced::Nothing;
        }
        Ok(())
    }

    fn apply_refcount_table(&self, state: &mut State) -> io::Result<()> {
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
    fn hold_back(&self, state: &mut State, bufv: &IoVector<'_>, offset: u64) -> bool {
        let is_l1 = state.l1.contains(&offset);
        if bufv.len() != 8 || !(is_l1 || state.refcount_table.contains(&offset)) {
            return false;
        }
        let mut entry = [0; 8];
        bufv.copy_into_slice(&mut entry);
        if is_l1 {
            state.held_l1.insert(offset, entry);
            state.l2_tables.insert(u64::from_be_bytes(entry) & OFFSET);
        } else {
            state.held_refcount_table.insert(offset, entry);
        }
        true
    }

    /// Puts what must be on the device before a write of `length` bytes at `offset` there, and says what kind of write it is.
    fn prepare_write(&self, state: &mut State, offset: u64, length: u64) -> io::Result<Unsynced> {
        let end = offset
            .checked_add(length)
            .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        let overlaps = |range: &Range<u64>| offset < range.end && range.start < end;
        let header = 0..self.cluster_size;
        if end <= HEADER_FIELDS || (state.opening && end <= header.end) {
            self.apply_refcount_table(state)?;
            self.sync(state)?;
            return Ok(Unsynced::Other);
        }
        if overlaps(&header) || overlaps(&state.l1) || overlaps(&state.refcount_table) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the image is damaged: it keeps data where its own tables are; restore it from a backup or repair it with `qemu-img check -r all`",
            ));
        }
        if length == self.cluster_size && state.l2_tables.contains(&offset) {
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
    fn header_changed(&self, state: &mut State) -> io::Result<()> {
        let header = Header::read(&Positioned(&*self.file), self.file.length()?)
            .map_err(|error| io::Error::other(error.at(&self.path)))?;
        state.find_tables(&header);
        let (l1, refcounts) = (state.l1.clone(), state.refcount_table.clone());
        state.held_l1.retain(|offset, _| l1.contains(offset));
        state
            .held_refcount_table
            .retain(|offset, _| refcounts.contains(offset));
        Ok(())
    }

    fn write(&self, bufv: IoVector<'_>, mut offset: u64) -> io::Result<()> {
        if self.read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        let mut state = self.state.lock();
        if self.hold_back(&mut state, &bufv, offset) {
            return Ok(());
        }
        let kind = self.prepare_write(&mut state, offset, bufv.len())?;
        let header_changed = offset < HEADER_FIELDS;
        state.wrote(kind);
        for slice in bufv.into_inner() {
            self.file.write(&slice, offset)?;
            offset = offset.saturating_add(slice.len() as u64);
        }
        if header_changed {
            self.header_changed(&mut state)?;
        }
        Ok(())
    }

    fn write_zeros(&self, mut offset: u64, length: u64) -> io::Result<()> {
        if self.read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        let mut state = self.state.lock();
        let kind = self.prepare_write(&mut state, offset, length)?;
        state.wrote(kind);
        let end = offset.saturating_add(length);
        let file_end = self.file.length()?;
        let inside = end.min(file_end);
        if offset < inside && !self.file.punch(offset, inside - offset)? {
            let zeros = [0; ZEROS];
            while offset < inside {
                let piece = (inside - offset).min(ZEROS as u64);
                let count = usize::try_from(piece).unwrap_or(ZEROS);
                self.file
                    .write(zeros.get(..count).unwrap_or(&zeros), offset)?;
                offset = offset.saturating_add(piece);
            }
        }
        if end > file_end {
            self.file.set_length(end)?;
        }
        Ok(())
    }
}

impl fmt::Display for OrderedFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0.path.display())
    }
}

#[expect(
    unsafe_code,
    reason = "the trait makes these methods unsafe to call; no operation in them is"
)]
impl Storage for OrderedFile {
    fn size(&self) -> io::Result<u64> {
        self.0.file.length()
    }

    unsafe fn pure_readv(&self, bufv: IoVectorMut<'_>, mut offset: u64) -> io::Result<()> {
        for mut slice in bufv.into_inner() {
            self.0.read(&mut slice, offset)?;
            offset = offset.saturating_add(slice.len() as u64);
        }
        Ok(())
    }

    unsafe fn pure_writev(&self, bufv: IoVector<'_>, offset: u64) -> io::Result<()> {
        self.0.write(bufv, offset)
    }

    unsafe fn pure_write_zeroes(&self, offset: u64, length: u64) -> io::Result<()> {
        self.0.write_zeros(offset, length)
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.0.state.lock();
        self.0.sync(&mut state)
    }

    unsafe fn invalidate_cache(&self) -> io::Result<()> {
        // Nothing read is kept here, and what is held back must not be forgotten.
        Ok(())
    }

    fn get_storage_helper(&self) -> &CommonStorageHelper {
        &self.0.helper
    }
}
