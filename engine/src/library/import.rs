//! Machines made of what other programs made: hard disks in any format that can be read, and whole machines packed up as OVA or
//! OVF. What is imported is copied; the files that it came from are only read.

use std::path::{Path, PathBuf};

use super::create::{Unfinished, check_disk_name, write_definition};
use super::{Library, LibraryError, NewDisk, StoredMachine};
use crate::definition::{Generation, Host, ImageFormat, Name};
use crate::disk::create_disk;
use crate::disk::formats::ova::{Appliance, ApplianceDisk};
use crate::disk::tools::{self, Job, Source, TargetFormat, ToolError, convert_into, import_disk};
use crate::media::{Database, OperatingSystem};

/// A disk of a machine to be made, with what is in another image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedDisk {
    /// Its name, without any folder; a drive of the definition refers to it.
    pub file: PathBuf,
    /// Its format.
    pub format: ImageFormat,
    /// What it is copied from.
    pub from: Original,
}

/// What a disk is copied from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Original {
    /// An image, with all that it is based on.
    Image(Source),
    /// A disk of a machine that was packed up.
    Packed(Box<Appliance>, ApplianceDisk),
}

impl CopiedDisk {
    fn make(&self, folder: &Path, job: &Job<'_>) -> Result<(), ToolError> {
        let target = folder.join(&self.file);
        let format = match self.format {
            ImageFormat::Raw => TargetFormat::Raw,
            ImageFormat::Qcow2 => TargetFormat::QCOW2,
        };
        let unfinished = tools::Unfinished::new(&target)?;
        match &self.from {
            Original::Image(source) => convert_into(source, unfinished, format, false, job),
            Original::Packed(appliance, disk) => {
                import_disk(appliance, disk, unfinished, format, false, job)
            }
        }
    }
}

impl Library {
    /// Makes the machine `definition` with new, empty `disks` and with `copies` of others in its folder. Killed at any time, it
    /// leaves the machine or nothing.
    ///
    /// # Errors
    /// When the name is taken, a disk cannot be made or read, there is no space, or the job is cancelled; nothing is left behind.
    pub fn create_with(
        &self,
        definition: &crate::Definition,
        disks: &[NewDisk],
        copies: &[CopiedDisk],
        job: &Job<'_>,
    ) -> Result<StoredMachine, LibraryError> {
        let unfinished = {
            let _lock = self.lock()?;
            self.check_name(&definition.name, None)?;
            Unfinished::new(self)?
        };
        for disk in disks {
            check_disk_name(&disk.file)?;
            create_disk(
                &unfinished.folder().join(&disk.file),
                disk.format,
                disk.size,
            )?;
        }
        for copy in copies {
            check_disk_name(&copy.file)?;
            copy.make(unfinished.folder(), job)
                .map_err(|error| self.in_place(error, unfinished.folder()))?;
        }
        write_definition(unfinished.folder(), definition)?;
        let _lock = self.lock()?;
        unfinished.publish(self, &definition.name)
    }

    /// Has an error about a file in a folder that goes away name the library's folder instead.
    pub(crate) fn in_place(&self, error: ToolError, unfinished: &Path) -> ToolError {
        match error {
            ToolError::NoSpace { file } if file.starts_with(unfinished) => ToolError::NoSpace {
                file: self.folder().to_owned(),
            },
            other => other,
        }
    }
}

/// What a machine that was packed up is as one of this host's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// Its name, if it has one that machines can have.
    pub name: Option<Name>,
    /// Its operating system, if what its maker calls it is known.
    pub system: Option<OperatingSystem>,
    /// Which kind of computer it is.
    pub generation: Generation,
    /// Its processors, if the file says.
    pub processors: Option<u32>,
    /// Its memory in MiB, if the file says.
    pub memory_mebibytes: Option<u64>,
    /// Whether it has a network card.
    pub network: bool,
    /// What it will be without or otherwise than the file says, as sentences.
    pub notes: Vec<String>,
}

impl Suggestion {
    /// For `appliance` on `host`; `systems` are the operating systems that are known.
    pub fn new(appliance: &Appliance, host: &Host, systems: &Database) -> Self {
        let mut notes = Vec::new();
        let called = appliance.operating_system.as_deref();
        let system = called.and_then(|called| systems.called(called)).cloned();
        match (called, &system) {
            (Some(called), None) => notes.push(format!(
                "The file calls its operating system “{called}”, which is not known; choose it if it is in the list."
            )),
            (None, None) => notes.push(
                "The file does not say which operating system it has; choose it if it is in the list.".to_owned(),
            ),
            _ => {}
        }
        let processors = appliance.processors.map(|count| {
            let most = host.processors.max(1);
            if count > most {
                notes.push(format!(
                    "It had {count} processors; this computer has {most}."
                ));
            }
            count.clamp(1, most)
        });
        let memory_mebibytes = appliance.memory.map(|bytes| {
            if bytes > host.memory {
                notes.push(format!(
                    "It had {} MiB of memory, which is more than this computer has.",
                    bytes >> 20
                ));
            }
            (bytes.min(host.memory / 2) >> 20).max(1)
        });
        if appliance.networks > 1 {
            notes.push(format!(
                "It had {} network cards; the new machine has one, and others can be added.",
                appliance.networks
            ));
        }
        if appliance.disks.is_empty() {
            notes.push("There is no disk in the file.".to_owned());
        }
        let generation = if appliance.uefi {
            Generation::Two
        } else {
            Generation::One
        };
        Self {
            name: appliance.name.as_deref().and_then(usable_name),
            system,
            generation,
            processors,
            memory_mebibytes,
            network: appliance.networks > 0,
            notes,
        }
    }
}

/// `text` with what no machine's name can have left out or made a space.
pub fn usable_name(text: &str) -> Option<Name> {
    let text: String = text
        .chars()
        .map(|character| match character {
            '/' => ' ',
            character if character.is_control() => ' ',
            character => character,
        })
        .take(64)
        .collect();
    Name::new(&text).ok()
}

/// The copies of an appliance's disks, called disk-1.qcow2 and so on, disk.qcow2 if there is one only.
pub fn copies_of(appliance: &Appliance) -> Vec<CopiedDisk> {
    let several = appliance.disks.len() > 1;
    appliance
        .disks
        .iter()
        .enumerate()
        .map(|(number, disk)| CopiedDisk {
            file: if several {
                format!("disk-{}.qcow2", number + 1).into()
            } else {
                "disk.qcow2".into()
            },
            format: ImageFormat::Qcow2,
            from: Original::Packed(Box::new(appliance.clone()), disk.clone()),
        })
        .collect()
}
