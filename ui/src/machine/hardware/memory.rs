//! How much memory the machine has, and how it gives back what its guest does not use.

use relm4::adw;
use relm4::adw::prelude::*;

use super::HardwareInput;
use super::edit::{Device, Edit};
use super::topic::{Editor, Topic, View, number_row, switch_row};
use crate::model::Host;
use crate::reason::Reason;
use crate::text::{self, gettext, gettext_with, whole};

/// The topic.
pub struct Memory {
    page: adw::PreferencesPage,
    group: adw::PreferencesGroup,
    size: adw::SpinRow,
    reason: Reason,
    balloon: adw::SwitchRow,
    balloon_group: adw::PreferencesGroup,
    lent: adw::SpinRow,
}

impl Memory {
    /// An empty one.
    pub fn new(editor: &Editor) -> Self {
        let host = Host::inspect().ok();
        let most = host.map_or(u64::from(u32::MAX), |host| host.memory >> 20);
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        let size = number_row(&gettext("Memory in MiB"), 1, most, 256.0);
        if let Some(host) = host {
            size.set_subtitle(&gettext_with(
                "This computer has {memory}, {free} of them free",
                &[
                    ("memory", &text::bytes(host.memory)),
                    ("free", &text::bytes(host.available)),
                ],
            ));
        }
        size.connect_value_notify({
            let editor = editor.clone();
            move |row| editor.edit(Edit::Memory(whole(row.value())))
        });
        let reason = Reason::new(&size);
        let balloon = switch_row(
            &gettext("Memory Balloon"),
            &gettext(
                "What the guest does not use goes back to this computer; the guest needs virtio drivers",
            ),
            {
                let editor = editor.clone();
                move |on| editor.edit(Edit::Device(Device::Balloon, on))
            },
        );
        let lent = number_row(&gettext("Take Back in MiB"), 0, 1, 64.0);
        lent.set_subtitle(&gettext(
            "As far as the guest can do without; it is asked at once",
        ));
        lent.connect_value_notify({
            let editor = editor.clone();
            move |row| editor.send(HardwareInput::Balloon(whole(row.value()) << 20))
        });
        let group = adw::PreferencesGroup::new();
        group.add(&size);
        group.add(reason.row());
        let balloon_group = adw::PreferencesGroup::builder()
            .title(gettext("Sharing"))
            .build();
        balloon_group.add(&balloon);
        balloon_group.add(&lent);
        let page = adw::PreferencesPage::new();
        page.add(&group);
        page.add(&balloon_group);
        Self {
            page,
            group,
            size,
            reason,
            balloon,
            balloon_group,
            lent,
        }
    }
}

impl Topic for Memory {
    fn page(&self) -> &adw::PreferencesPage {
        &self.page
    }

    fn show(&self, view: &View) {
        let definition = &view.definition;
        let mebibytes = u32::try_from(definition.memory.mebibytes).unwrap_or(u32::MAX);
        let adjustment = self.size.adjustment();
        adjustment.set_upper(adjustment.upper().max(f64::from(mebibytes)));
        self.size.set_value(f64::from(mebibytes));
        self.group.set_description(view.later().as_deref());
        self.reason.find(&view.findings, "memory.mebibytes");
        self.balloon.set_active(definition.devices.balloon);
        self.balloon_group.set_description(view.later().as_deref());
        self.lent.set_visible(view.alive && view.balloon);
        let adjustment = self.lent.adjustment();
        adjustment.set_upper(f64::from(mebibytes.saturating_sub(64)));
        if !view.alive {
            self.lent.set_value(0.0);
        }
    }
}
