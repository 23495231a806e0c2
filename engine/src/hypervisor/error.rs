//! What the kernel refused.

/// A call to KVM that failed.
#[derive(Debug, thiserror::Error)]
#[error("KVM could not {action}: {source}")]
pub struct HypervisorError {
    action: &'static str,
    source: std::io::Error,
}

impl HypervisorError {
    /// What was tried, to follow "could not".
    pub(super) fn during(action: &'static str) -> impl FnOnce(kvm_ioctls::Error) -> Self {
        move |error| Self {
            action,
            source: std::io::Error::from_raw_os_error(error.errno()),
        }
    }
}
