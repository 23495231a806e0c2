//! What the wizard's fields share: the row beneath a field that says what speaks against it, and the guard that keeps filled-in
//! values from overwriting what a person typed.

use std::cell::Cell;
use std::rc::Rc;

use relm4::adw::prelude::*;
use relm4::{adw, gtk};

use super::draft::Draft;
use super::findings::{Field, Objection};
use crate::reason;

/// What the pages show.
#[derive(Debug, Clone)]
pub struct View {
    /// The machine so far.
    pub draft: Draft,
    /// What speaks against it.
    pub objections: Vec<Objection>,
}

/// A field that is filled in until a person touches it; from then on the field is right and the draft follows.
#[derive(Debug, Clone)]
pub struct Guard(Rc<State>);

#[derive(Debug)]
struct State {
    touched: Cell<bool>,
    filling: Cell<bool>,
}

impl Default for Guard {
    /// Until it is first filled in, no change of the field is a person's: it is being made.
    fn default() -> Self {
        Self(Rc::new(State {
            touched: Cell::new(false),
            filling: Cell::new(true),
        }))
    }
}

impl Guard {
    /// Lets `fill` set the field's value, if nobody has touched it.
    pub fn fill(&self, fill: impl FnOnce()) {
        if !self.0.touched.get() {
            self.0.filling.set(true);
            fill();
            self.0.filling.set(false);
        }
    }

    /// Tells whether a change was a person's, and remembers it.
    pub fn touch(&self) -> bool {
        let person = !self.0.filling.get();
        if person {
            self.0.touched.set(true);
        }
        person
    }
}

/// The row beneath a field of the wizard, visible while something speaks against the field.
#[derive(Debug, Clone)]
pub struct Reason {
    reason: reason::Reason,
    field: Field,
}

impl Reason {
    /// The row for `field`, which describes `widget` to a screen reader.
    pub fn new(field: Field, widget: &impl IsA<gtk::Widget>) -> Self {
        Self {
            reason: reason::Reason::new(widget),
            field,
        }
    }

    /// The row, to be put beneath the field.
    pub fn row(&self) -> &adw::ActionRow {
        self.reason.row()
    }

    /// Shows what speaks against the field, if anything does.
    pub fn show(&self, view: &View) {
        let mine = view
            .objections
            .iter()
            .filter(|objection| objection.field == self.field);
        self.reason
            .show(mine.map(|objection| (objection.severity, objection.message.as_str())));
    }
}
