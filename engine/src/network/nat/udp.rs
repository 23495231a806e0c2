//! UDP between guests and the host's network: a socket of the host's for every port a guest sends from, answered by those it sent
//! to; name servers' questions each way; and ports of the host that lead to a guest.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use super::dns::{self, Resolver};
use super::forwards::{Forwards, GuestAddress};
use super::outlet::Outlet;
use super::packet::{Packet, UDP};
use super::poll::{Poll, Token};
use crate::definition::{Forward, MacAddress};

/// How long a flow is kept that nothing passes: one that was answered, one that was not, and a question to a name server.
const IDLE: Duration = Duration::from_secs(180);
const IDLE_UNANSWERED: Duration = Duration::from_secs(60);
const IDLE_QUESTION: Duration = Duration::from_secs(20);
/// How many flows there are at most.
const MOST_FLOWS: usize = 512;
/// How many of those that a guest's port sent to may answer.
const MOST_PEERS: usize = 256;
/// How many datagrams are taken from a socket before others have their turn.
const TURN: usize = 64;
/// How many strangers of a forward are remembered.
const MOST_STRANGERS: usize = 512;

struct Flow {
    guest: SocketAddr,
    /// As the guest knows the name server that it asks, if it is one.
    name_server: Option<SocketAddr>,
    socket: UdpSocket,
    peers: VecDeque<SocketAddr>,
    last: Instant,
    answered: bool,
    /// Which of the host's name servers is asked, and since when it owes an answer.
    server: usize,
    owed_since: Option<Instant>,
}

/// A stranger who sent something through a forward, as the guest knows it.
struct Stranger {
    forward: usize,
    address: SocketAddr,
    last: Instant,
}

/// All UDP of one network.
pub(super) struct Udp {
    flows: Vec<Option<Flow>>,
    by_guest: HashMap<(SocketAddr, Option<SocketAddr>), usize>,
    /// The host's ports that lead to guests.
    forwards: Forwards<UdpSocket>,
    strangers: HashMap<(SocketAddr, SocketAddr), Stranger>,
    buffer: Vec<u8>,
}

impl Udp {
    pub fn new() -> Self {
        Self {
            flows: Vec::new(),
            by_guest: HashMap::new(),
            forwards: Forwards::new(),
            strangers: HashMap::new(),
            buffer: vec![0; 65_536],
        }
    }

    /// A guest sent `payload` from its `source` to `target`.
    pub fn guest_sent(
        &mut self,
        outlet: &mut Outlet,
        poll: &Poll,
        resolver: &mut Resolver,
        (source, target): (SocketAddr, SocketAddr),
        payload: &[u8],
        now: Instant,
    ) -> Verdict {
        if let Some(stranger) = self.strangers.get_mut(&(source, target)) {
            stranger.last = now;
            let address = stranger.address;
            if let Some(listening) = self.forwards.get(stranger.forward) {
                // A datagram may be lost.
                let _ = listening.socket.send_to(payload, address);
            }
            return Verdict::Done;
        }
        let question = target.port() == dns::PORT && outlet.plan.is_name_server(target.ip());
        let name_server = question.then_some(target);
        let outside = if question {
            None
        } else {
            match outlet.plan.outside(target) {
                Some(outside) => Some(outside),
                None => return Verdict::Refused,
            }
        };
        if question && resolver.servers(now).is_empty() {
            if let Some(answer) = dns::failure(payload) {
                send(outlet, target, source, &answer);
            }
            return Verdict::Done;
        }
        let version6 = match outside {
            Some(outside) => outside.is_ipv6(),
            None => resolver
                .servers(now)
                .first()
                .is_some_and(SocketAddr::is_ipv6),
        };
        let Some(number) = self.flow(poll, source, name_server, version6, now) else {
            return Verdict::Done;
        };
        let Some(Some(flow)) = self.flows.get_mut(number) else {
            return Verdict::Done;
        };
        flow.last = now;
        let outside = match outside {
            Some(outside) => outside,
            None => {
                let servers = resolver.servers(now);
                // One that does not answer is passed over.
                if flow
                    .owed_since
                    .is_some_and(|since| now.duration_since(since) > Duration::from_secs(2))
                {
                    flow.server = flow.server.wrapping_add(1);
                    flow.owed_since = None;
                }
                flow.owed_since.get_or_insert(now);
                let server = servers.get(flow.server % servers.len().max(1));
                let Some(server) = server.filter(|server| server.is_ipv6() == version6) else {
                    flow.server = 0;
                    return Verdict::Done;
                };
                *server
            }
        };
        if !flow.peers.contains(&outside) {
            if flow.peers.len() >= MOST_PEERS {
                flow.peers.pop_front();
            }
            flow.peers.push_back(outside);
        }
        match flow.socket.send_to(payload, outside) {
            Err(error) if is_unreachable(&error) => Verdict::Unreachable,
            _ => Verdict::Done,
        }
    }

    /// The flow of the guest's port `source`, made if there is none.
    fn flow(
        &mut self,
        poll: &Poll,
        source: SocketAddr,
        name_server: Option<SocketAddr>,
        version6: bool,
        now: Instant,
    ) -> Option<usize> {
        let key = (source, name_server);
        if let Some(number) = self.by_guest.get(&key) {
            let same = self
                .flows
                .get(*number)?
                .as_ref()?
                .socket
                .local_addr()
                .ok()?
                .is_ipv6()
                == version6;
            if same {
                return Some(*number);
            }
            self.close(*number);
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
        let any: IpAddr = if version6 {
            std::net::Ipv6Addr::UNSPECIFIED.into()
        } else {
            std::net::Ipv4Addr::UNSPECIFIED.into()
        };
        let socket = UdpSocket::bind((any, 0)).ok()?;
        socket.set_nonblocking(true).ok()?;
        let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&socket, 1 << 20);
        let number = self
            .flows
            .iter()
            .position(Option::is_none)
            .unwrap_or(self.flows.len());
        poll.add(&socket, Token::Udp(number)).ok()?;
        let flow = Some(Flow {
            guest: source,
            name_server,
            socket,
            peers: VecDeque::new(),
            last: now,
            answered: false,
            server: 0,
            owed_since: None,
        });
        match self.flows.get_mut(number) {
            Some(place) => *place = flow,
            None => self.flows.push(flow),
        }
        self.by_guest.insert(key, number);
        Some(number)
    }

    fn close(&mut self, number: usize) {
        if let Some(flow) = self.flows.get_mut(number).and_then(Option::take) {
            self.by_guest.remove(&(flow.guest, flow.name_server));
        }
    }

    /// Something came for flow `number`.
    pub fn ready(&mut self, outlet: &mut Outlet, number: usize, now: Instant) {
        for _ in 0..TURN {
            let Some(Some(flow)) = self.flows.get_mut(number) else {
                return;
            };
            let (length, peer) = match flow.socket.recv_from(&mut self.buffer) {
                Ok(received) => received,
                // What the host's network says of one datagram is no reason to stop.
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => continue,
                Err(_) => return,
            };
            if !flow.peers.contains(&peer) {
                continue;
            }
            flow.last = now;
            flow.answered = true;
            flow.owed_since = None;
            let seen = match flow.name_server {
                Some(name_server) => name_server,
                None if peer.ip().is_loopback() => {
                    SocketAddr::new(outlet.plan.gateway_like(flow.guest.ip()), peer.port())
                }
                None => peer,
            };
            let guest = flow.guest;
            if let Some(payload) = self.buffer.get(..length) {
                send(outlet, seen, guest, payload);
            }
        }
    }

    /// Lets `socket` lead to `owner`'s guest.
    pub fn listen(
        &mut self,
        poll: &Poll,
        owner: MacAddress,
        forward: Forward,
        socket: UdpSocket,
    ) -> std::io::Result<()> {
        self.forwards
            .add(poll, Token::UdpForward, owner, forward, socket)
    }

    /// Ends a forward.
    pub fn unlisten(&mut self, owner: MacAddress, forward: &Forward) {
        if let Some(number) = self.forwards.remove(owner, forward) {
            self.strangers
                .retain(|_, stranger| stranger.forward != number);
        }
    }

    /// Something came for forward `number`; `guest_address` is where its owner's guest is.
    pub fn forward_ready(
        &mut self,
        outlet: &mut Outlet,
        number: usize,
        guest_address: GuestAddress<'_>,
        now: Instant,
    ) {
        for _ in 0..TURN {
            let Some(listening) = self.forwards.get(number) else {
                return;
            };
            let Ok((length, stranger)) = listening.socket.recv_from(&mut self.buffer) else {
                return;
            };
            let Some(guest) = listening.guest(outlet, guest_address, now) else {
                continue;
            };
            let Some(seen) = self.seen_as(outlet, number, guest, stranger, now) else {
                continue;
            };
            if let Some(payload) = self.buffer.get(..length) {
                send(outlet, seen, guest, payload);
            }
        }
    }

    /// How the guest knows `stranger`: by its own address if the guest's answer to that comes back here, else as a port of the gateway.
    fn seen_as(
        &mut self,
        outlet: &Outlet,
        forward: usize,
        guest: SocketAddr,
        stranger: SocketAddr,
        now: Instant,
    ) -> Option<SocketAddr> {
        let known = self.strangers.iter_mut().find(|((to, _), one)| {
            *to == guest && one.forward == forward && one.address == stranger
        });
        if let Some(((_, seen), known)) = known {
            known.last = now;
            return Some(*seen);
        }
        if self.strangers.len() >= MOST_STRANGERS {
            let oldest = self
                .strangers
                .iter()
                .min_by_key(|(_, one)| one.last)
                .map(|(key, _)| *key)?;
            self.strangers.remove(&oldest);
        }
        let own = outlet.plan.outside(stranger) == Some(stranger)
            && stranger.is_ipv4() == guest.is_ipv4();
        let address = if own {
            stranger.ip()
        } else {
            outlet.plan.gateway_like(guest.ip())
        };
        let seen = std::iter::once(stranger.port())
            .chain(32_768..=65_535)
            .map(|port| SocketAddr::new(address, port))
            .find(|seen| {
                seen.port() != dns::PORT && !self.strangers.contains_key(&(guest, *seen))
            })?;
        self.strangers.insert(
            (guest, seen),
            Stranger {
                forward,
                address: stranger,
                last: now,
            },
        );
        Some(seen)
    }

    /// Closes what nothing passed for long.
    pub fn expire(&mut self, now: Instant) {
        for number in 0..self.flows.len() {
            let Some(Some(flow)) = self.flows.get(number) else {
                continue;
            };
            let patience = match (flow.name_server, flow.answered) {
                (Some(_), _) => IDLE_QUESTION,
                (None, true) => IDLE,
                (None, false) => IDLE_UNANSWERED,
            };
            if now.duration_since(flow.last) > patience {
                self.close(number);
            }
        }
        self.strangers
            .retain(|_, stranger| now.duration_since(stranger.last) <= IDLE);
    }

    /// Forgets the flows of guests that are gone.
    pub fn forget(&mut self, is_gone: &dyn Fn(IpAddr) -> bool) {
        for number in 0..self.flows.len() {
            if let Some(Some(flow)) = self.flows.get(number)
                && is_gone(flow.guest.ip())
            {
                self.close(number);
            }
        }
        self.strangers.retain(|(guest, _), _| !is_gone(guest.ip()));
    }

    /// How many flows there are.
    pub fn count(&self) -> usize {
        self.by_guest.len()
    }
}

/// What became of a guest's datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is on its way, or lost.
    Done,
    /// It may not go there.
    Refused,
    /// The host has no way there.
    Unreachable,
}

pub(super) fn is_unreachable(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::NetworkUnreachable | std::io::ErrorKind::HostUnreachable
    )
}

/// Sends a datagram to a guest.
pub(super) fn send(outlet: &mut Outlet, source: SocketAddr, guest: SocketAddr, payload: &[u8]) {
    let Some(envelope) = outlet.envelope(source.ip(), guest.ip(), UDP) else {
        return;
    };
    send_in(outlet, &envelope, source.port(), guest.port(), payload);
}

/// Sends a datagram in the given envelope.
pub(super) fn send_in(
    outlet: &mut Outlet,
    envelope: &super::packet::Envelope,
    source: u16,
    target: u16,
    payload: &[u8],
) {
    let Ok(length) = u16::try_from(payload.len() + 8) else {
        return;
    };
    let mut body = Vec::with_capacity(payload.len() + 8);
    for part in [source, target, length, 0] {
        body.extend_from_slice(&part.to_be_bytes());
    }
    body.extend_from_slice(payload);
    outlet.send_packet(envelope, &body, Some((6, true)));
}

/// The ports and the payload of the datagram in `packet`.
pub(super) fn parse<'a>(packet: &Packet<'a>) -> Option<(u16, u16, &'a [u8])> {
    let body = packet.body();
    let datagram = smoltcp::wire::UdpPacket::new_checked(body).ok()?;
    let unchecked = datagram.checksum() == 0 && packet.source.is_ipv4();
    if !unchecked && !packet.is_whole() {
        return None;
    }
    let (source, target) = (datagram.src_port(), datagram.dst_port());
    let payload = body.get(8..usize::from(datagram.len()))?;
    (source != 0 && target != 0).then_some((source, target, payload))
}
