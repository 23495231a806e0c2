//! IP packets in frames: what of a frame that came is looked at, and the headers of those that go.

use std::net::IpAddr;
use std::ops::Range;

use bytes::Bytes;
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, Ipv6Packet,
};

use crate::definition::MacAddress;
use crate::network::checksum::Sum;
use crate::network::{Checksum, Frame};

pub(super) const ICMP: u8 = 1;
pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
pub(super) const ICMP6: u8 = 58;

pub(super) const ETHERNET: usize = 14;
/// The hop limit of what the gateway sends.
const HOPS: u8 = 64;

/// An IP packet that a guest sent.
pub(super) struct Packet<'a> {
    pub frame: &'a Frame,
    pub source: IpAddr,
    pub destination: IpAddr,
    pub protocol: u8,
    pub hops: u8,
    /// Where in the frame its payload is.
    pub body: Range<usize>,
}

impl<'a> Packet<'a> {
    /// The IPv4 packet in `frame`; nothing if it is not whole, or a part of one.
    pub fn version4(frame: &'a Frame) -> Option<Self> {
        let packet = Ipv4Packet::new_checked(frame.data().get(ETHERNET..)?).ok()?;
        if packet.version() != 4
            || packet.more_frags()
            || packet.frag_offset() != 0
            || !packet.verify_checksum()
        {
            return None;
        }
        let begin = ETHERNET + usize::from(packet.header_len());
        Some(Self {
            frame,
            source: packet.src_addr().into(),
            destination: packet.dst_addr().into(),
            protocol: packet.next_header().into(),
            hops: packet.hop_limit(),
            body: begin..ETHERNET + usize::from(packet.total_len()),
        })
    }

    /// The IPv6 packet in `frame`; nothing if it is not whole or has extension headers.
    pub fn version6(frame: &'a Frame) -> Option<Self> {
        let packet = Ipv6Packet::new_checked(frame.data().get(ETHERNET..)?).ok()?;
        if packet.version() != 6 {
            return None;
        }
        let begin = ETHERNET + 40;
        Some(Self {
            frame,
            source: packet.src_addr().into(),
            destination: packet.dst_addr().into(),
            protocol: packet.next_header().into(),
            hops: packet.hop_limit(),
            body: begin..begin + usize::from(packet.payload_len()),
        })
    }

    /// Its payload.
    pub fn body(&self) -> &'a [u8] {
        self.frame.data().get(self.body.clone()).unwrap_or_default()
    }

    /// The part of its payload from `begin` on, shared with the frame.
    pub fn shared(&self, begin: usize) -> Bytes {
        let begin = self.body.start.saturating_add(begin).min(self.body.end);
        self.frame.data().slice(begin..self.body.end)
    }

    /// Whether the checksum of its payload, which includes the pseudo-header, is right or need not be looked at.
    pub fn is_whole(&self) -> bool {
        match self.frame.offload().checksum {
            Checksum::Complete => Sum::default()
                .pseudo_header(
                    self.source,
                    self.destination,
                    self.protocol,
                    self.body.len(),
                )
                .with(self.body())
                .is_valid(),
            Checksum::Valid | Checksum::Partial { .. } => true,
        }
    }
}

/// How many bytes the headers before the transport's take in a packet to `destination`.
pub(super) fn header_length(destination: IpAddr) -> usize {
    match destination {
        IpAddr::V4(_) => ETHERNET + 20,
        IpAddr::V6(_) => ETHERNET + 40,
    }
}

/// What stands in the headers of a packet that goes to a guest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Envelope {
    pub from: MacAddress,
    pub to: MacAddress,
    pub source: IpAddr,
    pub destination: IpAddr,
    pub protocol: u8,
}

impl Envelope {
    /// Writes the Ethernet and IP headers for `body` bytes of payload to the beginning of `buffer`; returns where the payload begins.
    /// Both addresses are of one kind, and the buffer has room.
    pub fn write(&self, buffer: &mut [u8], identification: u16, body: usize) -> usize {
        let begin = header_length(self.destination);
        if buffer.len() < begin {
            return begin;
        }
        let mut frame = EthernetFrame::new_unchecked(&mut *buffer);
        frame.set_dst_addr(EthernetAddress(self.to.0));
        frame.set_src_addr(EthernetAddress(self.from.0));
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                frame.set_ethertype(EthernetProtocol::Ipv4);
                let mut packet = Ipv4Packet::new_unchecked(frame.payload_mut());
                packet.set_version(4);
                packet.set_header_len(20);
                packet.set_dscp(0);
                packet.set_ecn(0);
                packet.set_total_len(u16::try_from(20 + body).unwrap_or(u16::MAX));
                packet.set_ident(identification);
                packet.clear_flags();
                packet.set_dont_frag(true);
                packet.set_frag_offset(0);
                packet.set_hop_limit(HOPS);
                packet.set_next_header(IpProtocol::from(self.protocol));
                packet.set_src_addr(source);
                packet.set_dst_addr(destination);
                packet.fill_checksum();
            }
            (source, destination) => {
                frame.set_ethertype(EthernetProtocol::Ipv6);
                let mut packet = Ipv6Packet::new_unchecked(frame.payload_mut());
                packet.set_version(6);
                packet.set_traffic_class(0);
                packet.set_flow_label(0);
                packet.set_payload_len(u16::try_from(body).unwrap_or(u16::MAX));
                packet.set_next_header(IpProtocol::from(self.protocol));
                // Neighbours believe only what came over no router.
                packet.set_hop_limit(if self.protocol == ICMP6 { 255 } else { HOPS });
                packet.set_src_addr(as_version6(source));
                packet.set_dst_addr(as_version6(destination));
            }
        }
        begin
    }

    /// The sum of the pseudo-header, for a checksum that is left to others.
    pub fn pseudo_header(&self, body: usize) -> Sum {
        Sum::default().pseudo_header(self.source, self.destination, self.protocol, body)
    }
}

fn as_version6(address: IpAddr) -> std::net::Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

/// Cuts the finished IPv4 frame `data`, whose headers are 34 bytes long, into fragments of at most `largest` bytes of packet.
pub(super) fn fragments(data: &[u8], largest: usize) -> Vec<Vec<u8>> {
    let begin = ETHERNET + 20;
    let (Some(headers), Some(body)) = (data.get(..begin), data.get(begin..)) else {
        return Vec::new();
    };
    let piece = largest.saturating_sub(20) / 8 * 8;
    let count = body.len().div_ceil(piece.max(8));
    body.chunks(piece.max(8))
        .enumerate()
        .map(|(number, part)| {
            let mut fragment = [headers, part].concat();
            if let Some(packet) = fragment.get_mut(ETHERNET..) {
                let mut packet = Ipv4Packet::new_unchecked(packet);
                packet.set_total_len(u16::try_from(20 + part.len()).unwrap_or(u16::MAX));
                packet.set_dont_frag(false);
                packet.set_more_frags(number + 1 < count);
                packet.set_frag_offset(u16::try_from(number * piece).unwrap_or(0));
                packet.fill_checksum();
            }
            fragment
        })
        .collect()
}
