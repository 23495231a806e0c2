//! A survey of where the new machine will be: the host, the names and images that are taken, and the room on disk.

use crate::model::{
    Entry, Host, Machines, NAT, Name, Space, Switches, check_uefi, operating_systems,
};
use crate::text;

use super::draft::{Place, Preferred};

/// Looks around; what cannot be found out counts as no obstacle. For a worker.
pub fn survey(machines: &Machines) -> Place {
    let host = Host::inspect().unwrap_or_else(|error| {
        tracing::warn!(%error, "the host's memory is not known");
        Host {
            processors: u32::MAX,
            memory: u64::MAX,
            available: u64::MAX,
            secure_boot: true,
        }
    });
    let entries = machines.scan().unwrap_or_else(|error| {
        tracing::warn!(%error, "the library cannot be read");
        Vec::new()
    });
    let mut names = Vec::new();
    let mut images = Vec::new();
    let mut forwards = Vec::new();
    for entry in &entries {
        names.extend(Name::new(&entry.title()));
        let Entry::Machine(machine) = entry else {
            continue;
        };
        let disks = machine.definition.drives.iter();
        for path in
            disks.filter_map(|drive| drive.path(&machine.folder).filter(|_| !drive.read_only))
        {
            images.push((path, machine.definition.name.clone()));
        }
        for card in &machine.definition.networks {
            let name = &machine.definition.name;
            forwards.extend(card.forwards.iter().map(|forward| (*forward, name.clone())));
        }
    }
    let space = Space::of(machines.folder()).ok();
    Place {
        host,
        names,
        images,
        free: space.map(|space| space.available),
        largest_file: space.and_then(|space| space.largest_file),
        systems: operating_systems().systems(),
        no_uefi: check_uefi()
            .err()
            .map(|problem| text::translated(&format!("{} {}", problem.cause, problem.remedy))),
        switches: switches(machines),
        forwards,
        preferred: Preferred::default(),
    }
}

/// The switches beside the NAT that every library has.
fn switches(machines: &Machines) -> Vec<String> {
    let listed = Switches::of_library(machines.folder()).list();
    let names = listed.unwrap_or_else(|error| {
        tracing::warn!(%error, "the virtual switches are not known");
        Vec::new()
    });
    let names = names.into_iter().map(|switch| switch.name);
    names.filter(|name| name != NAT).collect()
}
