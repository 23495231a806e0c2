//! Network address translation without privileges: a gateway in the engine whose guests reach the host's network by the host's own
//! sockets. The host's network, firewall and routes are used as they are, and nothing of them is changed.
//!
//! It is a station at a switch's port, served by one thread: ARP and IPv6 neighbour discovery, DHCP, a name server that passes
//! questions on to the host's, TCP, UDP, echo requests, and ports of the host that lead to guests. Packets are read and written by
//! smoltcp's wire layer. What guests can make it keep is bounded: connections, flows, bytes, addresses, and beginnings per second.
//!
//! Guests reach what the host reaches, but for the host's loopback network: services that listen there count on hearing this
//! computer only. [`Plan::host_loopback`] opens it by the gateway's address, for who wants that.

mod dhcp;
mod dns;
mod forwards;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod icmp;
mod link;
mod outlet;
mod packet;
mod plan;
mod poll;
mod reassembly;
mod tcp;
#[cfg(test)]
mod tests;
mod udp;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use parking_lot::Mutex;

pub use self::dns::ResolverFile;
pub use self::forwards::ForwardError;
pub use self::plan::{DEFAULT_LEASES, DEFAULT_NETWORK, Plan};

use self::dhcp::Leases;
use self::dns::Resolver;
use self::forwards::Listener;
use self::icmp::{Icmp, Unreachable};
use self::outlet::{Known, Outlet, Rate};
use self::packet::{Envelope, ICMP, ICMP6, Packet, TCP, UDP};
use self::poll::{Events, Poll, Ready, Token};
use self::reassembly::{Reassembly, is_fragment};
use self::tcp::{TICK, Tcp};
use self::udp::{Udp, Verdict};
use super::{Bell, Frame, Segments, Switch};
use crate::definition::{Forward, MacAddress, Protocol};

/// How many frames are taken before sockets have their turn.
const TURN: usize = 512;
/// How often flows are looked at that may have ended.
const EXPIRE: Duration = Duration::from_secs(5);
/// How often guests are told of the gateway unasked.
const ADVERTISE: Duration = Duration::from_secs(200);
/// How many datagrams to new places, and how many refusals, there are in a second at most.
const MOST_REFUSALS: u32 = 200;

/// How a network behind the NAT is made.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its addresses, and what of the world it reaches.
    pub plan: Plan,
    /// Where the host's name servers are written down.
    pub resolver: ResolverFile,
    /// Name servers that are asked instead of the host's, if there are any.
    pub name_servers: Vec<IpAddr>,
    /// Whether guests are told of IPv6; without it, if the host has a way into the IPv6 Internet.
    pub version6: Option<bool>,
}

impl Options {
    /// The default network.
    pub fn new(plan: Plan) -> Self {
        Self {
            plan,
            resolver: ResolverFile::default(),
            name_servers: Vec::new(),
            version6: None,
        }
    }
}

enum Command {
    Listen(MacAddress, Forward, Listener),
    Unlisten(MacAddress, Forward),
    Forget(Vec<MacAddress>),
    Stop,
}

/// A network behind the NAT. It ends when this is dropped.
pub struct Nat {
    commands: Sender<Command>,
    bell: Arc<Bell>,
    forwards: Mutex<Vec<(MacAddress, Forward)>>,
    known: Known,
    thread: Option<thread::JoinHandle<()>>,
}

impl Nat {
    /// Connects the gateway to `switch`.
    ///
    /// # Errors
    /// When the host gives no more file descriptors or threads.
    pub fn start(switch: &Arc<Switch>, options: Options) -> io::Result<Self> {
        let bell = Arc::new(Bell::new()?);
        let (sender, receiver) = unbounded();
        let port = switch.connect(Arc::clone(&bell));
        let outlet = Outlet::new(port, options.plan);
        let known = outlet.known();
        let engine = Engine::new(outlet, options, Arc::clone(&bell), receiver)?;
        let poll = Arc::clone(&engine.poll);
        let engine = Arc::new(Mutex::new(engine));
        bell.appoint(&engine, |engine| engine.stand_in(Instant::now()));
        let thread = thread::Builder::new()
            .name("network".to_owned())
            .spawn(move || {
                // A fault here costs the guests their network, not their machines.
                if catch_unwind(AssertUnwindSafe(|| run(&engine, &poll))).is_err() {
                    tracing::error!("a fault in Guesthouse ended a network; attach the cards anew");
                }
            })?;
        // The switch outlives this; it is not to keep it.
        let weak: (Sender<Command>, Weak<Bell>) = (sender.clone(), Arc::downgrade(&bell));
        switch.on_departure(move |gone| {
            if let Some(bell) = weak.1.upgrade() {
                let _ = weak.0.send(Command::Forget(gone.to_vec()));
                bell.ring();
            }
        });
        Ok(Self {
            commands: sender,
            bell,
            forwards: Mutex::default(),
            known,
            thread: Some(thread),
        })
    }

    /// The addresses that `mac` was heard with, IPv4 first; link-local ones are left out.
    pub fn addresses(&self, mac: MacAddress) -> Vec<IpAddr> {
        let link_local = |address: &IpAddr| matches!(address, IpAddr::V6(address) if address.is_unicast_link_local());
        let known = self.known.lock();
        let mut addresses: Vec<IpAddr> = known
            .iter()
            .filter(|(address, owner)| **owner == mac && !link_local(address))
            .map(|(address, _)| *address)
            .collect();
        addresses.sort_unstable();
        addresses
    }

    fn command(&self, command: Command) {
        // A thread that failed takes no more commands, and said so.
        let _ = self.commands.send(command);
        self.bell.ring();
    }

    /// Lets `forward` lead to the guest whose card is `owner`.
    ///
    /// # Errors
    /// When the host's port cannot be had; nothing changes then.
    pub fn add_forward(&self, owner: MacAddress, forward: Forward) -> Result<(), ForwardError> {
        let address = forward.host();
        let mut forwards = self.forwards.lock();
        let here = |(_, other): &(MacAddress, Forward)| {
            other.protocol == forward.protocol && other.host() == address
        };
        if forwards.iter().any(here) {
            return Err(ForwardError::Twice(address));
        }
        let listener = Listener::open(&forward)?;
        forwards.push((owner, forward));
        drop(forwards);
        self.command(Command::Listen(owner, forward, listener));
        Ok(())
    }

    /// Ends a forward of `owner`; what came through it goes on.
    pub fn remove_forward(&self, owner: MacAddress, forward: &Forward) {
        self.forwards.lock().retain(|one| *one != (owner, *forward));
        self.command(Command::Unlisten(owner, *forward));
    }
}

impl Drop for Nat {
    fn drop(&mut self) {
        self.bell.dismiss();
        self.command(Command::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the network's thread works with, and those of guests that stand in for it while it waits.
struct Engine {
    outlet: Outlet,
    poll: Arc<Poll>,
    bell: Arc<Bell>,
    commands: Receiver<Command>,
    resolver: Resolver,
    leases: Leases,
    tcp: Tcp,
    udp: Udp,
    icmp: Icmp,
    reassembly: Reassembly,
    refusals: Rate,
    version6: Option<bool>,
    has_version6: bool,
    ticked: Instant,
    expired: Instant,
    advertised: Instant,
    /// How long the thread waits at most.
    waits: Option<Duration>,
}

/// What the network's thread does.
fn run(engine: &Mutex<Engine>, poll: &Poll) {
    let (mut events, mut ready) = (Events::new(), Vec::new());
    let mut patience = None;
    loop {
        ready.clear();
        if let Err(error) = poll.wait(patience, &mut events, &mut ready) {
            tracing::error!(%error, "a network cannot wait for its sockets any more");
            return;
        }
        let mut engine = engine.lock();
        let Some(more) = engine.turn(&ready, Instant::now()) else {
            return;
        };
        patience = engine.patience(more);
        engine.waits = patience;
    }
}

impl Engine {
    fn new(
        outlet: Outlet,
        options: Options,
        bell: Arc<Bell>,
        commands: Receiver<Command>,
    ) -> io::Result<Self> {
        let now = Instant::now();
        let poll = Arc::new(Poll::new()?);
        poll.add(&bell, Token::Bell)?;
        let has_version6 =
            options.plan.uplink && options.version6.unwrap_or_else(link::host_has_version6);
        Ok(Self {
            outlet,
            poll,
            bell,
            commands,
            resolver: Resolver::new(options.resolver, &options.name_servers),
            leases: Leases::default(),
            tcp: Tcp::new(now),
            udp: Udp::new(),
            icmp: Icmp::new(),
            reassembly: Reassembly::default(),
            refusals: Rate::new(MOST_REFUSALS, now),
            version6: options.version6,
            has_version6,
            ticked: now,
            expired: now,
            advertised: now,
            waits: None,
        })
    }

    /// Does what there is to do; says whether there may be more, or nothing when it is to end.
    fn turn(&mut self, ready: &[Ready], now: Instant) -> Option<bool> {
        // Only when it was rung, which saves a call of the kernel.
        if ready.iter().any(|one| one.token == Token::Bell) {
            self.bell.silence();
        }
        if !self.carry_out() {
            return None;
        }
        for one in ready {
            self.take_turn(*one, now);
        }
        let more = self.take_frames(now);
        // There may be room where there was none: the bell does not say which.
        self.tcp.unblock();
        let more = self.tcp.work(&mut self.outlet, now) | more;
        self.pass_time(now);
        Some(more)
    }

    /// Takes what guests sent, on their own thread; says whether that is all there is to do for now.
    fn stand_in(&mut self, now: Instant) -> bool {
        let more = self.take_frames(now);
        let more = self.tcp.work(&mut self.outlet, now) | more;
        let waits_long_enough = |patience| self.waits.is_some_and(|waits| waits <= patience);
        !more && self.patience(false).is_none_or(waits_long_enough)
    }

    fn patience(&self, more: bool) -> Option<Duration> {
        if more {
            Some(Duration::ZERO)
        } else if self.tcp.count() > 0 {
            Some(TICK)
        } else if self.udp.count() > 0 || self.has_version6 || !self.reassembly.is_empty() {
            Some(EXPIRE)
        } else {
            None
        }
    }

    /// Carries commands out; says whether to go on.
    fn carry_out(&mut self) -> bool {
        loop {
            match self.commands.try_recv() {
                Ok(Command::Listen(owner, forward, listener)) => {
                    let outcome = match listener {
                        Listener::Tcp(socket) => self.tcp.forwards.add(
                            &self.poll,
                            Token::TcpForward,
                            owner,
                            forward,
                            socket,
                        ),
                        Listener::Udp(socket) => {
                            self.udp.listen(&self.poll, owner, forward, socket)
                        }
                    };
                    if let Err(error) = outcome {
                        tracing::warn!(%forward, %error, "a forward does not work");
                    }
                }
                Ok(Command::Unlisten(owner, forward)) => match forward.protocol {
                    // Connections that came through it go on.
                    Protocol::Tcp => drop(self.tcp.forwards.remove(owner, &forward)),
                    Protocol::Udp => self.udp.unlisten(owner, &forward),
                },
                Ok(Command::Forget(gone)) => self.forget(&gone),
                Ok(Command::Stop) => return false,
                Err(crossbeam_channel::TryRecvError::Empty) => return true,
                Err(crossbeam_channel::TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn forget(&mut self, gone: &[MacAddress]) {
        let outlet = &self.outlet;
        let is_gone = |address: IpAddr| {
            outlet
                .mac_of(address)
                .is_some_and(|mac| gone.contains(&mac))
        };
        self.tcp.forget(&is_gone);
        self.udp.forget(&is_gone);
        self.outlet.forget(gone);
    }

    fn take_turn(&mut self, ready: Ready, now: Instant) {
        let leases = &mut self.leases;
        let mut guest_address = |outlet: &Outlet, owner: MacAddress, forward: &Forward| {
            let address = forward.guest_address.or_else(|| outlet.address_of(owner));
            address.or_else(|| leases.address(&outlet.plan, owner).map(IpAddr::V4))
        };
        match ready.token {
            Token::Bell => {}
            Token::Tcp { number, generation } => self.tcp.ready(number, generation, ready),
            Token::TcpForward(number) => {
                self.tcp.forward_ready(
                    &mut self.outlet,
                    &self.poll,
                    number,
                    &mut guest_address,
                    now,
                );
            }
            Token::Udp(number) => self.udp.ready(&mut self.outlet, number, now),
            Token::UdpForward(number) => {
                self.udp
                    .forward_ready(&mut self.outlet, number, &mut guest_address, now);
            }
            Token::Icmp(number) => self.icmp.ready(&mut self.outlet, number, now),
        }
    }

    /// Takes what guests sent; says whether there may be more.
    fn take_frames(&mut self, now: Instant) -> bool {
        for _ in 0..TURN {
            let Some(frame) = self.outlet.port.receive() else {
                return false;
            };
            self.take(&frame, now);
        }
        true
    }

    fn take(&mut self, frame: &Frame, now: Instant) {
        let destination = frame.destination();
        if destination != self.outlet.plan.mac() && !destination.is_group() {
            return;
        }
        // Connections take what is to be cut as it is; nothing else does.
        let is_tcp = frame
            .offload()
            .segmentation
            .is_none_or(|cut| cut.kind != super::SegmentKind::Udp);
        if is_tcp {
            self.take_packet(frame, now);
        } else {
            for datagram in Segments::frames(frame.clone()) {
                self.take_packet(&datagram, now);
            }
        }
    }

    fn take_packet(&mut self, frame: &Frame, now: Instant) -> Option<()> {
        let whole;
        let packet = match frame.protocol() {
            0x0806 => {
                self.hear_arp(frame, now);
                return link::arp(&mut self.outlet, frame);
            }
            0x0800 if is_fragment(frame) => {
                whole = self.reassembly.take(frame, now)?;
                Packet::version4(&whole)?
            }
            0x0800 => Packet::version4(frame)?,
            0x86dd if self.has_version6 => Packet::version6(frame)?,
            _ => return None,
        };
        self.outlet.hear(packet.source, frame.source(), now);
        if packet.protocol == UDP && self.dhcp(&packet, now) {
            return Some(());
        }
        // Whoever has no address of this network cannot be answered.
        if self.outlet.mac_of(packet.source).is_none() && packet.protocol != ICMP6 {
            return None;
        }
        match (packet.protocol, packet.source) {
            (TCP, _) => {
                let (outlet, poll) = (&mut self.outlet, &self.poll);
                self.tcp
                    .guest_sent(outlet, poll, &mut self.resolver, &packet, now)
            }
            (UDP, _) => self.datagram(&packet, now),
            (ICMP, IpAddr::V4(_)) => {
                self.icmp
                    .guest_sent(&mut self.outlet, &self.poll, &packet, now)
            }
            (ICMP6, IpAddr::V6(_)) => {
                if packet.is_whole() && link::discovery(&mut self.outlet, &packet) {
                    return Some(());
                }
                self.icmp
                    .guest_sent(&mut self.outlet, &self.poll, &packet, now)
            }
            _ => None,
        }
    }

    fn hear_arp(&mut self, frame: &Frame, now: Instant) -> Option<()> {
        let sender: [u8; 4] = frame.data().get(28..32)?.try_into().ok()?;
        let sender = Ipv4Addr::from(sender);
        self.outlet.hear(sender.into(), frame.source(), now);
        Some(())
    }

    fn dhcp(&mut self, packet: &Packet<'_>, now: Instant) -> bool {
        let Some((dhcp::CLIENT_PORT, dhcp::SERVER_PORT, payload)) = udp::parse(packet) else {
            return false;
        };
        let plan = self.outlet.plan;
        if !plan.dhcp {
            return true;
        }
        if let Some(answer) = self.leases.answer(&plan, payload) {
            if let Some((address, mac)) = answer.lease {
                self.outlet.hear(address.into(), mac, now);
            }
            let envelope = Envelope {
                from: plan.mac(),
                to: answer.mac,
                source: plan.gateway().into(),
                destination: answer.destination.into(),
                protocol: UDP,
            };
            udp::send_in(
                &mut self.outlet,
                &envelope,
                dhcp::SERVER_PORT,
                dhcp::CLIENT_PORT,
                &answer.body,
            );
        }
        true
    }

    fn datagram(&mut self, packet: &Packet<'_>, now: Instant) -> Option<()> {
        let (source_port, target_port, payload) = udp::parse(packet)?;
        let ends = (
            SocketAddr::new(packet.source, source_port),
            SocketAddr::new(packet.destination, target_port),
        );
        let verdict = self.udp.guest_sent(
            &mut self.outlet,
            &self.poll,
            &mut self.resolver,
            ends,
            payload,
            now,
        );
        let why = match verdict {
            Verdict::Done => return Some(()),
            Verdict::Refused if self.outlet.plan.is_own(packet.destination) => Unreachable::Port,
            Verdict::Refused => Unreachable::Prohibited,
            Verdict::Unreachable => Unreachable::Host,
        };
        if self.refusals.allow(now) {
            icmp::unreachable(&mut self.outlet, packet, why);
        }
        None
    }

    fn pass_time(&mut self, now: Instant) {
        if now.duration_since(self.ticked) >= TICK {
            self.ticked = now;
            self.tcp.tick(now);
            self.tcp.work(&mut self.outlet, now);
        }
        if now.duration_since(self.expired) >= EXPIRE {
            self.expired = now;
            self.udp.expire(now);
            self.icmp.expire(now);
            self.reassembly.expire(now);
            if self.version6.is_none() && self.outlet.plan.uplink {
                let had = std::mem::replace(&mut self.has_version6, link::host_has_version6());
                if self.has_version6 && !had {
                    link::advertise(&mut self.outlet);
                }
            }
        }
        if self.has_version6 && now.duration_since(self.advertised) >= ADVERTISE {
            self.advertised = now;
            link::advertise(&mut self.outlet);
        }
    }
}
