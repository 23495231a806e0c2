//! The preferences' part with the person's own key combinations.

use std::cell::RefCell;
use std::rc::Rc;

use relm4::adw::prelude::*;
use relm4::{adw, gtk};

use super::Settings;
use crate::dialogs::form::{self, Field, Value};
use crate::text::{gettext, gettext_with};
use crate::{access, machine};

/// The person's own key combinations, each with a button that takes it away.
pub fn own_keys(settings: &Settings) -> adw::PreferencesGroup {
    let group = adw::PreferencesGroup::builder()
        .title(gettext("Send Keys"))
        .description(gettext(
            "Combinations of your own in the menu from which a guest is sent keys",
        ))
        .build();
    let add = adw::ButtonRow::builder()
        .title(gettext("_Add a Combination…"))
        .use_underline(true)
        .start_icon_name("list-add-symbolic")
        .build();
    add.connect_activated(move |row| {
        relm4::spawn_local(add_own_keys(row.clone().upcast()));
    });
    let rows = Rc::new(RefCell::new(Vec::<adw::ActionRow>::new()));
    let (shown, weak) = (group.downgrade(), add.downgrade());
    let fill = move || {
        let (Some(group), Some(add)) = (shown.upgrade(), weak.upgrade()) else {
            return;
        };
        for row in rows.take() {
            group.remove(&row);
        }
        if add.parent().is_some() {
            group.remove(&add);
        }
        for written in super::get().own_keys() {
            let row = own_key(&written);
            group.add(&row);
            rows.borrow_mut().push(row);
        }
        group.add(&add);
    };
    fill();
    settings.connect_own_keys_changed(fill);
    group
}

/// The row of the combination `written`.
fn own_key(written: &str) -> adw::ActionRow {
    let label = machine::label(written).unwrap_or_else(|| written.to_owned());
    let title = gettext_with("Remove {keys}", &[("keys", &label)]);
    let remove = gtk::Button::builder()
        .icon_name("user-trash-symbolic")
        .tooltip_text(&title)
        .valign(gtk::Align::Center)
        .css_classes(["flat"])
        .build();
    access::name(&remove, &title);
    let removed = written.to_owned();
    remove.connect_clicked(move |_| {
        let settings = super::get();
        let mut all = settings.own_keys();
        all.retain(|written| *written != removed);
        settings.set_own_keys(all);
    });
    let row = adw::ActionRow::builder()
        .title(label)
        .use_markup(false)
        .build();
    row.add_suffix(&remove);
    row
}

/// Asks for a combination over `parent` and keeps it.
async fn add_own_keys(parent: gtk::Widget) {
    let held = machine::HELD.map(|(_, label)| gettext(label));
    let mut fields: Vec<Field<'_>> = held
        .iter()
        .zip([true, true, false, false])
        .map(|(label, on)| Field::Switch(label, "", on))
        .collect();
    let choices = machine::choices();
    let labels: Vec<&str> = choices.iter().map(|(_, label)| label.as_str()).collect();
    let key = gettext("Key");
    fields.push(Field::Choice(&key, &labels, 0));
    let heading = gettext("Add a Combination");
    let body = gettext("The keys are pressed together.");
    let written = {
        let choices = choices.clone();
        move |values: &[Value]| -> Option<String> {
            let (last, held) = values.split_last()?;
            let held = machine::HELD.iter().zip(held);
            let held = held.filter(|(_, value)| value.is_on());
            let held = held.map(|((key, _), _)| *key);
            let (last, _) = choices.get(last.number())?;
            Some(held.chain([last.as_str()]).collect::<Vec<_>>().join("-"))
        }
    };
    let judged = written.clone();
    let accept = gettext("_Add");
    let answer = form::ask(
        &parent,
        (&heading, &body),
        &fields,
        &accept,
        move |values| {
            let known = super::get().own_keys();
            judged(values)
                .is_some_and(|written| known.contains(&written))
                .then(|| gettext("This combination is in the menu already."))
        },
    );
    if let Some(written) = answer.await.as_deref().and_then(written) {
        let settings = super::get();
        let mut all = settings.own_keys();
        all.push(written);
        settings.set_own_keys(all);
    }
}
