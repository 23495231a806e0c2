//! What the topics of the Hardware view share: what they show, and how they say what a person changed.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;

use relm4::adw::prelude::*;
use relm4::{adw, gtk};

use super::HardwareInput;
use super::edit::Edit;
use crate::access;
use crate::model::{CardStatus, Definition, Finding, OperatingSystem, SwitchDefinition};
use crate::text::{gettext, message};

/// Why something cannot be changed while the machine is alive.
pub const OFF_ONLY: &str = message("Turn the machine off to change this.");
/// What becomes of changes while the machine is alive.
pub const LATER: &str = message("Changes take effect after the machine was turned off.");

/// What the topics show.
#[derive(Debug, Clone)]
pub struct View {
    /// The machine.
    pub definition: Definition,
    /// Its folder.
    pub folder: PathBuf,
    /// Whether it is alive.
    pub alive: bool,
    /// What speaks against it.
    pub findings: Vec<Finding>,
    /// How its network cards are doing while it is alive.
    pub cards: Vec<CardStatus>,
    /// The operating systems that are known; none until they are read.
    pub systems: &'static [OperatingSystem],
    /// Whether it has a memory balloon while it is alive.
    pub balloon: bool,
    /// The virtual switches there are.
    pub switches: Vec<SwitchDefinition>,
}

impl View {
    /// What a group says whose changes wait until the machine was off.
    pub fn later(&self) -> Option<String> {
        self.alive.then(|| gettext(LATER))
    }
}

/// Takes what a person changed; what the program itself fills in is no change.
#[derive(Clone)]
pub struct Editor {
    input: relm4::Sender<HardwareInput>,
    filling: Rc<Cell<bool>>,
}

impl Editor {
    /// One that sends to `input`.
    pub fn new(input: relm4::Sender<HardwareInput>) -> Self {
        Self {
            input,
            filling: Rc::default(),
        }
    }

    /// Has `edit` made, unless the field was just filled in.
    pub fn edit(&self, edit: Edit) {
        self.send(HardwareInput::Edit(edit));
    }

    /// Sends something else, unless the field was just filled in.
    pub fn send(&self, input: HardwareInput) {
        if !self.filling.get() {
            let _ = self.input.send(input);
        }
    }

    /// Fills fields in.
    pub fn fill(&self, fill: impl FnOnce()) {
        let before = self.filling.replace(true);
        fill();
        self.filling.set(before);
    }
}

/// A part of the machine.
pub trait Topic {
    /// Its page.
    fn page(&self) -> &adw::PreferencesPage;
    /// Shows what is so now.
    fn show(&self, view: &View);
}

/// A row with a number from `low` to `high`.
pub fn number_row(title: &str, low: u32, high: u32, step: f64) -> adw::SpinRow {
    let row = access::spin_row();
    let (low, high) = (f64::from(low), f64::from(high));
    row.set_title(title);
    row.set_adjustment(Some(&gtk::Adjustment::new(
        low,
        low,
        high,
        step,
        step * 4.0,
        0.0,
    )));
    row.set_numeric(true);
    row
}

/// A row with a switch, which calls `switched`.
pub fn switch_row(
    title: &str,
    subtitle: &str,
    switched: impl Fn(bool) + 'static,
) -> adw::SwitchRow {
    let row = adw::SwitchRow::builder()
        .title(title)
        .subtitle(subtitle)
        .build();
    row.connect_active_notify(move |row| switched(row.is_active()));
    row
}

/// A row with one choice of several, which calls `chosen` with its number.
pub fn choice_row(title: &str, names: &[&str], chosen: impl Fn(usize) + 'static) -> adw::ComboRow {
    let row = adw::ComboRow::builder()
        .title(title)
        .model(&gtk::StringList::new(names))
        .build();
    row.connect_selected_notify(move |row| {
        if let Ok(number) = usize::try_from(row.selected()) {
            chosen(number);
        }
    });
    row
}

/// Chooses number `chosen` in `row`.
pub fn choose(row: &adw::ComboRow, chosen: Option<usize>) {
    let chosen = chosen.and_then(|chosen| u32::try_from(chosen).ok());
    let chosen = chosen.unwrap_or(gtk::INVALID_LIST_POSITION);
    if row.selected() != chosen {
        row.set_selected(chosen);
    }
}

/// Gives `row` other `names` to choose from, if they are others.
pub fn offer(row: &adw::ComboRow, names: &[String]) {
    let same = row.model().is_some_and(|model| {
        usize::try_from(model.n_items()) == Ok(names.len())
            && (0..).zip(names).all(|(number, name)| {
                let item = model.item(number).and_downcast::<gtk::StringObject>();
                item.is_some_and(|item| item.string() == name.as_str())
            })
    });
    if !same {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        row.set_model(Some(&gtk::StringList::new(&names)));
    }
}

/// A text that is shown anew only when it is another than the one shown last, so that what a person is typing stays.
#[derive(Default)]
pub struct Shown(RefCell<Option<String>>);

impl Shown {
    /// Shows `text` in `place`, if it is another.
    pub fn show(&self, text: &str, place: &impl HasText) {
        if self.0.borrow().as_deref() != Some(text) {
            *self.0.borrow_mut() = Some(text.to_owned());
            place.put(text);
        }
    }
}

/// Something with a text that a person can type.
pub trait HasText {
    /// Makes the text this.
    fn put(&self, text: &str);
}

impl HasText for adw::EntryRow {
    fn put(&self, text: &str) {
        // A row whose text is set offers to apply it, even if it is the same.
        if self.text() != text {
            self.set_text(text);
        }
    }
}

impl HasText for gtk::TextBuffer {
    fn put(&self, text: &str) {
        self.set_text(text);
    }
}
