//! A survey of where the new machine will be: the host, the names and images that are taken, and the room on disk.

use crate::model::{Entry, Host, Machines, Name, Space, operating_systems};

use super::draft::Place;

/// Looks around; what cannot be found out counts as no obstacle. For a worker.
pub fn survey(machines: &Machines) -> Place {
    let host = Host::inspect().unwrap_or_else(|error| {
        tracing::warn!(%error, "the host's memory is not known");
        Host {
            processors: u32::MAX,
            memory: u64::MAX,
            available: u64::MAX,
        }
    });
    let entries = machines.scan().unwrap_or_else(|error| {
        tracing::warn!(%error, "the library cannot be read");
        Vec::new()
    });
    let mut names = Vec::new();
    let mut images = Vec::new();
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
    }
    let space = Space::of(machines.folder()).ok();
    Place {
        host,
        names,
        images,
        free: space.map(|space| space.available),
        largest_file: space.and_then(|space| space.largest_file),
        systems: operating_systems().systems(),
    }
}
