//! Wakes a thread that waits in poll or epoll: an event file descriptor. For a little that is to be done, the caller's own thread may
//! stand in, which saves waking another one: that takes longer than the deed.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

type Deputy = Box<dyn Fn() -> bool + Send + Sync>;

/// Rung from any thread, heard by one. Rings that were not yet heard are one.
pub struct Bell {
    event: OwnedFd,
    deputy: RwLock<Option<Deputy>>,
}

impl Bell {
    /// A bell that was not rung.
    ///
    /// # Errors
    /// When the host gives no more file descriptors.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {
            event: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            deputy: RwLock::default(),
        })
    }

    /// Has `stand_in` do what is to be done with `worker` whenever it is called for little, nobody is at work with it and it is still
    /// there. It says whether all is done, and must not wait: whoever calls may be at work elsewhere.
    pub fn appoint<T: Send + 'static>(
        &self,
        worker: &Arc<Mutex<T>>,
        stand_in: impl Fn(&mut T) -> bool + Send + Sync + 'static,
    ) {
        let worker = Arc::downgrade(worker);
        *self.deputy.write() = Some(Box::new(move || {
            let worker = worker.upgrade();
            let worker = worker.as_ref().and_then(|worker| worker.try_lock());
            worker.is_some_and(|mut worker| stand_in(&mut worker))
        }));
    }

    /// From when this returns on the deputy is not at work, and is not called any more.
    pub fn dismiss(&self) {
        let deputy = self.deputy.write().take();
        // Not with the lock held: what it owns may call.
        drop(deputy);
    }

    /// Sees to it that a little is done: by the deputy on this thread, or else by whoever waits.
    pub fn call(&self) {
        // Who appoints another one is not waited for.
        let done = self.deputy.try_read().is_some_and(|deputy| {
            deputy.as_ref().is_some_and(|deputy| {
                catch_unwind(AssertUnwindSafe(deputy)).unwrap_or_else(|_| {
                    tracing::error!("a fault in Guesthouse while a frame was passed on");
                    false
                })
            })
        });
        if !done {
            self.ring();
        }
    }

    /// Wakes whoever waits, or will wait next.
    pub fn ring(&self) {
        // It fails only when it was rung too often already to count, and then it is rung.
        let _ = rustix::io::write(&self.event, &1_u64.to_ne_bytes());
    }

    /// Forgets the rings so far; to be called before looking for what they were about.
    pub fn silence(&self) {
        let mut count = [0; 8];
        let _ = rustix::io::read(&self.event, &mut count);
    }

    /// Waits until it is rung, at most for `patience` if there is one, and silences it; returns whether it was rung.
    pub fn wait(&self, patience: Option<Duration>) -> bool {
        let timeout = patience.and_then(|patience| Timespec::try_from(patience).ok());
        let mut descriptors = [PollFd::new(&self.event, PollFlags::IN)];
        let rung = matches!(poll(&mut descriptors, timeout.as_ref()), Ok(count) if count > 0);
        if rung {
            self.silence();
        }
        rung
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

impl std::fmt::Debug for Bell {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Bell({:?})", self.event)
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

    #[test]
    fn a_deputy_stands_in_for_who_waits() {
        let bell = Bell::new().unwrap();
        let rung = || bell.wait(Some(Duration::ZERO));
        let calls = Arc::new(Mutex::new(0));
        bell.call();
        assert!(rung());
        bell.appoint(&calls, |calls| {
            *calls += 1;
            assert_ne!(*calls, 3, "a fault");
            *calls != 2
        });
        let outcomes = [false, true, true, false].map(|expected| {
            bell.call();
            rung() == expected
        });
        assert_eq!(outcomes, [true; 4]);
        bell.ring();
        assert!(rung());
        // Somebody is at work.
        let busy = calls.lock();
        bell.call();
        assert!(rung());
        drop(busy);
        bell.dismiss();
        bell.call();
        assert!(rung());
        assert_eq!(*calls.lock(), 4);
        bell.appoint(&calls, |_| true);
        drop(calls);
        bell.call();
        assert!(rung());
    }
}
