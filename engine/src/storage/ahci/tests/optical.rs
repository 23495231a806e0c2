//! A CD/DVD drive: packets, and media that come and go.

use parking_lot::Mutex;

use super::*;

fn bench() -> (Arc<MemoryImage>, Bench) {
    let image = Arc::new(MemoryImage::numbered(64 * 2048));
    let mut bench = Bench::new(optical(Some(&image)));
    // The first command after power-on is told so.
    assert_eq!(bench.run_packet(&[0; 12], &[]), 0x6041);
    bench.restart();
    (image, bench)
}

#[test]
fn the_signature_tells_that_it_takes_packets() {
    let mut bench = Bench::new(optical(None));
    assert_eq!(bench.port(port::SIGNATURE), 0xeb14_0101);
    assert_eq!(bench.port(port::TASK_FILE), 0x0100);
    // IDENTIFY DEVICE fails, IDENTIFY PACKET DEVICE does not.
    assert_eq!(bench.run(&frame(0xec, 0, 0), &[(DATA, 512)]), 0x0441);
    bench.restart();
    assert_eq!(bench.run(&frame(0xa1, 0, 0), &[(DATA, 512)]), 0x50);
    assert_eq!(bench.bytes(DATA, 2), 0x85c0_u16.to_le_bytes());
}

#[test]
fn sectors_are_read_by_packets() {
    let (image, mut bench) = bench();
    let packet = [0x28, 0, 0, 0, 0, 10, 0, 0, 3, 0, 0, 0];
    assert_eq!(
        bench.run_packet(&packet, &[(DATA, 4096), (DATA + 0x8000, 2048)]),
        0x50
    );
    assert_eq!(bench.moved(), 3 * 2048);
    assert_eq!(
        bench.bytes(DATA, 4096),
        image.data.lock()[10 * 2048..12 * 2048]
    );
    assert_eq!(
        bench.bytes(DATA + 0x8000, 2048),
        image.data.lock()[12 * 2048..13 * 2048]
    );
    // READ CAPACITY into more memory than it fills.
    assert_eq!(bench.run_packet(&[0x25], &[(DATA, 512)]), 0x50);
    assert_eq!(bench.moved(), 8);
    assert_eq!(bench.bytes(DATA, 8), [0, 0, 0, 63, 0, 0, 8, 0]);
    // Beyond the end: illegal request.
    let packet = [0x28, 0, 0, 0, 0, 64, 0, 0, 1, 0, 0, 0];
    assert_eq!(bench.run_packet(&packet, &[(DATA, 2048)]), 0x5041);
}

#[test]
fn media_change_and_a_locked_drive_keeps_its_own() {
    let (_, mut bench) = bench();
    assert_eq!(bench.run_packet(&[0x1e, 0, 0, 0, 1], &[]), 0x50);
    assert!(bench.drives.eject(0, false).is_err());
    assert_eq!(bench.run_packet(&[0x1e, 0, 0, 0, 0], &[]), 0x50);
    assert!(bench.drives.eject(0, false).unwrap().is_some());
    assert_eq!(bench.run_packet(&[0; 12], &[]), 0x2041, "not ready");
    bench.restart();
    let other = Arc::new(MemoryImage::numbered(8 * 2048));
    bench.drives.insert(0, other).unwrap();
    assert_eq!(bench.run_packet(&[0; 12], &[]), 0x6041, "unit attention");
    bench.restart();
    assert_eq!(bench.run_packet(&[0; 12], &[]), 0x50);
    for place in [1, 5, 6, usize::MAX] {
        assert_eq!(
            bench.drives.eject(place, true).err(),
            Some(DriveError::NoOpticalDrive)
        );
    }
}

#[test]
fn who_watches_hears_when_the_guest_moves_the_tray() {
    let (_, mut bench) = bench();
    let told = Arc::new(Mutex::new(Vec::new()));
    bench.drives.observe_trays(Arc::new({
        let (told, drives) = (told.clone(), bench.drives.clone());
        move |place| {
            told.lock()
                .push((place, drives.medium(place).unwrap().is_some()));
        }
    }));
    assert_eq!(bench.run_packet(&[0x1b, 0, 0, 0, 2], &[]), 0x50);
    assert_eq!(*told.lock(), [(0, false)]);
}
