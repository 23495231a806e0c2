//! The file that an image is in, or the part of a file: an OVA has images within.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::super::OpenError;
use super::super::lock::{self, Access, Lock};
use super::super::open::{open_file, size};
use super::FormatError;

/// Bytes of known number that an image is kept in.
#[derive(Debug, Clone)]
pub(in crate::disk) struct Container {
    file: Arc<File>,
    path: PathBuf,
    base: u64,
    length: u64,
    /// Held as long as somebody reads from it.
    lock: Option<Arc<Lock>>,
}

impl Container {
    /// The file at `path`; with `locked` nobody may write to it as long as this is open.
    pub(in crate::disk) fn open(path: &Path, locked: bool) -> Result<Self, FormatError> {
        let file = open_file(path, false)?;
        let length = size(&file, path)?;
        let mut container = Self::new(file, path, length);
        if locked {
            container.lock(Access::Read)?;
        }
        Ok(container)
    }

    /// Locks the file until all that was made of this container is dropped.
    pub(in crate::disk) fn lock(&mut self, access: Access) -> Result<(), FormatError> {
        let lock = lock::acquire(&self.file, access)
            .map_err(|source| FormatError::host("lock", &self.path, source))?
            .ok_or_else(|| OpenError::InUse {
                file: self.path.clone(),
            })?;
        self.lock = Some(Arc::new(lock));
        Ok(())
    }

    /// `file`, which is `length` bytes long.
    pub(in crate::disk) fn new(file: File, path: &Path, length: u64) -> Self {
        Self {
            file: Arc::new(file),
            path: path.to_owned(),
            base: 0,
            length,
            lock: None,
        }
    }

    /// The same file with the length that it has now.
    pub(in crate::disk) fn renewed(&self) -> Result<Self, FormatError> {
        Ok(Self {
            length: size(&self.file, &self.path)?,
            ..self.clone()
        })
    }

    /// The part of this one that begins at `base`.
    pub(super) fn part(&self, base: u64, length: u64) -> Self {
        Self {
            base: self.base.saturating_add(base),
            length: length.min(self.length.saturating_sub(base)),
            ..self.clone()
        }
    }

    pub(in crate::disk) fn path(&self) -> &Path {
        &self.path
    }

    pub(in crate::disk) fn file(&self) -> &File {
        &self.file
    }

    /// Bytes.
    pub(in crate::disk) fn length(&self) -> u64 {
        self.length
    }

    /// The image contradicts itself.
    pub(in crate::disk) fn damaged(&self, fault: impl Into<String>) -> FormatError {
        FormatError::damaged(&self.path, fault)
    }

    /// Fills `data` from `offset` on; `what` is in words what lies there.
    pub(in crate::disk) fn fill(
        &self,
        offset: u64,
        data: &mut [u8],
        what: &str,
    ) -> Result<(), FormatError> {
        let end = offset.checked_add(data.len() as u64);
        if end.is_none_or(|end| end > self.length) {
            return Err(self.damaged(format!("{what} lies beyond the end of the file")));
        }
        self.file
            .read_exact_at(data, self.base.saturating_add(offset))
            .map_err(|source| self.read_error(source))
    }

    /// Fills `data` from `offset` on, with zeros from the end of the file on.
    pub(in crate::disk) fn fill_to_end(
        &self,
        offset: u64,
        data: &mut [u8],
    ) -> Result<(), FormatError> {
        let there = super::index(self.length.saturating_sub(offset)).min(data.len());
        let (there, behind) = data.split_at_mut(there);
        behind.fill(0);
        self.file
            .read_exact_at(there, self.base.saturating_add(offset))
            .map_err(|source| self.read_error(source))
    }

    fn read_error(&self, source: io::Error) -> FormatError {
        if source.kind() == io::ErrorKind::UnexpectedEof {
            return self.damaged("another program truncated it while it was read");
        }
        FormatError::host("read", &self.path, source)
    }

    /// `length` bytes from `offset` on. The caller knows that they are few.
    pub(in crate::disk) fn bytes(
        &self,
        offset: u64,
        length: usize,
        what: &str,
    ) -> Result<Vec<u8>, FormatError> {
        let end = offset.checked_add(length as u64);
        if end.is_none_or(|end| end > self.length) {
            return Err(self.damaged(format!("{what} lies beyond the end of the file")));
        }
        let mut data = vec![0; length];
        self.fill(offset, &mut data, what)?;
        Ok(data)
    }
}

/// The `N` bytes at `at`, zeros where they are not all there.
pub(in crate::disk) fn array<const N: usize>(data: &[u8], at: usize) -> [u8; N] {
    data.get(at..)
        .and_then(|rest| rest.first_chunk::<N>())
        .copied()
        .unwrap_or([0; N])
}

macro_rules! numbers {
    ($($name:ident: $type:ty, $from:ident, $doc:literal;)*) => {
        $(#[doc = $doc]
        pub(in crate::disk) fn $name(data: &[u8], at: usize) -> $type {
            <$type>::$from(array(data, at))
        })*
    };
}

numbers! {
    le16: u16, from_le_bytes, "16 bits at `at`, least byte first.";
    le32: u32, from_le_bytes, "32 bits at `at`, least byte first.";
    le64: u64, from_le_bytes, "64 bits at `at`, least byte first.";
    be32: u32, from_be_bytes, "32 bits at `at`, greatest byte first.";
    be64: u64, from_be_bytes, "64 bits at `at`, greatest byte first.";
}

/// Bytes of a [`Pages`] page.
const PAGE: u64 = 64 << 10;
/// The most pages at hand.
const PAGES: usize = 128;

/// A table that stays in the file, with the pages of it that were read last at hand.
pub(in crate::disk) struct Pages {
    container: Container,
    /// What the table is, for messages.
    what: &'static str,
    pages: Mutex<Read>,
}

/// Pages by their numbers, and the numbers in the order in which they were read.
#[derive(Default)]
struct Read {
    pages: HashMap<u64, Vec<u8>>,
    order: VecDeque<u64>,
}

impl Pages {
    pub(in crate::disk) fn new(container: Container, what: &'static str) -> Self {
        Self {
            container,
            what,
            pages: Mutex::default(),
        }
    }

    /// The `N` bytes at `offset`, which are all on one page.
    pub(in crate::disk) fn array<const N: usize>(
        &self,
        offset: u64,
    ) -> Result<[u8; N], FormatError> {
        let end = offset.checked_add(N as u64);
        if end.is_none_or(|end| end > self.container.length) {
            let what = self.what;
            return Err(self
                .container
                .damaged(format!("{what} lies beyond the end of the file")));
        }
        let (number, within) = (offset / PAGE, super::index(offset % PAGE));
        if within + N > super::index(PAGE) {
            let mut bytes = [0; N];
            self.container.fill(offset, &mut bytes, self.what)?;
            return Ok(bytes);
        }
        let mut pages = self.pages.lock();
        if let Some(page) = pages.pages.get(&number) {
            return Ok(array(page, within));
        }
        let mut page = vec![0; super::index(PAGE)];
        self.container.fill_to_end(number * PAGE, &mut page)?;
        let bytes = array(&page, within);
        pages.pages.insert(number, page);
        pages.order.push_back(number);
        if pages.order.len() > PAGES
            && let Some(oldest) = pages.order.pop_front()
        {
            pages.pages.remove(&oldest);
        }
        Ok(bytes)
    }
}
