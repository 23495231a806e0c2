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
//! - Reference counts that become smaller are held back (`reference_counts.rs`) until everything that no longer refers to the
//!   clusters is on the device. Of what internal snapshots share, the old table may be the one that counts after a crash.
//! - While the disk grows the header's fields are held back too, until what they name is on the device.
//!
//! What a crash leaves is then at worst clusters that count as used and are not.

mod order;
mod places;

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use imago::io_buffers::IoVector;
use parking_lot::{Mutex, RwLock};

use super::header::{Header, INCOMPATIBLE_FEATURES};
use super::host_file::HostFile;
use crate::memory::GuestBuffer;

/// Bytes at the start of the header that the library may rewrite: all of the version 3 header's fields.
const HEADER_FIELDS: u64 = 112;
/// Where in the header the disk's size is.
const SIZE_FIELD: u64 = 24;
/// The bits of an L1 or reference count table entry that hold an offset.
pub(super) const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
/// Zeros are written in pieces of this many bytes where the file system cannot make a hole.
const ZEROS: usize = 64 << 10;

/// The file of a qcow2 image. Clones are the same file.
#[derive(Debug, Clone)]
pub(super) struct OrderedFile(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: Box<dyn HostFile>,
    /// What holds the guest's data, if the image keeps that in another file.
    data_file: Option<Box<dyn HostFile>>,
    path: PathBuf,
    cluster_size: u64,
    refcount_order: u32,
    /// Features that the library does not know and need not: hidden from it.
    hidden_features: u64,
    read_only: bool,
    state: Mutex<State>,
    places: RwLock<Places>,
    /// Data was written beside the library since the device last had everything.
    data_written: AtomicBool,
    /// It was said that the file is deleted.
    told_deleted: AtomicBool,
    /// Whether `State::held_counts` holds something.
    counts_held: AtomicBool,
    /// The file's length when somebody last asked, in whole clusters; it only grows.
    length: AtomicU64,
}

/// What was written since the device last had everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unsynced {
    Nothing,
    L2Tables,
    Other,
}

/// Where the image keeps its tables.
#[derive(Debug, Default)]
struct Places {
    l1: Range<u64>,
    refcount_table: Range<u64>,
    /// L2 tables that an L1 entry refers to, written or held back.
    l2_tables: HashSet<u64>,
    /// Reference count blocks that the reference count table refers to.
    refcount_blocks: HashSet<u64>,
}

#[derive(Debug)]
struct State {
    unsynced: Unsynced,
    /// Counts writes, so that a sync beside them knows whether it saw all.
    writes: u64,
    /// Entries held back, by their place in the file.
    held_l1: BTreeMap<u64, [u8; 8]>,
    held_refcount_table: BTreeMap<u64, [u8; 8]>,
    /// Reference count blocks as the library knows them, of which the file has larger counts; by their place in the file.
    held_counts: BTreeMap<u64, Vec<u8>>,
    /// Header fields, in the order they were written, while the disk grows.
    held_header: Option<Vec<(u64, Vec<u8>)>>,
    /// The disk's size that stays in the header meanwhile.
    size_held: Option<u64>,
    /// The library has not finished opening the image; it may rewrite the whole header.
    opening: bool,
    /// The device failed to store something. The kernel forgets that it did, so no later sync can be believed.
    lost: bool,
}

impl OrderedFile {
    /// Takes the file whose header is `header`, and the one that holds its data if that is another.
    pub(super) fn new(
        file: Box<dyn HostFile>,
        data_file: Option<Box<dyn HostFile>>,
        path: PathBuf,
        header: &Header,
        read_only: bool,
    ) -> io::Result<Self> {
        let inner = Inner {
            file,
            data_file,
            path,
            cluster_size: header.cluster_size,
            refcount_order: header.refcount_order,
            hidden_features: header.hidden_features(read_only),
            read_only,
            state: Mutex::new(State {
                unsynced: Unsynced::Nothing,
                writes: 0,
                held_l1: BTreeMap::new(),
                held_refcount_table: BTreeMap::new(),
                held_counts: BTreeMap::new(),
                held_header: None,
                size_held: None,
                opening: true,
                lost: false,
            }),
            places: RwLock::default(),
            data_written: AtomicBool::new(false),
            told_deleted: AtomicBool::new(false),
            counts_held: AtomicBool::new(false),
            length: AtomicU64::new(0),
        };
        if !read_only {
            inner.find_places(header)?;
            inner.check_places(header)?;
        }
        Ok(Self(Arc::new(inner)))
    }

    /// From now on the header's fields alone may change.
    pub(super) fn opened(&self) {
        self.0.state.lock().opening = false;
    }

    /// What the library calls the file.
    pub(super) fn path(&self) -> &std::path::Path {
        &self.0.path
    }

    /// The length of the file that holds the tables.
    pub(super) fn length(&self) -> io::Result<u64> {
        self.0.file.length()
    }

    /// Fills `data` from the file that holds the tables.
    pub(super) fn read(&self, data: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read(data, offset)
    }

    /// Writes what the library wants in the file that holds the tables.
    pub(super) fn write(&self, data: IoVector<'_>, offset: u64) -> io::Result<()> {
        self.0.write(data, offset)
    }

    /// Zeros for the library in the file that holds the tables.
    pub(super) fn write_zeros(&self, offset: u64, length: u64) -> io::Result<()> {
        self.0.write_zeros(offset, length)
    }

    /// Brings everything to the device.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.0.sync(&mut self.0.state.lock())
    }

    // --- Data, past the library ------------------------------------------------------------------------------------------------

    fn data(&self) -> &dyn HostFile {
        self.0.data_file.as_deref().unwrap_or(&*self.0.file)
    }

    /// The length of the file that holds the data.
    pub(super) fn data_length(&self) -> io::Result<u64> {
        self.data().length()
    }

    /// Makes the file that holds the data `length` bytes long, if it is one of its own.
    pub(super) fn grow_data(&self, length: u64) -> io::Result<()> {
        match &self.0.data_file {
            Some(file) => {
                if file.length()? < length {
                    file.set_length(length)?;
                    self.data_written();
                }
                Ok(())
            }
            None => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Fills `data` from the guest's data at `offset` of its file.
    pub(super) fn read_data(&self, data: &mut [u8], offset: u64) -> io::Result<()> {
        match &self.0.data_file {
            Some(file) => read_whole(&**file, data, offset, self.0.cluster_size),
            None => self.0.read(data, offset),
        }
    }

    /// As [`OrderedFile::read_data`], into guest memory.
    pub(super) fn read_data_guest(&self, buffer: &GuestBuffer, offset: u64) -> io::Result<()> {
        let read = self.data().read_guest(buffer, offset)?;
        if read < buffer.len() {
            let mut rest = vec![0; buffer.len() - read];
            self.read_data(&mut rest, offset.saturating_add(read as u64))?;
            buffer.write(read, &rest);
        }
        Ok(())
    }

    /// Writes over data in clusters that a table refers to already: no order to keep, but no table may be hit.
    pub(super) fn write_data(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.0.check_data(offset, data.len() as u64)?;
        self.data().write(data, offset)?;
        self.data_written();
        Ok(())
    }

    /// As [`OrderedFile::write_data`], from guest memory.
    pub(super) fn write_data_guest(&self, buffer: &GuestBuffer, offset: u64) -> io::Result<()> {
        self.0.check_data(offset, buffer.len() as u64)?;
        self.data().write_guest(buffer, offset)?;
        self.data_written();
        Ok(())
    }

    /// Writes for the library to the file of its own that holds the data.
    pub(super) fn write_data_file(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.data().write(data, offset)?;
        let mut state = self.0.state.lock();
        // Before a table that refers to it.
        if state.unsynced == Unsynced::Nothing {
            state.wrote(Unsynced::Other);
        }
        self.data_written();
        Ok(())
    }

    // After the write: a flush that began before it does not cover it.
    fn data_written(&self) {
        self.0.data_written.store(true, Ordering::Release);
    }

    /// Gives the space of clusters that nothing refers to any more, on the device too, back to the host.
    pub(super) fn release(&self, offset: u64, length: u64) -> io::Result<()> {
        if self.0.data_file.is_none() {
            self.0.check_data(offset, length)?;
        }
        self.data().punch(offset, length)?;
        self.data_written();
        Ok(())
    }

    // --- Flushes ---------------------------------------------------------------------------------------------------------------

    /// Brings everything written to the device, without holding up writes meanwhile.
    pub(super) fn sync_beside_writes(&self) -> io::Result<()> {
        if let Some(file) = self.0.file.host() {
            crate::disk::check_linked(file, &self.0.told_deleted)?;
        }
        let writes = {
            let state = self.0.state.lock();
            if state.lost {
                return Err(crate::disk::lost_writes());
            }
            if !self.0.data_written.swap(false, Ordering::Acquire)
                && state.unsynced == Unsynced::Nothing
            {
                return Ok(());
            }
            state.writes
        };
        let result = self.0.sync_files();
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

    /// Ends a flush: everything that the library wrote, then the L1 entries that refer to it, then the header, then the counts
    /// that became smaller. What fails stays held back, and is tried again by the next flush.
    pub(super) fn finish_flush(&self) -> io::Result<()> {
        let inner = &self.0;
        let mut state = inner.state.lock();
        inner.apply_refcount_table(&mut state)?;
        inner.sync(&mut state)?;
        if !state.held_l1.is_empty() {
            for (offset, entry) in &state.held_l1 {
                inner.file.write(entry, *offset)?;
            }
            state.held_l1.clear();
            state.wrote(Unsynced::Other);
            inner.sync(&mut state)?;
        }
        inner.apply_header(&mut state)?;
        if !state.held_counts.is_empty() {
            for (offset, block) in &state.held_counts {
                inner.file.write(block, *offset)?;
            }
            state.held_counts.clear();
            inner.counts_held.store(false, Ordering::Release);
            // A crash that loses these leaves clusters that count as used, no more.
            state.wrote(Unsynced::Other);
        }
        Ok(())
    }

    /// From now on the header's fields are held back until a flush ends, and beyond that `size` stays the disk's.
    pub(super) fn hold_header(&self, size: u64) {
        let mut state = self.0.state.lock();
        state.held_header.get_or_insert_default();
        state.size_held = Some(size);
    }

    /// The size goes with the next flush too; after it the header's fields are written again as they come.
    pub(super) fn release_size(&self) {
        self.0.state.lock().size_held = None;
    }

    /// The L1 entry in place `index`, held back or not.
    pub(super) fn l1_entry(&self, header_l1: u64, index: u64) -> io::Result<u64> {
        let offset = header_l1.saturating_add(index.saturating_mul(8));
        if let Some(entry) = self.0.state.lock().held_l1.get(&offset) {
            return Ok(u64::from_be_bytes(*entry));
        }
        let mut entry = [0; 8];
        self.0.read(&mut entry, offset)?;
        Ok(u64::from_be_bytes(entry))
    }

    /// Where the L1 table is now.
    pub(super) fn l1_offset(&self, header: &Header) -> u64 {
        if self.0.read_only {
            header.l1_offset
        } else {
            self.0.places.read().l1.start
        }
    }
}

/// Fills `data`. What lies behind the end of the file reads as zeros only as far as the file's last cluster goes.
fn read_whole(
    file: &dyn HostFile,
    mut data: &mut [u8],
    mut offset: u64,
    cluster_size: u64,
) -> io::Result<()> {
    while !data.is_empty() {
        match file.read(data, offset) {
            Ok(0) => return read_behind_end(file, data, offset, cluster_size),
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

fn read_behind_end(
    file: &dyn HostFile,
    data: &mut [u8],
    offset: u64,
    cluster_size: u64,
) -> io::Result<()> {
    let length = file.length()?;
    let end = length
        .checked_next_multiple_of(cluster_size)
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

/// The field at `place` in a piece of the header that starts at `offset`, if it is all there.
fn field(bytes: &mut [u8], offset: u64, place: u64) -> Option<&mut [u8; 8]> {
    let at = usize::try_from(place.checked_sub(offset)?).ok()?;
    bytes.get_mut(at..)?.first_chunk_mut()
}

fn damaged() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the image is damaged: it keeps data where its own tables are; restore it from a backup or repair it with `guesthouse disk repair`",
    )
}

impl Inner {
    fn read(&self, data: &mut [u8], offset: u64) -> io::Result<()> {
        if self.counts_held.load(Ordering::Acquire)
            && let Some(block) = self.state.lock().held_counts.get(&offset)
            && block.len() == data.len()
        {
            data.copy_from_slice(block);
            return Ok(());
        }
        read_whole(&*self.file, data, offset, self.cluster_size)?;
        if self.hidden_features != 0
            && let Some(features) = field(data, offset, INCOMPATIBLE_FEATURES)
        {
            *features = (u64::from_be_bytes(*features) & !self.hidden_features).to_be_bytes();
        }
        Ok(())
    }

    fn sync_files(&self) -> io::Result<()> {
        if let Some(data) = &self.data_file {
            data.sync()?;
        }
        self.file.sync()
    }

    fn sync(&self, state: &mut State) -> io::Result<()> {
        if state.lost {
            return Err(crate::disk::lost_writes());
        }
        if state.unsynced != Unsynced::Nothing {
            self.sync_files().map_err(|source| {
                state.lost = true;
                crate::disk::sync_failed(&source)
            })?;
            state.unsynced = Unsynced::Nothing;
        }
        Ok(())
    }

    fn write(&self, bufv: IoVector<'_>, mut offset: u64) -> io::Result<()> {
        if self.read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        let mut state = self.state.lock();
        if self.hold_back(&mut state, &bufv, offset)
            || self.write_counts(&mut state, &bufv, offset)?
        {
            return Ok(());
        }
        let header_changed = offset < HEADER_FIELDS;
        if header_changed {
            let mut bytes = vec![0; usize::try_from(bufv.len()).map_err(io::Error::other)?];
            bufv.copy_into_slice(&mut bytes);
            if let Some(features) = field(&mut bytes, offset, INCOMPATIBLE_FEATURES) {
                *features = (u64::from_be_bytes(*features) | self.hidden_features).to_be_bytes();
            }
            if let Some(fields) = &mut state.held_header {
                fields.push((offset, bytes));
                return Ok(());
            }
            let kind = self.prepare_write(&mut state, offset, bytes.len() as u64)?;
            state.wrote(kind);
            self.file.write(&bytes, offset)?;
            return self.header_changed(&mut state);
        }
        let kind = self.prepare_write(&mut state, offset, bufv.len())?;
        state.wrote(kind);
        for slice in bufv.into_inner() {
            self.file.write(&slice, offset)?;
            offset = offset.saturating_add(slice.len() as u64);
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
