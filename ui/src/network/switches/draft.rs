//! A switch in the making: what the fields hold, and what speaks against it. Pure data.

use std::net::IpAddr;

use crate::model::{SwitchDefinition, SwitchKind, Uplink};
use crate::text::{self, gettext, gettext_with};

/// What the fields hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The name.
    pub name: String,
    /// The kind.
    pub kind: SwitchKind,
    /// The network, as typed.
    pub network: String,
    /// Whether addresses are given.
    pub dhcp: bool,
    /// The first and the last number of those.
    pub leases: (u8, u8),
    /// Name servers, as typed: with commas or spaces between them.
    pub name_servers: String,
    /// Whether there is IPv6; nothing for "if this computer has it".
    pub ipv6: Option<bool>,
    /// Whether the host's loopback address is reached.
    pub host_loopback: bool,
    /// What an external switch is connected with.
    pub uplink: Option<Uplink>,
}

impl Draft {
    /// The fields of `switch`.
    pub fn of(switch: &SwitchDefinition) -> Self {
        let servers = switch.name_servers.iter().map(ToString::to_string);
        Self {
            name: switch.name.clone(),
            kind: switch.kind,
            network: switch.network.to_string(),
            dhcp: switch.dhcp,
            leases: switch.leases,
            name_servers: servers.collect::<Vec<_>>().join(", "),
            ipv6: switch.ipv6,
            host_loopback: switch.host_loopback,
            uplink: switch.uplink.clone(),
        }
    }

    /// The switch that the fields say.
    ///
    /// # Errors
    /// What cannot be, as a sentence.
    pub fn switch(&self) -> Result<SwitchDefinition, String> {
        let mut switch = SwitchDefinition::new(self.name.trim(), self.kind);
        if self.kind.has_network() {
            switch.network = self.network.trim().parse().map_err(|_| {
                gettext_with(
                    "“{text}” is not an address; write the first one of the network, such as 10.0.3.0.",
                    &[("text", &self.network.trim())],
                )
            })?;
            switch.dhcp = self.dhcp;
            switch.leases = self.leases;
            switch.ipv6 = self.ipv6;
            switch.host_loopback = self.host_loopback;
            let servers = self.name_servers.split([',', ' ', ';']);
            for server in servers.filter(|server| !server.is_empty()) {
                let address: IpAddr = server.parse().map_err(|_| {
                    gettext_with(
                        "“{text}” is not the address of a name server, such as 192.168.1.1.",
                        &[("text", &server)],
                    )
                })?;
                switch.name_servers.push(address);
            }
        }
        switch.uplink.clone_from(&self.uplink);
        if self.kind == SwitchKind::External && self.uplink.is_none() {
            return Err(gettext("Choose what the switch is connected with."));
        }
        match switch.check() {
            Ok(()) => Ok(switch),
            Err(error) => Err(text::sentence(&error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_switch_say_the_same() {
        let mut switch = SwitchDefinition::new("lab", SwitchKind::Nat);
        switch.name_servers = vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
        switch.leases = (20, 30);
        switch.ipv6 = Some(false);
        assert_eq!(Draft::of(&switch).switch(), Ok(switch.clone()));
        let draft = Draft::of(&switch);
        for wrong in [
            Draft {
                network: "home".into(),
                ..draft.clone()
            },
            Draft {
                network: "10.0.3.7".into(),
                ..draft.clone()
            },
            Draft {
                name_servers: "192.0.2.1, dns".into(),
                ..draft.clone()
            },
            Draft {
                leases: (30, 20),
                ..draft.clone()
            },
            Draft {
                kind: SwitchKind::External,
                ..draft.clone()
            },
        ] {
            assert!(wrong.switch().is_err(), "{wrong:?}");
        }
        // What a private switch does not have does not stand in its way.
        let private = Draft {
            kind: SwitchKind::Private,
            network: "home".into(),
            ..draft
        };
        assert!(private.switch().is_ok());
    }
}
