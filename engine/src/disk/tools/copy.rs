//! Copying a disk's content, by several threads at once, without what is empty.

use std::fs::File;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crossbeam_channel::{TrySendError, bounded};
use parking_lot::{Condvar, Mutex};

use super::super::formats::{Chain, Extent, Kind, index};
use super::{Job, ToolError};

/// Bytes that a thread takes at a time; a multiple of every granule.
const WINDOW: u64 = 2 << 20;
/// More threads than these only wait for the device.
const THREADS: usize = 8;
/// So many bytes that were copied go on to the device while others are copied, rather than all of them at the end.
const BATCH: u64 = 128 << 20;

/// Where a copy goes.
pub(super) trait Sink: Sync {
    /// Bytes of what it keeps together: a power of two, a window at most. Writes begin and end on such a border, but for the end
    /// of the disk.
    fn granule(&self) -> u64;

    /// Whether the pieces of the disk must arrive in order: then [`Turn::wait`] is called before something is written.
    fn in_order(&self) -> bool {
        false
    }

    /// Takes data, not all zeros, for `offset` of the disk.
    fn write(&self, turn: &Turn<'_>, offset: u64, data: &[u8]) -> Result<(), ToolError>;

    /// Hears that `length` bytes from `offset` on are zeros.
    fn zeros(&self, turn: &Turn<'_>, offset: u64, length: u64) -> Result<(), ToolError>;

    /// The file that it writes to, and what messages call it.
    fn file(&self) -> (&File, &Path);

    /// Hears that the image beneath has what lies in `length` bytes from `offset` on.
    fn absent(&self, turn: &Turn<'_>, offset: u64, length: u64) -> Result<(), ToolError> {
        self.zeros(turn, offset, length)
    }
}

/// A piece of the disk.
enum Piece {
    Data(u64, u64),
    Empty(Kind, u64, u64),
}

/// What is not yet taken.
struct Cursor {
    next: u64,
    ticket: u64,
    /// Pieces are of one kind each: the source is an image without those beneath it.
    exact: bool,
}

impl Cursor {
    fn take(&mut self, chain: &Chain, granule: u64) -> Result<Option<(u64, Piece)>, ToolError> {
        let offset = self.next;
        let Some(Extent { kind, length }) = chain.extent(offset)? else {
            return Ok(None);
        };
        let ticket = self.ticket;
        self.ticket += 1;
        let end = chain.size();
        let whole = if length == end - offset {
            length
        } else {
            length - length % granule
        };
        let piece = if kind != Kind::Data && whole > 0 {
            self.next = offset + whole;
            Piece::Empty(kind, offset, whole)
        } else {
            let length = WINDOW.min(if self.exact { length } else { end - offset });
            self.next = offset + length;
            Piece::Data(offset, length)
        };
        Ok(Some((ticket, piece)))
    }
}

/// Whose turn it is to write.
struct Order {
    /// The next ticket, or `None` when somebody failed.
    now: Mutex<Option<u64>>,
    changed: Condvar,
}

/// The place of a piece in the order of the disk.
pub(super) struct Turn<'a> {
    order: &'a Order,
    ticket: u64,
}

impl Turn<'_> {
    /// Returns when all before this piece is written.
    pub(super) fn wait(&self) -> Result<(), ToolError> {
        let mut now = self.order.now.lock();
        loop {
            match *now {
                None => return Err(ToolError::Cancelled),
                Some(ticket) if ticket == self.ticket => return Ok(()),
                Some(_) => self.order.changed.wait(&mut now),
            }
        }
    }

    fn done(&self) -> Result<(), ToolError> {
        self.wait()?;
        *self.order.now.lock() = Some(self.ticket + 1);
        self.order.changed.notify_all();
        Ok(())
    }
}

/// Whether all of `data` is zero.
pub(super) fn is_zero(data: &[u8]) -> bool {
    let (blocks, rest) = data.as_chunks::<64>();
    blocks
        .iter()
        .all(|block| block.iter().fold(0, |all, byte| all | byte) == 0)
        && rest.iter().all(|byte| *byte == 0)
}

/// Runs `work` on several threads; the first failure, if any failed, that was not brought about by another's.
fn in_parallel(
    failed: impl Fn() + Sync,
    work: impl Fn() -> Result<(), ToolError> + Sync,
) -> Result<(), ToolError> {
    let threads = thread::available_parallelism()
        .map_or(1, NonZero::get)
        .min(THREADS);
    let results: Vec<Result<(), ToolError>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let result =
                        catch_unwind(AssertUnwindSafe(&work)).unwrap_or(Err(ToolError::Panicked));
                    if result.is_err() {
                        failed();
                    }
                    result
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or(Err(ToolError::Panicked)))
            .collect()
    });
    let mut outcome = Ok(());
    for result in results {
        match result {
            Err(ToolError::Cancelled) if outcome.is_err() => {}
            Err(error) if matches!(outcome, Ok(()) | Err(ToolError::Cancelled)) => {
                outcome = Err(error);
            }
            _ => {}
        }
    }
    outcome
}

/// Copies the content of `chain` to `sink`.
pub(super) fn copy(chain: &Chain, sink: &dyn Sink, job: &Job<'_>) -> Result<(), ToolError> {
    let copied = AtomicU64::new(0);
    let (full, batches) = bounded::<()>(1);
    thread::scope(|scope| {
        // The host tells of a failure once: whoever hears it must not let the copy end well.
        let storing = scope.spawn(move || {
            let (file, target) = sink.file();
            batches
                .iter()
                .try_for_each(|()| file.sync_data())
                .map_err(|source| ToolError::from_host("write to", target, source))
        });
        let result = copy_content(chain, sink, job, &|bytes| {
            if copied.fetch_add(bytes, Ordering::Relaxed) + bytes < BATCH {
                return Ok(());
            }
            copied.store(0, Ordering::Relaxed);
            match full.try_send(()) {
                // While the last batch is under way, this one waits for the next.
                Ok(()) | Err(TrySendError::Full(())) => Ok(()),
                Err(TrySendError::Disconnected(())) => Err(ToolError::Cancelled),
            }
        });
        drop(full);
        storing
            .join()
            .unwrap_or(Err(ToolError::Panicked))
            .and(result)
    })
}

fn copy_content(
    chain: &Chain,
    sink: &dyn Sink,
    job: &Job<'_>,
    copied: &(dyn Fn(u64) -> Result<(), ToolError> + Sync),
) -> Result<(), ToolError> {
    let cursor = Mutex::new(Cursor {
        next: 0,
        ticket: 0,
        exact: chain.is_partial(),
    });
    let order = Order {
        now: Mutex::new(Some(0)),
        changed: Condvar::new(),
    };
    let stop = || {
        *order.now.lock() = None;
        order.changed.notify_all();
    };
    in_parallel(stop, || {
        let mut buffer = vec![0; index(WINDOW)];
        loop {
            if order.now.lock().is_none() {
                return Err(ToolError::Cancelled);
            }
            let Some((ticket, piece)) = cursor.lock().take(chain, sink.granule())? else {
                return Ok(());
            };
            let turn = Turn {
                order: &order,
                ticket,
            };
            let length = match piece {
                Piece::Empty(Kind::Absent, offset, length) => {
                    sink.absent(&turn, offset, length)?;
                    length
                }
                Piece::Empty(_, offset, length) => {
                    sink.zeros(&turn, offset, length)?;
                    length
                }
                Piece::Data(offset, length) => {
                    let data = buffer.get_mut(..index(length)).unwrap_or_default();
                    chain.read(offset, data)?;
                    hand_over(sink, &turn, offset, data)?;
                    copied(length)?;
                    length
                }
            };
            if sink.in_order() {
                turn.done()?;
            }
            job.advance(length)?;
        }
    })
}

/// Gives `data` to `sink` in runs of data and of zeros.
fn hand_over(sink: &dyn Sink, turn: &Turn<'_>, offset: u64, data: &[u8]) -> Result<(), ToolError> {
    let granule = index(sink.granule());
    let mut start = 0;
    while start < data.len() {
        let rest = data.get(start..).unwrap_or_default();
        let mut granules = rest.chunks(granule);
        let zero = granules.next().is_none_or(is_zero);
        let same = granules.take_while(|next| is_zero(next) == zero).count();
        let end = ((same + 1) * granule).min(rest.len());
        let run = rest.get(..end).unwrap_or_default();
        let place = offset + start as u64;
        if zero {
            sink.zeros(turn, place, run.len() as u64)?;
        } else {
            sink.write(turn, place, run)?;
        }
        start += end;
    }
    Ok(())
}

/// Compares the content of two disks: the first byte that differs. What one has beyond the other's end counts as zeros there.
pub(super) fn compare(one: &Chain, other: &Chain, job: &Job<'_>) -> Result<Option<u64>, ToolError> {
    let cursor = Mutex::new(0_u64);
    let found = Mutex::new(None::<u64>);
    let end = one.size().max(other.size());
    let failed = Mutex::new(false);
    in_parallel(
        || *failed.lock() = true,
        || {
            let mut buffers = [vec![0; index(WINDOW)], vec![0; index(WINDOW)]];
            loop {
                let (offset, length, equal) = {
                    let mut next = cursor.lock();
                    let offset = *next;
                    if offset >= end || *failed.lock() || found.lock().is_some() {
                        return Ok(());
                    }
                    let behind = Extent::new(Kind::Zero, end - offset);
                    let extent =
                        |chain: &Chain| chain.extent(offset).map(|extent| extent.unwrap_or(behind));
                    let (first, second) = (extent(one)?, extent(other)?);
                    let both = first.length.min(second.length);
                    let kinds = (first.kind, second.kind);
                    let equal = match kinds {
                        (Kind::Absent, Kind::Absent) | (Kind::Zero, Kind::Zero) => true,
                        (Kind::Absent, _) | (_, Kind::Absent) => {
                            *found.lock() = Some(offset);
                            return Ok(());
                        }
                        _ => false,
                    };
                    let length = if equal {
                        both
                    } else if one.is_partial() || other.is_partial() {
                        WINDOW.min(both)
                    } else {
                        WINDOW.min(end - offset)
                    };
                    *next = offset + length;
                    (offset, length, equal)
                };
                if !equal {
                    let [first, second] = &mut buffers;
                    let count = index(length);
                    let (first, second) = (
                        first.get_mut(..count).unwrap_or_default(),
                        second.get_mut(..count).unwrap_or_default(),
                    );
                    one.read(offset, first)?;
                    other.read(offset, second)?;
                    if first != second {
                        let at = first
                            .iter()
                            .zip(&*second)
                            .position(|(one, other)| one != other);
                        let place = offset + at.unwrap_or(0) as u64;
                        let mut found = found.lock();
                        *found = Some(found.map_or(place, |known| known.min(place)));
                    }
                }
                job.advance(length)?;
            }
        },
    )?;
    Ok(found.into_inner())
}
