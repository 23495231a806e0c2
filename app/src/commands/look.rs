//! Commands that look at machines and at the host, or take a machine away.

use guesthouse_engine::Definition;
use guesthouse_engine::definition::DriveKind;
use guesthouse_engine::hypervisor::{check_host as probe, check_uefi};
use guesthouse_engine::library::{Entry, Library, StoredMachine};
use guesthouse_engine::machine::State;
use serde_json::json;

use crate::control::{Client, Report};
use crate::output::{print, print_json};

/// What the machine is doing, if a process holds it.
fn report(definition: &Definition) -> Option<Report> {
    // A socket that does not answer belongs to a process that is going away.
    Client::connect(&definition.uuid.to_string())
        .ok()
        .flatten()
        .and_then(|mut client| client.report().ok())
}

fn word(state: &State) -> &'static str {
    match state {
        State::Off => "off",
        State::Starting => "starting",
        State::Running => "running",
        State::Paused { .. } => "paused",
        State::Crashed { .. } => "crashed",
    }
}

fn state_of(definition: &Definition) -> (State, Option<u32>) {
    report(definition).map_or((State::Off, None), |report| {
        (report.state, Some(report.process))
    })
}

/// Lists the machines.
pub fn list(library: &Library, as_json: bool) -> anyhow::Result<()> {
    let entries = library.scan()?;
    if as_json {
        let machines: Vec<_> = entries
            .iter()
            .map(|entry| match entry {
                Entry::Machine(StoredMachine { folder, definition }) => {
                    let (state, process) = state_of(definition);
                    json!({ "name": definition.name.as_str(), "uuid": definition.uuid, "folder": folder, "state": word(&state), "process": process })
                }
                Entry::Broken(broken) => {
                    json!({ "name": broken.title(), "folder": broken.folder, "state": "broken", "line": broken.line, "message": broken.message })
                }
            })
            .collect();
        return print_json(&json!(machines));
    }
    if entries.is_empty() {
        return print(
            "There are no machines yet; make one with \"guesthouse create NAME --iso FILE\".",
        );
    }
    let mut rows = vec![[
        "NAME".to_owned(),
        "STATE".to_owned(),
        "MEMORY".to_owned(),
        "PROCESSORS".to_owned(),
    ]];
    for entry in &entries {
        rows.push(match entry {
            Entry::Machine(StoredMachine { definition, .. }) => [
                definition.name.to_string(),
                word(&state_of(definition).0).to_owned(),
                crate::size::show(definition.memory.bytes()),
                definition.processor.count.to_string(),
            ],
            Entry::Broken(broken) => [
                broken.title(),
                format!("broken: {}", broken.message),
                String::new(),
                String::new(),
            ],
        });
    }
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths = [width(0), width(1), width(2)];
    for [name, state, memory, processors] in &rows {
        let [first, second, third] = widths;
        print(
            format!("{name:<first$}  {state:<second$}  {memory:<third$}  {processors}").trim_end(),
        )?;
    }
    if let Err(problem) = check_uefi() {
        print(&problem.to_string())?;
    }
    Ok(())
}

/// Shows one machine.
pub fn show(library: &Library, name: &str, as_json: bool) -> anyhow::Result<()> {
    let StoredMachine { folder, definition } = library.find(name)?;
    let report = report(&definition);
    let state = report
        .as_ref()
        .map_or(State::Off, |report| report.state.clone());
    if as_json {
        let screen = report
            .as_ref()
            .map(|report| json!({ "width": report.screen.0, "height": report.screen.1 }));
        return print_json(&json!({
            "folder": folder, "definition": definition, "state": state, "screen": screen, "process": report.map(|report| report.process),
        }));
    }
    print(&format!("Name: {}", definition.name))?;
    print(&format!("State: {}", word(&state)))?;
    match &state {
        State::Crashed { reason } => print(&format!("Reason: {reason}"))?,
        State::Paused {
            reason: Some(reason),
        } => print(&format!("Reason: {reason}"))?,
        _ => {}
    }
    if let Some(report) = &report {
        print(&format!("Process: {}", report.process))?;
        print(&format!(
            "Screen: {} x {} pixels",
            report.screen.0, report.screen.1
        ))?;
    }
    print(&format!("Generation: {}", definition.generation.number()))?;
    if definition.firmware.secure_boot {
        print("Secure Boot: on")?;
    }
    if let Some(system) = &definition.operating_system {
        print(&format!("Operating system: {system}"))?;
    }
    print(&format!("Processors: {}", definition.processor.count))?;
    print(&format!(
        "Memory: {}",
        crate::size::show(definition.memory.bytes())
    ))?;
    for drive in &definition.drives {
        let kind = match drive.kind {
            DriveKind::Disk => "Hard disk",
            DriveKind::Optical => "Optical drive",
        };
        let file = drive
            .file
            .as_ref()
            .map_or_else(|| "empty".to_owned(), |file| file.display().to_string());
        print(&format!("{kind}: {file}"))?;
    }
    for (number, card) in definition.networks.iter().enumerate() {
        let model = card.model(definition.generation);
        let mac = definition.mac_address(number);
        print(&format!("Network card: {model}, {mac}, at {}", card.switch))?;
        for forward in &card.forwards {
            print(&format!("Forward: {forward}"))?;
        }
    }
    print(&format!("Folder: {}", folder.display()))
}

/// Moves a machine to the trash.
pub fn delete(library: &Library, name: &str) -> anyhow::Result<()> {
    let machine = match library.find(name) {
        Ok(machine) => Entry::Machine(machine),
        // One whose file cannot be read is there, too.
        Err(error) => {
            let called = |entry: &Entry| {
                matches!(entry, Entry::Broken(_))
                    && entry.title().to_lowercase() == name.trim().to_lowercase()
            };
            library.scan()?.into_iter().find(called).ok_or(error)?
        }
    };
    if let Entry::Machine(machine) = &machine {
        let definition = &machine.definition;
        if report(definition).is_some_and(|report| report.state.is_alive()) {
            anyhow::bail!("{} is running; power it off first", definition.name);
        }
    }
    let name = machine.title();
    library.delete(&machine)?;
    print(&format!(
        "{name} is in the trash now; media outside of its folder stay where they are."
    ))
}

/// Says whether this computer can run machines.
pub fn check_host(as_json: bool) -> anyhow::Result<()> {
    let outcome = probe();
    if as_json {
        print_json(&match &outcome {
            Ok(host) => json!({
                "usable": true, "processors": host.processors, "emulated": host.emulated,
                "uefi": check_uefi().is_ok(),
            }),
            Err(problem) => json!({ "usable": false, "problem": problem }),
        })?;
        return outcome
            .map(|_| ())
            .map_err(|problem| anyhow::anyhow!(problem));
    }
    let host = outcome?;
    print(&format!(
        "This computer can run machines with up to {} processors.",
        host.processors
    ))?;
    if host.emulated {
        print(
            "Its KVM (KVM-PVM) emulates guests' kernels instruction by instruction: small 16- and 32-bit guests work, large ones are slow.",
        )?;
    }
    if let Err(problem) = check_uefi() {
        print(&problem.to_string())?;
    }
    Ok(())
}
