//! A controller on a bench: drives with images in memory, and a driver that issues commands.

#![expect(
    clippy::cast_possible_truncation,
    reason = "the tests take numbers apart whose size they know"
)]

mod disk;
mod hostile;
mod optical;
mod queued;

use std::sync::Arc;

use super::registers::{host, port};
use super::*;
use crate::bus::{InterruptLine, MessageRecorder, Recorder};
use crate::memory::{GuestMemory, MemoryRegion};
use crate::pci::PciFunction;
use crate::storage::test_drives::{Judge, MemoryImage, Meter};
use crate::storage::{DriveError, DriveGroup, FaultHandler, NewDrive, ReportFaults, Verdict};

const WINDOW: u8 = 5;
const MEMORY: usize = 0x40_0000;
const LIST: u64 = 0x1000;
const FRAMES: u64 = 0x2000;
const TABLE: u64 = 0x3000;
const DATA: u64 = 0x10_0000;

struct Bench {
    controller: AhciController,
    drives: AhciDrives,
    memory: GuestMemory,
    line: Arc<Recorder>,
    messages: MessageRecorder,
}

fn disk(image: &Arc<MemoryImage>) -> Option<NewDrive> {
    Some(NewDrive::Disk {
        image: image.clone(),
        name: "hard disk 1".into(),
    })
}

fn optical(image: Option<&Arc<MemoryImage>>) -> Option<NewDrive> {
    Some(NewDrive::Optical {
        medium: image.map(|image| image.clone() as _),
        name: "optical drive 1".into(),
    })
}

/// A frame of command `code` with a 48-bit address and count.
fn frame(code: u8, address: u64, count: u16) -> [u8; 20] {
    let a = address.to_le_bytes();
    let c = count.to_le_bytes();
    let mut frame = [0; 20];
    frame[..4].copy_from_slice(&[0x27, 0x80, code, 0]);
    frame[4..8].copy_from_slice(&[a[0], a[1], a[2], 0x40]);
    frame[8..12].copy_from_slice(&[a[3], a[4], a[5], 0]);
    frame[12..14].copy_from_slice(&c);
    frame
}

impl Bench {
    /// A disk or an optical drive on port 0, nothing elsewhere.
    fn new(drive: Option<NewDrive>) -> Self {
        Self::with_faults(drive, Arc::new(ReportFaults))
    }

    fn with_faults(drive: Option<NewDrive>, faults: Arc<dyn FaultHandler>) -> Self {
        let line = Arc::new(Recorder::default());
        let messages = MessageRecorder::default();
        let memory =
            GuestMemory::new(vec![(0, MemoryRegion::new("main memory", MEMORY).unwrap())]).unwrap();
        let mut drives: [Option<NewDrive>; PORTS] = Default::default();
        drives[0] = drive;
        let controller = AhciController::new(
            InterruptLine::new("ahci", line.clone(), 0),
            &messages,
            &memory,
            &faults,
            drives,
        )
        .unwrap();
        let mut bench = Self {
            drives: controller.drives(),
            controller,
            memory,
            line,
            messages,
        };
        bench.start();
        bench
    }

    fn read(&mut self, offset: u64) -> u32 {
        let mut data = [0; 4];
        self.controller
            .read_window(WINDOW, offset, &mut data)
            .unwrap();
        u32::from_le_bytes(data)
    }

    fn write(&mut self, offset: u64, value: u32) {
        self.controller
            .write_window(WINDOW, offset, &value.to_le_bytes())
            .unwrap();
    }

    fn port(&mut self, register: u64) -> u32 {
        self.read(0x100 + register)
    }

    fn set_port(&mut self, register: u64, value: u32) {
        self.write(0x100 + register, value);
    }

    /// As a driver starts a port.
    fn start(&mut self) {
        self.write(host::CONTROL, host::INTERRUPT_ENABLE);
        self.set_port(port::COMMAND_LIST, LIST as u32);
        self.set_port(port::RECEIVED, FRAMES as u32);
        self.set_port(port::COMMAND, 0x10);
        self.set_port(port::ERROR, 0xffff_ffff);
        self.set_port(port::INTERRUPT_STATUS, 0xffff_ffff);
        self.set_port(port::INTERRUPT_ENABLE, 0xffff_ffff);
        self.set_port(port::COMMAND, 0x11);
        self.write(host::INTERRUPT_STATUS, 0xffff_ffff);
    }

    /// Puts a command into slot 0: `descriptors` of address and length.
    fn prepare(&self, frame: &[u8], packet: Option<&[u8]>, descriptors: &[(u64, u32)]) {
        let flags = 5 | u32::from(packet.is_some()) << 5;
        let header = [
            (flags | (descriptors.len() as u32) << 16).to_le_bytes(),
            [0; 4],
            (TABLE as u32).to_le_bytes(),
            [0; 4],
        ];
        self.memory.write(LIST, &header.concat()).unwrap();
        self.memory.write(TABLE, frame).unwrap();
        if let Some(packet) = packet {
            self.memory.write(TABLE + 0x40, packet).unwrap();
        }
        for (number, (address, length)) in (0..).zip(descriptors) {
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&address.to_le_bytes());
            bytes[12..].copy_from_slice(&(length - 1).to_le_bytes());
            self.memory
                .write(TABLE + 0x80 + 16 * number, &bytes)
                .unwrap();
        }
    }

    /// Puts a command into `slot`, with a table of its own.
    fn prepare_slot(&self, slot: u64, frame: &[u8], descriptors: &[(u64, u32)]) {
        self.prepare(frame, None, descriptors);
        let table = 0x4000 + slot * 0x100;
        let mut header = self.bytes(LIST, 32);
        header[8..12].copy_from_slice(&(table as u32).to_le_bytes());
        self.memory.write(LIST + 32 * slot, &header).unwrap();
        let content = self.bytes(TABLE, 0x100);
        self.memory.write(table, &content).unwrap();
    }

    fn wait(&mut self) {
        self.drives.drain();
    }

    /// Issues slot 0 and waits for its end; the task file register then.
    fn issue(&mut self) -> u32 {
        self.set_port(port::ISSUE, 1);
        self.wait();
        self.port(port::TASK_FILE)
    }

    fn run(&mut self, frame: &[u8], descriptors: &[(u64, u32)]) -> u32 {
        self.prepare(frame, None, descriptors);
        self.issue()
    }

    fn run_packet(&mut self, packet: &[u8], descriptors: &[(u64, u32)]) -> u32 {
        let mut packet = packet.to_vec();
        packet.resize(16, 0);
        self.prepare(&frame(0xa0, 0, 0), Some(&packet), descriptors);
        self.issue()
    }

    /// As a driver does after an error.
    fn restart(&mut self) {
        self.set_port(port::COMMAND, 0x10);
        assert_eq!(self.port(port::COMMAND) & 0x8000, 0);
        self.set_port(port::INTERRUPT_STATUS, 0xffff_ffff);
        self.write(host::INTERRUPT_STATUS, 0xffff_ffff);
        self.set_port(port::COMMAND, 0x11);
    }

    fn bytes(&self, address: u64, length: usize) -> Vec<u8> {
        let mut data = vec![0; length];
        self.memory.read(address, &mut data).unwrap();
        data
    }

    /// How many bytes the header of slot 0 says were moved.
    fn moved(&self) -> u32 {
        u32::from_le_bytes(self.bytes(LIST + 4, 4).try_into().unwrap())
    }
}
