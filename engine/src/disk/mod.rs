//! Disk images: what a guest's drive reads and writes ends in one of these.
//!
//! [`open_disk`] and [`open_optical`] give an [`Image`]; [`create_disk`] makes a new one, [`inspect`] says what one is without
//! opening it, [`Space`] what a folder has room for. [`queue`] carries out a drive's requests.

pub mod check;
mod create;
mod fault;
pub mod formats;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod held;
mod image;
mod info;
mod lock;
mod open;
pub(crate) mod place;
mod qcow2;
pub mod queue;
mod raw;
#[cfg(test)]
mod tests;
pub mod tools;

pub(crate) use create::overlay_content;
pub use create::{CreateError, MAX_DISK_SIZE, MIN_DISK_SIZE, create_disk};
pub use fault::{FaultCause, FaultHandler, ReportFaults, Verdict};
pub(crate) use held::HeldFile;
pub use image::{DirectFile, Features, Image, ImageError};
pub use info::{ImageInfo, inspect};
pub use open::{Backing, DiskOptions, OpenError, open_disk, open_optical};
pub use place::Space;

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering};

/// Says, the first time, that a file was deleted under its user: what it holds is gone for good when it is closed. `told` is whether
/// that was said.
fn check_linked(file: &File, told: &AtomicBool) -> io::Result<()> {
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.nlink() > 0 || told.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    Err(io::Error::other(fault::Deleted(format!(
        "it was deleted while it was in use and exists only until the machine is off; copy it from /proc/{}/fd/{} to where it was, then switch the machine off and start it again (resumed, it goes on in the file that is gone)",
        std::process::id(),
        file.as_raw_fd()
    ))))
}

/// What a failed fdatasync is reported as: never as lack of space, because repeating the request would not bring the data back.
fn sync_failed(source: &io::Error) -> io::Error {
    io::Error::other(format!(
        "the device that holds it failed to store data: {source}; what the guest wrote last may be lost, look at the host's log and check the device"
    ))
}

/// What every flush after a failed one is reported as.
fn lost_writes() -> io::Error {
    io::Error::other(image::LostWrites)
}
