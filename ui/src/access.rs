//! What a screen reader is told about widgets whose look does not say it. libadwaita's types are reached as plain widgets here.

use relm4::gtk::accessible::{Property, Relation};
use relm4::gtk::prelude::*;
use relm4::{adw, gtk};

/// Names `widget`.
pub fn name(widget: &impl IsA<gtk::Widget>, name: &str) {
    widget
        .upcast_ref::<gtk::Widget>()
        .update_property(&[Property::Label(name)]);
}

/// Says that `widget` is described by what `by` says.
pub fn describe(widget: &impl IsA<gtk::Widget>, by: &impl IsA<gtk::Widget>) {
    let by = by.upcast_ref::<gtk::Widget>();
    widget
        .upcast_ref::<gtk::Widget>()
        .update_relation(&[Relation::DescribedBy(&[by.upcast_ref()])]);
}

/// A row with a number, which a screen reader finds: libadwaita 1.7 leaves its own out of the accessibility tree, number and all.
pub fn spin_row() -> adw::SpinRow {
    gtk::glib::Object::builder()
        .property("accessible-role", gtk::AccessibleRole::ListItem)
        .build()
}
