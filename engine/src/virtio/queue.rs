//! One virtqueue: the driver puts chains of buffers into its available ring, the device puts them into the used ring when it
//! is done with them. Section 2.7 (split virtqueues).

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, MutexGuard};
use virtio_queue::{Queue as Rings, QueueOwnedT, QueueT};
use vm_memory::{Bytes, GuestAddress};
use vmm_sys_util::eventfd::EventFd;

use super::{Chain, Interrupt};
use crate::memory::GuestMemory;

/// In the available ring's flags: the driver looks by itself.
const NO_INTERRUPT: u16 = 1;

/// Where the driver has put a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub size: u16,
    pub descriptors: u64,
    pub available: u64,
    pub used: u64,
}

/// A queue that the driver and its device use, with the event by which the driver says that it has put something in.
pub struct SharedQueue {
    number: usize,
    event: EventFd,
    live: AtomicBool,
    queue: Mutex<Queue>,
}

impl SharedQueue {
    pub(super) fn new(
        number: usize,
        place: Place,
        event_index: bool,
        memory: &GuestMemory,
        interrupt: &Interrupt,
    ) -> io::Result<Arc<Self>> {
        let invalid = || io::Error::from(io::ErrorKind::InvalidInput);
        let mut rings = Rings::new(place.size).map_err(|_| invalid())?;
        rings
            .try_set_desc_table_address(GuestAddress(place.descriptors))
            .and_then(|()| rings.try_set_avail_ring_address(GuestAddress(place.available)))
            .and_then(|()| rings.try_set_used_ring_address(GuestAddress(place.used)))
            .map_err(|_| invalid())?;
        rings.set_event_idx(event_index);
        rings.set_ready(true);
        if !rings.is_valid(memory.map()) {
            return Err(invalid());
        }
        Ok(Arc::new(Self {
            number,
            event: EventFd::new(libc::EFD_CLOEXEC)?,
            live: AtomicBool::new(true),
            queue: Mutex::new(Queue {
                number,
                rings,
                memory: memory.clone(),
                interrupt: interrupt.clone(),
                state: State::Running,
                outstanding: 0,
                used: false,
            }),
        }))
    }

    /// Which of the device's queues it is.
    pub fn number(&self) -> usize {
        self.number
    }

    /// Waits until the driver has rung, or something else wants the thread to look; `false` once the queue is dead.
    pub fn wait(&self) -> bool {
        if self.is_live()
            && let Err(error) = self.event.read()
        {
            tracing::error!(%error, "a queue's event cannot be waited for");
            return false;
        }
        self.is_live()
    }

    /// The event that the driver's ringing adds to, for a thread that polls several. It is readable when there is something to
    /// look at; [`SharedQueue::wait`] then clears it without waiting.
    pub fn event(&self) -> &EventFd {
        &self.event
    }

    /// Lets the thread that waits look at the queue.
    pub fn wake(&self) {
        if let Err(error) = self.event.write(1) {
            tracing::error!(%error, "a queue's event cannot be set");
        }
    }

    /// Whether the driver still uses the queue. Once it does not, it never does again.
    pub fn is_live(&self) -> bool {
        self.live.load(Ordering::Acquire)
    }

    /// The queue itself.
    pub fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock()
    }

    /// Takes the queue from the device, for good.
    pub(super) fn kill(&self) {
        self.queue.lock().state = State::Dead;
        self.live.store(false, Ordering::Release);
        self.wake();
    }

    /// Withholds the driver's chains from the device, or offers them again.
    pub(super) fn set_paused(&self, paused: bool) {
        let mut queue = self.queue.lock();
        match (queue.state, paused) {
            (State::Running, true) => queue.state = State::Paused,
            (State::Paused, false) => queue.state = State::Running,
            _ => return,
        }
        drop(queue);
        self.wake();
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Paused,
    Dead,
}

/// The device's side of a queue.
pub struct Queue {
    number: usize,
    rings: Rings,
    memory: GuestMemory,
    interrupt: Interrupt,
    state: State,
    /// How many chains the device has.
    outstanding: u16,
    /// Something was used since the driver was told last.
    used: bool,
}

impl Queue {
    /// The guest's memory, which the chains are in.
    pub fn memory(&self) -> &GuestMemory {
        &self.memory
    }

    /// How many chains fit into it.
    pub fn size(&self) -> u16 {
        self.rings.size()
    }

    /// Whether the driver still uses the queue; a paused one counts.
    pub fn is_live(&self) -> bool {
        self.state != State::Dead
    }

    /// The next chain that the driver made available. None when there is none now, when the machine is paused, or when the queue
    /// is dead; a queue that breaks the rules dies here.
    pub fn pop(&mut self) -> Option<Chain> {
        if self.state != State::Running {
            return None;
        }
        let descriptors = match self.rings.iter(self.memory.map()) {
            Ok(mut available) => available.next()?,
            Err(error) => return self.fail(&error.to_string()),
        };
        if self.outstanding >= self.rings.size() {
            return self.fail("more chains are available than there are descriptors");
        }
        match Chain::new(descriptors, &self.memory) {
            Ok(chain) => {
                self.outstanding += 1;
                Some(chain)
            }
            Err(error) => self.fail(&error.to_string()),
        }
    }

    /// Puts the chain that was popped last back: the next [`Queue::pop`] gives it again.
    pub fn undo_pop(&mut self) {
        if self.is_live() {
            self.outstanding = self.outstanding.saturating_sub(1);
            self.rings.go_to_previous_position();
        }
    }

    /// Gives a chain back to the driver, with the first `written` bytes of its room filled. A dead queue forgets it.
    pub fn complete(&mut self, chain: &Chain, written: u32) {
        if !self.is_live() {
            return;
        }
        self.outstanding = self.outstanding.saturating_sub(1);
        match self
            .rings
            .add_used(self.memory.map(), chain.head(), written)
        {
            Ok(()) => self.used = true,
            Err(error) => {
                self.fail::<()>(&error.to_string());
            }
        }
    }

    /// Tells the driver of what was completed since the last call, if it wants to know.
    pub fn interrupt(&mut self) {
        if !std::mem::take(&mut self.used) || !self.is_live() {
            return;
        }
        let wanted = if self.rings.event_idx_enabled() {
            self.rings.needs_notification(self.memory.map()).ok()
        } else {
            std::sync::atomic::fence(Ordering::SeqCst);
            let flags: Result<u16, _> = self
                .memory
                .map()
                .load(GuestAddress(self.rings.avail_ring()), Ordering::Relaxed);
            flags
                .ok()
                .map(|flags| u16::from_le(flags) & NO_INTERRUPT == 0)
        };
        if wanted.unwrap_or(true) {
            self.interrupt.queue_used(self.number);
        }
    }

    /// Asks the driver not to ring while the device looks by itself.
    pub fn disable_doorbell(&mut self) {
        if self.is_live() {
            // Only a hint to the driver.
            let _ = self.rings.disable_notification(self.memory.map());
        }
    }

    /// Asks the driver to ring again at the next chain. Returns whether there is one already, which it may not ring for.
    pub fn enable_doorbell(&mut self) -> bool {
        if !self.is_live() {
            return false;
        }
        let more = self.rings.enable_notification(self.memory.map());
        more.unwrap_or(false) && self.state == State::Running
    }

    /// The driver did what it must not: the device stops until it is reset.
    pub fn fail<T>(&mut self, reason: &str) -> Option<T> {
        self.state = State::Dead;
        self.interrupt.needs_reset(reason);
        None
    }
}
