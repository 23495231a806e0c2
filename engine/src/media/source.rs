//! Where the bytes of a medium come from, read piece by piece: nothing here trusts what it reads.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// The size of a sector of an optical disc, in bytes.
pub(super) const SECTOR: usize = 2048;

/// Bytes of known number that can be read anywhere.
pub(super) trait Source {
    /// How many bytes there are.
    fn size(&self) -> u64;

    /// Reads some bytes from `offset` on; none at the end.
    fn read_at(&self, offset: u64, data: &mut [u8]) -> io::Result<usize>;

    /// `length` bytes from `offset` on, or `None` where there are not as many.
    fn bytes(&self, offset: u64, length: usize) -> io::Result<Option<Vec<u8>>> {
        let end = offset.checked_add(u64::try_from(length).unwrap_or(u64::MAX));
        if end.is_none_or(|end| end > self.size()) {
            return Ok(None);
        }
        let mut data = vec![0; length];
        let mut filled = 0;
        while let Some(rest) = data.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let at = offset + u64::try_from(filled).unwrap_or(u64::MAX);
            match self.read_at(at, rest) {
                Ok(0) => return Ok(None),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Some(data))
    }

    /// The 2048-byte sector `number`, or `None` beyond the end.
    fn sector(&self, number: u64) -> io::Result<Option<Vec<u8>>> {
        match number.checked_mul(SECTOR as u64) {
            Some(offset) => self.bytes(offset, SECTOR),
            None => Ok(None),
        }
    }
}

/// A file or block device of `size` bytes.
pub(super) struct FileSource<'a> {
    pub(super) file: &'a File,
    pub(super) size: u64,
}

impl Source for FileSource<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, data: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(data, offset)
    }
}

/// The little-endian number of `N` bytes at `at`, 0 where it is not all there.
fn number<const N: usize>(data: &[u8], at: usize) -> [u8; N] {
    data.get(at..)
        .and_then(|rest| rest.first_chunk::<N>())
        .copied()
        .unwrap_or([0; N])
}

/// 16 bits at `at`.
pub(super) fn word(data: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(number(data, at))
}

/// 32 bits at `at`.
pub(super) fn dword(data: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(number(data, at))
}

/// 64 bits at `at`.
pub(super) fn qword(data: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(number(data, at))
}

/// Whether `data` has `expected` at `at`.
pub(super) fn has(data: &[u8], at: usize, expected: &[u8]) -> bool {
    data.get(at..)
        .is_some_and(|rest| rest.starts_with(expected))
}
