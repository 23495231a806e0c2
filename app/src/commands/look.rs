//! Commands that look at machines and at the host, or take a machine away.

use guesthouse_engine::Definition;
use guesthouse_engine::definition::DriveKind;
use guesthouse_engine::hypervisor::{check_host as probe, check_uefi};
use guesthouse_engine::library::{Entry, Library, StoredMachine};
use guesthouse_engine::machine::State;
use guesthouse_ui::text::{gettext, gettext_with, message, ngettext_with, translated};
use serde_json::json;

use crate::control::{Client, Report};
use crate::output::{padded, print, print_json, print_translated, tell, widest};

/// What the machine is doing, if a process holds it.
fn report(definition: &Definition) -> Option<Report> {
    // A socket that does not answer belongs to a process that is going away.
    Client::connect(&definition.uuid.to_string())
        .ok()
        .flatten()
        .and_then(|mut client| client.report().ok())
}

/// A state in a word, which scripts know; people are told its translation.
fn word(state: &State) -> &'static str {
    match state {
        State::Off => message("off"),
        State::Starting => message("starting"),
        State::Running => message("running"),
        State::Paused { .. } => message("paused"),
        State::Crashed { .. } => message("crashed"),
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
        return print(&gettext(
            "There are no machines yet; make one with \"guesthouse create NAME --iso FILE\".",
        ));
    }
    let mut rows = vec![[
        gettext("NAME"),
        gettext("STATE"),
        gettext("MEMORY"),
        gettext("PROCESSORS"),
    ]];
    for entry in &entries {
        rows.push(match entry {
            Entry::Machine(StoredMachine { definition, .. }) => [
                definition.name.to_string(),
                gettext(word(&state_of(definition).0)),
                crate::size::show(definition.memory.bytes()),
                definition.processor.count.to_string(),
            ],
            Entry::Broken(broken) => [
                broken.title(),
                gettext_with(
                    "broken: {message}",
                    &[("message", &translated(&broken.message))],
                ),
                String::new(),
                String::new(),
            ],
        });
    }
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        widest(cells.map(String::as_str))
    };
    let [first, second, third] = [width(0), width(1), width(2)];
    for [name, state, memory, processors] in &rows {
        let (name, state) = (padded(name, first), padded(state, second));
        let memory = padded(memory, third);
        print(format!("{name}  {state}  {memory}  {processors}").trim_end())?;
    }
    if let Err(problem) = check_uefi() {
        print_translated(&problem)?;
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
    tell(&gettext("Name"), &definition.name)?;
    tell(&gettext("State"), &gettext(word(&state)))?;
    match &state {
        State::Crashed { reason } => tell(&gettext("Reason"), &translated(reason))?,
        State::Paused {
            reason: Some(reason),
        } => tell(&gettext("Reason"), &translated(&reason.to_string()))?,
        _ => {}
    }
    if let Some(report) = &report {
        tell(&gettext("Process"), &report.process)?;
        let (width, height) = &report.screen;
        let size = gettext_with(
            "{width} x {height} pixels",
            &[("width", width), ("height", height)],
        );
        tell(&gettext("Screen"), &size)?;
    }
    tell(&gettext("Generation"), &definition.generation.number())?;
    if definition.firmware.secure_boot {
        tell(&gettext("Secure Boot"), &gettext("on"))?;
    }
    if let Some(system) = &definition.operating_system {
        tell(&gettext("Operating system"), system)?;
    }
    tell(&gettext("Processors"), &definition.processor.count)?;
    let memory = crate::size::show(definition.memory.bytes());
    tell(&gettext("Memory"), &memory)?;
    for drive in &definition.drives {
        let kind = match drive.kind {
            DriveKind::Disk => gettext("Hard disk"),
            DriveKind::Optical => gettext("Optical drive"),
        };
        let file = drive.file.as_ref();
        let file = file.map_or_else(|| gettext("empty"), |file| file.display().to_string());
        tell(&kind, &file)?;
    }
    for (number, card) in definition.networks.iter().enumerate() {
        let card_is = gettext_with(
            "{model}, {address}, at {switch}",
            &[
                ("model", &card.model(definition.generation)),
                ("address", &definition.mac_address(number)),
                ("switch", &card.switch),
            ],
        );
        tell(&gettext("Network card"), &card_is)?;
        for forward in &card.forwards {
            tell(&gettext("Forward"), forward)?;
        }
    }
    tell(&gettext("Folder"), &folder.display())
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
    print(&gettext_with(
        "{machine} is in the trash now; media outside of its folder stay where they are.",
        &[("machine", &name)],
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
    print(&ngettext_with(
        "This computer can run machines with {number} processor.",
        "This computer can run machines with up to {number} processors.",
        u64::try_from(host.processors).unwrap_or(u64::MAX),
        &[],
    ))?;
    if host.emulated {
        print(&gettext(
            "Its KVM (KVM-PVM) emulates guests' kernels instruction by instruction: small 16- and 32-bit guests work, large ones are slow.",
        ))?;
    }
    if let Err(problem) = check_uefi() {
        print_translated(&problem)?;
    }
    Ok(())
}
