//! A disk. Section 5.2.
//!
//! Each queue has a thread that takes the driver's requests; the disk's [`DiskQueue`] carries them out beside it, straight between
//! image and guest memory, and gives them back in the order in which they end.

mod config;
mod request;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::worker::Workers;
use super::{Activation, Chain, DeviceType, Interrupt, Queue, SharedQueue, VirtioDevice};
use crate::disk::queue::{DiskQueue, Method};
use crate::disk::{FaultHandler, Image};
use crate::storage::scsi::optical::Optical;
use crate::storage::{DriveError, DriveGroup, TrayObserver};

/// Feature bits. Section 5.2.3.
mod feature {
    pub const SEGMENTS_MAXIMUM: u64 = 1 << 2;
    pub const READ_ONLY: u64 = 1 << 5;
    pub const BLOCK_SIZE: u64 = 1 << 6;
    pub const FLUSH: u64 = 1 << 9;
    pub const TOPOLOGY: u64 = 1 << 10;
    pub const CONFIGURABLE_CACHE: u64 = 1 << 11;
    pub const QUEUES: u64 = 1 << 12;
    pub const DISCARD: u64 = 1 << 13;
    pub const WRITE_ZEROES: u64 = 1 << 14;
}

/// The unit of all sector numbers, whatever the block size.
const SECTOR: u64 = 512;
/// Descriptors in each queue. It bounds a request's segments: Linux reads and writes a mebibyte at a time, which are 256 segments
/// when no two pages lie together, and goes in two requests where there is no room for the header and the outcome beside them.
const QUEUE_SIZE: u16 = 512;
/// More queues than this help nobody.
const MOST_QUEUES: u16 = 16;
/// Bytes of the disk's name for its guest.
const SERIAL: usize = 20;

/// What the device, its queues' threads and the machine share.
struct Disk {
    image: Arc<dyn Image>,
    requests: DiskQueue,
    serial: [u8; SERIAL],
    /// Whether what is written may wait for a flush.
    write_back: AtomicBool,
    /// The way to the driver, while it is ready.
    interrupt: Mutex<Option<Interrupt>>,
}

/// A handle on a disk for whoever runs the machine.
#[derive(Clone)]
pub struct BlockHandle(Arc<Disk>);

impl DriveGroup for BlockHandle {
    fn with_optical(
        &self,
        _place: usize,
        _access: &mut dyn FnMut(&mut Optical),
    ) -> Result<(), DriveError> {
        Err(DriveError::NoOpticalDrive)
    }

    fn observe_trays(&self, _observer: TrayObserver) {}

    fn drain(&self) {
        self.0.requests.drain();
    }
}

impl BlockHandle {
    /// The image has another size now: tells the guest.
    pub fn resized(&self) {
        if let Some(interrupt) = &*self.0.interrupt.lock() {
            interrupt.configuration_changed();
        }
    }
}

/// The device.
pub struct Block {
    disk: Arc<Disk>,
    queues: u16,
    workers: Workers,
}

impl Block {
    /// A disk that holds `image`; `name` is what a person calls it ("hard disk 1"), `serial` what the guest does (20 bytes of it
    /// count). `queues` is how many queues it has, 1 to 16; as many as there are processors is best.
    ///
    /// # Errors
    /// When the host gives no thread.
    pub fn new(
        image: Arc<dyn Image>,
        name: String,
        serial: &str,
        queues: u16,
        faults: Arc<dyn FaultHandler>,
    ) -> io::Result<Self> {
        let method = Method::for_image(&*image);
        let mut bytes = [0; SERIAL];
        for (to, from) in bytes.iter_mut().zip(serial.bytes()) {
            *to = from;
        }
        Ok(Self {
            disk: Arc::new(Disk {
                requests: DiskQueue::new(name, faults, method)?,
                image,
                serial: bytes,
                write_back: AtomicBool::new(true),
                interrupt: Mutex::default(),
            }),
            queues: queues.clamp(1, MOST_QUEUES),
            workers: Workers::default(),
        })
    }

    /// A handle that goes on after the device was put into the machine.
    pub fn handle(&self) -> BlockHandle {
        BlockHandle(Arc::clone(&self.disk))
    }
}

impl VirtioDevice for Block {
    fn device_type(&self) -> DeviceType {
        DeviceType::Block
    }

    fn features(&self) -> u64 {
        let image = &self.disk.image;
        let features = image.features();
        let when = |condition: bool, bits| if condition { bits } else { 0 };
        feature::SEGMENTS_MAXIMUM
            | feature::BLOCK_SIZE
            | feature::TOPOLOGY
            | when(self.queues > 1, feature::QUEUES)
            | when(
                features.write_cache,
                feature::FLUSH | feature::CONFIGURABLE_CACHE,
            )
            | if image.read_only() {
                feature::READ_ONLY
            } else {
                feature::WRITE_ZEROES | when(features.discard, feature::DISCARD)
            }
    }

    fn queue_sizes(&self) -> Vec<u16> {
        vec![QUEUE_SIZE; usize::from(self.queues)]
    }

    fn read_config(&self, offset: u64, data: &mut [u8]) {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let config = self.config();
        for (to, from) in data.iter_mut().zip(config.iter().skip(start)) {
            *to = *from;
        }
    }

    fn write_config(&mut self, offset: u64, data: &[u8]) {
        if let (config::WRITE_BACK, &[value]) = (offset, data)
            && self.disk.image.features().write_cache
        {
            self.disk.write_back.store(value != 0, Ordering::Release);
        }
    }

    fn activate(&mut self, activation: Activation) -> io::Result<()> {
        // A driver that cannot flush must find on the disk whatever it has written.
        let write_back = activation.features & feature::FLUSH != 0;
        self.disk.write_back.store(write_back, Ordering::Release);
        *self.disk.interrupt.lock() = Some(activation.interrupt);
        for queue in activation.queues.into_iter().flatten() {
            let (disk, shared) = (Arc::clone(&self.disk), Arc::clone(&queue));
            self.workers.serve(
                "virtio-disk",
                queue,
                move |queue: &mut Queue, chain: Chain| {
                    disk.take(&shared, queue, chain);
                    true
                },
            )?;
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.disk.interrupt.lock().take();
        self.disk.requests.abandon();
        self.disk.write_back.store(true, Ordering::Release);
    }

    fn is_quiet(&self) -> bool {
        self.disk.requests.is_settled()
    }

    fn drain(&self) {
        self.disk.requests.drain();
    }
}

/// Where a request came from, and is to go back to.
type Origin = Arc<SharedQueue>;
