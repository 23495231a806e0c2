//! What the desktop says of machines while no window is looked at, with buttons for what a person may want to do about it.

use relm4::gtk::gio::{Notification, NotificationPriority};
use relm4::gtk::prelude::*;

use super::*;

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
            notification.set_body(Some(reason));
        }
        notification.set_priority(priority);
        let target = id.to_variant();
        notification.set_default_action_and_target_value("app.show-machine", Some(&target));
        if let Some((label, action)) = button {
            notification.add_button_with_target_value(&label, action, Some(&target));
        }
        application.send_notification(Some(&id), &notification);
    }
}
