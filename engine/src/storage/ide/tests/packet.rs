//! The packet protocol, and media that come and go while the guest looks.

use super::*;
use crate::storage::scsi::optical::{EjectError, InsertError};

const BASE: u16 = SECONDARY;
const DRIVE: usize = 2;

fn disc(sectors: u32) -> Arc<MemoryImage> {
    Arc::new(MemoryImage::numbered(sectors * 2048))
}

/// Whether the guest has locked the drive.
fn locked(bench: &Bench) -> bool {
    let mut locked = false;
    let drives = &bench.drives;
    drives
        .with_optical(DRIVE, &mut |optical| locked = optical.locked())
        .unwrap();
    locked
}

#[test]
fn data_comes_in_blocks_of_the_byte_count_limit() {
    let image = disc(256);
    let mut bench = Bench::with_optical(Some(&image));
    bench.attention(BASE);
    let read = [0x28, 0, 0, 0, 0, 2, 0, 0, 200];
    let expected = image.data.lock()[2 * 2048..202 * 2048].to_vec();
    // Limit, blocks of the 409,600 bytes: chunks of 128 KiB are taken apart each for itself.
    for (limit, blocks) in [
        (2048, 200),
        (0xf800, 3 * 3 + 1),
        (0xfffe, 3 * 3 + 1),
        (0xffff, 3 * 3 + 1),
        (0, 3 * 3 + 1),
        (0x8001, 13),
    ] {
        let before = bench.interrupts(BASE);
        let (data, status) = bench.packet(BASE, &read, limit);
        assert!(data == expected, "{limit:#x}");
        assert_eq!(status, 0x50);
        assert_eq!(bench.inb(BASE + 2) & 3, 3);
        // One for each block and one at the end.
        assert_eq!(bench.interrupts(BASE) - before, blocks + 1, "{limit:#x}");
    }
    // An odd number of bytes: the last word is filled up.
    let (data, status) = bench.packet(BASE, &[0x12, 0, 0, 0, 5], 0xfffe);
    assert_eq!((data, status), (vec![5, 0x80, 5, 2, 31], 0x50));
}

#[test]
fn identity_and_parameters_follow_their_own_protocols() {
    let mut bench = Bench::with_optical(None);
    // IDENTIFY PACKET DEVICE interrupts once, before its data; PACKET itself does not.
    assert_eq!(bench.command(BASE, [0, 0, 0, 0, 0, 0xa0], 0xa1), 0x58);
    let identity = bench.insw(BASE, 512);
    assert_eq!(
        identity
            .iter()
            .fold(0_u8, |sum, byte| sum.wrapping_add(*byte)),
        0
    );
    assert_eq!(bench.interrupts(BASE), 1);
    bench.attention(BASE);
    let before = bench.interrupts(BASE);
    // MODE SELECT(10) takes 16 bytes from the host.
    assert_eq!(bench.command(BASE, [0, 0, 0, 0xfe, 0xff, 0xa0], 0xa0), 0x58);
    assert_eq!(bench.interrupts(BASE), before);
    bench.outsw(BASE, &[0x55, 0x10, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0]);
    assert_eq!(bench.interrupts(BASE), before + 1);
    assert_eq!(bench.settle(BASE), 0x58);
    assert_eq!((bench.inb(BASE + 2) & 3, bench.inb(BASE + 4)), (0, 16));
    bench.outsw(BASE, &[0; 16]);
    assert_eq!(bench.settle(BASE), 0x50);
    assert_eq!(bench.interrupts(BASE), before + 2);
    // Overlapped packets are refused; transfer modes are set.
    assert_eq!(bench.command(BASE, [2, 0, 0, 0, 0, 0xa0], 0xa0), 0x41);
    assert_eq!(bench.command(BASE, [3, 0x22, 0, 0, 0, 0xa0], 0xef), 0x50);
    bench.command(BASE, [0, 0, 0, 0, 0, 0xa0], 0xa1);
    assert_eq!(bench.insw(BASE, 512)[126..128], [0x07, 0x04]);
    for (code, status) in [(0x00, 0x41), (0x90, 0x00), (0xe1, 0x50), (0xc8, 0x41)] {
        assert_eq!(bench.command(BASE, [0, 0, 0, 0, 0, 0xa0], code), status);
    }
    // DEVICE RESET in the middle of a packet.
    assert_eq!(bench.command(BASE, [0, 0, 0, 0, 0, 0xa0], 0xa0), 0x58);
    bench.outw(BASE, 0x1234);
    bench.outb(BASE + 7, 0x08);
    assert_eq!(bench.inb(BASE + 7), 0);
    assert_eq!(bench.packet(BASE, &[0x12, 0, 0, 0, 36], 0).0.len(), 36);
}

#[test]
fn a_medium_is_changed_while_the_guest_looks() {
    let (first, second) = (disc(64), disc(100));
    let mut bench = Bench::with_optical(Some(&first));
    bench.attention(BASE);
    assert_eq!(bench.packet(BASE, &[0], 0).1, 0x50);
    let event = |bench: &mut Bench| {
        let (data, _) = bench.packet(BASE, &[0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8], 0);
        assert_eq!(data[..4], [0, 6, 4, 0x10]);
        (data[4], data[5])
    };
    assert_eq!(event(&mut bench), (0, 2));
    assert_eq!(
        bench.drives.insert(DRIVE, second.clone()),
        Err(DriveError::Insert(InsertError::Occupied))
    );
    // Out and in again before the guest looks: it sees the drive empty first, as it would by hand.
    assert!(bench.drives.eject(DRIVE, false).unwrap().is_some());
    bench.drives.insert(DRIVE, second.clone()).unwrap();
    assert_eq!(event(&mut bench), (2, 2));
    assert_eq!(event(&mut bench), (0, 2));
    assert_eq!(bench.failing_packet(BASE, &[0]), (2, 0x3a, 0));
    assert_eq!(bench.failing_packet(BASE, &[0]), (6, 0x28, 0));
    assert_eq!(bench.packet(BASE, &[0], 0).1, 0x50);
    let (capacity, _) = bench.packet(BASE, &[0x25], 0);
    assert_eq!(capacity, [0, 0, 0, 99, 0, 0, 8, 0]);
    // At leisure: removed, seen empty, then another.
    bench.drives.eject(DRIVE, false).unwrap();
    assert_eq!(event(&mut bench), (3, 1));
    assert_eq!(
        bench.failing_packet(BASE, &[0x28, 0, 0, 0, 0, 0, 0, 0, 1]),
        (2, 0x3a, 0)
    );
    assert_eq!(bench.failing_packet(BASE, &[0]), (2, 0x3a, 0));
    bench.drives.insert(DRIVE, first).unwrap();
    assert_eq!(bench.failing_packet(BASE, &[0]), (6, 0x28, 0));
    assert_eq!(bench.packet(BASE, &[0], 0).1, 0x50);
    assert_eq!(bench.packet(BASE, &[0x25], 0).0[3], 63);
}

#[test]
fn a_locked_tray_stays_shut_until_it_is_forced() {
    let image = disc(64);
    let mut bench = Bench::with_optical(Some(&image));
    bench.attention(BASE);
    assert_eq!(bench.packet(BASE, &[0x1e, 0, 0, 0, 1], 0).1, 0x50);
    assert!(locked(&bench));
    assert_eq!(
        bench.drives.eject(DRIVE, false).err(),
        Some(DriveError::Eject(EjectError::Locked))
    );
    // The guest hears of the wish, and may not open the tray itself either.
    let (event, _) = bench.packet(BASE, &[0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8], 0);
    assert_eq!((event[4], event[5]), (1, 2));
    assert_eq!(
        bench.failing_packet(BASE, &[0x1b, 0, 0, 0, 2]),
        (5, 0x53, 2)
    );
    assert!(bench.drives.medium(DRIVE).unwrap().is_some());
    assert!(bench.drives.eject(DRIVE, true).unwrap().is_some());
    assert!(bench.drives.medium(DRIVE).unwrap().is_none());
    assert!(!locked(&bench));
    assert_eq!(bench.failing_packet(BASE, &[0]), (2, 0x3a, 0));
    // A reset of the machine unlocks.
    bench.drives.insert(DRIVE, image).unwrap();
    bench.failing_packet(BASE, &[0]);
    bench.packet(BASE, &[0x1e, 0, 0, 0, 1], 0);
    bench.controller.reset();
    assert!(!locked(&bench));
    assert!(bench.drives.medium(DRIVE).unwrap().is_some());
}

#[test]
fn the_guest_ejects_and_whoever_watches_is_told() {
    let image = disc(64);
    let mut bench = Bench::with_optical(Some(&image));
    bench.attention(BASE);
    let told = Arc::new(Mutex::new(Vec::new()));
    let (seen, drives) = (told.clone(), bench.drives.clone());
    bench.drives.observe_trays(Arc::new(move |place| {
        seen.lock()
            .push((place, drives.medium(place).unwrap().is_some()));
    }));
    assert_eq!(bench.packet(BASE, &[0x1b, 0, 0, 0, 2], 0).1, 0x50);
    bench.drives.drain();
    assert_eq!(std::mem::take(&mut *told.lock()), [(DRIVE, false)]);
    assert_eq!(
        Arc::strong_count(&image),
        1,
        "nobody holds the image any more"
    );
    assert_eq!(
        bench.packet(BASE, &[0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8], 0).0[1],
        0x10
    );
    assert_eq!(bench.packet(BASE, &[0x1b, 0, 0, 0, 3], 0).1, 0x50);
    bench.drives.drain();
    assert_eq!(*told.lock(), [(DRIVE, false)]);
    assert_eq!(
        bench.packet(BASE, &[0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8], 0).0[1],
        0
    );
    // Ejecting by hand is not news to the hand.
    told.lock().clear();
    bench.drives.insert(DRIVE, image).unwrap();
    bench.drives.eject(DRIVE, false).unwrap();
    bench.drives.drain();
    assert!(told.lock().is_empty());
    // The end lets go of the observer, which holds a handle itself, and of the images.
    let (other, handle) = (disc(8), bench.drives.clone());
    bench.drives.insert(DRIVE, other.clone()).unwrap();
    drop(bench);
    assert_eq!(
        (Arc::strong_count(&told), Arc::strong_count(&other)),
        (1, 1)
    );
    assert!(handle.medium(DRIVE).is_err());
}

#[test]
fn places_without_an_optical_drive_say_so() {
    let image = disc(64);
    let bench = Bench::with_disk(&image);
    for place in [0, 1, 3, 4, usize::MAX] {
        assert_eq!(
            bench.drives.eject(place, true).err(),
            Some(DriveError::NoOpticalDrive)
        );
    }
}
