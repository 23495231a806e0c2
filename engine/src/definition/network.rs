//! The machine's network cards: what each is, which switch its cable ends at, and what of the host reaches through it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Definition, Finding, Generation};

/// The name of the switch that every library has: network address translation.
pub const NAT: &str = "nat";
/// What a card is attached to whose cable ends nowhere.
pub const UNPLUGGED: &str = "none";
/// The most cards of a machine.
pub const MAX_CARDS: usize = 8;
/// The most forwards of one card.
pub const MAX_FORWARDS: usize = 64;

/// A network card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkCard {
    /// What it is; without it, what suits the generation ([`NetworkCard::model`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<CardModel>,
    /// Its address; without it, one made of the machine's identifier and the card's place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddress>,
    /// The switch at the other end of its cable, by name: [`NAT`], [`UNPLUGGED`], or a switch of the library.
    #[serde(default = "nat")]
    pub switch: String,
    /// Whether the cable is plugged in.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub link: bool,
    /// Where everything that passes the card is written in libpcap's format: relative to the machine's folder, or absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture: Option<PathBuf>,
    /// Its place in the boot order, as a drive's: without a number it is not started from, unless nothing has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<u32>,
    /// What of the host leads to the guest.
    #[serde(default, rename = "forward", skip_serializing_if = "Vec::is_empty")]
    pub forwards: Vec<Forward>,
}

fn nat() -> String {
    NAT.to_owned()
}

fn yes() -> bool {
    true
}

impl Default for NetworkCard {
    fn default() -> Self {
        Self {
            model: None,
            mac: None,
            switch: nat(),
            link: true,
            capture: None,
            boot: None,
            forwards: Vec::new(),
        }
    }
}

impl NetworkCard {
    /// What it is in a machine of that generation: what was chosen, else the card that most operating systems of such machines
    /// know.
    pub fn model(&self, generation: Generation) -> CardModel {
        self.model.unwrap_or(match generation.number() {
            1 => CardModel::E1000,
            _ => CardModel::Virtio,
        })
    }

    /// Whether its cable ends at a switch.
    pub fn is_attached(&self) -> bool {
        self.switch != UNPLUGGED
    }
}

/// What a network card is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CardModel {
    /// The paravirtual card of virtio 1.x: the fastest, for systems with its driver.
    Virtio,
    /// Intel's 82540EM, which Windows and old systems know.
    E1000,
}

impl CardModel {
    /// Every model, fastest first.
    pub const ALL: [Self; 2] = [Self::Virtio, Self::E1000];

    /// As `machine.toml` and the command line write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Virtio => "virtio",
            Self::E1000 => "e1000",
        }
    }
}

impl fmt::Display for CardModel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The address of a card on its network, as `02:12:34:56:78:9a`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MacAddress(pub [u8; 6]);

impl MacAddress {
    /// What every station listens to.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// The address for card number `index` (counting from 0) of the machine `uuid`: locally administered, always the same.
    pub fn of_machine(uuid: Uuid, index: usize) -> Self {
        // FNV-1a: short, and spreads neighbouring numbers over all bits.
        let number = u64::try_from(index).unwrap_or(u64::MAX).to_le_bytes();
        let hash = uuid
            .as_bytes()
            .iter()
            .chain(&number)
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
            });
        let [a, b, c, d, e, f, ..] = hash.to_be_bytes();
        Self([a & 0xfc | 0x02, b, c, d, e, f])
    }

    /// Whether it stands for several stations: a multicast or broadcast address.
    pub fn is_group(self) -> bool {
        self.0[0] & 1 != 0
    }

    /// Whether one station can have it: neither a group's address nor all zeros.
    pub fn is_station(self) -> bool {
        !self.is_group() && self.0 != [0; 6]
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(formatter, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}

/// The text is not a card's address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not the address of a network card; write six hexadecimal numbers, as in 02:12:34:56:78:9a"
)]
pub struct NotAMacAddress(String);

impl FromStr for MacAddress {
    type Err = NotAMacAddress;
    fn from_str(text: &str) -> Result<Self, NotAMacAddress> {
        let wrong = || NotAMacAddress(text.to_owned());
        let mut bytes = [0; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut bytes {
            let part = parts
                .next()
                .filter(|part| part.len() == 2)
                .ok_or_else(wrong)?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| wrong())?;
        }
        if parts.next().is_some() {
            return Err(wrong());
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for MacAddress {
    type Error = NotAMacAddress;
    fn try_from(text: String) -> Result<Self, NotAMacAddress> {
        text.parse()
    }
}

impl From<MacAddress> for String {
    fn from(address: MacAddress) -> Self {
        address.to_string()
    }
}

/// A protocol with ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// A port of the host that leads to a port of the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Forward {
    /// Of which protocol.
    pub protocol: Protocol,
    /// The host's address it is reached at: with the loopback address (the default) only from this computer.
    #[serde(default = "loopback")]
    pub host_address: IpAddr,
    /// The host's port, 1 to 65535.
    pub host_port: u16,
    /// The guest's port, 1 to 65535.
    pub guest_port: u16,
    /// The guest's address, if it is another than the one that the card was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guest_address: Option<IpAddr>,
}

fn loopback() -> IpAddr {
    IpAddr::V4(Ipv4Addr::LOCALHOST)
}

impl Forward {
    /// `host_port` of this computer to `guest_port` of the guest.
    pub fn new(protocol: Protocol, host_port: u16, guest_port: u16) -> Self {
        Self {
            protocol,
            host_address: loopback(),
            host_port,
            guest_port,
            guest_address: None,
        }
    }

    /// Where it listens on the host.
    pub fn host(&self) -> SocketAddr {
        SocketAddr::new(self.host_address, self.host_port)
    }

    /// Whether both cannot be there at once: the same protocol, host port and address, or one of them for all addresses.
    pub fn conflicts_with(&self, other: &Self) -> bool {
        let same_address = self.host_address == other.host_address
            || self.host_address.is_unspecified()
            || other.host_address.is_unspecified();
        self.protocol == other.protocol && self.host_port == other.host_port && same_address
    }
}

/// As the command line writes it: `tcp:127.0.0.1:2222:22`.
impl fmt::Display for Forward {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}:", self.protocol, self.host())?;
        if let Some(address) = self.guest_address {
            return write!(formatter, "{}", SocketAddr::new(address, self.guest_port));
        }
        write!(formatter, "{}", self.guest_port)
    }
}

/// The text is not a forward.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a forward; write [tcp:|udp:][HOST-ADDRESS:]HOST-PORT:[GUEST-ADDRESS:]GUEST-PORT, as in 2222:22"
)]
pub struct NotAForward(String);

impl FromStr for Forward {
    type Err = NotAForward;
    /// Reads `[tcp:|udp:][HOST-ADDRESS:]HOST-PORT:[GUEST-ADDRESS:]GUEST-PORT`; IPv6 addresses stand in brackets.
    fn from_str(text: &str) -> Result<Self, NotAForward> {
        let wrong = || NotAForward(text.to_owned());
        let (protocol, rest) = match text.split_once(':') {
            Some(("tcp", rest)) => (Protocol::Tcp, rest),
            Some(("udp", rest)) => (Protocol::Udp, rest),
            _ => (Protocol::Tcp, text),
        };
        let (host_address, rest) = leading_address(rest);
        let (host_port, rest) = rest.split_once(':').ok_or_else(wrong)?;
        let (guest_address, guest_port) = leading_address(rest);
        let port = |text: &str| text.parse().ok().filter(|port: &u16| *port != 0);
        Ok(Self {
            protocol,
            host_address: host_address.unwrap_or_else(loopback),
            host_port: port(host_port).ok_or_else(wrong)?,
            guest_port: port(guest_port).ok_or_else(wrong)?,
            guest_address,
        })
    }
}

/// An address and a colon at the beginning of `text`, if there is one, and the rest.
fn leading_address(text: &str) -> (Option<IpAddr>, &str) {
    let split = match text.strip_prefix('[') {
        Some(inside) => inside.split_once("]:"),
        None => text.split_once(':'),
    };
    let Some((address, rest)) = split else {
        return (None, text);
    };
    match address.parse() {
        Ok(address) => (Some(address), rest),
        Err(_) => (None, text),
    }
}

impl Definition {
    /// The address of card number `index`, counting from 0.
    pub fn mac_address(&self, index: usize) -> MacAddress {
        self.networks
            .get(index)
            .and_then(|card| card.mac)
            .unwrap_or_else(|| MacAddress::of_machine(self.uuid, index))
    }

    /// Adds a card whose cable ends at `switch`, with an address that stays its own when other cards go.
    pub fn add_network_card(&mut self, switch: &str) {
        let used: Vec<_> = (0..self.networks.len())
            .map(|index| self.mac_address(index))
            .collect();
        let mac = (0..=used.len())
            .map(|index| MacAddress::of_machine(self.uuid, index))
            .find(|mac| !used.contains(mac));
        self.networks.push(NetworkCard {
            mac,
            switch: switch.to_owned(),
            ..NetworkCard::default()
        });
    }

    /// Takes card number `index`, counting from 0, away. The others keep their addresses although their places change.
    pub fn remove_network_card(&mut self, index: usize) {
        if index >= self.networks.len() {
            return;
        }
        let addresses: Vec<_> = (0..self.networks.len())
            .map(|index| self.mac_address(index))
            .collect();
        for (card, address) in self.networks.iter_mut().zip(addresses) {
            card.mac = Some(address);
        }
        self.networks.remove(index);
    }

    /// Gives every card with an address of its own another one, for a machine that was made from this definition.
    pub fn renew_mac_addresses(&mut self) {
        let uuid = self.uuid;
        for (index, card) in self.networks.iter_mut().enumerate() {
            if card.mac.is_some() {
                card.mac = Some(MacAddress::of_machine(uuid, index));
            }
        }
    }

    pub(super) fn check_networks(&self, found: &mut Vec<Finding>) {
        if self.networks.len() > MAX_CARDS {
            found.push(Finding::error(
                "network",
                format!("A machine has {MAX_CARDS} network cards at most; remove one."),
            ));
        }
        let mut addresses = Vec::new();
        let mut forwards: Vec<Forward> = Vec::new();
        for (number, card) in self.networks.iter().enumerate() {
            let field = |name: &str| format!("network.{number}.{name}");
            let mac = self.mac_address(number);
            if !mac.is_station() {
                found.push(Finding::error(
                    field("mac"),
                    "A card cannot have this address: it stands for several. Choose one that begins with 02.",
                ));
            } else if addresses.contains(&mac) {
                found.push(Finding::error(
                    field("mac"),
                    "Another card of this machine has this address too; choose another.",
                ));
            }
            addresses.push(mac);
            if card.switch.trim().is_empty() {
                found.push(Finding::error(
                    field("switch"),
                    "Choose a virtual switch, or \"none\" for a cable that is not plugged in.",
                ));
            }
            if card.forwards.len() > MAX_FORWARDS {
                found.push(Finding::error(
                    field("forward"),
                    format!("A card has {MAX_FORWARDS} forwards at most; remove some."),
                ));
            }
            if !card.forwards.is_empty() && !card.is_attached() {
                found.push(Finding::warning(
                    field("forward"),
                    "The card is not attached to a switch; its forwards lead nowhere.",
                ));
            }
            for (place, forward) in card.forwards.iter().enumerate() {
                let field = |name: &str| format!("network.{number}.forward.{place}.{name}");
                check_forward(forward, &forwards, &field, found);
                forwards.push(*forward);
            }
        }
    }
}

fn check_forward(
    forward: &Forward,
    others: &[Forward],
    field: &dyn Fn(&str) -> String,
    found: &mut Vec<Finding>,
) {
    if forward.host_port == 0 {
        found.push(Finding::error(field("host_port"), "A port is 1 to 65535."));
    } else if others.iter().any(|other| forward.conflicts_with(other)) {
        found.push(Finding::error(
            field("host_port"),
            "Another forward of this machine uses this port too; choose another.",
        ));
    } else if forward.host_port < 1024 && !rustix::process::geteuid().is_root() {
        found.push(Finding::warning(
            field("host_port"),
            "Most hosts let only the administrator use ports below 1024; choose a higher one.",
        ));
    }
    if forward.guest_port == 0 {
        found.push(Finding::error(field("guest_port"), "A port is 1 to 65535."));
    }
    if !forward.host_address.is_loopback() {
        found.push(Finding::warning(
            field("host_address"),
            "Other computers can reach the guest through this port; choose 127.0.0.1 for this computer alone.",
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Host, Name, Severity};
    use super::*;

    fn machine() -> Definition {
        let mut definition = Definition::new(Name::new("test").unwrap());
        definition.add_network_card(NAT);
        definition
    }

    #[test]
    fn addresses_are_stable_local_and_differ_by_machine_and_card() {
        let machine = machine();
        let first = machine.mac_address(0);
        assert_eq!(first, MacAddress::of_machine(machine.uuid, 0));
        assert_eq!(
            first.0[0] & 3,
            2,
            "{first}: locally administered, one station"
        );
        assert_ne!(first, MacAddress::of_machine(machine.uuid, 1));
        assert_ne!(first, MacAddress::of_machine(Uuid::new_v4(), 0));
        assert_eq!(first.to_string().parse(), Ok(first));
        for wrong in [
            "",
            "02:12:34:56:78",
            "02:12:34:56:78:9a:bc",
            "2:12:34:56:78:9a",
            "02:12:34:56:78:zz",
        ] {
            assert!(wrong.parse::<MacAddress>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn cards_keep_their_addresses_and_a_copy_gets_new_ones() {
        let mut machine = machine();
        machine.add_network_card("lab");
        let second = machine.mac_address(1);
        machine.networks.remove(0);
        assert_eq!(machine.mac_address(0), second);
        machine.add_network_card(NAT);
        assert_ne!(machine.mac_address(1), second);
        let before = [machine.mac_address(0), machine.mac_address(1)];
        machine.uuid = Uuid::new_v4();
        machine.renew_mac_addresses();
        assert!(
            !before.contains(&machine.mac_address(0)) && !before.contains(&machine.mac_address(1))
        );
    }

    #[test]
    fn forwards_are_read_as_they_are_written() {
        for (text, written) in [
            ("2222:22", "tcp:127.0.0.1:2222:22"),
            ("udp:53:53", "udp:127.0.0.1:53:53"),
            ("tcp:0.0.0.0:8080:80", "tcp:0.0.0.0:8080:80"),
            ("[::1]:8080:80", "tcp:[::1]:8080:80"),
            ("8080:10.0.2.20:80", "tcp:127.0.0.1:8080:10.0.2.20:80"),
        ] {
            let forward: Forward = text.parse().unwrap();
            assert_eq!(forward.to_string(), written);
            assert_eq!(written.parse(), Ok(forward));
        }
        for wrong in [
            "", "22", "0:22", "22:0", "70000:22", "sctp:1:2", "a:b", "1:2:3", "::1:2:3",
        ] {
            assert!(wrong.parse::<Forward>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_card_survives_its_file_and_says_little() {
        let mut machine = machine();
        machine.networks[0]
            .forwards
            .push("2222:22".parse().unwrap());
        let text = toml::to_string(&machine).unwrap();
        assert_eq!(
            toml::from_str::<Definition>(&text).unwrap(),
            machine,
            "{text}"
        );
        assert!(!text.contains("link") && !text.contains("capture") && !text.contains("model"));
        let short: NetworkCard = toml::from_str("").unwrap();
        assert_eq!(short, NetworkCard::default());
    }

    #[test]
    fn what_cannot_be_is_found_at_its_field() {
        let host = Host {
            processors: 4,
            memory: 8 << 30,
            available: 4 << 30,
            secure_boot: true,
        };
        assert_eq!(machine().findings(&host), []);
        let check = |change: &dyn Fn(&mut Definition), field: &str, severity: Severity| {
            let mut definition = machine();
            definition.add_network_card(NAT);
            change(&mut definition);
            let found = definition.findings(&host);
            assert!(
                found
                    .iter()
                    .any(|one| one.field == field && one.severity == severity),
                "{field}: {found:?}"
            );
        };
        let forward = |text: &str| text.parse::<Forward>().unwrap();
        check(
            &|d| d.networks[1].mac = d.networks[0].mac,
            "network.1.mac",
            Severity::Error,
        );
        check(
            &|d| d.networks[0].mac = Some(MacAddress::BROADCAST),
            "network.0.mac",
            Severity::Error,
        );
        check(
            &|d| d.networks[0].mac = Some(MacAddress([0; 6])),
            "network.0.mac",
            Severity::Error,
        );
        check(
            &|d| d.networks[0].switch.clear(),
            "network.0.switch",
            Severity::Error,
        );
        check(
            &|d| d.networks = vec![NetworkCard::default(); 9],
            "network",
            Severity::Error,
        );
        check(
            &|d| {
                d.networks[0].forwards = vec![forward("2222:22")];
                d.networks[1].forwards = vec![forward("0.0.0.0:2222:23")];
            },
            "network.1.forward.0.host_port",
            Severity::Error,
        );
        check(
            &|d| {
                d.networks[0].forwards = vec![Forward {
                    guest_port: 0,
                    ..forward("2222:22")
                }]
            },
            "network.0.forward.0.guest_port",
            Severity::Error,
        );
        check(
            &|d| d.networks[0].forwards = vec![forward("0.0.0.0:2222:22")],
            "network.0.forward.0.host_address",
            Severity::Warning,
        );
        check(
            &|d| {
                d.networks[0].switch = UNPLUGGED.to_owned();
                d.networks[0].forwards = vec![forward("2222:22")];
            },
            "network.0.forward",
            Severity::Warning,
        );
    }
}
