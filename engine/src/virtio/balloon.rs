//! A memory balloon: the guest gives pages back to the host, because it is asked to or because it does not use them. Section 5.5.
//!
//! A page that is given back is taken out of this process: the host has it, and the guest finds zeros there when it touches it
//! again.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::worker::Workers;
use super::{Activation, Chain, DeviceType, Interrupt, Queue, SharedQueue, VirtioDevice};

/// Feature bits. Section 5.5.3.
mod feature {
    pub const STATISTICS: u64 = 1 << 1;
    pub const DEFLATE_ON_OOM: u64 = 1 << 2;
    pub const PAGE_REPORTING: u64 = 1 << 5;
}

/// Bytes of the pages that driver and device speak of.
const PAGE: u64 = 4096;
const INFLATE: usize = 0;
const DEFLATE: usize = 1;
const STATISTICS: usize = 2;
/// Where the queue of free pages is depends on whether the driver counts one that does not exist.
const REPORTING: [usize; 2] = [3, 4];
/// The driver's statistics: a tag and a value each.
const STATISTIC: u32 = 10;
const MOST_STATISTICS: u32 = 64;

/// What a guest says of its memory; what it does not say is missing. Amounts in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MemoryStatistics {
    /// Not used for anything.
    pub free: Option<u64>,
    /// All that it has.
    pub total: Option<u64>,
    /// What programs could have without swapping.
    pub available: Option<u64>,
    /// Copies of what is on disks.
    pub caches: Option<u64>,
    /// Read from swap since it was started.
    pub swapped_in: Option<u64>,
    /// Written to swap since it was started.
    pub swapped_out: Option<u64>,
}

/// Called when the guest has changed the balloon's size or told its statistics.
pub type BalloonObserver = Arc<dyn Fn() + Send + Sync>;

struct Shared {
    /// Pages that the guest is to give back.
    target: AtomicU32,
    /// Pages that it says it has given back.
    actual: AtomicU32,
    statistics: Mutex<MemoryStatistics>,
    /// The driver's buffer for statistics, while the device has it.
    waiting: Mutex<Option<(Arc<SharedQueue>, Chain)>>,
    interrupt: Mutex<Option<Interrupt>>,
    observer: BalloonObserver,
}

/// A handle on the balloon for whoever runs the machine.
#[derive(Clone)]
pub struct BalloonHandle(Arc<Shared>);

impl BalloonHandle {
    /// Asks the guest to give back `bytes` of its memory in all. When and how far it does is the guest's to say.
    pub fn set_target(&self, bytes: u64) {
        let pages = u32::try_from(bytes / PAGE).unwrap_or(u32::MAX);
        self.0.target.store(pages, Ordering::Release);
        if let Some(interrupt) = &*self.0.interrupt.lock() {
            interrupt.configuration_changed();
        }
    }

    /// How many bytes the guest says it has given back.
    pub fn actual(&self) -> u64 {
        u64::from(self.0.actual.load(Ordering::Acquire)) * PAGE
    }

    /// What the guest said last of its memory.
    pub fn statistics(&self) -> MemoryStatistics {
        *self.0.statistics.lock()
    }

    /// Asks the guest for its statistics: they come by and by, if it has a driver.
    pub fn ask(&self) {
        let waiting = self.0.waiting.lock().take();
        if let Some((shared, chain)) = waiting {
            let mut queue = shared.lock();
            queue.complete(&chain, 0);
            queue.interrupt();
        }
    }
}

/// The device.
pub struct Balloon {
    shared: Arc<Shared>,
    workers: Workers,
}

impl Balloon {
    /// An empty balloon.
    pub fn new(observer: BalloonObserver) -> Self {
        Self {
            shared: Arc::new(Shared {
                target: AtomicU32::new(0),
                actual: AtomicU32::new(0),
                statistics: Mutex::default(),
                waiting: Mutex::default(),
                interrupt: Mutex::default(),
                observer,
            }),
            workers: Workers::default(),
        }
    }

    /// A handle that goes on after the device was put into the machine.
    pub fn handle(&self) -> BalloonHandle {
        BalloonHandle(Arc::clone(&self.shared))
    }
}

impl VirtioDevice for Balloon {
    fn device_type(&self) -> DeviceType {
        DeviceType::Balloon
    }

    fn features(&self) -> u64 {
        feature::STATISTICS | feature::DEFLATE_ON_OOM | feature::PAGE_REPORTING
    }

    fn queue_sizes(&self) -> Vec<u16> {
        vec![128; 5]
    }

    fn read_config(&self, offset: u64, data: &mut [u8]) {
        let [t0, t1, t2, t3] = self.shared.target.load(Ordering::Acquire).to_le_bytes();
        let [a0, a1, a2, a3] = self.shared.actual.load(Ordering::Acquire).to_le_bytes();
        let config = [t0, t1, t2, t3, a0, a1, a2, a3];
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        for (to, from) in data.iter_mut().zip(config.iter().skip(start)) {
            *to = *from;
        }
    }

    fn write_config(&mut self, offset: u64, data: &[u8]) {
        if let (4, &[a, b, c, d]) = (offset, data) {
            let actual = u32::from_le_bytes([a, b, c, d]);
            if self.shared.actual.swap(actual, Ordering::AcqRel) != actual {
                (self.shared.observer)();
            }
        }
    }

    fn activate(&mut self, activation: Activation) -> io::Result<()> {
        *self.shared.interrupt.lock() = Some(activation.interrupt);
        for queue in activation.queues.into_iter().flatten() {
            let workers = &mut self.workers;
            match queue.number() {
                INFLATE => workers.serve("virtio-balloon", queue, inflate)?,
                DEFLATE => workers.serve("virtio-balloon", queue, |queue, chain| {
                    queue.complete(&chain, 0);
                    true
                })?,
                STATISTICS if activation.features & feature::STATISTICS != 0 => {
                    let (shared, origin) = (Arc::clone(&self.shared), Arc::clone(&queue));
                    workers.serve("virtio-balloon", queue, move |queue, chain| {
                        shared.tell(&origin, queue, chain);
                        true
                    })?;
                }
                number if number == STATISTICS || REPORTING.contains(&number) => {
                    workers.serve("virtio-balloon", queue, report)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.shared.interrupt.lock().take();
        self.shared.waiting.lock().take();
        self.shared.actual.store(0, Ordering::Release);
    }
}

impl Shared {
    /// The driver tells its statistics, and leaves the buffer here until they are asked for again.
    fn tell(&self, origin: &Arc<SharedQueue>, queue: &mut Queue, chain: Chain) {
        let mut statistics = MemoryStatistics::default();
        let count = (chain.readable_length() / STATISTIC).min(MOST_STATISTICS);
        for number in 0..count {
            let Some([t0, t1, v0, v1, v2, v3, v4, v5, v6, v7]) =
                chain.read_array(queue.memory(), number * STATISTIC)
            else {
                break;
            };
            let value = Some(u64::from_le_bytes([v0, v1, v2, v3, v4, v5, v6, v7]));
            match u16::from_le_bytes([t0, t1]) {
                0 => statistics.swapped_in = value,
                1 => statistics.swapped_out = value,
                4 => statistics.free = value,
                5 => statistics.total = value,
                6 => statistics.available = value,
                7 => statistics.caches = value,
                _ => {}
            }
        }
        *self.statistics.lock() = statistics;
        let before = self.waiting.lock().replace((Arc::clone(origin), chain));
        // There is one buffer; a driver that sends another gets the first back.
        if let Some((_, chain)) = before {
            queue.complete(&chain, 0);
        }
        (self.observer)();
    }
}

/// The driver gives pages back, each by its number.
fn inflate(queue: &mut Queue, chain: Chain) -> bool {
    let memory = queue.memory().clone();
    let mut run: Option<(u64, u64)> = None;
    let release = |run: Option<(u64, u64)>| {
        if let Some((first, count)) = run {
            memory.release(first * PAGE, count * PAGE);
        }
    };
    let mut numbers = vec![0; chain.readable_length().min(4096) as usize];
    let mut offset = 0;
    loop {
        let length = chain.read(&memory, offset, &mut numbers);
        for number in numbers.get(..length).unwrap_or(&[]).chunks_exact(4) {
            let number = number
                .iter()
                .rev()
                .fold(0, |value, byte| value << 8 | u64::from(*byte));
            // Drivers give neighbours one after the other, upwards or downwards.
            run = match run {
                Some((first, count)) if first + count == number => Some((first, count + 1)),
                Some((first, count)) if number + 1 == first => Some((number, count + 1)),
                _ => {
                    release(run);
                    Some((number, 1))
                }
            };
        }
        if length < numbers.len() || length == 0 {
            break;
        }
        offset = offset.saturating_add(u32::try_from(length).unwrap_or(u32::MAX));
    }
    release(run);
    queue.complete(&chain, 0);
    true
}

/// The driver shows free pages: the buffers are the pages.
fn report(queue: &mut Queue, chain: Chain) -> bool {
    for piece in chain.writable() {
        queue
            .memory()
            .release(piece.address, u64::from(piece.length));
    }
    queue.complete(&chain, 0);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::virtio::testing::{Driver, NEXT, WRITE};

    struct Rig {
        driver: Driver,
        handle: BalloonHandle,
        news: crossbeam_channel::Receiver<()>,
    }

    fn rig(features: u64) -> Rig {
        let (sender, news) = crossbeam_channel::unbounded();
        let balloon = Balloon::new(Arc::new(move || {
            let _ = sender.send(());
        }));
        let handle = balloon.handle();
        let mut driver = Driver::new(balloon);
        driver.start(features);
        Rig {
            driver,
            handle,
            news,
        }
    }

    fn byte(driver: &Driver, address: u64) -> u8 {
        let mut data = [0];
        driver.memory.read(address, &mut data).unwrap();
        data[0]
    }

    #[test]
    fn pages_given_back_are_empty_and_their_neighbours_are_not() {
        let mut rig = rig(0);
        for page in 0x800..0x810_u64 {
            rig.driver.memory.write(page * PAGE, &[7; 4096]).unwrap();
        }
        let numbers: Vec<u8> = [0x803_u32, 0x804, 0x808, 0x807, 0xffff_ffff, 0x1000]
            .iter()
            .flat_map(|number| number.to_le_bytes())
            .collect();
        rig.driver.request(0, &[&numbers], &[]);
        for page in 0x800..0x810_u64 {
            let empty = [0x803, 0x804, 0x807, 0x808].contains(&page);
            let expected = if empty { 0 } else { 7 };
            assert_eq!(byte(&rig.driver, page * PAGE + 4095), expected, "{page:#x}");
        }
        rig.driver.request(1, &[&numbers], &[]);
    }

    #[test]
    fn free_pages_are_released_whichever_queue_the_driver_takes() {
        for queue in REPORTING {
            let mut rig = rig(feature::PAGE_REPORTING);
            rig.driver.memory.write(0x80_0000, &[7; 0x4000]).unwrap();
            rig.driver
                .descriptor(queue, 0, 0x80_0000, 0x1000, WRITE | NEXT, 1);
            rig.driver.descriptor(queue, 1, 0x80_1800, 0x1801, WRITE, 0);
            rig.driver.make_available(queue, 0);
            rig.driver.kick(queue);
            rig.driver.wait_used(queue, 1);
            let bytes: Vec<u8> = (0..4)
                .map(|page| byte(&rig.driver, 0x80_0000 + page * PAGE))
                .collect();
            assert_eq!(bytes, [0, 7, 0, 7], "only whole pages");
        }
    }

    #[test]
    fn the_target_reaches_the_driver_and_its_answer_the_machine() {
        let mut rig = rig(0);
        rig.handle.set_target(64 << 20);
        assert_eq!(rig.driver.messages.wait().len(), 1);
        assert_eq!(u32::from_le_bytes(rig.driver.config(0)), 16384);
        rig.driver.write(0x2004, 4, 100);
        rig.news.recv().unwrap();
        assert_eq!(rig.handle.actual(), 409_600);
        assert_eq!(u32::from_le_bytes(rig.driver.config(4)), 100);
        rig.driver.write(0x14, 1, 0);
        assert_eq!(rig.handle.actual(), 0);
    }

    #[test]
    fn statistics_come_when_they_are_asked_for() {
        let mut rig = rig(feature::STATISTICS);
        let statistic =
            |tag: u16, value: u64| [&tag.to_le_bytes()[..], &value.to_le_bytes()].concat();
        let told = [statistic(4, 100), statistic(5, 200), statistic(999, 1)].concat();
        rig.driver.add(2, &[&told, b"odd"], &[]);
        rig.driver.kick(2);
        rig.news.recv().unwrap();
        let expected = MemoryStatistics {
            free: Some(100),
            total: Some(200),
            ..MemoryStatistics::default()
        };
        assert_eq!(rig.handle.statistics(), expected);
        assert!(rig.driver.used(2).is_empty());
        rig.handle.ask();
        rig.handle.ask();
        assert_eq!(rig.driver.wait_used(2, 1).len(), 1);
        rig.driver.add(2, &[&statistic(6, 50)], &[]);
        rig.driver.kick(2);
        rig.news.recv().unwrap();
        assert_eq!(rig.handle.statistics().available, Some(50));
    }
}
