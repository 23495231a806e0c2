//! A chain of buffers that the driver made available: first those that the device reads, then those that it writes.
//! Section 2.7.

use virtio_queue::DescriptorChain;
use virtio_queue::desc::split::Descriptor;
use vm_memory::GuestMemoryMmap;

use crate::memory::GuestMemory;

/// The most buffers in one chain, whatever an indirect table holds: the greatest size that a queue of ours has.
const LONGEST: usize = 1024;

/// A buffer in the guest's memory. All of it is memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Guest-physical address.
    pub address: u64,
    /// Bytes.
    pub length: u32,
}

/// What is wrong with a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum ChainError {
    #[error("a chain of descriptors ends in the middle")]
    Broken,
    #[error("a chain of descriptors is longer than any queue")]
    Long,
    #[error("a buffer lies outside of memory")]
    Address,
    #[error("a buffer to read follows one to write")]
    Order,
}

/// A chain of buffers. It says what the driver said when it was taken; what the buffers hold can change at any instant.
#[derive(Debug, Clone)]
pub struct Chain {
    head: u16,
    pieces: Vec<Piece>,
    /// How many of the pieces are for the device to read.
    split: usize,
    readable: u32,
    writable: u32,
}

impl Chain {
    pub(super) fn new(
        descriptors: DescriptorChain<&GuestMemoryMmap<()>>,
        memory: &GuestMemory,
    ) -> Result<Self, ChainError> {
        let mut chain = Self {
            head: descriptors.head_index(),
            pieces: Vec::with_capacity(4),
            split: 0,
            readable: 0,
            writable: 0,
        };
        // The iterator ends quietly at whatever it cannot follow, but then it ends with a descriptor that has a next one.
        let mut more = true;
        for descriptor in descriptors {
            more = descriptor.has_next();
            if chain.pieces.len() == LONGEST {
                return Err(ChainError::Long);
            }
            chain.push(descriptor, memory)?;
        }
        if more {
            return Err(ChainError::Broken);
        }
        Ok(chain)
    }

    fn push(&mut self, descriptor: Descriptor, memory: &GuestMemory) -> Result<(), ChainError> {
        let piece = Piece {
            address: descriptor.addr().0,
            length: descriptor.len(),
        };
        if piece.length != 0 && !memory.contains(piece.address, piece.length as usize) {
            return Err(ChainError::Address);
        }
        // No overflow: the iterator ends before 4 GiB in all.
        if descriptor.is_write_only() {
            self.writable = self.writable.saturating_add(piece.length);
        } else if self.pieces.len() == self.split {
            self.readable = self.readable.saturating_add(piece.length);
            self.split += 1;
        } else {
            return Err(ChainError::Order);
        }
        self.pieces.push(piece);
        Ok(())
    }

    /// The number by which it is given back.
    pub(super) fn head(&self) -> u16 {
        self.head
    }

    /// How many bytes there are to read.
    pub fn readable_length(&self) -> u32 {
        self.readable
    }

    /// How many bytes there is room for.
    pub fn writable_length(&self) -> u32 {
        self.writable
    }

    /// The buffers to read.
    pub fn readable(&self) -> &[Piece] {
        self.pieces.get(..self.split).unwrap_or(&[])
    }

    /// The buffers to write.
    pub fn writable(&self) -> &[Piece] {
        self.pieces.get(self.split..).unwrap_or(&[])
    }

    /// Copies what is to be read, from byte `offset` of it on, into `data`; returns how many bytes that were, fewer than asked
    /// for only at the end.
    pub fn read(&self, memory: &GuestMemory, offset: u32, data: &mut [u8]) -> usize {
        let mut done = 0;
        for piece in range(self.readable(), offset, data.len()) {
            let end = done + piece.length as usize;
            let Some(part) = data.get_mut(done..end) else {
                break;
            };
            if memory.read(piece.address, part).is_err() {
                break;
            }
            done = end;
        }
        done
    }

    /// The `N` bytes from byte `offset` of what is to be read on; none if there are not as many.
    pub fn read_array<const N: usize>(&self, memory: &GuestMemory, offset: u32) -> Option<[u8; N]> {
        let mut data = [0; N];
        (self.read(memory, offset, &mut data) == N).then_some(data)
    }

    /// Copies `data` to where there is room, from byte `offset` of it on; returns how many bytes fitted.
    pub fn write(&self, memory: &GuestMemory, offset: u32, data: &[u8]) -> usize {
        let mut done = 0;
        for piece in range(self.writable(), offset, data.len()) {
            let end = done + piece.length as usize;
            let Some(part) = data.get(done..end) else {
                break;
            };
            if memory.write(piece.address, part).is_err() {
                break;
            }
            done = end;
        }
        done
    }
}

/// The parts of `pieces` that make up `length` bytes from byte `offset` on, or what there is of them.
pub fn range(
    pieces: &[Piece],
    offset: u32,
    length: usize,
) -> impl Iterator<Item = Piece> + Clone + '_ {
    let mut skip = offset;
    let mut left = u32::try_from(length).unwrap_or(u32::MAX);
    pieces.iter().filter_map(move |piece| {
        let skipped = skip.min(piece.length);
        skip -= skipped;
        let length = (piece.length - skipped).min(left);
        left -= length;
        (length > 0).then(|| Piece {
            address: piece.address + u64::from(skipped),
            length,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_cuts_the_pieces() {
        let piece = |address, length| Piece { address, length };
        let pieces = [piece(0x1000, 16), piece(0x5000, 0), piece(0x3000, 8)];
        let cut = |offset, length| range(&pieces, offset, length).collect::<Vec<_>>();
        assert_eq!(cut(0, 24), [piece(0x1000, 16), piece(0x3000, 8)]);
        assert_eq!(cut(12, 6), [piece(0x100c, 4), piece(0x3000, 2)]);
        assert_eq!(cut(16, 1), [piece(0x3000, 1)]);
        assert_eq!(cut(20, usize::MAX), [piece(0x3004, 4)]);
        assert_eq!(cut(24, 1), []);
        assert_eq!(cut(u32::MAX, 1), []);
    }
}
