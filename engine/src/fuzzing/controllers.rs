//! The disk controllers, with a hard disk and a disc each.

use std::sync::Arc;

use super::guest::{Disk, OWN, access, memory};
use super::{Input, Script};
use crate::bus::{InterruptLine, PortDevice, Unconnected, Width};
use crate::memory::GuestMemory;
use crate::pci::PciFunction;
use crate::storage::ahci::AhciController;
use crate::storage::ide::IdeController;
use crate::storage::{DriveGroup, FaultHandler, NewDrive, ReportFaults};

const MEMORY: usize = 0x10_0000;

fn disk() -> Option<NewDrive> {
    Some(NewDrive::Disk {
        image: Disk::new(64 * 512, false),
        name: "hard disk 1".into(),
    })
}

fn disc() -> Option<NewDrive> {
    Some(NewDrive::Optical {
        medium: Some(Disk::new(32 * 2048, true)),
        name: "optical drive 1".into(),
    })
}

/// The codes of both targets: the drives come to rest; a medium goes out or in; the controller is reset.
const REST: u8 = OWN;
const MEDIUM: u8 = OWN + 1;
const RESET: u8 = OWN + 2;
const PORT: u8 = OWN + 3;
const TRANSFER: u8 = OWN + 4;

fn medium(drives: &dyn DriveGroup, place: usize, choice: u8) {
    let _ = match choice & 3 {
        0 => drives.eject(place, false).map(|_| ()),
        1 => drives.eject(place, true).map(|_| ()),
        _ => drives.insert(place, Disk::new(usize::from(choice) * 2048, true)),
    };
}

pub(super) fn ahci(data: &[u8]) {
    let mut input = Input::new(data);
    let memory = memory(MEMORY);
    let faults: Arc<dyn FaultHandler> = Arc::new(ReportFaults);
    let mut controller = AhciController::new(
        InterruptLine::unconnected("ahci"),
        &Unconnected,
        &memory,
        &faults,
        [disk(), disc(), None, None, None, None],
    )
    .unwrap();
    let drives = controller.drives();
    while let Some(code) = input.code() {
        match code % 8 {
            REST => drives.drain(),
            MEDIUM => {
                drives.drain();
                medium(&drives, 1, input.byte());
            }
            RESET => {
                controller.reset();
                drives.drain();
            }
            code => access(code, &mut input, &mut controller, &memory),
        }
    }
    drives.drain();
    // Whatever it was, the disk tells what it is when the controller was reset.
    controller.reset();
    drives.drain();
    let identify = command(started(0), 0, &frame(0xec, 0, 0), &[], &[(0x1_0000, 512)]).done();
    let mut input = Input::new(&identify);
    while let Some(code) = input.code() {
        match code {
            REST => drives.drain(),
            code => access(code, &mut input, &mut controller, &memory),
        }
    }
    let mut status = [0; 4];
    controller.read_window(5, 0x120, &mut status).unwrap();
    assert_eq!(u32::from_le_bytes(status), 0x50);
}

const LIST: u32 = 0x1000;
const FRAMES: u32 = 0x2000;
const TABLE: u32 = 0x3000;

/// As a driver starts port `number`.
fn started(number: u16) -> Script {
    let base = 0x100 + 0x80 * number;
    let mut script = Script::default().set(5, 4, 4, 0x8000_0002);
    for (register, value) in [
        (0, LIST),
        (8, FRAMES),
        (0x18, 0x10),
        (0x30, 0xffff_ffff),
        (0x10, 0xffff_ffff),
        (0x14, 0xffff_ffff),
        (0x18, 0x11),
    ] {
        script = script.set(5, base + register, 4, value.into());
    }
    script
}

/// A command in slot 0 of port `number`.
fn command(
    script: Script,
    number: u16,
    frame: &[u8],
    packet: &[u8],
    pieces: &[(u64, u32)],
) -> Script {
    let base = 0x100 + 0x80 * number;
    let flags = 5 | u32::from(!packet.is_empty()) << 5 | (pieces.len() as u32) << 16;
    let header = [flags.to_le_bytes(), [0; 4], TABLE.to_le_bytes(), [0; 4]].concat();
    let mut script = script.memory(LIST, &header).memory(TABLE, frame);
    if !packet.is_empty() {
        script = script.memory(TABLE + 0x40, packet);
    }
    for (at, (address, length)) in (TABLE + 0x80..).step_by(16).zip(pieces) {
        let piece = [
            address.to_le_bytes(),
            u64::from(length - 1).rotate_left(32).to_le_bytes(),
        ]
        .concat();
        script = script.memory(at, &piece);
    }
    script
        .set(5, base + 0x38, 4, 1)
        .code(REST)
        .get(5, base + 0x10, 4)
        .set(5, base + 0x10, 4, 0xffff_ffff)
}

fn frame(code: u8, address: u32, count: u16) -> [u8; 20] {
    let a = address.to_le_bytes();
    let mut frame = [0; 20];
    frame[..8].copy_from_slice(&[0x27, 0x80, code, 0, a[0], a[1], a[2], 0x40]);
    frame[8] = a[3];
    frame[12..14].copy_from_slice(&count.to_le_bytes());
    frame
}

/// Packets that drivers send to a CD/DVD drive.
const PACKETS: [[u8; 12]; 10] = [
    [0; 12],
    [3, 0, 0, 0, 18, 0, 0, 0, 0, 0, 0, 0],
    [0x12, 0, 0, 0, 36, 0, 0, 0, 0, 0, 0, 0],
    [0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    [0x28, 0, 0, 0, 0, 3, 0, 0, 2, 0, 0, 0],
    [0xbe, 4, 0, 0, 0, 16, 0, 0, 1, 0xf8, 0, 0],
    [0x43, 2, 0, 0, 0, 0, 0, 0, 12, 0, 0, 0],
    [0x46, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0],
    [0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8, 0, 0, 0],
    [0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 64, 0, 0, 0],
];

pub(super) fn ahci_seeds() -> Vec<Vec<u8>> {
    let pieces = [(0x1_0000, 512), (0x2_0000, 2048)];
    let mut disk = started(0);
    for (code, address, count) in [
        (0xec, 0, 0),
        (0x25, 8, 5),
        (0x35, 8, 5),
        (0xc8, 1, 1),
        (0xca, 1, 5),
        (0xea, 0, 0),
        (0xef, 0, 0),
        (0x06, 0, 1),
        (0x40, 60, 8),
    ] {
        disk = command(disk, 0, &frame(code, address, count), &[], &pieces);
    }
    let mut disc = started(1);
    disc = command(disc, 1, &frame(0xa1, 0, 0), &[], &pieces);
    for packet in PACKETS {
        disc = command(disc, 1, &frame(0xa0, 0, 0), &packet, &pieces);
    }
    let mut reset = command(started(0), 0, &frame(0x25, 0, 1), &[], &pieces[..1]);
    for (offset, value) in [(0x118, 0), (0x12c, 0x301), (0x12c, 0x300), (4, 0x8000_0001)] {
        reset = reset.set(5, offset, 4, value);
    }
    // Queued commands, whose tag is the number of their slot and whose count is in the features.
    let mut queued = started(0);
    for (code, address, count) in [
        (0x60, 8, 1),
        (0x61, 9, 5),
        (0x60, 1 << 20, 1),
        (0x2f, 0x10, 1),
    ] {
        let mut frame = frame(code, address, if code == 0x2f { count } else { 0 });
        frame[3] = u8::try_from(count).unwrap_or(0);
        queued = command(queued.set(5, 0x134, 4, 1), 0, &frame, &[], &pieces);
    }
    vec![
        queued.done(),
        disk.done(),
        disc.code(MEDIUM).byte(1).code(MEDIUM).byte(9).done(),
        reset.code(RESET).config(4, Width::Word, 6).done(),
    ]
}

pub(super) fn ide(data: &[u8]) {
    let mut input = Input::new(data);
    let memory: GuestMemory = memory(MEMORY);
    let mut controller = IdeController::new(
        [0, 1].map(|_| InterruptLine::unconnected("ide")),
        &memory,
        &(Arc::new(ReportFaults) as _),
        [[disk(), disc()], [None, None]],
    )
    .unwrap();
    let drives = controller.drives();
    let ports = IdeController::PORTS.map(|range| *range.start());
    while let Some(code) = input.code() {
        let number = code % 16;
        match number {
            REST => drives.drain(),
            MEDIUM => {
                drives.drain();
                medium(&drives, 1, input.byte());
            }
            RESET => controller.reset(),
            PORT | 10..=15 => {
                let place = input.byte();
                let port = ports[usize::from(place >> 6)] + u16::from(place & 7);
                let width = Width::ALL[usize::from(place >> 3 & 7) % 3];
                if code & 0x80 == 0 {
                    let _ = controller.write_port(port, width, input.word().into());
                } else {
                    let _ = controller.read_port(port, width);
                }
            }
            TRANSFER => {
                let port = ports[usize::from(code >> 6 & 2)];
                let width = Width::ALL[usize::from(code >> 4) % 3];
                if code & 0x40 == 0 {
                    controller.write_port_string(port, width, input.piece());
                } else {
                    let mut data = vec![0; usize::from(input.word()) % 9000];
                    controller.read_port_string(port, width, &mut data);
                }
            }
            code => access(code, &mut input, &mut controller, &memory),
        }
    }
    drives.drain();
    // Whatever it was, the disk tells what it is when the channel was reset.
    for (port, value) in [(0x3f6, 4), (0x3f6, 0), (0x1f6, 0xa0), (0x1f7, 0xec)] {
        let _ = controller.write_port(port, Width::Byte, value);
        drives.drain();
    }
    assert_eq!(controller.read_port(0x1f7, Width::Byte), Ok(0x58));
}

pub(super) fn ide_seeds() -> Vec<Vec<u8>> {
    let out = |script: Script, register: u8, value: u8| {
        script.code(PORT).byte(register).word(value.into())
    };
    let registers = |mut script: Script, values: [u8; 7]| {
        for (register, value) in (1..).zip(values) {
            script = out(script, register, value);
        }
        script.code(REST)
    };
    let read = |script: Script, length: u16| {
        script
            .code(TRANSFER | 0x50)
            .word(length)
            .code(0x80 | PORT)
            .byte(7)
    };
    let write = |script: Script, data: &[u8]| script.code(TRANSFER | 0x10).piece(data).code(REST);
    let mut disk = Script::default();
    for values in [
        [0, 0, 0, 0, 0, 0xa0, 0xec],
        [0, 2, 3, 0, 0, 0xe0, 0x20],
        [0, 4, 3, 0, 0, 0xe0, 0xc4],
        [0, 1, 1, 0, 0, 0xa0, 0x20],
        [3, 0x42, 0, 0, 0, 0xa0, 0xef],
        [0, 16, 0, 0, 0, 0xa0, 0xc6],
    ] {
        disk = read(registers(disk, values), 1024);
    }
    disk = registers(disk, [0, 1, 5, 0, 0, 0xe0, 0x30]);
    disk = write(write(write(disk, &[1; 200]), &[2; 200]), &[3; 112]);
    disk = registers(disk, [0, 0, 0, 0, 0, 0xe0, 0xe7]);
    // By the bus master.
    let mut dma = Script::default();
    for (direction, command) in [(8, 0xc8), (0, 0xca), (8, 0x25)] {
        dma = dma.memory(0x1000, &[0, 0, 1, 0, 0, 2, 0, 0, 0, 0, 2, 0, 0, 2, 0, 0x80]);
        dma = dma
            .set(4, 4, 4, 0x1000)
            .set(4, 2, 1, 6)
            .set(4, 0, 1, direction);
        dma = registers(dma, [0, 2, 0, 0, 0, 0xe0, command]);
        dma = dma
            .set(4, 0, 1, direction | 1)
            .code(REST)
            .get(4, 2, 1)
            .set(4, 0, 1, 0);
    }
    let mut disc = registers(Script::default(), [0, 0, 0, 0, 0, 0xb0, 0xa1]);
    disc = read(disc, 512);
    for packet in PACKETS {
        disc = registers(disc, [0, 0, 0, 0, 8, 0xb0, 0xa0]);
        disc = read(write(disc, &packet), 2048);
    }
    vec![
        disk.done(),
        dma.code(RESET).done(),
        disc.code(MEDIUM).byte(1).code(MEDIUM).byte(9).done(),
    ]
}
