//! A drive's requests, carried out beside the guest: many at once, and in order where a flush stands between.
//!
//! Reads, writes, discards and zeros that wait at the same time are carried out in any order, as a drive may. A flush waits for
//! everything that changes the disk and was submitted before it; what changes the disk and is submitted after it waits for the
//! flush. Reads pass a flush.
//!
//! Requests of raw images past the page cache go through the kernel's io_uring where the host allows it. All others, and those that
//! did not end well there, are carried out by threads that come as they are needed: through the page cache the kernel would copy
//! every read on the ring's one thread, and hand every write to a thread of its own. What fails is put before the drive's
//! [`FaultHandler`] on such a thread, and made again if it says so. While it thinks, the request is not under way, and the threads
//! begin no other unless a reset came between: the guest's memory is not touched.

mod pool;
mod ring;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::{FaultHandler, Image, ImageError};
use crate::memory::GuestBuffer;

use ring::RingThread;

/// The most threads that carry out one drive's requests.
const THREADS: usize = 64;
/// How long a thread waits for work before it goes.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most requests under way in a ring.
const RING: u32 = 128;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Fill the buffer.
    Read,
    /// Write the buffer, and with `through` to the device that holds the image.
    Write {
        /// The guest hears that it is done only when it is on the device.
        through: bool,
    },
    /// Read `length` bytes and drop them.
    Verify {
        /// Bytes.
        length: u64,
    },
    /// Put everything written before on the device that holds the image.
    Flush,
    /// The guest does not need `length` bytes any more.
    Discard {
        /// Bytes.
        length: u64,
    },
    /// Make `length` bytes read as zeros.
    WriteZeroes {
        /// Bytes.
        length: u64,
        /// Their space may be given back.
        may_unmap: bool,
    },
}

impl Kind {
    fn changes(self) -> bool {
        matches!(
            self,
            Self::Write { .. } | Self::Discard { .. } | Self::WriteZeroes { .. }
        )
    }
}

/// Where data comes from or goes to.
#[derive(Debug, Default)]
pub enum Buffer {
    /// There is none.
    #[default]
    None,
    /// The guest's memory.
    Guest(GuestBuffer),
    /// Ours.
    Bytes(Vec<u8>),
}

impl Buffer {
    /// Its size in bytes.
    fn len(&self) -> u64 {
        match self {
            Self::None => 0,
            Self::Guest(buffer) => buffer.len() as u64,
            Self::Bytes(bytes) => bytes.len() as u64,
        }
    }
}

/// A request.
#[derive(Debug)]
pub struct Request {
    /// What is to be done.
    pub kind: Kind,
    /// The first byte of the disk.
    pub offset: u64,
    /// For reads and writes.
    pub buffer: Buffer,
}

/// What became of a request.
#[derive(Debug)]
pub struct Done {
    /// The request's buffer.
    pub buffer: Buffer,
    /// Nothing, if it went well.
    pub result: Result<(), Failure>,
}

/// Why a request failed.
#[derive(Debug)]
pub enum Failure {
    /// The image could not do it, and the fault handler said that the guest is to hear of it.
    Image {
        /// The first byte of the piece that failed, if it was a read, a write or a verification.
        offset: Option<u64>,
        /// Cause.
        error: ImageError,
    },
    /// The image's code panicked.
    Panic,
}

/// How requests are to be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// By io_uring where the image allows it, by threads otherwise.
    Ring,
    /// By threads.
    Threads,
}

impl Method {
    /// The best one for `image`.
    pub fn for_image(image: &dyn Image) -> Self {
        if image.direct_file(false).is_some() {
            Self::Ring
        } else {
            Self::Threads
        }
    }
}

type Completion = Box<dyn FnOnce(Done) + Send>;

struct Job {
    generation: u64,
    image: Arc<dyn Image>,
    request: Request,
    completion: Completion,
}

#[derive(Default)]
struct State {
    /// Grows when requests are abandoned: what is older is forgotten.
    generation: u64,
    /// Not started, in the order they came.
    waiting: VecDeque<Job>,
    /// Started, for the next thread that is free.
    ready: VecDeque<Job>,
    /// Started, for the ring's thread.
    for_ring: VecDeque<Job>,
    /// Started and not ended, of any generation.
    running: usize,
    /// Of these, those that change the disk.
    changing: usize,
    flushing: bool,
    /// Of those running, the ones that wait for the fault handler.
    deciding: usize,
    /// Of these, those that were not abandoned: threads begin nothing meanwhile.
    pondering: usize,
    threads: usize,
    /// Threads that wait for work.
    idle: usize,
    /// Threads that were called to work, or started for it, and have not looked yet.
    called: usize,
    closed: bool,
}

struct Shared {
    name: String,
    faults: Arc<dyn FaultHandler>,
    state: Mutex<State>,
    /// A thread has something to do.
    work: Condvar,
    /// Something ended, or waits for the fault handler.
    settled: Condvar,
    ring: Option<ring::Doorbell>,
}

/// The queue of one drive. Dropping it drops what was not started and waits for what was.
pub struct DiskQueue {
    shared: Arc<Shared>,
    ring: Option<RingThread>,
}

impl DiskQueue {
    /// A queue; `name` is what a person calls the drive ("hard disk 1"), `faults` decides about what fails, `method` is used if
    /// the host allows it.
    ///
    /// # Errors
    /// When the host gives no thread.
    pub fn new(name: String, faults: Arc<dyn FaultHandler>, method: Method) -> io::Result<Self> {
        let (doorbell, ring) = match method {
            Method::Ring => ring::open(RING),
            Method::Threads => None,
        }
        .unzip();
        let method = if ring.is_some() {
            "io_uring"
        } else {
            "threads"
        };
        tracing::info!(drive = name, method, "how disk requests are carried out");
        let shared = Arc::new(Shared {
            name,
            faults,
            state: Mutex::default(),
            work: Condvar::new(),
            settled: Condvar::new(),
            ring: doorbell,
        });
        // The first thread comes now: without one nothing would ever be done.
        {
            let mut state = shared.state.lock();
            state.threads = 1;
            state.called = 1;
        }
        pool::start_thread(&shared)?;
        let mut queue = Self { shared, ring: None };
        if let Some(ring) = ring {
            queue.ring = Some(RingThread::start(ring, Arc::clone(&queue.shared))?);
        }
        Ok(queue)
    }

    /// How requests are carried out.
    pub fn method(&self) -> Method {
        if self.ring.is_some() {
            Method::Ring
        } else {
            Method::Threads
        }
    }

    /// Takes a request to `image` and returns at once. `completion` hears on a thread of the queue's what became of it, unless it
    /// is abandoned; it may take short locks and submit, and must not wait for anything else.
    pub fn submit(
        &self,
        image: &Arc<dyn Image>,
        request: Request,
        completion: impl FnOnce(Done) + Send + 'static,
    ) {
        let mut state = self.shared.state.lock();
        let generation = state.generation;
        state.waiting.push_back(Job {
            generation,
            image: Arc::clone(image),
            request,
            completion: Box::new(completion),
        });
        self.shared.dispatch(&mut state);
    }

    /// Forgets every request, as a reset of the device does: those that were not started are dropped. Those under way still reach the
    /// image and the guest's memory, and a completion may still be called, until [`DiskQueue::is_settled`].
    pub fn abandon(&self) {
        let dropped: Vec<Job> = {
            let mut state = self.shared.state.lock();
            let dropped = state.abandon();
            self.shared.employ(&mut state);
            dropped
        };
        drop(dropped);
    }

    /// Whether nothing reaches the guest's memory or the image: all requests have ended, or wait for the fault handler.
    pub fn is_settled(&self) -> bool {
        self.shared.state.lock().is_settled()
    }

    /// Whether there is no request at all, not even one that waits for the fault handler.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        let state = self.shared.state.lock();
        state.running == 0 && state.waiting.is_empty()
    }

    /// Waits until [`DiskQueue::is_settled`]. No device's lock may be held meanwhile that completions take.
    pub fn drain(&self) {
        let mut state = self.shared.state.lock();
        while !state.is_settled() {
            self.shared.settled.wait(&mut state);
        }
    }
}

impl State {
    fn is_settled(&self) -> bool {
        // What waits behind a request that the fault handler thinks about stays as it is.
        let left = self.ready.len() - self.takeable();
        self.running == self.deciding + left && (self.waiting.is_empty() || self.deciding > 0)
    }

    /// Counts requests as abandoned; those that were not started are returned, to be dropped without the lock: completions own
    /// things of the device's.
    fn abandon(&mut self) -> Vec<Job> {
        self.generation = self.generation.wrapping_add(1);
        self.pondering = 0;
        self.waiting.drain(..).collect()
    }

    /// How many requests a thread could take now.
    fn takeable(&self) -> usize {
        if self.pondering > 0 {
            0
        } else {
            self.ready.len()
        }
    }

    /// The next request for a thread.
    fn take(&mut self) -> Option<Job> {
        if self.takeable() == 0 {
            return None;
        }
        self.ready.pop_front()
    }
}

impl Shared {
    /// Starts what may start.
    fn dispatch(self: &Arc<Self>, state: &mut State) {
        let mut index = 0;
        let mut barrier = state.flushing;
        let mut threads = false;
        let mut ring = false;
        while let Some(job) = state.waiting.get(index) {
            let kind = job.request.kind;
            let may_start = match kind {
                Kind::Flush => !barrier && state.changing == 0,
                _ if kind.changes() => !barrier,
                _ => true,
            };
            if !may_start {
                barrier |= kind == Kind::Flush;
                index += 1;
                continue;
            }
            let Some(job) = state.waiting.remove(index) else {
                break;
            };
            state.running += 1;
            if kind == Kind::Flush {
                state.flushing = true;
                barrier = true;
            } else if kind.changes() {
                state.changing += 1;
            }
            if self.ring.is_some() && ring::suits(&job.request) {
                ring |= state.for_ring.is_empty();
                state.for_ring.push_back(job);
            } else {
                state.ready.push_back(job);
                threads = true;
            }
        }
        // Who completes a request looks for the next one right after that.
        let role = self.role().filter(|_| COMPLETING.get());
        if ring
            && role != Some(Role::Ring)
            && let Some(doorbell) = &self.ring
        {
            doorbell.ring();
        }
        if threads && role != Some(Role::Thread) {
            self.employ(state);
        }
    }

    /// Finds a thread for what is ready, unless enough are on their way. A thread that takes a request finds one for the next.
    fn employ(self: &Arc<Self>, state: &mut State) {
        if state.takeable() <= state.called {
            return;
        }
        // It is not there any more if its patience ended this moment; then it looks once more by itself.
        if state.idle > 0 && self.work.notify_one() {
            state.idle -= 1;
            state.called += 1;
        } else if state.threads < THREADS {
            state.threads += 1;
            state.called += 1;
            if let Err(error) = pool::start_thread(self) {
                // Those that there are do it later.
                state.threads -= 1;
                state.called -= 1;
                tracing::warn!(%error, "no further thread for disk requests");
            }
        }
    }

    /// Has every thread look whether it is to end.
    fn call_all(&self, state: &mut State) {
        let woken = self.work.notify_all();
        state.idle -= woken;
        state.called += woken;
    }

    /// A request that was started has ended, and its completion was called.
    fn ended(self: &Arc<Self>, state: &mut State, kind: Kind) {
        state.running -= 1;
        if kind == Kind::Flush {
            state.flushing = false;
        } else if kind.changes() {
            state.changing -= 1;
        }
        self.dispatch(state);
        self.settled.notify_all();
        if state.closed && state.running == 0 {
            self.call_all(state);
        }
    }

    /// Calls the completion of a job that was not abandoned.
    fn complete(self: &Arc<Self>, job: Job, result: Result<(), Failure>) {
        let kind = job.request.kind;
        let abandoned = self.state.lock().generation != job.generation;
        let (completion, buffer) = (job.completion, job.request.buffer);
        match kind {
            Kind::Read if result.is_ok() => self.faults.transferred(buffer.len(), 0),
            Kind::Write { .. } if result.is_ok() => self.faults.transferred(0, buffer.len()),
            _ => {}
        }
        let call = move || {
            if abandoned {
                drop((completion, buffer));
            } else {
                completion(Done { buffer, result });
            }
        };
        COMPLETING.set(true);
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).is_err() {
            tracing::error!(drive = self.name, "the device's code panicked");
        }
        self.ended(&mut self.state.lock(), kind);
        COMPLETING.set(false);
    }
}

/// What a thread of a queue does there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// It hands requests to the ring.
    Ring,
    /// It carries them out.
    Thread,
}

thread_local! {
    /// The queue that this thread works for, by its address, and as what.
    static EMPLOYER: Cell<Option<(usize, Role)>> = const { Cell::new(None) };
    /// This thread completes a request and then looks for the next.
    static COMPLETING: Cell<bool> = const { Cell::new(false) };
}

impl Shared {
    fn address(self: &Arc<Self>) -> usize {
        Arc::as_ptr(self) as usize
    }

    /// Says of this thread that it works for the queue.
    fn employed(self: &Arc<Self>, role: Role) {
        EMPLOYER.set(Some((self.address(), role)));
    }

    /// What this thread does for the queue, if anything.
    fn role(self: &Arc<Self>) -> Option<Role> {
        let (address, role) = EMPLOYER.get()?;
        (address == self.address()).then_some(role)
    }
}

impl Drop for DiskQueue {
    fn drop(&mut self) {
        let dropped: Vec<Job> = {
            let mut state = self.shared.state.lock();
            state.closed = true;
            self.shared.call_all(&mut state);
            state.abandon()
        };
        drop(dropped);
        if self.shared.role().is_some() {
            // A completion had the last hand on it: the threads end by themselves.
            if let Some(doorbell) = &self.shared.ring {
                doorbell.ring();
            }
            return;
        }
        if let Some(ring) = self.ring.take() {
            ring.join(&self.shared);
        }
        let mut state = self.shared.state.lock();
        while state.threads > 0 {
            self.shared.settled.wait(&mut state);
        }
    }
}

impl fmt::Debug for DiskQueue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("DiskQueue")
            .field("name", &self.shared.name)
            .field("method", &self.method())
            .finish_non_exhaustive()
    }
}
