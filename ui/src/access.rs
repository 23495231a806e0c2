//! What a screen reader is told about widgets whose look does not say it. libadwaita's types are reached as plain widgets here.

use relm4::gtk;
use relm4::gtk::accessible::{Property, Relation};
use relm4::gtk::prelude::*;

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
