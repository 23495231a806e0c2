//! Every device that a machine can have besides network cards, under Linux's own drivers: each is found, does what it is for, and leaves the
//! kernel without a complaint.

use guesthouse_engine::definition::{Bus, Devices, Drive, ImageFormat};
use guesthouse_engine::disk;
use guesthouse_engine::input::{Buttons, InputEvent};
use guesthouse_engine::machine::State;
use guesthouse_tests::guest::Guest;

use super::Kind;
use super::linux::{BOOT, COMMAND};

/// Writes and reads a disk without the guest's cache, in small pieces and large ones, then by a file system, and gives what it no longer needs
/// back.
const CHECK_DISK: &str = "\
    head -c 16m /dev/urandom >/tmp/data && want=$(sha256sum </tmp/data) && dd if=/tmp/data of=$disk bs=1M oflag=direct 2>/dev/null && \
    for blocks in 512,1024 4k,1024 64k,256 1M,16; do \
        size=${blocks%,*}; dd if=/dev/zero of=$disk bs=$size count=${blocks#*,} oflag=direct 2>/tmp/said && \
        dd if=/tmp/data of=$disk bs=$size count=${blocks#*,} oflag=direct 2>/tmp/said && \
        got=$(dd if=$disk bs=1M count=16 iflag=direct 2>/dev/null | sha256sum) && \
        [ \"$got\" = \"$want\" ] || { cat /tmp/said; echo \"blocks of $size: $got\"; exit 1; }; \
    done && \
    mke2fs $disk >/dev/null && mount -t ext4 $disk /mnt && \
    for number in 1 2 3 4; do cp /tmp/data /mnt/$number & done; wait; sync; \
    for number in 1 2 3 4; do [ \"$(sha256sum </mnt/$number)\" = \"$want\" ] || { echo \"file $number\"; exit 1; }; done && \
    umount /mnt && rm /tmp/data && \
    { [ $discard = no ] || { blkdiscard $disk && dd if=$disk bs=1M count=16 iflag=direct 2>/dev/null | cmp -n 16777216 - /dev/zero; }; }";

pub fn every_device(kind: Kind) {
    let mut definition = kind.with_medium("linux.iso", 512, 2);
    for (file, format) in [
        ("one.qcow2", ImageFormat::Qcow2),
        ("other.raw", ImageFormat::Raw),
    ] {
        definition.drives.push(Drive::disk(file.into(), format));
    }
    (kind.change)(&mut definition);
    // One disk by the bus that everybody knows, one by virtio.
    definition.drives[2].bus = Bus::Virtio;
    definition.devices = Devices::all();
    let guest = Guest::start(definition, |folder| {
        disk::create_disk(&folder.join("one.qcow2"), ImageFormat::Qcow2, 1 << 30).unwrap();
        disk::create_disk(&folder.join("other.raw"), ImageFormat::Raw, 1 << 30).unwrap();
    });
    guest.wait_for_serial("guest login: ", BOOT);
    guest.log_in(COMMAND);

    disks(&guest);
    random_numbers(&guest);
    balloon(&guest);
    console(&guest);
    input(&guest);

    guest.judge_kernel_messages(COMMAND);
    guest.machine.shutdown().unwrap();
    assert_eq!(
        guest.wait_for_state(BOOT, |state| !state.is_alive()),
        State::Off
    );
}

fn disks(guest: &Guest) {
    for disk in ["/dev/sda", "/dev/vda"] {
        guest.shell(
            &format!("disk={disk}; discard=no; [ $(cat /sys/block/${{disk#/dev/}}/queue/discard_max_bytes) = 0 ] || discard=yes; ( {CHECK_DISK} )"),
            3 * COMMAND,
        );
        eprintln!(
            "    {disk} reads what was written, {:.0} s",
            guest.age().as_secs_f64()
        );
    }
    let told = guest.shell("cat /sys/block/vda/queue/discard_max_bytes", COMMAND);
    assert_ne!(told.trim(), "0", "virtio disks take discards");
}

fn random_numbers(guest: &Guest) {
    let current = guest.shell("cat /sys/class/misc/hw_random/rng_current", COMMAND);
    assert!(current.contains("virtio"), "{current}");
    let read = || {
        guest.shell(
            "dd if=/dev/hwrng bs=64 count=4 2>/dev/null | sha256sum",
            COMMAND,
        )
    };
    assert_ne!(read(), read());
}

fn balloon(guest: &Guest) {
    let free = || -> u64 {
        let said = guest.shell("grep MemFree /proc/meminfo", COMMAND);
        said.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let wait = |what: &str, reached: &dyn Fn(u64) -> bool| {
        let mut now = free();
        for _ in 0..60 {
            if reached(now) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_secs(1));
            now = free();
        }
        guest.fail(&format!("{what}: {now} KiB are free"));
    };
    let before = free();
    let taken = 96 << 10;
    guest.machine.set_balloon(taken << 10).unwrap();
    wait("memory given back", &|now| now + taken * 3 / 4 < before);
    guest.machine.set_balloon(0).unwrap();
    wait("memory taken again", &|now| now + taken / 4 > before);
}

fn console(guest: &Guest) {
    let console = guest.console.as_ref().unwrap();
    guest.shell("( head -n 1 </dev/hvc0 >/tmp/heard & )", COMMAND);
    guest.shell(
        "stty -F /dev/hvc0 -echo; echo from the guest >/dev/hvc0",
        COMMAND,
    );
    console.send("from the host\n");
    guest.shell(
        "for turn in $(seq 100); do [ -s /tmp/heard ] && break; sleep 0.2; done; grep -q 'from the host' /tmp/heard",
        COMMAND,
    );
    assert!(
        console.text().contains("from the guest"),
        "{}",
        console.text()
    );
}

fn input(guest: &Guest) {
    assert!(
        guest.machine.pointer_is_absolute(),
        "the tablet's driver is up"
    );
    let listen = |name: &str, file: &str| {
        guest.shell(
            &format!(
                "event=$(grep -A 5 'Name=\"{name}\"' /proc/bus/input/devices | grep -o 'event[0-9]*' | head -n 1) && \
                 ( evtest /dev/input/$event >{file} 2>&1 & ) && for turn in $(seq 100); do grep -q Testing {file} && break; sleep 0.2; done"
            ),
            COMMAND,
        );
    };
    listen("Guesthouse tablet", "/tmp/tablet");
    listen("Guesthouse keyboard", "/tmp/keyboard");
    for (x, y) in [(0x4000, 0x2000), (0x8000, 0x6000)] {
        let buttons = Buttons::default();
        guest.machine.input(InputEvent::Position { x, y, buttons });
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    guest.press("a");
    for (file, wanted) in [
        ("/tmp/tablet", "ABS_X), value 16384"),
        ("/tmp/tablet", "ABS_Y), value 12288"),
        ("/tmp/keyboard", "KEY_A), value 1"),
        ("/tmp/keyboard", "KEY_A), value 0"),
    ] {
        guest.shell(
            &format!(
                "for turn in $(seq 100); do grep -q '{wanted}' {file} && break; sleep 0.2; done; grep -q '{wanted}' {file} || {{ tail -n 20 {file}; exit 1; }}"
            ),
            COMMAND,
        );
    }
    guest.shell("killall evtest", COMMAND);
}
