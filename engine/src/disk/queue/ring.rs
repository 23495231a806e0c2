//! The thread that hands requests to io_uring and hears of their end.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{Buffer, Job, Kind, Request, Role, Shared};
use crate::memory::io_ring::{Ring, Waker};

/// How often a broken ring's thread looks for requests to hand to the others.
const BROKEN_POLL: Duration = Duration::from_millis(10);

/// Tells the ring's thread that there is work.
pub(super) struct Doorbell(Waker);

impl Doorbell {
    pub(super) fn ring(&self) {
        self.0.wake();
    }
}

/// A ring, if the host allows one.
pub(super) fn open(entries: u32) -> Option<(Doorbell, Ring)> {
    match Ring::new(entries) {
        Ok(ring) => Some((Doorbell(ring.waker()), ring)),
        Err(error) => {
            tracing::info!(%error, "the host does not allow io_uring");
            None
        }
    }
}

/// Whether a request is one that the kernel can carry out alone.
pub(super) fn suits(request: &Request) -> bool {
    matches!(request.kind, Kind::Read | Kind::Write { through: false })
        && matches!(&request.buffer, Buffer::Guest(buffer) if !buffer.is_empty())
}

pub(super) struct RingThread(JoinHandle<()>);

impl RingThread {
    pub(super) fn start(ring: Ring, shared: Arc<Shared>) -> io::Result<Self> {
        thread::Builder::new()
            .name("disk-ring".to_owned())
            .spawn(move || run(ring, &shared))
            .map(Self)
    }

    pub(super) fn join(self, shared: &Shared) {
        if let Some(doorbell) = &shared.ring {
            doorbell.ring();
        }
        if self.0.join().is_err() {
            tracing::error!(drive = shared.name, "the thread of an io_uring panicked");
        }
    }
}

fn run(mut ring: Ring, shared: &Arc<Shared>) {
    shared.employed(Role::Ring);
    let mut in_flight: HashMap<u64, Job> = HashMap::new();
    let mut next = 0_u64;
    loop {
        let (jobs, closed) = {
            let mut state = shared.state.lock();
            let count = if ring.broken() {
                state.for_ring.len()
            } else {
                ring.room().min(state.for_ring.len())
            };
            let jobs: Vec<Job> = state.for_ring.drain(..count).collect();
            (jobs, state.closed)
        };
        for job in jobs {
            next = next.wrapping_add(1) & (u64::MAX >> 1);
            if push(&mut ring, next, &job) {
                in_flight.insert(next, job);
            } else {
                to_threads(shared, job);
            }
        }
        if closed && in_flight.is_empty() {
            return;
        }
        if ring.broken() {
            // What the kernel took and says nothing of any more cannot be made again: it may still write to the guest's memory.
            let mut state = shared.state.lock();
            if state.closed {
                state.running -= in_flight.len();
                std::mem::forget(in_flight);
                shared.call_all(&mut state);
                return;
            }
            drop(state);
            thread::sleep(BROKEN_POLL);
            continue;
        }
        for ended in ring.wait() {
            let Some(job) = in_flight.remove(&ended.token) else {
                continue;
            };
            let whole = match &job.request.buffer {
                Buffer::Guest(buffer) => buffer.len(),
                _ => 0,
            };
            match ended.result {
                Ok(moved) if moved == whole => shared.complete(job, Ok(())),
                // Cut short or failed: a thread makes the whole request again, and asks what to do if that fails too.
                _ => to_threads(shared, job),
            }
        }
    }
}

fn push(ring: &mut Ring, token: u64, job: &Job) -> bool {
    let Buffer::Guest(buffer) = &job.request.buffer else {
        return false;
    };
    let write = job.request.kind != Kind::Read;
    let offset = job.request.offset;
    let Some(direct) = job.image.direct_file(write) else {
        return false;
    };
    let inside = offset
        .checked_add(buffer.len() as u64)
        .is_some_and(|end| end <= job.image.size());
    let aligned =
        offset.is_multiple_of(direct.alignment as u64) && buffer.is_aligned(direct.alignment);
    // Whatever is wrong, a thread finds the words for it.
    inside && aligned && ring.push(token, &direct.file, buffer, offset, write)
}

fn to_threads(shared: &Arc<Shared>, job: Job) {
    let mut state = shared.state.lock();
    state.ready.push_back(job);
    shared.employ(&mut state);
}
