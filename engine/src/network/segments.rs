//! Cuts a frame into segments that the network carries, as a network card with segmentation offload does.
//!
//! Each segment has the frame's headers, with lengths, identification, sequence number and flags of its own: TCP as RFC 9293, IPv4 as
//! RFC 791, IPv6 without extension headers as RFC 8200. Receivers that trust their card's word need no checksum of TCP or UDP;
//! for others it is computed.

use std::ops::Range;

use super::checksum::Sum;
use super::frame::{Checksum, ETHERNET, Frame, SegmentKind};
use super::{Buffer, Offload};

/// The longest headers: Ethernet, IPv4 and TCP with all their options.
const MAX_HEADERS: usize = ETHERNET + 60 + 60;

/// The most segments of one frame.
const MOST_SEGMENTS: usize = 1024;

const FIN: u8 = 0x01;
const PUSH: u8 = 0x08;
const CONGESTION_WINDOW_REDUCED: u8 = 0x80;

/// The headers of one segment.
pub struct Headers {
    bytes: [u8; MAX_HEADERS],
    length: usize,
}

impl Headers {
    /// Their bytes.
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// The segments of a frame, one after the other: headers of its own, and where its payload is in the frame.
pub struct Segments<'a> {
    frame: &'a [u8],
    kind: SegmentKind,
    /// Where the transport's header begins, and where it ends.
    transport: usize,
    payload: usize,
    size: usize,
    end: usize,
    at: usize,
    number: u16,
    compute: bool,
}

impl<'a> Segments<'a> {
    /// Cuts `frame`, which says that it is to be cut; nothing if its headers are not what it says. With `compute` the segments have
    /// their checksums.
    pub fn new(frame: &'a Frame, compute: bool) -> Option<Self> {
        let cut = frame.offload().segmentation?;
        let Checksum::Partial { start, .. } = frame.offload().checksum else {
            return None;
        };
        let data: &[u8] = frame.data();
        let transport = usize::from(start);
        let packet = data.get(ETHERNET..)?;
        let (length, header, protocol) = match (frame.protocol(), packet) {
            (0x0800, [version, _, high, low, _, _, _, _, _, protocol, ..]) if version >> 4 == 4 => {
                (
                    usize::from(u16::from_be_bytes([*high, *low])),
                    usize::from(version & 0xf) * 4,
                    *protocol,
                )
            }
            (0x86dd, [version, _, _, _, high, low, protocol, ..]) if version >> 4 == 6 => (
                usize::from(u16::from_be_bytes([*high, *low])) + 40,
                40,
                *protocol,
            ),
            _ => return None,
        };
        let expected = match (cut.kind, frame.protocol()) {
            (SegmentKind::Tcp4, 0x0800) | (SegmentKind::Tcp6, 0x86dd) => 6,
            (SegmentKind::Udp, _) => 17,
            _ => return None,
        };
        if protocol != expected || header < 20 || transport != ETHERNET + header {
            return None;
        }
        let end = ETHERNET + length;
        let payload = transport
            + match cut.kind {
                SegmentKind::Udp => 8,
                _ => usize::from(data.get(transport + 12)? >> 4) * 4,
            };
        let least = transport + if cut.kind == SegmentKind::Udp { 8 } else { 20 };
        // Sizes that make heaps of segments of one frame are no network's.
        if end.saturating_sub(payload) / usize::from(cut.size).max(1) > MOST_SEGMENTS {
            return None;
        }
        if payload < least || payload > end || end > data.len() || payload > MAX_HEADERS {
            return None;
        }
        Some(Self {
            frame: data,
            kind: cut.kind,
            transport,
            payload,
            size: usize::from(cut.size).max(1),
            end,
            at: payload,
            number: 0,
            compute,
        })
    }

    /// The frame's segments as frames of their own, with their checksums; the frame itself, with its checksum, if it need not be
    /// cut, and none if it cannot be.
    pub fn frames(frame: Frame) -> Vec<Frame> {
        if frame.offload().segmentation.is_none() {
            return vec![frame.with_checksum()];
        }
        let Some(segments) = Segments::new(&frame, true) else {
            return Vec::new();
        };
        let data = frame.data();
        segments
            .filter_map(|(headers, payload)| {
                let (headers, payload) = (headers.as_slice(), data.get(payload)?);
                let length = headers.len() + payload.len();
                let mut buffer = Buffer::new(length);
                let (to_headers, rest) = buffer.split_at_mut_checked(headers.len())?;
                to_headers.copy_from_slice(headers);
                rest.get_mut(..payload.len())?.copy_from_slice(payload);
                let offload = Offload {
                    checksum: Checksum::Valid,
                    segmentation: None,
                };
                Frame::new(buffer.freeze(length), offload)
            })
            .collect()
    }

    fn headers(&self, payload: &Range<usize>) -> Option<Headers> {
        let mut headers = Headers {
            bytes: [0; MAX_HEADERS],
            length: self.payload,
        };
        let bytes = headers.bytes.get_mut(..self.payload)?;
        bytes.copy_from_slice(self.frame.get(..self.payload)?);
        let length = self.payload + payload.len();
        let (packet, transport) = bytes
            .get_mut(ETHERNET..)?
            .split_at_mut_checked(self.transport - ETHERNET)?;
        let segment = u16::try_from(length - self.transport).ok()?;
        let mut sum = Sum::default();
        if packet.first()? >> 4 == 4 {
            let total = u16::try_from(length - ETHERNET).ok()?;
            packet.get_mut(2..4)?.copy_from_slice(&total.to_be_bytes());
            let first = u16::from_be_bytes([*packet.get(4)?, *packet.get(5)?]);
            packet
                .get_mut(4..6)?
                .copy_from_slice(&first.wrapping_add(self.number).to_be_bytes());
            packet.get_mut(10..12)?.fill(0);
            let header = Sum::default().with(packet).finish();
            packet.get_mut(10..12)?.copy_from_slice(&header);
            sum = sum.with(packet.get(12..20)?);
        } else {
            packet
                .get_mut(4..6)?
                .copy_from_slice(&segment.to_be_bytes());
            sum = sum.with(packet.get(8..40)?);
        }
        let (field, protocol) = match self.kind {
            SegmentKind::Udp => {
                transport
                    .get_mut(4..6)?
                    .copy_from_slice(&segment.to_be_bytes());
                (6, 17)
            }
            _ => {
                let first = u32::from_be_bytes(transport.get(4..8)?.try_into().ok()?);
                let done = u32::try_from(payload.start - self.payload).ok()?;
                transport
                    .get_mut(4..8)?
                    .copy_from_slice(&first.wrapping_add(done).to_be_bytes());
                let flags = transport.get_mut(13)?;
                if payload.end < self.end {
                    *flags &= !(FIN | PUSH);
                }
                if payload.start > self.payload {
                    *flags &= !CONGESTION_WINDOW_REDUCED;
                }
                (16, 6)
            }
        };
        transport.get_mut(field..field + 2)?.fill(0);
        sum = sum.with(&[0, protocol]).with(&segment.to_be_bytes());
        let value = if self.compute {
            match sum
                .with(transport)
                .with(self.frame.get(payload.clone())?)
                .finish()
            {
                [0, 0] if protocol == 17 => [0xff; 2],
                sum => sum,
            }
        } else {
            sum.folded()
        };
        transport.get_mut(field..field + 2)?.copy_from_slice(&value);
        Some(headers)
    }
}

impl Iterator for Segments<'_> {
    type Item = (Headers, Range<usize>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.end && self.number > 0 {
            return None;
        }
        let payload = self.at..self.at.saturating_add(self.size).min(self.end);
        let headers = self.headers(&payload)?;
        self.at = payload.end;
        self.number = self.number.wrapping_add(1);
        Some((headers, payload))
    }
}

#[cfg(test)]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small numbers"
)]
mod tests {
    use smoltcp::wire::{EthernetFrame, IpAddress, Ipv4Packet, Ipv6Packet, TcpPacket, UdpPacket};

    use super::super::Segmentation;
    use super::*;

    fn whole(version6: bool, kind: SegmentKind, payload: usize, size: u16) -> Frame {
        let header = if version6 { 40 } else { 20 };
        let transport = ETHERNET + header;
        let length = if kind == SegmentKind::Udp { 8 } else { 32 };
        let mut data = vec![0; transport + length + payload];
        let protocol = if kind == SegmentKind::Udp { 17 } else { 6 };
        let rest = u16::try_from(data.len() - transport).unwrap();
        if version6 {
            data[12..14].copy_from_slice(&[0x86, 0xdd]);
            data[14] = 0x60;
            data[18..20].copy_from_slice(&rest.to_be_bytes());
            data[20] = protocol;
        } else {
            data[12..14].copy_from_slice(&[8, 0]);
            data[14] = 0x45;
            data[16..18].copy_from_slice(&(rest + 20).to_be_bytes());
            data[18..20].copy_from_slice(&[0xff, 0xff]);
            data[23] = protocol;
        }
        if kind != SegmentKind::Udp {
            data[transport + 4..transport + 8].copy_from_slice(&0xffff_ff00_u32.to_be_bytes());
            data[transport + 12] = 0x80;
            data[transport + 13] = 0x10 | FIN | PUSH | CONGESTION_WINDOW_REDUCED;
        }
        for (index, byte) in data[transport + length..].iter_mut().enumerate() {
            *byte = (index % 251) as u8;
        }
        let offset = if kind == SegmentKind::Udp { 6 } else { 16 };
        let offload = Offload {
            checksum: Checksum::Partial {
                start: transport as u16,
                offset,
            },
            segmentation: Some(Segmentation {
                kind,
                size,
                congestion: false,
            }),
        };
        Frame::new(data.into(), offload).unwrap()
    }

    #[test]
    fn segments_hold_the_payload_and_have_right_headers() {
        for (version6, kind) in [
            (false, SegmentKind::Tcp4),
            (true, SegmentKind::Tcp6),
            (false, SegmentKind::Udp),
            (true, SegmentKind::Udp),
        ] {
            let frames = Segments::frames(whole(version6, kind, 3001, 1000));
            assert_eq!(frames.len(), 4);
            let mut payload = Vec::new();
            for (number, frame) in frames.iter().enumerate() {
                let ethernet = EthernetFrame::new_checked(&frame.data()[..]).unwrap();
                let (source, destination, body): (IpAddress, IpAddress, &[u8]) = if version6 {
                    let packet = Ipv6Packet::new_checked(ethernet.payload()).unwrap();
                    (
                        packet.src_addr().into(),
                        packet.dst_addr().into(),
                        packet.payload(),
                    )
                } else {
                    let packet = Ipv4Packet::new_checked(ethernet.payload()).unwrap();
                    assert!(packet.verify_checksum());
                    assert_eq!(packet.ident(), 0xffff_u16.wrapping_add(number as u16));
                    (
                        packet.src_addr().into(),
                        packet.dst_addr().into(),
                        packet.payload(),
                    )
                };
                if kind == SegmentKind::Udp {
                    let udp = UdpPacket::new_checked(body).unwrap();
                    assert!(udp.verify_checksum(&source, &destination));
                    payload.extend_from_slice(udp.payload());
                } else {
                    let tcp = TcpPacket::new_checked(body).unwrap();
                    assert!(tcp.verify_checksum(&source, &destination));
                    assert_eq!(
                        tcp.seq_number().0 as u32,
                        0xffff_ff00_u32.wrapping_add(1000 * number as u32)
                    );
                    assert_eq!(
                        (tcp.fin(), tcp.psh(), tcp.cwr()),
                        (number == 3, number == 3, number == 0)
                    );
                    payload.extend_from_slice(tcp.payload());
                }
            }
            assert_eq!(
                payload,
                (0..3001)
                    .map(|index| (index % 251) as u8)
                    .collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn a_frame_without_payload_stays_one_and_lies_are_dropped() {
        assert_eq!(
            Segments::frames(whole(false, SegmentKind::Tcp4, 0, 1000)).len(),
            1
        );
        let change = |at: usize, value: u8| {
            let frame = whole(false, SegmentKind::Tcp4, 500, 100);
            let mut data = frame.data().to_vec();
            data[at] = value;
            Frame::new(data.into(), frame.offload()).map(Segments::frames)
        };
        for (at, value) in [
            (12, 0x86),
            (14, 0x44),
            (14, 0x46),
            (16, 0xff),
            (23, 17),
            (46, 0x40),
            (46, 0xf0),
        ] {
            let frames = change(at, value).unwrap();
            assert!(
                frames.is_empty() || (at, value) == (46, 0xf0),
                "{at} {value}"
            );
        }
    }
}
