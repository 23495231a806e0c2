//! Operating systems as osinfo-db describes them: what they are called, what they need, how their media are recognised.
//!
//! The data is read from the XML files of osinfo-db once per process, when it is first asked for. Without osinfo-db machines
//! work all the same: media are then not recognised, and people fill the wizard's fields themselves.

mod database;
mod parser;
pub mod suited;
#[cfg(test)]
mod tests;

pub use database::{Database, operating_systems};

use crate::definition::{Clock, Devices};

/// An amount of each thing that a system wants of a machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resources {
    /// Main memory, in bytes.
    pub memory: Option<u64>,
    /// Processors.
    pub processors: Option<u32>,
    /// Room on the disk, in bytes.
    pub storage: Option<u64>,
}

impl Resources {
    fn is_empty(self) -> bool {
        self == Self::default()
    }
}

/// Which paravirtual devices a system has drivers for, as it comes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drivers {
    /// The disk of virtio 1.0.
    pub virtio_block: bool,
    /// The network card of virtio 1.0.
    pub virtio_network: bool,
    /// The other devices, but for the console, which is nobody's without an end for it.
    pub others: Devices,
}

/// An operating system.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OperatingSystem {
    /// What identifies it: `http://debian.org/debian/12`.
    pub id: String,
    /// A short name for commands: `debian12`.
    pub short_id: String,
    /// What people call it: `Debian 12`.
    pub name: String,
    /// Its version: `12`; empty when there are none.
    pub version: String,
    /// Who makes it.
    pub vendor: String,
    /// Its kind: `linux`, `winnt`, `win9x`, `win16`, `dos`, `freebsd`, `openbsd`, `netbsd`, and others. With the distribution
    /// it tells which picture stands for it.
    pub family: String,
    /// Its distribution: `debian`, `win`, `freedos`; empty when it has no siblings.
    pub distribution: String,
    /// When it came out, as `2023-06-10`, if that is known.
    pub released: Option<String>,
    /// Less than this and it does not run.
    pub minimum: Resources,
    /// With this it runs well.
    pub recommended: Resources,
    /// Whether it starts from a BIOS on a PC.
    pub bios: bool,
    /// Whether it is said to start from UEFI on a PC.
    pub uefi: bool,
    /// The paravirtual devices that it can use.
    pub drivers: Drivers,
}

/// What the wizard fills in for a machine with some operating system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Defaults {
    /// Main memory, in MiB.
    pub memory_mebibytes: u64,
    /// Processors.
    pub processors: u32,
    /// The size of a new disk, in bytes.
    pub disk: u64,
    /// What the real-time clock shows.
    pub clock: Clock,
}

impl Defaults {
    /// For an operating system that is not known: what a desktop Linux runs well with.
    pub const UNKNOWN: Self = Self {
        memory_mebibytes: 2048,
        processors: 2,
        disk: 20 << 30,
        clock: Clock::Utc,
    };
}

impl OperatingSystem {
    /// What a machine for it gets: what is recommended, but not less than the minimum, and what its family wants where neither
    /// is known.
    pub fn defaults(&self) -> Defaults {
        const MEBIBYTE: u64 = 1 << 20;
        let family = self.family_defaults();
        let most = |recommended: Option<u64>, minimum: Option<u64>| recommended.max(minimum);
        let memory = most(self.recommended.memory, self.minimum.memory)
            .map(|bytes| bytes.div_ceil(MEBIBYTE));
        // Recommendations reach into the hundreds: they are what a system can use, not what it wants.
        let processors = self
            .recommended
            .processors
            .map_or(family.processors, |count| count.min(2))
            .max(self.minimum.processors.unwrap_or(1));
        let disk = most(self.recommended.storage, self.minimum.storage)
            .map(|bytes| bytes.next_multiple_of(MEBIBYTE));
        Defaults {
            memory_mebibytes: memory.unwrap_or(family.memory_mebibytes).max(1),
            processors,
            disk: disk.unwrap_or(family.disk),
            clock: family.clock,
        }
    }

    fn family_defaults(&self) -> Defaults {
        let (memory_mebibytes, processors, disk, clock) = match self.family.as_str() {
            "dos" | "win16" => (32, 1, 1 << 30, Clock::Local),
            "win9x" => (256, 1, 8 << 30, Clock::Local),
            "winnt" => (4096, 2, 64 << 30, Clock::Local),
            _ => return Defaults::UNKNOWN,
        };
        Defaults {
            memory_mebibytes,
            processors,
            disk,
            clock,
        }
    }
}

/// A disc's own words, which tell what is on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct DiscIdentity<'a> {
    pub(super) volume: &'a str,
    pub(super) system: &'a str,
    pub(super) publisher: &'a str,
    pub(super) application: &'a str,
    /// The size of the volume, in bytes.
    pub(super) size: u64,
}

/// An operating system's disc that was recognised.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recognised<'a> {
    pub(super) system: &'a OperatingSystem,
    /// The processors it is for, as osinfo-db calls them: `x86_64`, `i686`, `aarch64`, `all`.
    pub(super) architecture: &'a str,
    /// Whether it runs from the disc.
    pub(super) live: bool,
}
