//! Messages that need an answer or that must not be missed: a question before what cannot be undone, and an error with its
//! cause, its remedy and where the log is.

use crate::text::gettext;
use relm4::adw::prelude::*;
use relm4::{adw, gtk};

/// How an answer looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// One among several.
    Plain,
    /// What most people want.
    Suggested,
    /// What loses something.
    Destructive,
}

/// A dialog that says `heading` and `body`, if there is one.
pub fn new(heading: &str, body: &str) -> adw::AlertDialog {
    let body = Some(body).filter(|body| !body.is_empty());
    let dialog = adw::AlertDialog::new(Some(heading), body);
    // What it holds is no part of it before it is shown.
    if let Some(child) = dialog.child() {
        wrap(&child);
    }
    dialog
}

/// Has every label wrapped, within words that are wider than the dialog too. libadwaita has its heading in large letters on one line
/// and in smaller ones that are wrapped, and shows which of them fits; it measures both, and GTK complains of the one that does not.
fn wrap(widget: &gtk::Widget) {
    if let Some(label) = widget.downcast_ref::<gtk::Label>() {
        label.set_wrap(true);
        label.set_wrap_mode(gtk::pango::WrapMode::WordChar);
    }
    let mut child = widget.first_child();
    while let Some(inner) = child {
        wrap(&inner);
        child = inner.next_sibling();
    }
}

/// Asks `heading` over `parent`; the answers are tried from left to right after Cancel, which Escape and Return choose too.
/// Tells the number of the answer chosen, or nothing for Cancel.
pub async fn ask(
    parent: &impl IsA<gtk::Widget>,
    heading: &str,
    body: &str,
    answers: &[(impl AsRef<str>, Weight)],
) -> Option<usize> {
    let dialog = new(heading, body);
    dialog.add_response("cancel", &gettext("_Cancel"));
    dialog.set_default_response(Some("cancel"));
    dialog.set_close_response("cancel");
    for (number, (label, weight)) in answers.iter().enumerate() {
        let id = number.to_string();
        dialog.add_response(&id, label.as_ref());
        dialog.set_response_appearance(
            &id,
            match weight {
                Weight::Plain => adw::ResponseAppearance::Default,
                Weight::Suggested => adw::ResponseAppearance::Suggested,
                Weight::Destructive => adw::ResponseAppearance::Destructive,
            },
        );
    }
    dialog.choose_future(Some(parent)).await.parse().ok()
}

/// Says what went wrong.
pub fn error(parent: &impl IsA<gtk::Widget>, heading: &str, body: &str) {
    let dialog = new(heading, body);
    dialog.add_response("close", &gettext("_Close"));
    dialog.set_default_response(Some("close"));
    dialog.set_close_response("close");
    dialog.present(Some(parent));
}
