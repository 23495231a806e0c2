//! Whole operating systems on machines of every kind. Their kernels need hardware virtualization, so they run by `make test-guests`: in the
//! nested rig where the host's KVM emulates them. How long a step may take is the end of hope, not a measurement.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

mod alpine;
mod debian;
mod desktop;
mod devices;
mod firmware;
mod installation;
mod linux;
mod network;
mod strain;
mod tables;
mod uefi;

use std::path::Path;

use guesthouse_engine::Definition;
use guesthouse_engine::definition::{Bus, Drive, DriveKind, Generation, ImageFormat, Name};
use guesthouse_tests::guest::{Guest, with_medium};
use guesthouse_tests::media::gathered;

/// A kind of machine: its generation and what its disks, media and network hang on.
#[derive(Clone, Copy)]
struct Kind {
    /// As the table of guests calls it.
    name: &'static str,
    /// Makes a machine of this kind of one that is as the wizard would make it for generation 1.
    change: fn(&mut Definition),
}

const GENERATION_1: Kind = Kind {
    name: "1",
    change: |_| {},
};

const GENERATION_2: Kind = Kind {
    name: "2",
    change: |definition| *definition = definition.with_generation(Generation::Two).0,
};

/// With its disks on virtio.
const GENERATION_1_VIRTIO: Kind = Kind {
    name: "1, virtio",
    change: on_virtio,
};

const GENERATION_2_VIRTIO: Kind = Kind {
    name: "2, virtio",
    change: |definition| {
        (GENERATION_2.change)(definition);
        on_virtio(definition);
    },
};

fn on_virtio(definition: &mut Definition) {
    for drive in &mut definition.drives {
        if drive.kind == DriveKind::Disk {
            drive.bus = Bus::Virtio;
        }
    }
}

impl Kind {
    /// Whether its machines start by UEFI, and their screens are in graphics from the beginning.
    fn is_uefi(self) -> bool {
        self.empty(64, 1).generation == Generation::Two
    }

    /// Whether its machines have paravirtual devices where they can.
    fn is_virtio(self) -> bool {
        self.name.ends_with("virtio")
    }

    /// A machine with `mebibytes` of memory and `processors`, and nothing in it.
    fn empty(self, mebibytes: u64, processors: u32) -> Definition {
        let mut definition = Definition::new(Name::new("test").unwrap());
        definition.memory.mebibytes = mebibytes;
        definition.processor.count = processors;
        (self.change)(&mut definition);
        definition
    }

    /// A machine with `mebibytes` of memory and `processors`, which starts from the gathered medium `name`.
    fn with_medium(self, name: &str, mebibytes: u64, processors: u32) -> Definition {
        let mut definition = with_medium(&gathered(name));
        definition.memory.mebibytes = mebibytes;
        definition.processor.count = processors;
        definition
    }

    /// Starts the machine of this kind that `definition` describes for generation 1 with IDE.
    fn start(self, mut definition: Definition, prepare: impl FnOnce(&Path)) -> Guest {
        (self.change)(&mut definition);
        Guest::start(definition, prepare)
    }
}

/// Adds a disk that the machine does not start from.
fn add_disk(definition: &mut Definition, file: impl AsRef<Path>, format: ImageFormat) {
    definition
        .drives
        .push(Drive::disk(file.as_ref().to_owned(), format));
}

/// Lets each kind of machine run its tests, so that a new kind is a line.
macro_rules! on {
    ($($kind:ident = $constant:ident: [$($module:ident::$test:ident),* $(,)?];)*) => {$(
        mod $kind {$(
            #[test]
            #[ignore = "boots a whole operating system: make test-guests"]
            fn $test() {
                super::$module::$test(super::$constant);
            }
        )*}
    )*};
}

on! {
    generation_1 = GENERATION_1: [
        firmware::grub,
        firmware::ipxe,
        firmware::memtest86,
        firmware::isolinux,
        linux::linux_from_a_cd,
        linux::linux_from_a_disk,
        devices::every_device,
        tables::tables,
        network::linux_on_e1000,
        network::linux_on_virtio,
        network::ipxe_on_e1000,
        network::ipxe_on_virtio,
        network::two_at_a_private_switch,
        network::much_and_many,
        network::network_boot,
        alpine::alpine,
        debian::debian_installer_in_text_mode,
        debian::debian_installer_in_graphics,
        desktop::debian_desktop,
        desktop::verified_disks,
        desktop::stress,
        installation::debian_installed,
        strain::twenty_restarts,
        strain::four_processors_under_load,
        strain::a_thousand_pauses_while_the_disk_is_written,
        strain::eight_machines_at_once,
    ];
    generation_2 = GENERATION_2: [
        uefi::shell,
        uefi::variables_survive,
        uefi::a_boot_entry_survives,
        linux::linux_from_a_cd,
        linux::linux_from_a_disk,
        devices::every_device,
        tables::tables,
        network::linux_on_e1000,
        network::linux_on_virtio,
        alpine::alpine,
        debian::debian_installer_in_graphics,
        desktop::debian_desktop,
        desktop::verified_disks,
    ];
    generation_2_virtio = GENERATION_2_VIRTIO: [
        installation::debian_installed,
        linux::linux_from_a_cd,
        linux::linux_from_a_disk,
        desktop::debian_desktop,
        uefi::secure_boot,
    ];
    generation_1_virtio = GENERATION_1_VIRTIO: [
        linux::linux_from_a_cd,
        linux::linux_from_a_disk,
        alpine::alpine,
        desktop::debian_desktop,
        strain::a_thousand_pauses_while_the_disk_is_written,
    ];
}
