//! Space that the guest does not need: discards, zeros, and growth.
//!
//! Giving a cluster back while other writes go on could let one of them have it before the table on the device has forgotten it.
//! Discards are therefore collected, and carried out together with a flush before and after, with nobody else at the tables; until
//! then the guest reads what was there. What it writes anew meanwhile is taken out of the collection.

use std::io;
use std::ops::Range;
use std::sync::atomic::Ordering;

use imago::FormatAccess;
use imago::format::PreallocateMode;
use imago::format::drivers::ShallowMapping;

use super::Inner;
use super::store::Store;
use crate::definition::DiscardMode;

/// Discards are carried out when so many bytes are collected,
const COLLECTED_BYTES: u64 = 1 << 30;
/// or so many ranges; or when the flusher comes by.
const COLLECTED_RANGES: usize = 4096;
/// Zeros are written in pieces of this many bytes.
const ZEROS: usize = 1 << 20;

impl Inner {
    /// Whether discards give anything back.
    pub(super) fn can_discard(&self) -> bool {
        // A version 2 table has no word for "zeros": without a backing file nothing says the same.
        !self.read_only
            && self.discard == DiscardMode::Unmap
            && (self.zero_clusters || self.backing.is_none())
    }

    /// The whole clusters in a range; the disk's last one counts as whole.
    fn clusters(&self, offset: u64, length: u64) -> Range<u64> {
        let end = offset.saturating_add(length);
        let start = offset.next_multiple_of(self.cluster_size);
        let end = if end == self.size() {
            end
        } else {
            end - end % self.cluster_size
        };
        start..end.max(start)
    }

    pub(super) fn discard(&self, offset: u64, length: u64) -> io::Result<()> {
        if !self.can_discard() {
            return Ok(());
        }
        let range = self.clusters(offset, length);
        let full = {
            // Not while somebody gives back.
            let _format = self.format.read();
            let mut discarded = self.discarded.lock();
            discarded.insert(range);
            self.any_discarded
                .store(!discarded.is_empty(), Ordering::Release);
            discarded.bytes() >= COLLECTED_BYTES || discarded.count() >= COLLECTED_RANGES
        };
        if full { self.give_back() } else { Ok(()) }
    }

    /// Carries out what was collected.
    pub(super) fn give_back(&self) -> io::Result<()> {
        let _tables = self.tables.lock();
        let mut format = self.format.write();
        let ranges = std::mem::take(&mut *self.discarded.lock());
        let zeroed = std::mem::take(&mut *self.zeroed.lock());
        self.any_discarded.store(false, Ordering::Release);
        self.dirty.store(true, Ordering::Release);
        self.write_tables(&format)?;
        let mut freed = Vec::new();
        for range in ranges.iter() {
            self.find_places(&format, range, &zeroed, &mut freed)?;
        }
        // First every table that changes gets its place; only then is anything given back, so that nothing is taken meanwhile.
        if self.zero_clusters {
            for piece in &freed {
                each_piece(&piece.guest, |offset, length| {
                    format.inner().ensure_zero_mapping(offset, length)
                })?;
            }
        }
        for piece in &freed {
            each_piece(&piece.guest, |offset, length| {
                if self.zero_clusters {
                    format.inner_mut().discard_to_zero(offset, length)
                } else {
                    format.inner_mut().discard_to_backing(offset, length)
                }
            })?;
        }
        self.write_tables(&format)?;
        // Now neither a table nor a count on the device speaks of them.
        for piece in freed {
            for (place, length) in piece.places {
                self.file.release(place, length)?;
            }
        }
        Ok(())
    }

    /// Finds what in `range` takes up space, and where in the file that is if nothing else refers to it.
    fn find_places(
        &self,
        format: &FormatAccess<Store>,
        range: Range<u64>,
        zeroed: &[Run],
        found: &mut Vec<Piece>,
    ) -> io::Result<()> {
        let mut at = range.start;
        while at < range.end {
            let (mapping, length) = format.inner().get_mapping(at, range.end - at)?;
            let end = at.saturating_add(length).min(range.end);
            if end == at {
                break;
            }
            let places = match mapping {
                ShallowMapping::Raw {
                    offset,
                    writable: true,
                    ..
                } => vec![(offset, end - at)],
                ShallowMapping::Zero {
                    explicit: false, ..
                } if self.backing.is_none() => {
                    at = end;
                    continue;
                }
                ShallowMapping::Zero { .. } => zeroed
                    .iter()
                    .filter_map(|run| run.part(&(at..end)))
                    .collect(),
                // Shared with a snapshot, or compressed, or still the backing file's.
                _ => Vec::new(),
            };
            found.push(Piece {
                guest: at..end,
                places,
            });
            at = end;
        }
        Ok(())
    }

    pub(super) fn write_zeroes(&self, offset: u64, length: u64, may_unmap: bool) -> io::Result<()> {
        let end = offset.saturating_add(length);
        let whole = self.clusters(offset, length);
        if !self.zero_clusters || self.external_data || whole.is_empty() {
            self.write_zero_bytes(offset, end)?;
        } else {
            self.write_zero_bytes(offset, whole.start.min(end))?;
            self.say_zeros(&whole, may_unmap && self.can_discard())?;
            self.write_zero_bytes(whole.end, end)?;
        }
        if may_unmap && self.can_discard() {
            self.discard(offset, length)?;
        }
        self.written()
    }

    /// Marks whole clusters as zeros. They stay in place; where that is, is remembered for those that are to be given back.
    fn say_zeros(&self, whole: &Range<u64>, remember: bool) -> io::Result<()> {
        let _tables = self.tables.lock();
        let format = self.format.write();
        self.dirty.store(true, Ordering::Release);
        let mut at = whole.start;
        while at < whole.end {
            let (mapping, length) = format.inner().get_mapping(at, whole.end - at)?;
            let end = at.saturating_add(length).min(whole.end);
            if end == at {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let ShallowMapping::Raw {
                offset,
                writable: true,
                ..
            } = mapping
                && remember
            {
                self.zeroed.lock().push(Run {
                    guest: at..end,
                    place: offset,
                });
            }
            if !matches!(mapping, ShallowMapping::Zero { .. }) {
                each_piece(&(at..end), |offset, length| {
                    format.inner().ensure_zero_mapping(offset, length)
                })?;
            }
            at = end;
        }
        Ok(())
    }

    /// Forgets where clusters were that are written anew: the write may give their places to others.
    pub(super) fn forget_zeroed(&self, offset: u64, length: u64) {
        let mut zeroed = self.zeroed.lock();
        if zeroed.is_empty() {
            return;
        }
        let start = offset - offset % self.cluster_size;
        let end = offset.saturating_add(length);
        let written = start
            ..end
                .checked_next_multiple_of(self.cluster_size)
                .unwrap_or(end);
        let left = std::mem::take(&mut *zeroed)
            .into_iter()
            .flat_map(|run| run.without(&written))
            .collect();
        *zeroed = left;
    }

    fn write_zero_bytes(&self, mut offset: u64, end: u64) -> io::Result<()> {
        let zeros = vec![
            0;
            usize::try_from(end.saturating_sub(offset))
                .unwrap_or(ZEROS)
                .min(ZEROS)
        ];
        while offset < end {
            let count = usize::try_from(end - offset).unwrap_or(ZEROS).min(ZEROS);
            self.write(offset, zeros.get(..count).unwrap_or(&zeros))?;
            offset += count as u64;
        }
        Ok(())
    }

    /// Makes the disk larger.
    pub(super) fn grow(&self, size: u64) -> io::Result<()> {
        if size < self.size() || !size.is_multiple_of(512) || size > i64::MAX.unsigned_abs() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "{size} bytes are not a multiple of 512 from {} on",
                    self.size()
                ),
            ));
        }
        let _tables = self.tables.lock();
        let format = self.format.write();
        self.write_tables(&format)?;
        self.file.hold_header(self.size());
        let grown = format.inner().resize_grow(size, PreallocateMode::None);
        // The old table of tables is free only when the header names the new one; and what the disk gains must be zeros before it
        // is there.
        let result = grown
            .and_then(|()| self.write_tables(&format))
            .and_then(|()| self.hide_backing(&format, size))
            .and_then(|()| {
                self.file.release_size();
                self.write_tables(&format)
            });
        self.file.release_size();
        if result.is_ok() {
            self.size.store(size, Ordering::Release);
        }
        result
    }

    /// Makes what the disk gains read as zeros where a longer backing file would show.
    fn hide_backing(&self, format: &FormatAccess<Store>, size: u64) -> io::Result<()> {
        let behind = self.backing.as_ref().map_or(0, |backing| backing.size());
        let (mut at, end) = (self.size(), size.min(behind));
        while at < end {
            // As far as the cluster goes in which the disk ended, then by clusters where there is a word for zeros.
            if self.zero_clusters && at.is_multiple_of(self.cluster_size) {
                let whole = end.next_multiple_of(self.cluster_size).min(size);
                return each_piece(&(at..whole), |offset, length| {
                    format.inner().ensure_zero_mapping(offset, length)
                });
            }
            let next = (at + 1).next_multiple_of(self.cluster_size).min(end);
            let zeros = vec![0; usize::try_from(next - at).map_err(io::Error::other)?];
            format.write(zeros.as_slice(), at)?;
            at = next;
        }
        Ok(())
    }
}

/// A piece of the guest's disk that is to be given back.
struct Piece {
    guest: Range<u64>,
    /// What of the file is free then: first byte and bytes.
    places: Vec<(u64, u64)>,
}

/// Clusters of the guest's, one after the other also in the file.
#[derive(Debug)]
pub(super) struct Run {
    guest: Range<u64>,
    place: u64,
}

impl Run {
    /// Where the part of `range` that is in the run is in the file.
    fn part(&self, range: &Range<u64>) -> Option<(u64, u64)> {
        let start = self.guest.start.max(range.start);
        let end = self.guest.end.min(range.end);
        (start < end).then(|| (self.place + (start - self.guest.start), end - start))
    }

    /// What is left of it, before and behind, without `range`.
    fn without(&self, range: &Range<u64>) -> impl Iterator<Item = Self> + use<> {
        let before = self.guest.start..self.guest.end.min(range.start);
        let behind = self.guest.start.max(range.end)..self.guest.end;
        let (first, place) = (self.guest.start, self.place);
        [before, behind]
            .into_iter()
            .filter(|guest| guest.start < guest.end)
            .map(move |guest| Self {
                place: place + (guest.start - first),
                guest,
            })
    }
}

/// Calls `action` until it has done all of `range`: it does so much as one table holds, and says what it did.
fn each_piece(
    range: &Range<u64>,
    mut action: impl FnMut(u64, u64) -> io::Result<(u64, u64)>,
) -> io::Result<()> {
    let mut at = range.start;
    while at < range.end {
        let (offset, length) = action(at, range.end - at)?;
        let next = offset.saturating_add(length);
        if next <= at {
            // Less than a cluster is left.
            break;
        }
        at = next;
    }
    Ok(())
}
