//! Wakes a thread that waits in poll or epoll: an event file descriptor.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

/// Rung from any thread, heard by one. Rings that were not yet heard are one.
#[derive(Debug)]
pub struct Bell(OwnedFd);

impl Bell {
    /// A bell that was not rung.
    ///
    /// # Errors
    /// When the host gives no more file descriptors.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self(eventfd(
            0,
            EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK,
        )?))
    }

    /// Wakes whoever waits, or will wait next.
    pub fn ring(&self) {
        // It fails only when it was rung too often already to count, and then it is rung.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    /// Forgets the rings so far; to be called before looking for what they were about.
    pub fn silence(&self) {
        let mut count = [0; 8];
        let _ = rustix::io::read(&self.0, &mut count);
    }

    /// Waits until it is rung, at most for `patience` if there is one, and silences it; returns whether it was rung.
    pub fn wait(&self, patience: Option<Duration>) -> bool {
        let timeout = patience.and_then(|patience| Timespec::try_from(patience).ok());
        let mut descriptors = [PollFd::new(&self.0, PollFlags::IN)];
        let rung = matches!(poll(&mut descriptors, timeout.as_ref()), Ok(count) if count > 0);
        if rung {
            self.silence();
        }
        rung
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_are_heard_once() {
        let bell = Bell::new().unwrap();
        assert!(!bell.wait(Some(Duration::ZERO)));
        bell.ring();
        bell.ring();
        assert!(bell.wait(None));
        assert!(!bell.wait(Some(Duration::ZERO)));
    }
}
