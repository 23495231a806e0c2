//! Raw images: the file is the disk, and its holes are zeros.

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

use super::{Container, Extent, FormatError, Kind, Layer, Opened};

/// A raw image, or a part of a file that is one.
pub(super) struct Raw {
    container: Container,
    base: u64,
    size: u64,
}

impl Raw {
    pub(super) fn open(container: Container) -> Opened {
        let size = container.length();
        Opened::alone(Self::part(container, 0, size), "raw")
    }

    /// The `size` bytes from `base` on as a disk; what of them is behind the end of the file is zeros.
    pub(super) fn part(container: Container, base: u64, size: u64) -> Self {
        Self {
            container,
            base,
            size,
        }
    }
}

impl Layer for Raw {
    fn size(&self) -> u64 {
        self.size
    }

    fn extent(&self, offset: u64) -> Result<Extent, FormatError> {
        holes(
            &self.container,
            self.base.saturating_add(offset),
            self.size - offset,
        )
    }

    fn read(&self, offset: u64, data: &mut [u8]) -> Result<(), FormatError> {
        self.container
            .fill_to_end(self.base.saturating_add(offset), data)
    }
}

/// Whether the file has data at `offset`, and for how long, `most` bytes at most.
pub(super) fn holes(container: &Container, offset: u64, most: u64) -> Result<Extent, FormatError> {
    let file = container.file();
    match seek(file, SeekFrom::Data(offset)) {
        Ok(start) if start > offset => Ok(Extent::new(Kind::Zero, (start - offset).min(most))),
        Ok(_) => match seek(file, SeekFrom::Hole(offset)) {
            Ok(end) if end > offset => Ok(Extent::new(Kind::Data, (end - offset).min(most))),
            _ => Ok(Extent::new(Kind::Data, most)),
        },
        // Only a hole follows, or the file's end.
        Err(Errno::NXIO) => Ok(Extent::new(Kind::Zero, most)),
        // A device, or a file system without holes.
        Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(Extent::new(Kind::Data, most)),
        Err(errno) => Err(FormatError::host("read", container.path(), errno.into())),
    }
}
