//! Images that fail: what the fault handler decides, and resets, pauses and ends meanwhile.

use super::*;
use crate::storage::Verdict;
use std::path::Path;

const BASE: u16 = PRIMARY;

fn bench() -> (Arc<MemoryImage>, Arc<Judge>, Bench) {
    let image = Arc::new(MemoryImage::numbered(512 * 512));
    let judge = Arc::new(Judge::default());
    let bench = Bench::with_faults([[disk(&image), None], [None, None]], judge.clone());
    (image, judge, bench)
}

/// Starts to write one sector, as far as the drive is busy with it.
fn write_sector(bench: &mut Bench, sector: u32, byte: u8) {
    assert_eq!(bench.lba28(BASE, 0x30, sector, 1), 0x58);
    bench.outsw(BASE, &[byte; 512]);
}

#[test]
fn a_request_that_is_retried_succeeds_once_there_is_room() {
    let (image, judge, mut bench) = bench();
    image.full.store(true, Ordering::SeqCst);
    write_sector(&mut bench, 9, 0xaa);
    judge.asked();
    // The machine can be paused meanwhile: only the handler holds the request.
    bench.drives.drain();
    assert_eq!(bench.inb(BASE + 7) & 0x80, 0x80);
    judge.answer(Verdict::Retry);
    judge.asked();
    assert_eq!(bench.inb(BASE + 7) & 0x80, 0x80, "still full");
    image.full.store(false, Ordering::SeqCst);
    judge.answer(Verdict::Retry);
    bench.rest();
    assert_eq!(bench.settle(BASE), 0x50);
    assert_eq!(image.data.lock()[9 * 512..10 * 512], [0xaa; 512]);
    let names = judge.names.lock();
    assert!(
        names[0].starts_with("hard disk 1: no space is left"),
        "{names:?}"
    );
}

#[test]
fn a_request_that_is_reported_fails_where_it_failed() {
    let image = Arc::new(MemoryImage::numbered(512 * 512));
    let mut bench = Bench::with_disk(&image);
    image.full.store(true, Ordering::SeqCst);
    // Command, error register.
    for (code, error) in [(0x20, 0x40), (0x40, 0x40), (0xe7, 0x04)] {
        assert_eq!(bench.lba28(BASE, code, 77, 2), 0x41, "{code:#x}");
        assert_eq!(bench.inb(BASE + 1), error, "{code:#x}");
        if code != 0xe7 {
            let shown = [3, 4, 5, 6].map(|register| bench.inb(BASE + register));
            assert_eq!(shown, [77, 0, 0, 0xe0]);
        }
    }
    write_sector(&mut bench, 5, 1);
    assert_eq!(bench.settle(BASE), 0x41);
    assert_eq!(bench.inb(BASE + 1), 0x04);
    image.full.store(false, Ordering::SeqCst);
    assert_eq!(bench.lba28(BASE, 0x20, 77, 1), 0x58);
}

#[test]
fn an_optical_drive_tells_of_a_read_error_by_sense() {
    let image = Arc::new(MemoryImage::numbered(64 * 2048));
    let mut bench = Bench::with_optical(Some(&image));
    bench.attention(SECONDARY);
    image.full.store(true, Ordering::SeqCst);
    let read = [0x28, 0, 0, 0, 0, 1, 0, 0, 1];
    assert_eq!(bench.failing_packet(SECONDARY, &read), (3, 0x11, 0));
    image.full.store(false, Ordering::SeqCst);
    assert_eq!(bench.packet(SECONDARY, &read, 0).0.len(), 2048);
}

#[test]
fn a_reset_gives_up_what_waits_for_the_handler() {
    let (image, judge, mut bench) = bench();
    image.full.store(true, Ordering::SeqCst);
    write_sector(&mut bench, 9, 0xaa);
    judge.asked();
    bench.outb(BASE + 0x206, 0x04);
    bench.outb(BASE + 0x206, 0x00);
    assert_eq!(bench.inb(BASE + 7), 0x50, "the reset does not wait");
    // However often the guest tries, what it gave up is not done later.
    for round in 0..50_u8 {
        bench.drives.drain();
        for (register, value) in [(6, 0xe0), (2, 1), (3, 20)] {
            bench.outb(BASE + register, value);
        }
        bench.outb(BASE + 7, 0x30);
        bench.outsw(BASE, &[round; 512]);
        assert_eq!(bench.inb(BASE + 7) & 0x80, 0x80);
        if round < 49 {
            bench.outb(BASE + 0x206, 0x04);
            bench.outb(BASE + 0x206, 0x00);
        }
    }
    image.full.store(false, Ordering::SeqCst);
    for _ in 0..=50 {
        judge.answer(Verdict::Retry);
    }
    bench.rest();
    assert_eq!(bench.settle(BASE), 0x50);
    assert_eq!(
        *image.journal.lock(),
        ["write 10240+512"],
        "whole, and only the last"
    );
    assert_eq!(image.data.lock()[20 * 512..21 * 512], [49; 512]);
}

#[test]
fn a_reset_in_the_middle_of_a_write_leaves_whole_sectors() {
    let (image, _judge, mut bench) = bench();
    assert_eq!(bench.lba28(BASE, 0x30, 4, 4), 0x58);
    bench.outsw(BASE, &[0x55; 512 + 100]);
    bench.outb(BASE + 0x206, 0x04);
    bench.outb(BASE + 0x206, 0x00);
    bench.drives.drain();
    for sector in image.data.lock()[4 * 512..8 * 512].chunks(512) {
        let written = sector.iter().filter(|byte| **byte == 0x55).count();
        assert!(written < 100 || written == 512);
    }
    assert_eq!(bench.lba28(BASE, 0x20, 4, 1), 0x58);
}

#[test]
fn the_machine_ends_and_resets_while_the_handler_waits() {
    let (image, judge, mut bench) = bench();
    image.full.store(true, Ordering::SeqCst);
    write_sector(&mut bench, 9, 0xaa);
    judge.asked();
    bench.controller.reset();
    assert_eq!(bench.inb(BASE + 7), 0x50);
    // The drive ends when the handler lets go of it, and does not touch the image again.
    let calls = image.calls.load(Ordering::SeqCst);
    image.full.store(false, Ordering::SeqCst);
    judge.answer(Verdict::Retry);
    drop(bench);
    while Arc::strong_count(&image) > 1 {
        std::thread::yield_now();
    }
    assert_eq!(image.calls.load(Ordering::SeqCst), calls);
}

#[test]
fn a_panic_in_an_image_is_an_error_to_the_guest() {
    struct Broken;
    impl Image for Broken {
        fn size(&self) -> u64 {
            1 << 20
        }
        fn read_only(&self) -> bool {
            false
        }
        fn file(&self) -> &Path {
            Path::new("broken")
        }
        fn read_at(&self, _offset: u64, _data: &mut [u8]) -> Result<(), ImageError> {
            panic!("broken on purpose");
        }
        fn write_at(&self, _offset: u64, _data: &[u8]) -> Result<(), ImageError> {
            Ok(())
        }
        fn flush(&self) -> Result<(), ImageError> {
            Ok(())
        }
    }
    let drive = NewDrive::Disk {
        image: Arc::new(Broken),
        name: "hard disk 1".into(),
    };
    let mut bench = Bench::new([[Some(drive), None], [None, None]]);
    assert_eq!(bench.lba28(BASE, 0x20, 0, 1), 0x41);
    assert_eq!(bench.lba28(BASE, 0xe7, 0, 1), 0x50);
}

#[test]
fn what_a_reset_left_under_way_is_not_overtaken() {
    /// An image whose first write does not end before it is told to.
    struct Slow {
        memory: MemoryImage,
        gate: std::sync::Barrier,
        waits: AtomicBool,
    }
    impl Image for Slow {
        fn size(&self) -> u64 {
            self.memory.size()
        }
        fn read_only(&self) -> bool {
            false
        }
        fn file(&self) -> &Path {
            self.memory.file()
        }
        fn read_at(&self, offset: u64, data: &mut [u8]) -> Result<(), ImageError> {
            self.memory.read_at(offset, data)
        }
        fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), ImageError> {
            if self.waits.swap(false, Ordering::SeqCst) {
                self.gate.wait();
                self.gate.wait();
            }
            self.memory.write_at(offset, data)
        }
        fn flush(&self) -> Result<(), ImageError> {
            self.memory.flush()
        }
    }
    let image = Arc::new(Slow {
        memory: MemoryImage::numbered(512 * 512),
        gate: std::sync::Barrier::new(2),
        waits: AtomicBool::new(true),
    });
    let drive = NewDrive::Disk {
        image: image.clone(),
        name: "hard disk 1".into(),
    };
    let mut bench = Bench::with_faults([[Some(drive), None], [None, None]], Arc::new(ReportFaults));
    for (register, value) in [(6, 0xe0), (2, 1), (3, 4)] {
        bench.outb(BASE + register, value);
    }
    bench.outb(BASE + 7, 0x30);
    bench.outsw(BASE, &[1; 512]);
    image.gate.wait();
    for round in 0..2 {
        if round == 0 {
            bench.outb(BASE + 0x206, 0x04);
            bench.outb(BASE + 0x206, 0x00);
        } else {
            bench.controller.reset();
        }
        assert_eq!(bench.inb(BASE + 7), 0x80, "busy");
        bench.outb(BASE + 7, 0x20);
        bench.outb(BASE + 3, 9);
        assert_eq!(bench.inb(BASE + 0x206), 0x80, "it takes no command");
    }
    image.gate.wait();
    bench.drives.drain();
    assert_eq!(bench.inb(BASE + 7), 0x50);
    write_sector(&mut bench, 4, 2);
    assert_eq!(bench.settle(BASE), 0x50);
    assert_eq!(image.memory.data.lock()[4 * 512..5 * 512], [2; 512]);
}
