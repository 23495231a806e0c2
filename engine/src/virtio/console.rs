//! A console: one port, bytes in both directions, as a serial line without its registers and its speed. Section 5.3.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::{Arc, Weak};
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::{Condvar, Mutex};

use super::worker::Workers;
use super::{Activation, Chain, DeviceType, Queue, SharedQueue, VirtioDevice};

const RECEIVE: usize = 0;
const TRANSMIT: usize = 1;
/// How much waits for a guest that does not read, in bytes.
const WAITING: usize = 4096;
/// How many buffers of the guest's wait for whoever listens.
const CHUNKS: usize = 16;
/// The most that is taken of one buffer of the guest's, in bytes.
const CHUNK: usize = 64 << 10;

#[derive(Default)]
struct Inward {
    bytes: VecDeque<u8>,
    /// The queue to be woken when there are some.
    queue: Option<Arc<SharedQueue>>,
    closed: bool,
}

#[derive(Default)]
struct Shared {
    inward: Mutex<Inward>,
    /// There is room in `inward`, or the device is gone.
    room: Condvar,
    /// The queue to be woken when whoever listens takes more.
    outward: Mutex<Option<Arc<SharedQueue>>>,
}

/// The device.
pub struct Console {
    shared: Arc<Shared>,
    output: Option<Sender<Vec<u8>>>,
    workers: Workers,
}

impl Console {
    /// A console that gives the guest what comes from `input`, until its end, and `output` what the guest sends. The guest waits
    /// for a listener that is slow; without one, what it sends is dropped.
    ///
    /// # Errors
    /// When the host gives no thread.
    pub fn new(
        input: Option<Box<dyn Read + Send>>,
        output: Option<Box<dyn Write + Send>>,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        // Neither thread is waited for: both may be held up by the other end for as long as it likes.
        let output = match output {
            Some(mut output) => {
                let (sender, receiver) = bounded(CHUNKS);
                let shared = Arc::downgrade(&shared);
                thread::Builder::new()
                    .name("virtio-console output".to_owned())
                    .spawn(move || send(&receiver, &mut *output, &shared))?;
                Some(sender)
            }
            None => None,
        };
        if let Some(input) = input {
            let shared = Arc::downgrade(&shared);
            thread::Builder::new()
                .name("virtio-console input".to_owned())
                .spawn(move || receive(input, &shared))?;
        }
        Ok(Self {
            shared,
            output,
            workers: Workers::default(),
        })
    }
}

impl VirtioDevice for Console {
    fn device_type(&self) -> DeviceType {
        DeviceType::Console
    }

    fn queue_sizes(&self) -> Vec<u16> {
        vec![64, 64]
    }

    fn activate(&mut self, mut activation: Activation) -> io::Result<()> {
        if let Some(queue) = activation.take_queue(RECEIVE) {
            self.shared.inward.lock().queue = Some(Arc::clone(&queue));
            let shared = Arc::clone(&self.shared);
            self.workers
                .serve("virtio-console", queue, move |queue, chain| {
                    shared.give(queue, &chain)
                })?;
        }
        if let Some(queue) = activation.take_queue(TRANSMIT) {
            *self.shared.outward.lock() = Some(Arc::clone(&queue));
            let output = self.output.clone();
            self.workers
                .serve("virtio-console", queue, move |queue, chain| {
                    take(output.as_ref(), queue, &chain)
                })?;
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.shared.inward.lock().queue = None;
        self.shared.outward.lock().take();
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        self.shared.inward.lock().closed = true;
        self.shared.room.notify_all();
    }
}

impl Shared {
    /// Fills a buffer of the driver's with what waits; if nothing does, the buffer waits.
    fn give(&self, queue: &mut Queue, chain: &Chain) -> bool {
        let mut inward = self.inward.lock();
        if inward.bytes.is_empty() {
            drop(inward);
            queue.undo_pop();
            return false;
        }
        let length = inward.bytes.len().min(chain.writable_length() as usize);
        let data: Vec<u8> = inward.bytes.drain(..length).collect();
        drop(inward);
        self.room.notify_all();
        let written = chain.write(queue.memory(), 0, &data);
        queue.complete(chain, u32::try_from(written).unwrap_or(0));
        true
    }
}

/// Takes what the driver sends. Returns whether more can be taken.
fn take(output: Option<&Sender<Vec<u8>>>, queue: &mut Queue, chain: &Chain) -> bool {
    if let Some(output) = output {
        if output.is_full() {
            queue.undo_pop();
            return false;
        }
        let mut data = vec![0; CHUNK.min(chain.readable_length() as usize)];
        let length = chain.read(queue.memory(), 0, &mut data);
        data.truncate(length);
        // There is room, since nobody else sends; or nobody listens any more.
        let _ = output.try_send(data);
    }
    queue.complete(chain, 0);
    true
}

#[cfg(any(test, feature = "fuzzing"))]
impl Console {
    /// Takes what would come from its input, without a thread that reads it.
    pub(crate) fn inlet(&self) -> impl Fn(&[u8]) + use<> {
        let shared = Arc::clone(&self.shared);
        move |data| {
            let mut inward = shared.inward.lock();
            let room = WAITING.saturating_sub(inward.bytes.len());
            inward.bytes.extend(data.iter().take(room));
        }
    }
}

fn send(receiver: &Receiver<Vec<u8>>, output: &mut dyn Write, shared: &Weak<Shared>) {
    let mut listening = true;
    while let Ok(data) = receiver.recv() {
        if let Some(queue) = shared
            .upgrade()
            .and_then(|shared| shared.outward.lock().clone())
        {
            queue.wake();
        }
        if listening && let Err(error) = output.write_all(&data).and_then(|()| output.flush()) {
            tracing::warn!(%error, "nobody takes what the console sends any more");
            listening = false;
        }
    }
}

fn receive(mut input: Box<dyn Read + Send>, shared: &Weak<Shared>) {
    let mut buffer = [0; 1024];
    loop {
        let count = match input.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                tracing::warn!(%error, "nothing more comes to the console");
                return;
            }
        };
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let mut inward = shared.inward.lock();
        while inward.bytes.len() >= WAITING && !inward.closed {
            shared.room.wait(&mut inward);
        }
        if inward.closed {
            return;
        }
        inward.bytes.extend(buffer.get(..count).unwrap_or(&[]));
        let queue = inward.queue.clone();
        drop(inward);
        if let Some(queue) = queue {
            queue.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::virtio::testing::Driver;

    #[test]
    fn bytes_go_both_ways() {
        let (mut us, them) = UnixStream::pair().unwrap();
        let input = them.try_clone().unwrap();
        let console = Console::new(Some(Box::new(input)), Some(Box::new(them))).unwrap();
        let mut driver = Driver::new(console);
        // Before the driver is there.
        us.write_all(b"early ").unwrap();
        driver.start(0);
        let used = driver.request(0, &[], &[3, 3]);
        assert_eq!((used.written, &used.data[..]), (6, &b"early "[..]));
        driver.add(0, &[], &[8]);
        driver.kick(0);
        us.write_all(b"late").unwrap();
        let used = driver.wait_used(0, 1);
        assert_eq!((used[0].written, &used[0].data[..4]), (4, &b"late"[..]));
        driver.request(1, &[b"from ", b"the guest"], &[]);
        let mut text = [0; 14];
        us.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"from the guest");
    }

    #[test]
    fn the_guest_waits_for_a_slow_listener_and_not_for_none() {
        let (mut us, them) = UnixStream::pair().unwrap();
        let mut driver = Driver::new(Console::new(None, Some(Box::new(them))).unwrap());
        driver.start(0);
        let chunk = vec![b'x'; 60_000];
        for _ in 0..40 {
            driver.add(1, &[&chunk], &[]);
        }
        driver.kick(1);
        let mut received = vec![0; 40 * chunk.len()];
        us.read_exact(&mut received).unwrap();
        assert!(received.iter().all(|byte| *byte == b'x'));
        assert_eq!(driver.wait_used(1, 40).len(), 40);
        drop(us);
        for _ in 0..40 {
            driver.request(1, &[&chunk], &[]);
        }
        let mut driver = Driver::new(Console::new(None, None).unwrap());
        driver.start(0);
        driver.request(1, &[&chunk], &[]);
    }
}
