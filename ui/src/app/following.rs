//! Following the machines: what they tell, and what others do to the folder that they are in; and what ends the program.

use std::sync::Arc;

use relm4::adw;
use relm4::gtk::{self, prelude::*};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::AppInput;
use crate::model::Machines;

/// Hands what happens to the machines to the window: one thread that waits, so that the window never asks.
pub(super) fn relay(machines: &Machines, input: relm4::Sender<AppInput>) {
    let changes = machines.subscribe();
    let relay = move || {
        for change in changes {
            if input.send(AppInput::Change(change)).is_err() {
                return;
            }
        }
    };
    if let Err(error) = std::thread::Builder::new()
        .name("machines".into())
        .spawn(relay)
    {
        tracing::error!(%error, "no thread could be made that follows the machines");
    }
}

/// Has the library looked at again when somebody else adds or removes a folder in it, as long as the monitor lasts.
pub(super) fn watch(machines: &Arc<Machines>) -> Option<gtk::gio::FileMonitor> {
    let folder = gtk::gio::File::for_path(machines.folder());
    let flags = gtk::gio::FileMonitorFlags::WATCH_MOVES;
    match folder.monitor_directory(flags, gtk::gio::Cancellable::NONE) {
        Ok(monitor) => {
            let followed = Arc::downgrade(machines);
            monitor.connect_changed(move |_, _, _, _| {
                if let Some(machines) = followed.upgrade() {
                    machines.refresh();
                }
            });
            Some(monitor)
        }
        Err(error) => {
            tracing::warn!(%error, "the library's folder is not watched");
            None
        }
    }
}

/// What ends programs from outside ends this one in order.
pub(super) fn follow_signals(input: &relm4::Sender<AppInput>) {
    let input = input.clone();
    let follow = move |mut signals: Signals| {
        for _ in signals.forever() {
            let _ = input.send(AppInput::SessionEnds);
        }
    };
    let followed = Signals::new([SIGTERM, SIGINT, SIGHUP]).and_then(|signals| {
        let thread = std::thread::Builder::new().name("signals".into());
        thread.spawn(move || follow(signals))
    });
    if let Err(error) = followed {
        tracing::warn!(%error, "what ends programs is not followed");
    }
}

/// Asks now and then whether anybody needs the program, until its window is shown: who only asked the bus for something leaves
/// nothing behind.
pub(super) fn leave_when_idle(window: &adw::ApplicationWindow, input: &relm4::Sender<AppInput>) {
    const PATIENCE: u32 = 30;
    let (window, input) = (window.downgrade(), input.clone());
    gtk::glib::timeout_add_seconds_local(PATIENCE, move || match window.upgrade() {
        Some(window) if !window.is_visible() => {
            let _ = input.send(AppInput::Idle);
            gtk::glib::ControlFlow::Continue
        }
        _ => gtk::glib::ControlFlow::Break,
    });
}
