//! What an image is, without opening it as a disk: for lists, for the choice of a file, and for `disk info`.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::OpenError;
use super::open::{open_file, size};
use super::qcow2::Header;
use crate::definition::ImageFormat;

/// What an image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageInfo {
    /// What its first bytes say it is; anything but qcow2 is taken for raw. A suggestion for the person who attaches the image, who
    /// decides: see [`Drive::format`](crate::definition::Drive::format).
    pub format: ImageFormat,
    /// The size that a guest sees, in bytes.
    pub virtual_size: u64,
    /// What the file takes up on the host, in bytes.
    pub allocated_size: u64,
    /// The image that this one holds the differences to, as it names it.
    pub backing_file: Option<String>,
}

/// Looks at the image at `path`; it may be in use.
///
/// # Errors
/// When it cannot be read, or has a qcow2 header that contradicts itself.
pub fn inspect(path: &Path) -> Result<ImageInfo, OpenError> {
    let file = open_file(path, false)?;
    let size = size(&file, path)?;
    let allocated_size = file
        .metadata()
        .map_err(|source| OpenError::from_host(path, false, source))?
        .blocks()
        .saturating_mul(512);
    match Header::read(&file, size) {
        Ok(header) => Ok(ImageInfo {
            format: ImageFormat::Qcow2,
            virtual_size: header.size,
            allocated_size,
            backing_file: header.backing_file,
        }),
        Err(super::qcow2::HeaderError::Fault(super::qcow2::HeaderFault::NotQcow2)) => {
            Ok(ImageInfo {
                format: ImageFormat::Raw,
                virtual_size: size,
                allocated_size,
                backing_file: None,
            })
        }
        Err(error) => Err(error.at(path)),
    }
}
