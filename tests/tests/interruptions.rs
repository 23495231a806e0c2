//! A guest that writes to its disk is paused and reset at any moment: its disk is never torn.

use std::time::SystemTime;

use guesthouse_engine::machine::State;
use guesthouse_tests::guest::Guest;
use guesthouse_tests::image::{Written, assert_sound, wait_for_writes};
use guesthouse_tests::moments::Moments;

const FIRMWARE: u64 = 90;
/// How many sectors the guest writes over and over, and how far apart: each in a cluster of its own.
const COUNT: u16 = 32;
const STRIDE: u32 = 128;

#[test]
fn a_guest_paused_two_hundred_times_while_it_writes_loses_nothing() {
    let guest = Guest::writer(COUNT, STRIDE);
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
    let guest = Guest::writer(COUNT, STRIDE);
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
    let guest = Guest::writer(COUNT, STRIDE);
    guest.wait_for("writing", FIRMWARE);
    Moments::new().pass(500);
    guest.machine.power_off().unwrap();
    let image = guest.folder().join("disk.qcow2");
    assert_sound(&image);
    Written::read(&image, COUNT, STRIDE).assert_in_order();
}
