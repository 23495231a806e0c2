//! What SeaBIOS 1.16 does to find and boot drives, and what it expects to read.

use super::*;

/// SeaBIOS's soft reset of a channel.
fn reset_channel(bench: &mut Bench, base: u16) {
    for value in [0x0e, 0x0a] {
        bench.outb(base + 0x206, value);
    }
}

/// The register echo test by which a place is found to be connected.
fn probe(bench: &mut Bench, base: u16, device: u8) -> bool {
    bench.outb(base + 6, device);
    if bench.inb(base + 6) != device {
        return false;
    }
    bench.outb(base + 2, 0x55);
    bench.outb(base + 3, 0xaa);
    bench.inb(base + 2) == 0x55 && bench.inb(base + 3) == 0xaa
}

#[test]
fn the_sequence_that_boots_a_cd() {
    let image = Arc::new(MemoryImage::numbered(64 * 2048));
    let mut bench = Bench::with_optical(Some(&image));
    let base = SECONDARY;
    assert_eq!(bench.inb(base + 7) & 0x80, 0);
    assert!(probe(&mut bench, base, 0xa0));
    reset_channel(&mut bench, base);
    assert_eq!(
        bench.inb(base + 7),
        0x00,
        "a packet drive is not ready after a reset"
    );
    bench.outb(base + 6, 0xa0);
    // IDENTIFY PACKET DEVICE.
    assert_eq!(bench.command(base, [0, 0, 0, 0, 0, 0xa0], 0xa1), 0x58);
    let identity = bench.insw(base, 512);
    assert_eq!(identity[..2], [0xc0, 0x85]);
    assert_eq!(&identity[54..64], b"uGsehtuoes");
    assert_eq!(bench.inb(base + 7), 0x50);
    bench.outb(base + 0x206, 0x08);
    // TEST UNIT READY: fails once, as after power-on, and is repeated.
    assert_eq!(bench.failing_packet(base, &[0]), (6, 0x29, 0));
    let (_, status) = bench.packet(base, &[0], 2048);
    assert_eq!(status, 0x50);
    // READ(10), one sector at a time.
    for sector in [16_u8, 17, 63] {
        let (data, status) = bench.packet(base, &[0x28, 0, 0, 0, 0, sector, 0, 0, 1], 2048);
        assert_eq!(status, 0x50);
        let start = usize::from(sector) * 2048;
        assert_eq!(data, image.data.lock()[start..start + 2048]);
    }
}

#[test]
fn the_sequence_that_boots_a_disk() {
    let image = Arc::new(MemoryImage::numbered(1024 * 512));
    let mut bench = Bench::with_disk(&image);
    let base = PRIMARY;
    assert!(probe(&mut bench, base, 0xa0));
    reset_channel(&mut bench, base);
    bench.outb(base + 6, 0xa0);
    assert_eq!(bench.inb(base + 7), 0x50);
    // It is asked as a packet drive first, and refuses.
    assert_eq!(bench.command(base, [0, 0, 0, 0, 0, 0xa0], 0xa1), 0x41);
    assert_eq!(bench.inb(base + 1), 0x04);
    assert_eq!(bench.command(base, [0, 0, 0, 0, 0, 0xa0], 0xec), 0x58);
    let identity = bench.insw(base, 512);
    assert_eq!(identity[..2], [0x40, 0x00]);
    assert_eq!(identity[120..124], 1024_u32.to_le_bytes());
    assert_eq!(bench.inb(base + 7), 0x50);
    bench.outb(base + 0x206, 0x0a);
    assert_eq!(bench.lba28(base, 0x20, 0, 1), 0x58);
    assert_eq!(bench.insw(base, 512), image.data.lock()[..512]);
    assert_eq!(bench.inb(base + 7), 0x50);
    assert_eq!(bench.interrupts(base), 0, "nIEN is set all the time");
    // The second place of the channel echoes but has no status.
    assert!(probe(&mut bench, base, 0xb0));
    assert_eq!(bench.inb(base + 7), 0);
    bench.outb(base + 7, 0xec);
    assert_eq!(bench.settle(base), 0);
}

#[test]
fn an_empty_channel_reads_as_zero_and_ignores_everything() {
    let mut bench = Bench::new([[None, None], [None, None]]);
    for base in [PRIMARY, SECONDARY] {
        assert!(!probe(&mut bench, base, 0xa0));
        assert!(!probe(&mut bench, base, 0xb0));
        for code in [0x90, 0xa1, 0xec, 0x20] {
            bench.outb(base + 7, code);
        }
        reset_channel(&mut bench, base);
        for register in 1..8 {
            assert_eq!(bench.inb(base + register), 0);
        }
        assert_eq!(bench.inb(base + 0x206), 0);
        assert_eq!(bench.inw(base), 0);
        assert_eq!(bench.interrupts(base), 0);
    }
}

#[test]
fn both_places_of_a_channel_are_told_apart_by_their_signatures() {
    let image = Arc::new(MemoryImage::numbered(1024 * 512));
    let mut bench = Bench::new([[disk(&image), optical(None)], [None, None]]);
    reset_channel(&mut bench, PRIMARY);
    bench.outb(PRIMARY + 0x206, 0x08);
    for (device, signature) in [(0xa0, [1, 1, 0, 0]), (0xb0, [1, 1, 0x14, 0xeb])] {
        bench.outb(PRIMARY + 6, device);
        let read = [2, 3, 4, 5].map(|register| bench.inb(PRIMARY + register));
        assert_eq!(read, signature);
        assert_eq!(bench.inb(PRIMARY + 1), 1);
    }
    // EXECUTE DEVICE DIAGNOSTIC is for both, whichever is selected, and selects the first.
    assert_eq!(bench.command(PRIMARY, [0, 9, 9, 9, 9, 0xb0], 0x90), 0x50);
    assert_eq!(bench.inb(PRIMARY + 6), 0xa0);
    bench.outb(PRIMARY + 6, 0xb0);
    assert_eq!(
        (bench.inb(PRIMARY + 4), bench.inb(PRIMARY + 5)),
        (0x14, 0xeb)
    );
    assert_eq!(bench.interrupts(PRIMARY), 1);
    // A packet drive that is asked as a disk aborts and shows what it is.
    assert_eq!(bench.command(PRIMARY, [0, 9, 9, 9, 9, 0xb0], 0xec), 0x41);
    let read = [1, 2, 3, 4, 5].map(|register| bench.inb(PRIMARY + register));
    assert_eq!(read, [4, 1, 1, 0x14, 0xeb]);
    // DEVICE RESET shows it too, without an interrupt, and leaves it selected.
    let before = bench.interrupts(PRIMARY);
    assert_eq!(bench.command(PRIMARY, [0, 9, 9, 9, 9, 0xb0], 0x08), 0x00);
    assert_eq!(bench.inb(PRIMARY + 6), 0xb0);
    assert_eq!(
        (bench.inb(PRIMARY + 4), bench.inb(PRIMARY + 5)),
        (0x14, 0xeb)
    );
    assert_eq!(bench.interrupts(PRIMARY), before);
}
