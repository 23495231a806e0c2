//! Commands that copy, rename and change machines that are off.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use guesthouse_engine::definition::{
    CardModel, Clock, Definition, Drive, DriveKind, Generation, Host, Name, NetworkCard, Severity,
};
use guesthouse_engine::library::{Library, StoredMachine};
use guesthouse_ui::text::gettext_with;
use serde_json::json;

use crate::command_line::{CloneMachine, Rename, Set};
use crate::output::{print, print_json, warn};
use crate::size;

/// Says which machine was made.
pub fn made(machine: &StoredMachine, as_json: bool) -> anyhow::Result<()> {
    let StoredMachine { folder, definition } = machine;
    if as_json {
        return print_json(
            &json!({ "name": definition.name.as_str(), "uuid": definition.uuid, "folder": folder }),
        );
    }
    print(&gettext_with(
        "{machine} is in {folder}",
        &[("machine", &definition.name), ("folder", &folder.display())],
    ))
}

/// Copies a machine, or makes one that holds only what differs.
pub fn clone(library: &Library, command: &CloneMachine, as_json: bool) -> anyhow::Result<()> {
    let machine = library.find(&command.name)?;
    let name = Name::new(&command.new)?;
    let clone = if command.linked {
        let base = gettext_with("Base of {machine}", &[("machine", &name)]);
        library.clone_linked(&machine, name, &base)?
    } else {
        super::progress::with_progress(|job| Ok(library.clone_machine(&machine, name, job)?))?
    };
    made(&clone, as_json)
}

/// Gives a machine another name.
pub fn rename(library: &Library, command: &Rename) -> anyhow::Result<()> {
    let machine = library.find(&command.name)?;
    library.rename(&machine, Name::new(&command.new)?)?;
    Ok(())
}

/// Changes what a machine is.
///
/// # Errors
/// When a key or a value is not known, or the machine could not run so; nothing is changed then.
pub fn set(library: &Library, command: &Set) -> anyhow::Result<()> {
    let machine = library.find(&command.name)?;
    // A machine that runs would go on as it was, and be another at its next start.
    let _held = machine.lock()?;
    let mut definition = machine.definition.clone();
    for assignment in &command.assignments {
        let (key, value) = assignment.split_once('=').with_context(|| {
            format!("{assignment:?} is not KEY=VALUE, as in memory=2G; the keys are {KEYS}")
        })?;
        change(&mut definition, key.trim(), value.trim())
            .with_context(|| format!("{assignment:?} was not understood"))?;
    }
    let before = library.findings(
        &machine.definition,
        Some(&machine.folder),
        &Host::inspect()?,
    )?;
    for finding in library.findings(&definition, Some(&machine.folder), &Host::inspect()?)? {
        // What was wrong before is no reason to keep it from being mended.
        if before.contains(&finding) {
            continue;
        }
        match finding.severity {
            Severity::Error => bail!("{}: {}", finding.field, finding.message),
            Severity::Warning => warn(&finding.message),
        }
    }
    library.update(&machine, &definition)?;
    Ok(())
}

const KEYS: &str = "name, notes, memory, cpus, sockets, threads (of a core: 1, 2), nested (virtual machines in the guest: on, off), generation (1, 2), secure-boot (on, off), clock (utc, local), graphics, input, balloon, entropy (virtio devices: on, off), boot-menu (on, off), boot (the drives' numbers in the order they are tried: 2,1; or none), drive.N.file (a path, or none for an empty optical drive), drive.N.read-only (on, off), network.N.switch, network.N.model (automatic, virtio, e1000), network.N.mac, network.N.link (on, off), network.N.capture (a file, or none), network.N.forward (2222:22,8080:80; or none), network (add:SWITCH, or remove:N), operating-system";

fn change(definition: &mut Definition, key: &str, value: &str) -> anyhow::Result<()> {
    match key {
        "name" => definition.name = Name::new(value)?,
        "memory" => {
            let bytes = size::parse(value)?;
            if bytes < 1 << 20 {
                bail!("a machine has 1M of memory at least");
            }
            definition.memory.mebibytes = bytes >> 20;
        }
        "cpus" | "processors" => {
            definition.processor.count = value
                .parse()
                .ok()
                .filter(|count| *count > 0)
                .context("the number of processors is 1 or more")?;
        }
        "sockets" | "threads" => shape(definition, key, value)?,
        "nested" => definition.processor.nested = switch(value)?,
        "notes" => definition.notes = value.to_owned(),
        "generation" => {
            let number = value.parse().ok();
            let generation = number
                .and_then(Generation::from_number)
                .context("a machine is of generation 1 or 2")?;
            let (changed, warnings) = definition.with_generation(generation);
            *definition = changed;
            for warning in warnings {
                warn(&warning);
            }
        }
        "secure-boot" => definition.firmware.secure_boot = switch(value)?,
        "graphics" => definition.devices.graphics = switch(value)?,
        "input" => definition.devices.input = switch(value)?,
        "balloon" => definition.devices.balloon = switch(value)?,
        "entropy" => definition.devices.entropy = switch(value)?,
        "network" => match value.split_once(':') {
            Some(("add", name)) => definition.add_network_card(name),
            Some(("remove", number)) => {
                let number = place(number, definition.networks.len())?;
                definition.remove_network_card(number);
            }
            _ => bail!("write network=add:SWITCH or network=remove:N"),
        },
        _ if key.starts_with("network.") => {
            let rest = key.strip_prefix("network.").unwrap_or_default();
            let (number, key) = rest.split_once('.').context("write network.N.KEY")?;
            let number = place(number, definition.networks.len())?;
            let card = definition
                .networks
                .get_mut(number)
                .context("there is no such network card")?;
            card_key(card, key, value)?;
        }
        "clock" => {
            definition.clock = match value {
                "utc" => Clock::Utc,
                "local" => Clock::Local,
                _ => bail!("a clock shows utc or local"),
            }
        }
        "boot-menu" => definition.firmware.boot_menu = switch(value)?,
        "boot" => boot(definition, value)?,
        "operating-system" => {
            definition.operating_system = Some(value)
                .filter(|value| !value.is_empty() && *value != "none")
                .map(str::to_owned);
        }
        _ => {
            let rest = key
                .strip_prefix("drive.")
                .and_then(|rest| rest.split_once('.'));
            let Some((number, key)) = rest else {
                bail!("there is no key {key:?}; the keys are {KEYS}");
            };
            let drive = drive(definition, number)?;
            match key {
                "file" => file(drive, value)?,
                "read-only" if drive.kind == DriveKind::Disk => {
                    drive.read_only = switch(value)?;
                }
                "read-only" => bail!("an optical drive is always read-only"),
                _ => bail!("a drive has no key {key:?}; the keys are {KEYS}"),
            }
        }
    }
    Ok(())
}

/// The place of what people call `number`, counting from 1, of `count`.
fn place(number: &str, count: usize) -> anyhow::Result<usize> {
    let place = number.trim().parse::<usize>().ok();
    place
        .and_then(|number| number.checked_sub(1))
        .filter(|place| *place < count)
        .with_context(|| {
            format!(
                "there is no network card number {number:?}; the machine has {count}, counted from 1"
            )
        })
}

fn shape(definition: &mut Definition, key: &str, value: &str) -> anyhow::Result<()> {
    let number: u32 = value.parse().context("it is a number")?;
    let processor = &mut definition.processor;
    if key == "threads" {
        // The sockets stay as many as they were, where that fits.
        let sockets = processor.topology().map_or(1, |it| it.sockets);
        processor.threads = number;
        let cores = (processor.count / number.max(1)).checked_div(sockets);
        processor.cores = cores.filter(|cores| sockets > 1 && *cores > 0);
    } else {
        let cores = (processor.count / processor.threads.max(1)).checked_div(number);
        processor.cores = cores.filter(|_| number > 1);
    }
    let topology = processor.topology();
    if topology.is_none() || (key == "sockets" && topology.map(|it| it.sockets) != Some(number)) {
        bail!(
            "{} processors cannot be put together like that: sockets have the same number of cores, which is 1, 2, 4, 8 and so on where there are several, and cores one or two threads",
            processor.count
        );
    }
    Ok(())
}

fn card_key(card: &mut NetworkCard, key: &str, value: &str) -> anyhow::Result<()> {
    match key {
        "switch" => value.clone_into(&mut card.switch),
        "model" => {
            card.model = match value {
                "automatic" => None,
                _ => Some(
                    CardModel::ALL
                        .into_iter()
                        .find(|model| model.as_str() == value)
                        .context("a network card is automatic, virtio or e1000")?,
                ),
            }
        }
        "mac" => card.mac = Some(value.parse()?),
        "link" => card.link = switch(value)?,
        "capture" => {
            card.capture = Some(value)
                .filter(|value| !value.is_empty() && *value != "none")
                .map(PathBuf::from);
        }
        "boot" => {
            card.boot = match value {
                "none" => None,
                _ => Some(
                    value
                        .parse()
                        .context("a place in the boot order is a number")?,
                ),
            }
        }
        "forward" => {
            card.forwards = match value {
                "none" | "" => Vec::new(),
                _ => value
                    .split(',')
                    .map(|forward| forward.trim().parse())
                    .collect::<Result<_, _>>()?,
            }
        }
        _ => bail!("a network card has no key {key:?}; the keys are {KEYS}"),
    }
    Ok(())
}

fn switch(value: &str) -> anyhow::Result<bool> {
    match value {
        "on" | "true" | "yes" => Ok(true),
        "off" | "false" | "no" => Ok(false),
        _ => bail!("it is on or off"),
    }
}

/// The drive that people call `number`, counting from 1.
fn drive<'a>(definition: &'a mut Definition, number: &str) -> anyhow::Result<&'a mut Drive> {
    let count = definition.drives.len();
    number
        .trim()
        .parse::<usize>()
        .ok()
        .and_then(|number| definition.drives.get_mut(number.checked_sub(1)?))
        .with_context(|| {
            format!("there is no drive number {number:?}; the machine has {count}, counted from 1")
        })
}

fn file(drive: &mut Drive, value: &str) -> anyhow::Result<()> {
    drive.file = match (value, drive.kind) {
        ("none" | "", DriveKind::Optical) => None,
        ("none" | "", DriveKind::Disk) => bail!("a hard disk cannot be empty"),
        (path, _) => Some(
            std::fs::canonicalize(Path::new(path))
                .with_context(|| format!("{path} could not be opened"))?,
        ),
    };
    Ok(())
}

fn boot(definition: &mut Definition, value: &str) -> anyhow::Result<()> {
    for drive in &mut definition.drives {
        drive.boot = None;
    }
    if value == "none" {
        return Ok(());
    }
    for (place, number) in (1_u32..).zip(value.split(',')) {
        let drive = drive(definition, number)?;
        if drive.boot.is_some() {
            bail!("drive number {number} is named twice");
        }
        drive.boot = Some(place);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use guesthouse_engine::definition::ImageFormat;

    fn machine() -> Definition {
        let mut definition = Definition::new(Name::new("Test").unwrap());
        definition.drives = vec![
            Drive::disk("disk.qcow2".into(), ImageFormat::Qcow2),
            Drive::optical(Some("/a.iso".into())),
        ];
        definition
    }

    #[test]
    fn keys_change_what_they_name() {
        let mut definition = machine();
        for (key, value) in [
            ("name", "Other"),
            ("memory", "2G"),
            ("cpus", "3"),
            ("clock", "local"),
            ("boot-menu", "on"),
            ("boot", "2,1"),
            ("drive.1.read-only", "on"),
            ("drive.2.file", "none"),
            ("notes", "for tests"),
            ("cpus", "4"),
            ("sockets", "2"),
            ("threads", "2"),
            ("balloon", "on"),
            ("network", "add:nat"),
            ("network", "add:lab"),
            ("network.1.model", "e1000"),
            ("network.1.forward", "2222:22, udp:53:53"),
            ("network.1.link", "off"),
            ("network.2.mac", "02:12:34:56:78:9a"),
            ("network.2.switch", "other"),
            ("network.2.capture", "lab.pcap"),
            ("generation", "2"),
            ("secure-boot", "on"),
        ] {
            change(&mut definition, key, value).unwrap();
        }
        assert_eq!(definition.name.as_str(), "Other");
        assert_eq!(definition.memory.mebibytes, 2048);
        let topology = definition.processor.topology().unwrap();
        assert_eq!(
            (topology.sockets, topology.cores, topology.threads),
            (2, 1, 2)
        );
        assert_eq!(definition.notes, "for tests");
        assert!(definition.devices.balloon && definition.firmware.secure_boot);
        assert_eq!(definition.generation, Generation::Two);
        assert_eq!(definition.networks.len(), 2);
        assert_eq!(definition.networks[0].forwards.len(), 2);
        assert!(!definition.networks[0].link);
        assert_eq!(definition.networks[1].switch, "other");
        change(&mut definition, "network", "remove:1").unwrap();
        assert_eq!(definition.networks[0].switch, "other");
        assert_eq!(definition.clock, Clock::Local);
        assert!(definition.firmware.boot_menu);
        assert!(definition.drives[0].read_only);
        assert_eq!(definition.drives[0].boot, Some(2));
        assert_eq!(definition.drives[1].boot, Some(1));
        assert_eq!(definition.drives[1].file, None);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (key, value) in [
            ("colour", "blue"),
            ("memory", "lots"),
            ("memory", "1K"),
            ("cpus", "0"),
            ("clock", "sundial"),
            ("boot", "3"),
            ("boot", "1,1"),
            ("drive.0.file", "none"),
            ("drive.1.file", "none"),
            ("drive.2.read-only", "off"),
            ("drive.2.colour", "blue"),
            ("drive.2.file", "/nowhere/at/all.iso"),
            ("generation", "3"),
            ("sockets", "3"),
            ("threads", "2"),
            ("network", "remove:1"),
            ("network", "nat"),
            ("network.1.switch", "nat"),
        ] {
            assert!(change(&mut machine(), key, value).is_err(), "{key}={value}");
        }
    }
}
