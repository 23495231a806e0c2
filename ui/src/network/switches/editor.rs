//! The page on which a switch is made or changed.

use std::rc::Rc;

use relm4::adw::prelude::*;
use relm4::{adw, gtk};

use super::draft::Draft;
use super::{KINDS, ManagerInput, Used, kept};
use crate::access;
use crate::model::{Severity, SwitchDefinition, SwitchKind, Uplink, Uplinks};
use crate::network::{kind_purpose, switch_name};
use crate::reason::Reason;
use crate::text::{self, gettext, message, whole};

/// What can be said of IPv6.
const VERSION6: [(Option<bool>, &str); 3] = [
    (None, message("If this computer has it")),
    (Some(true), message("Always")),
    (Some(false), message("Never")),
];

/// The page.
pub struct Editor {
    page: adw::NavigationPage,
}

struct Fields {
    /// The switch that is changed, if there is one already.
    before: Option<SwitchDefinition>,
    uplinks: Vec<Uplink>,
    no_uplink: Option<String>,
    name: adw::EntryRow,
    kind: adw::ComboRow,
    uplink: adw::ComboRow,
    network_group: adw::PreferencesGroup,
    network: adw::EntryRow,
    dhcp: adw::SwitchRow,
    first: adw::SpinRow,
    last: adw::SpinRow,
    guests_group: adw::PreferencesGroup,
    name_servers: adw::EntryRow,
    ipv6: adw::ComboRow,
    host_loopback: adw::SwitchRow,
    reason: Reason,
    save: gtk::Button,
}

fn chosen(row: &adw::ComboRow) -> usize {
    usize::try_from(row.selected()).unwrap_or(usize::MAX)
}

fn entry(title: &str, text: &str) -> adw::EntryRow {
    adw::EntryRow::builder().title(title).text(text).build()
}

fn combo(title: &str, names: &[String], selected: usize) -> adw::ComboRow {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let row = adw::ComboRow::builder()
        .title(title)
        .model(&gtk::StringList::new(&names))
        .build();
    row.set_selected(u32::try_from(selected).unwrap_or(0));
    row
}

fn number(title: &str, value: u8) -> adw::SpinRow {
    let row = access::spin_row();
    row.set_title(title);
    row.set_subtitle(&gettext("Of the addresses that are given"));
    let value = f64::from(value);
    row.set_adjustment(Some(&gtk::Adjustment::new(
        value, 4.0, 254.0, 1.0, 10.0, 0.0,
    )));
    row.set_numeric(true);
    row
}

fn switch(title: &str, subtitle: &str, on: bool) -> adw::SwitchRow {
    adw::SwitchRow::builder()
        .title(title)
        .subtitle(subtitle)
        .active(on)
        .build()
}

impl Fields {
    fn new(used: Option<&Used>, uplinks: &Uplinks) -> Self {
        let before = used.map(|used| used.switch.clone());
        let draft = Draft::of(
            &before
                .clone()
                .unwrap_or_else(|| SwitchDefinition::new("", SwitchKind::Nat)),
        );
        let kinds = KINDS.map(|(_, name)| gettext(name));
        let mut possible = uplinks.possible.clone();
        // What it is connected with stays to be chosen although it is not there now.
        if let Some(uplink) = &draft.uplink
            && !possible.contains(uplink)
        {
            possible.push(uplink.clone());
        }
        let names: Vec<String> = possible.iter().map(uplink_name).collect();
        let place = possible
            .iter()
            .position(|one| Some(one) == draft.uplink.as_ref());
        let version6 = VERSION6.map(|(_, name)| gettext(name));
        let (first, last) = draft.leases;
        let name = entry(&gettext("Name"), &draft.name);
        let this = Self {
            no_uplink: uplinks.reason.clone().filter(|_| possible.is_empty()),
            uplinks: possible,
            kind: combo(
                &gettext("Kind"),
                &kinds,
                KINDS
                    .iter()
                    .position(|(kind, _)| *kind == draft.kind)
                    .unwrap_or(0),
            ),
            uplink: combo(&gettext("Connected With"), &names, place.unwrap_or(0)),
            network_group: adw::PreferencesGroup::builder()
                .title(gettext("Addresses"))
                .build(),
            network: entry(&gettext("Network"), &draft.network),
            dhcp: switch(
                &gettext("Give Addresses by DHCP"),
                &gettext("Each machine always gets the same one"),
                draft.dhcp,
            ),
            first: number(&gettext("First Number"), first),
            last: number(&gettext("Last Number"), last),
            guests_group: adw::PreferencesGroup::builder()
                .title(gettext("What Guests Reach"))
                .build(),
            name_servers: entry(
                &gettext("Name Servers (empty: those of this computer)"),
                &draft.name_servers,
            ),
            ipv6: combo(
                &gettext("IPv6"),
                &version6,
                VERSION6
                    .iter()
                    .position(|(ipv6, _)| *ipv6 == draft.ipv6)
                    .unwrap_or(0),
            ),
            host_loopback: switch(
                &gettext("Services of This Computer’s Loopback Address"),
                &gettext("At the gateway’s address. They count on hearing this computer only"),
                draft.host_loopback,
            ),
            reason: Reason::new(&name),
            save: gtk::Button::with_mnemonic(&if before.is_some() {
                gettext("_Save")
            } else {
                gettext("_Create")
            }),
            name,
            before,
        };
        this.save.add_css_class("suggested-action");
        this.name.set_visible(this.before.is_none());
        this.kind.set_sensitive(this.before.is_none());
        this
    }

    fn draft(&self) -> Draft {
        let number = |row: &adw::SpinRow| u8::try_from(whole(row.value())).unwrap_or(u8::MAX);
        let kinds = KINDS.get(chosen(&self.kind));
        let kind = kinds.map_or(SwitchKind::Nat, |(kind, _)| *kind);
        let before = self.before.as_ref().map(|switch| switch.name.clone());
        Draft {
            name: before.unwrap_or_else(|| self.name.text().into()),
            kind,
            network: self.network.text().into(),
            dhcp: self.dhcp.is_active(),
            leases: (number(&self.first), number(&self.last)),
            name_servers: self.name_servers.text().into(),
            ipv6: VERSION6.get(chosen(&self.ipv6)).and_then(|(ipv6, _)| *ipv6),
            host_loopback: self.host_loopback.is_active(),
            uplink: (kind == SwitchKind::External)
                .then(|| self.uplinks.get(chosen(&self.uplink)).cloned())
                .flatten(),
        }
    }

    /// Shows the fields that the kind has, and what speaks against the switch.
    fn judge(&self) {
        let draft = self.draft();
        self.kind.set_subtitle(&kind_purpose(draft.kind));
        self.network_group.set_visible(draft.kind.has_network());
        self.guests_group.set_visible(draft.kind == SwitchKind::Nat);
        self.uplink
            .set_visible(draft.kind == SwitchKind::External && !self.uplinks.is_empty());
        self.first.set_sensitive(draft.dhcp);
        self.last.set_sensitive(draft.dhcp);
        let wrong = match (draft.kind, &self.no_uplink) {
            (SwitchKind::External, Some(reason)) => Some(reason.clone()),
            _ => draft.switch().err(),
        };
        let unnamed = draft.name.trim().is_empty();
        let same = wrong.is_none() && draft.switch().ok() == self.before;
        self.save
            .set_sensitive(wrong.is_none() && !unnamed && !same);
        self.reason
            .show(wrong.iter().map(|wrong| (Severity::Error, wrong.as_str())));
    }
}

fn uplink_name(uplink: &Uplink) -> String {
    match uplink {
        Uplink::Tap(name) => text::gettext_with("Tap device {name}", &[("name", name)]),
        Uplink::Bridge(name) => text::gettext_with("Bridge {name}", &[("name", name)]),
    }
}

impl Editor {
    /// A page for the switch in `used`, or for a new one.
    pub fn new(
        used: Option<&Used>,
        uplinks: &Uplinks,
        input: &relm4::Sender<ManagerInput>,
    ) -> Self {
        let fields = Rc::new(Fields::new(used, uplinks));
        let what = adw::PreferencesGroup::new();
        what.add(&fields.name);
        what.add(&fields.kind);
        what.add(&fields.uplink);
        what.add(fields.reason.row());
        for row in [
            fields.network.upcast_ref::<gtk::Widget>(),
            fields.dhcp.upcast_ref(),
            fields.first.upcast_ref(),
            fields.last.upcast_ref(),
        ] {
            fields.network_group.add(row);
        }
        for row in [
            fields.name_servers.upcast_ref::<gtk::Widget>(),
            fields.ipv6.upcast_ref(),
            fields.host_loopback.upcast_ref(),
        ] {
            fields.guests_group.add(row);
        }
        let body = adw::PreferencesPage::new();
        body.add(&what);
        body.add(&fields.network_group);
        body.add(&fields.guests_group);
        if let Some(used) = used {
            body.add(&delete(used, input));
            if !used.users.is_empty() {
                what.set_description(Some(&gettext(
                    "Machines that run keep the switch as it is until none of them is at it any more.",
                )));
            }
        }
        let header = adw::HeaderBar::new();
        header.pack_end(&fields.save);
        let view = adw::ToolbarView::builder().content(&body).build();
        view.add_top_bar(&header);
        let title = match used {
            Some(used) => switch_name(&used.switch.name),
            None => gettext("New Virtual Switch"),
        };
        let page = adw::NavigationPage::new(&view, &title);
        connect(&fields, input);
        fields.judge();
        Self { page }
    }

    /// The page.
    pub fn page(&self) -> &adw::NavigationPage {
        &self.page
    }
}

/// Has every change of a field looked at, and the switch saved when that is wanted.
fn connect(fields: &Rc<Fields>, input: &relm4::Sender<ManagerInput>) {
    let judge = {
        let fields = Rc::downgrade(fields);
        Rc::new(move || {
            if let Some(fields) = fields.upgrade() {
                fields.judge();
            }
        })
    };
    for row in [&fields.name, &fields.network, &fields.name_servers] {
        let judge = judge.clone();
        row.connect_changed(move |_| judge());
    }
    for row in [&fields.kind, &fields.uplink, &fields.ipv6] {
        let judge = judge.clone();
        row.connect_selected_notify(move |_| judge());
    }
    for row in [&fields.dhcp, &fields.host_loopback] {
        let judge = judge.clone();
        row.connect_active_notify(move |_| judge());
    }
    for row in [&fields.first, &fields.last] {
        let judge = judge.clone();
        row.connect_value_notify(move |_| judge());
    }
    // The button keeps the fields as long as the page is there.
    let (fields_kept, input) = (fields.clone(), input.clone());
    fields.save.connect_clicked(move |_| {
        if let Ok(switch) = fields_kept.draft().switch() {
            let switch = Box::new(switch);
            let _ = input.send(if fields_kept.before.is_some() {
                ManagerInput::Save(switch)
            } else {
                ManagerInput::Create(switch)
            });
        }
    });
}

/// The row that deletes the switch, or says why it cannot be.
fn delete(used: &Used, input: &relm4::Sender<ManagerInput>) -> adw::PreferencesGroup {
    let group = adw::PreferencesGroup::new();
    let row = adw::ButtonRow::builder()
        .title(gettext("Delete Virtual Switch"))
        .build();
    row.add_css_class("destructive-action");
    let kept = kept(used);
    row.set_sensitive(kept.is_none());
    group.set_description(kept.as_deref());
    let (name, input) = (used.switch.name.clone(), input.clone());
    row.connect_activated(move |_| drop(input.send(ManagerInput::Delete(name.clone()))));
    group.add(&row);
    group
}
