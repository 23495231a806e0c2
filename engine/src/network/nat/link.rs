//! Who has which address on the link: ARP (RFC 826), IPv6 neighbour discovery (RFC 4861) and router advertisements with a name server
//! (RFC 8106).

use std::fs;
use std::net::{IpAddr, Ipv6Addr};

use smoltcp::wire::{ArpOperation, ArpPacket, ArpRepr, EthernetAddress};

use super::outlet::{MTU, Outlet};
use super::packet::{Envelope, ICMP6, Packet};
use super::plan::{ALL_NODES, LINK_LOCAL};
use crate::definition::MacAddress;
use crate::network::Frame;

const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;
const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
/// How long guests believe in the gateway, in seconds.
const ROUTER_LIFETIME: u16 = 1800;
/// How long guests keep addresses of the prefix, in seconds.
const PREFIX_LIFETIME: u32 = 86_400;

/// Answers a question for the gateway's or the name server's link address.
pub(super) fn arp(outlet: &mut Outlet, frame: &Frame) -> Option<()> {
    let packet = ArpPacket::new_checked(frame.data().get(14..)?).ok()?;
    let ArpRepr::EthernetIpv4 {
        operation,
        source_hardware_addr,
        source_protocol_addr,
        target_protocol_addr,
        ..
    } = ArpRepr::parse(&packet).ok()?
    else {
        return None;
    };
    let own = outlet.plan.is_own(target_protocol_addr.into())
        && (outlet.plan.uplink || target_protocol_addr == outlet.plan.gateway());
    if operation != ArpOperation::Request || !own {
        return None;
    }
    let reply = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Reply,
        source_hardware_addr: EthernetAddress(outlet.plan.mac().0),
        source_protocol_addr: target_protocol_addr,
        target_hardware_addr: source_hardware_addr,
        target_protocol_addr: source_protocol_addr,
    };
    let mut body = vec![0; reply.buffer_len()];
    reply.emit(&mut ArpPacket::new_unchecked(&mut body));
    outlet.send_link(MacAddress(source_hardware_addr.0), 0x0806, &body);
    Some(())
}

/// Answers neighbour and router solicitations; says whether `packet` was one.
pub(super) fn discovery(outlet: &mut Outlet, packet: &Packet<'_>) -> bool {
    let body = packet.body();
    match body.first() {
        Some(&ROUTER_SOLICITATION) => {
            // What came over a router is not from here.
            if packet.hops == 255 {
                advertise(outlet);
            }
            true
        }
        Some(&NEIGHBOUR_SOLICITATION) => {
            if packet.hops == 255 {
                answer_neighbour(outlet, packet, body);
            }
            true
        }
        Some(&(ROUTER_ADVERTISEMENT | NEIGHBOUR_ADVERTISEMENT)) => true,
        _ => false,
    }
}

fn answer_neighbour(outlet: &mut Outlet, packet: &Packet<'_>, body: &[u8]) -> Option<()> {
    let target: [u8; 16] = body.get(8..24)?.try_into().ok()?;
    let target = Ipv6Addr::from(target);
    if !outlet.plan.is_own(target.into()) {
        return None;
    }
    let asked_by_nobody = matches!(packet.source, IpAddr::V6(source) if source.is_unspecified());
    let (destination, to) = if asked_by_nobody {
        (IpAddr::V6(ALL_NODES), multicast_mac(ALL_NODES))
    } else {
        (packet.source, packet.frame.source())
    };
    let mac = outlet.plan.mac();
    // Router, solicited (unless nobody asked), override.
    let flags = if asked_by_nobody { 0xa0 } else { 0xe0 };
    let mut answer = vec![NEIGHBOUR_ADVERTISEMENT, 0, 0, 0, flags, 0, 0, 0];
    answer.extend_from_slice(&target.octets());
    answer.extend_from_slice(&[2, 1]);
    answer.extend_from_slice(&mac.0);
    let envelope = Envelope {
        from: mac,
        to,
        source: target.into(),
        destination,
        protocol: ICMP6,
    };
    outlet.send_packet(&envelope, &answer, Some((2, true)));
    Some(())
}

/// Tells everybody of the gateway, the prefix and the name server.
pub(super) fn advertise(outlet: &mut Outlet) {
    let plan = outlet.plan;
    let [life0, life1] = ROUTER_LIFETIME.to_be_bytes();
    let mut body = vec![
        ROUTER_ADVERTISEMENT,
        0,
        0,
        0,
        64,
        0,
        life0,
        life1,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
    ];
    body.extend_from_slice(&[1, 1]);
    body.extend_from_slice(&plan.mac().0);
    let mtu = u32::try_from(MTU).unwrap_or(1500);
    body.extend_from_slice(&[5, 1, 0, 0]);
    body.extend_from_slice(&mtu.to_be_bytes());
    // On link, and addresses may be made of it.
    body.extend_from_slice(&[3, 4, 64, 0xc0]);
    body.extend_from_slice(&PREFIX_LIFETIME.to_be_bytes());
    body.extend_from_slice(&PREFIX_LIFETIME.to_be_bytes());
    body.extend_from_slice(&[0; 4]);
    body.extend_from_slice(&plan.prefix6().octets());
    body.extend_from_slice(&[25, 3, 0, 0]);
    body.extend_from_slice(&u32::from(ROUTER_LIFETIME).to_be_bytes());
    body.extend_from_slice(&plan.name_server6().octets());
    let envelope = Envelope {
        from: plan.mac(),
        to: multicast_mac(ALL_NODES),
        source: LINK_LOCAL.into(),
        destination: ALL_NODES.into(),
        protocol: ICMP6,
    };
    outlet.send_packet(&envelope, &body, Some((2, true)));
}

fn multicast_mac(address: Ipv6Addr) -> MacAddress {
    let [.., a, b, c, d] = address.octets();
    MacAddress([0x33, 0x33, a, b, c, d])
}

/// Whether the host has a way into the IPv6 Internet: a default route over a device other than the loopback one.
pub(super) fn host_has_version6() -> bool {
    fs::read_to_string("/proc/net/ipv6_route").is_ok_and(|routes| has_default_route(&routes))
}

fn has_default_route(routes: &str) -> bool {
    routes.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let to_all = words
            .first()
            .is_some_and(|to| to.bytes().all(|digit| digit == b'0'))
            && words.get(1) == Some(&"00");
        to_all && words.last().is_some_and(|device| *device != "lo")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_route_over_a_device_is_a_way_out() {
        let zeros = "0".repeat(32);
        let line = |length: &str, device: &str| {
            format!(
                "{zeros} {length} {zeros} 00 {zeros} 00000400 00000001 00000000 00200200 {device}\n"
            )
        };
        assert!(has_default_route(&line("00", "eth0")));
        assert!(!has_default_route(&line("00", "lo")));
        assert!(!has_default_route(&line("40", "eth0")));
        assert!(!has_default_route(""));
    }
}
