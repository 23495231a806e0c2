//! Copying a machine: in full, or linked to what it is now.

use std::sync::Arc;

use relm4::adw;

use super::snapshots::machine_name_objection;
use crate::dialogs::form::{self, Field};
use crate::dialogs::{progress, question, toast};
use crate::model::{Machines, Name, StoredMachine};
use crate::text::{self, gettext, gettext_with};

/// Asks for a name and makes the copy.
pub async fn ask(machines: Arc<Machines>, machine: StoredMachine, root: adw::NavigationPage) {
    let copy: String = gettext_with("{name} copy", &[("name", &machine.definition.name)])
        .chars()
        .take(64)
        .collect();
    let (name, linked) = (gettext("Name"), gettext("Linked Clone"));
    let meaning = gettext(
        "Made at once and small: it holds only what differs, and needs this machine’s disks",
    );
    let fields = [
        Field::Text(&name, &copy),
        Field::Switch(&linked, &meaning, false),
    ];
    let known = machines.clone();
    let (heading, accept) = (gettext("Clone Machine"), gettext("_Clone"));
    let values = form::ask(&root, (&heading, ""), &fields, &accept, move |values| {
        machine_name_objection(&known, values.first()?.text())
    });
    let Some(values) = values.await else { return };
    let [name, linked] = values.as_slice() else {
        return;
    };
    let (Ok(name), linked) = (Name::new(name.text()), linked.is_on()) else {
        return;
    };
    let title = name.to_string();
    let made = progress::run(&root, gettext("Cloning the Machine"), move |job| {
        if linked {
            let clone = machines.clone_linked(&machine, name);
            clone.map(drop).map_err(|error| text::sentence(&error))
        } else {
            let clone = machines.clone_machine(&machine, name, job);
            clone.map(drop).map_err(|error| text::sentence(&error))
        }
    });
    match made.await {
        Some(Ok(())) => toast::say(
            &root,
            &gettext_with("“{name}” was created", &[("name", &title)]),
        ),
        Some(Err(body)) => question::error(&root, &gettext("The machine was not cloned"), &body),
        None => {}
    }
}
