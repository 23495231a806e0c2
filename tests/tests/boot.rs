//! Generation 1 machines on this host's own KVM: firmware, boot media, keyboard, disk, resets.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use guesthouse_engine::definition::{Bus, CardModel, Drive, Forward, ImageFormat, NAT, Protocol};
use guesthouse_engine::disk;
use guesthouse_engine::hypervisor::check_host;
use guesthouse_engine::machine::State;
use guesthouse_tests::guest::{Guest, with_medium};
use guesthouse_tests::media::{el_torito, gathered, program};

/// How long a firmware may take on a host that emulates every instruction.
const FIRMWARE: u64 = 60;

#[test]
fn a_small_medium_boots_and_hears_the_keyboard() {
    let guest = Guest::boot(&el_torito(
        "SMALL",
        &program::echo("Guesthouse says hello: "),
    ));
    guest.wait_for("Guesthouse says hello:", FIRMWARE);
    guest.type_text("Key 7!");
    guest.wait_for("hello: Key 7!", 10);
    assert!(
        guest
            .machine
            .log()
            .iter()
            .any(|line| line.contains("SeaBIOS (version")),
        "the firmware's own log is in the machine's"
    );

    guest.machine.pause().unwrap();
    assert_eq!(guest.machine.state(), State::Paused { reason: None });
    guest.type_text("x");
    guest.machine.resume().unwrap();
    guest.wait_for("hello: Key 7!x", 10);

    guest.machine.reset().unwrap();
    guest.wait_until("the screen of the firmware", FIRMWARE, |screen| {
        !screen.contains("Key 7!")
    });
    guest.wait_for("Guesthouse says hello:", FIRMWARE);
    guest.machine.power_off().unwrap();
    assert_eq!(guest.machine.state(), State::Off);
    let screen = std::fs::read(guest.folder().join(guesthouse_engine::snapshot::SCREEN)).unwrap();
    assert!(screen.starts_with(b"\x89PNG") && screen.len() < 100_000);
}

#[test]
fn a_machine_with_network_cards_boots_and_they_are_changed_while_it_runs() {
    let medium = el_torito("CARDS", &program::echo("Guesthouse says hello: "));
    let mut definition = with_medium(Path::new("medium.iso"));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for model in CardModel::ALL {
        definition.add_network_card(NAT);
        definition.networks.last_mut().unwrap().model = Some(model);
    }
    definition.networks[0].forwards = vec![Forward::new(Protocol::Tcp, port, 22)];
    let library = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir_in(library.path()).unwrap();
    std::fs::write(folder.path().join("medium.iso"), medium).unwrap();
    let guest = Guest::start_in(folder, definition.clone());
    // A port that somebody has keeps no machine from starting.
    let cards = guest.machine.networks();
    assert!(cards.iter().all(|card| card.connected), "{cards:?}");
    let error = cards[0].forwards[0].error.clone().unwrap();
    assert!(error.contains("in use"), "{error}");
    guest.wait_for("Guesthouse says hello:", 3 * FIRMWARE);
    drop(taken);
    let mut card = definition.networks[0].clone();
    guest.machine.change_network(0, &card).unwrap();
    assert_eq!(guest.machine.networks()[0].forwards[0].error, None);
    assert!(TcpListener::bind(("127.0.0.1", port)).is_err());
    card.switch = "nowhere".to_owned();
    guest.machine.change_network(0, &card).unwrap();
    let error = guest.machine.networks()[0].error.clone().unwrap();
    assert!(error.contains("nowhere"), "{error}");
    guest.machine.pause().unwrap();
    guest.machine.resume().unwrap();
    guest.machine.reset().unwrap();
    guest.wait_for("Guesthouse says hello:", 3 * FIRMWARE);
    guest.machine.power_off().unwrap();
    assert!(guest.machine.networks().is_empty());
}

#[test]
fn a_disk_that_the_guest_wrote_boots_and_survives() {
    a_disk_boots_and_survives(Bus::Ide);
}

#[test]
fn a_virtio_disk_that_the_guest_wrote_boots_and_survives() {
    a_disk_boots_and_survives(Bus::Virtio);
}

fn a_disk_boots_and_survives(bus: Bus) {
    let sector = program::boot_sector("from the disk ");
    let medium = el_torito("WRITER", &program::write_boot_sector(&sector));
    let mut definition = with_medium("medium.iso".as_ref());
    definition.drives.insert(
        0,
        Drive {
            boot: Some(2),
            bus,
            ..Drive::disk("disk.qcow2".into(), ImageFormat::Qcow2)
        },
    );
    let guest = Guest::start(definition, |folder| {
        std::fs::write(folder.join("medium.iso"), &medium).unwrap();
        disk::create_disk(&folder.join("disk.qcow2"), ImageFormat::Qcow2, 1 << 30).unwrap();
    });
    guest.wait_for("written", FIRMWARE);
    // Without the medium, the disk is next in the boot order.
    guest.machine.eject(0, true).unwrap();
    guest.press("enter");
    guest.wait_for("from the disk", FIRMWARE);
    guest.machine.reset().unwrap();
    guest.wait_until("the firmware", FIRMWARE, |screen| {
        !screen.contains("from the disk")
    });
    guest.wait_for("from the disk", FIRMWARE);
    guest.machine.power_off().unwrap();

    let image = guest.folder().join("disk.qcow2");
    let check = Command::new("qemu-img")
        .arg("check")
        .arg(&image)
        .output()
        .unwrap();
    assert!(
        check.status.success(),
        "{}",
        String::from_utf8_lossy(&check.stdout)
    );
    let expected = guest.folder().join("expected.raw");
    std::fs::write(&expected, &sector).unwrap();
    std::fs::File::options()
        .write(true)
        .open(&expected)
        .unwrap()
        .set_len(1 << 30)
        .unwrap();
    let compare = Command::new("qemu-img")
        .args(["compare", "-f", "raw", "-F", "qcow2"])
        .args([&expected, &image])
        .output()
        .unwrap();
    assert!(
        compare.status.success(),
        "{}",
        String::from_utf8_lossy(&compare.stdout)
    );
}

#[test]
fn grub_shows_its_menu_and_takes_commands() {
    let guest = Guest::start(with_medium(&gathered("grub-rescue.iso")), |_| {});
    guest.wait_for("The highlighted entry", 180);
    // GRUB lets interrupts in for moments only. On KVM-PVM keys get lost there, with QEMU as well: what counts is that they come
    // through at all and do what they should. It may take minutes.
    guest.press_until("c", 400, |screen| screen.contains("grub>"));
    guest.press_until("x", 400, |screen| {
        screen
            .lines()
            .any(|line| line.starts_with("grub> ") && line.ends_with('x'))
    });
    guest.keep_screen("grub");
}

#[test]
fn isolinux_shows_its_prompt_or_the_host_is_named_as_the_cause() {
    let guest = Guest::start(with_medium(&gathered("isolinux.iso")), |_| {});
    if check_host().unwrap().emulated {
        // ISOLINUX takes interrupts in protected mode. KVM-PVM cannot return from them (IRET), so that whether it comes to its
        // prompt is a matter of luck; where not, the machine must say what happened.
        let state = guest.wait_for_state(FIRMWARE, |state| {
            !state.is_alive() || guest.screen().contains("boot:")
        });
        if let State::Crashed { reason } = state {
            assert!(
                reason.contains("(bytes cf") && reason.contains("KVM-PVM"),
                "{reason}"
            );
            return;
        }
    }
    guest.wait_for("boot:", FIRMWARE);
    guest.keep_screen("isolinux");
}
