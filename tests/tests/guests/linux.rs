//! The small Linux of `build-aux/media-recipes/linux.sh`: Debian's kernel with all its drivers, worked on the screen and by the serial line.

use guesthouse_engine::Definition;
use guesthouse_engine::definition::{Drive, ImageFormat};
use guesthouse_engine::disk;
use guesthouse_engine::machine::State;
use guesthouse_tests::guest::Guest;
use guesthouse_tests::matrix::{Cell, Row};
use guesthouse_tests::media::gathered;

use super::{Kind, add_disk};

/// How long a boot may take on a busy computer.
pub const BOOT: u64 = 1800;
/// How long a small command may take.
pub const COMMAND: u64 = 300;

/// A machine that starts it from the CD, with an empty disk of 1 GiB.
pub fn with_disk(
    kind: Kind,
    mebibytes: u64,
    processors: u32,
) -> (Definition, impl Fn(&std::path::Path)) {
    let mut definition = kind.with_medium("linux.iso", mebibytes, processors);
    add_disk(&mut definition, "disk.qcow2", ImageFormat::Qcow2);
    (definition, |folder: &std::path::Path| {
        disk::create_disk(&folder.join("disk.qcow2"), ImageFormat::Qcow2, 1 << 30).unwrap();
    })
}

/// The name of the first disk.
pub fn disk_name(guest: &Guest) -> String {
    let names = guest.shell("cd /sys/block && echo [sv]d[a-z]", COMMAND);
    let name = names.split_whitespace().find(|name| !name.contains('['));
    let Some(name) = name else {
        guest.fail(&format!("no disk: {names}"))
    };
    format!("/dev/{name}")
}

/// Sees to it that the console's text can be read off the screen.
pub fn read_screen(guest: &Guest) {
    if guest.machine.screen_text().is_none() {
        guest.learn_font(COMMAND);
    }
}

/// Sees to it that text can be read off screens in graphics, for guests whose consoles are and that do not help: one that does is asked before.
pub fn learn_to_read(kind: Kind) {
    // GRUB on UEFI has too little of 256 MiB for the kernel, on other computers too.
    let guest = kind.start(kind.with_medium("linux.iso", 512, 1), |_| {});
    guest.log_in(BOOT);
    read_screen(&guest);
}

pub fn linux_from_a_cd(kind: Kind) {
    let mut row = Row::new(
        "Linux 6.1 in memory, from a CD",
        kind.name,
        &[
            Cell::Boots,
            Cell::Picture,
            Cell::Keyboard,
            Cell::Pointer,
            Cell::Disk,
            Cell::Cd,
            Cell::Reboots,
            Cell::ShutsDown,
        ],
    );
    let (definition, prepare) = with_disk(kind, 512, 2);
    let guest = kind.start(definition, prepare);
    guest.wait_for_serial("guest login: ", BOOT);
    row.boots();
    guest.log_in(COMMAND);
    read_screen(&guest);
    guest.wait_for("guest login:", COMMAND);
    row.works(Cell::Picture);
    guest.type_text("root\n");
    guest.wait_for("#", COMMAND);
    guest.type_text("echo $((6 * 7)) on $(tty)\n");
    guest.wait_for("42 on /dev/tty1", COMMAND);
    row.works(Cell::Keyboard);
    guest.keep_screen("screen");

    let messages = guest.judge_kernel_messages(COMMAND);
    assert!(messages.contains("Brought up 1 node, 2 CPUs"), "{messages}");

    guest.shell("( head -c 9 /dev/input/mice >/tmp/mouse & )", COMMAND);
    for _ in 0..9 {
        guest.move_mouse(2, 1);
    }
    let moved = guest.shell("sleep 5; hexdump -C /tmp/mouse", COMMAND);
    // Three bytes a movement: buttons and signs, to the right, up.
    assert!(
        moved.contains("08 02 ff") || moved.contains("28 02 ff"),
        "{moved}"
    );
    row.works(Cell::Pointer);

    let sum = |text: String| text.split_whitespace().next().unwrap_or("").to_owned();
    guest.shell("mkdir -p /cd; mount -t iso9660 -o ro /dev/sr0 /cd", COMMAND);
    let read = sum(guest.shell("sha256sum /cd/kernel", COMMAND));
    let output = std::process::Command::new("sha256sum")
        .arg(gathered("linux-kernel"))
        .output()
        .unwrap();
    assert_eq!(read, sum(String::from_utf8(output.stdout).unwrap()));
    row.works(Cell::Cd);

    let disk = disk_name(&guest);
    guest.shell(
        &format!("mke2fs {disk} && mount -t ext4 {disk} /mnt"),
        COMMAND,
    );
    guest.shell("head -c 48m /dev/urandom >/mnt/file && sync", 2 * COMMAND);
    let written = sum(guest.shell("sha256sum /mnt/file", COMMAND));
    guest.shell("umount /mnt; echo 3 >/proc/sys/vm/drop_caches", COMMAND);
    guest.shell(&format!("mount -t ext4 {disk} /mnt"), COMMAND);
    assert_eq!(sum(guest.shell("sha256sum /mnt/file", COMMAND)), written);
    guest.shell("umount /mnt", COMMAND);
    row.works(Cell::Disk);
    guest.judge_kernel_messages(COMMAND);

    let before = guest.serial_mark();
    guest.send_serial("reboot\n");
    guest.wait_for_serial_since(before, "guest login: ", BOOT);
    row.works(Cell::Reboots);
    guest.machine.shutdown().unwrap();
    assert_eq!(
        guest.wait_for_state(BOOT, |state| !state.is_alive()),
        State::Off
    );
    row.works(Cell::ShutsDown);
}

pub fn linux_from_a_disk(kind: Kind) {
    let mut row = Row::new(
        "Linux 6.1 in memory, from a disk",
        kind.name,
        &[Cell::Boots, Cell::Picture, Cell::Disk],
    );
    let mut definition = kind.with_medium("linux.iso", 512, 1);
    definition.drives.clear();
    definition.drives.push(Drive {
        boot: Some(1),
        ..Drive::disk("disk.raw".into(), ImageFormat::Raw)
    });
    let guest = kind.start(definition, |folder| {
        std::fs::copy(gathered("linux-disk.img"), folder.join("disk.raw")).unwrap();
    });
    guest.wait_for_serial("guest login: ", BOOT);
    row.boots();
    guest.log_in(COMMAND);
    read_screen(&guest);
    guest.wait_for("guest login:", COMMAND);
    row.works(Cell::Picture);
    guest.judge_kernel_messages(COMMAND);
    let disk = disk_name(&guest);
    guest.shell(&format!("mount -t vfat {disk}1 /mnt && cmp /mnt/kernel /mnt/kernel && touch /mnt/written && umount /mnt"), COMMAND);
    row.works(Cell::Disk);
}
