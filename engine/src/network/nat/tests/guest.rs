//! A guest with a whole network stack (smoltcp's), at a port of a switch.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{ChecksumCapabilities, Device, DeviceCapabilities, Medium};
use smoltcp::socket::{dhcpv4, icmp, tcp, udp};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpCidr, IpEndpoint, Ipv4Cidr};

use crate::definition::MacAddress;
use crate::network::{Cable, Frame, Segments, Sent, Switch};

/// How long anything may take before a test says that it never will.
const PATIENCE: Duration = Duration::from_secs(60);

/// The guest's network card.
pub struct Card {
    pub cable: Arc<Cable>,
    /// What was cut and is yet to be taken.
    received: std::collections::VecDeque<Frame>,
    unsent: Option<Frame>,
}

impl Card {
    fn flush(&mut self) -> bool {
        if let Some(frame) = self.unsent.take()
            && let Sent::Full(frame) = self.cable.send(frame)
        {
            self.unsent = Some(frame);
        }
        self.unsent.is_none()
    }
}

pub struct Received(Frame);

impl smoltcp::phy::RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0.data())
    }
}

pub struct Transmit<'a>(&'a Cable, &'a mut Option<Frame>);

impl smoltcp::phy::TxToken for Transmit<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut data = vec![0; len];
        let result = f(&mut data);
        if let Some(frame) = Frame::copy_of(&data)
            && let Sent::Full(frame) = self.0.send(frame)
        {
            *self.1 = Some(frame);
        }
        result
    }
}

impl Device for Card {
    type RxToken<'a> = Received;
    type TxToken<'a> = Transmit<'a>;

    fn receive(&mut self, _now: Instant) -> Option<(Received, Transmit<'_>)> {
        if !self.flush() {
            return None;
        }
        if self.received.is_empty()
            && let Some(frame) = self.cable.receive()
        {
            self.received.extend(Segments::frames(frame));
        }
        let frame = self.received.pop_front()?;
        Some((Received(frame), Transmit(&self.cable, &mut self.unsent)))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Transmit<'_>> {
        self.flush()
            .then_some(Transmit(&self.cable, &mut self.unsent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities.checksum = ChecksumCapabilities::default();
        capabilities
    }
}

pub struct Guest {
    pub card: Card,
    pub mac: MacAddress,
    interface: Interface,
    pub sockets: SocketSet<'static>,
    start: std::time::Instant,
    next_port: u16,
    pub name_servers: Vec<Ipv4Addr>,
    pub router: Option<Ipv4Addr>,
}

impl Guest {
    /// A guest without an address, at `switch`.
    pub fn new(switch: &Arc<Switch>, number: u8) -> Self {
        let cable = Cable::new().unwrap();
        cable.plug(switch);
        let mac = MacAddress([2, 0, 0, 0, 0, number]);
        let mut card = Card {
            cable,
            received: Default::default(),
            unsent: None,
        };
        let config = Config::new(HardwareAddress::Ethernet(EthernetAddress(mac.0)));
        let interface = Interface::new(config, &mut card, Instant::ZERO);
        Self {
            card,
            mac,
            interface,
            sockets: SocketSet::new(Vec::new()),
            start: std::time::Instant::now(),
            next_port: 40_000,
            name_servers: Vec::new(),
            router: None,
        }
    }

    /// A guest with the address that the network gives it.
    pub fn with_lease(switch: &Arc<Switch>, number: u8) -> Self {
        let mut guest = Self::new(switch, number);
        guest.lease();
        guest
    }

    pub fn address(&self) -> Ipv4Addr {
        self.interface.ipv4_addr().unwrap()
    }

    pub fn set_address(&mut self, address: IpAddr, prefix: u8, router: Option<IpAddr>) {
        self.interface.update_ip_addrs(|addresses| {
            addresses.push(IpCidr::new(address.into(), prefix)).unwrap()
        });
        match router {
            Some(IpAddr::V4(router)) => self
                .interface
                .routes_mut()
                .add_default_ipv4_route(router)
                .map(|_| ())
                .unwrap(),
            Some(IpAddr::V6(router)) => self
                .interface
                .routes_mut()
                .add_default_ipv6_route(router)
                .map(|_| ())
                .unwrap(),
            None => {}
        }
    }

    pub fn lease(&mut self) -> Ipv4Cidr {
        let handle = self.sockets.add(dhcpv4::Socket::new());
        let (address, router, name_servers) = self.until("a lease", |guest| {
            match guest.sockets.get_mut::<dhcpv4::Socket<'_>>(handle).poll() {
                Some(dhcpv4::Event::Configured(config)) => {
                    Some((config.address, config.router, config.dns_servers.to_vec()))
                }
                _ => None,
            }
        });
        self.sockets.remove(handle);
        self.set_address(
            address.address().into(),
            address.prefix_len(),
            router.map(IpAddr::V4),
        );
        self.router = router;
        self.name_servers = name_servers;
        address
    }

    /// Lets the guest work once.
    pub fn poll(&mut self) {
        let now = Instant::from_micros(i64::try_from(self.start.elapsed().as_micros()).unwrap());
        self.interface.poll(now, &mut self.card, &mut self.sockets);
    }

    /// Lets the guest work until `done` has something.
    pub fn until<T>(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> Option<T>) -> T {
        let begin = std::time::Instant::now();
        loop {
            self.poll();
            if let Some(result) = done(self) {
                return result;
            }
            assert!(begin.elapsed() < PATIENCE, "{what} never came");
            if self.card.received.is_empty() {
                self.card.cable.bell().wait(Some(Duration::from_millis(1)));
            }
        }
    }

    fn port(&mut self) -> u16 {
        self.next_port += 1;
        self.next_port
    }

    fn tcp_socket(size: usize) -> tcp::Socket<'static> {
        let buffer = || tcp::SocketBuffer::new(vec![0; size]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.set_nagle_enabled(false);
        socket.set_ack_delay(None);
        socket
    }

    /// Begins a connection.
    pub fn connect(&mut self, target: SocketAddr, buffer: usize) -> SocketHandle {
        let port = self.port();
        let handle = self.sockets.add(Self::tcp_socket(buffer));
        self.sockets
            .get_mut::<tcp::Socket<'_>>(handle)
            .connect(self.interface.context(), IpEndpoint::from(target), port)
            .unwrap();
        handle
    }

    pub fn listen(&mut self, port: u16) -> SocketHandle {
        let mut socket = Self::tcp_socket(65_536);
        socket.listen(port).unwrap();
        self.sockets.add(socket)
    }

    pub fn tcp(&mut self, handle: SocketHandle) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut::<tcp::Socket<'static>>(handle)
    }

    /// Waits until the connection is there; nothing if it was refused.
    pub fn connected(&mut self, handle: SocketHandle) -> bool {
        self.until("a connection", |guest| match guest.tcp(handle).state() {
            tcp::State::Established | tcp::State::CloseWait => Some(true),
            tcp::State::Closed => Some(false),
            _ => None,
        })
    }

    pub fn udp(&mut self, port: Option<u16>) -> SocketHandle {
        let buffer =
            || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 64], vec![0; 65_536]);
        let mut socket = udp::Socket::new(buffer(), buffer());
        let port = port.unwrap_or_else(|| self.port());
        socket.bind(port).unwrap();
        self.sockets.add(socket)
    }

    pub fn send_to(&mut self, handle: SocketHandle, data: &[u8], target: SocketAddr) {
        let socket = self.sockets.get_mut::<udp::Socket<'_>>(handle);
        socket.send_slice(data, IpEndpoint::from(target)).unwrap();
        self.until("a way", |guest| {
            let socket = guest.sockets.get_mut::<udp::Socket<'_>>(handle);
            (socket.send_queue() == 0).then_some(())
        });
    }

    pub fn receive_from(&mut self, handle: SocketHandle) -> (Vec<u8>, SocketAddr) {
        self.until("a datagram", |guest| {
            let socket = guest.sockets.get_mut::<udp::Socket<'_>>(handle);
            let (data, meta) = socket.recv().ok()?;
            let endpoint = meta.endpoint;
            Some((
                data.to_vec(),
                SocketAddr::new(endpoint.addr.into(), endpoint.port),
            ))
        })
    }

    /// Sends an echo request and waits for the answer.
    pub fn ping(&mut self, target: IpAddr, payload: &[u8]) -> Vec<u8> {
        use smoltcp::wire::{Icmpv4Packet, Icmpv4Repr, Icmpv6Packet, Icmpv6Repr};
        let buffer =
            || icmp::PacketBuffer::new(vec![icmp::PacketMetadata::EMPTY; 4], vec![0; 4096]);
        let mut socket = icmp::Socket::new(buffer(), buffer());
        socket.bind(icmp::Endpoint::Ident(0x77)).unwrap();
        let handle = self.sockets.add(socket);
        let caps = ChecksumCapabilities::default();
        let source = self.interface.get_source_address(&target.into());
        let socket = self.sockets.get_mut::<icmp::Socket<'_>>(handle);
        match (target, source) {
            (IpAddr::V4(_), _) => {
                let request = Icmpv4Repr::EchoRequest {
                    ident: 0x77,
                    seq_no: 1,
                    data: payload,
                };
                let place = socket.send(request.buffer_len(), target.into()).unwrap();
                request.emit(&mut Icmpv4Packet::new_unchecked(place), &caps);
            }
            (IpAddr::V6(to), Some(smoltcp::wire::IpAddress::Ipv6(from))) => {
                let request = Icmpv6Repr::EchoRequest {
                    ident: 0x77,
                    seq_no: 1,
                    data: payload,
                };
                let place = socket.send(request.buffer_len(), target.into()).unwrap();
                request.emit(&from, &to, &mut Icmpv6Packet::new_unchecked(place), &caps);
            }
            _ => panic!("no address"),
        }
        let answer = self.until("an echo", |guest| {
            let socket = guest.sockets.get_mut::<icmp::Socket<'_>>(handle);
            socket.recv().ok().map(|(data, _)| data.to_vec())
        });
        self.sockets.remove(handle);
        answer
    }
}
