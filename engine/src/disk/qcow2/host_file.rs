//! What the image needs of the file it is in, so that tests can put a failing or forgetful one in its place.

use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::{FallocateFlags, fallocate};

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
}

impl HostFile for File {
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
