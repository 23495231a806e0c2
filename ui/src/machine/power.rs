//! The buttons that start, pause and shut a machine down: in the page's header and in that of the machine's own window.

use relm4::adw::prelude::*;
use relm4::{adw, gtk};

use super::actions;
use crate::access;
use crate::model::State;
use crate::text::gettext;

/// The buttons. They do what the actions of the group "machine" do.
pub struct PowerButtons {
    start: gtk::Button,
    pause: gtk::Button,
    shut_down: adw::SplitButton,
}

impl PowerButtons {
    /// Puts them at the start of `header`.
    pub fn new(header: &adw::HeaderBar) -> Self {
        let button = |icon: &str, action: &str| {
            gtk::Button::builder()
                .icon_name(icon)
                .action_name(action)
                .build()
        };
        let start = button("media-playback-start-symbolic", "machine.start");
        let pause = button("media-playback-pause-symbolic", "machine.pause");
        let shut_down = adw::SplitButton::builder()
            .icon_name("system-shutdown-symbolic")
            .action_name("machine.shut-down")
            .tooltip_text(gettext("Shut Down"))
            .dropdown_tooltip(gettext("Reset or Force Off"))
            .menu_model(&actions::power_menu())
            .build();
        name(&pause, &gettext("Pause"));
        access::name(&shut_down, &gettext("Shut Down"));
        header.pack_start(&start);
        header.pack_start(&pause);
        header.pack_start(&shut_down);
        Self {
            start,
            pause,
            shut_down,
        }
    }

    /// Shows those that make sense while the machine is in `state`.
    pub fn follow(&self, state: &State) {
        let start = if state.is_alive() {
            gettext("Resume")
        } else {
            gettext("Start")
        };
        name(&self.start, &start);
        self.start
            .set_visible(!matches!(state, State::Running | State::Starting));
        self.pause.set_visible(*state == State::Running);
        self.shut_down.set_visible(state.is_alive());
    }
}

fn name(button: &gtk::Button, name: &str) {
    button.set_tooltip_text(Some(name));
    access::name(button, name);
}
