//! Which addresses there are on a network behind the NAT, and what of the world its guests may reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::definition::MacAddress;

/// The network that guests find unless their switch says otherwise.
pub const DEFAULT_NETWORK: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 0);
/// The gateway's own address on the link.
const GATEWAY_MAC: MacAddress = MacAddress([0x52, 0x55, 0x0a, 0x00, 0x02, 0x02]);
/// The gateway's link-local address.
pub(super) const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);
/// Everybody's multicast address.
pub(super) const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// The addresses of one network: a /24 and a /64 behind one gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    network: [u8; 3],
    /// Whether guests reach the host's network, and are told of a gateway and a name server.
    pub uplink: bool,
    /// Whether what guests send to the gateway's address goes to the host's loopback address.
    pub host_loopback: bool,
    /// Whether guests are given addresses by DHCP.
    pub dhcp: bool,
    /// The first and the last address that guests are given, by the last number of each.
    pub leases: (u8, u8),
}

/// The addresses that guests are given unless their switch says otherwise.
pub const DEFAULT_LEASES: (u8, u8) = (15, 254);

impl Plan {
    /// The /24 that begins at `network`.
    pub fn new(network: Ipv4Addr, uplink: bool) -> Self {
        let [a, b, c, _] = network.octets();
        Self {
            network: [a, b, c],
            uplink,
            host_loopback: false,
            dhcp: true,
            leases: DEFAULT_LEASES,
        }
    }

    fn address(&self, last: u8) -> Ipv4Addr {
        let [a, b, c] = self.network;
        Ipv4Addr::new(a, b, c, last)
    }

    /// The gateway, which is also the DHCP server.
    pub fn gateway(&self) -> Ipv4Addr {
        self.address(2)
    }

    /// The name server, which passes questions on to the host's.
    pub fn name_server(&self) -> Ipv4Addr {
        self.address(3)
    }

    /// The subnet's broadcast address.
    pub fn broadcast(&self) -> Ipv4Addr {
        self.address(255)
    }

    /// The addresses that are given to guests, in the order they are given.
    pub fn leases(&self) -> impl Iterator<Item = Ipv4Addr> + '_ {
        (self.leases.0..=self.leases.1).map(|last| self.address(last))
    }

    /// The first address of the /64: a unique local prefix, the same on every host, since it is never seen outside.
    pub fn prefix6(&self) -> Ipv6Addr {
        let [a, b, c] = self.network.map(u16::from);
        Ipv6Addr::new(0xfd47, 0x6865, a << 8 | b, c, 0, 0, 0, 0)
    }

    fn address6(&self, last: u16) -> Ipv6Addr {
        let [a, b, c, d, ..] = self.prefix6().segments();
        Ipv6Addr::new(a, b, c, d, 0, 0, 0, last)
    }

    /// The gateway.
    pub fn gateway6(&self) -> Ipv6Addr {
        self.address6(2)
    }

    /// The name server.
    pub fn name_server6(&self) -> Ipv6Addr {
        self.address6(3)
    }

    /// The gateway's own address on the link.
    pub fn mac(&self) -> MacAddress {
        GATEWAY_MAC
    }

    /// Whether `address` is one of the network's.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => address.octets().starts_with(&self.network),
            IpAddr::V6(address) => {
                address.segments().first_chunk::<4>()
                    == self.prefix6().segments().first_chunk::<4>()
                    || address.is_unicast_link_local()
            }
        }
    }

    /// Whether `address` is the gateway or its name server.
    pub fn is_own(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => address == self.gateway() || address == self.name_server(),
            IpAddr::V6(address) => {
                address == self.gateway6()
                    || address == self.name_server6()
                    || address == LINK_LOCAL
            }
        }
    }

    /// Whether `address` is the name server, or the gateway, which answers for it.
    pub fn is_name_server(&self, address: IpAddr) -> bool {
        self.uplink && self.is_own(address)
    }

    /// The gateway's address of the same kind as `like`.
    pub fn gateway_like(&self, like: IpAddr) -> IpAddr {
        match like {
            IpAddr::V4(_) => self.gateway().into(),
            IpAddr::V6(_) => self.gateway6().into(),
        }
    }

    /// Where on the host's side what a guest sends to `target` goes; nothing where it must not go: the host's own loopback network
    /// above all, by whatever name.
    pub fn outside(&self, target: SocketAddr) -> Option<SocketAddr> {
        let address = target.ip();
        if self.is_own(address) {
            let loopback: IpAddr = match address {
                IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            };
            return self
                .host_loopback
                .then(|| reached(SocketAddr::new(loopback, target.port())));
        }
        let allowed = match address {
            IpAddr::V4(address) => is_public_place(address),
            IpAddr::V6(address) => {
                let [first, ..] = address.segments();
                // 2000::/3 is the Internet, fc00::/7 are private networks. The forms that hold an IPv4 address are in neither, but
                // for 6to4 and NAT64's own, which no host takes for its own.
                first & 0xe000 == 0x2000 || first & 0xfe00 == 0xfc00
            }
        };
        (self.uplink && allowed && !self.contains(address)).then(|| reached(target))
    }
}

/// Where `target` is: itself, but for targets that are fuzzed.
fn reached(target: SocketAddr) -> SocketAddr {
    #[cfg(any(test, feature = "fuzzing"))]
    if let Some(instead) = super::fuzzing::instead(target) {
        return instead;
    }
    target
}

fn is_public_place(address: Ipv4Addr) -> bool {
    let [first, ..] = address.octets();
    first != 0 && first < 240 && !address.is_loopback() && !address.is_multicast()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_reach_the_world_but_not_the_hosts_own_loopback() {
        let mut plan = Plan::new(DEFAULT_NETWORK, true);
        let outside = |plan: &Plan, text: &str| plan.outside(text.parse().unwrap());
        for allowed in [
            "192.0.2.1:80",
            "10.0.3.2:80",
            "192.168.1.1:443",
            "169.254.1.1:80",
            "[2001:db8::1]:80",
            "[fd00::1]:80",
        ] {
            assert_eq!(outside(&plan, allowed), allowed.parse().ok(), "{allowed}");
        }
        for refused in [
            "127.0.0.1:80",
            "127.9.9.9:80",
            "0.0.0.0:80",
            "0.1.2.3:80",
            "10.0.2.2:80",
            "10.0.2.3:80",
            "10.0.2.77:80",
            "224.0.0.1:80",
            "255.255.255.255:80",
            "[::1]:80",
            "[::]:80",
            "[::ffff:127.0.0.1]:80",
            "[::127.0.0.1]:80",
            "[fe80::1]:80",
            "[ff02::1]:80",
        ] {
            assert_eq!(outside(&plan, refused), None, "{refused}");
        }
        plan.host_loopback = true;
        assert_eq!(outside(&plan, "10.0.2.2:80"), "127.0.0.1:80".parse().ok());
        assert_eq!(outside(&plan, "127.0.0.1:80"), None);
        let internal = Plan::new(DEFAULT_NETWORK, false);
        assert_eq!(outside(&internal, "192.0.2.1:80"), None);
        assert!(!internal.is_name_server("10.0.2.3".parse().unwrap()));
    }
}
