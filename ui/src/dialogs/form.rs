//! A dialog that asks for a few words before something is done, with the reason under it while they cannot be.

use std::rc::Rc;

use relm4::adw::prelude::*;
use relm4::{adw, gtk};

use super::question;
use crate::access;
use crate::text::gettext;

/// More choices than this are searched.
const MANY: usize = 20;

/// Something to be filled in.
#[derive(Debug, Clone, Copy)]
pub enum Field<'a> {
    /// A line of text, and what is in it at first.
    Text(&'a str, &'a str),
    /// A switch, what it does, and whether it is on at first.
    Switch(&'a str, &'a str, bool),
    /// One of several, and which of them at first.
    Choice(&'a str, &'a [&'a str], u32),
}

/// What was filled in, field by field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A switch.
    Switch(bool),
    /// The number of what was chosen.
    Choice(usize),
}

impl Value {
    /// The text; of a switch, none.
    pub fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Switch(_) | Self::Choice(_) => "",
        }
    }

    /// The number of what was chosen; of anything else, 0.
    pub fn number(&self) -> usize {
        match self {
            Self::Choice(number) => *number,
            Self::Text(_) | Self::Switch(_) => 0,
        }
    }

    /// Whether the switch is on.
    pub fn is_on(&self) -> bool {
        *self == Self::Switch(true)
    }
}

enum Row {
    Text(adw::EntryRow),
    Switch(adw::SwitchRow),
    Choice(adw::ComboRow),
}

impl Row {
    fn value(&self) -> Value {
        match self {
            Self::Text(row) => Value::Text(row.text().into()),
            Self::Switch(row) => Value::Switch(row.is_active()),
            Self::Choice(row) => Value::Choice(usize::try_from(row.selected()).unwrap_or(0)),
        }
    }
}

/// Asks for `fields` over `parent`; `accept` is what the button that goes on says. What `objection` says of the values keeps it
/// from being pressed. Nothing when the person cancelled.
pub async fn ask(
    parent: &impl IsA<gtk::Widget>,
    (heading, body): (&str, &str),
    fields: &[Field<'_>],
    accept: &str,
    objection: impl Fn(&[Value]) -> Option<String> + 'static,
) -> Option<Vec<Value>> {
    const ACCEPT: &str = "accept";
    let dialog = question::new(heading, body);
    dialog.add_response("cancel", &gettext("_Cancel"));
    dialog.add_response(ACCEPT, accept);
    dialog.set_response_appearance(ACCEPT, adw::ResponseAppearance::Suggested);
    dialog.set_default_response(Some(ACCEPT));
    dialog.set_close_response("cancel");
    let list = gtk::ListBox::builder()
        .selection_mode(gtk::SelectionMode::None)
        .css_classes(["boxed-list"])
        .build();
    let reason = gtk::Label::builder()
        .wrap(true)
        .xalign(0.0)
        .visible(false)
        .css_classes(["error", "caption"])
        .build();
    let rows: Vec<Row> = fields
        .iter()
        .map(|field| match *field {
            Field::Text(title, text) => {
                let row = adw::EntryRow::builder().title(title).text(text).build();
                row.set_activates_default(true);
                access::describe(&row, &reason);
                list.append(&row);
                Row::Text(row)
            }
            Field::Switch(title, subtitle, on) => {
                let row = adw::SwitchRow::builder()
                    .title(title)
                    .subtitle(subtitle)
                    .active(on)
                    .build();
                list.append(&row);
                Row::Switch(row)
            }
            Field::Choice(title, choices, chosen) => {
                let searched = choices.len() > MANY;
                let row = adw::ComboRow::builder()
                    .title(title)
                    // Beneath the title it has the whole width of the dialog. Told after the choices, the row would not look for it.
                    .use_subtitle(!searched)
                    .model(&gtk::StringList::new(choices))
                    .selected(chosen)
                    .build();
                if searched {
                    let (kind, of) = (gtk::StringObject::static_type(), None::<gtk::Expression>);
                    row.set_expression(Some(gtk::PropertyExpression::new(kind, of, "string")));
                    row.set_search_match_mode(gtk::StringFilterMatchMode::Substring);
                    row.set_enable_search(true);
                }
                list.append(&row);
                Row::Choice(row)
            }
        })
        .collect();
    let content = gtk::Box::new(gtk::Orientation::Vertical, 6);
    content.append(&list);
    content.append(&reason);
    dialog.set_extra_child(Some(&content));
    let rows = Rc::new(rows);
    let judge = {
        let (rows, dialog) = (Rc::downgrade(&rows), dialog.downgrade());
        move || {
            let (Some(rows), Some(dialog)) = (rows.upgrade(), dialog.upgrade()) else {
                return;
            };
            let values: Vec<_> = rows.iter().map(Row::value).collect();
            let objection = objection(&values);
            dialog.set_response_enabled(ACCEPT, objection.is_none());
            reason.set_visible(objection.is_some());
            reason.set_label(&objection.unwrap_or_default());
        }
    };
    judge();
    let judge = Rc::new(judge);
    for row in rows.iter() {
        let judge = Rc::clone(&judge);
        match row {
            Row::Text(row) => drop(row.connect_changed(move |_| judge())),
            Row::Switch(row) => drop(row.connect_active_notify(move |_| judge())),
            Row::Choice(row) => drop(row.connect_selected_notify(move |_| judge())),
        }
    }
    if let Some(Row::Text(first)) = rows.first() {
        dialog.set_focus(Some(first));
        first.select_region(0, -1);
    }
    let answer = dialog.choose_future(Some(parent)).await;
    (answer == ACCEPT).then(|| rows.iter().map(Row::value).collect())
}
