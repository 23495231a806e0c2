//! The interface to the machines: see `data/io.github.guesthouse_vm.Guesthouse.Manager.xml`.

use std::collections::HashMap;
use std::sync::Arc;

use gio::prelude::*;
use guesthouse_engine::library::Entry;
use guesthouse_ui::model::Wish;

use super::machines::{Known, Told, word};
use super::{PATH, Refusal, activate, answer, register};

const XML: &str = include_str!("../../../data/io.github.guesthouse_vm.Guesthouse.Manager.xml");
const NAME: &str = "io.github.guesthouse_vm.Guesthouse.Manager";

/// Serves it.
pub fn serve(bus: &gio::DBusConnection, known: &Arc<Known>) -> anyhow::Result<()> {
    let (asked, states) = (Arc::clone(known), Arc::clone(known));
    register(
        bus,
        PATH,
        XML,
        NAME,
        move |method, parameters, invocation| call(&asked, method, parameters, invocation),
        // States is the only one.
        move |_| states.states().to_variant(),
    )
}

/// Tells everyone of a machine's state.
pub fn tell(bus: &gio::DBusConnection, told: &Told) {
    let (state, reason) = word(&told.state);
    let changed = (told.identifier.as_str(), told.name.as_str(), state, reason).to_variant();
    let invalid = (
        NAME,
        HashMap::<String, glib::Variant>::new(),
        vec!["States"],
    );
    let signals = [
        (NAME, "StateChanged", changed),
        (
            "org.freedesktop.DBus.Properties",
            "PropertiesChanged",
            invalid.to_variant(),
        ),
    ];
    for (interface, signal, parameters) in signals {
        if let Err(error) = bus.emit_signal(None, PATH, interface, signal, Some(&parameters)) {
            tracing::warn!(%error, "the bus was not told of a machine's state");
        }
    }
}

fn call(
    known: &Arc<Known>,
    method: &str,
    parameters: &glib::Variant,
    invocation: gio::DBusMethodInvocation,
) {
    let known = Arc::clone(known);
    if method == "ListMachines" {
        return answer(invocation, move || Ok(Some((list(&known),).to_variant())));
    }
    let Some((named,)) = parameters.get::<(String,)>() else {
        return answer(invocation, || {
            Err(Refusal::failed(&"the call names no machine"))
        });
    };
    let wish = match method {
        "ShutDown" => Some(Wish::ShutDown),
        "ForceOff" => Some(Wish::PowerOff),
        "Pause" => Some(Wish::Pause),
        "Resume" => Some(Wish::Resume),
        _ => None,
    };
    if let Some(wish) = wish {
        return answer(invocation, move || carry_out(&known, &named, wish));
    }
    match method {
        "GetState" => answer(invocation, move || {
            let machine = known.find(&named)?;
            let state = known.machines().state(&machine.folder);
            Ok(Some(word(&state).to_variant()))
        }),
        "Start" => answer(invocation, move || start(&known, &named)),
        // Show: the window does it in its own time.
        _ => {
            let context = glib::MainContext::default();
            answer(invocation, move || {
                let folder = known.find(&named)?.folder;
                context.invoke(move || activate("show-machine", &folder.to_string_lossy()));
                Ok(None)
            });
        }
    }
}

fn list(known: &Known) -> Vec<(String, String, &'static str)> {
    let entries = known.entries();
    let line = |entry: &Entry| match entry {
        Entry::Machine(machine) => {
            let state = known.machines().state(&machine.folder);
            let identifier = machine.definition.uuid.to_string();
            (identifier, entry.title(), word(&state).0)
        }
        Entry::Broken(_) => (String::new(), entry.title(), "broken"),
    };
    entries.iter().map(line).collect()
}

fn carry_out(known: &Known, named: &str, wish: Wish) -> Result<Option<glib::Variant>, Refusal> {
    let stored = known.find(named)?;
    let outcome = known.machines().ask(&stored.folder, wish);
    let outcome = outcome.unwrap_or_else(|| {
        Err(format!(
            "{} is not running; start it first",
            stored.definition.name
        ))
    });
    outcome
        .map(|()| None)
        .map_err(|error| Refusal::failed(&error))
}

fn start(known: &Known, named: &str) -> Result<Option<glib::Variant>, Refusal> {
    let stored = known.find(named)?;
    let resumed = known.machines().ask(&stored.folder, Wish::Resume);
    let outcome = resumed.unwrap_or_else(|| {
        let started = known.machines().start(&stored);
        started.map(drop).map_err(|error| error.to_string())
    });
    outcome
        .map(|()| None)
        .map_err(|error| Refusal::failed(&error))
}
