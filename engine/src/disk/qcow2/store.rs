//! What the format's library takes for files: the image's own, the one that holds its data if that is another, and, beneath a
//! backing file, an image of ours, so that a chain is opened, checked and locked by our own rules in every link.

use std::fmt;
use std::io;
use std::sync::Arc;

use imago::Storage;
use imago::io_buffers::{IoVector, IoVectorMut};
use imago::storage::PreallocateMode;
use imago::storage::drivers::CommonStorageHelper;

use super::ordered_file::OrderedFile;
use crate::disk::Image;

/// A file for the library.
pub(super) struct Store {
    kind: Kind,
    helper: CommonStorageHelper,
}

enum Kind {
    Tables(OrderedFile),
    Data(OrderedFile),
    Backing(Arc<dyn Image>),
}

impl Store {
    pub(super) fn tables(file: OrderedFile) -> Self {
        Self::new(Kind::Tables(file))
    }

    pub(super) fn data(file: OrderedFile) -> Self {
        Self::new(Kind::Data(file))
    }

    pub(super) fn backing(image: Arc<dyn Image>) -> Self {
        Self::new(Kind::Backing(image))
    }

    fn new(kind: Kind) -> Self {
        Self {
            kind,
            helper: CommonStorageHelper::default(),
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Store({self})")
    }
}

impl fmt::Display for Store {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = match &self.kind {
            Kind::Tables(file) | Kind::Data(file) => file.path(),
            Kind::Backing(image) => image.file(),
        };
        write!(formatter, "{}", path.display())
    }
}

fn read_only() -> io::Error {
    io::ErrorKind::ReadOnlyFilesystem.into()
}

#[expect(
    unsafe_code,
    reason = "the trait makes these methods unsafe to call; no operation in them is"
)]
impl Storage for Store {
    fn size(&self) -> io::Result<u64> {
        match &self.kind {
            Kind::Tables(file) => file.length(),
            Kind::Data(file) => file.data_length(),
            Kind::Backing(image) => Ok(image.size()),
        }
    }

    unsafe fn pure_readv(&self, bufv: IoVectorMut<'_>, mut offset: u64) -> io::Result<()> {
        for mut slice in bufv.into_inner() {
            match &self.kind {
                Kind::Tables(file) => file.read(&mut slice, offset)?,
                Kind::Data(file) => file.read_data(&mut slice, offset)?,
                Kind::Backing(image) => read_backing(&**image, &mut slice, offset)?,
            }
            offset = offset.saturating_add(slice.len() as u64);
        }
        Ok(())
    }

    unsafe fn pure_writev(&self, bufv: IoVector<'_>, mut offset: u64) -> io::Result<()> {
        match &self.kind {
            Kind::Tables(file) => file.write(bufv, offset),
            Kind::Data(file) => {
                for slice in bufv.into_inner() {
                    file.write_data_file(&slice, offset)?;
                    offset = offset.saturating_add(slice.len() as u64);
                }
                Ok(())
            }
            Kind::Backing(_) => Err(read_only()),
        }
    }

    unsafe fn pure_write_zeroes(&self, mut offset: u64, length: u64) -> io::Result<()> {
        match &self.kind {
            Kind::Tables(file) => file.write_zeros(offset, length),
            Kind::Data(file) => {
                let zeros = [0; 16 << 10];
                let end = offset.saturating_add(length);
                while offset < end {
                    let count = usize::try_from(end - offset)
                        .unwrap_or(zeros.len())
                        .min(zeros.len());
                    file.write_data_file(zeros.get(..count).unwrap_or(&zeros), offset)?;
                    offset += count as u64;
                }
                Ok(())
            }
            Kind::Backing(_) => Err(read_only()),
        }
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        match &self.kind {
            Kind::Tables(file) | Kind::Data(file) => file.sync(),
            Kind::Backing(_) => Ok(()),
        }
    }

    unsafe fn invalidate_cache(&self) -> io::Result<()> {
        // Nothing read is kept here, and what is held back must not be forgotten.
        Ok(())
    }

    fn get_storage_helper(&self) -> &CommonStorageHelper {
        &self.helper
    }

    fn resize(&self, new_size: u64, _mode: PreallocateMode) -> io::Result<()> {
        match &self.kind {
            Kind::Data(file) => file.grow_data(new_size),
            Kind::Tables(_) | Kind::Backing(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

/// Reads from a backing image; behind its end there are zeros.
fn read_backing(image: &dyn Image, data: &mut [u8], offset: u64) -> io::Result<()> {
    let inside = usize::try_from(image.size().saturating_sub(offset))
        .unwrap_or(usize::MAX)
        .min(data.len());
    let (inside, behind) = data.split_at_mut(inside);
    behind.fill(0);
    image
        .read_at(offset, inside)
        .map_err(|error| io::Error::other(error.to_string()))
}
