//! The clipboard's text typed into a guest, which may know nothing of a clipboard: at a login, or in its firmware.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use relm4::adw::prelude::*;
use relm4::gtk;

use crate::dialogs::{question, toast};
use crate::model::{Machine, State, Typing};
use crate::text::{self, gettext, gettext_with};

/// Types what is on the clipboard into `machine`; says over the window that `widget` is in what keeps it from that, and that it
/// goes on, with a way to stop it.
pub async fn type_clipboard(machine: Machine, widget: gtk::Widget) {
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
    let typing = match Typing::new(&text) {
        Ok(typing) => typing,
        Err(error) => {
            let body = gettext_with(
                "A US keyboard, which the guest is sent, has no keys for these characters: {characters}. Nothing was typed.",
                &[("characters", &error.list())],
            );
            return question::error(&widget, &failed, &body);
        }
    };
    let stopped = Arc::new(AtomicBool::new(false));
    let stop = stopped.clone();
    let title = gettext("Typing the clipboard…");
    let shown = toast::stoppable(&widget, &title, move || stop.store(true, Ordering::Relaxed));
    let typed = relm4::spawn_blocking(move || {
        let going = || !stopped.load(Ordering::Relaxed) && machine.state() == State::Running;
        typing.carry_out(&|event| machine.input(event), going)
    });
    if let Err(error) = typed.await {
        question::error(&widget, &failed, &text::sentence(&error));
    }
    shown.dismiss();
}
