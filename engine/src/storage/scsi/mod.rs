//! SCSI commands as drives answer them, whatever carries them: ATAPI's PACKET command, AHCI or virtio.
//! SPC-2 (primary commands) and MMC-3 (multimedia commands).

pub mod command;
pub mod optical;
mod sense;

pub use sense::{Sense, SenseKey};
