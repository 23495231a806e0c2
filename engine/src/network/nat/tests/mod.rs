//! The NAT between guests with a whole network stack and sockets of the host's.

mod guest;
mod hostile;
mod services;
mod transfer;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use self::guest::Guest;
use super::*;

/// A network whose guests reach the host's loopback network by the gateway's address.
fn open_options() -> Options {
    let mut plan = Plan::new(DEFAULT_NETWORK, true);
    plan.host_loopback = true;
    Options {
        version6: Some(true),
        ..Options::new(plan)
    }
}

fn network(options: Options) -> (Arc<Switch>, Nat) {
    let switch = Switch::new();
    let nat = Nat::start(&switch, options).unwrap();
    (switch, nat)
}

fn gateway(port: u16) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::new(10, 0, 2, 2).into(), port)
}

/// Bytes that differ from place to place.
fn pattern(from: usize, length: usize) -> Vec<u8> {
    (from..from + length)
        .map(|index| u8::try_from((index * 7 + index / 251) % 256).unwrap())
        .collect()
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}
