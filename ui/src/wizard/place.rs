//! A survey of where the new machine will be: the host, the names and images that are taken, and the room on disk.

use std::path::{Path, PathBuf};

use crate::model::{Host, Machines, media};

use super::draft::Place;

/// The magic number by which statfs names FAT.
const FAT: u64 = 0x4d44;

/// Looks around. What cannot be found out counts as no obstacle.
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
    let known: Vec<_> = entries
        .iter()
        .filter_map(|entry| Some((&entry.folder, entry.content.as_ref().ok()?)))
        .collect();
    let mut images = Vec::new();
    for (folder, definition) in &known {
        let disks = definition.drives.iter().filter(|drive| !drive.read_only);
        let files = disks.filter_map(|drive| drive.file.as_ref());
        images.extend(files.map(|file| (folder.join(file), definition.name.clone())));
    }
    let (free, small_files) = room(machines.folder());
    Place {
        host,
        names: known
            .iter()
            .map(|(_, definition)| definition.name.clone())
            .collect(),
        images,
        free,
        small_files,
        systems: media::operating_systems(),
    }
}

/// Free bytes where `folder` is or will be, and whether files there end at 4 GiB.
fn room(folder: &Path) -> (Option<u64>, bool) {
    let existing: Option<PathBuf> = folder
        .ancestors()
        .find(|folder| folder.exists())
        .map(Path::to_owned);
    let Some(folder) = existing else {
        return (None, false);
    };
    let free = rustix::fs::statvfs(&folder).ok();
    let free = free.map(|space| space.f_bavail.saturating_mul(space.f_frsize));
    let kind = rustix::fs::statfs(&folder).ok();
    (
        free,
        kind.is_some_and(|kind| u64::try_from(kind.f_type).is_ok_and(|kind| kind == FAT)),
    )
}
