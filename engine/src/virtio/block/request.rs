//! One request: a header, data, and a byte for its outcome. Section 5.2.6.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::config::{RANGE_SECTORS, RANGES};
use super::{Disk, Origin, SECTOR, SERIAL};
use crate::disk::queue::{Buffer, Done, Kind, Request};
use crate::memory::GuestBuffer;
use crate::virtio::chain::range;
use crate::virtio::{Chain, Piece, Queue};

/// What is to be done.
mod kind {
    pub const IN: u32 = 0;
    pub const OUT: u32 = 1;
    pub const FLUSH: u32 = 4;
    pub const GET_ID: u32 = 8;
    pub const DISCARD: u32 = 11;
    pub const WRITE_ZEROES: u32 = 13;
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Ok = 0,
    Failed = 1,
    Unsupported = 2,
}

/// Bytes of the header: what, reserved, first sector.
const HEADER: u32 = 16;
/// Bytes of a range to discard or zero: first sector, sectors, flags.
const RANGE: u32 = 16;
/// A range's flag: its space may be given back.
const UNMAP: u32 = 1;

impl Disk {
    /// Carries a request out, or sees to it.
    pub(super) fn take(self: &Arc<Self>, origin: &Origin, queue: &mut Queue, chain: Chain) {
        let memory = queue.memory().clone();
        let header = chain.read_array::<16>(&memory, 0);
        let (Some(header), Some(room)) = (header, chain.writable_length().checked_sub(1)) else {
            return queue
                .fail("a disk request without a header or a place for its outcome")
                .unwrap_or_default();
        };
        let [k0, k1, k2, k3, _, _, _, _, s0, s1, s2, s3, s4, s5, s6, s7] = header;
        let sector = u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]);
        let payload = chain.readable_length() - HEADER;
        let outcome = match u32::from_le_bytes([k0, k1, k2, k3]) {
            kind::IN => match self.transfer(queue, chain.writable(), 0, room, sector) {
                Some((offset, buffer)) => {
                    return self.submit(origin, chain, Kind::Read, offset, buffer);
                }
                None => Outcome::Failed,
            },
            kind::OUT if self.image.read_only() => Outcome::Failed,
            kind::OUT => match self.transfer(queue, chain.readable(), HEADER, payload, sector) {
                Some((offset, buffer)) => {
                    let through = !self.write_back.load(Ordering::Acquire);
                    let kind = Kind::Write { through };
                    return self.submit(origin, chain, kind, offset, buffer);
                }
                None => Outcome::Failed,
            },
            kind::FLUSH => {
                return self.submit(origin, chain, Kind::Flush, 0, Buffer::None);
            }
            kind::GET_ID => {
                let length = SERIAL.min(room as usize);
                chain.write(&memory, 0, self.serial.get(..length).unwrap_or(&[]));
                Outcome::Ok
            }
            kind @ (kind::DISCARD | kind::WRITE_ZEROES) => {
                match self.ranges(&chain, queue, kind, payload) {
                    Ok(ranges) => return self.submit_ranges(origin, chain, &ranges),
                    Err(outcome) => outcome,
                }
            }
            _ => Outcome::Unsupported,
        };
        finish(queue, &chain, outcome);
    }

    /// The `length` bytes from byte `skip` of `pieces` on as a buffer, and where on the disk they belong; none if the disk has no
    /// such place.
    fn transfer(
        &self,
        queue: &Queue,
        pieces: &[Piece],
        skip: u32,
        length: u32,
        sector: u64,
    ) -> Option<(u64, Buffer)> {
        let offset = self.place(sector, u64::from(length))?;
        let mut buffer = GuestBuffer::new(queue.memory().clone());
        for piece in range(pieces, skip, length as usize) {
            buffer.push(piece.address, piece.length as usize).ok()?;
        }
        Some((offset, Buffer::Guest(buffer)))
    }

    /// The first byte of a range that is made of whole sectors, all of them on the disk.
    fn place(&self, sector: u64, length: u64) -> Option<u64> {
        let offset = sector.checked_mul(SECTOR)?;
        let end = offset.checked_add(length)?;
        let size = self.image.size() / SECTOR * SECTOR;
        (length.is_multiple_of(SECTOR) && end <= size).then_some(offset)
    }

    fn submit(&self, origin: &Origin, chain: Chain, kind: Kind, offset: u64, buffer: Buffer) {
        let origin = Arc::clone(origin);
        let request = Request {
            kind,
            offset,
            buffer,
        };
        let completion = move |done: Done| {
            let outcome = if done.result.is_ok() {
                Outcome::Ok
            } else {
                Outcome::Failed
            };
            give_back(&origin, &chain, outcome);
        };
        self.requests.submit(&self.image, request, completion);
    }

    /// The ranges that a request is about.
    fn ranges(
        &self,
        chain: &Chain,
        queue: &Queue,
        kind: u32,
        payload: u32,
    ) -> Result<Vec<(u64, Kind)>, Outcome> {
        if self.image.read_only() {
            return Err(Outcome::Failed);
        }
        let count = payload / RANGE;
        if count == 0 || count > RANGES || !payload.is_multiple_of(RANGE) {
            return Err(Outcome::Unsupported);
        }
        let mut ranges = Vec::new();
        for number in 0..count {
            let Some(
                [
                    s0,
                    s1,
                    s2,
                    s3,
                    s4,
                    s5,
                    s6,
                    s7,
                    n0,
                    n1,
                    n2,
                    n3,
                    f0,
                    f1,
                    f2,
                    f3,
                ],
            ) = chain.read_array::<16>(queue.memory(), HEADER + number * RANGE)
            else {
                return Err(Outcome::Failed);
            };
            let sector = u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]);
            let sectors = u32::from_le_bytes([n0, n1, n2, n3]);
            let flags = u32::from_le_bytes([f0, f1, f2, f3]);
            let allowed = if kind == kind::DISCARD { 0 } else { UNMAP };
            if flags & !allowed != 0 {
                return Err(Outcome::Unsupported);
            }
            if sectors > RANGE_SECTORS {
                return Err(Outcome::Failed);
            }
            let length = u64::from(sectors) * SECTOR;
            let offset = self.place(sector, length).ok_or(Outcome::Failed)?;
            let kind = if kind == kind::DISCARD {
                Kind::Discard { length }
            } else {
                Kind::WriteZeroes {
                    length,
                    may_unmap: flags & UNMAP != 0,
                }
            };
            ranges.push((offset, kind));
        }
        Ok(ranges)
    }

    /// Each range is a request of its own to the image; the last that ends gives the chain back.
    fn submit_ranges(&self, origin: &Origin, chain: Chain, ranges: &[(u64, Kind)]) {
        struct Whole {
            left: AtomicUsize,
            failed: AtomicBool,
            chain: Chain,
            origin: Origin,
        }
        let whole = Arc::new(Whole {
            left: AtomicUsize::new(ranges.len()),
            failed: AtomicBool::new(false),
            chain,
            origin: Arc::clone(origin),
        });
        for (offset, kind) in ranges {
            let whole = Arc::clone(&whole);
            let request = Request {
                kind: *kind,
                offset: *offset,
                buffer: Buffer::None,
            };
            self.requests.submit(&self.image, request, move |done| {
                whole
                    .failed
                    .fetch_or(done.result.is_err(), Ordering::AcqRel);
                if whole.left.fetch_sub(1, Ordering::AcqRel) == 1 {
                    let outcome = if whole.failed.load(Ordering::Acquire) {
                        Outcome::Failed
                    } else {
                        Outcome::Ok
                    };
                    give_back(&whole.origin, &whole.chain, outcome);
                }
            });
        }
    }
}

/// Gives a chain back from whatever thread, and tells the driver.
fn give_back(origin: &Origin, chain: &Chain, outcome: Outcome) {
    let mut queue = origin.lock();
    finish(&mut queue, chain, outcome);
    queue.interrupt();
}

/// Writes the outcome and gives the chain back. A dead queue's memory is not touched.
fn finish(queue: &mut Queue, chain: &Chain, outcome: Outcome) {
    if !queue.is_live() {
        return;
    }
    let last = chain.writable_length().saturating_sub(1);
    chain.write(queue.memory(), last, &[outcome as u8]);
    // All up to there was written, or nothing is said of what was.
    let written = if outcome == Outcome::Ok || last == 0 {
        last + 1
    } else {
        0
    };
    queue.complete(chain, written);
}
