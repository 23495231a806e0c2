//! Guesthouse on the session bus: the manager of machines, which `data/*.Manager.xml` documents, and the search of GNOME Shell.
//!
//! Both are served by the process that has the window, under the application's own name. They are there before the application
//! takes that name, so that whoever has the bus start it is answered. Calls arrive in the main loop; what takes its time is done by
//! workers.

mod machines;
mod manager;
mod search;

use std::sync::Arc;

use anyhow::Context;
use gio::prelude::*;
use guesthouse_ui::APPLICATION_ID;
use guesthouse_ui::model::Machines;

use machines::Known;

/// Where the manager is; the search is beneath it. It is the application's own place.
const PATH: &str = "/io/github/guesthouse_vm/Guesthouse";

/// Serves `machines` on the session bus as long as the process lives.
///
/// # Errors
/// When there is no session bus, or one of the objects cannot be made.
pub fn serve(machines: &Arc<Machines>) -> anyhow::Result<()> {
    let bus = gio::bus_get_sync(gio::BusType::Session, gio::Cancellable::NONE)
        .context("there is no session bus")?;
    let known = Known::new(machines);
    manager::serve(&bus, &known)?;
    search::serve(&bus, &known)?;
    known.follow(move |told| manager::tell(&bus, told))
}

/// Serves the interface `name` of `xml` at `path`.
fn register(
    bus: &gio::DBusConnection,
    path: &str,
    xml: &str,
    name: &str,
    called: impl Fn(&str, &glib::Variant, gio::DBusMethodInvocation) + 'static,
    property: impl Fn(&str) -> glib::Variant + 'static,
) -> anyhow::Result<()> {
    let node = gio::DBusNodeInfo::for_xml(xml)?;
    let interface = node
        .lookup_interface(name)
        .with_context(|| format!("the description of {name} has no such interface"))?;
    bus.register_object(path, &interface)
        .method_call(move |_, _, _, _, method, parameters, invocation| {
            called(method, &parameters, invocation);
        })
        .property(move |_, _, _, _, name| property(name))
        .build()?;
    Ok(())
}

/// Lets a worker find the answer to a call.
fn answer(
    invocation: gio::DBusMethodInvocation,
    work: impl FnOnce() -> Result<Option<glib::Variant>, Refusal> + Send + 'static,
) {
    glib::spawn_future_local(async move {
        match gio::spawn_blocking(work).await {
            Ok(Ok(value)) => invocation.return_value(value.as_ref()),
            Ok(Err(refusal)) => {
                let name = format!("{APPLICATION_ID}.Error.{}", refusal.name);
                invocation.return_dbus_error(&name, &refusal.message);
            }
            Err(_) => invocation.return_dbus_error(
                &format!("{APPLICATION_ID}.Error.Failed"),
                "a fault in Guesthouse ended the call",
            ),
        }
    });
}

/// Why a call was not carried out.
struct Refusal {
    /// The last part of the error's name.
    name: &'static str,
    message: String,
}

impl Refusal {
    fn failed(error: &impl ToString) -> Self {
        Self {
            name: "Failed",
            message: error.to_string(),
        }
    }
}

/// Has the window do what the action `name` of the application does to `target`.
fn activate(name: &str, target: &str) {
    if let Some(application) = gio::Application::default() {
        application.activate_action(name, Some(&target.to_variant()));
    }
}
