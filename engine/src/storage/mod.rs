//! Drives and the controllers in front of them.

mod fault;

pub use fault::{FaultHandler, ReportFaults, Verdict};
