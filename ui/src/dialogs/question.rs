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

/// Asks `heading` over `parent`; the answers are tried from left to right after Cancel, which Escape and Return choose too.
/// Tells the number of the answer chosen, or nothing for Cancel.
pub async fn ask(
    parent: &impl IsA<gtk::Widget>,
    heading: &str,
    body: &str,
    answers: &[(impl AsRef<str>, Weight)],
) -> Option<usize> {
    let dialog = adw::AlertDialog::new(Some(heading), Some(body));
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
    let dialog = adw::AlertDialog::new(Some(heading), Some(body));
    dialog.add_response("close", &gettext("_Close"));
    dialog.set_default_response(Some("close"));
    dialog.set_close_response("close");
    dialog.present(Some(parent));
}
