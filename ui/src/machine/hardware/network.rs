//! The machine's network cards: what each is, where its cable ends, and what of this computer leads through it to the guest.
//! Switch, cable, forwards and capture change at once while the machine runs; what each is and its address wait until it is off.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

use relm4::adw;
use relm4::adw::prelude::*;
use relm4::prelude::*;

use super::edit::Edit;
use super::topic::{Editor, OFF_ONLY, Shown, Topic, View, choice_row, choose, offer, switch_row};
use super::{HardwareInput, card_title};
use crate::model::{
    CardModel, CardStatus, MAX_CARDS, MacAddress, NAT, NetworkCard, Severity, UNPLUGGED,
};
use crate::network::forwards::{Forwards, ForwardsInput};
use crate::network::{card_purpose, switch_name};
use crate::reason::Reason;
use crate::text::{self, gettext, gettext_with, message};

const MODELS: [(Option<CardModel>, &str); 3] = [
    (None, message("Automatic")),
    (Some(CardModel::Virtio), message("Virtio")),
    (Some(CardModel::E1000), message("Intel e1000")),
];

/// The topic.
pub struct Network {
    page: adw::PreferencesPage,
    editor: Editor,
    none: adw::PreferencesGroup,
    adding: adw::PreferencesGroup,
    add: adw::ButtonRow,
    reason: Reason,
    cards: RefCell<Vec<Card>>,
}

impl Network {
    /// An empty one.
    pub fn new(editor: &Editor) -> Self {
        let none = adw::PreferencesGroup::new();
        let row = adw::ActionRow::builder()
            .title(gettext("No Network Card"))
            .subtitle(gettext("The guest has no network"))
            .build();
        none.add(&row);
        let add = adw::ButtonRow::builder()
            .title(gettext("Add Network Card"))
            .start_icon_name("list-add-symbolic")
            .build();
        add.connect_activated({
            let editor = editor.clone();
            move |_| editor.edit(Edit::AddCard(NAT.to_owned()))
        });
        let manage = adw::ButtonRow::builder()
            .title(gettext("Virtual Switches…"))
            .action_name("win.switches")
            .build();
        let reason = Reason::new(&add);
        let adding = adw::PreferencesGroup::new();
        adding.add(&add);
        adding.add(reason.row());
        adding.add(&manage);
        let page = adw::PreferencesPage::new();
        page.add(&none);
        page.add(&adding);
        Self {
            page,
            editor: editor.clone(),
            none,
            adding,
            add,
            reason,
            cards: RefCell::default(),
        }
    }
}

impl Topic for Network {
    fn page(&self) -> &adw::PreferencesPage {
        &self.page
    }

    fn show(&self, view: &View) {
        let count = view.definition.networks.len();
        let mut cards = self.cards.borrow_mut();
        if cards.len() != count {
            // A page adds at its end alone.
            let focused = self.add.has_focus();
            self.page.remove(&self.none);
            self.page.remove(&self.adding);
            let kept = count.min(cards.len());
            for card in cards.drain(kept..) {
                self.page.remove(&card.group);
                self.page.remove(card.forwards.widget());
            }
            for number in cards.len()..count {
                let card = Card::new(number, &self.editor);
                self.page.add(&card.group);
                self.page.add(card.forwards.widget());
                cards.push(card);
            }
            self.page.add(&self.none);
            self.page.add(&self.adding);
            if focused {
                self.add.grab_focus();
            }
        }
        for (number, card) in cards.iter().enumerate() {
            card.show(number, view);
        }
        self.none.set_visible(count == 0);
        self.add.set_sensitive(!view.alive && count < MAX_CARDS);
        let reason = if view.alive {
            Some(gettext(
                "Turn the machine off to add or remove network cards.",
            ))
        } else if count >= MAX_CARDS {
            Some(gettext("A machine has no room for more."))
        } else {
            None
        };
        self.adding.set_description(reason.as_deref());
        self.reason.find(&view.findings, "network");
    }
}

/// A network card.
struct Card {
    group: adw::PreferencesGroup,
    switch: adw::ComboRow,
    switches: Rc<RefCell<Vec<String>>>,
    switch_reason: Reason,
    status: adw::ActionRow,
    link: adw::SwitchRow,
    model: adw::ComboRow,
    address: adw::EntryRow,
    shown_address: Shown,
    address_reason: Reason,
    capture: adw::SwitchRow,
    remove: adw::ButtonRow,
    forwards: Controller<Forwards>,
    /// The card that the rows show.
    shown: Rc<RefCell<NetworkCard>>,
}

impl Card {
    fn new(number: usize, editor: &Editor) -> Self {
        let shown = Rc::<RefCell<NetworkCard>>::default();
        // Makes the card what it is with one thing changed.
        let change = {
            let (editor, shown) = (editor.clone(), shown.clone());
            move |change: &dyn Fn(&mut NetworkCard)| {
                let mut card = shown.borrow().clone();
                change(&mut card);
                editor.edit(Edit::Card(number, card));
            }
        };
        let switches = Rc::<RefCell<Vec<String>>>::default();
        let switch = choice_row(&gettext("Virtual Switch"), &[], {
            let (change, switches) = (change.clone(), switches.clone());
            move |number| {
                let chosen = switches.borrow().get(number).cloned();
                if let Some(chosen) = chosen {
                    change(&|card| card.switch.clone_from(&chosen));
                }
            }
        });
        let switch_reason = Reason::new(&switch);
        let status = adw::ActionRow::builder()
            .title(gettext("Guest’s Address"))
            .subtitle_selectable(true)
            .css_classes(["property"])
            .build();
        let link = switch_row(&gettext("Cable Plugged In"), "", {
            let change = change.clone();
            move |on| change(&|card| card.link = on)
        });
        let names = MODELS.map(|(_, name)| gettext(name));
        let names = names.each_ref().map(String::as_str);
        let model = choice_row(&gettext("Model"), &names, {
            let change = change.clone();
            move |number| {
                if let Some((model, _)) = MODELS.get(number) {
                    change(&|card| card.model = *model);
                }
            }
        });

        let address = adw::EntryRow::builder()
            .title(gettext("MAC Address"))
            .show_apply_button(true)
            .build();
        address.connect_apply({
            let (change, editor) = (change.clone(), editor.clone());
            move |row| {
                let text = row.text();
                if text.trim().is_empty() {
                    return change(&|card| card.mac = None);
                }
                match text.trim().parse::<MacAddress>() {
                    Ok(mac) => change(&|card| card.mac = Some(mac)),
                    Err(error) => editor.send(HardwareInput::Refused(
                        format!("network.{number}.mac"),
                        text::sentence(&error),
                    )),
                }
            }
        });
        let address_reason = Reason::new(&address);
        let file = PathBuf::from(format!("network-{}.pcap", number + 1));
        let capture = switch_row(&gettext("Capture Traffic"), "", {
            let change = change.clone();
            move |on| {
                change(&|card| match (on, &card.capture) {
                    (true, None) => card.capture = Some(file.clone()),
                    (false, Some(_)) => card.capture = None,
                    _ => {}
                });
            }
        });
        let remove = adw::ButtonRow::builder()
            .title(gettext("Remove Network Card"))
            .build();
        remove.add_css_class("destructive-action");
        remove.connect_activated({
            let editor = editor.clone();
            move |_| editor.send(HardwareInput::RemoveCard(number))
        });
        let group = adw::PreferencesGroup::new();
        group.add(&switch);
        group.add(switch_reason.row());
        group.add(&status);
        group.add(&link);
        group.add(&model);
        group.add(&address);
        group.add(address_reason.row());
        group.add(&capture);
        group.add(&remove);
        let forwards = Forwards::builder().launch(()).connect_receiver({
            let change = change.clone();
            move |_, forwards| change(&|card| card.forwards.clone_from(&forwards))
        });
        Self {
            group,
            switch,
            switches,
            switch_reason,
            status,
            link,
            model,
            address,
            shown_address: Shown::default(),

            address_reason,
            capture,
            remove,
            forwards,
            shown,
        }
    }

    fn show(&self, number: usize, view: &View) {
        let definition = &view.definition;
        let Some(card) = definition.networks.get(number) else {
            return;
        };
        self.shown.replace(card.clone());
        self.group.set_title(&card_title(definition, number));
        self.show_switch(card, view);
        let running = view.cards.get(number).filter(|_| view.alive);
        let mut wrong: Vec<(Severity, String)> = Vec::new();
        if let Some(error) = running.and_then(|running| running.error.as_ref()) {
            wrong.push((Severity::Error, text::sentence(error)));
        }
        for finding in &view.findings {
            if finding.field == format!("network.{number}.switch") {
                wrong.push((finding.severity, text::translated(&finding.message)));
            }
        }
        let wrong = wrong.iter();
        self.switch_reason
            .show(wrong.map(|(severity, message)| (*severity, message.as_str())));
        self.show_status(running);
        self.link.set_active(card.link);
        self.link.set_sensitive(card.is_attached());
        self.link.set_subtitle(&if card.is_attached() {
            gettext("The guest sees at once when it is pulled")
        } else {
            gettext("The card is at no switch")
        });
        self.show_hardware(number, card, view);
        let folder = &view.folder;
        self.capture.set_active(card.capture.is_some());
        self.capture
            .set_subtitle(&text::escape(&match &card.capture {
                Some(file) => gettext_with("To {file}", &[("file", &folder.join(file).display())]),
                None => gettext("All that passes is written to a file for Wireshark"),
            }));
        self.remove.set_sensitive(!view.alive);
        self.forwards.widget().set_visible(leads_in(card, view));
        self.forwards
            .emit(ForwardsInput::Show(card.forwards.clone()));
        let faults = running.map(|running| running.forwards.clone());
        self.forwards
            .emit(ForwardsInput::Status(faults.unwrap_or_default()));
    }

    fn show_switch(&self, card: &NetworkCard, view: &View) {
        let mut switches: Vec<String> = view
            .switches
            .iter()
            .map(|switch| switch.name.clone())
            .collect();
        switches.push(UNPLUGGED.to_owned());
        let mine = |name: &String| name.to_lowercase() == card.switch.to_lowercase();
        if !switches.iter().any(mine) {
            switches.push(card.switch.clone());
        }
        let names: Vec<String> = switches.iter().map(|switch| switch_name(switch)).collect();
        offer(&self.switch, &names);
        choose(&self.switch, switches.iter().position(mine));
        self.switches.replace(switches);
        let found = view.switches.iter().find(|switch| mine(&switch.name));
        self.switch
            .set_subtitle(&card_purpose(&card.switch, found.map(|switch| switch.kind)));
    }

    fn show_status(&self, running: Option<&CardStatus>) {
        let Some(running) = running else {
            self.status.set_visible(false);
            return;
        };
        self.status.set_visible(running.connected);
        let addresses: Vec<String> = running.addresses.iter().map(ToString::to_string).collect();
        self.status.set_subtitle(&if addresses.is_empty() {
            gettext("Not known yet")
        } else {
            addresses.join(", ")
        });
    }

    fn show_hardware(&self, number: usize, card: &NetworkCard, view: &View) {
        let definition = &view.definition;
        let model = MODELS.iter().position(|(model, _)| *model == card.model);
        choose(&self.model, model);
        self.model.set_sensitive(!view.alive);
        let automatic = match card.model(definition.generation) {
            CardModel::Virtio => message("Virtio: the fastest, for systems with its driver"),
            CardModel::E1000 => message("Intel e1000: known to Windows and old systems"),
        };
        self.model
            .set_subtitle(&gettext(if view.alive { OFF_ONLY } else { automatic }));
        let address = definition.mac_address(number).to_string();
        self.shown_address.show(&address, &self.address);
        self.address.set_sensitive(!view.alive);
        self.address
            .set_tooltip_text(view.alive.then(|| gettext(OFF_ONLY)).as_deref());
        self.address_reason
            .find(&view.findings, &format!("network.{number}.mac"));
    }
}

/// Whether ports of this computer can lead to the guest through `card`.
fn leads_in(card: &NetworkCard, view: &View) -> bool {
    let switch = view
        .switches
        .iter()
        .find(|switch| switch.name.to_lowercase() == card.switch.to_lowercase());
    !card.forwards.is_empty() || switch.is_some_and(|switch| switch.kind.forwards())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_can_be_chosen() {
        for model in CardModel::ALL {
            assert!(MODELS.iter().any(|(one, _)| *one == Some(model)));
        }
    }
}
