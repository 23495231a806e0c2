//! A guest that writes to its disk is paused and reset at any moment: its disk is never torn.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on ends there, and a failed one tells its seed"
)]

use std::time::{Duration, SystemTime};

use guesthouse_engine::definition::{Drive, ImageFormat};
use guesthouse_engine::disk;
use guesthouse_engine::machine::State;
use guesthouse_tests::guest::{Guest, with_medium};
use guesthouse_tests::image::{Written, assert_sound, wait_for_writes};
use guesthouse_tests::media::{el_torito, program};

const FIRMWARE: u64 = 90;
/// How many sectors the guest writes over and over, and how far apart: each in a cluster of its own.
const COUNT: u16 = 32;
const STRIDE: u32 = 128;

/// A machine whose guest writes to its disk without end.
fn writer() -> Guest {
    let mut definition = with_medium("medium.iso".as_ref());
    definition
        .drives
        .push(Drive::disk("disk.qcow2".into(), ImageFormat::Qcow2));
    Guest::start(definition, |folder| {
        let medium = el_torito("WRITER", &program::write_sectors(COUNT, STRIDE));
        std::fs::write(folder.join("medium.iso"), medium).unwrap();
        disk::create_disk(&folder.join("disk.qcow2"), ImageFormat::Qcow2, 64 << 20).unwrap();
    })
}

/// Moments that nobody chose: xorshift, seeded by the clock, the seed printed for when a test fails.
struct Moments(u64);

impl Moments {
    fn new() -> Self {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap();
        println!("seed {}", now.as_nanos());
        Self(u64::try_from(now.as_nanos() & u128::from(u64::MAX)).unwrap() | 1)
    }

    /// Lets up to `most` milliseconds pass.
    fn pass(&mut self, most: u64) {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        std::thread::sleep(Duration::from_micros(self.0 % (most * 1000)));
    }
}

#[test]
fn a_guest_paused_two_hundred_times_while_it_writes_loses_nothing() {
    let guest = writer();
    guest.wait_for("writing", FIRMWARE);
    let mut moments = Moments::new();
    for _ in 0..200 {
        moments.pass(15);
        guest.machine.pause().unwrap();
        assert_eq!(guest.machine.state(), State::Paused { reason: None });
        moments.pass(3);
        guest.machine.resume().unwrap();
    }
    // It goes on, and comes to each of its sectors.
    let image = guest.folder().join("disk.qcow2");
    let all = u64::from(COUNT) * u64::from(STRIDE) * 512;
    wait_for_writes(&image, SystemTime::now(), all, FIRMWARE);
    guest.machine.power_off().unwrap();
    assert_sound(&image);
    let written = Written::read(&image, COUNT, STRIDE);
    written.assert_in_order();
    assert!(written.passes.last() > Some(&0), "{:?}", written.passes);
}

#[test]
fn a_guest_reset_at_any_moment_finds_its_disk_whole() {
    let guest = writer();
    let mut moments = Moments::new();
    // Within the firmware, where most of the time goes by, and one right after the other.
    for _ in 0..14 {
        moments.pass(1500);
        guest.machine.reset().unwrap();
    }
    // While the guest writes.
    for _ in 0..6 {
        guest.wait_for("writing", FIRMWARE);
        moments.pass(300);
        guest.machine.reset().unwrap();
        guest.wait_until("the firmware", FIRMWARE, |screen| {
            !screen.contains("writing")
        });
    }
    guest.wait_for("writing", FIRMWARE);
    moments.pass(300);
    guest.machine.power_off().unwrap();
    let image = guest.folder().join("disk.qcow2");
    assert_sound(&image);
    Written::read(&image, COUNT, STRIDE).assert_in_order();
}

#[test]
fn a_guest_switched_off_while_it_writes_leaves_its_disk_in_order() {
    let guest = writer();
    guest.wait_for("writing", FIRMWARE);
    Moments::new().pass(500);
    guest.machine.power_off().unwrap();
    let image = guest.folder().join("disk.qcow2");
    assert_sound(&image);
    Written::read(&image, COUNT, STRIDE).assert_in_order();
}
