//! A list of pieces of guest memory that one disk request reads into or writes from, in order: what a scatter-gather list names.
//!
//! Data goes straight between the host's file and the guest's memory (preadv(2), pwritev(2)). The guest may change the memory
//! meanwhile, as it may during any DMA; then it gets, or writes, a mixture of its own making.

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;

use super::{GuestMemory, OutOfMemoryMap};

/// The most pieces that the kernel takes in one call (IOV_MAX).
const MAXIMUM_VECTORS: usize = 1024;

/// Pieces of guest memory in order. It keeps the memory alive. Cloning shares the memory, not the list.
#[derive(Clone)]
pub struct GuestBuffer {
    memory: GuestMemory,
    pieces: Vec<Piece>,
    length: usize,
}

/// `length` bytes at `offset` in a region; they were checked to lie in it.
#[derive(Debug, Clone, Copy)]
struct Piece {
    region: usize,
    offset: usize,
    length: usize,
}

impl GuestBuffer {
    /// An empty list on `memory`.
    pub fn new(memory: GuestMemory) -> Self {
        Self {
            memory,
            pieces: Vec::new(),
            length: 0,
        }
    }

    /// Adds `length` bytes at guest-physical `address`.
    ///
    /// # Errors
    /// When not all of it is memory, or the list would be longer than the address space; the list is as it was then.
    pub fn push(&mut self, address: u64, length: usize) -> Result<(), OutOfMemoryMap> {
        let fault = OutOfMemoryMap { address, length };
        let total = self.length.checked_add(length).ok_or(fault)?;
        let before = self.pieces.len();
        let (mut at, mut left) = (address, length);
        while left > 0 {
            let Some((region, offset, room)) = self.find(at) else {
                self.pieces.truncate(before);
                return Err(fault);
            };
            let part = left.min(room);
            self.add(before, region, offset, part);
            left -= part;
            at = match at.checked_add(part as u64) {
                Some(next) => next,
                None if left == 0 => break,
                None => {
                    self.pieces.truncate(before);
                    return Err(fault);
                }
            };
        }
        self.length = total;
        Ok(())
    }

    /// The region that holds `address`, where in it, and how many bytes follow in it.
    fn find(&self, address: u64) -> Option<(usize, usize, usize)> {
        let regions = self.memory.regions();
        let index = regions
            .partition_point(|(start, _)| *start <= address)
            .checked_sub(1)?;
        let (start, region) = regions.get(index)?;
        let offset = usize::try_from(address - start).ok()?;
        let room = region.size().checked_sub(offset)?;
        (room > 0).then_some((index, offset, room))
    }

    /// Joins what follows the last piece, if that was not there before this push.
    fn add(&mut self, keep: usize, region: usize, offset: usize, length: usize) {
        if self.pieces.len() > keep
            && let Some(last) = self.pieces.last_mut()
            && last.region == region
            && last.offset + last.length == offset
        {
            last.length += length;
            return;
        }
        self.pieces.push(Piece {
            region,
            offset,
            length,
        });
    }

    /// All bytes of the list.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether it names no bytes.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// A part of the list; what lies beyond its end is left out.
    pub fn part(&self, range: Range<usize>) -> Self {
        let mut part = Self::new(self.memory.clone());
        let end = range.end.min(self.length);
        let mut at = 0;
        for piece in &self.pieces {
            let (from, to) = (range.start.max(at), end.min(at + piece.length));
            if from < to {
                part.pieces.push(Piece {
                    region: piece.region,
                    offset: piece.offset + (from - at),
                    length: to - from,
                });
                part.length += to - from;
            }
            at += piece.length;
        }
        part
    }

    /// Copies from the list, from byte `offset` of it on, into `data`; what lies beyond the list's end is left as it was.
    pub fn read(&self, offset: usize, data: &mut [u8]) {
        let mut rest = data;
        for piece in self.part(offset..offset.saturating_add(rest.len())).pieces {
            let (now, later) = rest.split_at_mut(piece.length.min(rest.len()));
            if let Some((_, region)) = self.memory.regions().get(piece.region) {
                region.read(piece.offset, now);
            }
            rest = later;
        }
    }

    /// Copies `data` into the list, from byte `offset` of it on; what lies beyond the list's end is dropped.
    pub fn write(&self, offset: usize, data: &[u8]) {
        let mut rest = data;
        for piece in self.part(offset..offset.saturating_add(rest.len())).pieces {
            let (now, later) = rest.split_at(piece.length.min(rest.len()));
            if let Some((_, region)) = self.memory.regions().get(piece.region) {
                region.write(piece.offset, now);
            }
            rest = later;
        }
    }

    /// Fills a part of the list with zeros.
    pub fn zero(&self, range: Range<usize>) {
        for piece in self.part(range).pieces {
            if let Some((_, region)) = self.memory.regions().get(piece.region) {
                region.fill(piece.offset, piece.length, 0);
            }
        }
    }

    /// Whether each piece starts and ends on a multiple of `alignment` (a power of two), as O_DIRECT asks for.
    pub fn is_aligned(&self, alignment: usize) -> bool {
        let mask = alignment.wrapping_sub(1);
        self.vectors(0)
            .iter()
            .all(|vector| (vector.iov_base as usize | vector.iov_len) & mask == 0)
    }

    /// The host's places of the list from byte `skip` on.
    pub(super) fn vectors(&self, skip: usize) -> Vec<libc::iovec> {
        let mut at = 0;
        self.pieces
            .iter()
            .filter_map(|piece| {
                let start = at;
                at += piece.length;
                let ahead = skip.saturating_sub(start);
                let length = piece
                    .length
                    .checked_sub(ahead)
                    .filter(|length| *length > 0)?;
                let (_, region) = self.memory.regions().get(piece.region)?;
                let first = region.mapping().as_ptr().cast::<libc::c_void>();
                Some(libc::iovec {
                    iov_base: first.wrapping_byte_add(piece.offset + ahead),
                    iov_len: length,
                })
            })
            .collect()
    }

    /// Fills the list from `file` at `offset`; returns the bytes read, fewer than the list has only at the end of the file.
    ///
    /// # Errors
    /// What the host says; a part may have been filled then.
    pub fn read_from_file(&self, file: &File, offset: u64) -> io::Result<usize> {
        self.move_all(file, offset, false)
    }

    /// Writes the whole list to `file` at `offset`.
    ///
    /// # Errors
    /// What the host says; a part may have been written then.
    pub fn write_to_file(&self, file: &File, offset: u64) -> io::Result<()> {
        let moved = self.move_all(file, offset, true)?;
        if moved < self.length {
            return Err(io::ErrorKind::WriteZero.into());
        }
        Ok(())
    }

    fn move_all(&self, file: &File, offset: u64, write: bool) -> io::Result<usize> {
        let mut vectors = self.vectors(0);
        let mut first = 0;
        let mut done = 0;
        while let Some(rest) = vectors.get(first..).filter(|rest| !rest.is_empty()) {
            let count = rest.len().min(MAXIMUM_VECTORS);
            let place = offset
                .checked_add(done as u64)
                .and_then(|place| libc::off_t::try_from(place).ok())
                .ok_or(io::ErrorKind::InvalidInput)?;
            let moved = move_once(file, rest.get(..count).unwrap_or(rest), place, write);
            let moved = match moved {
                Ok(0) => break,
                Ok(moved) => moved,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            done += moved;
            // Past what was moved, also within a piece.
            let mut skip = moved;
            while let Some(vector) = vectors.get_mut(first) {
                if skip < vector.iov_len {
                    vector.iov_base = vector.iov_base.wrapping_byte_add(skip);
                    vector.iov_len -= skip;
                    break;
                }
                skip -= vector.iov_len;
                first += 1;
            }
        }
        Ok(done)
    }
}

#[expect(
    unsafe_code,
    reason = "the kernel moves data straight from and to the guest's memory"
)]
fn move_once(
    file: &File,
    vectors: &[libc::iovec],
    offset: libc::off_t,
    write: bool,
) -> io::Result<usize> {
    let count = libc::c_int::try_from(vectors.len()).map_err(io::Error::other)?;
    let (descriptor, first) = (file.as_raw_fd(), vectors.as_ptr());
    // SAFETY: `vectors` holds `count` entries, each within a mapping that the list they come from checked when the piece was added
    // and keeps alive by its `GuestMemory`. No Rust reference to that memory exists anywhere (`MemoryRegion` only ever copies), so
    // the kernel may write to it.
    let moved = unsafe {
        if write {
            libc::pwritev(descriptor, first, count, offset)
        } else {
            libc::preadv(descriptor, first, count, offset)
        }
    };
    usize::try_from(moved).map_err(|_| io::Error::last_os_error())
}

impl fmt::Debug for GuestBuffer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "GuestBuffer({} bytes in {} pieces)",
            self.length,
            self.pieces.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::MemoryRegion;
    use super::*;

    /// 64 KiB below and from 64 KiB on, as two mappings side by side, and 64 KiB at 4 GiB.
    fn memory() -> GuestMemory {
        let region = || MemoryRegion::new("test", 0x10000).unwrap();
        GuestMemory::new(vec![
            (0, region()),
            (0x10000, region()),
            (0x1_0000_0000, region()),
        ])
        .unwrap()
    }

    #[test]
    fn pieces_cross_regions_and_holes_are_refused() {
        let mut buffer = GuestBuffer::new(memory());
        buffer.push(0xfffc, 8).unwrap();
        buffer.push(0x1_0000_fff0, 16).unwrap();
        for (address, length) in [
            (0x1fffc, 8),
            (0x20000, 1),
            (0x1_0000_fff0, 17),
            (u64::MAX, 1),
            (u64::MAX - 3, 8),
            (0, usize::MAX),
        ] {
            assert!(buffer.push(address, length).is_err(), "{address:#x}");
        }
        assert_eq!((buffer.len(), buffer.pieces.len()), (24, 3));
        buffer.write(2, &[1, 2, 3, 4]);
        let mut data = [9; 4];
        buffer.memory.read(0xfffe, &mut data).unwrap();
        assert_eq!(data, [1, 2, 3, 4]);
        let mut data = [9; 6];
        buffer.part(3..100).read(1, &mut data);
        assert_eq!(data, [3, 4, 0, 0, 0, 0]);
        buffer.zero(3..5);
        buffer.read(2, &mut data);
        assert_eq!(data, [1, 0, 0, 4, 0, 0]);
        buffer.read(22, &mut data);
        assert_eq!(data[2..], [0, 4, 0, 0], "beyond the end nothing changes");
    }

    #[test]
    fn a_file_is_read_and_written_through_more_pieces_than_the_kernel_takes() {
        let memory = memory();
        let mut buffer = GuestBuffer::new(memory);
        for piece in 0..3000_u64 {
            buffer.push(piece * 20, 7).unwrap();
        }
        let content: Vec<u8> = (0..21_000_u32).map(|byte| byte.to_le_bytes()[0]).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&content).unwrap();
        assert_eq!(buffer.read_from_file(&file, 0).unwrap(), 21_000);
        let mut data = vec![0; 21_000];
        buffer.read(0, &mut data);
        assert!(data == content);
        buffer.write_to_file(&file, 1000).unwrap();
        let mut moved = vec![0; 21_000];
        buffer.zero(0..21_000);
        assert_eq!(buffer.read_from_file(&file, 1000).unwrap(), 21_000);
        buffer.read(0, &mut moved);
        assert!(moved == content);
        assert_eq!(buffer.read_from_file(&file, 21_900).unwrap(), 100);
        assert!(buffer.write_to_file(&file, u64::MAX).is_err());
    }

    #[test]
    fn alignment_is_that_of_every_piece() {
        let mut buffer = GuestBuffer::new(memory());
        buffer.push(0x1000, 512).unwrap();
        assert!(buffer.is_aligned(512) && !buffer.is_aligned(4096));
        buffer.push(0x2001, 512).unwrap();
        assert!(!buffer.is_aligned(512));
    }
}
