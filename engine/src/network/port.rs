//! A place on a switch, and the frames that wait there.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::{Bell, Frame, Switch};

/// How many frames wait at a port at most, and how many bytes.
pub(super) const MOST_FRAMES: usize = 1024;
const MOST_BYTES: usize = 4 << 20;
/// What is no longer than this is passed on by its sender's thread if it can be: a part of a conversation, most likely. What is longer
/// is a part of much, for which two threads are faster.
const SMALL: usize = 600;
/// How long a full port holds senders up before what is for it is lost: its machine may stand still.
pub(super) const PATIENCE: Duration = Duration::from_millis(20);

/// What became of a frame.
#[derive(Debug)]
pub enum Sent {
    /// It is on its way, or lost as frames may be.
    Taken,
    /// There is no room where it was to go. The sender's bell rings when there is; after some time it would be lost instead, so that
    /// trying again now and then is enough.
    Full(Frame),
}

#[derive(Default)]
struct Waiting {
    frames: VecDeque<Frame>,
    bytes: usize,
    full_since: Option<Instant>,
    senders: Vec<Arc<Bell>>,
    lost: u64,
}

/// The frames that wait at one port.
pub(super) struct Inbound {
    waiting: Mutex<Waiting>,
    bell: Arc<Bell>,
}

impl Inbound {
    /// Puts `frame` in, or gives it back if there is no room; `sender` rings when there is. Whether it is passed on at once, on this
    /// thread, if it can be, says `at_once`.
    pub(super) fn put(&self, frame: Frame, sender: &Arc<Bell>, at_once: bool) -> Sent {
        let mut waiting = self.waiting.lock();
        if waiting.has_room() {
            let first = waiting.add(frame);
            drop(waiting);
            match (first, at_once) {
                (true, true) => self.bell.call(),
                (true, false) => self.bell.ring(),
                (false, _) => {}
            }
            return Sent::Taken;
        }
        let since = *waiting.full_since.get_or_insert_with(Instant::now);
        if since.elapsed() >= PATIENCE {
            waiting.lost += 1;
            return Sent::Taken;
        }
        if !waiting.senders.iter().any(|bell| Arc::ptr_eq(bell, sender)) {
            waiting.senders.push(Arc::clone(sender));
        }
        Sent::Full(frame)
    }

    /// Puts `frame` in if there is room.
    pub(super) fn offer(&self, frame: Frame) {
        let mut waiting = self.waiting.lock();
        if !waiting.has_room() {
            waiting.lost += 1;
            return;
        }
        let first = waiting.add(frame);
        drop(waiting);
        if first {
            self.bell.ring();
        }
    }

    fn take(&self) -> Option<Frame> {
        let mut waiting = self.waiting.lock();
        let frame = waiting.frames.pop_front()?;
        waiting.bytes = waiting.bytes.saturating_sub(frame.data().len());
        let half_empty = waiting.frames.len() <= MOST_FRAMES / 2 && waiting.bytes <= MOST_BYTES / 2;
        if waiting.full_since.is_some() && half_empty {
            waiting.full_since = None;
            for bell in waiting.senders.drain(..) {
                bell.ring();
            }
        }
        Some(frame)
    }
}

impl Waiting {
    fn has_room(&self) -> bool {
        self.frames.len() < MOST_FRAMES && self.bytes < MOST_BYTES
    }

    /// Says whether nothing was there before.
    fn add(&mut self, frame: Frame) -> bool {
        self.bytes += frame.data().len();
        self.frames.push_back(frame);
        self.frames.len() == 1
    }
}

/// A place on a switch; it is given up when dropped.
pub struct Port {
    switch: Arc<Switch>,
    number: u64,
    inbound: Arc<Inbound>,
}

impl Port {
    /// A port whose `bell` rings when the first frame of several comes, and when there is room again where there was none.
    pub(super) fn new(switch: Arc<Switch>, number: u64, bell: Arc<Bell>) -> Self {
        Self {
            switch,
            number,
            inbound: Arc::new(Inbound {
                waiting: Mutex::default(),
                bell,
            }),
        }
    }

    pub(super) fn inbound(&self) -> &Arc<Inbound> {
        &self.inbound
    }

    /// Sends `frame` to whom it is addressed to.
    pub fn send(&self, frame: Frame) -> Sent {
        let at_once = frame.data().len() <= SMALL;
        self.switch
            .pass(self.number, &self.inbound.bell, frame, at_once)
    }

    /// Sends `frame`, which nobody waits for.
    pub fn post(&self, frame: Frame) -> Sent {
        self.switch
            .pass(self.number, &self.inbound.bell, frame, false)
    }

    /// The next frame that came. Who waits for the bell takes all frames before waiting.
    pub fn receive(&self) -> Option<Frame> {
        self.inbound.take()
    }

    /// How many frames were lost because nobody took those that came before.
    pub fn lost(&self) -> u64 {
        self.inbound.waiting.lock().lost
    }

    /// The switch.
    pub fn switch(&self) -> &Arc<Switch> {
        &self.switch
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.switch.disconnect(self.number);
        for bell in self.inbound.waiting.lock().senders.drain(..) {
            bell.ring();
        }
    }
}
