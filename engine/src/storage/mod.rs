//! Drives and the controllers in front of them.

mod drive;
mod fault;
pub mod ide;
pub mod scsi;

pub use drive::{Activity, DriveError, DriveGroup, NewDrive, TrayObserver};
pub use fault::{FaultHandler, ReportFaults, Verdict};
