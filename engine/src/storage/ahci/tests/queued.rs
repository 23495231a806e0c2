//! Native command queueing.

use std::path::Path;

use parking_lot::{Condvar, Mutex};

use super::*;
use crate::disk::{Image, ImageError};

const SECTORS: u32 = 4096;
const READ: u8 = 0x60;
const WRITE: u8 = 0x61;
/// The error log of queued commands.
const LOG: u64 = 0x10;
/// Where the last Set Device Bits was received.
const DEVICE_BITS: u64 = FRAMES + 0x58;

fn bench() -> (Arc<MemoryImage>, Bench) {
    let image = Arc::new(MemoryImage::numbered(SECTORS * 512));
    let bench = Bench::new(disk(&image));
    (image, bench)
}

/// A frame of a queued command: the count is in the features, the tag in the count.
fn queued(code: u8, tag: u8, address: u64, count: u16) -> [u8; 20] {
    let mut frame = frame(code, address, u16::from(tag) << 3);
    let [low, high] = count.to_le_bytes();
    frame[3] = low;
    frame[11] = high;
    frame
}

/// As a driver issues commands of a queue.
fn issue(bench: &mut Bench, slots: u32) {
    bench.set_port(port::ACTIVE, slots);
    bench.set_port(port::ISSUE, slots);
}

/// Reads the log and starts the port anew, as a driver does after an error.
fn recover(bench: &mut Bench) -> Vec<u8> {
    bench.restart();
    assert_eq!(bench.port(port::ACTIVE), 0);
    assert_eq!(bench.run(&frame(0x2f, LOG, 1), &[(DATA, 512)]), 0x50);
    let log = bench.bytes(DATA, 512);
    let sum = log.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    assert_eq!(sum, 0);
    log
}

#[test]
fn the_controller_and_the_disk_say_that_they_queue() {
    let (_, mut bench) = bench();
    assert_eq!(bench.read(host::CAPABILITIES) >> 30 & 1, 1);
    assert_eq!(bench.run(&frame(0xec, 0, 0), &[(DATA, 512)]), 0x50);
    let words = bench.bytes(DATA, 512);
    let word = |at: usize| u16::from_le_bytes([words[2 * at], words[2 * at + 1]]);
    assert_eq!((word(75), word(76) & 0x100, word(93)), (31, 0x100, 0));
    assert_eq!((word(84) & 0xc020, word(87) & 0xc020), (0x4020, 0x4020));
    // Which logs there are, and that nothing has failed.
    assert_eq!(bench.run(&frame(0x2f, 0, 1), &[(DATA, 512)]), 0x50);
    let directory = bench.bytes(DATA, 512);
    assert_eq!(directory.iter().filter(|byte| **byte != 0).count(), 2);
    assert_eq!((directory[0], directory[0x20]), (1, 1));
    assert_eq!(recover(&mut bench)[0], 0x80);
    for (log, count) in [(0x10, 2), (0x30, 1), (0x110, 1), (0x10, 0)] {
        assert_eq!(bench.run(&frame(0x2f, log, count), &[(DATA, 512)]), 0x0441);
        bench.restart();
    }
}

#[test]
fn all_slots_go_at_once() {
    let (image, mut bench) = bench();
    for slot in (0..32_u64).rev() {
        // Every other one writes, to the second half of the disk.
        let (code, address) = match slot % 2 {
            0 => (READ, slot * 3),
            _ => (WRITE, u64::from(SECTORS) / 2 + slot * 3),
        };
        let place = DATA + slot * 0x1000;
        bench.memory.write(place, &[slot as u8; 1536]).unwrap();
        let frame = queued(code, slot as u8, address, 3);
        bench.prepare_slot(slot, &frame, &[(place, 512), (place + 512, 1024)]);
    }
    issue(&mut bench, u32::MAX);
    bench.wait();
    assert_eq!((bench.port(port::ISSUE), bench.port(port::ACTIVE)), (0, 0));
    assert_eq!(bench.port(port::TASK_FILE) & 0xff, 0x50);
    assert_eq!(bench.port(port::INTERRUPT_STATUS), 1 << 3);
    assert!(bench.line.level(0));
    let received = bench.bytes(DEVICE_BITS, 8);
    assert_eq!(received[..4], [0xa1, 0x40, 0x50, 0]);
    let ended = u32::from_le_bytes(received[4..].try_into().unwrap());
    assert_eq!(ended.count_ones(), 1, "the last of them");
    let data = image.data.lock();
    for slot in 0..32_u64 {
        let memory = bench.bytes(DATA + slot * 0x1000, 1536);
        let address = slot as usize * 3
            + if slot % 2 == 0 {
                0
            } else {
                SECTORS as usize / 2
            };
        assert!(memory == data[address * 512..][..1536], "{slot}");
    }
}

/// An image whose requests wait until the test lets them go, each by its first sector.
#[derive(Default)]
struct Gates {
    waiting: Mutex<Vec<u64>>,
    open: Mutex<Vec<u64>>,
    changed: Condvar,
}

impl Gates {
    fn pass(&self, offset: u64) {
        self.waiting.lock().push(offset / 512);
        let mut open = self.open.lock();
        while !open.contains(&(offset / 512)) {
            self.changed.wait(&mut open);
        }
    }

    fn let_go(&self, sector: u64) {
        self.open.lock().push(sector);
        self.changed.notify_all();
    }
}

impl Image for Gates {
    fn size(&self) -> u64 {
        1 << 20
    }
    fn read_only(&self) -> bool {
        false
    }
    fn file(&self) -> &Path {
        Path::new("gates")
    }
    fn read_at(&self, offset: u64, data: &mut [u8]) -> Result<(), ImageError> {
        self.pass(offset);
        data.fill(1);
        Ok(())
    }
    fn write_at(&self, offset: u64, _data: &[u8]) -> Result<(), ImageError> {
        self.pass(offset);
        Ok(())
    }
    fn flush(&self) -> Result<(), ImageError> {
        Ok(())
    }
}

/// A disk whose requests wait.
fn gated() -> (Arc<Gates>, Bench) {
    let image = Arc::new(Gates::default());
    let bench = Bench::new(Some(NewDrive::Disk {
        image: image.clone(),
        name: "hard disk 1".into(),
    }));
    (image, bench)
}

fn until(mut what: impl FnMut() -> bool) {
    while !what() {
        std::thread::yield_now();
    }
}

#[test]
fn commands_end_in_any_order_and_others_wait_for_them() {
    let (image, mut bench) = gated();
    for slot in (1..4_u64).rev() {
        bench.prepare_slot(slot, &queued(READ, slot as u8, slot, 1), &[(DATA, 512)]);
    }
    issue(&mut bench, 0b1110);
    until(|| image.waiting.lock().len() == 3);
    assert_eq!(
        (bench.port(port::ISSUE), bench.port(port::ACTIVE)),
        (0, 0b1110)
    );
    // FLUSH CACHE EXT is no command of the queue's.
    bench.prepare_slot(0, &frame(0xea, 0, 0), &[]);
    bench.set_port(port::ISSUE, 1);
    for (sector, left) in [(3, 0b0110), (1, 0b0100)] {
        image.let_go(sector);
        until(|| bench.port(port::ACTIVE) == left);
        assert_eq!(bench.port(port::ISSUE), 1);
        assert_eq!(bench.bytes(DEVICE_BITS, 8)[4], 1 << sector);
    }
    image.let_go(2);
    until(|| bench.port(port::ISSUE) == 0);
    assert_eq!(bench.port(port::ACTIVE), 0);
}

#[test]
fn the_log_says_which_command_failed() {
    let (image, mut bench) = bench();
    // What is wrong, its frame, its memory, and the error.
    for (what, frame, pieces, code) in [
        ("beyond the end", queued(READ, 5, 0x0100_0000, 1), 1, 0x10),
        ("65,536 sectors", queued(WRITE, 5, 0, 0), 1, 0x10),
        ("another's tag", queued(READ, 6, 0, 1), 1, 0x04),
        ("too little memory", queued(READ, 5, 0, 4), 1, 0x04),
        ("no memory", queued(WRITE, 5, 0, 1), 0, 0x04),
    ] {
        bench.prepare_slot(5, &frame, &[(DATA, 512)][..pieces]);
        issue(&mut bench, 1 << 5);
        bench.wait();
        let (status, active) = (bench.port(port::TASK_FILE), bench.port(port::ACTIVE));
        assert_eq!(
            (status, active),
            (u32::from(code) << 8 | 0x41, 1 << 5),
            "{what}"
        );
        let interrupts = bench.port(port::INTERRUPT_STATUS);
        assert_eq!(interrupts & (1 << 30 | 1 << 3), 1 << 30 | 1 << 3, "{what}");
        let log = recover(&mut bench);
        assert_eq!((log[0], log[2], log[3]), (5, 0x41, code), "{what}");
        assert_eq!(recover(&mut bench)[0], 0x80, "it is told once");
    }
    // The image fails in the middle: which sector is in the log, and what has not ended stays.
    image.full.store(true, std::sync::atomic::Ordering::SeqCst);
    bench.prepare_slot(7, &queued(WRITE, 7, 0x123, 1), &[(DATA, 512)]);
    issue(&mut bench, 1 << 7);
    until(|| bench.port(port::TASK_FILE) == 0x4041);
    bench.wait();
    image.full.store(false, std::sync::atomic::Ordering::SeqCst);
    let log = recover(&mut bench);
    assert_eq!((log[0], log[4], log[5]), (7, 0x23, 0x01));
    bench.prepare_slot(0, &queued(READ, 0, 9, 1), &[(DATA, 512)]);
    issue(&mut bench, 1);
    bench.wait();
    assert_eq!(bench.port(port::TASK_FILE) & 0xff, 0x50);
    assert_eq!(bench.bytes(DATA, 512), image.data.lock()[9 * 512..10 * 512]);
}

#[test]
fn what_is_under_way_is_given_up_when_the_port_stops() {
    let (image, mut bench) = gated();
    bench.prepare_slot(3, &queued(READ, 3, 3, 1), &[(DATA, 512)]);
    issue(&mut bench, 1 << 3);
    until(|| !image.waiting.lock().is_empty());
    bench.set_port(port::COMMAND, 0x10);
    assert_eq!(bench.port(port::ACTIVE), 0);
    assert_eq!(bench.port(port::COMMAND) & 0x8000, 0x8000, "it still moves");
    image.let_go(3);
    until(|| bench.port(port::COMMAND) & 0x8000 == 0);
    bench.set_port(port::COMMAND, 0x11);
    assert_eq!(bench.port(port::INTERRUPT_STATUS) & 1 << 3, 0);
    // Another command with the tag of one that is under way.
    bench.prepare_slot(3, &queued(READ, 3, 4, 1), &[(DATA, 512)]);
    issue(&mut bench, 1 << 3);
    until(|| image.waiting.lock().len() == 2);
    bench.set_port(port::ISSUE, 1 << 3);
    assert_eq!(bench.port(port::TASK_FILE), 0x0441);
    image.let_go(4);
    bench.wait();
    assert_eq!(bench.port(port::ACTIVE), 1 << 3, "it is not told any more");
}

#[test]
fn a_write_with_fua_is_on_the_device_before_its_end() {
    let (image, mut bench) = bench();
    for (fua, flushed) in [(0x40, 0), (0xc0, 1)] {
        let mut frame = queued(WRITE, 0, 1, 1);
        frame[7] = fua;
        bench.prepare_slot(0, &frame, &[(DATA, 512)]);
        issue(&mut bench, 1);
        bench.wait();
        let journal = std::mem::take(&mut *image.journal.lock());
        assert_eq!(
            journal.iter().filter(|entry| *entry == "flush").count(),
            flushed
        );
        assert_eq!(journal[0], "write 512+512");
    }
}
