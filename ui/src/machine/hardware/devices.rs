//! Display and input, random numbers and the clock: small devices of the machine.

use relm4::adw;
use relm4::adw::prelude::*;

use super::edit::{Device, Edit};
use super::topic::{Editor, Topic, View, choice_row, choose, switch_row};
use crate::model::Clock;
use crate::text::{gettext, message};

const CLOCKS: [(Clock, &str, &str); 2] = [
    (
        Clock::Utc,
        message("Universal time"),
        message("What Linux and the BSDs expect"),
    ),
    (
        Clock::Local,
        message("Local time"),
        message("What Windows and DOS expect"),
    ),
];

/// Screen, keyboard and pointer.
pub struct Input {
    page: adw::PreferencesPage,
    group: adw::PreferencesGroup,
    graphics: adw::SwitchRow,
    tablet: adw::SwitchRow,
}

impl Input {
    /// An empty one.
    pub fn new(editor: &Editor) -> Self {
        let tablet = switch_row(
            &gettext("Keyboard and Tablet by Virtio"),
            &gettext(
                "The pointer needs no grab once the guest’s drivers are up; until then the PS/2 devices work",
            ),
            {
                let editor = editor.clone();
                move |on| editor.edit(Edit::Device(Device::Input, on))
            },
        );
        let always = adw::ActionRow::builder()
            .title(gettext("PS/2 Keyboard and Wheel Mouse"))
            .subtitle(gettext("Always there"))
            .build();
        let graphics = switch_row(
            &gettext("Graphics by Virtio"),
            &gettext(
                "The guest’s screen follows the size of the window once the guest’s driver is up; until then it is a VGA",
            ),
            {
                let editor = editor.clone();
                move |on| editor.edit(Edit::Device(Device::Graphics, on))
            },
        );
        let display = adw::PreferencesGroup::builder()
            .title(gettext("Display"))
            .build();
        display.add(&graphics);
        let input = adw::PreferencesGroup::builder()
            .title(gettext("Keyboard and Pointer"))
            .build();
        input.add(&always);
        input.add(&tablet);
        let page = adw::PreferencesPage::new();
        page.add(&display);
        page.add(&input);
        Self {
            page,
            group: display,
            graphics,
            tablet,
        }
    }
}

impl Topic for Input {
    fn page(&self) -> &adw::PreferencesPage {
        &self.page
    }

    fn show(&self, view: &View) {
        self.graphics.set_active(view.definition.devices.graphics);
        self.tablet.set_active(view.definition.devices.input);
        self.group.set_description(view.later().as_deref());
    }
}

/// The clock and random numbers.
pub struct Others {
    page: adw::PreferencesPage,
    group: adw::PreferencesGroup,
    clock: adw::ComboRow,
    entropy: adw::SwitchRow,
}

impl Others {
    /// An empty one.
    pub fn new(editor: &Editor) -> Self {
        let names = CLOCKS.map(|(_, name, _)| gettext(name));
        let names = names.each_ref().map(String::as_str);
        let clock = choice_row(&gettext("Clock Shows"), &names, {
            let editor = editor.clone();
            move |number| {
                if let Some((clock, ..)) = CLOCKS.get(number) {
                    editor.edit(Edit::Clock(*clock));
                }
            }
        });
        let entropy = switch_row(
            &gettext("Random Numbers by Virtio"),
            &gettext("The guest gets good random numbers at once; it needs virtio drivers"),
            {
                let editor = editor.clone();
                move |on| editor.edit(Edit::Device(Device::Entropy, on))
            },
        );
        let group = adw::PreferencesGroup::new();
        group.add(&clock);
        group.add(&entropy);
        let page = adw::PreferencesPage::new();
        page.add(&group);
        Self {
            page,
            group,
            clock,
            entropy,
        }
    }
}

impl Topic for Others {
    fn page(&self) -> &adw::PreferencesPage {
        &self.page
    }

    fn show(&self, view: &View) {
        let number = CLOCKS
            .iter()
            .position(|(clock, ..)| *clock == view.definition.clock);
        choose(&self.clock, number);
        let about = number.and_then(|number| CLOCKS.get(number));
        self.clock
            .set_subtitle(&about.map_or_else(String::new, |(_, _, about)| gettext(*about)));
        self.entropy.set_active(view.definition.devices.entropy);
        self.group.set_description(view.later().as_deref());
    }
}
