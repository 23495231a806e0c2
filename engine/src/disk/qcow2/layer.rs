//! What a qcow2 image holds of its own, without what it is built on.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use imago::ShallowMapping;

use super::{Header, Parts, Qcow2Image};
use crate::definition::{CacheMode, DiscardMode};
use crate::disk::lock::{self, Access};
use crate::disk::open::{open_file, size};
use crate::disk::{Image, ImageError, OpenError};

/// What is in a range of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::disk) enum Extent {
    /// Data.
    Data,
    /// Zeros, whatever is beneath.
    Zero,
    /// Nothing: what is beneath shows.
    Nothing,
}

/// A qcow2 image by itself, open for reading: what it is built on is not opened.
pub(in crate::disk) struct Layer(Qcow2Image);

impl Layer {
    /// Opens the image at `path` and keeps others from writing to it.
    pub(in crate::disk) fn open(path: &Path) -> Result<Self, OpenError> {
        let host = |source| OpenError::from_host(path, false, source);
        let file = open_file(path, false)?;
        let Some(lock) = lock::acquire(&file, Access::Read).map_err(host)? else {
            return Err(OpenError::InUse {
                file: path.to_owned(),
            });
        };
        let length = size(&file, path)?;
        let header = Header::read(&file, length).map_err(|error| error.at(path))?;
        let backing = header.backing_file.map(|_| -> Arc<dyn Image> {
            Arc::new(Closed {
                file: path.to_owned(),
                size: header.size,
            })
        });
        Ok(Self(Qcow2Image::open(Parts {
            file: Box::new(file),
            path: path.to_owned(),
            data_file: None,
            backing,
            locks: vec![lock],
            read_only: true,
            cache: CacheMode::default(),
            discard: DiscardMode::default(),
        })?))
    }

    pub(in crate::disk) fn size(&self) -> u64 {
        self.0.size()
    }

    /// What is at `offset`, and for how many bytes, one at least.
    pub(in crate::disk) fn extent(&self, offset: u64) -> Result<(Extent, u64), ImageError> {
        let inner = &self.0.inner;
        let rest = self.size().saturating_sub(offset).max(1);
        let format = inner.format.read();
        let (mapping, length) = format
            .get_shallow_mapping(offset, rest)
            .map_err(|source| ImageError::from_host("read", &inner.path, source))?;
        let extent = match mapping {
            ShallowMapping::Zero { explicit: true, .. } => Extent::Zero,
            ShallowMapping::Zero { .. }
            | ShallowMapping::Indirect { .. }
            | ShallowMapping::Eof { .. } => Extent::Nothing,
            _ => Extent::Data,
        };
        Ok((extent, if length == 0 { rest } else { length }))
    }

    /// Fills `data`, all of which [`Layer::extent`] calls data.
    pub(in crate::disk) fn read(&self, offset: u64, data: &mut [u8]) -> Result<(), ImageError> {
        self.0.read_at(offset, data)
    }
}

/// What stands for an image that is not opened; nothing is read from it.
struct Closed {
    file: PathBuf,
    size: u64,
}

impl Closed {
    fn refused(&self) -> ImageError {
        let source = io::Error::other("what it is built on is not open");
        ImageError::from_host("read", &self.file, source)
    }
}

impl Image for Closed {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_only(&self) -> bool {
        true
    }

    fn file(&self) -> &Path {
        &self.file
    }

    fn read_at(&self, _: u64, _: &mut [u8]) -> Result<(), ImageError> {
        Err(self.refused())
    }

    fn write_at(&self, _: u64, _: &[u8]) -> Result<(), ImageError> {
        Err(self.refused())
    }

    fn flush(&self) -> Result<(), ImageError> {
        Ok(())
    }
}
