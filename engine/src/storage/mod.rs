//! Drives and the controllers in front of them.

mod fault;
pub mod ide;
pub mod scsi;

pub use fault::{FaultHandler, ReportFaults, Verdict};
