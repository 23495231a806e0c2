//! Drives and the controllers in front of them.

mod drive;
pub mod ide;
pub mod scsi;

pub use crate::disk::{FaultHandler, ReportFaults, Verdict};
pub use drive::{Activity, DriveError, DriveGroup, NewDrive, TrayObserver};
