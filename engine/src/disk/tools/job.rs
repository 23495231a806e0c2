//! How far a piece of work is, and whether it is still wanted.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::ToolError;

/// A step is told once it is this part of the whole.
const STEPS: u64 = 500;

/// What a tool is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Looking through an image's tables.
    Checking,
    /// Moving data.
    Copying,
    /// Comparing the copy with its source.
    Verifying,
    /// Bringing what was written to the device.
    Storing,
}

impl fmt::Display for Phase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Checking => "Checking",
            Self::Copying => "Copying",
            Self::Verifying => "Verifying",
            Self::Storing => "Storing",
        })
    }
}

/// How far a tool is with one of its phases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What it is doing.
    pub phase: Phase,
    /// Bytes that are done with.
    pub done: u64,
    /// All of them; 0 where that is not known.
    pub total: u64,
}

/// Asks a tool to stop. Clones ask the same tool.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks the tool to stop: it does within a few megabytes, and undoes what it did.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl From<Arc<AtomicBool>> for Cancel {
    /// Asks as soon as the flag is set, by a signal for example.
    fn from(flag: Arc<AtomicBool>) -> Self {
        Self(flag)
    }
}

/// A piece of work as its tool sees it.
pub struct Job<'a> {
    report: &'a (dyn Fn(Progress) + Sync),
    cancel: Cancel,
    now: Mutex<(Phase, u64)>,
    done: AtomicU64,
    /// What was done when progress is told next.
    next: AtomicU64,
}

impl<'a> Job<'a> {
    /// A job that tells `report` how far it is, a few hundred times in all and perhaps from several threads, and ends when
    /// `cancel` asks it to.
    pub fn new(report: &'a (dyn Fn(Progress) + Sync), cancel: Cancel) -> Self {
        Self {
            report,
            cancel,
            now: Mutex::new((Phase::Checking, 0)),
            done: AtomicU64::new(0),
            next: AtomicU64::new(u64::MAX),
        }
    }

    /// A job that nobody watches or stops.
    pub fn quiet() -> Self {
        Self::new(&|_| {}, Cancel::default())
    }

    /// Begins a phase of `total` bytes.
    ///
    /// # Errors
    /// When the job is cancelled.
    pub fn begin(&self, phase: Phase, total: u64) -> Result<(), ToolError> {
        *self.now.lock() = (phase, total);
        self.done.store(0, Ordering::Relaxed);
        self.next.store(total / STEPS, Ordering::Relaxed);
        (self.report)(Progress {
            phase,
            done: 0,
            total,
        });
        self.check()
    }

    /// `bytes` more are done with.
    ///
    /// # Errors
    /// When the job is cancelled.
    pub fn advance(&self, bytes: u64) -> Result<(), ToolError> {
        self.check()?;
        let done = self
            .done
            .fetch_add(bytes, Ordering::Relaxed)
            .saturating_add(bytes);
        if done < self.next.load(Ordering::Relaxed) {
            return Ok(());
        }
        let (phase, total) = *self.now.lock();
        self.next.store(
            done.saturating_add(total / STEPS).min(total.max(done + 1)),
            Ordering::Relaxed,
        );
        (self.report)(Progress {
            phase,
            done: done.min(total),
            total,
        });
        Ok(())
    }

    /// Goes on unless the job is cancelled.
    ///
    /// # Errors
    /// When it is.
    pub fn check(&self) -> Result<(), ToolError> {
        if self.cancel.is_cancelled() {
            return Err(ToolError::Cancelled);
        }
        Ok(())
    }
}

impl fmt::Debug for Job<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Job")
            .field("now", &self.now)
            .field("done", &self.done)
            .finish_non_exhaustive()
    }
}
