//! The machine as a whole: its name, processors, memory, firmware and clock.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Bus, Devices, Drive, NetworkCard};

/// The version of `machine.toml` that this program writes; it refuses newer ones.
pub const SCHEMA: u32 = 1;

/// Everything that makes a machine this machine. What a file leaves out has the value that [`Definition::new`] gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// The version of the file's schema: [`SCHEMA`].
    pub schema: u32,
    /// What people call it.
    pub name: Name,
    /// What it is called in tables that guests read (SMBIOS); never changes, new for a clone.
    pub uuid: Uuid,
    /// The operating system in it, as osinfo-db identifies it (`http://debian.org/debian/12`), if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operating_system: Option<String>,
    /// What people want to remember of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub notes: String,
    /// Which kind of computer it is.
    pub generation: Generation,
    /// Its processors.
    #[serde(default)]
    pub processor: Processor,
    /// Its main memory.
    #[serde(default)]
    pub memory: Memory,
    /// How it starts.
    #[serde(default)]
    pub firmware: Firmware,
    /// What its real-time clock shows.
    #[serde(default)]
    pub clock: Clock,
    /// Its virtio devices besides disks and network cards.
    #[serde(default, skip_serializing_if = "is_default")]
    pub devices: Devices,
    /// Its disks and optical drives, in the order they are connected.
    #[serde(default, rename = "drive", skip_serializing_if = "Vec::is_empty")]
    pub drives: Vec<Drive>,
    /// Its network cards.
    #[serde(default, rename = "network", skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<NetworkCard>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Definition {
    /// A machine called `name` with nothing in its drives: generation 1, one processor, 1 GiB of memory.
    pub fn new(name: Name) -> Self {
        Self {
            schema: SCHEMA,
            name,
            uuid: Uuid::new_v4(),
            operating_system: None,
            notes: String::new(),
            generation: Generation::One,
            processor: Processor::default(),
            memory: Memory::default(),
            firmware: Firmware::default(),
            clock: Clock::default(),
            devices: Devices::default(),
            drives: Vec::new(),
            networks: Vec::new(),
        }
    }
}

/// Why a name cannot be a machine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing but white space.
    #[error("a machine needs a name")]
    Empty,
    /// Too long.
    #[error("a name has at most 64 characters")]
    TooLong,
    /// A character that no name may have.
    #[error("a name cannot hold {0:?}")]
    Character(char),
    /// A name with a meaning of its own to file systems.
    #[error("a name cannot be '.' or '..'")]
    Dots,
}

/// A machine's name: 1 to 64 characters, no '/', no control characters, not '.' or '..', no white space at its ends. Two
/// machines of a library never have names that differ in case only.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// Takes `text` without the white space at its ends for a name.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.chars().count() > 64 {
            return Err(NameError::TooLong);
        }
        if let Some(character) = text
            .chars()
            .find(|character| *character == '/' || character.is_control())
        {
            return Err(NameError::Character(character));
        }
        if text == "." || text == ".." {
            return Err(NameError::Dots);
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `other` is the same name without regard to case.
    pub fn matches(&self, other: &str) -> bool {
        self.0.to_lowercase() == other.trim().to_lowercase()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        Self::new(&text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

/// The kind of computer, in Hyper-V's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Generation {
    /// A BIOS machine with the devices that every operating system knows.
    #[default]
    One,
    /// A UEFI machine without the devices of old.
    Two,
}

impl Generation {
    /// Its number, as people say it.
    pub fn number(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Two => 2,
        }
    }

    /// The one that people call `number`.
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::One),
            2 => Some(Self::Two),
            _ => None,
        }
    }

    /// What connects a drive that every operating system knows.
    pub fn compatible_bus(self) -> Bus {
        match self {
            Self::One => Bus::Ide,
            Self::Two => Bus::Sata,
        }
    }
}

impl Serialize for Generation {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.number())
    }
}

impl<'de> Deserialize<'de> for Generation {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u8::deserialize(deserializer)?;
        Self::from_number(number).ok_or_else(|| {
            serde::de::Error::custom(format!(
                "generation {number} is not one that this version can run; use 1 or 2"
            ))
        })
    }
}

/// The virtual processors. Unless it says otherwise they are the cores of one socket, a thread each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Processor {
    /// How many logical processors there are in all, 1 to the number the host has.
    pub count: u32,
    /// The cores of a socket; without it, there is one socket with all of them. It divides the cores there are, and with several
    /// sockets it is a power of two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores: Option<u32>,
    /// The threads of a core, 1 or 2. It divides `count`.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub threads: u32,
    /// Whether the guest can run virtual machines of its own (VMX, SVM), where the host's KVM lets it. Windows then puts its own
    /// protection below itself and gets slower.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub nested: bool,
}

fn one() -> u32 {
    1
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_one(number: &u32) -> bool {
    *number == 1
}

impl Default for Processor {
    fn default() -> Self {
        Self {
            count: 1,
            cores: None,
            threads: 1,
            nested: false,
        }
    }
}

/// How processors are put together, in numbers that fit one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Topology {
    /// The sockets of the machine.
    pub sockets: u32,
    /// The cores of a socket.
    pub cores: u32,
    /// The threads of a core.
    pub threads: u32,
}

impl Topology {
    /// A single processor.
    pub const ONE: Self = Self {
        sockets: 1,
        cores: 1,
        threads: 1,
    };
}

impl Processor {
    /// How they are put together; nothing if the numbers do not fit one another.
    pub fn topology(self) -> Option<Topology> {
        let threads = self.threads;
        if !(1..=2).contains(&threads) || self.count == 0 || !self.count.is_multiple_of(threads) {
            return None;
        }
        let all = self.count / threads;
        let cores = self.cores.unwrap_or(all);
        if cores == 0 || !all.is_multiple_of(cores) || (cores != all && !cores.is_power_of_two()) {
            return None;
        }
        Some(Topology {
            sockets: all / cores,
            cores,
            threads,
        })
    }

    /// The sockets that `count` processors can be put into with `threads` threads a core, fewest first.
    pub fn possible_sockets(count: u32, threads: u32) -> Vec<u32> {
        let fits = |sockets: &u32| {
            let cores = (count / threads.max(1)).checked_div(*sockets);
            let processor = Self {
                count,
                cores,
                threads,
                nested: false,
            };
            processor
                .topology()
                .is_some_and(|topology| topology.sockets == *sockets)
        };
        (1..=count).filter(fits).collect()
    }
}

/// The main memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Its size in MiB, 1 at least.
    pub mebibytes: u64,
}

impl Memory {
    /// The size in bytes.
    pub fn bytes(self) -> u64 {
        self.mebibytes.saturating_mul(1 << 20)
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self { mebibytes: 1024 }
    }
}

/// How the machine starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Firmware {
    /// Shows the firmware's boot menu for some seconds at each start (F12 or Esc there opens it).
    #[serde(default)]
    pub boot_menu: bool,
    /// Starts only what carries a signature that the firmware's keys vouch for (UEFI Secure Boot): generation 2 only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secure_boot: bool,
}

/// What the real-time clock shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    /// Coordinated universal time: what Linux and the BSDs expect.
    #[default]
    Utc,
    /// The host's local time: what Windows and DOS expect.
    Local,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_taken_and_refused() {
        assert_eq!(
            Name::new("  Debian 12 ").map(|name| name.as_str().to_owned()),
            Ok("Debian 12".to_owned())
        );
        assert!(Name::new("Ünï cödé").is_ok());
        for (text, error) in [
            ("", NameError::Empty),
            (" \t ", NameError::Empty),
            (&"x".repeat(65), NameError::TooLong),
            ("a/b", NameError::Character('/')),
            ("a\u{7}b", NameError::Character('\u{7}')),
            (".", NameError::Dots),
            ("..", NameError::Dots),
        ] {
            assert_eq!(Name::new(text), Err(error), "{text:?}");
        }
        assert!(Name::new("Debian").is_ok_and(|name| name.matches(" dEBIAN")));
    }

    #[test]
    fn a_definition_survives_its_file() {
        let mut definition = Definition::new(Name::new("Test").unwrap());
        definition.drives.push(Drive::disk(
            "disk.qcow2".into(),
            super::super::ImageFormat::Qcow2,
        ));
        definition
            .drives
            .push(Drive::optical(Some("/isos/debian.iso".into())));
        definition.devices.balloon = true;
        let text = toml::to_string(&definition).unwrap();
        assert_eq!(
            toml::from_str::<Definition>(&text).unwrap(),
            definition,
            "{text}"
        );
    }

    #[test]
    fn processors_are_put_together_where_the_numbers_fit() {
        let topology = |count, cores, threads| {
            let processor = Processor {
                count,
                cores,
                threads,
                ..Processor::default()
            };
            let topology = processor.topology()?;
            Some((topology.sockets, topology.cores, topology.threads))
        };
        for (count, cores, threads, expected) in [
            (1, None, 1, Some((1, 1, 1))),
            (6, None, 1, Some((1, 6, 1))),
            (6, None, 2, Some((1, 3, 2))),
            (8, Some(4), 1, Some((2, 4, 1))),
            (8, Some(2), 2, Some((2, 2, 2))),
            (6, Some(6), 1, Some((1, 6, 1))),
            // Sockets of three cores would leave gaps in the processors' numbers.
            (6, Some(3), 1, None),
            (6, Some(4), 1, None),
            (3, None, 2, None),
            (4, Some(0), 1, None),
            (4, None, 0, None),
            (4, None, 3, None),
            (0, None, 1, None),
            (u32::MAX, Some(u32::MAX), 1, Some((1, u32::MAX, 1))),
        ] {
            assert_eq!(
                topology(count, cores, threads),
                expected,
                "{count} {cores:?} {threads}"
            );
        }
        assert_eq!(Processor::possible_sockets(8, 1), [1, 2, 4, 8]);
        assert_eq!(Processor::possible_sockets(6, 1), [1, 3, 6]);
        assert_eq!(Processor::possible_sockets(6, 2), [1, 3]);
        assert_eq!(Processor::possible_sockets(3, 2), [0; 0]);
    }

    #[test]
    fn a_short_file_is_enough_and_a_wrong_generation_is_named() {
        let text = "schema = 1\nname = \"a\"\nuuid = \"6f0c7f5e-2f86-4bd8-9a0d-6c1b8f7d9e11\"\ngeneration = 1\n";
        let definition: Definition = toml::from_str(text).unwrap();
        assert_eq!(definition.memory.mebibytes, 1024);
        let error = toml::from_str::<Definition>(&text.replace("generation = 1", "generation = 3"))
            .unwrap_err();
        assert!(error.to_string().contains("generation 3"), "{error}");
    }
}
