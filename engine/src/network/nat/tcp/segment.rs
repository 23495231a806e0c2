//! A segment that a guest sent, as far as it matters, and those that go to it.

use bytes::Bytes;
use smoltcp::wire::{TcpOption, TcpPacket};

use super::flow::{Flow, Key, State};
use crate::network::nat::outlet::{MTU, Outlet};
use crate::network::nat::packet::{Packet, TCP, header_length};

pub(super) const HEADER: usize = 20;

pub(super) const FIN: u8 = 0x01;
pub(super) const SYN: u8 = 0x02;
pub(super) const RST: u8 = 0x04;
pub(super) const PUSH: u8 = 0x08;
pub(super) const ACK: u8 = 0x10;

/// A segment of a guest's.
pub(super) struct Segment {
    pub source_port: u16,
    pub target_port: u16,
    pub sequence: u32,
    pub acknowledged: u32,
    pub window: u16,
    pub syn: bool,
    pub ack: bool,
    pub fin: bool,
    pub rst: bool,
    pub largest: Option<u16>,
    pub scale: Option<u8>,
    pub payload: Bytes,
}

impl Segment {
    pub fn parse(packet: &Packet<'_>) -> Option<Self> {
        let tcp = TcpPacket::new_checked(packet.body()).ok()?;
        let (mut largest, mut scale) = (None, None);
        if tcp.syn() {
            let mut options = tcp.options();
            while !options.is_empty() {
                let Ok((rest, option)) = TcpOption::parse(options) else {
                    break;
                };
                match option {
                    TcpOption::EndOfList => break,
                    TcpOption::MaxSegmentSize(size) => largest = Some(size),
                    TcpOption::WindowScale(shift) => scale = Some(shift.min(14)),
                    _ => {}
                }
                options = rest;
            }
        }
        let (source_port, target_port) = (tcp.src_port(), tcp.dst_port());
        (source_port != 0 && target_port != 0).then(|| Self {
            source_port,
            target_port,
            sequence: tcp.seq_number().0.cast_unsigned(),
            acknowledged: tcp.ack_number().0.cast_unsigned(),
            window: tcp.window_len(),
            syn: tcp.syn(),
            ack: tcp.ack(),
            fin: tcp.fin(),
            rst: tcp.rst(),
            largest,
            scale,
            payload: packet.shared(usize::from(tcp.header_len())),
        })
    }

    /// How many sequence numbers it takes.
    pub fn length(&self) -> u32 {
        u32::try_from(self.payload.len())
            .unwrap_or(0)
            .wrapping_add(u32::from(self.syn))
            .wrapping_add(u32::from(self.fin))
    }

    /// Whether it is the first of a new connection in the place of `flow`.
    pub fn begins_anew(&self, flow: &Flow) -> bool {
        self.syn
            && !self.ack
            && flow.state != State::Connecting
            && !flow.is_same_beginning(self.sequence)
    }
}

/// What stands in a segment that goes to a guest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub sequence: u32,
    pub acknowledged: u32,
    pub flags: u8,
    pub window: u16,
}

impl Header {
    /// Writes it to the beginning of `buffer`, 20 bytes, but for the checksum.
    pub fn write(&self, key: &Key, buffer: &mut [u8], words: u8) {
        let Some(place) = buffer.first_chunk_mut::<HEADER>() else {
            return;
        };
        let [s0, s1] = key.remote.port().to_be_bytes();
        let [t0, t1] = key.guest.port().to_be_bytes();
        let [n0, n1, n2, n3] = self.sequence.to_be_bytes();
        let acknowledged = if self.flags & ACK != 0 {
            self.acknowledged
        } else {
            0
        };
        let [a0, a1, a2, a3] = acknowledged.to_be_bytes();
        let [w0, w1] = self.window.to_be_bytes();
        *place = [
            s0,
            s1,
            t0,
            t1,
            n0,
            n1,
            n2,
            n3,
            a0,
            a1,
            a2,
            a3,
            words << 4,
            self.flags,
            w0,
            w1,
            0,
            0,
            0,
            0,
        ];
    }
}

/// The largest payload of a segment to a guest that takes `largest`.
pub(super) fn segment_size(key: &Key, largest: Option<u16>) -> u16 {
    let own = MTU - (header_length(key.guest.ip()) - 14) - HEADER;
    let own = u16::try_from(own).unwrap_or(536);
    largest.unwrap_or(536).clamp(64, own)
}

/// Sends a segment without payload; it may be lost.
pub(super) fn send_bare(outlet: &mut Outlet, key: &Key, header: Header, scale: Option<u8>) {
    let Some(envelope) = outlet.envelope(key.remote.ip(), key.guest.ip(), TCP) else {
        return;
    };
    let mut body = vec![0; HEADER];
    if header.flags & SYN != 0 {
        let [high, low] = segment_size(key, Some(u16::MAX)).to_be_bytes();
        body.extend_from_slice(&[2, 4, high, low]);
        if let Some(scale) = scale {
            body.extend_from_slice(&[3, 3, scale, 1]);
        }
    }
    let words = u8::try_from(body.len() / 4).unwrap_or(5);
    header.write(key, &mut body, words);
    let Some(frame) = outlet.packet(&envelope, &body, Some((16, true))) else {
        return;
    };
    if header.flags == ACK {
        // Much that comes from the guest brings many of them, while there is other work to do.
        outlet.post(frame);
    } else {
        let _ = outlet.send(frame);
    }
}

/// Tells a guest that there is no connection that `segment` could belong to.
pub(super) fn reset(outlet: &mut Outlet, key: &Key, segment: &Segment) {
    let header = if segment.ack {
        Header {
            sequence: segment.acknowledged,
            acknowledged: 0,
            flags: RST,
            window: 0,
        }
    } else {
        Header {
            sequence: 0,
            acknowledged: segment.sequence.wrapping_add(segment.length()),
            flags: RST | ACK,
            window: 0,
        }
    };
    send_bare(outlet, key, header, None);
}
