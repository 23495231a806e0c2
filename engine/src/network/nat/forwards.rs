//! Ports of the host that lead to guests, of one protocol.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Instant;

use super::outlet::Outlet;
use super::poll::{Poll, Token};
use crate::definition::{Forward, MacAddress};

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
