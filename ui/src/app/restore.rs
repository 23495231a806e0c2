//! Bringing a machine back from a backup.

use std::sync::Arc;

use relm4::adw;

use crate::dialogs::file_choice::{self, FileKind};
use crate::dialogs::form::{self, Field};
use crate::dialogs::{progress, question, toast};
use crate::machine::machine_name_objection;
use crate::model::{BackupAbout, Entry, KeptIdentity, Machines, Name};
use crate::text::{self, gettext, gettext_with};

/// Asks which backup and what the machine is to be, and brings it back.
pub async fn ask(machines: Arc<Machines>, root: adw::ToastOverlay) {
    let failed = gettext("The machine was not restored");
    let title = gettext("Restore a Backup");
    let chosen = file_choice::open(&root, &title, FileKind::Backup);
    let Some(file) = chosen.await else { return };
    let (read, known) = (file.clone(), machines.clone());
    let found = relm4::spawn_blocking(move || -> Result<(BackupAbout, bool), String> {
        let about = BackupAbout::read(&read).map_err(|error| text::sentence(&error))?;
        let there = known.scan().unwrap_or_default().iter().any(|entry| {
            matches!(entry, Entry::Machine(machine) if machine.definition.uuid == about.uuid)
        });
        Ok((about, there))
    });
    let (about, there) = match found.await {
        Ok(Ok(found)) => found,
        Ok(Err(body)) => return question::error(&root, &failed, &body),
        Err(_) => return,
    };
    let taken = machine_name_objection(&machines, about.name.as_str()).is_some();
    let name = if taken {
        format!("{} restored", about.name)
            .chars()
            .take(64)
            .collect()
    } else {
        about.name.to_string()
    };
    let written = relm4::gtk::glib::DateTime::from_unix_local(about.created / 1000)
        .and_then(|time| time.format("%x %H:%M"));
    let body = match written {
        Ok(written) => gettext_with(
            "“{name}” was backed up on {time}.",
            &[("name", &about.name), ("time", &written)],
        ),
        Err(_) => gettext_with("A backup of “{name}”.", &[("name", &about.name)]),
    };
    let (heading, accept) = (gettext("Restore Backup"), gettext("_Restore"));
    let (label, renew) = (gettext("Name"), gettext("New Identity"));
    let renewing = gettext(
        "A machine of its own, with network addresses of its own, that can run beside the first",
    );
    let fields = [
        Field::Text(&label, &name),
        Field::Switch(&renew, &renewing, there),
    ];
    let known = machines.clone();
    let values = form::ask(&root, (&heading, &body), &fields, &accept, move |values| {
        let [name, renewed] = values else { return None };
        if there && !renewed.is_on() {
            return Some(gettext(
                "The machine is still there; only one can be the same.",
            ));
        }
        machine_name_objection(&known, name.text())
    });
    let Some(values) = values.await else { return };
    let [name, renewed] = values.as_slice() else {
        return;
    };
    let Ok(name) = Name::new(name.text()) else {
        return;
    };
    let identity = if renewed.is_on() {
        KeptIdentity::New
    } else {
        KeptIdentity::Same
    };
    let title = name.to_string();
    let made = progress::run(&root, gettext("Restoring the Machine"), move |job| {
        machines.restore_backup(&file, name, identity, job)
    });
    match made.await {
        Some(Ok(_)) => toast::say(
            &root,
            &gettext_with("“{name}” was restored", &[("name", &title)]),
        ),
        Some(Err(body)) => question::error(&root, &failed, &body),
        None => {}
    }
}
