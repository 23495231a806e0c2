//! A file that a machine begins with: a field for its path, and once a file was chosen or dropped a row with its name and its folder
//! in its place. What the field holds is what counts.

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;

use relm4::adw::prelude::*;
use relm4::{adw, gtk};

use crate::dialogs::file_choice::{self, FileKind};
use crate::text::gettext;
use crate::{access, paths};

/// What its parts say.
pub struct Words {
    /// What the field is called.
    pub title: String,
    /// What the button does that lets a person choose.
    pub choose: String,
    /// What the dialog asks for that it opens.
    pub ask: String,
    /// What it means that no file is chosen any more.
    pub clear: String,
}

/// The field and the row.
#[derive(Clone)]
pub struct FileField(Rc<Parts>);

struct Parts {
    entry: adw::EntryRow,
    row: adw::ActionRow,
    chosen: Cell<bool>,
    visible: Cell<bool>,
    failed: Box<dyn Fn(String)>,
}

impl FileField {
    /// One for a file of this kind; `failed` is told in a sentence why a file was not taken.
    pub fn new(words: &Words, kind: FileKind, failed: impl Fn(String) + 'static) -> Self {
        let entry = adw::EntryRow::builder()
            .title(&words.title)
            .input_purpose(gtk::InputPurpose::Url)
            .enable_emoji_completion(false)
            .build();
        let row = adw::ActionRow::new();
        let field = Self(Rc::new(Parts {
            entry,
            row,
            chosen: Cell::new(false),
            visible: Cell::new(true),
            failed: Box::new(failed),
        }));
        let Parts { entry, row, .. } = &*field.0;
        let clear = field.clear_button(words);
        entry
            .bind_property("text-length", &clear, "visible")
            .transform_to(|_, length: u32| Some(length > 0))
            .sync_create()
            .build();
        entry.add_suffix(&clear);
        entry.add_suffix(&field.choose_button(words, kind));
        row.add_suffix(&field.clear_button(words));
        row.add_suffix(&field.choose_button(words, kind));
        field.show();
        field
    }

    fn clear_button(&self, words: &Words) -> gtk::Button {
        let button = gtk::Button::builder()
            .icon_name("edit-clear-symbolic")
            .tooltip_text(&words.clear)
            .valign(gtk::Align::Center)
            .css_classes(["flat"])
            .build();
        access::name(&button, &gettext("Clear file"));
        let parts = Rc::downgrade(&self.0);
        button.connect_clicked(move |_| {
            if let Some(field) = parts.upgrade().map(Self) {
                field.0.chosen.set(false);
                field.show();
                field.0.entry.set_text("");
                field.0.entry.grab_focus();
            }
        });
        button
    }

    fn choose_button(&self, words: &Words, kind: FileKind) -> gtk::Button {
        let button = gtk::Button::builder()
            .label(gettext("Choose…"))
            .valign(gtk::Align::Center)
            .build();
        access::name(&button, &words.choose);
        let (parts, title) = (Rc::downgrade(&self.0), words.ask.clone());
        button.connect_clicked(move |button| {
            let (parts, title, button) = (parts.clone(), title.clone(), button.clone());
            relm4::spawn_local(async move {
                let chosen = file_choice::open(&button, &title, kind).await;
                if let (Some(path), Some(parts)) = (chosen, parts.upgrade()) {
                    Self(parts).choose(&path);
                }
            });
        });
        button
    }

    /// Where a path is typed.
    pub fn entry(&self) -> &adw::EntryRow {
        &self.0.entry
    }

    /// The file that was chosen, to be put beneath.
    pub fn row(&self) -> &adw::ActionRow {
        &self.0.row
    }

    /// Takes the file at `path`, which was not typed.
    pub fn choose(&self, path: &Path) {
        let Some(written) = path.to_str() else {
            (self.0.failed)(gettext("The file's name is not valid Unicode; rename it."));
            return;
        };
        let Parts { entry, row, .. } = &*self.0;
        self.0.chosen.set(true);
        paths::show(row, path);
        self.show();
        row.grab_focus();
        entry.set_text(written);
    }

    /// Says that both are described by what `reason` says, and the file by its folder too.
    pub fn describe(&self, reason: &impl IsA<gtk::Widget>) {
        let reason = reason.upcast_ref::<gtk::Widget>();
        let Parts { entry, row, .. } = &*self.0;
        access::describe(entry, reason);
        let folder = paths::label(row.upcast_ref(), "subtitle");
        let mut by: Vec<&gtk::Accessible> = folder.iter().map(|label| label.upcast_ref()).collect();
        by.push(reason.upcast_ref());
        row.upcast_ref::<gtk::Widget>()
            .update_relation(&[gtk::accessible::Relation::DescribedBy(&by)]);
    }

    /// Shows it or not.
    pub fn set_visible(&self, visible: bool) {
        self.0.visible.set(visible);
        self.show();
    }

    fn show(&self) {
        let (visible, chosen) = (self.0.visible.get(), self.0.chosen.get());
        // One of them is there all the time, for the keyboard to stay.
        self.0.row.set_visible(visible && chosen);
        self.0.entry.set_visible(visible && !chosen);
    }
}
