//! The threads that carry out requests, as many as there are requests that wait at once.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use super::{Buffer, Failure, Job, Kind, PATIENCE, Request, Role, Shared};
use crate::disk::{Image, ImageError, Verdict};

/// Verifications read in pieces of this many bytes.
const PIECE: u64 = 1 << 20;

/// Starts a thread, which the caller has counted.
pub(super) fn start_thread(shared: &Arc<Shared>) -> io::Result<()> {
    let shared = Arc::clone(shared);
    thread::Builder::new()
        .name("disk".to_owned())
        .spawn(move || work(&shared))
        .map(|_| ())
}

fn work(shared: &Arc<Shared>) {
    shared.employed(Role::Thread);
    let mut state = shared.state.lock();
    state.called -= 1;
    loop {
        if let Some(job) = state.take() {
            shared.employ(&mut state);
            drop(state);
            carry_out(shared, job);
            state = shared.state.lock();
        } else if state.closed && state.running == 0 {
            break;
        } else {
            state.idle += 1;
            if !shared.work.wait_for(&mut state, PATIENCE).timed_out() {
                // Whoever called it has counted it out of the idle.
                state.called -= 1;
                continue;
            }
            state.idle -= 1;
            if state.ready.is_empty() && state.threads > 1 {
                break;
            }
        }
    }
    state.threads -= 1;
    shared.settled.notify_all();
}

fn carry_out(shared: &Arc<Shared>, mut job: Job) {
    loop {
        let outcome = catch_unwind(AssertUnwindSafe(|| attempt(&*job.image, &mut job.request)));
        let (offset, error) = match outcome {
            Ok(Ok(())) => return shared.complete(job, Ok(())),
            Ok(Err(failed)) => failed,
            Err(_panic) => {
                tracing::error!(drive = shared.name, "the image's code panicked");
                return shared.complete(job, Err(Failure::Panic));
            }
        };
        {
            let mut state = shared.state.lock();
            state.deciding += 1;
            if state.generation == job.generation {
                state.pondering += 1;
            }
            shared.settled.notify_all();
        }
        let verdict = catch_unwind(AssertUnwindSafe(|| {
            shared.faults.failed(&shared.name, &error)
        }))
        .unwrap_or(Verdict::Report);
        let abandoned = {
            let mut state = shared.state.lock();
            state.deciding -= 1;
            let abandoned = state.generation != job.generation;
            if !abandoned {
                state.pondering -= 1;
                shared.employ(&mut state);
            }
            abandoned
        };
        if abandoned || verdict == Verdict::Report {
            return shared.complete(job, Err(Failure::Image { offset, error }));
        }
    }
}

fn attempt(image: &dyn Image, request: &mut Request) -> Result<(), (Option<u64>, ImageError)> {
    let offset = request.offset;
    let at = |error| (Some(offset), error);
    match request.kind {
        Kind::Read => match &mut request.buffer {
            Buffer::None => Ok(()),
            Buffer::Guest(buffer) => image.read_guest(offset, buffer).map_err(at),
            Buffer::Bytes(data) => image.read_at(offset, data).map_err(at),
        },
        Kind::Write { through } => {
            match &request.buffer {
                Buffer::None => Ok(()),
                Buffer::Guest(buffer) => image.write_guest(offset, buffer),
                Buffer::Bytes(data) => image.write_at(offset, data),
            }
            .map_err(at)?;
            if through {
                image.flush().map_err(at)?;
            }
            Ok(())
        }
        Kind::Verify { length } => verify(image, offset, length),
        Kind::Flush => image.flush().map_err(|error| (None, error)),
        Kind::Discard { length } => image.discard(offset, length).map_err(at),
        Kind::WriteZeroes { length, may_unmap } => {
            image.write_zeroes(offset, length, may_unmap).map_err(at)
        }
    }
}

fn verify(image: &dyn Image, offset: u64, length: u64) -> Result<(), (Option<u64>, ImageError)> {
    let end = offset.saturating_add(length);
    let mut at = offset;
    let mut data = Vec::new();
    while at < end {
        let part = (end - at).min(PIECE);
        data.resize(usize::try_from(part).unwrap_or(0), 0);
        image
            .read_at(at, &mut data)
            .map_err(|error| (Some(at), error))?;
        at += part;
    }
    Ok(())
}
