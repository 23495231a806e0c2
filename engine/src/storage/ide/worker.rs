//! The thread of one drive: reads and writes the image, and asks the fault handler about what fails.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parking_lot::MutexGuard;

use crate::disk::{Image, ImageError};
use crate::storage::{Activity, FaultHandler, Verdict};

use super::channel::{Channel, ChannelState};
use super::unit::CHUNK;

/// What a drive's thread does at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Worker {
    /// It waits for work.
    Idle,
    /// It reads, writes, flushes or tells.
    Busy,
    /// It waits for the fault handler's verdict.
    Deciding,
}

/// What is to be done with the image.
pub(super) enum Task {
    /// Read this range.
    Read { offset: u64, length: usize },
    /// Write this, and with `through` also to the device that holds the image.
    Write {
        offset: u64,
        data: Vec<u8>,
        through: bool,
    },
    /// Read this range and drop it.
    Verify { offset: u64, length: u64 },
    /// Put what was written on the device that holds the image.
    Flush,
}

/// Work for a drive's thread.
pub(super) struct Job {
    pub(super) generation: u64,
    pub(super) image: Arc<dyn Image>,
    pub(super) task: Task,
}

/// What became of a job.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It was read.
    Read(Vec<u8>),
    /// It was written, verified or flushed.
    Done,
    /// It failed, at this byte of the image if it was a read or a write.
    Failed {
        /// Where.
        offset: Option<u64>,
    },
}

/// The thread of the drive in place `unit` of `channel`.
pub(super) struct DriveThread {
    pub(super) channel: Arc<Channel>,
    pub(super) unit: usize,
    pub(super) name: String,
    pub(super) faults: Arc<dyn FaultHandler>,
    pub(super) activity: Arc<Activity>,
}

impl DriveThread {
    /// Works until the channel is closed.
    pub(super) fn run(self) {
        let mut state = self.channel.state.lock();
        loop {
            if state.closed {
                break;
            }
            if let Some(job) = state.unit(self.unit).job.take() {
                state.unit(self.unit).worker = Worker::Busy;
                let generation = job.generation;
                let outcome = self.carry_out(&mut state, &job);
                state.unit(self.unit).worker = Worker::Idle;
                if let Some(outcome) = outcome
                    && state.unit(self.unit).generation == generation
                    && !state.closed
                {
                    state.worker_done(self.unit, outcome);
                }
            } else if let Some(medium) = state.take_tray_move(self.unit) {
                state.unit(self.unit).worker = Worker::Busy;
                let observer = state.observer.clone();
                MutexGuard::unlocked(&mut state, || {
                    drop(medium);
                    if let Some(observer) = observer {
                        observer(self.channel.place(self.unit));
                    }
                });
                state.unit(self.unit).worker = Worker::Idle;
            } else {
                self.channel.settled.notify_all();
                self.channel.wake(self.unit).wait(&mut state);
            }
        }
        state.unit(self.unit).worker = Worker::Idle;
        self.channel.settled.notify_all();
    }

    /// Does a job with the lock let go. None when it was given up because the drive was reset or removed meanwhile.
    fn carry_out(&self, state: &mut MutexGuard<'_, ChannelState>, job: &Job) -> Option<Outcome> {
        loop {
            let result = MutexGuard::unlocked(state, || {
                catch_unwind(AssertUnwindSafe(|| self.attempt(job)))
            });
            let failure = match result {
                Ok(Ok(outcome)) => return Some(outcome),
                Ok(Err(failure)) => failure,
                Err(_panic) => {
                    tracing::error!(drive = self.name, "the image's code panicked");
                    return Some(Outcome::Failed { offset: None });
                }
            };
            state.unit(self.unit).worker = Worker::Deciding;
            self.channel.settled.notify_all();
            let verdict = MutexGuard::unlocked(state, || {
                catch_unwind(AssertUnwindSafe(|| {
                    self.faults.failed(&self.name, &failure.error)
                }))
                .unwrap_or(Verdict::Report)
            });
            state.unit(self.unit).worker = Worker::Busy;
            if state.closed || state.unit(self.unit).generation != job.generation {
                return None;
            }
            if verdict == Verdict::Report {
                return Some(Outcome::Failed {
                    offset: failure.offset,
                });
            }
        }
    }

    fn attempt(&self, job: &Job) -> Result<Outcome, Failure> {
        let image = &job.image;
        match &job.task {
            Task::Read { offset, length } => {
                let mut data = vec![0; *length];
                image
                    .read_at(*offset, &mut data)
                    .map_err(|error| Failure::at(*offset, error))?;
                self.activity.read(data.len());
                Ok(Outcome::Read(data))
            }
            Task::Write {
                offset,
                data,
                through,
            } => {
                image
                    .write_at(*offset, data)
                    .map_err(|error| Failure::at(*offset, error))?;
                if *through {
                    image.flush().map_err(|error| Failure::at(*offset, error))?;
                }
                self.activity.written(data.len());
                Ok(Outcome::Done)
            }
            Task::Verify { offset, length } => {
                let end = offset.saturating_add(*length);
                let mut at = *offset;
                let mut data = Vec::new();
                while at < end {
                    let part = (end - at).min(CHUNK);
                    data.resize(usize::try_from(part).unwrap_or(0), 0);
                    image
                        .read_at(at, &mut data)
                        .map_err(|error| Failure::at(at, error))?;
                    at += part;
                }
                Ok(Outcome::Done)
            }
            Task::Flush => {
                image.flush().map_err(|error| Failure {
                    offset: None,
                    error,
                })?;
                Ok(Outcome::Done)
            }
        }
    }
}

struct Failure {
    offset: Option<u64>,
    error: ImageError,
}

impl Failure {
    fn at(offset: u64, error: ImageError) -> Self {
        Self {
            offset: Some(offset),
            error,
        }
    }
}
