//! A hard disk's commands.

use super::*;

const BASE: u16 = PRIMARY;

/// `length` bytes that depend on `seed`.
fn pattern(seed: u8, length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| (at as u8).wrapping_mul(31).wrapping_add((at >> 8) as u8) ^ seed)
        .collect()
}

/// Writes through the data port, block by block, as a driver does that waits for each interrupt.
fn write_blocks(bench: &mut Bench, data: &[u8], block: usize) -> u8 {
    for part in data.chunks(block) {
        bench.drives.drain();
        assert_eq!(bench.inb(BASE + 7), 0x58);
        bench.outsw(BASE, part);
    }
    bench.settle(BASE)
}

/// Reads through the data port, block by block, each announced by an interrupt.
fn read_blocks(bench: &mut Bench, length: usize, block: usize) -> Vec<u8> {
    let mut data = Vec::new();
    while data.len() < length {
        bench.drives.drain();
        assert_eq!(bench.inb(BASE + 7), 0x58);
        let part = block.min(length - data.len());
        data.extend_from_slice(&bench.insw(BASE, part));
    }
    assert_eq!(bench.settle(BASE), 0x50);
    data
}

#[test]
fn sectors_and_multiple_blocks_are_written_and_read_back() {
    let image = Arc::new(MemoryImage::new(vec![0; 4096 * 512]));
    let meter = Arc::new(Meter::default());
    let mut bench = Bench::with_faults([[disk(&image), None], [None, None]], meter.clone());
    bench.judged = false;
    assert_eq!(bench.command(BASE, [0, 8, 0, 0, 0, 0xe0], 0xc6), 0x50);
    // Command to write, command to read, wide, sectors, bytes in a block.
    for (round, (write, read, wide, sectors, block)) in [
        (0x30, 0x20, false, 1, 512),
        (0x31, 0x21, false, 5, 512),
        (0x30, 0x20, false, 256, 512),
        (0x34, 0x24, true, 700, 512),
        (0xc5, 0xc4, false, 20, 8 * 512),
        (0x39, 0x29, true, 1001, 8 * 512),
    ]
    .into_iter()
    .enumerate()
    {
        let start = 100 + round as u64 * 3;
        let data = pattern(round as u8, sectors * 512);
        let issue = |bench: &mut Bench, code| {
            if wide {
                bench.lba48(BASE, code, start, sectors as u16)
            } else {
                bench.lba28(BASE, code, start as u32, sectors as u8)
            }
        };
        let before = bench.interrupts(BASE);
        issue(&mut bench, write);
        assert_eq!(write_blocks(&mut bench, &data, block), 0x50, "{write:#x}");
        let blocks = (sectors * 512).div_ceil(block) as u64;
        assert_eq!(
            bench.interrupts(BASE) - before,
            blocks,
            "one after each block"
        );
        let from = start as usize * 512;
        assert!(image.data.lock()[from..from + data.len()] == data);
        let before = bench.interrupts(BASE);
        issue(&mut bench, read);
        assert!(
            read_blocks(&mut bench, data.len(), block) == data,
            "{read:#x}"
        );
        assert_eq!(
            bench.interrupts(BASE) - before,
            blocks,
            "one before each block"
        );
    }
    let moved = (1 + 5 + 256 + 700 + 20 + 1001) * 512;
    assert_eq!(meter.moved(), (moved, moved));
}

#[test]
fn one_string_read_takes_a_whole_command() {
    let image = Arc::new(MemoryImage::numbered(1024 * 512));
    let mut bench = Bench::with_disk(&image);
    assert_eq!(bench.lba28(BASE, 0x20, 3, 0), 0x58);
    let data = bench.insw(BASE, 256 * 512);
    assert!(data == image.data.lock()[3 * 512..259 * 512]);
    // 32-bit items too, and single words.
    assert_eq!(bench.lba28(BASE, 0x20, 1, 1), 0x58);
    assert_eq!(bench.inw(BASE), 128);
    assert_eq!(bench.inw(BASE), 0);
    assert_eq!(bench.controller.read_port(BASE, Width::Dword), Ok(129));
    assert_eq!(bench.insw(BASE, 504).len(), 504);
    assert_eq!(bench.inb(BASE + 7), 0x50);
    assert_eq!(bench.inw(BASE), 0, "nothing more");
}

#[test]
fn cylinders_heads_and_sectors_name_the_same_sectors() {
    let image = Arc::new(MemoryImage::numbered(64 * 16 * 63 * 512));
    let mut bench = Bench::with_disk(&image);
    // Cylinder 2, head 3, sector 4 of 16 heads and 63 sectors.
    assert_eq!(bench.command(BASE, [0, 1, 4, 2, 0, 0xa3], 0x20), 0x58);
    let sector = (2 * 16 + 3) * 63 + 3;
    assert_eq!(bench.insw(BASE, 512)[..4], (sector * 128_u32).to_le_bytes());
    // Another translation: 8 heads, 32 sectors.
    assert_eq!(bench.command(BASE, [0, 32, 0, 0, 0, 0xa7], 0x91), 0x50);
    assert_eq!(bench.command(BASE, [0, 1, 4, 2, 0, 0xa3], 0x20), 0x58);
    let sector = (2 * 8 + 3) * 32 + 3;
    assert_eq!(bench.insw(BASE, 512)[..4], (sector * 128_u32).to_le_bytes());
    for (registers, why) in [
        ([0, 1, 0, 0, 0, 0xa0], "sector 0"),
        ([0, 1, 33, 0, 0, 0xa0], "sector beyond the track"),
        ([0, 1, 1, 0, 0, 0xa8], "head beyond the last"),
        ([0, 1, 1, 0, 0xff, 0xa0], "cylinder beyond the last"),
    ] {
        assert_eq!(bench.command(BASE, registers, 0x20), 0x41, "{why}");
        assert_eq!(bench.inb(BASE + 1), 0x10, "{why}");
    }
    // IDENTIFY tells both translations.
    bench.command(BASE, [0, 0, 0, 0, 0, 0xa0], 0xec);
    let words: Vec<u16> = bench
        .insw(BASE, 512)
        .chunks(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    assert_eq!((words[1], words[3], words[6]), (64, 16, 63));
    assert_eq!((words[54], words[55], words[56]), (252, 8, 32));
    assert_eq!((words[57], words[58]), (0xfc00, 0));
}

#[test]
fn the_end_of_the_disk_and_of_28_bits_hold() {
    let image = Arc::new(MemoryImage::sparse((1 << 28) * 512 + 8 * 512));
    let mut bench = Bench::with_disk(&image);
    let last = (1_u64 << 28) + 7;
    assert_eq!(bench.lba48(BASE, 0x24, last, 1), 0x58);
    bench.insw(BASE, 512);
    // Across the boundary of 28 bits.
    assert_eq!(bench.lba48(BASE, 0x24, (1 << 28) - 2, 4), 0x58);
    bench.insw(BASE, 4 * 512);
    assert_eq!(bench.inb(BASE + 7), 0x50);
    assert_eq!(bench.lba28(BASE, 0x20, 0x0fff_ffff, 1), 0x58);
    bench.insw(BASE, 512);
    for (sector, count, first_bad) in [
        (last, 2, last + 1),
        (last + 1, 1, last + 1),
        ((1 << 48) - 1, 0, (1 << 48) - 1),
    ] {
        for code in [0x24, 0x25, 0x29, 0x34, 0x35, 0x39, 0x42] {
            bench.command(BASE, [0, 8, 0, 0, 0, 0xe0], 0xc6);
            assert_eq!(bench.lba48(BASE, code, sector, count), 0x41, "{code:#x}");
            assert_eq!(bench.inb(BASE + 1), 0x10);
            let low = [3, 4, 5].map(|register| bench.inb(BASE + register));
            bench.outb(BASE + 0x206, 0x80);
            let high = [3, 4, 5].map(|register| bench.inb(BASE + register));
            let shown = [low, high].concat();
            assert_eq!(shown, first_bad.to_le_bytes()[..6]);
        }
    }
    // Native maximum, narrow and wide.
    assert_eq!(bench.lba28(BASE, 0xf8, 0, 0), 0x50);
    let read = [3, 4, 5, 6].map(|register| bench.inb(BASE + register));
    assert_eq!(read, [0xff, 0xff, 0xff, 0xef]);
    assert_eq!(bench.lba48(BASE, 0x27, 0, 0), 0x50);
    assert_eq!(bench.inb(BASE + 3), 7);
    bench.outb(BASE + 0x206, 0x80);
    assert_eq!(bench.inb(BASE + 3), 0x10);
    // A 48-bit command without a logical address makes no sense.
    assert_eq!(bench.command(BASE, [0, 1, 1, 0, 0, 0xa0], 0x24), 0x41);
}

#[test]
fn identity_has_its_checksum_and_follows_the_settings() {
    let image = Arc::new(MemoryImage::sparse(3 << 40));
    let mut bench = Bench::with_disk(&image);
    let identify = |bench: &mut Bench| -> Vec<u16> {
        assert_eq!(bench.command(BASE, [0, 0, 0, 0, 0, 0xe0], 0xec), 0x58);
        let data = bench.insw(BASE, 512);
        assert_eq!(
            data.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)),
            0
        );
        data.chunks(2)
            .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
            .collect()
    };
    let words = identify(&mut bench);
    let sectors = (3_u64 << 40) / 512;
    assert_eq!((words[60], words[61]), (0xffff, 0x0fff));
    let wide = (0..4).fold(0, |sum, at| sum | u64::from(words[100 + at]) << (16 * at));
    assert_eq!(wide, sectors);
    assert_eq!((words[1], words[3], words[6]), (16383, 16, 63));
    let text: String = words[27..47]
        .iter()
        .flat_map(|word| word.to_be_bytes())
        .map(char::from)
        .collect();
    assert_eq!(text.trim_end(), "Guesthouse Hard Disk");
    assert_eq!((words[59], words[63], words[88]), (0, 0x0007, 0x003f));
    assert_ne!(words[85] & 0x20, 0);
    // Feature, count, accepted.
    for (feature, count, accepted) in [
        (0x03, 0x22, true),
        (0x03, 0x23, false),
        (0x03, 0x45, true),
        (0x03, 0x46, false),
        (0x03, 0x0c, true),
        (0x03, 0x0d, false),
        (0x03, 0x42, true),
        (0x82, 0, true),
        (0x55, 0, true),
        (0x05, 0, false),
        (0x99, 0, false),
    ] {
        let status = bench.command(BASE, [feature, count, 0, 0, 0, 0xe0], 0xef);
        assert_eq!(status == 0x50, accepted, "{feature:#x} {count:#x}");
    }
    assert_eq!(bench.command(BASE, [0, 16, 0, 0, 0, 0xe0], 0xc6), 0x50);
    for bad in [3, 32, 255] {
        assert_eq!(bench.command(BASE, [0, bad, 0, 0, 0, 0xe0], 0xc6), 0x41);
    }
    let words = identify(&mut bench);
    assert_eq!((words[59], words[63], words[88]), (0x0110, 0x0007, 0x043f));
    assert_eq!(words[85] & 0x60, 0);
    // A software reset keeps the settings, a reset of the machine does not.
    bench.outb(BASE + 0x206, 0x04);
    assert_eq!(bench.inb(BASE + 7), 0x80);
    bench.outb(BASE + 0x206, 0x00);
    assert_eq!(identify(&mut bench)[59], 0x0110);
    bench.controller.reset();
    assert_eq!(identify(&mut bench)[59], 0);
}

#[test]
fn writes_reach_the_host_before_a_flush_says_so() {
    let image = Arc::new(MemoryImage::new(vec![0; 64 * 512]));
    let mut bench = Bench::with_disk(&image);
    for (code, wide) in [(0xe7, false), (0xea, true)] {
        bench.lba28(BASE, 0x30, 1, 1);
        write_blocks(&mut bench, &[1; 512], 512);
        let before = bench.interrupts(BASE);
        let status = if wide {
            bench.lba48(BASE, code, 0, 0)
        } else {
            bench.lba28(BASE, code, 0, 0)
        };
        assert_eq!(status, 0x50);
        assert_eq!(bench.interrupts(BASE), before + 1);
        let journal = std::mem::take(&mut *image.journal.lock());
        assert_eq!(journal, ["write 512+512", "flush"]);
    }
    // Without the write cache every write is flushed before it is done.
    assert_eq!(bench.command(BASE, [0x82, 0, 0, 0, 0, 0xe0], 0xef), 0x50);
    image.journal.lock().clear();
    bench.lba28(BASE, 0x30, 2, 1);
    write_blocks(&mut bench, &[1; 512], 512);
    assert_eq!(*image.journal.lock(), ["write 1024+512", "flush"]);
    // Standby flushes, and only a reset wakes from sleep.
    image.journal.lock().clear();
    assert_eq!(bench.command(BASE, [0, 0, 0, 0, 0, 0xe0], 0xe0), 0x50);
    assert_eq!(*image.journal.lock(), ["flush"]);
    assert_eq!(bench.command(BASE, [0, 7, 0, 0, 0, 0xe0], 0xe5), 0x50);
    assert_eq!(bench.inb(BASE + 2), 0x00);
    bench.command(BASE, [0, 0, 0, 0, 0, 0xe0], 0xe6);
    let before = bench.interrupts(BASE);
    bench.command(BASE, [0, 7, 0, 0, 0, 0xe0], 0xec);
    assert_eq!(bench.interrupts(BASE), before);
    bench.outb(BASE + 0x206, 0x04);
    bench.outb(BASE + 0x206, 0x00);
    assert_eq!(bench.command(BASE, [0, 7, 0, 0, 0, 0xe0], 0xe5), 0x50);
    assert_eq!(bench.inb(BASE + 2), 0xff);
}

#[test]
fn a_read_only_disk_is_read_and_not_written() {
    let image = Arc::new(MemoryImage::numbered(64 * 512).read_only());
    let mut bench = Bench::with_disk(&image);
    for code in [0x30, 0xca] {
        assert_eq!(bench.lba28(BASE, code, 0, 1), 0x41);
        assert_eq!(bench.inb(BASE + 1), 0x04);
    }
    assert_eq!(bench.lba28(BASE, 0x20, 0, 1), 0x58);
}

#[test]
fn small_commands_answer_and_unknown_ones_abort() {
    let image = Arc::new(MemoryImage::numbered(64 * 512));
    let mut bench = Bench::with_disk(&image);
    for (code, status) in [
        (0x10, 0x50),
        (0x70, 0x50),
        (0x40, 0x50),
        (0x41, 0x50),
        (0xe1, 0x50),
        (0xe3, 0x50),
        (0x00, 0x41),
        (0x08, 0x41),
        (0xa0, 0x41),
        (0xb0, 0x41),
        (0xc4, 0x41),
        (0xf9, 0x41),
    ] {
        let before = bench.interrupts(BASE);
        assert_eq!(bench.lba28(BASE, code, 5, 1), status, "{code:#x}");
        assert_eq!(bench.interrupts(BASE), before + 1, "{code:#x}");
    }
    // The sector buffer.
    assert_eq!(bench.lba28(BASE, 0xe8, 0, 0), 0x58);
    bench.outsw(BASE, &pattern(9, 512));
    assert_eq!(bench.settle(BASE), 0x50);
    assert_eq!(bench.lba28(BASE, 0xe4, 0, 0), 0x58);
    assert_eq!(bench.insw(BASE, 512), pattern(9, 512));
}

#[test]
fn the_interrupt_lasts_until_the_status_is_read_and_hides_behind_nien() {
    let image = Arc::new(MemoryImage::numbered(64 * 512));
    let mut bench = Bench::with_disk(&image);
    bench.outb(BASE + 6, 0xe0);
    bench.outb(BASE + 7, 0x10);
    assert!(bench.line(BASE));
    assert_eq!(bench.inb(BASE + 0x206), 0x50);
    assert!(bench.line(BASE), "the alternate status leaves it");
    bench.outb(BASE + 0x206, 0x02);
    assert!(!bench.line(BASE));
    bench.outb(BASE + 0x206, 0x00);
    assert!(bench.line(BASE), "it was only hidden");
    bench.inb(BASE + 7);
    assert!(!bench.line(BASE));
    // Words to byte registers are split, as on an ISA bus.
    bench.outw(BASE + 2, 0xaa55);
    assert_eq!(bench.inw(BASE + 2), 0xaa55);
    assert_eq!(bench.inw(BASE + 0x206), 0xff50);
}
