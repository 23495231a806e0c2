//! The network cards of a running machine: made with it, and changed while it runs.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::board::{Board, Chipset};
use super::{StartError, virtio};
use crate::bus::Shared;
use crate::definition::{CardModel, Forward, MAX_FORWARDS, MacAddress, NetworkCard};
use crate::firmware::{FirmwareFile, Locations};
use crate::memory::MemoryRegion;
use crate::network::e1000::{E1000, Worker};
use crate::network::{Cable, Capture, Connection, Switches, Traffic};
use crate::pci::Address;
use crate::virtio::network::Network;

/// How a forward is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardStatus {
    /// Which.
    #[serde(flatten)]
    pub forward: Forward,
    /// Why it leads nowhere, with what to do about it; nothing if it works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// How a network card is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardStatus {
    /// What it is.
    pub model: CardModel,
    /// Its address.
    pub mac: MacAddress,
    /// The switch that it is meant to be attached to.
    pub switch: String,
    /// Whether its cable is plugged in and ends at the switch.
    pub connected: bool,
    /// Why it is not connected, or not captured, with what to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The addresses that the guest uses with it, as far as the switch knows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<IpAddr>,
    /// Its forwards.
    pub forwards: Vec<ForwardStatus>,
    /// What passed it.
    pub traffic: Traffic,
}

struct Plugged {
    definition: NetworkCard,
    connection: Option<Connection>,
    error: Option<String>,
    forwards: Vec<ForwardStatus>,
}

struct Card {
    mac: MacAddress,
    model: CardModel,
    cable: Arc<Cable>,
    plugged: Mutex<Plugged>,
    /// The compatible card and its thread, if it is one; virtio's are with the board's other virtio devices.
    e1000: Option<(Shared<E1000>, Worker)>,
}

/// All network cards of a machine.
pub(super) struct Networks {
    cards: Vec<Card>,
    switches: Arc<Switches>,
    folder: PathBuf,
}

impl Networks {
    /// Puts the cards that the definition says onto `board`. A switch, port or file that cannot be had keeps no machine from
    /// starting: the card's status says what is wrong.
    ///
    /// # Errors
    /// When there is no slot, thread or file descriptor for a card.
    pub fn build(board: &Board<'_>, chipset: &dyn Chipset) -> Result<Self, StartError> {
        let (definition, folder) = (board.order.definition, board.order.folder);
        let switches = Switches::of_library(folder.parent().unwrap_or(folder));
        let mut cards = Vec::new();
        for (number, card) in definition.networks.iter().enumerate() {
            let mac = definition.mac_address(number);
            let model = card.model(definition.generation);
            let cable = Cable::new()?;
            let e1000 = match model {
                CardModel::E1000 => {
                    let (card, worker) = insert_e1000(board, chipset, (mac, card.boot), &cable)?;
                    Some((card, worker))
                }
                CardModel::Virtio => {
                    let device = Box::new(Network::new(mac, Arc::clone(&cable)));
                    let address = virtio::insert(board, chipset, "network card", device)?;
                    add_boot_entry(board, card.boot, address);
                    None
                }
            };
            cards.push(Card {
                mac,
                model,
                cable,
                plugged: Mutex::new(Plugged {
                    definition: NetworkCard {
                        link: false,
                        forwards: Vec::new(),
                        capture: None,
                        ..card.clone()
                    },
                    connection: None,
                    error: None,
                    forwards: Vec::new(),
                }),
                e1000,
            });
        }
        let networks = Self {
            cards,
            switches,
            folder: folder.to_owned(),
        };
        for (number, card) in definition.networks.iter().enumerate() {
            for fault in networks.change(number, card).into_iter().flatten() {
                board.order.common.note("network", &fault);
            }
        }
        Ok(networks)
    }

    /// How many cards there are.
    pub fn count(&self) -> usize {
        self.cards.len()
    }

    /// What passed each card.
    pub fn traffic(&self) -> impl Iterator<Item = Traffic> + '_ {
        self.cards.iter().map(|card| card.cable.traffic())
    }

    /// How all cards are doing.
    pub fn status(&self) -> Vec<CardStatus> {
        self.cards
            .iter()
            .map(|card| {
                let plugged = card.plugged.lock();
                CardStatus {
                    model: card.model,
                    mac: card.mac,
                    switch: plugged.definition.switch.clone(),
                    connected: plugged.connection.is_some(),
                    error: plugged.error.clone(),
                    addresses: plugged
                        .connection
                        .as_ref()
                        .map_or_else(Vec::new, |connection| connection.addresses(card.mac)),
                    forwards: plugged.forwards.clone(),
                    traffic: card.cable.traffic(),
                }
            })
            .collect()
    }

    /// Makes switch, cable, forwards and capture of card `number` what `wanted` says; what needs the machine to be off stays. Returns
    /// what is wrong now, a sentence each; nothing if there is no such card.
    pub fn change(&self, number: usize, wanted: &NetworkCard) -> Option<Vec<String>> {
        let card = self.cards.get(number)?;
        let mut plugged = card.plugged.lock();
        let moved =
            plugged.definition.switch != wanted.switch || plugged.definition.link != wanted.link;
        let failed = plugged.connection.is_none() && wanted.link && wanted.is_attached();
        if moved || failed {
            plugged.disconnect(card.mac);
            plugged.error = None;
            if wanted.link && wanted.is_attached() {
                match self.switches.connect(&wanted.switch, &card.cable) {
                    Ok(connection) => plugged.connection = Some(connection),
                    Err(error) => plugged.error = Some(error.to_string()),
                }
            }
        }
        plugged.set_forwards(card.mac, &wanted.forwards);
        if plugged.definition.capture != wanted.capture {
            let opened = wanted
                .capture
                .as_ref()
                .map(|file| Capture::create(&self.folder.join(file)).map_err(|error| (file, error)))
                .transpose();
            match opened {
                Ok(capture) => card.cable.set_capture(capture),
                Err((file, error)) => {
                    card.cable.set_capture(None);
                    plugged.error = Some(format!(
                        "The capture {} cannot be written: {error}; choose another file.",
                        file.display()
                    ));
                }
            }
        }
        plugged.definition = NetworkCard {
            model: plugged.definition.model,
            mac: plugged.definition.mac,
            ..wanted.clone()
        };
        let forwards = plugged
            .forwards
            .iter()
            .filter_map(|forward| forward.error.clone());
        Some(plugged.error.clone().into_iter().chain(forwards).collect())
    }

    /// The cards leave the guest's memory alone, or go on; virtio's are held with the others.
    pub fn set_paused(&self, paused: bool) {
        for (card, _) in self.cards.iter().filter_map(|card| card.e1000.as_ref()) {
            card.lock().set_paused(paused);
        }
    }
}

impl Plugged {
    fn disconnect(&mut self, mac: MacAddress) {
        if let Some(connection) = self.connection.take() {
            for one in self.forwards.drain(..) {
                connection.remove_forward(mac, &one.forward);
            }
        }
        self.forwards.clear();
    }

    fn set_forwards(&mut self, mac: MacAddress, wanted: &[Forward]) {
        let wanted = wanted.get(..MAX_FORWARDS).unwrap_or(wanted);
        let before = std::mem::take(&mut self.forwards);
        let Some(connection) = &self.connection else {
            self.forwards = wanted
                .iter()
                .map(|forward| ForwardStatus {
                    forward: *forward,
                    error: Some("The card is not connected.".to_owned()),
                })
                .collect();
            return;
        };
        let working = |forward: &Forward| {
            before
                .iter()
                .any(|one| one.forward == *forward && one.error.is_none())
        };
        for one in before.iter().filter(|one| one.error.is_none()) {
            if !wanted.contains(&one.forward) {
                connection.remove_forward(mac, &one.forward);
            }
        }
        self.forwards = wanted
            .iter()
            .map(|forward| {
                let error = if working(forward) {
                    None
                } else {
                    connection.add_forward(mac, *forward).err()
                };
                ForwardStatus {
                    forward: *forward,
                    error: error.map(|error| error.to_string()),
                }
            })
            .collect();
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        self.plugged.lock().disconnect(self.mac);
    }
}

fn insert_e1000(
    board: &Board<'_>,
    chipset: &dyn Chipset,
    (mac, boot): (MacAddress, Option<u32>),
    cable: &Arc<Cable>,
) -> Result<(Shared<E1000>, Worker), StartError> {
    let rom = network_rom()?;
    let mut worker = None;
    let card = board.insert_card(chipset, "network card", |slot| {
        add_boot_entry(board, boot, slot.address);
        let memory = board.memory.clone();
        let (card, thread) = E1000::start(mac, Arc::clone(cable), slot.interrupt, memory, rom)?;
        worker = Some(thread);
        Ok(card)
    })?;
    let worker = worker.ok_or_else(|| StartError::Internal("a card was not made".to_owned()))?;
    Ok((card, worker))
}

/// Tells the firmware by which name the card at `address` stands in the boot order.
fn add_boot_entry(board: &Board<'_>, boot: Option<u32>, address: Address) {
    let path = format!("/pci@i0cf8/ethernet@{:x}/ethernet-phy@0", address.device);
    board.add_boot_entry(boot, path);
}

/// What the firmware runs to start over the network; without it the card works all the same.
fn network_rom() -> Result<Option<MemoryRegion>, StartError> {
    let data = match Locations::of_host().load(FirmwareFile::NetworkBoot) {
        Ok(data) => data,
        Err(error) => {
            tracing::info!(%error, "machines cannot start over the network");
            return Ok(None);
        }
    };
    let rom = MemoryRegion::new("network boot", data.len())?;
    rom.write(0, &data);
    Ok(Some(rom))
}
