//! The thread that serves one queue.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use super::{Chain, Queue, SharedQueue};

/// The threads of a device's queues. Dropping them waits for their end, which comes when the queues are dead.
#[derive(Default)]
pub(super) struct Workers(Vec<JoinHandle<()>>);

impl Workers {
    /// Serves `queue` on a thread of its own, called `name`, until the queue is dead: `handle` is called for every chain that the
    /// driver makes available, with the queue locked. It gives the chain back now or later, and returns whether it can take
    /// another; if not, [`SharedQueue::wake`] says that it can again.
    ///
    /// # Errors
    /// When the host gives no thread.
    pub fn serve(
        &mut self,
        name: &str,
        queue: Arc<SharedQueue>,
        mut handle: impl FnMut(&mut Queue, Chain) -> bool + Send + 'static,
    ) -> io::Result<()> {
        #[cfg(any(test, feature = "fuzzing"))]
        if by_hand::is_wanted() {
            by_hand::add(move || {
                turn(&queue, &mut handle);
                queue.is_live()
            });
            return Ok(());
        }
        // Those of earlier activations are gone, or go soon.
        self.0.retain(|thread| !thread.is_finished());
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let run = AssertUnwindSafe(|| run(&queue, &mut handle));
                if catch_unwind(run).is_err() {
                    let mut queue = queue.lock();
                    queue.fail::<()>("a fault in Guesthouse stopped the queue's thread");
                }
            })?;
        self.0.push(thread);
        Ok(())
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for thread in self.0.drain(..) {
            // Its panic was caught.
            let _ = thread.join();
        }
    }
}

fn run(shared: &SharedQueue, handle: &mut impl FnMut(&mut Queue, Chain) -> bool) {
    while shared.wait() {
        turn(shared, handle);
    }
}

/// Serves what there is.
fn turn(shared: &SharedQueue, handle: &mut impl FnMut(&mut Queue, Chain) -> bool) {
    let mut queue = shared.lock();
    loop {
        queue.disable_doorbell();
        // A round is no longer than the queue, so that whoever waits for the lock gets it.
        let mut willing = true;
        let mut round = queue.size();
        while willing && round > 0 {
            let Some(chain) = queue.pop() else { break };
            willing = handle(&mut queue, chain);
            round -= 1;
        }
        queue.interrupt();
        if !willing || !queue.enable_doorbell() {
            break;
        }
        parking_lot::MutexGuard::bump(&mut queue);
    }
}

/// Devices without threads, for fuzzing: what their threads would do, the thread that made them does when it is told to.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod by_hand {
    use std::cell::RefCell;

    /// Does what there is to do; whether there may ever be more.
    type Turn = Box<dyn FnMut() -> bool>;

    thread_local! {
        static TURNS: RefCell<Option<Vec<Turn>>> = const { RefCell::new(None) };
    }

    /// As long as it lives, devices that this thread activates start none.
    pub(crate) struct ByHand(());

    impl ByHand {
        pub(crate) fn new() -> Self {
            TURNS.set(Some(Vec::new()));
            Self(())
        }

        /// Lets all devices do what there is to do.
        pub(crate) fn work(&self) {
            let mut turns = TURNS.take().unwrap_or_default();
            turns.retain_mut(|turn| turn());
            TURNS.set(Some(turns));
        }
    }

    impl Drop for ByHand {
        fn drop(&mut self) {
            TURNS.set(None);
        }
    }

    pub(in crate::virtio) fn is_wanted() -> bool {
        TURNS.with_borrow(Option::is_some)
    }

    pub(in crate::virtio) fn add(turn: impl FnMut() -> bool + 'static) {
        TURNS.with_borrow_mut(|turns| turns.get_or_insert_default().push(Box::new(turn)));
    }
}
