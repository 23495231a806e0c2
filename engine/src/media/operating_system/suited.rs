//! What connects a machine's drives, what its network cards are and what else it has, chosen for the operating system in it: on
//! generation 2 paravirtual devices where the system comes with drivers for them, else those that every system of the generation
//! knows.

use super::{Drivers, OperatingSystem};
use crate::definition::{Bus, CardModel, Definition, Devices, DriveKind, Generation};

/// Connects the drives and chooses the network cards and other devices of `definition` for `system`, or for one that is not known. An optical
/// drive is always one that installers and firmware know.
pub fn connect(definition: &mut Definition, system: Option<&OperatingSystem>) {
    let compatible = definition.generation.compatible_bus();
    let drivers = match definition.generation {
        Generation::One => Drivers::default(),
        Generation::Two => system.map_or_else(Drivers::default, |system| system.drivers),
    };
    for drive in &mut definition.drives {
        drive.bus = match drive.kind {
            DriveKind::Disk if drivers.virtio_block => Bus::Virtio,
            DriveKind::Disk | DriveKind::Optical => compatible,
        };
    }
    definition.devices = Devices {
        console: definition.devices.console,
        ..drivers.others
    };
    let card = if drivers.virtio_network {
        CardModel::Virtio
    } else {
        CardModel::E1000
    };
    for network in &mut definition.networks {
        if network.model(definition.generation) != card {
            network.model = Some(card);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::{Drive, ImageFormat, Name};

    fn connected(generation: Generation, drivers: Option<Drivers>) -> (Bus, Bus, CardModel) {
        let mut definition = Definition::new(Name::new("a").unwrap());
        definition.generation = generation;
        definition.drives = vec![
            Drive::disk("disk.qcow2".into(), ImageFormat::Qcow2),
            Drive::optical(None),
        ];
        definition.add_network_card("nat");
        let system = drivers.map(|drivers| OperatingSystem {
            drivers,
            ..OperatingSystem::default()
        });
        connect(&mut definition, system.as_ref());
        let bus = |number: usize| definition.drives[number].bus;
        (bus(0), bus(1), definition.networks[0].model(generation))
    }

    #[test]
    fn generation_2_has_what_the_system_has_drivers_for() {
        let all = Drivers {
            virtio_block: true,
            virtio_network: true,
            others: Devices {
                console: false,
                ..Devices::all()
            },
        };
        let none = Drivers::default();
        for (generation, drivers, expected) in [
            (
                Generation::One,
                Some(all),
                (Bus::Ide, Bus::Ide, CardModel::E1000),
            ),
            (
                Generation::One,
                None,
                (Bus::Ide, Bus::Ide, CardModel::E1000),
            ),
            (
                Generation::Two,
                Some(all),
                (Bus::Virtio, Bus::Sata, CardModel::Virtio),
            ),
            (
                Generation::Two,
                Some(none),
                (Bus::Sata, Bus::Sata, CardModel::E1000),
            ),
            (
                Generation::Two,
                None,
                (Bus::Sata, Bus::Sata, CardModel::E1000),
            ),
        ] {
            assert_eq!(
                connected(generation, drivers),
                expected,
                "{generation:?} {drivers:?}"
            );
        }
    }
}
