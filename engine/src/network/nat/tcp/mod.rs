//! TCP between guests and the host's network (RFC 9293): each connection of a guest ends here and is carried on by a socket of the
//! host's, and the other way round for ports of the host that lead to a guest.
//!
//! Between guest and NAT no frame is lost unless a queue is full for long, so that windows are large, acknowledgements few, and
//! lost segments sent again in order (no selective acknowledgement). Payload is not copied on its way: what a guest sends stays in
//! its frames until the host's socket takes it, and what the socket gives is read into the frame that the guest gets, up to 64 KiB
//! in one piece for the guest's card to take as it is or cut.

mod flow;
mod segment;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::net::sockopt;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use self::flow::{Flow, Key};
pub(super) use self::flow::{Outcome, TICK};
use self::segment::{Segment, reset};
use super::dns::{self, Resolver};
use super::forwards::{Forwards, GuestAddress};
use super::icmp::{self, Unreachable};
use super::outlet::{Outlet, Rate};
use super::packet::Packet;
use super::poll::{Poll, Ready, Token};

/// How many connections there are at most.
const MOST_FLOWS: usize = 1024;
/// How many may begin in a second.
const MOST_PER_SECOND: u32 = 2000;
/// How many bytes all connections keep together at most; from half of it on each of them keeps little.
const MOST_LOAD: u64 = 256 << 20;
/// How many are accepted for one forward before others have their turn.
const TURN: usize = 64;
/// How long a connection stays that nothing passes and that ended on one side, or never began.
const HALF_OPEN: Duration = Duration::from_secs(600);

/// All TCP of one network.
pub(super) struct Tcp {
    flows: Vec<Option<Flow>>,
    by_key: HashMap<Key, usize>,
    /// The host's ports that lead to guests.
    pub forwards: Forwards<TcpListener>,
    generation: u32,
    rate: Rate,
    sequence: u32,
    /// How many bytes all connections keep.
    load: u64,
    /// Connections at which something is to be done.
    pub dirty: Vec<usize>,
    /// Connections that wait for room at their guest's port.
    blocked: Vec<usize>,
    next_port: u16,
}

impl Tcp {
    pub fn new(now: Instant) -> Self {
        Self {
            flows: Vec::new(),
            by_key: HashMap::new(),
            forwards: Forwards::new(),
            generation: 0,
            rate: Rate::new(MOST_PER_SECOND, now),
            sequence: 0x1357_9bdf,
            load: 0,
            dirty: Vec::new(),
            blocked: Vec::new(),
            next_port: 32_768,
        }
    }

    /// How many connections there are.
    pub fn count(&self) -> usize {
        self.by_key.len()
    }

    /// A guest sent `packet`.
    pub fn guest_sent(
        &mut self,
        outlet: &mut Outlet,
        poll: &Poll,
        resolver: &mut Resolver,
        packet: &Packet<'_>,
        now: Instant,
    ) -> Option<()> {
        if !packet.is_whole() {
            return None;
        }
        let segment = Segment::parse(packet)?;
        let key = Key {
            guest: SocketAddr::new(packet.source, segment.source_port),
            remote: SocketAddr::new(packet.destination, segment.target_port),
        };
        if let Some(number) = self.by_key.get(&key).copied() {
            let flow = self.flows.get_mut(number)?.as_mut()?;
            if !segment.begins_anew(flow) {
                let before = flow.load();
                flow.receive(&segment, self.load >= MOST_LOAD, now);
                self.load = (self.load + flow.load()).saturating_sub(before);
                self.touch(number);
                return Some(());
            }
            // The guest forgot the old connection; so do we.
            self.close(number, true);
        }
        if !segment.syn || segment.ack {
            if !segment.rst {
                reset(outlet, &key, &segment);
            }
            return None;
        }
        self.open(outlet, poll, resolver, packet, &segment, key, now)
    }

    fn touch(&mut self, number: usize) {
        if let Some(Some(flow)) = self.flows.get_mut(number)
            && !flow.dirty
        {
            flow.dirty = true;
            self.dirty.push(number);
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "what a new connection is made of"
    )]
    fn open(
        &mut self,
        outlet: &mut Outlet,
        poll: &Poll,
        resolver: &mut Resolver,
        packet: &Packet<'_>,
        segment: &Segment,
        key: Key,
        now: Instant,
    ) -> Option<()> {
        let question =
            key.remote.port() == dns::PORT && outlet.plan.is_name_server(key.remote.ip());
        let outside = if question {
            resolver.servers(now).first().copied()
        } else {
            outlet.plan.outside(key.remote)
        };
        let Some(outside) = outside else {
            reset(outlet, &key, segment);
            return None;
        };
        if self.by_key.len() >= MOST_FLOWS && !self.make_room(now) || !self.rate.allow(now) {
            reset(outlet, &key, segment);
            return None;
        }
        match connect(outside) {
            Ok(socket) => {
                let flow = Flow::from_guest(key, socket, segment, self.sequence(), now);
                self.insert(poll, flow)?;
            }
            Err(error) if super::udp::is_unreachable(&error) => {
                icmp::unreachable(outlet, packet, Unreachable::Host);
            }
            Err(_) => reset(outlet, &key, segment),
        }
        Some(())
    }

    fn sequence(&mut self) -> u32 {
        // Guests are told apart by their ports and addresses; a clock is not needed.
        self.sequence = self
            .sequence
            .wrapping_mul(1_664_525)
            .wrapping_add(1_013_904_223);
        self.sequence
    }

    fn insert(&mut self, poll: &Poll, mut flow: Flow) -> Option<usize> {
        let number = self
            .flows
            .iter()
            .position(Option::is_none)
            .unwrap_or(self.flows.len());
        self.generation = self.generation.wrapping_add(1);
        flow.generation = self.generation;
        let token = Token::Tcp {
            number,
            generation: flow.generation,
        };
        poll.add_edges(&flow.socket, token).ok()?;
        self.by_key.insert(flow.key, number);
        match self.flows.get_mut(number) {
            Some(place) => *place = Some(flow),
            None => self.flows.push(Some(flow)),
        }
        Some(number)
    }

    /// Closes the connection that was idle for the longest time, if for a minute at least.
    fn make_room(&mut self, now: Instant) -> bool {
        let oldest = self
            .flows
            .iter()
            .enumerate()
            .filter_map(|(number, flow)| Some((number, flow.as_ref()?.last)))
            .min_by_key(|(_, last)| *last);
        match oldest {
            Some((number, last)) if now.duration_since(last) > Duration::from_secs(60) => {
                self.close(number, true);
                true
            }
            _ => false,
        }
    }

    fn close(&mut self, number: usize, abort: bool) {
        if let Some(flow) = self.flows.get_mut(number).and_then(Option::take) {
            self.by_key.remove(&flow.key);
            self.load = self.load.saturating_sub(flow.load());
            if abort {
                // The host's peer is to hear that this was no orderly end.
                let _ = sockopt::set_socket_linger(&flow.socket, Some(Duration::ZERO));
            }
        }
    }

    /// Something happened to a connection's socket.
    pub fn ready(&mut self, number: usize, generation: u32, ready: Ready) {
        if let Some(Some(flow)) = self.flows.get_mut(number)
            && flow.generation == generation
        {
            flow.readable |= ready.readable;
            flow.writable |= ready.writable;
            self.touch(number);
        }
    }

    /// Does what is to be done at connections; returns whether there is more.
    pub fn work(&mut self, outlet: &mut Outlet, now: Instant) -> bool {
        let mut again = Vec::new();
        for number in std::mem::take(&mut self.dirty) {
            let Some(Some(flow)) = self.flows.get_mut(number) else {
                continue;
            };
            flow.dirty = false;
            flow.modest = self.load >= MOST_LOAD / 2;
            let before = flow.load();
            let outcome = flow.work(outlet, now);
            self.load = (self.load + flow.load()).saturating_sub(before);
            match outcome {
                Outcome::Idle => {}
                Outcome::More => again.push(number),
                Outcome::Blocked => self.blocked.push(number),
                Outcome::Done => self.close(number, false),
                Outcome::Aborted => self.close(number, true),
            }
        }
        for number in again {
            self.touch(number);
        }
        !self.dirty.is_empty()
    }

    /// There may be room again at guests' ports.
    pub fn unblock(&mut self) {
        for number in std::mem::take(&mut self.blocked) {
            self.touch(number);
        }
    }

    /// Lets time pass: sends again what was not acknowledged, and gives up what never came to be.
    pub fn tick(&mut self, now: Instant) {
        self.unblock();
        for number in 0..self.flows.len() {
            let Some(Some(flow)) = self.flows.get_mut(number) else {
                continue;
            };
            if now.duration_since(flow.last) > HALF_OPEN && !flow.is_open_both_ways() {
                self.close(number, true);
            } else if flow.is_due(now) | flow.keep_promise(now) {
                self.touch(number);
            }
        }
    }

    /// Somebody connected to forward `number`; `guest_address` is where its owner's guest is.
    pub fn forward_ready(
        &mut self,
        outlet: &mut Outlet,
        poll: &Poll,
        number: usize,
        guest_address: GuestAddress<'_>,
        now: Instant,
    ) {
        for _ in 0..TURN {
            let Some(listening) = self.forwards.get(number) else {
                return;
            };
            let Ok((stream, peer)) = listening.socket.accept() else {
                return;
            };
            let Some(guest) = listening.guest(outlet, guest_address, now) else {
                continue;
            };
            if stream.set_nonblocking(true).is_err()
                || self.by_key.len() >= MOST_FLOWS && !self.make_room(now)
            {
                continue;
            }
            let Some(remote) = self.seen_as(outlet, guest, peer) else {
                continue;
            };
            let socket = OwnedFd::from(stream);
            prepare(&socket);
            let flow = Flow::to_guest(Key { guest, remote }, socket, self.sequence(), now);
            if let Some(number) = self.insert(poll, flow) {
                self.touch(number);
            }
        }
    }

    /// How the guest knows `peer`: by its own address if the guest's answer to that comes back here, else as a port of the gateway.
    fn seen_as(
        &mut self,
        outlet: &Outlet,
        guest: SocketAddr,
        peer: SocketAddr,
    ) -> Option<SocketAddr> {
        let own = outlet.plan.outside(peer) == Some(peer) && peer.is_ipv4() == guest.is_ipv4();
        if own
            && !self.by_key.contains_key(&Key {
                guest,
                remote: peer,
            })
        {
            return Some(peer);
        }
        let address = outlet.plan.gateway_like(guest.ip());
        for _ in 0..=MOST_FLOWS {
            self.next_port = self.next_port.checked_add(1).unwrap_or(32_768);
            let remote = SocketAddr::new(address, self.next_port);
            if !self.by_key.contains_key(&Key { guest, remote }) {
                return Some(remote);
            }
        }
        None
    }

    /// Forgets the connections of guests that are gone.
    pub fn forget(&mut self, is_gone: &dyn Fn(IpAddr) -> bool) {
        for number in 0..self.flows.len() {
            if let Some(Some(flow)) = self.flows.get(number)
                && is_gone(flow.key.guest.ip())
            {
                self.close(number, true);
            }
        }
    }
}

fn prepare(socket: &OwnedFd) {
    // Guests decide themselves when to gather small pieces.
    let _ = sockopt::set_tcp_nodelay(socket, true);
    let _ = sockopt::set_socket_keepalive(socket, true);
}

/// Begins a connection of the host's to `target`.
fn connect(target: SocketAddr) -> std::io::Result<OwnedFd> {
    #[cfg(any(test, feature = "fuzzing"))]
    if let Some(socket) = super::fuzzing::connect() {
        return socket;
    }
    let family = if target.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    prepare(&socket);
    match rustix::net::connect(&socket, &target) {
        Ok(()) | Err(rustix::io::Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(error.into()),
    }
}
