//! What the machine is called, what is in it, and what its owner wants to remember.

use std::cell::Cell;
use std::rc::Rc;

use relm4::adw::prelude::*;
use relm4::{adw, gtk};

use super::HardwareInput;
use super::edit::Edit;
use super::topic::{Editor, Shown, Topic, View, choose};
use crate::access;
use crate::model::{Name, OperatingSystem};
use crate::reason::Reason;
use crate::text::{self, gettext};

/// The topic.
pub struct General {
    page: adw::PreferencesPage,
    name: adw::EntryRow,
    shown_name: Shown,
    reason: Reason,
    system: adw::ComboRow,
    systems: Rc<Cell<&'static [OperatingSystem]>>,
    notes: gtk::TextBuffer,
    shown_notes: Shown,
}

impl General {
    /// An empty one.
    pub fn new(editor: &Editor) -> Self {
        let name = adw::EntryRow::builder()
            .title(gettext("Name"))
            .show_apply_button(true)
            .build();
        let reason = Reason::new(&name);

        name.connect_apply({
            let editor = editor.clone();

            move |row| match Name::new(&row.text()) {
                Ok(name) => editor.edit(Edit::Name(name)),
                Err(error) => {
                    editor.send(HardwareInput::Refused(
                        "name".into(),
                        text::sentence(&error),
                    ));
                }
            }
        });

        let systems = Rc::<Cell<&'static [OperatingSystem]>>::default();
        let system = adw::ComboRow::builder()
            .title(gettext("Operating System"))
            .enable_search(true)
            .search_match_mode(gtk::StringFilterMatchMode::Substring)
            .expression(gtk::PropertyExpression::new(
                gtk::StringObject::static_type(),
                gtk::Expression::NONE,
                "string",
            ))
            .model(&gtk::StringList::new(&[&gettext("Unknown")]))
            .build();
        system.connect_selected_notify({
            let (editor, systems) = (editor.clone(), systems.clone());
            move |row| {
                let number = usize::try_from(row.selected()).ok();
                let chosen = number.and_then(|number| systems.get().get(number.checked_sub(1)?));
                editor.edit(Edit::System(chosen.map(|system| system.id.clone())));
            }
        });

        let about = adw::PreferencesGroup::new();
        about.add(&name);
        about.add(reason.row());
        about.add(&system);
        let (group, notes) = notes(editor);
        let page = adw::PreferencesPage::new();
        page.add(&about);
        page.add(&group);
        Self {
            page,
            name,
            shown_name: Shown::default(),

            reason,
            system,
            systems,
            notes,
            shown_notes: Shown::default(),
        }
    }
}

/// A text of several lines, which is kept when the keyboard goes elsewhere.
fn notes(editor: &Editor) -> (adw::PreferencesGroup, gtk::TextBuffer) {
    let notes = gtk::TextView::builder()
        .wrap_mode(gtk::WrapMode::WordChar)
        .accepts_tab(false)
        .top_margin(12)
        .bottom_margin(12)
        .left_margin(12)
        .right_margin(12)
        .height_request(120)
        .css_classes(["card", "notes"])
        .build();
    access::name(&notes, &gettext("Notes"));
    let leave = gtk::EventControllerFocus::new();
    let (editor, buffer) = (editor.clone(), notes.buffer());
    leave.connect_leave(move |_| {
        let text = buffer.text(&buffer.start_iter(), &buffer.end_iter(), false);
        editor.edit(Edit::Notes(text.trim_end().to_owned()));
    });
    notes.add_controller(leave);
    let buffer = notes.buffer();
    let group = adw::PreferencesGroup::builder()
        .title(gettext("Notes"))
        .build();
    group.add(&notes);
    (group, buffer)
}

impl Topic for General {
    fn page(&self) -> &adw::PreferencesPage {
        &self.page
    }

    fn show(&self, view: &View) {
        let definition = &view.definition;
        self.shown_name.show(definition.name.as_str(), &self.name);
        self.reason.find(&view.findings, "name");
        if self.systems.get().len() != view.systems.len() {
            self.systems.set(view.systems);
            let names = view.systems.iter().map(|system| system.name.as_str());
            let unknown = gettext("Unknown");
            let names: Vec<&str> = std::iter::once(unknown.as_str()).chain(names).collect();
            self.system.set_model(Some(&gtk::StringList::new(&names)));
        }
        let system = definition.operating_system.as_ref();
        let known = system.map(|id| view.systems.iter().position(|system| system.id == *id));
        let chosen = match known {
            None => Some(0),
            Some(number) => number.map(|number| number + 1),
        };
        choose(&self.system, chosen);
        let unknown = chosen
            .is_none()
            .then(|| system.cloned().unwrap_or_default());
        self.system
            .set_subtitle(&text::escape(&unknown.unwrap_or_default()));
        self.shown_notes.show(&definition.notes, &self.notes);
    }
}
