//! Drives and the controllers in front of them.

pub mod ahci;
mod ata;
mod drive;
pub mod ide;
pub mod scsi;
#[cfg(test)]
mod test_drives;

pub use crate::disk::{FaultHandler, ReportFaults, Verdict};
pub use drive::{Activity, DriveError, DriveGroup, NewDrive, TrayObserver};
