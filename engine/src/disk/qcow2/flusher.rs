//! Flushes: what one is, and the thread that makes one from time to time.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use imago::FormatAccess;
use parking_lot::{Condvar, Mutex};

use super::Inner;
use super::store::Store;
use crate::disk::ImageError;

impl Inner {
    /// Brings everything to the device.
    pub(super) fn flush(&self) -> Result<(), ImageError> {
        if self.read_only {
            return Ok(());
        }
        self.flush_in_order()
            .map_err(|source| self.error("flush", source))
    }

    fn flush_in_order(&self) -> io::Result<()> {
        // Before: what is written from here on is for the next flush.
        self.dirty.store(false, Ordering::Release);
        let result = (|| {
            // The bulk of it, while others go on; what changes tables meanwhile is waited for below.
            self.file.sync_beside_writes()?;
            let _tables = self.tables.lock();
            self.write_tables(&self.format.read())
        })();
        if result.is_err() {
            self.dirty.store(true, Ordering::Release);
        }
        result
    }

    /// Writes out the tables, in order, and brings them to the device.
    pub(super) fn write_tables(&self, format: &FormatAccess<Store>) -> io::Result<()> {
        format.flush()?;
        self.file.finish_flush()
    }

    /// Gives back what was discarded, and brings everything to the device: for the time when the guest is at rest.
    fn tidy(&self) -> Result<(), ImageError> {
        if self.any_discarded.load(Ordering::Acquire) {
            self.give_back()
                .map_err(|source| self.error("discard in", source))?;
        }
        if self.dirty.load(Ordering::Acquire) {
            self.flush()?;
        }
        Ok(())
    }

    /// The last flush.
    pub(super) fn close(&self) -> Result<(), ImageError> {
        if self.read_only {
            return Ok(());
        }
        self.tidy()?;
        self.flush()
    }
}

/// Flushes from time to time.
#[derive(Debug)]
pub(super) struct Flusher {
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: JoinHandle<()>,
}

impl Flusher {
    pub(super) fn start(image: Arc<Inner>, interval: Duration) -> io::Result<Self> {
        let stop = Arc::new((Mutex::new(false), Condvar::new()));
        let theirs = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("disk-flush".to_owned())
            .spawn(move || {
                let (stopped, wake) = &*theirs;
                let mut failed = false;
                let mut guard = stopped.lock();
                while !*guard {
                    wake.wait_for(&mut guard, interval);
                    if *guard {
                        break;
                    }
                    parking_lot::MutexGuard::unlocked(&mut guard, || match image.tidy() {
                        Ok(()) => failed = false,
                        Err(error) if !failed => {
                            failed = true;
                            tracing::warn!(%error, "what the guest wrote is not on the disk yet");
                        }
                        Err(_) => {}
                    });
                }
            })?;
        Ok(Self { stop, thread })
    }

    pub(super) fn stop(self) {
        let (stopped, wake) = &*self.stop;
        *stopped.lock() = true;
        wake.notify_all();
        if self.thread.join().is_err() {
            tracing::error!("the thread that flushes a disk image ended in a panic");
        }
    }
}
