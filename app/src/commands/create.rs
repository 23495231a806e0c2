//! Makes a machine from what the command line says, and from what its medium tells where the command line says nothing.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use guesthouse_engine::definition::{
    CardModel, Clock, Definition, Drive, Generation, Host, ImageFormat, Name, Severity, UNPLUGGED,
};
use guesthouse_engine::disk::tools::Source;
use guesthouse_engine::library::{CopiedDisk, Library, NewDisk, Original};
use guesthouse_engine::media::operating_system::suited;
use guesthouse_engine::media::{self, Defaults, MediumKind, Verdict};
use guesthouse_engine::network::Switches;

use crate::command_line::{CardChoice, ClockChoice, Create};
use crate::output::warn;
use crate::size;

/// The hard disk that the command line asks for.
enum Disk {
    New(u64),
    Existing(PathBuf, ImageFormat),
    Copy(PathBuf),
    None,
}

/// What the image at `path` is, by its content: chosen once, here, by the person who brings the file.
fn format(path: &Path) -> anyhow::Result<ImageFormat> {
    let medium = media::inspect_path(path)?;
    match medium.kind {
        MediumKind::Qcow2 => Ok(ImageFormat::Qcow2),
        MediumKind::RawDisk(_) | MediumKind::Unknown => Ok(ImageFormat::Raw),
        MediumKind::Optical | MediumKind::Foreign(_) => bail!(
            "{} is not a disk image that a machine can use; give the machine a copy with --copy-disk",
            path.display()
        ),
    }
}

fn disk(text: Option<&str>, copy: bool, defaults: &Defaults) -> anyhow::Result<Disk> {
    match text {
        None => Ok(Disk::New(defaults.disk)),
        Some("none") => Ok(Disk::None),
        Some(text) => match size::parse(text) {
            // A file of that name would be meant by "./20G".
            Ok(bytes) => Ok(Disk::New(bytes)),
            Err(_) => {
                let path = std::fs::canonicalize(text).with_context(|| {
                    format!("{text:?} is neither a size, such as 20G, nor an image file that can be opened")
                })?;
                if copy {
                    return Ok(Disk::Copy(path));
                }
                let format = format(&path)?;
                Ok(Disk::Existing(path, format))
            }
        },
    }
}

/// Makes the machine.
///
/// # Errors
/// What is wrong with what was asked for; nothing is left behind.
pub fn create(library: &Library, command: &Create, as_json: bool) -> anyhow::Result<()> {
    let mut definition = Definition::new(Name::new(&command.name)?);
    if let Some(generation) = Generation::from_number(command.generation) {
        definition.generation = generation;
    }
    definition.firmware.secure_boot = command.secure_boot;
    let medium = match &command.iso {
        Some(file) => {
            let path = std::fs::canonicalize(file)
                .with_context(|| format!("{} could not be opened", file.display()))?;
            let medium = media::inspect_path(&path)?;
            for warning in &medium.warnings {
                warn(&format!("{}: {warning}", path.display()));
            }
            if let Verdict::NotBootable(reason) = medium.verdict(definition.generation) {
                warn(&format!("{}: {reason}", path.display()));
            }
            Some((path, medium))
        }
        None => None,
    };
    let system = medium
        .as_ref()
        .and_then(|(_, medium)| medium.operating_system.as_ref());
    let defaults = system.map_or(Defaults::UNKNOWN, |system| system.defaults());
    definition.operating_system = system.map(|system| system.id.clone());
    let host = Host::inspect()?;
    definition.processor.count = command
        .cpus
        .unwrap_or_else(|| defaults.processors.min(host.processors));
    definition.memory.mebibytes = match &command.memory {
        Some(text) => {
            let bytes = size::parse(text)?;
            if bytes < 1 << 20 {
                bail!("{text} of memory is too little; give the machine 1M at least");
            }
            bytes >> 20
        }
        None => defaults.memory_mebibytes,
    };
    definition.clock = match command.clock {
        Some(ClockChoice::Utc) => Clock::Utc,
        Some(ClockChoice::Local) => Clock::Local,
        None => defaults.clock,
    };
    definition.firmware.boot_menu = command.boot_menu;

    // A new disk holds nothing to start from: it is tried first and passed over until something was installed on it.
    let mut disks = Vec::new();
    let mut copies = Vec::new();
    match disk(command.disk.as_deref(), command.copy_disk, &defaults)? {
        Disk::New(bytes) => {
            let file = PathBuf::from("disk.qcow2");
            definition.drives.push(Drive {
                boot: Some(1),
                ..Drive::disk(file.clone(), ImageFormat::Qcow2)
            });
            disks.push(NewDisk {
                file,
                format: ImageFormat::Qcow2,
                size: bytes,
            });
        }
        Disk::Existing(path, format) => {
            let users = library.users_of(&path, None)?;
            if !users.is_empty() {
                let names = users
                    .iter()
                    .map(|machine| machine.definition.name.to_string())
                    .collect::<Vec<_>>()
                    .join(", ");
                bail!(
                    "{} belongs to {names}; two machines cannot share a disk",
                    path.display()
                );
            }
            definition.drives.push(Drive {
                boot: Some(1),
                ..Drive::disk(path, format)
            });
        }
        Disk::Copy(path) => {
            let copy = CopiedDisk {
                file: "disk.qcow2".into(),
                format: ImageFormat::Qcow2,
                from: Original::Image(Source::new(&path)),
            };
            definition.drives.push(Drive {
                boot: Some(1),
                ..Drive::disk(copy.file.clone(), copy.format)
            });
            copies.push(copy);
        }
        Disk::None => {}
    }
    definition.drives.push(Drive {
        boot: Some(2),
        ..Drive::optical(medium.as_ref().map(|(path, _)| path.clone()))
    });
    if command.network != UNPLUGGED {
        let switch = Switches::of_library(library.folder()).find(&command.network)?;
        definition.add_network_card(&switch.name);
        if let Some(card) = definition.networks.last_mut() {
            card.forwards.clone_from(&command.forward);
        }
    } else if !command.forward.is_empty() {
        bail!(
            "a machine without a network card has no ports; leave out --forward or --network none"
        );
    }
    suited::connect(&mut definition, system);
    if let Some(card) = command.card {
        for network in &mut definition.networks {
            network.model = Some(match card {
                CardChoice::Virtio => CardModel::Virtio,
                CardChoice::E1000 => CardModel::E1000,
            });
        }
    }
    for finding in definition.findings(&host) {
        match finding.severity {
            Severity::Error => bail!("{}: {}", finding.field, finding.message),
            Severity::Warning => warn(&finding.message),
        }
    }
    let machine = super::progress::with_progress(|job| {
        Ok(library.create_with(&definition, &disks, &copies, job)?)
    })?;
    super::machine::made(&machine, as_json)?;
    if command.start {
        super::control::start(&definition, library.folder())?;
    }
    Ok(())
}
