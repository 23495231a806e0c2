//! A controller on a bench: drives with images in memory, and a processor that reads and writes ports.

#![expect(
    clippy::cast_possible_truncation,
    reason = "the tests take numbers apart whose size they know"
)]

mod bus_master;
mod disk;
mod faults;
mod firmware;
mod hostile;
mod packet;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::*;
use crate::bus::{InterruptLine, InterruptSink, PortDevice, Width};
use crate::disk::{Image, ImageError};
use crate::memory::{GuestMemory, MemoryRegion};
use crate::pci::PciFunction;
use crate::storage::test_drives::{Judge, MemoryImage, Meter};
use crate::storage::{DriveError, DriveGroup, FaultHandler, NewDrive, ReportFaults};

/// Counts the edges of the interrupt lines and keeps their levels.
#[derive(Default)]
pub(super) struct Lines {
    levels: [AtomicBool; 2],
    edges: [AtomicU64; 2],
}

impl InterruptSink for Lines {
    fn set_level(&self, input: u32, level: bool) {
        let input = (input & 1) as usize;
        if level && !self.levels[input].swap(true, Ordering::SeqCst) {
            self.edges[input].fetch_add(1, Ordering::SeqCst);
        } else if !level {
            self.levels[input].store(false, Ordering::SeqCst);
        }
    }
}

/// A processor in front of a controller.
pub(super) struct Bench {
    pub(super) controller: IdeController,
    pub(super) drives: IdeDrives,
    pub(super) memory: GuestMemory,
    lines: Arc<Lines>,
    /// A fault handler may wait for the test: the drives need not come to rest.
    judged: bool,
}

pub(super) const PRIMARY: u16 = 0x1f0;
pub(super) const SECONDARY: u16 = 0x170;
pub(super) const MEMORY: usize = 0x80_0000;

pub(super) fn disk(image: &Arc<MemoryImage>) -> Option<NewDrive> {
    Some(NewDrive::Disk {
        image: image.clone(),
        name: "hard disk 1".into(),
    })
}

pub(super) fn optical(image: Option<&Arc<MemoryImage>>) -> Option<NewDrive> {
    Some(NewDrive::Optical {
        medium: image.map(|image| image.clone() as Arc<dyn Image>),
        name: "optical drive 1".into(),
    })
}

impl Bench {
    pub(super) fn new(drives: [[Option<NewDrive>; 2]; 2]) -> Self {
        let mut bench = Self::with_faults(drives, Arc::new(ReportFaults));
        bench.judged = false;
        bench
    }

    pub(super) fn with_faults(
        drives: [[Option<NewDrive>; 2]; 2],
        faults: Arc<dyn FaultHandler>,
    ) -> Self {
        let lines = Arc::new(Lines::default());
        let region = MemoryRegion::new("test", MEMORY).unwrap();
        let memory = GuestMemory::new(vec![(0, region)]).unwrap();
        let controller = IdeController::new(
            [0, 1].map(|input| InterruptLine::new("ide", lines.clone(), input)),
            &memory,
            &faults,
            drives,
        )
        .unwrap();
        let drives = controller.drives();
        Self {
            controller,
            drives,
            memory,
            lines,
            judged: true,
        }
    }

    /// Waits until no drive has anything to do and no fault handler is asked.
    pub(super) fn rest(&self) {
        for channel in &self.drives.channels {
            while !channel.at_rest() {
                std::thread::yield_now();
            }
        }
    }

    /// One disk as the primary master.
    pub(super) fn with_disk(image: &Arc<MemoryImage>) -> Self {
        Self::new([[disk(image), None], [None, None]])
    }

    /// One optical drive as the secondary master.
    pub(super) fn with_optical(image: Option<&Arc<MemoryImage>>) -> Self {
        Self::new([[None, None], [optical(image), None]])
    }

    pub(super) fn inb(&mut self, port: u16) -> u8 {
        self.controller.read_port(port, Width::Byte).unwrap() as u8
    }

    pub(super) fn outb(&mut self, port: u16, value: u8) {
        self.controller
            .write_port(port, Width::Byte, u32::from(value))
            .unwrap();
    }

    pub(super) fn inw(&mut self, port: u16) -> u16 {
        self.controller.read_port(port, Width::Word).unwrap() as u16
    }

    pub(super) fn outw(&mut self, port: u16, value: u16) {
        self.controller
            .write_port(port, Width::Word, u32::from(value))
            .unwrap();
    }

    /// REP INSW of `length` bytes.
    pub(super) fn insw(&mut self, base: u16, length: usize) -> Vec<u8> {
        let mut data = vec![0; length];
        self.controller
            .read_port_string(base, Width::Word, &mut data);
        data
    }

    /// REP OUTSW.
    pub(super) fn outsw(&mut self, base: u16, data: &[u8]) {
        self.controller.write_port_string(base, Width::Word, data);
    }

    /// Whether the channel's line is high.
    pub(super) fn line(&self, base: u16) -> bool {
        self.lines.levels[usize::from(base == SECONDARY)].load(Ordering::SeqCst)
    }

    /// How often the channel has interrupted.
    pub(super) fn interrupts(&self, base: u16) -> u64 {
        self.lines.edges[usize::from(base == SECONDARY)].load(Ordering::SeqCst)
    }

    /// The status once the drives have come to rest; acknowledges the interrupt.
    pub(super) fn settle(&mut self, base: u16) -> u8 {
        if self.judged {
            self.drives.drain();
        } else {
            self.rest();
        }
        self.inb(base + 7)
    }

    /// Writes registers 1 to 6 and the command, and lets the drive work.
    pub(super) fn command(&mut self, base: u16, registers: [u8; 6], code: u8) -> u8 {
        for (register, value) in (1..).zip(registers) {
            self.outb(base + register, value);
        }
        self.outb(base + 7, code);
        self.settle(base)
    }

    /// A command with a 28-bit address.
    pub(super) fn lba28(&mut self, base: u16, code: u8, sector: u32, count: u8) -> u8 {
        let [low, middle, high, top] = sector.to_le_bytes();
        self.command(base, [0, count, low, middle, high, 0xe0 | top], code)
    }

    /// A command with a 48-bit address.
    pub(super) fn lba48(&mut self, base: u16, code: u8, sector: u64, count: u16) -> u8 {
        let [a, b, c, d, e, f, ..] = sector.to_le_bytes();
        let [count_low, count_high] = count.to_le_bytes();
        self.outb(base + 6, 0xe0);
        for (register, value) in [(2, count_high), (3, d), (4, e), (5, f)] {
            self.outb(base + register, value);
        }
        self.command(base, [0, count_low, a, b, c, 0xe0], code)
    }

    /// Sends a packet with a byte count limit; the data it answers (by PIO), the last status and the sense key.
    pub(super) fn packet(&mut self, base: u16, packet: &[u8], limit: u16) -> (Vec<u8>, u8) {
        let mut bytes = packet.to_vec();
        bytes.resize(12, 0);
        let [low, high] = limit.to_le_bytes();
        let device = self.inb(base + 6);
        let status = self.command(base, [0, 0, 0, low, high, device], 0xa0);
        assert_eq!(status, 0x58, "ready for the packet");
        assert_eq!(self.inb(base + 2) & 3, 1, "the packet is wanted");
        self.outsw(base, &bytes);
        let mut data = Vec::new();
        loop {
            let status = self.settle(base);
            if status & 0x08 == 0 {
                return (data, status);
            }
            assert_eq!(self.inb(base + 2) & 3, 2, "data for the host");
            let count = u16::from_le_bytes([self.inb(base + 4), self.inb(base + 5)]);
            let block = self.insw(base, usize::from(count).next_multiple_of(2));
            data.extend_from_slice(&block[..usize::from(count)]);
        }
    }

    /// Sends a packet that fails; the sense key, code and qualifier, which REQUEST SENSE must tell.
    pub(super) fn failing_packet(&mut self, base: u16, packet: &[u8]) -> (u8, u8, u8) {
        let (data, status) = self.packet(base, packet, 0xfffe);
        assert_eq!((data.len(), status & 1), (0, 1), "it should fail");
        let key = self.inb(base + 1) >> 4;
        let (sense, status) = self.packet(base, &[3, 0, 0, 0, 18], 0xfffe);
        assert_eq!((sense.len(), status), (18, 0x50));
        assert_eq!(sense[2], key);
        (sense[2], sense[12], sense[13])
    }

    /// Eats the unit attention of power-on.
    pub(super) fn attention(&mut self, base: u16) {
        assert_eq!(self.failing_packet(base, &[0]), (6, 0x29, 0));
    }

    pub(super) fn bus_master_read(&mut self, offset: u64) -> u8 {
        let mut data = [0];
        self.controller.read_window(4, offset, &mut data).unwrap();
        data[0]
    }

    pub(super) fn bus_master_write(&mut self, offset: u64, data: &[u8]) {
        self.controller.write_window(4, offset, data).unwrap();
    }
}
