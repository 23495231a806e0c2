//! What the desktop says of machines while no window is looked at, with buttons for what a person may want to do about it.

use relm4::gtk::gio::{Notification, NotificationPriority};
use relm4::gtk::prelude::*;

use super::*;
use crate::text::message;

impl App {
    /// Says that the machine in `folder` needs a person, or is off, while no window is looked at; takes back what no longer holds.
    pub(super) fn notify(&self, folder: &Path, state: &State) {
        let application = relm4::main_application();
        let id = folder.to_string_lossy();
        let (what, reason, priority, button) = match state {
            State::Crashed { reason } => (
                message("“{name}” cannot go on"),
                reason.as_str(),
                NotificationPriority::High,
                Some((gettext("Show"), "app.show-machine")),
            ),
            State::Paused {
                reason: Some(reason),
            } => (
                message("“{name}” is paused"),
                reason.text.as_str(),
                NotificationPriority::High,
                Some((gettext("Resume"), "app.resume-machine")),
            ),
            State::Off => (
                message("“{name}” is off"),
                "",
                NotificationPriority::Normal,
                None,
            ),
            State::Starting | State::Running | State::Paused { reason: None } => {
                return application.withdraw_notification(&id);
            }
        };
        if application
            .windows()
            .iter()
            .any(|window| window.is_active())
        {
            return;
        }
        let name = self.name(folder);
        let notification = Notification::new(&gettext_with(what, &[("name", &name)]));
        if !reason.is_empty() {
            notification.set_body(Some(&text::translated(reason)));
        }
        notification.set_priority(priority);
        let target = id.to_variant();
        notification.set_default_action_and_target_value("app.show-machine", Some(&target));
        if let Some((label, action)) = button {
            notification.add_button_with_target_value(&label, action, Some(&target));
        }
        application.send_notification(Some(&id), &notification);
    }

    /// Says that the machine in `folder` seems to be installed, and offers to take out what it was installed from.
    pub(super) fn say_installed(&self, folder: &Path, written: u64, toasts: &adw::ToastOverlay) {
        let name = self.name(folder);
        let title = gettext_with("“{name}” seems to be installed", &[("name", &name)]);
        let eject = gettext("Eject Installer");
        let target = folder.to_string_lossy().to_variant();
        let application = relm4::main_application();
        let toast = adw::Toast::builder()
            .title(text::escape(&title))
            .button_label(&eject)
            .action_name("app.eject-installer")
            .timeout(0)
            .build();
        toast.set_action_target_value(Some(&target));
        toasts.add_toast(toast);
        if application
            .windows()
            .iter()
            .any(|window| window.is_active())
        {
            return;
        }
        let notification = Notification::new(&title);
        let body = gettext_with(
            "It has ended by itself after writing {size} to its disk, and its installer is in the drive still.",
            &[("size", &text::bytes(written))],
        );
        notification.set_body(Some(&body));
        notification.set_default_action_and_target_value("app.show-machine", Some(&target));
        notification.add_button_with_target_value(&eject, "app.eject-installer", Some(&target));
        application.send_notification(Some(&installed_id(folder)), &notification);
    }
}

/// What the notification that the machine in `folder` is installed is called.
pub(super) fn installed_id(folder: &Path) -> String {
    format!("installed {}", folder.display())
}
