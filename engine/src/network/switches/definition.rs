//! What a virtual switch is, as it is kept and before it lives.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

use super::SwitchError;
use crate::network::nat::{DEFAULT_LEASES, DEFAULT_NETWORK};
use crate::network::uplink::Uplink;

/// The first number that a guest's address can end with: the gateway and the name server have those before.
pub(super) const FIRST_LEASE: u8 = 4;

/// What is at a switch besides machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SwitchKind {
    /// The host's network, through address translation.
    Nat,
    /// The host: addresses by DHCP, and forwards; no way out.
    Internal,
    /// Nothing: machines are among themselves.
    Private,
    /// The host's network itself: machines are stations on it, by a device of the host's.
    External,
}

impl SwitchKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Nat, Self::Internal, Self::Private, Self::External];

    /// As `switches.toml` and the command line write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nat => "nat",
            Self::Internal => "internal",
            Self::Private => "private",
            Self::External => "external",
        }
    }

    /// Whether ports of the host can lead to machines at it.
    pub fn forwards(self) -> bool {
        self.has_network()
    }

    /// Whether it has a network of its own, with addresses that Guesthouse gives.
    pub fn has_network(self) -> bool {
        matches!(self, Self::Nat | Self::Internal)
    }
}

impl fmt::Display for SwitchKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A switch of the library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchDefinition {
    /// What it is called; cards refer to it by that. Unique without regard to case.
    pub name: String,
    /// What is at it.
    pub kind: SwitchKind,
    /// The first address of its network, a /24; private and external switches have none.
    #[serde(default = "default_network")]
    pub network: Ipv4Addr,
    /// Whether guests reach services of the host's loopback network at the gateway's address. Such services count on hearing this
    /// computer only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub host_loopback: bool,
    /// Whether guests are given addresses by DHCP; those on a network without it have fixed ones.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub dhcp: bool,
    /// The first and the last address that guests are given, by the last number of each.
    #[serde(default = "default_leases", skip_serializing_if = "are_default_leases")]
    pub leases: (u8, u8),
    /// Name servers that are asked for guests instead of the host's, if there are any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub name_servers: Vec<IpAddr>,
    /// Whether guests have IPv6; without it, if the host has a way into the IPv6 Internet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<bool>,
    /// What of the host an external switch is connected with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uplink: Option<Uplink>,
}

fn yes() -> bool {
    true
}

fn default_leases() -> (u8, u8) {
    DEFAULT_LEASES
}

fn are_default_leases(leases: &(u8, u8)) -> bool {
    *leases == DEFAULT_LEASES
}

fn default_network() -> Ipv4Addr {
    DEFAULT_NETWORK
}

impl SwitchDefinition {
    /// A switch with the default network.
    pub fn new(name: &str, kind: SwitchKind) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            network: DEFAULT_NETWORK,
            host_loopback: false,
            dhcp: true,
            leases: DEFAULT_LEASES,
            name_servers: Vec::new(),
            ipv6: None,
            uplink: None,
        }
    }

    /// What is wrong with it, but for its name.
    ///
    /// # Errors
    /// The first thing that cannot be.
    pub fn check(&self) -> Result<(), SwitchError> {
        if self.kind == SwitchKind::External {
            return match self.uplink {
                Some(_) => Ok(()),
                None => Err(SwitchError::NoUplink),
            };
        }
        let [.., last] = self.network.octets();
        if last != 0 || !self.network.is_private() {
            return Err(SwitchError::Network(self.network));
        }
        let (first, last) = self.leases;
        if first < FIRST_LEASE || first > last || last == u8::MAX {
            return Err(SwitchError::Leases(first, last));
        }
        Ok(())
    }

    /// Whether it is called `name`, without regard to case.
    pub fn is_called(&self, name: &str) -> bool {
        self.name.to_lowercase() == name.trim().to_lowercase()
    }
}
