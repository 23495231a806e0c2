//! What is said in passing, with Undo where there is one.

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;

use relm4::adw::prelude::*;
use relm4::{adw, gtk};

use super::launch;
use crate::text::{self, gettext};

/// Shows `toast` over the window that `widget` is in.
fn show(widget: &impl IsA<gtk::Widget>, toast: adw::Toast) {
    let overlay = widget.ancestor(adw::ToastOverlay::static_type());
    if let Some(overlay) = overlay.and_downcast::<adw::ToastOverlay>() {
        overlay.add_toast(toast);
    }
}

/// Says `title`.
pub fn say(widget: &impl IsA<gtk::Widget>, title: &str) {
    let toast = adw::Toast::builder().title(text::escape(title)).build();
    show(widget, toast);
}

/// Says `what` of the file at `path`, with a button that shows it in its folder.
pub fn saved(what: &str, path: PathBuf) -> adw::Toast {
    let toast = adw::Toast::builder()
        .title(text::escape(what))
        .button_label(gettext("Show"))
        .build();
    toast.connect_button_clicked(move |_| launch::show_in_folder(&path));
    toast
}

/// Says `title` for as long as something lasts, with a button Stop that calls `stop`; whoever called dismisses it at the end.
pub fn stoppable(
    widget: &impl IsA<gtk::Widget>,
    title: &str,
    stop: impl Fn() + 'static,
) -> adw::Toast {
    let toast = adw::Toast::builder()
        .title(text::escape(title))
        .button_label(gettext("_Stop"))
        .timeout(0)
        .build();
    toast.connect_button_clicked(move |_| stop());
    show(widget, toast.clone());
    toast
}

/// Says `title` with a button Undo; `undo` is called when that is pressed, `kept` when the toast goes without.
pub fn undoable(
    widget: &impl IsA<gtk::Widget>,
    title: &str,
    undo: impl Fn() + 'static,
    kept: impl Fn() + 'static,
) {
    let toast = adw::Toast::builder()
        .title(text::escape(title))
        .button_label(gettext("_Undo"))
        .timeout(10)
        .priority(adw::ToastPriority::High)
        .build();
    let pressed = Rc::new(Cell::new(false));
    let undone = Rc::clone(&pressed);
    toast.connect_button_clicked(move |_| {
        undone.set(true);
        undo();
    });
    toast.connect_dismissed(move |_| {
        if !pressed.get() {
            kept();
        }
    });
    show(widget, toast);
}
