//! ICMP (RFC 792) and ICMPv6 (RFC 4443): the gateway answers echo requests itself; others' go through the host's ping sockets where
//! its administrator lets users have them. What cannot be reached is said.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use super::outlet::Outlet;
use super::packet::{ICMP, ICMP6, Packet};
use super::poll::{Poll, Token};

const IDLE: Duration = Duration::from_secs(20);
const MOST_FLOWS: usize = 64;
/// How many answers are taken from a socket before others have their turn.
const TURN: usize = 32;

/// Why a packet was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unreachable {
    /// The host has no way there.
    Host,
    /// Nobody listens at that port.
    Port,
    /// It is not allowed.
    Prohibited,
}

struct Flow {
    guest: IpAddr,
    identifier: u16,
    socket: OwnedFd,
    last: Instant,
}

/// All echo requests of one network that are under way.
pub(super) struct Icmp {
    flows: Vec<Option<Flow>>,
    by_guest: HashMap<(IpAddr, u16), usize>,
    buffer: Vec<u8>,
}

fn echo_types(version6: bool) -> (u8, u8) {
    if version6 { (128, 129) } else { (8, 0) }
}

impl Icmp {
    pub fn new() -> Self {
        Self {
            flows: Vec::new(),
            by_guest: HashMap::new(),
            buffer: vec![0; 65_536],
        }
    }

    /// A guest sent `packet`.
    pub fn guest_sent(
        &mut self,
        outlet: &mut Outlet,
        poll: &Poll,
        packet: &Packet<'_>,
        now: Instant,
    ) -> Option<()> {
        let version6 = packet.source.is_ipv6();
        let whole = if version6 {
            packet.is_whole()
        } else {
            crate::network::checksum::Sum::default()
                .with(packet.body())
                .is_valid()
        };
        let body = packet.body();
        let &[kind, _, _, _, id0, id1, _, _, ..] = body else {
            return None;
        };
        let (request, reply) = echo_types(version6);
        if kind != request || !whole {
            return None;
        }
        if outlet.plan.is_own(packet.destination) {
            let mut answer = body.to_vec();
            if let [kind, code, sum0, sum1, ..] = answer.as_mut_slice() {
                (*kind, *code, *sum0, *sum1) = (reply, 0, 0, 0);
            }
            let protocol = if version6 { ICMP6 } else { ICMP };
            let envelope = outlet.envelope(packet.destination, packet.source, protocol)?;
            outlet.send_packet(&envelope, &answer, Some((2, version6)));
            return Some(());
        }
        let target = outlet.plan.outside(SocketAddr::new(packet.destination, 0));
        let identifier = u16::from_be_bytes([id0, id1]);
        let number = target.and_then(|_| self.flow(poll, packet.source, identifier, now));
        let (Some(target), Some(number)) = (target, number) else {
            unreachable(outlet, packet, Unreachable::Prohibited);
            return None;
        };
        let flow = self.flows.get_mut(number)?.as_mut()?;
        flow.last = now;
        match rustix::net::sendto(&flow.socket, body, SendFlags::NOSIGNAL, &target) {
            Err(rustix::io::Errno::NETUNREACH | rustix::io::Errno::HOSTUNREACH) => {
                unreachable(outlet, packet, Unreachable::Host);
            }
            Err(rustix::io::Errno::ACCESS | rustix::io::Errno::PERM) => {
                unreachable(outlet, packet, Unreachable::Prohibited);
            }
            _ => {}
        }
        Some(())
    }

    fn flow(&mut self, poll: &Poll, guest: IpAddr, identifier: u16, now: Instant) -> Option<usize> {
        if let Some(number) = self.by_guest.get(&(guest, identifier)) {
            return Some(*number);
        }
        if self.by_guest.len() >= MOST_FLOWS {
            let oldest = self
                .flows
                .iter()
                .enumerate()
                .filter_map(|(number, flow)| Some((number, flow.as_ref()?.last)))
                .min_by_key(|(_, last)| *last)?;
            self.close(oldest.0);
        }
        let (family, protocol) = match guest {
            IpAddr::V4(_) => (AddressFamily::INET, rustix::net::ipproto::ICMP),
            IpAddr::V6(_) => (AddressFamily::INET6, rustix::net::ipproto::ICMPV6),
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        // Not every host lets users have these.
        let socket =
            rustix::net::socket_with(family, SocketType::DGRAM, flags, Some(protocol)).ok()?;
        let number = self
            .flows
            .iter()
            .position(Option::is_none)
            .unwrap_or(self.flows.len());
        poll.add(&socket, Token::Icmp(number)).ok()?;
        let flow = Some(Flow {
            guest,
            identifier,
            socket,
            last: now,
        });
        match self.flows.get_mut(number) {
            Some(place) => *place = flow,
            None => self.flows.push(flow),
        }
        self.by_guest.insert((guest, identifier), number);
        Some(number)
    }

    fn close(&mut self, number: usize) {
        if let Some(flow) = self.flows.get_mut(number).and_then(Option::take) {
            self.by_guest.remove(&(flow.guest, flow.identifier));
        }
    }

    /// Answers came for flow `number`.
    pub fn ready(&mut self, outlet: &mut Outlet, number: usize, now: Instant) {
        for _ in 0..TURN {
            if self.take(outlet, number, now).is_none() {
                return;
            }
        }
    }

    fn take(&mut self, outlet: &mut Outlet, number: usize, now: Instant) -> Option<()> {
        let flow = self.flows.get_mut(number)?.as_mut()?;
        let received =
            rustix::net::recvfrom(&flow.socket, &mut self.buffer[..], RecvFlags::DONTWAIT);
        let (_, length, peer) = received.ok()?;
        let peer = SocketAddr::try_from(peer?).ok()?;
        let (_, reply) = echo_types(flow.guest.is_ipv6());
        let answer = self.buffer.get_mut(..length)?;
        let [kind, _, sum0, sum1, id0, id1, ..] = answer else {
            return Some(());
        };
        if *kind != reply {
            return Some(());
        }
        // The kernel has an identifier of its own.
        (*sum0, *sum1) = (0, 0);
        [*id0, *id1] = flow.identifier.to_be_bytes();
        flow.last = now;
        let version6 = flow.guest.is_ipv6();
        let protocol = if version6 { ICMP6 } else { ICMP };
        if let Some(envelope) = outlet.envelope(peer.ip(), flow.guest, protocol) {
            outlet.send_packet(&envelope, answer, Some((2, version6)));
        }
        Some(())
    }

    /// Closes what nothing passed for long.
    pub fn expire(&mut self, now: Instant) {
        for number in 0..self.flows.len() {
            if let Some(Some(flow)) = self.flows.get(number)
                && now.duration_since(flow.last) > IDLE
            {
                self.close(number);
            }
        }
    }
}

/// Tells the sender of `packet` that it was not taken.
pub(super) fn unreachable(
    outlet: &mut Outlet,
    packet: &Packet<'_>,
    why: Unreachable,
) -> Option<()> {
    let version6 = packet.source.is_ipv6();
    let (kind, code, protocol) = match (version6, why) {
        (false, Unreachable::Host) => (3, 1, ICMP),
        (false, Unreachable::Port) => (3, 3, ICMP),
        (false, Unreachable::Prohibited) => (3, 13, ICMP),
        (true, Unreachable::Host) => (1, 3, ICMP6),
        (true, Unreachable::Port) => (1, 4, ICMP6),
        (true, Unreachable::Prohibited) => (1, 1, ICMP6),
    };
    let multicast = match packet.destination {
        IpAddr::V4(address) => address.is_multicast() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_multicast(),
    };
    if multicast || packet.destination == IpAddr::V4(outlet.plan.broadcast()) {
        return None;
    }
    let mut body = vec![kind, code, 0, 0, 0, 0, 0, 0];
    let quoted = packet
        .frame
        .data()
        .get(14..(packet.body.start + 8).min(packet.body.end))?;
    body.extend_from_slice(quoted);
    let gateway = outlet.plan.gateway_like(packet.source);
    let envelope = outlet.envelope(gateway, packet.source, protocol)?;
    outlet.send_packet(&envelope, &body, Some((2, version6)));
    Some(())
}
