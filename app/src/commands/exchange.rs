//! Machines that come from elsewhere or go there: import, export, backups.

use std::path::Path;

use anyhow::{Context, bail};
use guesthouse_engine::backup::{About, KeptIdentity};
use guesthouse_engine::definition::{
    Definition, Drive, DriveKind, Generation, Host, ImageFormat, NAT, Name, Severity,
};
use guesthouse_engine::disk::formats::ova::Appliance;
use guesthouse_engine::disk::tools::{Occupied, Source, TargetFormat};
use guesthouse_engine::library::{
    CopiedDisk, Library, LibraryError, Original, Suggestion, copies_of, usable_name,
};
use guesthouse_engine::media::operating_system::suited;
use guesthouse_engine::media::{Defaults, operating_systems};

use super::progress::with_progress;
use crate::command_line::{Backup, ExportMachine, Import, Restore};
use crate::output::warn;

/// The end of a file's name in small letters.
fn extension(file: &Path) -> String {
    let extension = file.extension().unwrap_or_default();
    extension.to_string_lossy().to_lowercase()
}

/// Makes a machine of what is in a file.
///
/// # Errors
/// What is wrong with the file; nothing is left behind.
pub fn import(library: &Library, command: &Import, as_json: bool) -> anyhow::Result<()> {
    let file = std::fs::canonicalize(&command.file)
        .with_context(|| format!("{} could not be opened", command.file.display()))?;
    let host = Host::inspect()?;
    let packed = matches!(extension(&file).as_str(), "ova" | "ovf");
    let (suggestion, copies) = if packed {
        let appliance = Appliance::read(&file)?;
        let suggestion = Suggestion::new(&appliance, &host, operating_systems());
        (suggestion, copies_of(&appliance))
    } else {
        let suggestion = Suggestion {
            name: None,
            system: None,
            generation: Generation::One,
            processors: None,
            memory_mebibytes: None,
            network: true,
            notes: Vec::new(),
        };
        let mut source = Source::new(&file);
        source.backing.files.extend(command.backing.iter().cloned());
        let copy = CopiedDisk {
            file: "disk.qcow2".into(),
            format: ImageFormat::Qcow2,
            from: Original::Image(source),
        };
        (suggestion, vec![copy])
    };
    for note in &suggestion.notes {
        warn(note);
    }
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let name = match &command.name {
        Some(name) => Name::new(name)?,
        None => suggestion
            .name
            .clone()
            .or_else(|| usable_name(&stem))
            .context("the file says no name that a machine can have; give one with --name")?,
    };
    let system = suggestion.system.as_ref();
    let defaults = system.map_or(Defaults::UNKNOWN, |system| system.defaults());
    let mut definition = Definition::new(name);
    definition.generation = command
        .generation
        .and_then(Generation::from_number)
        .unwrap_or(suggestion.generation);
    definition.operating_system = system.map(|system| system.id.clone());
    definition.clock = defaults.clock;
    definition.processor.count = suggestion
        .processors
        .unwrap_or_else(|| defaults.processors.min(host.processors));
    definition.memory.mebibytes = suggestion
        .memory_mebibytes
        .unwrap_or(defaults.memory_mebibytes);
    for (copy, place) in copies.iter().zip(1..) {
        definition.drives.push(Drive {
            boot: Some(place),
            ..Drive::disk(copy.file.clone(), copy.format)
        });
    }
    definition.drives.push(Drive::optical(None));
    if suggestion.network {
        definition.add_network_card(NAT);
    }
    suited::connect(&mut definition, system);
    for finding in definition.findings(&host) {
        match finding.severity {
            Severity::Error => bail!("{}: {}", finding.field, finding.message),
            Severity::Warning => warn(&finding.message),
        }
    }
    let made = with_progress(|job| Ok(library.create_with(&definition, &[], &copies, job)?))?;
    super::machine::made(&made, as_json)?;
    if command.start {
        super::control::start(&made.definition, library.folder())?;
    }
    Ok(())
}

/// What becomes of a file that has the name already.
pub(super) fn occupied(replace: bool) -> Occupied {
    if replace {
        Occupied::Replace
    } else {
        Occupied::Refuse
    }
}

/// Writes a machine or a disk for other programs.
///
/// # Errors
/// Why not; nothing is left behind.
pub fn export(library: &Library, command: &ExportMachine) -> anyhow::Result<()> {
    let machine = library.find(&command.name)?;
    let occupied = occupied(command.replace);
    let format = match extension(&command.file).as_str() {
        "ova" => {
            let system = machine.definition.operating_system.as_deref();
            let system = system.and_then(|id| operating_systems().find(id));
            let called = system.map(|system| system.name.as_str());
            return with_progress(|job| {
                Ok(library.export_machine(&machine, called, &command.file, occupied, job)?)
            });
        }
        "qcow2" => TargetFormat::QCOW2,
        "raw" | "img" => TargetFormat::Raw,
        "vmdk" => TargetFormat::VmdkStreamOptimised,
        _ => bail!(
            "what {} is to be is not known; end its name in .ova for the machine, or in .qcow2, .raw or .vmdk for a disk",
            command.file.display()
        ),
    };
    let drives = machine.definition.drives.iter().enumerate();
    let mut disks = drives.filter(|(_, drive)| drive.kind == DriveKind::Disk);
    let (drive, _) = disks
        .nth(usize::from(command.disk) - 1)
        .with_context(|| format!("{} has no hard disk {}", command.name, command.disk))?;
    with_progress(|job| {
        Ok(library.export_disk(&machine, drive, &command.file, format, occupied, job)?)
    })
}

/// Backs a machine up.
///
/// # Errors
/// Why not; nothing is left behind.
pub fn backup(library: &Library, command: &Backup) -> anyhow::Result<()> {
    let machine = library.find(&command.name)?;
    let occupied = occupied(command.replace);
    with_progress(|job| Ok(library.back_up(&machine, &command.file, occupied, job)?))
}

/// Brings a machine back.
///
/// # Errors
/// Why not; nothing is left behind.
pub fn restore(library: &Library, command: &Restore, as_json: bool) -> anyhow::Result<()> {
    let about = About::read(&command.file)?;
    let name = match &command.name {
        Some(name) => Name::new(name)?,
        None => about.name,
    };
    let identity = if command.new_identity {
        KeptIdentity::New
    } else {
        KeptIdentity::Same
    };
    match library.find(name.as_str()) {
        Err(LibraryError::NotFound { .. }) => {}
        _ => bail!("a machine called {name} exists already; choose another name with --name"),
    }
    let made =
        with_progress(|job| Ok(library.restore_backup(&command.file, name, identity, job)?))?;
    super::machine::made(&made, as_json)
}
