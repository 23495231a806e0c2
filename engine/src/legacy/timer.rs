//! The thread that lets time pass for devices which raise interrupts by themselves: the real-time clock and the power
//! management timer. It sleeps for as long as none of them has an interrupt enabled.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::bus::Shared;

/// The shortest sleep, so that a guest that asks for interrupts in the past cannot keep the thread spinning.
const SHORTEST_SLEEP: Duration = Duration::from_micros(100);

/// A device that does something by itself when its time has come.
pub trait Timed: Send {
    /// Does what is due, and says how long it is until something is due again; `None` when nothing is, until a register
    /// changes.
    fn tick(&mut self) -> Option<Duration>;
}

#[derive(Default)]
struct State {
    changed: bool,
    paused: bool,
    stopped: bool,
}

/// How a device tells the [`TimerThread`] that what it waits for has changed. Made first, and cloned into the devices.
#[derive(Clone, Default)]
pub struct Wakeup(Arc<(Mutex<State>, Condvar)>);

impl Wakeup {
    fn change(&self, change: impl FnOnce(&mut State)) {
        let (state, condition) = &*self.0;
        change(&mut state.lock());
        condition.notify_all();
    }

    /// Has the thread ask its devices again. May be called with a device's lock held.
    pub fn notify(&self) {
        self.change(|state| state.changed = true);
    }

    /// Stops time for the devices (`true`), or lets it go on.
    pub fn set_paused(&self, paused: bool) {
        self.change(|state| {
            state.paused = paused;
            state.changed = true;
        });
    }
}

/// The thread. Dropping it stops it.
pub struct TimerThread {
    wakeup: Wakeup,
    thread: Option<JoinHandle<()>>,
}

impl TimerThread {
    /// Starts the thread for `devices`, which were made with clones of `wakeup`.
    ///
    /// # Errors
    /// When the host gives no thread.
    pub fn start(wakeup: &Wakeup, devices: Vec<Shared<dyn Timed>>) -> io::Result<Self> {
        let inner = wakeup.clone();
        let thread = std::thread::Builder::new()
            .name("timers".to_owned())
            .spawn(move || run(&inner, &devices))?;
        Ok(Self {
            wakeup: wakeup.clone(),
            thread: Some(thread),
        })
    }
}

impl Drop for TimerThread {
    fn drop(&mut self) {
        self.wakeup.change(|state| state.stopped = true);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the timers had panicked");
        }
    }
}

fn run(wakeup: &Wakeup, devices: &[Shared<dyn Timed>]) {
    let (state, condition) = &*wakeup.0;
    loop {
        let mut state = state.lock();
        while state.paused && !state.stopped {
            condition.wait(&mut state);
        }
        if state.stopped {
            return;
        }
        state.changed = false;
        drop(state);
        let next = devices
            .iter()
            .filter_map(|device| device.lock().tick())
            .min();
        let mut state = wakeup.0.0.lock();
        if state.changed || state.stopped {
            continue;
        }
        match next {
            Some(sleep) => {
                condition.wait_for(&mut state, sleep.max(SHORTEST_SLEEP));
            }
            None => condition.wait(&mut state),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::bus::shared;

    struct Countdown(u32, mpsc::Sender<u32>);
    impl Timed for Countdown {
        fn tick(&mut self) -> Option<Duration> {
            self.1.send(self.0).ok();
            self.0 = self.0.checked_sub(1)?;
            Some(Duration::ZERO)
        }
    }

    #[test]
    fn devices_are_asked_until_nothing_is_due_and_again_when_notified() {
        let (sender, receiver) = mpsc::channel();
        let wakeup = Wakeup::default();
        let device = shared(Countdown(3, sender));
        let thread = TimerThread::start(&wakeup, vec![device.clone()]).unwrap();
        for expected in [3, 2, 1, 0] {
            assert_eq!(receiver.recv(), Ok(expected));
        }
        device.lock().0 = 1;
        wakeup.notify();
        assert_eq!(receiver.recv(), Ok(1));
        assert_eq!(receiver.recv(), Ok(0));
        drop(thread);
        wakeup.notify();
        assert!(receiver.try_recv().is_err(), "nobody asks any more");
    }
}
