//! A driver for the tests of devices: drives a device through its registers and rings, as a guest does.

use std::sync::Arc;

use super::{Connections, VirtioDevice, VirtioPci, feature};
use crate::bus::{InterruptLine, MessageRecorder, Recorder, Unconnected, Width};
use crate::memory::{GuestMemory, MemoryRegion};
use crate::pci::PciFunction;

/// What the driver's memory is, in bytes.
pub(crate) const MEMORY: usize = 16 << 20;
/// Where each queue's rings are: 64 KiB a queue.
const RINGS: u64 = 0x1_0000;
const AVAILABLE: u64 = 0x8000;
const USED: u64 = 0xc000;
/// Where buffers begin.
const BUFFERS: u64 = 0x40_0000;

pub(crate) const WRITE: u16 = 2;
pub(crate) const NEXT: u16 = 1;
pub(crate) const INDIRECT: u16 = 4;

/// A device function with a driver at it.
pub(crate) struct Driver {
    pub memory: GuestMemory,
    pub function: VirtioPci,
    pub messages: MessageRecorder,
    pub line: Arc<Recorder>,
    pub features: u64,
    queues: Vec<Rings>,
    next_buffer: u64,
}

struct Rings {
    size: u16,
    available: u16,
    /// What was available when it was decided last whether to ring.
    told: u16,
    used: u16,
    next: u16,
    /// Of each descriptor that heads a chain, the buffers to write.
    room: Vec<Vec<(u64, u32)>>,
}

/// A chain that came back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Used {
    pub head: u16,
    pub written: u32,
    /// All the room of the chain.
    pub data: Vec<u8>,
}

impl Driver {
    /// A driver for `device`, which has not touched it yet.
    pub fn new(device: impl VirtioDevice + 'static) -> Self {
        let region = MemoryRegion::new("test", MEMORY).unwrap();
        Self::with_memory(device, GuestMemory::new(vec![(0, region)]).unwrap())
    }

    pub fn with_memory(device: impl VirtioDevice + 'static, memory: GuestMemory) -> Self {
        let (messages, line) = (MessageRecorder::default(), Arc::new(Recorder::default()));
        let function = VirtioPci::new(
            Box::new(device),
            Connections {
                line: InterruptLine::new("test", line.clone(), 11),
                messages: Arc::new(messages.clone()),
                doorbells: Arc::new(Unconnected),
                memory: memory.clone(),
            },
        )
        .unwrap();
        Self {
            memory,
            function,
            messages,
            line,
            features: 0,
            queues: Vec::new(),
            next_buffer: BUFFERS,
        }
    }

    pub fn read(&mut self, offset: u64, length: usize) -> u64 {
        let mut data = [0; 8];
        self.function
            .read_window(4, offset, &mut data[..length])
            .unwrap();
        u64::from_le_bytes(data)
    }

    pub fn write(&mut self, offset: u64, length: usize, value: u64) {
        self.function
            .write_window(4, offset, &value.to_le_bytes()[..length])
            .unwrap();
    }

    pub fn status(&mut self) -> u8 {
        u8::try_from(self.read(0x14, 1)).unwrap()
    }

    /// Reads `N` bytes of the device's configuration.
    pub fn config<const N: usize>(&mut self, offset: u64) -> [u8; N] {
        let mut data = [0; N];
        for (byte, at) in data.iter_mut().zip(offset..) {
            *byte = u8::try_from(self.read(0x2000 + at, 1)).unwrap();
        }
        data
    }

    pub fn offered(&mut self) -> u64 {
        self.write(0, 4, 0);
        let low = self.read(4, 4);
        self.write(0, 4, 1);
        low | self.read(4, 4) << 32
    }

    /// Everything up to FEATURES_OK; returns whether the device took the features.
    pub fn negotiate(&mut self, features: u64) -> bool {
        self.write(0x14, 1, 0);
        self.write(0x14, 1, 1);
        self.write(0x14, 1, 3);
        for half in 0..2 {
            self.write(8, 4, half);
            self.write(0xc, 4, features >> (32 * half) & 0xffff_ffff);
        }
        self.write(0x14, 1, 0xb);
        self.features = features;
        self.status() & 8 != 0
    }

    /// Enables messages: vector 0 for the configuration, 1 and up for the queues; the data is the vector's number.
    pub fn enable_messages(&mut self) {
        let control = u8::try_from(self.function.read_config(0x34, Width::Byte)).unwrap() + 2;
        let vectors = (self.function.read_config(control, Width::Word) & 0x7ff) + 1;
        for vector in 0..u64::from(vectors) {
            for (at, value) in [(0, 0xfee0_0000), (4, 0), (8, vector), (12, 0)] {
                let value = u32::try_from(value).unwrap();
                self.function
                    .write_window(1, vector * 16 + at, &value.to_le_bytes())
                    .unwrap();
            }
        }
        self.function.write_config(control, Width::Word, 0x8000);
        self.write(0x10, 2, 0);
    }

    /// Puts queue `number` at its place and enables it.
    pub fn enable_queue(&mut self, number: u16, size: Option<u16>) {
        self.write(0x16, 2, number.into());
        let size = size.unwrap_or_else(|| u16::try_from(self.read(0x18, 2)).unwrap());
        self.write(0x18, 2, size.into());
        self.write(0x1a, 2, u64::from(number) + 1);
        let base = RINGS * (u64::from(number) + 1);
        self.memory
            .write(base, &vec![0; usize::try_from(RINGS).unwrap()])
            .unwrap();
        self.write(0x20, 8, base);
        self.write(0x28, 8, base + AVAILABLE);
        self.write(0x30, 4, base + USED);
        self.write(0x34, 4, 0);
        self.write(0x1c, 2, 1);
        let rings = Rings {
            size,
            available: 0,
            told: 0,
            used: 0,
            next: 0,
            room: vec![Vec::new(); usize::from(size)],
        };
        let number = usize::from(number);
        if self.queues.len() == number {
            self.queues.push(rings);
        } else {
            self.queues[number] = rings;
        }
    }

    /// Brings the device up with `features` and the modern interface, messages, and all queues.
    pub fn start(&mut self, features: u64) {
        assert!(
            self.negotiate(features | feature::VERSION_1),
            "refused the features"
        );
        self.enable_messages();
        let queues = u16::try_from(self.read(0x12, 2)).unwrap();
        self.queues.clear();
        for number in 0..queues {
            self.enable_queue(number, None);
        }
        self.write(0x14, 1, 0xf);
        assert_eq!(self.status(), 0xf);
    }

    /// Where the next `length` bytes of buffers are; they come round again.
    pub fn buffer(&mut self, length: usize) -> u64 {
        let length = (length as u64).next_multiple_of(16);
        if self.next_buffer + length > MEMORY as u64 {
            self.next_buffer = BUFFERS;
        }
        self.next_buffer += length;
        self.next_buffer - length
    }

    /// Writes descriptor `index` of queue `queue`.
    pub fn descriptor(
        &self,
        queue: usize,
        index: u16,
        address: u64,
        length: u32,
        flags: u16,
        next: u16,
    ) {
        let at = RINGS * (queue as u64 + 1) + 16 * u64::from(index);
        self.memory
            .write(at, &descriptor(address, length, flags, next))
            .unwrap();
    }

    /// Where the first buffer of the chain that `head` heads is.
    pub fn first_buffer(&self, queue: usize, head: u16) -> u64 {
        let mut address = [0; 8];
        let at = RINGS * (queue as u64 + 1) + 16 * u64::from(head);
        self.memory.read(at, &mut address).unwrap();
        u64::from_le_bytes(address)
    }

    /// Puts `head` into the available ring.
    pub fn make_available(&mut self, queue: usize, head: u16) {
        let rings = &mut self.queues[queue];
        let base = RINGS * (queue as u64 + 1) + AVAILABLE;
        let at = base + 4 + 2 * u64::from(rings.available % rings.size);
        rings.available = rings.available.wrapping_add(1);
        let index = rings.available.to_le_bytes();
        self.memory.write(at, &head.to_le_bytes()).unwrap();
        std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
        self.memory.write(base + 2, &index).unwrap();
    }

    /// Makes a chain available: the parts to read, and the lengths of those to write. Does not ring.
    pub fn add(&mut self, queue: usize, readable: &[&[u8]], writable: &[u32]) -> u16 {
        let mut pieces: Vec<(u64, u32, u16)> = Vec::new();
        for part in readable {
            let at = self.buffer(part.len());
            self.memory.write(at, part).unwrap();
            pieces.push((at, u32::try_from(part.len()).unwrap(), 0));
        }
        for length in writable {
            let at = self.buffer(*length as usize);
            self.memory.write(at, &vec![0; *length as usize]).unwrap();
            pieces.push((at, *length, WRITE));
        }
        let size = self.queues[queue].size;
        let head = self.queues[queue].next;
        for (number, (at, length, flags)) in pieces.iter().enumerate() {
            let index = self.queues[queue].next;
            let next = (index + 1) % size;
            let more = if number + 1 == pieces.len() { 0 } else { NEXT };
            self.descriptor(queue, index, *at, *length, flags | more, next);
            self.queues[queue].next = next;
        }
        self.queues[queue].room[usize::from(head)] = pieces
            .iter()
            .filter(|(.., flags)| *flags == WRITE)
            .map(|(at, length, _)| (*at, *length))
            .collect();
        self.make_available(queue, head);
        head
    }

    /// Rings the doorbell of `queue` if the device wants to hear of what was made available since the last time.
    pub fn kick(&mut self, queue: usize) {
        if self.features & feature::EVENT_INDEX == 0 || self.is_wanted(queue) {
            self.write(0x3000 + 4 * queue as u64, 2, queue as u64);
        }
    }

    /// By the event index, whether the device wants to hear. Section 2.7.7.2.
    fn is_wanted(&mut self, queue: usize) -> bool {
        std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
        let Some(rings) = self.queues.get_mut(queue) else {
            return true;
        };
        let new = rings.available;
        let old = std::mem::replace(&mut rings.told, new);
        let mut event = [0; 2];
        let at = RINGS * (queue as u64 + 1) + USED + 4 + 8 * u64::from(rings.size);
        self.memory.read(at, &mut event).unwrap();
        let passed = new.wrapping_sub(u16::from_le_bytes(event)).wrapping_sub(1);
        new == old || passed < new.wrapping_sub(old)
    }

    /// What has come back in `queue` since the last call.
    pub fn used(&mut self, queue: usize) -> Vec<Used> {
        let base = RINGS * (queue as u64 + 1) + USED;
        let available = RINGS * (queue as u64 + 1) + AVAILABLE;
        let mut found = Vec::new();
        loop {
            let mut index = [0; 2];
            self.memory.read(base + 2, &mut index).unwrap();
            if self.queues[queue].used == u16::from_le_bytes(index) {
                break;
            }
            let rings = &mut self.queues[queue];
            let mut element = [0; 8];
            let at = base + 4 + 8 * u64::from(rings.used % rings.size);
            self.memory.read(at, &mut element).unwrap();
            rings.used = rings.used.wrapping_add(1);
            let head = u16::from_le_bytes([element[0], element[1]]);
            let mut data = Vec::new();
            for (at, length) in &rings.room[usize::from(head)] {
                let mut part = vec![0; *length as usize];
                self.memory.read(*at, &mut part).unwrap();
                data.extend(part);
            }
            let written = u32::from_le_bytes([element[4], element[5], element[6], element[7]]);
            found.push(Used {
                head,
                written,
                data,
            });
            // With the event index, the next one used is to be told; one may be used already.
            let event = self.queues[queue].used.to_le_bytes();
            let at = available + 4 + 2 * u64::from(self.queues[queue].size);
            self.memory.write(at, &event).unwrap();
            std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
        }
        found
    }

    /// Waits until `count` chains have come back in `queue`.
    pub fn wait_used(&mut self, queue: usize, count: usize) -> Vec<Used> {
        let mut found = self.used(queue);
        while found.len() < count {
            self.messages.wait();
            found.extend(self.used(queue));
        }
        found
    }

    /// Makes one chain available, and waits until it comes back.
    pub fn request(&mut self, queue: usize, readable: &[&[u8]], writable: &[u32]) -> Used {
        let head = self.add(queue, readable, writable);
        self.kick(queue);
        let mut used = self.wait_used(queue, 1);
        assert_eq!(used.len(), 1);
        let used = used.remove(0);
        assert_eq!(used.head, head);
        used
    }

    /// Waits until the device says that it needs a reset.
    pub fn wait_needs_reset(&mut self) {
        while self.status() & 0x40 == 0 {
            self.messages.wait();
        }
    }
}

/// A descriptor's 16 bytes.
pub(crate) fn descriptor(address: u64, length: u32, flags: u16, next: u16) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&address.to_le_bytes());
    bytes[8..12].copy_from_slice(&length.to_le_bytes());
    bytes[12..14].copy_from_slice(&flags.to_le_bytes());
    bytes[14..].copy_from_slice(&next.to_le_bytes());
    bytes
}
