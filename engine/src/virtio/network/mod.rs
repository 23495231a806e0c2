//! A network card. Section 5.1.
//!
//! One thread serves the queues, apart from the processors: it waits for the driver's doorbells and the cable's bell together. While
//! it waits, a small frame is brought to the driver by whoever sends it.
//! Checksums and segmentation are left undone on the way wherever the other end can do without, in both directions, and frames
//! go into as many of the driver's buffers as they need (mergeable buffers).

mod orders;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use parking_lot::Mutex;
use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};

use self::orders::Settings;
use super::{Activation, Chain, DeviceType, Queue, SharedQueue, VirtioDevice};
use crate::definition::MacAddress;
use crate::memory::GuestMemory;
use crate::network::{
    Buffer, Cable, Checksum, Frame, MAX_FRAME, Offload, SegmentKind, Segments, Sent, VIRTIO_HEADER,
};

/// Feature bits. Section 5.1.3.
mod feature {
    pub const CHECKSUM: u64 = 1 << 0;
    pub const GUEST_CHECKSUM: u64 = 1 << 1;
    pub const CONTROL_OFFLOADS: u64 = 1 << 2;
    pub const MTU: u64 = 1 << 3;
    pub const MAC: u64 = 1 << 5;
    pub const GUEST_TCP4: u64 = 1 << 7;
    pub const GUEST_TCP6: u64 = 1 << 8;
    pub const GUEST_ECN: u64 = 1 << 9;
    pub const HOST_TCP4: u64 = 1 << 11;
    pub const HOST_TCP6: u64 = 1 << 12;
    pub const HOST_ECN: u64 = 1 << 13;
    pub const MERGEABLE: u64 = 1 << 15;
    pub const STATUS: u64 = 1 << 16;
    pub const CONTROL: u64 = 1 << 17;
    pub const CONTROL_RECEIVE: u64 = 1 << 18;
    pub const CONTROL_MAC: u64 = 1 << 23;
    /// Those that the driver may switch off while it runs.
    pub const OFFLOADS: u64 = GUEST_CHECKSUM | GUEST_TCP4 | GUEST_TCP6 | GUEST_ECN;
}

/// The queues. Section 5.1.2.
const RECEIVE: usize = 0;
const TRANSMIT: usize = 1;
const CONTROL: usize = 2;
const RECEIVE_SIZE: u16 = 1024;
const TRANSMIT_SIZE: u16 = 512;
const CONTROL_SIZE: u16 = 64;

/// What the network carries in a packet.
const MTU: u16 = 1500;
/// The configuration: address, status, queue pairs, MTU. Section 5.1.4.
const CONFIGURATION: usize = 12;
const LINK_UP: u16 = 1;
/// How often a frame is tried again for which there was no room, in milliseconds.
const RETRY: i32 = 20;
/// How many frames pass in one direction before the other has its turn.
const TURN: usize = 64;
/// The cable's bell among the events; the queues have their numbers.
const BELL: u64 = 16;

/// The card.
pub struct Network {
    mac: MacAddress,
    cable: Arc<Cable>,
    settings: Arc<Mutex<Settings>>,
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Network {
    /// A card with the address `mac` at `cable`.
    pub fn new(mac: MacAddress, cable: Arc<Cable>) -> Self {
        Self {
            mac,
            cable,
            settings: Arc::new(Mutex::new(Settings::new(mac, 0))),
            stop: Arc::default(),
            thread: None,
        }
    }

    fn end(&mut self) {
        self.cable.unwatch();
        self.cable.bell().dismiss();
        self.stop.store(true, Ordering::Release);
        self.cable.bell().ring();
    }
}

impl VirtioDevice for Network {
    fn device_type(&self) -> DeviceType {
        DeviceType::Network
    }

    fn features(&self) -> u64 {
        feature::CHECKSUM
            | feature::OFFLOADS
            | feature::CONTROL_OFFLOADS
            | feature::MTU
            | feature::MAC
            | feature::HOST_TCP4
            | feature::HOST_TCP6
            | feature::HOST_ECN
            | feature::MERGEABLE
            | feature::STATUS
            | feature::CONTROL
            | feature::CONTROL_RECEIVE
            | feature::CONTROL_MAC
    }

    fn queue_sizes(&self) -> Vec<u16> {
        vec![RECEIVE_SIZE, TRANSMIT_SIZE, CONTROL_SIZE]
    }

    fn read_config(&self, offset: u64, data: &mut [u8]) {
        let mut configuration = [0; CONFIGURATION];
        let status = if self.cable.is_plugged() { LINK_UP } else { 0 };
        let mac = self.settings.lock().mac.0;
        let fields = mac
            .into_iter()
            .chain(status.to_le_bytes())
            .chain(1_u16.to_le_bytes())
            .chain(MTU.to_le_bytes());
        for (to, from) in configuration.iter_mut().zip(fields) {
            *to = from;
        }
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        for (to, from) in data.iter_mut().zip(configuration.iter().skip(start)) {
            *to = *from;
        }
    }

    fn activate(&mut self, mut activation: Activation) -> io::Result<()> {
        let [Some(receive), Some(transmit)] =
            [RECEIVE, TRANSMIT].map(|number| activation.take_queue(number))
        else {
            // A driver that sends or receives nothing needs no thread.
            return Ok(());
        };
        let control = activation.take_queue(CONTROL);
        self.stop = Arc::default();
        *self.settings.lock() = Settings::new(self.mac, activation.features & feature::OFFLOADS);
        let worker = Worker {
            features: activation.features,
            memory: activation.memory,
            cable: Arc::clone(&self.cable),
            settings: Arc::clone(&self.settings),
            receive,
            transmit,
            control,
            waiting: VecDeque::new(),
            unsent: None,
            starved: false,
        };
        let epoll = worker.epoll()?;
        let interrupt = activation.interrupt;
        self.cable.watch({
            let interrupt = interrupt.clone();
            move |_| interrupt.configuration_changed()
        });
        #[cfg(any(test, feature = "fuzzing"))]
        if super::worker::by_hand::is_wanted() {
            let mut worker = worker;
            super::worker::by_hand::add(move || {
                // As often as the thread would look again without waiting, and what is given back is looked at once more.
                while worker.turn() {}
                worker.receive.is_live() && worker.transmit.is_live()
            });
            return Ok(());
        }
        let stop = Arc::clone(&self.stop);
        let (cable, queues) = (Arc::clone(&self.cable), worker.queues());
        let worker = Arc::new(Mutex::new(worker));
        self.cable.bell().appoint(&worker, |worker| {
            worker.receive.is_live() && !worker.bring()
        });
        let thread = thread::Builder::new()
            .name("virtio-network".to_owned())
            .spawn(move || {
                let run = || run(&worker, &epoll, &cable, &queues, &stop);
                if catch_unwind(AssertUnwindSafe(run)).is_err() {
                    interrupt.needs_reset("a fault in Guesthouse stopped the card's thread");
                }
            })?;
        // The one before ended, or ends soon, with its queues.
        self.thread = Some(thread);
        Ok(())
    }

    fn reset(&mut self) {
        self.end();
        *self.settings.lock() = Settings::new(self.mac, 0);
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.end();
        if let Some(thread) = self.thread.take() {
            // Its panic was caught.
            let _ = thread.join();
        }
    }
}

/// What became of a frame for the driver.
enum Delivery {
    /// It has it, or never will.
    Done,
    /// It gave too few buffers. There may be more of them already, or it rings when there are.
    Starved { more: bool },
}

/// What the card's thread does.
fn run(
    worker: &Mutex<Worker>,
    epoll: &Epoll,
    cable: &Cable,
    queues: &[Option<Arc<SharedQueue>>; 3],
    stop: &AtomicBool,
) {
    let mut events = [EpollEvent::default(); 4];
    let mut patience = 0;
    worker.lock().receive.lock().disable_doorbell();
    while !stop.load(Ordering::Acquire) {
        let count = match epoll.wait(patience, &mut events) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(error) => {
                tracing::error!(%error, "a network card cannot wait any more");
                return;
            }
        };
        for event in events.iter().take(count) {
            if event.data() == BELL {
                cable.bell().silence();
                continue;
            }
            let number = usize::try_from(event.data()).unwrap_or(usize::MAX);
            if let Some(Some(queue)) = queues.get(number)
                && !queue.wait()
            {
                return;
            }
        }
        let mut worker = worker.lock();
        if !worker.receive.is_live() || !worker.transmit.is_live() {
            return;
        }
        patience = match (worker.turn(), worker.unsent.is_some()) {
            (true, _) => 0,
            (false, true) => RETRY,
            (false, false) => -1,
        };
    }
}

/// What the card's thread works with, and those who bring frames instead of it while it waits.
struct Worker {
    features: u64,
    memory: GuestMemory,
    cable: Arc<Cable>,
    settings: Arc<Mutex<Settings>>,
    receive: Arc<SharedQueue>,
    transmit: Arc<SharedQueue>,
    control: Option<Arc<SharedQueue>>,
    /// What is to come into the driver's buffers when there are any.
    waiting: VecDeque<Frame>,
    /// What is to be sent when there is room.
    unsent: Option<Frame>,
    /// The driver gave too few buffers.
    starved: bool,
}

impl Worker {
    fn epoll(&self) -> io::Result<Epoll> {
        let epoll = Epoll::new()?;
        let add = |descriptor, data| {
            epoll.ctl(
                ControlOperation::Add,
                descriptor,
                EpollEvent::new(EventSet::IN, data),
            )
        };
        for queue in self.queues().iter().flatten() {
            add(queue.event().as_raw_fd(), queue.number() as u64)?;
        }
        add(self.cable.bell().as_fd().as_raw_fd(), BELL)?;
        Ok(epoll)
    }

    /// By their numbers.
    fn queues(&self) -> [Option<Arc<SharedQueue>>; 3] {
        let (receive, transmit) = (Arc::clone(&self.receive), Arc::clone(&self.transmit));
        [Some(receive), Some(transmit), self.control.clone()]
    }

    /// Does what there is to do; says whether there may be more.
    fn turn(&mut self) -> bool {
        self.take_orders();
        let more = self.send();
        self.bring() | more
    }

    /// Takes what the driver sends; says whether there may be more.
    fn send(&mut self) -> bool {
        if let Some(frame) = self.unsent.take()
            && let Sent::Full(frame) = self.cable.send(frame)
        {
            self.unsent = Some(frame);
            return false;
        }
        let shared = Arc::clone(&self.transmit);
        let mut queue = shared.lock();
        queue.disable_doorbell();
        for _ in 0..TURN {
            let Some(chain) = queue.pop() else {
                queue.interrupt();
                return queue.enable_doorbell();
            };
            let frame = self.frame(&chain);
            queue.complete(&chain, 0);
            if let Some(frame) = frame
                && let Sent::Full(frame) = self.cable.send(frame)
            {
                self.unsent = Some(frame);
                queue.interrupt();
                return false;
            }
        }
        queue.interrupt();
        true
    }

    /// The frame in `chain`, behind its header.
    fn frame(&self, chain: &Chain) -> Option<Frame> {
        let length = (chain.readable_length() as usize).checked_sub(VIRTIO_HEADER)?;
        if length > MAX_FRAME {
            return None;
        }
        let header: [u8; VIRTIO_HEADER] = chain.read_array(&self.memory, 0)?;
        let mut offload = Offload::from_virtio(&header)?;
        let needed = match offload.segmentation.map(|cut| cut.kind) {
            None => 0,
            Some(SegmentKind::Tcp4) => feature::HOST_TCP4,
            Some(SegmentKind::Tcp6) => feature::HOST_TCP6,
            Some(SegmentKind::Udp) => return None,
        };
        if self.features & needed != needed {
            return None;
        }
        // That is the device's word to say, not the driver's.
        if offload.checksum == Checksum::Valid {
            offload.checksum = Checksum::Complete;
        }
        let mut buffer = Buffer::new(length);
        let header = u32::try_from(VIRTIO_HEADER).unwrap_or(12);
        if chain.read(&self.memory, header, buffer.get_mut(..length)?) != length {
            return None;
        }
        let frame = Frame::new(buffer.freeze(length), offload)?;
        let possible =
            frame.offload().segmentation.is_none() || Segments::new(&frame, false).is_some();
        possible.then_some(frame)
    }

    /// Brings frames to the driver; says whether there may be more.
    fn bring(&mut self) -> bool {
        let settings = self.settings.lock().clone();
        let shared = Arc::clone(&self.receive);
        let mut queue = shared.lock();
        let mut done = 0;
        while done < TURN {
            let Some(frame) = self.next_frame(&settings) else {
                break;
            };
            done += 1;
            if let Delivery::Starved { more } = self.deliver(&mut queue, &frame) {
                self.waiting.push_front(frame);
                queue.interrupt();
                self.starved = true;
                return more;
            }
        }
        queue.interrupt();
        if std::mem::take(&mut self.starved) {
            queue.disable_doorbell();
        }
        done == TURN
    }

    fn next_frame(&mut self, settings: &Settings) -> Option<Frame> {
        loop {
            if let Some(frame) = self.waiting.pop_front() {
                return Some(frame);
            }
            let frame = self.cable.receive()?;
            if !settings.accepts(&frame) {
                continue;
            }
            let needed = match frame.offload().segmentation.map(|cut| cut.kind) {
                None => 0,
                Some(SegmentKind::Tcp4) => feature::GUEST_TCP4,
                Some(SegmentKind::Tcp6) => feature::GUEST_TCP6,
                Some(SegmentKind::Udp) => u64::MAX,
            };
            if settings.offloads & needed != needed {
                self.waiting.extend(Segments::frames(frame));
            } else if settings.offloads & feature::GUEST_CHECKSUM == 0 {
                return Some(frame.with_checksum());
            } else {
                return Some(frame);
            }
        }
    }

    /// Writes `frame` into the driver's buffers.
    fn deliver(&self, queue: &mut Queue, frame: &Frame) -> Delivery {
        let data = frame.data();
        let whole = data.len() + VIRTIO_HEADER;
        let merges = self.features & feature::MERGEABLE != 0;
        let mut chains: Vec<Chain> = Vec::new();
        let mut room = 0;
        while room < whole {
            let Some(chain) = queue.pop() else {
                // All of the queue is not enough: no later try is better.
                let hopeless = chains.len() >= usize::from(queue.size());
                // The driver is to ring when it gives more than there is now, so these are put back only after that was asked for.
                let more = !hopeless && queue.enable_doorbell();
                for _ in &chains {
                    queue.undo_pop();
                }
                return if hopeless {
                    Delivery::Done
                } else {
                    Delivery::Starved { more }
                };
            };
            room += chain.writable_length() as usize;
            chains.push(chain);
            if !merges {
                break;
            }
        }
        let mut offload = frame.offload();
        if self.features & feature::GUEST_CHECKSUM == 0 {
            offload.checksum = Checksum::Complete;
        }
        let buffers = u16::try_from(chains.len()).unwrap_or(1);
        let header = offload.to_virtio(data, buffers);
        let mut left: [&[u8]; 2] = [&header, data];
        if room < whole {
            // The only buffer is too small: it comes back empty.
            left = [&[], &[]];
        }
        for chain in &chains {
            let mut at = 0_u32;
            for part in &mut left {
                let length = part.len().min((chain.writable_length() - at) as usize);
                let (now, later) = part.split_at(length);
                let written = chain.write(&self.memory, at, now);
                at += u32::try_from(written)
                    .unwrap_or(0)
                    .min(chain.writable_length() - at);
                *part = later;
            }
            queue.complete(chain, at);
        }
        Delivery::Done
    }
}
