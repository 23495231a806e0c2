//! What happens when an image cannot do what the guest asked of its drive.

use std::io;
use std::path::Path;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::ImageError;

/// What stands behind a failure of the host, as far as it decides what helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultCause {
    /// The file system that holds the image is full, or a quota or a limit for one file is reached.
    NoSpace,
    /// The image was deleted.
    Deleted,
    /// The image is shorter than it was.
    Truncated,
    /// The network file system, or the drive that holds the image, does not answer.
    Unreachable,
    /// The device failed, or the host says something else.
    Device,
}

impl FaultCause {
    /// What the host's word means.
    fn of(source: &io::Error) -> Self {
        if source.get_ref().is_some_and(|inner| inner.is::<Deleted>()) {
            return Self::Deleted;
        }
        if source.kind() == io::ErrorKind::UnexpectedEof {
            return Self::Truncated;
        }
        match Errno::from_io_error(source) {
            Some(
                Errno::STALE
                | Errno::NOTCONN
                | Errno::CONNABORTED
                | Errno::CONNREFUSED
                | Errno::CONNRESET
                | Errno::HOSTDOWN
                | Errno::HOSTUNREACH
                | Errno::NETDOWN
                | Errno::NETUNREACH
                | Errno::NETRESET
                | Errno::PIPE
                | Errno::REMOTEIO
                | Errno::SHUTDOWN
                | Errno::TIMEDOUT
                | Errno::NODEV
                | Errno::NXIO,
            ) => Self::Unreachable,
            _ => Self::Device,
        }
    }
}

impl ImageError {
    /// What stands behind it; nothing when the request was the fault.
    pub fn cause(&self) -> Option<FaultCause> {
        match self {
            Self::NoSpace { .. } => Some(FaultCause::NoSpace),
            Self::Io { source, .. } => Some(FaultCause::of(source)),
            Self::Lost { .. } => Some(FaultCause::Device),
            Self::OutOfRange { .. } | Self::ReadOnly { .. } | Self::Unsupported { .. } => None,
        }
    }

    /// What helps, as a sentence, where the error does not say so itself.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            // What is not the host's own word has its remedy in it.
            Self::Io { source, .. } if source.raw_os_error().is_some() => {
                Some(match self.cause()? {
                    FaultCause::Unreachable => {
                        "Connect the network or the drive that holds it again, then resume; nothing is lost until the machine is switched off."
                    }
                    _ => {
                        "Look at this computer's log and check the device, then resume to try again; if it stays so, switch the machine off and copy the disk to another device."
                    }
                })
            }
            _ => None,
        }
    }

    /// The image.
    pub fn file(&self) -> &Path {
        match self {
            Self::NoSpace { file }
            | Self::Io { file, .. }
            | Self::Lost { file }
            | Self::OutOfRange { file, .. }
            | Self::ReadOnly { file }
            | Self::Unsupported { file, .. } => file,
        }
    }
}

/// The image was deleted under its user; what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Deleted(pub(super) String);

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_behind_a_failure_decides_what_helps() {
        let failed = |source: io::Error| ImageError::from_host("write to", "disk".as_ref(), source);
        for (errno, cause, words) in [
            (Errno::NOSPC, FaultCause::NoSpace, "make room there"),
            (Errno::DQUOT, FaultCause::NoSpace, "make room there"),
            (Errno::FBIG, FaultCause::NoSpace, "make room there"),
            (Errno::STALE, FaultCause::Unreachable, "Connect the network"),
            (Errno::TIMEDOUT, FaultCause::Unreachable, "then resume"),
            (Errno::NODEV, FaultCause::Unreachable, "or the drive"),
            (Errno::IO, FaultCause::Device, "check the device"),
        ] {
            let error = failed(errno.into());
            assert_eq!(error.cause(), Some(cause), "{error}");
            let text = format!("{error}. {}", error.remedy().unwrap_or_default());
            assert!(text.contains(words), "{text}");
        }
        let short = failed(io::Error::new(io::ErrorKind::UnexpectedEof, "restore it"));
        assert_eq!(short.cause(), Some(FaultCause::Truncated));
        let gone = failed(io::Error::other(Deleted("copy it".to_owned())));
        assert_eq!(gone.cause(), Some(FaultCause::Deleted));
        for error in [short, gone] {
            assert_eq!(error.remedy(), None, "{error} says it itself");
        }
        let wrong = ImageError::ReadOnly {
            file: "disk".into(),
        };
        assert_eq!((wrong.cause(), wrong.remedy()), (None, None));
    }
}
