//! The clipboard's text typed into a guest, which may know nothing of a clipboard: at a login, or in its firmware.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use relm4::adw::prelude::*;
use relm4::gtk;

use super::layout::{self, Layout};
use crate::dialogs::{question, toast};
use crate::model::{Machines, StoredMachine, Typing};
use crate::settings;
use crate::text::{self, gettext, gettext_with};

/// Types what is on the clipboard into `machine`, by the layout that its guest is set to; says over the window that `widget` is in what keeps it from that, and that it
/// goes on, with a way to stop it.
pub async fn type_clipboard(machines: Arc<Machines>, machine: StoredMachine, widget: gtk::Widget) {
    let failed = gettext("The clipboard was not typed");
    let text = match widget.clipboard().read_text_future().await {
        Ok(text) => text.unwrap_or_default(),
        // It holds a picture, say, or nothing.
        Err(error) => {
            tracing::debug!(%error, "the clipboard holds no text");
            Default::default()
        }
    };
    if text.is_empty() {
        return toast::say(&widget, &gettext("The clipboard holds no text"));
    }
    let name = settings::get().keyboard_layout(machine.definition.uuid);
    let Some(layout) = Layout::load(&name) else {
        let body = gettext_with(
            "The keyboard layout “{layout}” is not installed on this computer. Choose another in Send Keys, Guest’s Keyboard Layout.",
            &[("layout", &name)],
        );
        return question::error(&widget, &failed, &body);
    };
    let typing = match Typing::by(&text, |character| layout.strokes(character)) {
        Ok(typing) => typing,
        Err(error) => {
            let body = gettext_with(
                "The keyboard layout {layout} has no keys for these characters: {characters}. Nothing was typed. If the guest is set to another layout, choose that in Send Keys, Guest’s Keyboard Layout.",
                &[
                    ("layout", &layout::title(&name)),
                    ("characters", &error.list()),
                ],
            );
            return question::error(&widget, &failed, &body);
        }
    };
    let stopped = Arc::new(AtomicBool::new(false));
    let stop = stopped.clone();
    let title = gettext("Typing the clipboard…");
    let shown = toast::stoppable(&widget, &title, move || stop.store(true, Ordering::Relaxed));
    let typed = relm4::spawn_blocking(move || {
        typing.carry_out(|keys| {
            !stopped.load(Ordering::Relaxed) && machines.press(&machine.folder, keys)
        })
    });
    if let Err(error) = typed.await {
        question::error(&widget, &failed, &text::sentence(&error));
    }
    shown.dismiss();
}
