//! Images and fault handlers for the tests of controllers.

#![expect(
    clippy::cast_possible_truncation,
    reason = "the tests take numbers apart whose size they know"
)]

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Condvar, Mutex};

use crate::disk::{Image, ImageError};
use crate::storage::{FaultHandler, Verdict};

/// An image in memory that writes down in which order it was written and flushed.
pub(in crate::storage) struct MemoryImage {
    pub(in crate::storage) data: Mutex<Vec<u8>>,
    /// The size that it shows, if bigger than `data`: the rest reads as zero.
    size: u64,
    read_only: bool,
    pub(in crate::storage) journal: Mutex<Vec<String>>,
    /// While set, requests fail for want of space.
    pub(in crate::storage) full: AtomicBool,
    pub(in crate::storage) calls: AtomicU64,
}

impl MemoryImage {
    pub(in crate::storage) fn new(data: Vec<u8>) -> Self {
        Self {
            size: data.len() as u64,
            data: Mutex::new(data),
            read_only: false,
            journal: Mutex::default(),
            full: AtomicBool::new(false),
            calls: AtomicU64::new(0),
        }
    }

    /// Every 32-bit word holds its own number.
    pub(in crate::storage) fn numbered(size: u32) -> Self {
        Self::new((0..size / 4).flat_map(|word| word.to_le_bytes()).collect())
    }

    pub(in crate::storage) fn sparse(size: u64) -> Self {
        Self {
            size,
            ..Self::new(Vec::new())
        }
    }

    pub(in crate::storage) fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    fn check(&self, offset: u64, length: usize) -> Result<(), ImageError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if offset + length as u64 > self.size {
            return Err(ImageError::OutOfRange {
                file: "memory".into(),
                offset,
                length: length as u64,
            });
        }
        if self.full.load(Ordering::SeqCst) {
            return Err(ImageError::NoSpace {
                file: "memory".into(),
            });
        }
        Ok(())
    }
}

impl Image for MemoryImage {
    fn size(&self) -> u64 {
        self.size
    }
    fn read_only(&self) -> bool {
        self.read_only
    }
    fn file(&self) -> &Path {
        Path::new("memory")
    }
    fn read_at(&self, offset: u64, data: &mut [u8]) -> Result<(), ImageError> {
        self.check(offset, data.len())?;
        let stored = self.data.lock();
        for (at, byte) in data.iter_mut().enumerate() {
            *byte = stored.get(offset as usize + at).copied().unwrap_or(0);
        }
        Ok(())
    }
    fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), ImageError> {
        self.check(offset, data.len())?;
        let mut stored = self.data.lock();
        let (start, end) = (offset as usize, offset as usize + data.len());
        if stored.len() < end {
            stored.resize(end, 0);
        }
        stored[start..end].copy_from_slice(data);
        self.journal
            .lock()
            .push(format!("write {offset}+{}", data.len()));
        Ok(())
    }
    fn flush(&self) -> Result<(), ImageError> {
        self.check(0, 0)?;
        self.journal.lock().push("flush".into());
        Ok(())
    }
}

/// A fault handler that counts what its drives move, and tells the guest of every failure.
#[derive(Default)]
pub(crate) struct Meter {
    read: AtomicU64,
    written: AtomicU64,
}

impl Meter {
    /// Bytes read and written.
    pub(crate) fn moved(&self) -> (u64, u64) {
        let value = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        (value(&self.read), value(&self.written))
    }
}

impl FaultHandler for Meter {
    fn failed(&self, _drive: &str, _error: &ImageError) -> Verdict {
        Verdict::Report
    }

    fn transferred(&self, read: u64, written: u64) {
        self.read.fetch_add(read, Ordering::SeqCst);
        self.written.fetch_add(written, Ordering::SeqCst);
    }
}

/// A fault handler that takes as long as a person: it waits for an answer.
#[derive(Default)]
pub(in crate::storage) struct Judge {
    state: Mutex<(u32, Vec<Verdict>)>,
    changed: Condvar,
    pub(in crate::storage) names: Mutex<Vec<String>>,
}

impl FaultHandler for Judge {
    fn failed(&self, drive: &str, error: &ImageError) -> Verdict {
        self.names.lock().push(format!("{drive}: {error}"));
        let mut state = self.state.lock();
        state.0 += 1;
        self.changed.notify_all();
        loop {
            if let Some(verdict) = state.1.pop() {
                return verdict;
            }
            self.changed.wait(&mut state);
        }
    }
}

impl Judge {
    /// Waits until it is asked once more.
    pub(in crate::storage) fn asked(&self) {
        let mut state = self.state.lock();
        while state.0 == 0 {
            self.changed.wait(&mut state);
        }
        state.0 -= 1;
    }

    pub(in crate::storage) fn answer(&self, verdict: Verdict) {
        self.state.lock().1.push(verdict);
        self.changed.notify_all();
    }
}
