//! The firmware of generation 2 machines: its shell, its variables, and what it starts from disks and media.

use guesthouse_engine::definition::{Drive, Host, ImageFormat};
use guesthouse_engine::machine::{Machine, StartOptions, State};
use guesthouse_tests::guest::Guest;
use guesthouse_tests::matrix::{Cell, Row};
use guesthouse_tests::media::gathered;

use super::Kind;
use super::linux::{BOOT, COMMAND};

pub fn shell(kind: Kind) {
    let mut row = Row::new(
        "UEFI shell of OVMF",
        kind.name,
        &[Cell::Boots, Cell::Picture, Cell::Keyboard, Cell::ShutsDown],
    );
    let guest = Guest::start(kind.empty(256, 1), |_| {});
    guest.wait_for_serial("Shell>", 900);
    row.boots();
    let picture = guest.wait_for_picture("the shell", 60, 1, |picture| {
        (picture.width, picture.height) == (1280, 800)
            && picture.share(picture.part(18, 25, 23, 28), |red, green, blue| {
                red > 200 && green > 200 && blue < 100
            }) > 5
    });
    row.works(Cell::Picture);
    guest.keep_screen("shell");
    guest.type_text("pci\n");
    guest.wait_for_serial("Serial ATA controller", 120);
    assert_ne!(guest.picture(), picture);
    row.works(Cell::Keyboard);
    guest.keep_screen("pci");
    guest.type_text("reset -s\n");
    assert_eq!(
        guest.wait_for_state(120, |state| !state.is_alive()),
        State::Off
    );
    row.works(Cell::ShutsDown);
}

/// A variable that the guest sets is there after a power cycle, and after the power went away without a word.
pub fn variables_survive(kind: Kind) {
    let definition = kind.empty(256, 1);
    let guest = Guest::start(definition.clone(), |_| {});
    guest.wait_for_serial("Shell>", 900);
    guest.type_text("set -v nothing 1\nset kept yes\n");
    guest.type_text("set kept\n");
    guest.wait_for_serial("kept = yes", 120);
    let folder = guest.into_folder();
    let guest = Guest::start_in(folder, definition);
    guest.wait_for_serial("Shell>", 900);
    guest.type_text("set\n");
    guest.wait_for_serial("kept = yes", 120);
    assert!(!guest.serial().contains("nothing ="), "a volatile variable");
    guest.keep_screen("kept");
}

/// A boot entry that Linux makes is there after a power cycle, and the firmware starts by it. The disk is one that a BIOS starts too.
pub fn a_boot_entry_survives(kind: Kind) {
    let mut definition = kind.empty(512, 1);
    definition
        .drives
        .push(Drive::disk("disk.raw".into(), ImageFormat::Raw));
    for drive in &mut definition.drives {
        drive.bus = definition.generation.compatible_bus();
    }
    let guest = Guest::start(definition.clone(), |folder| {
        std::fs::copy(gathered("linux-disk.img"), folder.join("disk.raw")).unwrap();
    });
    guest.log_in(BOOT);
    let entries = guest.shell("efibootmgr", COMMAND);
    assert!(entries.contains("BootCurrent"), "{entries}");
    let made = guest.shell(
        "efibootmgr --create --disk /dev/sda --part 1 --label 'Guesthouse test' --loader '\\EFI\\BOOT\\BOOTX64.EFI'",
        COMMAND,
    );
    let number = entry(&guest, &made);
    guest.judge_kernel_messages(COMMAND);
    guest.send_serial("poweroff -f\n");
    assert_eq!(
        guest.wait_for_state(COMMAND, |state| !state.is_alive()),
        State::Off
    );
    let guest = Guest::start_in(guest.into_folder(), definition);
    guest.log_in(BOOT);
    let entries = guest.shell("efibootmgr --verbose", COMMAND);
    assert_eq!(entry(&guest, &entries), number, "{entries}");
    assert!(
        entries.contains(&format!("BootCurrent: {number}")),
        "{entries}"
    );
}

/// The number of our entry in what efibootmgr says.
fn entry(guest: &Guest, entries: &str) -> String {
    let ours = entries.lines().find_map(|line| {
        let (number, label) = line.strip_prefix("Boot")?.split_at_checked(4)?;
        label.contains("Guesthouse test").then(|| number.to_owned())
    });
    ours.unwrap_or_else(|| guest.fail(&format!("no entry: {entries}")))
}

/// Tells the rig's system of a firmware that knows Secure Boot and comes without keys, as the Flatpak's: Debian 13's does not know it.
fn describe_firmware() {
    let file = |name| serde_json::json!({"filename": gathered(name), "format": "raw"});
    let descriptor = serde_json::json!({
        "description": "UEFI firmware with Secure Boot, without keys",
        "interface-types": ["uefi"],
        "mapping": {
            "device": "flash",
            "executable": file("secure-boot-code.fd"),
            "nvram-template": file("secure-boot-variables.fd"),
        },
        "targets": [{"architecture": "x86_64", "machines": ["pc-q35-*"]}],
        "features": ["secure-boot"],
        "tags": [],
    });
    let folder = std::path::Path::new("/etc/qemu/firmware");
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("90-secure-boot.json"), descriptor.to_string()).unwrap();
}

/// With Secure Boot, what Debian's signatures vouch for starts, and the kernel knows that it is on. Without a firmware for it nothing does.
pub fn secure_boot(kind: Kind) {
    let mut definition = kind.with_medium("linux.iso", 512, 1);
    (kind.change)(&mut definition);
    definition.firmware.secure_boot = true;
    if std::env::var_os("GUESTHOUSE_RIG").is_some() {
        describe_firmware();
    }
    if !Host::inspect().unwrap().secure_boot {
        // No build of the firmware here has it: nothing may start as if it had.
        let folder = tempfile::tempdir().unwrap();
        let started = Machine::start(&definition, folder.path(), StartOptions::default());
        let refused = started.err().map(|error| error.to_string());
        eprintln!("    {refused:?}");
        assert!(refused.is_some_and(|reason| reason.contains("Secure Boot")));
        return;
    }
    let mut row = Row::new(
        "Linux 6.1, signed, by Secure Boot; what nobody signed is refused",
        kind.name,
        &[Cell::Boots, Cell::Cd],
    );
    let guest = Guest::start(definition.clone(), |_| {});
    guest.log_in(BOOT);
    row.boots();
    row.works(Cell::Cd);
    let messages = guest.judge_kernel_messages(COMMAND);
    assert!(
        messages.contains("secureboot: Secure boot enabled"),
        "{messages}"
    );
    drop(guest);

    // The medium of a boot loader that nobody signed does not start.
    definition.drives[0].file = Some(gathered("ipxe-efi.iso"));
    let guest = Guest::start(definition, |_| {});
    guest.wait_for_serial("Access Denied", BOOT);
    guest.keep_screen("refused");
}
