//! qcow2 images, live: imago finds and makes the place of each cluster, on a file of ours that gives the order in which things reach
//! the device.
//!
//! qcow2-rs, which creates the images (`disk/create.rs`), is not used to write to them: version 0.1.6 loses flushed data. On any
//! image with a backing file and with its own default parameters: write 4 KiB at 0, flush, read at 40 MiB, flush and close; the
//! 4 KiB are gone. (It writes one slice of a new L2 table, and the next slice that it flushes zeros the whole table.) It also
//! damages images with compressed clusters or internal snapshots. Look again when a release says that it is mended.
//!
//! Where a cluster is in place already, data goes straight between the file and the guest's memory, any number of requests at a time
//! (`requests.rs`). Whatever changes tables goes one at a time, and a flush of theirs beside it waits. A flush is: data to the
//! device; the library's counts and tables, with the device's word between them (`ordered_file.rs`); the L1 entries. One is made
//! some seconds after a write even if the guest asks for none, so that a crash of the host costs little, and when the image is
//! closed.

mod driver;
mod flusher;
mod header;
mod host_file;
mod ordered_file;
mod ranges;
mod reference_counts;
mod requests;
mod space;
mod store;
#[cfg(test)]
mod tests;

pub(super) use header::{Header, HeaderError, HeaderFault};
pub(super) use host_file::{DIRECT_ALIGNMENT, HostFile, UncachedFile, UnsafeFile, reopen_direct};

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use imago::qcow2::Qcow2;
use imago::raw::Raw;
use imago::{DenyImplicitOpenGate, FormatAccess, FormatDriverBuilder};
use parking_lot::{Mutex, RwLock};

use self::driver::Driver;
use self::flusher::Flusher;
use self::host_file::Positioned;
use self::ordered_file::OrderedFile;
use self::ranges::Ranges;
use self::space::Run;
use self::store::Store;
use super::lock::Lock;
use super::{Features, Image, ImageError, OpenError};
use crate::definition::{CacheMode, DiscardMode};
use crate::memory::GuestBuffer;

/// The longest that something written stays without a flush.
const FLUSH_INTERVAL: Duration = Duration::from_secs(5);

/// The files of an image, opened, and how it is used.
pub(super) struct Parts {
    /// The image's own file.
    pub(super) file: Box<dyn HostFile>,
    /// What messages call it.
    pub(super) path: PathBuf,
    /// The file that holds its data, if the header says that it is another.
    pub(super) data_file: Option<Box<dyn HostFile>>,
    /// What keeps others from them.
    pub(super) locks: Vec<Lock>,
    /// The image that it holds the differences to.
    pub(super) backing: Option<Arc<dyn Image>>,
    /// Writes are refused.
    pub(super) read_only: bool,
    /// What stands between writes and the device.
    pub(super) cache: CacheMode,
    /// What becomes of discarded ranges.
    pub(super) discard: DiscardMode,
}

impl Parts {
    /// An image that needs no other files.
    #[cfg(test)]
    pub(super) fn new(file: Box<dyn HostFile>, path: PathBuf, read_only: bool) -> Self {
        Self {
            file,
            path,
            data_file: None,
            locks: Vec::new(),
            backing: None,
            read_only,
            cache: CacheMode::default(),
            discard: DiscardMode::default(),
        }
    }
}

/// A qcow2 image, opened.
#[derive(Debug)]
pub(super) struct Qcow2Image {
    inner: Arc<Inner>,
    flusher: Option<Flusher>,
}

struct Inner {
    /// The library's view of the image. Shared by reads, by writes to clusters that are in place, and by flushes, none of which
    /// changes a table; a change has it alone, because the library would otherwise write an L2 table out with an entry whose
    /// reference count it has not written yet.
    format: RwLock<FormatAccess<Store>>,
    /// Held by whoever changes tables and by whoever writes them out, and taken before `format`.
    tables: Mutex<()>,
    file: OrderedFile,
    backing: Option<Arc<dyn Image>>,
    path: PathBuf,
    size: AtomicU64,
    cluster_size: u64,
    /// Version 3: zeros can be said instead of written.
    zero_clusters: bool,
    external_data: bool,
    /// Compressed clusters are unpacked by us.
    own_compression: bool,
    read_only: bool,
    through: bool,
    discard: DiscardMode,
    /// What the guest has discarded and is still in place.
    discarded: Mutex<Ranges>,
    /// Where clusters are that were made zeros since and are to be given back too.
    zeroed: Mutex<Vec<Run>>,
    /// Whether `discarded` may hold something.
    any_discarded: AtomicBool,
    /// Whether something was written since the last flush.
    dirty: AtomicBool,
    _locks: Vec<Lock>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Inner")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Qcow2Image {
    /// Opens the image made of `parts`.
    pub(super) fn open(parts: Parts) -> Result<Self, OpenError> {
        Self::open_flushing(parts, FLUSH_INTERVAL)
    }

    fn open_flushing(parts: Parts, interval: Duration) -> Result<Self, OpenError> {
        let path = parts.path;
        let read_only = parts.read_only;
        let host = |source| OpenError::Io {
            file: path.clone(),
            source,
        };
        let damaged = |source: io::Error| match source.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => OpenError::Damaged {
                file: path.clone(),
                fault: source.to_string(),
            },
            _ => host(source),
        };
        let length = parts.file.length().map_err(host)?;
        let header =
            Header::read(&Positioned(&*parts.file), length).map_err(|error| error.at(&path))?;
        header
            .check_features(read_only)
            .map_err(|fault| OpenError::from_header(&path, fault))?;
        if header.backing_file.is_some() && parts.backing.is_none()
            || header.data_file.is_some() != parts.data_file.is_some()
        {
            // Whoever opens looks at the header first, on another descriptor perhaps.
            return Err(host(io::Error::other(
                "its header changed while it was opened",
            )));
        }
        if header.compression == header::Compression::Zstd
            && !read_only
            && !header.size.is_multiple_of(header.cluster_size)
        {
            return Err(OpenError::Unsupported {
                file: path,
                feature: "is compressed with zstd and ends within a cluster".to_owned(),
                remedy: "attach it read-only or convert it with `guesthouse disk convert`",
            });
        }
        let external_data = parts.data_file.is_some();
        let file = OrderedFile::new(
            parts.file,
            parts.data_file,
            path.clone(),
            &header,
            read_only,
        )
        .map_err(damaged)?;
        let format = library(&file, external_data, parts.backing.clone(), read_only)
            .map(|qcow2| FormatAccess::new(Driver::new(qcow2, file.clone(), &header)))
            .map_err(damaged)?;
        file.opened();
        let inner = Arc::new(Inner {
            format: RwLock::new(format),
            tables: Mutex::new(()),
            file,
            backing: parts.backing,
            size: AtomicU64::new(header.size),
            cluster_size: header.cluster_size,
            zero_clusters: header.version >= 3,
            external_data,
            own_compression: header.compression != header::Compression::Zlib,
            read_only,
            through: parts.cache == CacheMode::Writethrough,
            discard: parts.discard,
            discarded: Mutex::default(),
            zeroed: Mutex::default(),
            any_discarded: AtomicBool::new(false),
            dirty: AtomicBool::new(false),
            _locks: parts.locks,
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

/// Lets the library open the image.
fn library(
    file: &OrderedFile,
    external_data: bool,
    backing: Option<Arc<dyn Image>>,
    read_only: bool,
) -> io::Result<Qcow2<Store>> {
    let backing = match backing {
        Some(image) => Some(FormatAccess::new(
            Raw::builder(Store::backing(image)).open(DenyImplicitOpenGate::default())?,
        )),
        None => None,
    };
    Qcow2::builder(Store::tables(file.clone()))
        .backing(backing)
        .data_file(external_data.then(|| Store::data(file.clone())))
        .write(!read_only)
        .open(DenyImplicitOpenGate::default())
}

impl Image for Qcow2Image {
    fn size(&self) -> u64 {
        self.inner.size()
    }

    fn features(&self) -> Features {
        let inner = &*self.inner;
        let cluster = u32::try_from(inner.cluster_size).unwrap_or(4096);
        Features {
            discard: inner.can_discard(),
            discard_granularity: cluster,
            optimal_block_size: cluster.clamp(4096, 1 << 16),
            write_cache: !inner.through,
        }
    }

    fn read_only(&self) -> bool {
        self.inner.read_only
    }

    fn file(&self) -> &Path {
        &self.inner.path
    }

    fn read_at(&self, offset: u64, data: &mut [u8]) -> Result<(), ImageError> {
        self.inner.check(offset, data.len() as u64)?;
        self.inner
            .read(offset, data)
            .map_err(|source| self.inner.error("read", source))
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), ImageError> {
        self.inner.check_write(offset, data.len() as u64)?;
        self.inner
            .write(offset, data)
            .map_err(|source| self.inner.error("write to", source))
    }

    fn read_guest(&self, offset: u64, buffer: &GuestBuffer) -> Result<(), ImageError> {
        self.inner.check(offset, buffer.len() as u64)?;
        self.inner
            .read_guest(offset, buffer)
            .map_err(|source| self.inner.error("read", source))
    }

    fn write_guest(&self, offset: u64, buffer: &GuestBuffer) -> Result<(), ImageError> {
        self.inner.check_write(offset, buffer.len() as u64)?;
        self.inner
            .write_guest(offset, buffer)
            .map_err(|source| self.inner.error("write to", source))
    }

    fn flush(&self) -> Result<(), ImageError> {
        self.inner.flush()
    }

    fn discard(&self, offset: u64, length: u64) -> Result<(), ImageError> {
        self.inner.check_write(offset, length)?;
        self.inner
            .discard(offset, length)
            .map_err(|source| self.inner.error("discard in", source))
    }

    fn write_zeroes(&self, offset: u64, length: u64, may_unmap: bool) -> Result<(), ImageError> {
        self.inner.check_write(offset, length)?;
        self.inner
            .write_zeroes(offset, length, may_unmap)
            .map_err(|source| self.inner.error("write to", source))
    }

    fn resize(&self, size: u64) -> Result<(), ImageError> {
        self.inner.check_write(0, 0)?;
        self.inner
            .grow(size)
            .map_err(|source| self.inner.error("grow", source))
    }
}

impl Inner {
    fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    fn check(&self, offset: u64, length: u64) -> Result<(), ImageError> {
        ImageError::check_long_range(&self.path, self.size(), offset, length)
    }

    fn check_write(&self, offset: u64, length: u64) -> Result<(), ImageError> {
        if self.read_only {
            return Err(ImageError::ReadOnly {
                file: self.path.clone(),
            });
        }
        self.check(offset, length)
    }

    fn error(&self, action: &'static str, source: io::Error) -> ImageError {
        ImageError::from_host(action, &self.path, source)
    }
}

impl Drop for Qcow2Image {
    fn drop(&mut self) {
        if let Some(flusher) = self.flusher.take() {
            flusher.stop();
        }
        if let Err(error) = self.inner.close() {
            tracing::error!(%error, "a disk image was closed with data that could not be stored");
        }
    }
}
