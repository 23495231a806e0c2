//! What happens when an image cannot do what the guest asked of its drive.

use super::ImageError;

/// What the drive does with a request that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Make the request again: the cause may be gone.
    Retry,
    /// Tell the guest that its request failed.
    Report,
}

/// Decides about failed requests. A drive calls it from its worker thread, never from a virtual processor's, and the call may
/// last as long as the person at the machine takes: a full disk pauses the machine until there is room.
pub trait FaultHandler: Send + Sync {
    /// `drive` (as a person knows it, "hard disk 1") could not do what was asked.
    fn failed(&self, drive: &str, error: &ImageError) -> Verdict;

    /// A drive has read or written so many bytes. Called for every request; it must not last.
    fn transferred(&self, read: u64, written: u64) {
        let _ = (read, written);
    }
}

/// Tells the guest of every failure.
#[derive(Debug, Default, Clone, Copy)]
pub struct ReportFaults;

impl FaultHandler for ReportFaults {
    fn failed(&self, drive: &str, error: &ImageError) -> Verdict {
        tracing::warn!(drive, %error, "a drive's request failed");
        Verdict::Report
    }
}
