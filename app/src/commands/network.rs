//! Commands about forwards and virtual switches.

use anyhow::{Context, bail};
use guesthouse_engine::definition::{Host, Severity};
use guesthouse_engine::library::Library;
use guesthouse_engine::machine::CardStatus;
use guesthouse_engine::network::{SwitchDefinition, SwitchKind, Switches, Uplinks};
use guesthouse_ui::text::{gettext_with, translated};
use serde_json::json;

use crate::command_line::{
    ForwardChange, ForwardCommand, OnOff, SwitchChoice, SwitchCommand, SwitchSettings, Version6,
};
use crate::control::{Client, Request};
use crate::output::{print, print_json, warn};

/// Adds, removes or lists forwards.
///
/// # Errors
/// When there is no such machine or card, or the port cannot be had; nothing changes then.
pub fn forward(library: &Library, command: &ForwardCommand, as_json: bool) -> anyhow::Result<()> {
    match command {
        ForwardCommand::Add(change) => change_forwards(library, change, true),
        ForwardCommand::Remove(change) => change_forwards(library, change, false),
        ForwardCommand::List(named) => list_forwards(library, &named.name, as_json),
    }
}

fn status(client: &mut Client) -> anyhow::Result<Vec<CardStatus>> {
    let (_, bytes) = client.ask(&Request::Networks)?;
    Ok(serde_json::from_slice(&bytes)?)
}

fn change_forwards(library: &Library, change: &ForwardChange, add: bool) -> anyhow::Result<()> {
    let machine = library.find(&change.name)?;
    let number = usize::from(change.card) - 1;
    let mut definition = machine.definition.clone();
    let before = definition.networks.get(number).cloned();
    let card = definition
        .networks
        .get_mut(number)
        .with_context(|| format!("{} has no network card number {}", change.name, change.card))?;
    let present = card.forwards.contains(&change.forward);
    match (add, present) {
        (true, false) => card.forwards.push(change.forward),
        (false, true) => card.forwards.retain(|forward| *forward != change.forward),
        (true, true) => bail!("{} has the forward {} already", change.name, change.forward),
        (false, false) => bail!("{} has no forward {}", change.name, change.forward),
    }
    let wanted = card.clone();
    for finding in definition.findings(&Host::inspect()?) {
        if !finding.field.starts_with("network.") {
            continue;
        }
        match finding.severity {
            Severity::Error => bail!("{}", finding.message),
            Severity::Warning => warn(&finding.message),
        }
    }
    if let Some(mut client) = Client::connect(&definition.uuid.to_string())? {
        client.ask(&Request::ChangeNetwork {
            card: number,
            wanted,
        })?;
        let error = status(&mut client)?
            .into_iter()
            .nth(number)
            .and_then(|card| {
                card.forwards
                    .into_iter()
                    .find(|one| one.forward == change.forward)
            })
            .and_then(|forward| forward.error);
        if let (Some(error), Some(before)) = (error, before) {
            client.ask(&Request::ChangeNetwork {
                card: number,
                wanted: before,
            })?;
            bail!("{error}");
        }
    }
    library.update(&machine, &definition)?;
    Ok(())
}

fn list_forwards(library: &Library, name: &str, as_json: bool) -> anyhow::Result<()> {
    let definition = library.find(name)?.definition;
    let running = match Client::connect(&definition.uuid.to_string())? {
        Some(mut client) => status(&mut client)?,
        None => Vec::new(),
    };
    let mut found = Vec::new();
    for (number, card) in definition.networks.iter().enumerate() {
        for forward in &card.forwards {
            let error = running
                .get(number)
                .and_then(|card| card.forwards.iter().find(|one| one.forward == *forward))
                .and_then(|one| one.error.clone());
            found.push((number + 1, *forward, error));
        }
    }
    if as_json {
        let forwards: Vec<_> = found
            .iter()
            .map(|(card, forward, error)| json!({ "card": card, "forward": forward, "error": error }))
            .collect();
        return print_json(&json!(forwards));
    }
    for (card, forward, error) in found {
        let card = gettext_with("card {number}", &[("number", &card)]);
        let error = error.map(|error| format!("  ({})", translated(&error)));
        print(&format!("{forward}  {card}{}", error.unwrap_or_default()))?;
    }
    Ok(())
}

/// Lists, makes or takes away virtual switches.
///
/// # Errors
/// What is wrong with what was asked for; nothing changes then.
pub fn switch(library: &Library, command: &SwitchCommand, as_json: bool) -> anyhow::Result<()> {
    let switches = Switches::of_library(library.folder());
    match command {
        SwitchCommand::List => {
            let list = switches.list()?;
            if as_json {
                return print_json(&json!(list));
            }
            for switch in list {
                let about = match (&switch.uplink, switch.kind.has_network()) {
                    (Some(uplink), _) => format!("  {uplink}"),
                    (None, true) => format!("  {}/24", switch.network),
                    (None, false) => String::new(),
                };
                let users = library.users_of_switch(&switch.name)?;
                let users = match users.is_empty() {
                    true => String::new(),
                    false => {
                        let names = users.join(", ");
                        let users = gettext_with("used by {machines}", &[("machines", &names)]);
                        format!("  {users}")
                    }
                };
                print(&format!("{}  {}{about}{users}", switch.name, switch.kind))?;
            }
            Ok(())
        }
        SwitchCommand::Create(create) => {
            let kind = match create.kind {
                SwitchChoice::Nat => SwitchKind::Nat,
                SwitchChoice::Internal => SwitchKind::Internal,
                SwitchChoice::Private => SwitchKind::Private,
                SwitchChoice::External => SwitchKind::External,
            };
            let mut definition = SwitchDefinition::new(&create.name, kind);
            settle(&mut definition, &create.settings)?;
            Ok(switches.create(&definition)?)
        }
        SwitchCommand::Edit(edit) => {
            let mut definition = switches.find(&edit.name)?;
            settle(&mut definition, &edit.settings)?;
            Ok(switches.update(&definition)?)
        }
        SwitchCommand::Uplinks => {
            let uplinks = Uplinks::of_host();
            let names: Vec<String> = uplinks.possible.iter().map(ToString::to_string).collect();
            if as_json {
                return print_json(&json!({ "uplinks": names, "reason": uplinks.reason }));
            }
            for name in names {
                print(&name)?;
            }
            match uplinks.reason {
                Some(reason) => bail!("{reason}"),
                None => Ok(()),
            }
        }
        SwitchCommand::Delete(named) => {
            Ok(switches.delete(&named.name, &library.users_of_switch(&named.name)?)?)
        }
    }
}

/// Makes `definition` what `settings` say.
fn settle(definition: &mut SwitchDefinition, settings: &SwitchSettings) -> anyhow::Result<()> {
    let SwitchSettings {
        network,
        dhcp,
        leases,
        dns,
        ipv6,
        host_loopback,
        uplink,
    } = settings;
    definition.network = network.unwrap_or(definition.network);
    definition.dhcp = dhcp.map_or(definition.dhcp, |dhcp| dhcp == OnOff::On);
    if let Some(leases) = leases {
        definition.leases = leases
            .split_once('-')
            .and_then(|(first, last)| Some((first.trim().parse().ok()?, last.trim().parse().ok()?)))
            .with_context(|| {
                format!("{leases:?} is not FIRST-LAST, two numbers up to 254, as in 15-254")
            })?;
    }
    if !dns.is_empty() {
        let own = dns.iter().filter(|server| *server != "host");
        definition.name_servers = own
            .map(|server| {
                let address = server.parse();
                address.with_context(|| format!("{server:?} is not the address of a name server"))
            })
            .collect::<anyhow::Result<_>>()?;
    }
    match ipv6 {
        Some(Version6::On) => definition.ipv6 = Some(true),
        Some(Version6::Off) => definition.ipv6 = Some(false),
        Some(Version6::Auto) => definition.ipv6 = None,
        None => {}
    }
    definition.host_loopback = host_loopback.map_or(definition.host_loopback, |on| on == OnOff::On);
    if uplink.is_some() {
        if definition.kind != SwitchKind::External {
            bail!("only an external switch is connected with a device of this computer");
        }
        definition.uplink.clone_from(uplink);
    }
    Ok(())
}
