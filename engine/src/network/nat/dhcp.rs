//! The DHCP server of a network (RFC 2131): an address for every card, always the same while the network is there.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use smoltcp::wire::{DhcpMessageType, DhcpPacket, DhcpRepr, EthernetAddress};

use super::plan::Plan;
use crate::definition::MacAddress;

pub(super) const SERVER_PORT: u16 = 67;
pub(super) const CLIENT_PORT: u16 = 68;
/// How long an address is a guest's, in seconds.
const LEASE: u32 = 86_400;

/// An answer, and to which address it goes.
pub(super) struct Answer {
    pub body: Vec<u8>,
    pub destination: Ipv4Addr,
    pub mac: MacAddress,
    /// Who has which address from now on.
    pub lease: Option<(Ipv4Addr, MacAddress)>,
}

/// Who has which address.
#[derive(Default)]
pub(super) struct Leases {
    addresses: HashMap<MacAddress, (Ipv4Addr, u64)>,
    /// Counts uses, to find the one that was not used for the longest time.
    clock: u64,
}

impl Leases {
    /// The address of `mac`, now and later.
    pub fn address(&mut self, plan: &Plan, mac: MacAddress) -> Option<Ipv4Addr> {
        self.clock += 1;
        if let Some((address, used)) = self.addresses.get_mut(&mac) {
            *used = self.clock;
            return Some(*address);
        }
        let free = plan
            .leases()
            .find(|address| self.addresses.values().all(|(taken, _)| taken != address));
        let address = match free {
            Some(address) => address,
            None => {
                let oldest = *self.addresses.iter().min_by_key(|(_, (_, used))| *used)?.0;
                self.addresses.remove(&oldest)?.0
            }
        };
        self.addresses.insert(mac, (address, self.clock));
        Some(address)
    }

    /// Answers the message of a client.
    pub fn answer(&mut self, plan: &Plan, message: &[u8]) -> Option<Answer> {
        let packet = DhcpPacket::new_checked(message).ok()?;
        let request = DhcpRepr::parse(&packet).ok()?;
        let mac = MacAddress(request.client_hardware_address.0);
        if !mac.is_station() {
            return None;
        }
        let for_others = request
            .server_identifier
            .is_some_and(|server| server != plan.gateway());
        let address = self.address(plan, mac)?;
        let kind = match request.message_type {
            DhcpMessageType::Discover => DhcpMessageType::Offer,
            DhcpMessageType::Request if for_others => return None,
            DhcpMessageType::Request => {
                let wanted = request.requested_ip.unwrap_or(request.client_ip);
                if wanted == address {
                    DhcpMessageType::Ack
                } else {
                    DhcpMessageType::Nak
                }
            }
            DhcpMessageType::Inform => DhcpMessageType::Ack,
            _ => return None,
        };
        let refused = kind == DhcpMessageType::Nak;
        let informs = request.message_type == DhcpMessageType::Inform;
        let name_servers = [plan.name_server()];
        let reply = DhcpRepr {
            message_type: kind,
            transaction_id: request.transaction_id,
            secs: 0,
            client_hardware_address: EthernetAddress(mac.0),
            client_ip: if refused {
                Ipv4Addr::UNSPECIFIED
            } else {
                request.client_ip
            },
            your_ip: if refused || informs {
                Ipv4Addr::UNSPECIFIED
            } else {
                address
            },
            server_ip: plan.gateway(),
            router: (plan.uplink && !refused).then(|| plan.gateway()),
            subnet_mask: (!refused).then_some(Ipv4Addr::new(255, 255, 255, 0)),
            relay_agent_ip: Ipv4Addr::UNSPECIFIED,
            broadcast: request.broadcast,
            requested_ip: None,
            client_identifier: None,
            server_identifier: Some(plan.gateway()),
            parameter_request_list: None,
            dns_servers: (plan.uplink && !refused).then(|| name_servers.into_iter().collect()),
            max_size: None,
            lease_duration: (!refused && !informs).then_some(LEASE),
            renew_duration: None,
            rebind_duration: None,
            additional_options: &[],
        };
        // Old clients take nothing shorter than BOOTP's 300 bytes.
        let mut body = vec![0; reply.buffer_len().max(300)];
        reply
            .emit(&mut DhcpPacket::new_unchecked(body.as_mut_slice()))
            .ok()?;
        let destination = if request.client_ip != Ipv4Addr::UNSPECIFIED && !refused {
            request.client_ip
        } else if request.broadcast || refused {
            Ipv4Addr::BROADCAST
        } else {
            address
        };
        Some(Answer {
            body,
            destination,
            lease: (kind == DhcpMessageType::Ack && !informs).then_some((address, mac)),
            mac: if destination.is_broadcast() {
                MacAddress::BROADCAST
            } else {
                mac
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::DEFAULT_NETWORK;
    use super::*;

    fn mac(number: u16) -> MacAddress {
        let [high, low] = number.to_be_bytes();
        MacAddress([2, 0, 0, 0, high, low])
    }

    #[test]
    fn addresses_stay_and_the_oldest_goes_when_all_are_given() {
        let plan = Plan::new(DEFAULT_NETWORK, true);
        let mut leases = Leases::default();
        assert_eq!(
            leases.address(&plan, mac(0)),
            Some(Ipv4Addr::new(10, 0, 2, 15))
        );
        assert_eq!(
            leases.address(&plan, mac(1)),
            Some(Ipv4Addr::new(10, 0, 2, 16))
        );
        assert_eq!(
            leases.address(&plan, mac(0)),
            Some(Ipv4Addr::new(10, 0, 2, 15))
        );
        for number in 2..10_000 {
            assert!(leases.address(&plan, mac(number)).is_some());
        }
        assert_eq!(leases.addresses.len(), 240);
    }

    #[test]
    fn nonsense_is_not_answered() {
        let plan = Plan::new(DEFAULT_NETWORK, true);
        let mut leases = Leases::default();
        for length in [0, 1, 239, 240, 241, 300, 1500] {
            for value in [0, 1, 53, 255] {
                assert!(leases.answer(&plan, &vec![value; length]).is_none());
            }
        }
    }
}
