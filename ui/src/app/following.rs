//! Following the machines: what they tell, and what others do to the folder that they are in.

use std::sync::Arc;

use relm4::gtk::{self, prelude::*};

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
