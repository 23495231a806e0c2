//! Drives and the controllers in front of them.

pub mod ahci;
mod ata;
mod drive;
pub mod ide;
pub mod scsi;
#[cfg(test)]
pub(crate) mod test_drives;

pub use crate::disk::{FaultHandler, ReportFaults, Verdict};
pub use drive::{DriveError, DriveGroup, NewDrive, TrayObserver};
