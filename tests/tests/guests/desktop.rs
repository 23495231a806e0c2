//! Debian on a disk, with systemd and X, as `build-aux/media-recipes/desktop.sh` makes it.

use guesthouse_engine::Definition;
use guesthouse_engine::definition::{Bus, Devices, Drive, ImageFormat};
use guesthouse_engine::disk;
use guesthouse_engine::machine::State;
use guesthouse_tests::guest::Guest;
use guesthouse_tests::image::assert_sound;
use guesthouse_tests::matrix::{Cell, Row};
use guesthouse_tests::media::gathered;
use guesthouse_tests::picture::Picture;

use super::Kind;
use super::linux::{BOOT, COMMAND};

/// A machine that starts from the disk.
pub fn machine(kind: Kind, mebibytes: u64, processors: u32) -> Definition {
    let mut definition = kind.with_medium("linux.iso", mebibytes, processors);
    definition.drives.clear();
    definition.drives.push(Drive {
        boot: Some(1),
        ..Drive::disk("disk.qcow2".into(), ImageFormat::Qcow2)
    });
    definition
}

fn start(kind: Kind, definition: Definition) -> Guest {
    kind.start(definition, |folder| {
        std::fs::copy(gathered("debian-desktop.qcow2"), folder.join("disk.qcow2")).unwrap();
    })
}

/// Whether the terminal stands on the desktop's plain background.
fn is_desktop(picture: &Picture) -> bool {
    let background = picture.share(picture.all(), |red, green, blue| {
        (red, green, blue) == (0x20, 0x50, 0x80)
    });
    let terminal = picture.share(picture.all(), |red, green, blue| red & green & blue == 255);
    background > 15 && terminal > 10
}

pub fn debian_desktop(kind: Kind) {
    let mut row = Row::new(
        "Debian 12 on a disk, with X",
        kind.name,
        &[
            Cell::Boots,
            Cell::Picture,
            Cell::Keyboard,
            Cell::Pointer,
            Cell::Disk,
            Cell::ShutsDown,
        ],
    );
    let mut definition = machine(kind, 1024, 2);
    if kind.is_virtio() {
        definition.devices = Devices {
            console: false,
            ..Devices::all()
        };
    }
    let guest = start(kind, definition);
    guest.wait_for_picture("the desktop", 2 * BOOT, 3, is_desktop);
    row.boots();
    row.works(Cell::Picture);
    guest.keep_screen("desktop");
    guest.type_text("echo typed in the terminal >/root/typed; sync\n");
    guest.log_in(BOOT);
    let mut typed = String::new();
    for _ in 0..30 {
        typed = guest.try_shell("cat /root/typed", COMMAND).1;
        if typed.contains("typed in the terminal") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_secs(2));
    }
    assert!(typed.contains("typed in the terminal"), "{typed}");
    row.works(Cell::Keyboard);
    row.works(Cell::Disk);
    guest.judge_kernel_messages(COMMAND);
    if kind.is_virtio() {
        follow_the_window(&guest);
    }

    // The background's menu, by the right button.
    let before = guest.wait_for_picture("a desktop that stands still", BOOT, 3, is_desktop);
    guest.right_click(before.width - 120, before.height - 160, BOOT);
    guest.wait_for_picture("the menu", COMMAND, 1, |picture| {
        picture.difference(&before, picture.part(60, 50, 100, 100)) > 2000
    });
    guest.keep_screen("menu");
    row.works(Cell::Pointer);

    guest.machine.shutdown().unwrap();
    assert_eq!(
        guest.wait_for_state(BOOT, |state| !state.is_alive()),
        State::Off
    );
    row.works(Cell::ShutsDown);
}

/// The screen takes the size that is asked for, once the guest's desktop does what it is told (this one needs to be told by hand).
fn follow_the_window(guest: &Guest) {
    for (width, height) in [(1000, 700), (1360, 850)] {
        assert!(
            guest.machine.ask_for_screen(width, height),
            "the guest has no driver for its graphics"
        );
        let preferred = format!("{width}x{height}");
        let modes = guest.shell(
            &format!(
                "export DISPLAY=:0; output=$(xrandr | sed -n 's/ connected.*//p'); for try in 1 2 3 4 5; do \
                 xrandr --output $output --preferred; xrandr | grep '{preferred} .*\\*' && break; sleep 1; done"
            ),
            COMMAND,
        );
        assert!(modes.contains(&preferred), "{modes}");
        guest.wait_for_picture("the new size", COMMAND, 2, |picture| {
            (picture.width, picture.height) == (width, height) && is_desktop(picture)
        });
        eprintln!("    screen of {preferred}");
    }
    guest.keep_screen("other-size");
}

/// fio writes and verifies a disk on each bus that the machine has: IDE or AHCI, and virtio, each as qcow2 and raw.
pub fn verified_disks(kind: Kind) {
    let mut definition = machine(kind, 1024, 2);
    for name in ["own.qcow2", "virtio.qcow2", "virtio.raw"] {
        let format = if name.ends_with("raw") {
            ImageFormat::Raw
        } else {
            ImageFormat::Qcow2
        };
        definition.drives.push(Drive::disk(name.into(), format));
    }
    (kind.change)(&mut definition);
    for drive in definition.drives.iter_mut().skip(2) {
        drive.bus = Bus::Virtio;
    }
    let guest = Guest::start(definition.clone(), |folder| {
        std::fs::copy(gathered("debian-desktop.qcow2"), folder.join("disk.qcow2")).unwrap();
        for drive in definition.drives.iter().skip(1) {
            disk::create_disk(&drive.path(folder).unwrap(), drive.format, 256 << 20).unwrap();
        }
    });
    guest.log_in(2 * BOOT);
    let disks = guest.shell(
        "root=$(findmnt -no SOURCE / | tr -d 0-9); ls /dev/[sv]d[a-z] | grep -v $root",
        COMMAND,
    );
    let disks: Vec<_> = disks.split_whitespace().collect();
    assert_eq!(disks.len(), 3, "{disks:?}");
    for name in disks {
        let said = guest.shell(
            &format!(
                "fio --name=verify --filename={name} --direct=1 --ioengine=libaio --iodepth=16 --rw=randwrite --bsrange=4k-128k \
                 --size=96M --verify=crc32c --verify_fatal=1 --verify_dump=0 --fsync=64 --minimal >/tmp/fio && echo verified"
            ),
            4 * COMMAND,
        );
        assert!(said.contains("verified"), "{name}: {said}");
        eprintln!("    {name} verified, {:.0} s", guest.age().as_secs_f64());
    }
    guest.judge_kernel_messages(COMMAND);
    guest.machine.shutdown().unwrap();
    assert_eq!(
        guest.wait_for_state(BOOT, |state| !state.is_alive()),
        State::Off
    );
    for name in ["own.qcow2", "virtio.qcow2"] {
        assert_sound(&guest.folder().join(name));
    }
}

/// stress-ng's workers for processors, memory, system calls, pipes, files and interrupts.
pub fn stress(kind: Kind) {
    let guest = start(kind, machine(kind, 1536, 4));
    guest.log_in(2 * BOOT);
    let minutes = super::strain::minutes();
    let report = guest.shell(
        &format!(
            "stress-ng --cpu 4 --vm 2 --vm-bytes 128M --pipe 2 --switch 2 --timer 2 --hdd 1 --hdd-bytes 64M --fork 2 --verify \
             --temp-path /var/tmp --timeout {minutes}m --metrics-brief"
        ),
        minutes * 60 + 2 * BOOT,
    );
    eprintln!("{report}");
    assert!(
        report.contains("passed: 15") || report.contains("successful run completed"),
        "{report}"
    );
    guest.judge_kernel_messages(COMMAND);
    guest.machine.shutdown().unwrap();
    assert_eq!(
        guest.wait_for_state(BOOT, |state| !state.is_alive()),
        State::Off
    );
}
