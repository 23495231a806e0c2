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
}
