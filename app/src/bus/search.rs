//! Machines in the search of GNOME Shell: <https://developer.gnome.org/documentation/tutorials/search-provider.html>. A result is
//! a machine by its identifier; choosing one shows its page, and starts it if it is off.

use std::collections::HashMap;
use std::sync::Arc;

use gio::prelude::*;
use guesthouse_engine::library::{Entry, StoredMachine};
use guesthouse_engine::machine::State;
use guesthouse_ui::APPLICATION_ID;
use guesthouse_ui::model::operating_systems;

use super::machines::Known;
use super::{PATH, activate, answer, register};

const XML: &str = include_str!("org.gnome.Shell.SearchProvider2.xml");
const NAME: &str = "org.gnome.Shell.SearchProvider2";

/// Serves it.
pub fn serve(bus: &gio::DBusConnection, known: &Arc<Known>) -> anyhow::Result<()> {
    let known = Arc::clone(known);
    register(
        bus,
        &format!("{PATH}/SearchProvider"),
        XML,
        NAME,
        move |method, parameters, invocation| call(&known, method, parameters, invocation),
        // It has none.
        |_| "".to_variant(),
    )
}

fn call(
    known: &Arc<Known>,
    method: &str,
    parameters: &glib::Variant,
    invocation: gio::DBusMethodInvocation,
) {
    let known = Arc::clone(known);
    // The interface's description has made sure of the types.
    let texts = |number: usize| -> Vec<String> {
        let value = (number < parameters.n_children()).then(|| parameters.child_value(number));
        value.and_then(|value| value.get()).unwrap_or_default()
    };
    match method {
        "GetInitialResultSet" => {
            let terms = texts(0);
            answer(invocation, move || {
                Ok(Some((found(&known, &terms),).to_variant()))
            });
        }
        "GetSubsearchResultSet" => {
            let (before, terms) = (texts(0), texts(1));
            answer(invocation, move || {
                let mut found = found(&known, &terms);
                found.retain(|identifier| before.contains(identifier));
                Ok(Some((found,).to_variant()))
            });
        }
        "GetResultMetas" => {
            let identifiers = texts(0);
            answer(invocation, move || {
                Ok(Some((metas(&known, &identifiers),).to_variant()))
            });
        }
        "ActivateResult" => {
            let identifier = parameters.child_value(0).get::<String>();
            let context = glib::MainContext::default();
            answer(invocation, move || {
                let machine = known.find(&identifier.unwrap_or_default())?;
                let folder = machine.folder.to_string_lossy().into_owned();
                let action = match known.machines().state(&machine.folder) {
                    State::Off | State::Crashed { .. } => "start-machine",
                    _ => "show-machine",
                };
                context.invoke(move || activate(action, &folder));
                Ok(None)
            });
        }
        _ => {
            activate("search", &texts(0).join(" "));
            invocation.return_value(None);
        }
    }
}

fn machines(known: &Known) -> Vec<StoredMachine> {
    let machine = |entry| match entry {
        Entry::Machine(machine) => Some(machine),
        Entry::Broken(_) => None,
    };
    known.entries().into_iter().filter_map(machine).collect()
}

fn system(machine: &StoredMachine) -> Option<&'static str> {
    let id = machine.definition.operating_system.as_ref()?;
    Some(operating_systems().find(id)?.name.as_str())
}

/// The identifiers of the machines whose name or operating system has all of `terms`, those with the terms in their names first.
fn found(known: &Known, terms: &[String]) -> Vec<String> {
    let terms: Vec<String> = terms.iter().map(|term| term.to_lowercase()).collect();
    let has = |text: &str| terms.iter().all(|term| text.contains(term));
    let mut found: Vec<(bool, String)> = machines(known)
        .iter()
        .filter_map(|machine| {
            let name = machine.definition.name.as_str().to_lowercase();
            let system = system(machine).unwrap_or_default().to_lowercase();
            has(&format!("{name} {system}"))
                .then(|| (!has(&name), machine.definition.uuid.to_string()))
        })
        .collect();
    found.sort_by_key(|(elsewhere, _)| *elsewhere);
    found
        .into_iter()
        .map(|(_, identifier)| identifier)
        .collect()
}

fn metas(known: &Known, identifiers: &[String]) -> Vec<HashMap<&'static str, glib::Variant>> {
    let machines = machines(known);
    let meta = |identifier: &String| {
        let machine = machines
            .iter()
            .find(|machine| machine.definition.uuid.to_string() == *identifier)?;
        let state = guesthouse_ui::text::state(&known.machines().state(&machine.folder));
        let description = match system(machine) {
            Some(system) => format!("{state} · {system}"),
            None => state,
        };
        Some(HashMap::from([
            ("id", identifier.to_variant()),
            ("name", machine.definition.name.as_str().to_variant()),
            ("description", description.to_variant()),
            ("gicon", APPLICATION_ID.to_variant()),
        ]))
    };
    identifiers.iter().filter_map(meta).collect()
}
