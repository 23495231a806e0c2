//! What a person changes of a machine in the Hardware view: one thing at a time, applied to a definition. Pure data.

use crate::model::{Clock, Definition, Generation, Name, NetworkCard, Processor};

/// Something that is started from: a drive or a network card, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bootable {
    /// A drive.
    Drive(usize),
    /// A network card.
    Card(usize),
}

/// A virtio device besides disks and network cards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    /// Keyboard and tablet.
    Input,
    /// Graphics.
    Graphics,
    /// Random numbers.
    Entropy,
    /// The memory balloon.
    Balloon,
}

/// A change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// It is called so.
    Name(Name),
    /// This operating system is in it.
    System(Option<String>),
    /// What is to be remembered of it.
    Notes(String),
    /// Processors in all.
    Processors(u32),
    /// Sockets.
    Sockets(u32),
    /// Threads of a core.
    Threads(u32),
    /// Virtual machines in the guest.
    Nested(bool),
    /// Memory in MiB.
    Memory(u64),
    /// The kind of computer; drives go to the buses that it has.
    Generation(Generation),
    /// Secure Boot.
    SecureBoot(bool),
    /// The firmware's menu.
    BootMenu(bool),
    /// What is started from, the first one first.
    Boot(Vec<Bootable>),
    /// What the clock shows.
    Clock(Clock),
    /// Has this device, or not.
    Device(Device, bool),
    /// A new network card at this switch.
    AddCard(String),
    /// Without this network card.
    RemoveCard(usize),
    /// This network card is so.
    Card(usize, NetworkCard),
}

impl Edit {
    /// `definition` with the change.
    pub fn apply(self, definition: &mut Definition) {
        match self {
            Self::Name(name) => definition.name = name,
            Self::System(system) => definition.operating_system = system,
            Self::Notes(notes) => definition.notes = notes,
            Self::Processors(count) => {
                let before = definition.processor;
                let sockets = before.topology().map_or(1, |topology| topology.sockets);
                definition.processor = put_together(before, count, sockets, before.threads);
            }
            Self::Sockets(sockets) => {
                let before = definition.processor;
                definition.processor = put_together(before, before.count, sockets, before.threads);
            }
            Self::Threads(threads) => {
                let before = definition.processor;
                let sockets = before.topology().map_or(1, |topology| topology.sockets);
                definition.processor = put_together(before, before.count, sockets, threads);
            }
            Self::Nested(on) => definition.processor.nested = on,
            Self::Memory(mebibytes) => definition.memory.mebibytes = mebibytes,
            Self::Generation(generation) => {
                *definition = definition.with_generation(generation).0;
            }
            Self::SecureBoot(on) => definition.firmware.secure_boot = on,
            Self::BootMenu(on) => definition.firmware.boot_menu = on,
            Self::Boot(order) => set_boot_order(definition, &order),
            Self::Clock(clock) => definition.clock = clock,
            Self::Device(device, on) => {
                let devices = &mut definition.devices;
                match device {
                    Device::Input => devices.input = on,
                    Device::Graphics => devices.graphics = on,
                    Device::Entropy => devices.entropy = on,
                    Device::Balloon => devices.balloon = on,
                }
            }
            Self::AddCard(switch) => definition.add_network_card(&switch),
            Self::RemoveCard(number) => definition.remove_network_card(number),
            Self::Card(number, wanted) => {
                if let Some(card) = definition.networks.get_mut(number) {
                    *card = wanted;
                }
            }
        }
    }
}

/// As before, but `count` processors in `sockets` sockets with `threads` threads a core, as far as the numbers fit one another: threads go
/// first, then sockets.
fn put_together(before: Processor, count: u32, sockets: u32, threads: u32) -> Processor {
    let threads = if threads == 2 && count.is_multiple_of(2) {
        2
    } else {
        1
    };
    let cores = (count / threads)
        .checked_div(sockets)
        .filter(|_| Processor::possible_sockets(count, threads).contains(&sockets));
    Processor {
        count,
        cores: cores.filter(|_| sockets > 1),
        threads,
        ..before
    }
}

/// What of the machine is started from, the first one first.
pub fn boot_order(definition: &Definition) -> Vec<Bootable> {
    let drives = definition.drives.iter().enumerate();
    let cards = definition.networks.iter().enumerate();
    let mut order: Vec<(u32, Bootable)> = drives
        .filter_map(|(number, drive)| Some((drive.boot?, Bootable::Drive(number))))
        .chain(cards.filter_map(|(number, card)| Some((card.boot?, Bootable::Card(number)))))
        .collect();
    order.sort_unstable();
    order.into_iter().map(|(_, one)| one).collect()
}

fn set_boot_order(definition: &mut Definition, order: &[Bootable]) {
    let place = |one: Bootable| {
        let place = order.iter().position(|other| *other == one)?;
        u32::try_from(place + 1).ok()
    };
    for (number, drive) in definition.drives.iter_mut().enumerate() {
        drive.boot = place(Bootable::Drive(number));
    }
    for (number, card) in definition.networks.iter_mut().enumerate() {
        card.boot = place(Bootable::Card(number));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Drive, ImageFormat, NAT};

    fn machine() -> Definition {
        let mut definition = Definition::new(Name::new("Test").unwrap());
        definition.drives = [Some(3), None, Some(1)]
            .map(|boot| Drive {
                boot,
                ..Drive::disk("a".into(), ImageFormat::Raw)
            })
            .to_vec();
        definition.add_network_card(NAT);
        definition
    }

    fn edited(edits: impl IntoIterator<Item = Edit>) -> Definition {
        let mut definition = machine();
        for edit in edits {
            edit.apply(&mut definition);
        }
        definition
    }

    #[test]
    fn drives_and_cards_are_tried_by_their_numbers() {
        use Bootable::{Card, Drive};
        let mut definition = machine();
        assert_eq!(boot_order(&definition), [Drive(2), Drive(0)]);
        let order = vec![Card(0), Drive(1), Drive(2)];
        Edit::Boot(order.clone()).apply(&mut definition);
        assert_eq!(boot_order(&definition), order);
        assert_eq!(definition.drives[0].boot, None);
    }

    #[test]
    fn processors_stay_a_computer_that_can_be() {
        let shape = |edits: Vec<Edit>| {
            let topology = edited(edits).processor.topology().unwrap();
            (topology.sockets, topology.cores, topology.threads)
        };
        use Edit::{Processors, Sockets, Threads};
        assert_eq!(shape(vec![Processors(8)]), (1, 8, 1));
        assert_eq!(shape(vec![Processors(8), Sockets(2)]), (2, 4, 1));
        assert_eq!(
            shape(vec![Processors(8), Sockets(2), Threads(2)]),
            (2, 2, 2)
        );
        // What fits no more goes.
        assert_eq!(
            shape(vec![Processors(8), Sockets(2), Threads(2), Processors(7)]),
            (1, 7, 1)
        );
        assert_eq!(shape(vec![Processors(6), Sockets(2)]), (1, 6, 1));
        assert_eq!(edited([Processors(4)]).processor.cores, None);
        assert!(edited([Edit::Nested(true), Processors(4)]).processor.nested);
    }

    #[test]
    fn cards_keep_their_addresses_when_another_goes() {
        let mut definition = edited([Edit::AddCard("lab".into())]);
        definition.networks[1].mac = None;
        let address = definition.mac_address(1);
        Edit::RemoveCard(0).apply(&mut definition);
        assert_eq!(definition.networks.len(), 1);
        assert_eq!(definition.mac_address(0), address);
        Edit::RemoveCard(7).apply(&mut definition);
        assert_eq!(definition.networks.len(), 1);
    }

    #[test]
    fn another_generation_takes_the_drives_along() {
        let definition = edited([Edit::Generation(Generation::Two), Edit::SecureBoot(true)]);
        assert!(definition.firmware.secure_boot);
        let host = crate::model::Host {
            processors: 4,
            memory: 8 << 30,
            available: 8 << 30,
            secure_boot: true,
        };
        assert!(definition.findings(&host).is_empty());
    }
}
