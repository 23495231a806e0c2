//! The row beneath a field that says what speaks against it.

use relm4::adw::prelude::*;
use relm4::{adw, gtk};

use crate::access;
use crate::model::{Finding, Severity};
use crate::text;

/// A row beneath a field, visible while something speaks against the field.
#[derive(Debug, Clone)]
pub struct Reason {
    row: adw::ActionRow,
    icon: gtk::Image,
}

impl Reason {
    /// The row for `widget`, which it describes to a screen reader.
    pub fn new(widget: &impl IsA<gtk::Widget>) -> Self {
        let row = adw::ActionRow::builder()
            .visible(false)
            .activatable(false)
            .selectable(false)
            .focusable(false)
            .css_classes(["reason"])
            .build();
        let icon = gtk::Image::from_icon_name("dialog-warning-symbolic");
        icon.set_accessible_role(gtk::AccessibleRole::Presentation);
        row.add_prefix(&icon);
        access::describe(widget, &row);
        Self { row, icon }
    }

    /// The row, to be put beneath the field.
    pub fn row(&self) -> &adw::ActionRow {
        &self.row
    }

    /// Shows these messages, if there are any.
    pub fn show(&self, messages: impl Iterator<Item = (Severity, impl AsRef<str>)>) {
        let (severities, messages): (Vec<Severity>, Vec<_>) = messages.unzip();
        let worst = severities.into_iter().max();
        let message = messages
            .iter()
            .map(AsRef::as_ref)
            .collect::<Vec<&str>>()
            .join(" ");
        self.row.set_visible(worst.is_some());
        self.row.set_title(&text::escape(&message));
        for (class, severity) in [("error", Severity::Error), ("warning", Severity::Warning)] {
            if worst == Some(severity) {
                self.icon.add_css_class(class);
                self.row.add_css_class(class);
            } else {
                self.icon.remove_css_class(class);
                self.row.remove_css_class(class);
            }
        }
        let icon = match worst {
            Some(Severity::Error) => "dialog-error-symbolic",
            _ => "dialog-warning-symbolic",
        };
        self.icon.set_icon_name(Some(icon));
        access::name(&self.row, &message);
    }

    /// Shows those of `findings` that are about `field`.
    pub fn find(&self, findings: &[Finding], field: &str) {
        let mine = findings.iter().filter(|finding| finding.field == field);
        self.show(mine.map(|finding| (finding.severity, text::translated(&finding.message))));
    }
}
