//! What the image needs of the file it is in, so that tests can put a failing or forgetful one in its place.

use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::{FallocateFlags, OFlags, fallocate, fcntl_getfl};

use crate::memory::GuestBuffer;

/// What O_DIRECT asks of offsets, lengths and addresses: the largest sector that disks have.
pub(in crate::disk) const DIRECT_ALIGNMENT: u64 = 4096;

/// A file of the host.
pub(in crate::disk) trait HostFile: Debug + Send + Sync {
    /// Reads at `offset` up to the end of the file: bytes read, 0 at the end.
    fn read(&self, data: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all of `data` at `offset`.
    fn write(&self, data: &[u8], offset: u64) -> io::Result<()>;
    /// The length in bytes.
    fn length(&self) -> io::Result<u64>;
    /// Makes it `length` bytes long; what is added reads as zeros.
    fn set_length(&self, length: u64) -> io::Result<()>;
    /// Makes a range within the file read as zeros, if the file system can do so without writing them; says whether it can.
    fn punch(&self, offset: u64, length: u64) -> io::Result<bool>;
    /// Returns when everything written is on the device.
    fn sync(&self) -> io::Result<()>;

    /// The host's file, if there is one.
    fn host(&self) -> Option<&File> {
        None
    }

    /// Reads into the guest's memory, up to the end of the file: bytes read.
    fn read_guest(&self, buffer: &GuestBuffer, offset: u64) -> io::Result<usize> {
        let mut data = vec![0; buffer.len()];
        let mut done = 0;
        while let Some(rest) = data.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.read(rest, offset.saturating_add(done as u64)) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        buffer.write(0, data.get(..done).unwrap_or(&data));
        Ok(done)
    }

    /// Writes all of the guest's memory at `offset`.
    fn write_guest(&self, buffer: &GuestBuffer, offset: u64) -> io::Result<()> {
        let mut data = vec![0; buffer.len()];
        buffer.read(0, &mut data);
        self.write(&data, offset)
    }
}

impl HostFile for File {
    fn host(&self) -> Option<&File> {
        Some(self)
    }

    fn read(&self, data: &mut [u8], offset: u64) -> io::Result<usize> {
        self.read_at(data, offset)
    }

    fn write(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(data, offset)
    }

    fn length(&self) -> io::Result<u64> {
        self.metadata().map(|metadata| metadata.len())
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn punch(&self, offset: u64, length: u64) -> io::Result<bool> {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match fallocate(self, flags, offset, length) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn read_guest(&self, buffer: &GuestBuffer, offset: u64) -> io::Result<usize> {
        buffer.read_from_file(self, offset)
    }

    fn write_guest(&self, buffer: &GuestBuffer, offset: u64) -> io::Result<()> {
        buffer.write_to_file(self, offset)
    }
}

/// A file past the host's page cache: what is aligned goes straight to the device, the rest (tables, mostly) through the cache. The
/// kernel keeps the two in step.
#[derive(Debug)]
pub(in crate::disk) struct UncachedFile {
    cached: File,
    direct: File,
}

impl UncachedFile {
    /// Opens the same file once more with O_DIRECT; gives `cached` back where its file system cannot.
    pub(in crate::disk) fn new(cached: File) -> Result<Self, File> {
        match reopen_direct(&cached) {
            Ok(direct) => Ok(Self { cached, direct }),
            Err(error) => {
                tracing::warn!(%error, "the file system of a disk image cannot do without the page cache");
                Err(cached)
            }
        }
    }

    fn guest_aligned(buffer: &GuestBuffer, offset: u64) -> bool {
        offset.is_multiple_of(DIRECT_ALIGNMENT)
            && usize::try_from(DIRECT_ALIGNMENT).is_ok_and(|alignment| buffer.is_aligned(alignment))
    }
}

/// The file of `file`, opened once more past the page cache.
pub(in crate::disk) fn reopen_direct(file: &File) -> io::Result<File> {
    use std::os::fd::AsRawFd;
    let access = fcntl_getfl(file)? & OFlags::RWMODE;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(rustix::fs::open(
        path,
        access | OFlags::DIRECT | OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )?
    .into())
}

impl HostFile for UncachedFile {
    fn host(&self) -> Option<&File> {
        Some(&self.cached)
    }

    fn read(&self, data: &mut [u8], offset: u64) -> io::Result<usize> {
        self.cached.read(data, offset)
    }

    fn write(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.cached.write(data, offset)
    }

    fn length(&self) -> io::Result<u64> {
        self.cached.length()
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.cached.set_length(length)
    }

    fn punch(&self, offset: u64, length: u64) -> io::Result<bool> {
        self.cached.punch(offset, length)
    }

    fn sync(&self) -> io::Result<()> {
        self.cached.sync()
    }

    fn read_guest(&self, buffer: &GuestBuffer, offset: u64) -> io::Result<usize> {
        let file = if Self::guest_aligned(buffer, offset) {
            &self.direct
        } else {
            &self.cached
        };
        file.read_guest(buffer, offset)
    }

    fn write_guest(&self, buffer: &GuestBuffer, offset: u64) -> io::Result<()> {
        let file = if Self::guest_aligned(buffer, offset) {
            &self.direct
        } else {
            &self.cached
        };
        file.write_guest(buffer, offset)
    }
}

/// A file whose content may be lost: nothing is ever waited for.
#[derive(Debug)]
pub(in crate::disk) struct UnsafeFile(pub(in crate::disk) File);

impl HostFile for UnsafeFile {
    fn host(&self) -> Option<&File> {
        Some(&self.0)
    }

    fn read(&self, data: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read(data, offset)
    }

    fn write(&self, data: &[u8], offset: u64) -> io::Result<()> {
        HostFile::write(&self.0, data, offset)
    }

    fn length(&self) -> io::Result<u64> {
        self.0.length()
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.0.set_length(length)
    }

    fn punch(&self, offset: u64, length: u64) -> io::Result<bool> {
        self.0.punch(offset, length)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn read_guest(&self, buffer: &GuestBuffer, offset: u64) -> io::Result<usize> {
        buffer.read_from_file(&self.0, offset)
    }

    fn write_guest(&self, buffer: &GuestBuffer, offset: u64) -> io::Result<()> {
        buffer.write_to_file(&self.0, offset)
    }
}

/// Lets the header be read by its own parser.
pub(super) struct Positioned<'a>(pub(super) &'a dyn HostFile);

impl FileExt for Positioned<'_> {
    fn read_at(&self, data: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read(data, offset)
    }

    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write(data, offset).map(|()| data.len())
    }
}
