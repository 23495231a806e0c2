//! Ports of the host that lead to guests.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Instant;

use super::outlet::Outlet;
use super::poll::{Poll, Token};
use crate::definition::{Forward, MacAddress, Protocol};

/// Why a port of the host does not lead to a guest.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ForwardError {
    /// Somebody has the port.
    #[error(
        "port {0} of this computer is in use by another program; choose another port, or close that program"
    )]
    Taken(SocketAddr),
    /// The port is for the administrator.
    #[error(
        "port {0} of this computer may only be used by its administrator; choose a port above 1023"
    )]
    NotAllowed(SocketAddr),
    /// The computer has no such address.
    #[error(
        "this computer does not have the address {0}; choose 127.0.0.1, or 0.0.0.0 for all of its addresses"
    )]
    NoSuchAddress(IpAddr),
    /// Something else.
    #[error("port {0} of this computer could not be opened: {1}")]
    Host(SocketAddr, Arc<io::Error>),
    /// Machines at the switch are among themselves.
    #[error(
        "port {0} cannot lead to a machine on a private switch; attach the card to a NAT or internal one"
    )]
    Private(SocketAddr),
    /// It is there already.
    #[error("port {0} leads to a guest already; choose another port")]
    Twice(SocketAddr),
}

impl ForwardError {
    fn new(address: SocketAddr, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::AddrInUse => Self::Taken(address),
            io::ErrorKind::PermissionDenied => Self::NotAllowed(address),
            io::ErrorKind::AddrNotAvailable => Self::NoSuchAddress(address.ip()),
            _ => Self::Host(address, Arc::new(error)),
        }
    }
}

/// A port of the host that is open.
pub(super) enum Listener {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

impl Listener {
    /// Opens the port of `forward`.
    ///
    /// # Errors
    /// When it cannot be had.
    pub fn open(forward: &Forward) -> Result<Self, ForwardError> {
        let address = forward.host();
        let fault = |error| ForwardError::new(address, error);
        Ok(match forward.protocol {
            Protocol::Tcp => {
                let listener = TcpListener::bind(address).map_err(fault)?;
                listener.set_nonblocking(true).map_err(fault)?;
                Self::Tcp(listener)
            }
            Protocol::Udp => {
                let socket = UdpSocket::bind(address).map_err(fault)?;
                socket.set_nonblocking(true).map_err(fault)?;
                Self::Udp(socket)
            }
        })
    }
}

/// Where a forward's guest is: its address, if it is known or was lent.
pub(super) type GuestAddress<'a> =
    &'a mut dyn FnMut(&Outlet, MacAddress, &Forward) -> Option<IpAddr>;

/// One that is open.
pub(super) struct Listening<S> {
    owner: MacAddress,
    forward: Forward,
    /// The host's.
    pub socket: S,
}

impl<S> Listening<S> {
    fn is(&self, owner: MacAddress, forward: &Forward) -> bool {
        self.owner == owner && self.forward == *forward
    }

    /// Where it leads to, if its guest has an address.
    pub fn guest(
        &self,
        outlet: &mut Outlet,
        guest_address: GuestAddress<'_>,
        now: Instant,
    ) -> Option<SocketAddr> {
        let address = guest_address(outlet, self.owner, &self.forward)?;
        if outlet.mac_of(address).is_none() {
            outlet.hear(address, self.owner, now);
        }
        Some(SocketAddr::new(address, self.forward.guest_port))
    }
}

/// All of a protocol, by the numbers that their sockets are waited for with.
pub(super) struct Forwards<S>(Vec<Option<Listening<S>>>);

impl<S: AsFd> Forwards<S> {
    pub fn new() -> Self {
        Self(Vec::new())
    }

    pub fn get(&self, number: usize) -> Option<&Listening<S>> {
        self.0.get(number)?.as_ref()
    }

    /// Lets `socket` lead to `owner`'s guest; `token` makes what it is waited for with.
    ///
    /// # Errors
    /// When the host does not watch the socket.
    pub fn add(
        &mut self,
        poll: &Poll,
        token: fn(usize) -> Token,
        owner: MacAddress,
        forward: Forward,
        socket: S,
    ) -> io::Result<()> {
        let free = self.0.iter().position(Option::is_none);
        let number = free.unwrap_or(self.0.len());
        poll.add(&socket, token(number))?;
        let listening = Some(Listening {
            owner,
            forward,
            socket,
        });
        match self.0.get_mut(number) {
            Some(place) => *place = listening,
            None => self.0.push(listening),
        }
        Ok(())
    }

    /// Closes one, and returns its number.
    pub fn remove(&mut self, owner: MacAddress, forward: &Forward) -> Option<usize> {
        let is_it =
            |place: &Option<Listening<S>>| place.as_ref().is_some_and(|one| one.is(owner, forward));
        let number = self.0.iter().position(is_it)?;
        if let Some(place) = self.0.get_mut(number) {
            *place = None;
        }
        Some(number)
    }
}
