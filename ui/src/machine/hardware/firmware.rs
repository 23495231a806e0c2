//! What kind of computer the machine is, and how it starts.

use relm4::adw;
use relm4::adw::prelude::*;

use super::HardwareInput;
use super::boot_order::BootOrder;
use super::edit::Edit;
use super::topic::{Editor, OFF_ONLY, Topic, View, choice_row, choose, switch_row};
use crate::model::Generation;
use crate::reason::Reason;
use crate::text::{gettext, message};

/// The kinds of computer, and what each is.
pub const GENERATIONS: [(Generation, &str, &str); 2] = [
    (
        Generation::One,
        "1",
        message("A compatible PC with a BIOS, for any operating system"),
    ),
    (
        Generation::Two,
        "2",
        message("UEFI and faster devices, for today’s operating systems"),
    ),
];

/// The topic.
pub struct Firmware {
    page: adw::PreferencesPage,
    generation: adw::ComboRow,
    group: adw::PreferencesGroup,
    secure_boot: adw::SwitchRow,
    reason: Reason,
    boot_menu: adw::SwitchRow,
    order: BootOrder,
}

impl Firmware {
    /// An empty one.
    pub fn new(editor: &Editor) -> Self {
        let generation = choice_row(
            &gettext("Generation"),
            &GENERATIONS.map(|(_, name, _)| name),
            {
                let editor = editor.clone();
                move |number| {
                    if let Some((generation, ..)) = GENERATIONS.get(number) {
                        editor.send(HardwareInput::Generation(*generation));
                    }
                }
            },
        );
        let secure_boot = switch_row(&gettext("Secure Boot"), "", {
            let editor = editor.clone();
            move |on| editor.edit(Edit::SecureBoot(on))
        });
        let reason = Reason::new(&secure_boot);
        let boot_menu = switch_row(
            &gettext("Boot Menu"),
            &gettext("The firmware waits some seconds at each start for a key that opens its menu"),
            {
                let editor = editor.clone();
                move |on| editor.edit(Edit::BootMenu(on))
            },
        );
        let kind = adw::PreferencesGroup::new();
        kind.add(&generation);
        let group = adw::PreferencesGroup::builder()
            .title(gettext("Start"))
            .build();
        group.add(&secure_boot);
        group.add(reason.row());
        group.add(&boot_menu);
        let order = BootOrder::new(editor);
        let page = adw::PreferencesPage::new();
        page.add(&kind);
        page.add(order.group());
        page.add(&group);
        Self {
            page,
            generation,
            group,
            secure_boot,
            reason,
            boot_menu,
            order,
        }
    }
}

impl Topic for Firmware {
    fn page(&self) -> &adw::PreferencesPage {
        &self.page
    }

    fn show(&self, view: &View) {
        let definition = &view.definition;
        let number = GENERATIONS
            .iter()
            .position(|(generation, ..)| *generation == definition.generation);
        choose(&self.generation, number);
        let about = number.and_then(|number| GENERATIONS.get(number));
        let about = about.map_or("", |(_, _, about)| *about);
        self.generation.set_sensitive(!view.alive);
        self.generation
            .set_subtitle(&gettext(if view.alive { OFF_ONLY } else { about }));
        let uefi = definition.generation == Generation::Two;
        let secure = definition.firmware.secure_boot;
        self.secure_boot.set_active(secure);
        self.secure_boot.set_sensitive(uefi || secure);
        self.secure_boot.set_subtitle(&if uefi {
            gettext("The firmware starts only what is signed with a key that it trusts")
        } else {
            gettext("Generation 2 only: a BIOS does not know it")
        });
        self.reason.find(&view.findings, "firmware.secure_boot");
        self.boot_menu.set_active(definition.firmware.boot_menu);
        self.group.set_description(view.later().as_deref());
        self.order.show(view);
    }
}
