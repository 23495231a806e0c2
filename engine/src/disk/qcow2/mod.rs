//! qcow2 images, live: imago reads and writes them, on a file of ours that gives the order in which things reach the device.
//!
//! qcow2-rs, which creates the images (`disk/create.rs`), is not used to write to them: version 0.1.6 loses flushed data. On any
//! image with a backing file and with its own default parameters: write 4 KiB at 0, flush, read at 40 MiB, flush and close; the
//! 4 KiB are gone. (It writes one slice of a new L2 table, and the next slice that it flushes zeros the whole table.) It also
//! damages images with compressed clusters or internal snapshots. Look again when a release says that it is mended.
//!
//! A flush is: data to the device; the library's counts and tables, with the device's word between them (`ordered_file.rs`); the
//! L1 entries. One is made some seconds after a write even if the guest asks for none, so that a crash of the host costs little,
//! and when the image is closed.

mod header;
mod host_file;
mod ordered_file;
#[cfg(test)]
mod tests;

pub(super) use header::{Header, HeaderError, HeaderFault};
pub(super) use host_file::HostFile;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use imago::qcow2::Qcow2;
use imago::{DenyImplicitOpenGate, FormatAccess, FormatDriverBuilder};
use parking_lot::{Condvar, Mutex, RwLock};

use self::host_file::Positioned;
use self::ordered_file::OrderedFile;
use super::{Image, ImageError, OpenError};

/// The longest that something written stays without a flush.
const FLUSH_INTERVAL: Duration = Duration::from_secs(5);

/// A qcow2 image, opened.
#[derive(Debug)]
pub(super) struct Qcow2Image {
    inner: Arc<Inner>,
    flusher: Option<Flusher>,
}

#[derive(Debug)]
struct Inner {
    format: FormatAccess<OrderedFile>,
    file: OrderedFile,
    path: PathBuf,
    size: u64,
    read_only: bool,
    /// Reads share it; a write or a flush of the tables has it alone, because the library would otherwise write an L2 table out
    /// with an entry whose reference count it has not written yet.
    gate: RwLock<()>,
    /// Whether something was written since the last flush.
    dirty: AtomicBool,
}

impl Qcow2Image {
    /// Opens the image in `file`.
    pub(super) fn open(
        file: Box<dyn HostFile>,
        path: PathBuf,
        read_only: bool,
    ) -> Result<Self, OpenError> {
        Self::open_flushing(file, path, read_only, FLUSH_INTERVAL)
    }

    fn open_flushing(
        file: Box<dyn HostFile>,
        path: PathBuf,
        read_only: bool,
        interval: Duration,
    ) -> Result<Self, OpenError> {
        let host = |source| OpenError::Io {
            file: path.clone(),
            source,
        };
        let length = file.length().map_err(host)?;
        let header = Header::read(&Positioned(&*file), length).map_err(|error| error.at(&path))?;
        header
            .check_features(read_only)
            .map_err(|fault| OpenError::from_header(&path, fault))?;
        let file = OrderedFile::new(file, path.clone(), &header, read_only).map_err(host)?;
        let format = Qcow2::<OrderedFile>::builder(file.clone())
            .write(!read_only)
            .open(DenyImplicitOpenGate::default())
            .map_err(|source| match source.kind() {
                std::io::ErrorKind::InvalidData => OpenError::Damaged {
                    file: path.clone(),
                    fault: source.to_string(),
                },
                _ => host(source),
            })?;
        file.opened();
        let inner = Arc::new(Inner {
            format: FormatAccess::new(format),
            file,
            size: header.size,
            read_only,
            gate: RwLock::new(()),
            dirty: AtomicBool::new(false),
            path: path.clone(),
        });
        let flusher = if read_only {
            None
        } else {
            Some(Flusher::start(Arc::clone(&inner), interval).map_err(host)?)
        };
        Ok(Self { inner, flusher })
    }
}

impl Image for Qcow2Image {
    fn size(&self) -> u64 {
        self.inner.size
    }

    fn read_only(&self) -> bool {
        self.inner.read_only
    }

    fn file(&self) -> &Path {
        &self.inner.path
    }

    fn read_at(&self, offset: u64, data: &mut [u8]) -> Result<(), ImageError> {
        let inner = &*self.inner;
        ImageError::check_range(&inner.path, inner.size, offset, data.len())?;
        let _gate = inner.gate.read();
        inner
            .format
            .read(data, offset)
            .map_err(|source| ImageError::from_host("read", &inner.path, source))
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), ImageError> {
        let inner = &*self.inner;
        if inner.read_only {
            return Err(ImageError::ReadOnly {
                file: inner.path.clone(),
            });
        }
        ImageError::check_range(&inner.path, inner.size, offset, data.len())?;
        let _gate = inner.gate.write();
        inner.dirty.store(true, Ordering::Relaxed);
        inner
            .format
            .write(data, offset)
            .map_err(|source| ImageError::from_host("write to", &inner.path, source))
    }

    fn flush(&self) -> Result<(), ImageError> {
        self.inner.flush()
    }
}

impl Inner {
    fn flush(&self) -> Result<(), ImageError> {
        if self.read_only {
            return Ok(());
        }
        self.flush_in_order()
            .map_err(|source| ImageError::from_host("flush", &self.path, source))
    }

    fn flush_in_order(&self) -> std::io::Result<()> {
        // The bulk of it, while others go on; what they write meanwhile is waited for below.
        self.file.sync_beside_writes()?;
        let _gate = self.gate.write();
        self.format.flush()?;
        self.file.finish_flush()?;
        self.dirty.store(false, Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for Qcow2Image {
    fn drop(&mut self) {
        if let Some(flusher) = self.flusher.take() {
            flusher.stop();
        }
        if let Err(error) = self.inner.flush() {
            tracing::error!(%error, "a disk image was closed with data that could not be stored");
        }
    }
}

/// Flushes from time to time.
#[derive(Debug)]
struct Flusher {
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: JoinHandle<()>,
}

impl Flusher {
    fn start(image: Arc<Inner>, interval: Duration) -> std::io::Result<Self> {
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
                    if *guard || !image.dirty.load(Ordering::Relaxed) {
                        continue;
                    }
                    parking_lot::MutexGuard::unlocked(&mut guard, || match image.flush() {
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

    fn stop(self) {
        let (stopped, wake) = &*self.stop;
        *stopped.lock() = true;
        wake.notify_all();
        if self.thread.join().is_err() {
            tracing::error!("the thread that flushes a disk image ended in a panic");
        }
    }
}
