//! The engine under strain: loads, restarts, pauses at any moment, several machines. GUESTHOUSE_STRAIN_MINUTES is how long a load lasts (10).

use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use guesthouse_engine::machine::State;
use guesthouse_tests::guest::Guest;
use guesthouse_tests::image::assert_sound;
use guesthouse_tests::matrix::{Cell, Row};

use super::Kind;
use super::linux::{BOOT, COMMAND, disk_name, with_disk};

/// How long a load lasts.
pub fn minutes() -> u64 {
    let set = std::env::var("GUESTHOUSE_STRAIN_MINUTES").ok();
    set.and_then(|minutes| minutes.parse().ok()).unwrap_or(10)
}

pub fn twenty_restarts(kind: Kind) {
    let mut row = Row::new(
        "Linux 6.1, twenty restarts",
        kind.name,
        &[Cell::Boots, Cell::Reboots, Cell::ShutsDown],
    );
    let guest = kind.start(kind.with_medium("linux.iso", 256, 2), |_| {});
    guest.wait_for_serial("guest login: ", BOOT);
    row.boots();
    for number in 1..=20 {
        guest.log_in_since_restart(COMMAND);
        let before = guest.serial_mark();
        // By turns: the keyboard controller, a triple fault, ACPI's register, the machine's button.
        if number % 4 == 0 {
            guest.machine.reset().unwrap();
        } else {
            guest.send_serial("reboot -f\n");
        }
        guest.wait_for_serial_since(before, "guest login: ", BOOT);
        eprintln!("    restart {number}, {:.0} s", guest.age().as_secs_f64());
    }
    row.works(Cell::Reboots);
    guest.log_in_since_restart(COMMAND);
    guest.judge_kernel_messages(COMMAND);
    guest.send_serial("poweroff -f\n");
    assert_eq!(
        guest.wait_for_state(COMMAND, |state| !state.is_alive()),
        State::Off
    );
    row.works(Cell::ShutsDown);
}

/// Work for each of four processors: processes come and go, memory is filled, files are packed, pipes are written, the disk is too.
const LOAD: &str = "for worker in 1 2 3 4; do ( ( while [ -e /tmp/load ]; do \
    head -c 4m /dev/urandom | gzip | gunzip | sha256sum >/dev/null; \
    for number in $(seq 60); do /bin/true; done; \
    dd if=/dev/zero of=/tmp/fill$worker bs=64k count=100 2>/dev/null; rm /tmp/fill$worker; \
    cp /bin/busybox /mnt/copy$worker; sync; cmp /bin/busybox /mnt/copy$worker || echo broken >>/tmp/broken; \
    echo $worker >>/tmp/rounds; \
    done; echo >>/tmp/ended ) & ); done";

pub fn four_processors_under_load(kind: Kind) {
    let mut row = Row::new(
        "Linux 6.1, four processors under load",
        kind.name,
        &[Cell::Boots, Cell::Disk, Cell::ShutsDown],
    );
    let (definition, prepare) = with_disk(kind, 768, 4);
    let guest = kind.start(definition, prepare);
    guest.log_in(BOOT);
    row.boots();
    let disk = disk_name(&guest);
    guest.shell(
        &format!("mke2fs {disk} && mount -t ext4 {disk} /mnt"),
        COMMAND,
    );
    guest.shell("touch /tmp/load", COMMAND);
    guest.shell(LOAD, COMMAND);
    let end = Instant::now() + Duration::from_secs(minutes() * 60);
    let mut rounds = 0;
    while Instant::now() < end {
        std::thread::sleep(Duration::from_secs(30));
        let now: u64 = guest
            .shell("wc -l </tmp/rounds 2>/dev/null || echo 0", 2 * COMMAND)
            .trim()
            .parse()
            .unwrap();
        eprintln!(
            "    {now} rounds of load, {:.0} s",
            guest.age().as_secs_f64()
        );
        rounds = now;
    }
    assert!(rounds > 0, "the load goes on");
    guest.shell(
        "rm /tmp/load; until [ \"$(wc -l </tmp/ended)\" = 4 ]; do sleep 1; done 2>/dev/null; umount /mnt; [ ! -e /tmp/broken ]",
        4 * COMMAND,
    );
    guest.judge_kernel_messages(COMMAND);
    guest.send_serial("poweroff -f\n");
    assert_eq!(
        guest.wait_for_state(COMMAND, |state| !state.is_alive()),
        State::Off
    );
    row.works(Cell::ShutsDown);
    assert_clean(&guest);
    row.works(Cell::Disk);
}

pub fn a_thousand_pauses_while_the_disk_is_written(kind: Kind) {
    let mut row = Row::new(
        "Linux 6.1, a thousand pauses",
        kind.name,
        &[Cell::Boots, Cell::Disk, Cell::ShutsDown],
    );
    let (definition, prepare) = with_disk(kind, 512, 2);
    let guest = kind.start(definition, prepare);
    guest.log_in(BOOT);
    row.boots();
    let disk = disk_name(&guest);
    guest.shell(
        &format!("mke2fs {disk} && mount -t ext4 {disk} /mnt"),
        COMMAND,
    );
    guest.shell(
        "head -c 2m /dev/urandom >/tmp/source; touch /tmp/load",
        COMMAND,
    );
    guest.shell(
        "( ( while [ -e /tmp/load ]; do for number in 1 2 3 4; do cp /tmp/source /mnt/$number; sync; \
         cmp /tmp/source /mnt/$number || echo broken >>/tmp/broken; rm /mnt/$number; echo >>/tmp/rounds; done; done; echo >>/tmp/ended ) & )",
        COMMAND,
    );
    // Moments that nobody chose: xorshift, seeded by the clock, the seed told for when the test fails.
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    let mut moment = u64::from(now.subsec_nanos()) | 1;
    eprintln!("    seed {moment}");
    let mut pass = |most: u64| {
        moment ^= moment << 13;
        moment ^= moment >> 7;
        moment ^= moment << 17;
        std::thread::sleep(Duration::from_micros(moment % (most * 1000)));
    };
    for _ in 0..1000 {
        pass(120);
        guest.machine.pause().unwrap();
        assert_eq!(guest.machine.state(), State::Paused { reason: None });
        pass(20);
        guest.machine.resume().unwrap();
    }
    eprintln!("    1000 pauses, {:.0} s", guest.age().as_secs_f64());
    let rounds = guest.shell("wc -l </tmp/rounds", COMMAND);
    assert!(rounds.trim().parse::<u64>().unwrap() > 0, "{rounds}");
    guest.shell(
        "rm /tmp/load; until [ -e /tmp/ended ]; do sleep 1; done; umount /mnt; [ ! -e /tmp/broken ]",
        4 * COMMAND,
    );
    guest.judge_kernel_messages(COMMAND);
    guest.send_serial("poweroff -f\n");
    assert_eq!(
        guest.wait_for_state(COMMAND, |state| !state.is_alive()),
        State::Off
    );
    row.works(Cell::ShutsDown);
    assert_clean(&guest);
    row.works(Cell::Disk);
}

/// The image is sound, and the file system on it clean by e2fsck's judgement.
fn assert_clean(guest: &Guest) {
    let image = guest.folder().join("disk.qcow2");
    assert_sound(&image);
    let raw = guest.folder().join("disk.raw");
    let converted = Command::new("qemu-img")
        .args(["convert", "-O", "raw"])
        .args([&image, &raw])
        .status()
        .unwrap();
    assert!(converted.success());
    let check = Command::new("e2fsck")
        .arg("-fn")
        .arg(&raw)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&check.stdout);
    assert!(check.status.success(), "{said}");
}

pub fn eight_machines_at_once(kind: Kind) {
    let mut row = Row::new(
        "Linux 6.1, eight machines at once",
        kind.name,
        &[Cell::Boots, Cell::ShutsDown],
    );
    let guests: Vec<Guest> = (0..8)
        .map(|_| kind.start(kind.with_medium("linux.iso", 160, 1), |_| {}))
        .collect();
    for guest in &guests {
        guest.wait_for_serial("guest login: ", 4 * BOOT);
        guest.log_in_since_restart(4 * COMMAND);
    }
    row.boots();
    for (number, guest) in guests.iter().enumerate() {
        guest.shell(&format!("echo machine {number} >/tmp/name"), 4 * COMMAND);
    }
    for (number, guest) in guests.iter().enumerate() {
        let name = guest.shell("cat /tmp/name", 4 * COMMAND);
        assert_eq!(name.trim(), format!("machine {number}"));
        guest.judge_kernel_messages(4 * COMMAND);
    }
    for guest in &guests {
        guest.machine.shutdown().unwrap();
    }
    for guest in &guests {
        let state = guest.wait_for_state(4 * COMMAND, |state| !state.is_alive());
        assert_eq!(state, State::Off);
    }
    row.works(Cell::ShutsDown);
}
