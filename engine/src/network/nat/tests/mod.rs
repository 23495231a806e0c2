//! The NAT between guests with a whole network stack and sockets of the host's.

mod guest;
mod hostile;
mod services;
mod stand_in;
mod transfer;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use self::guest::Guest;
use super::*;
use crate::network::{Cable, Checksum, Offload, Sent};

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

/// A packet from a guest without a network stack to the gateway.
fn guest_packet(protocol: u8, body: &[u8]) -> Frame {
    let envelope = Envelope {
        from: MacAddress([2, 0, 0, 0, 0, 9]),
        to: MacAddress([0x52, 0x55, 0x0a, 0, 2, 2]),
        source: Ipv4Addr::new(10, 0, 2, 99).into(),
        destination: gateway(0).ip(),
        protocol,
    };
    let mut data = vec![0; 34];
    envelope.write(&mut data, 1, body.len());
    data.extend_from_slice(body);
    let offload = Offload {
        checksum: Checksum::Valid,
        segmentation: None,
    };
    Frame::new(data.into(), offload).unwrap()
}

/// The beginning of a connection from such a guest.
fn beginning(from: u16, to: u16) -> Frame {
    let mut tcp = vec![0; 20];
    tcp[..2].copy_from_slice(&from.to_be_bytes());
    tcp[2..4].copy_from_slice(&to.to_be_bytes());
    tcp[12..14].copy_from_slice(&[0x50, 2]);
    guest_packet(TCP, &tcp)
}
