//! Sending: descriptors of the legacy kind, and of contexts and data with checksums and segmentation. SDM, chapter 3.3.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::network::checksum::Sum;
use crate::network::{
    Buffer, Checksum, Frame, MAX_FRAME, Offload, SegmentKind, Segmentation, Segments,
};

const END_OF_PACKET: u8 = 1 << 0;
const INSERT_CHECKSUM: u8 = 1 << 2;
const SEGMENT: u8 = 1 << 2;
pub(super) const REPORT: u8 = 1 << 3;
const EXTENDED: u8 = 1 << 5;
const INSERT_TAG: u8 = 1 << 6;
const IP_CHECKSUM: u8 = 1 << 0;
const TRANSPORT_CHECKSUM: u8 = 1 << 1;
/// In a context's command: IPv4.
const CONTEXT_IP4: u8 = 1 << 1;
const CONTEXT_TCP: u8 = 1 << 0;

/// The shortest frame without its check sequence.
const SHORTEST: usize = 60;

/// Which checksums are where, as the last context descriptor said.
#[derive(Debug, Clone, Copy, Default)]
struct Context {
    ip: (usize, usize, usize),
    transport: (usize, usize, usize),
    command: u8,
    size: u16,
}

/// A descriptor as it was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Descriptor {
    pub address: u64,
    pub length: usize,
    pub command: u8,
    extended: Option<u8>,
    options: u8,
    special: u16,
    checksum: (usize, usize),
    raw: [u8; 16],
}

impl Descriptor {
    pub fn parse(raw: [u8; 16]) -> Self {
        let [
            a0,
            a1,
            a2,
            a3,
            a4,
            a5,
            a6,
            a7,
            l0,
            l1,
            l2,
            command,
            _,
            last,
            s0,
            s1,
        ] = raw;
        let extended = command & EXTENDED != 0;
        let length = if extended {
            u32::from_le_bytes([l0, l1, l2 & 0xf, 0])
        } else {
            u32::from_le_bytes([l0, l1, 0, 0])
        };
        Self {
            address: u64::from_le_bytes([a0, a1, a2, a3, a4, a5, a6, a7]),
            length: usize::try_from(length).unwrap_or(0),
            command,
            extended: extended.then_some(l2 >> 4),
            options: last,
            special: u16::from_le_bytes([s0, s1]),
            checksum: (usize::from(last), usize::from(l2)),
            raw,
        }
    }

    /// Whether it says where checksums are, and holds no data.
    pub fn is_context(&self) -> bool {
        self.extended == Some(0)
    }
}

/// A frame in the making.
#[derive(Default)]
pub(super) struct Assembly {
    context: Context,
    data: Vec<u8>,
    /// More came than any frame holds: the rest of it is passed over.
    excess: bool,
    options: u8,
    segment: bool,
}

impl Assembly {
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Takes a context descriptor.
    pub fn set_context(&mut self, descriptor: &Descriptor) {
        let [
            ipcss,
            ipcso,
            ipe0,
            ipe1,
            tucss,
            tucso,
            tue0,
            tue1,
            _,
            _,
            _,
            command,
            _,
            _,
            m0,
            m1,
        ] = descriptor.raw;
        let end = |low, high| usize::from(u16::from_le_bytes([low, high]));
        self.context = Context {
            ip: (ipcss.into(), ipcso.into(), end(ipe0, ipe1)),
            transport: (tucss.into(), tucso.into(), end(tue0, tue1)),
            command,
            size: u16::from_le_bytes([m0, m1]),
        };
    }

    /// How much more of a frame there may be; `read` fills it.
    pub fn append(&mut self, descriptor: &Descriptor, read: impl FnOnce(&mut [u8]) -> bool) {
        // The options of a packet are those of its first descriptor.
        if self.data.is_empty() && !self.excess {
            self.options = if descriptor.extended.is_some() {
                descriptor.options
            } else {
                0
            };
            self.segment = descriptor.extended.is_some() && descriptor.command & SEGMENT != 0;
        }
        let begin = self.data.len();
        if self.excess || begin + descriptor.length > MAX_FRAME {
            self.excess = true;
            return;
        }
        self.data.resize(begin + descriptor.length, 0);
        let place = self.data.get_mut(begin..).unwrap_or_default();
        if !read(place) {
            self.excess = true;
        }
    }

    /// The frames that are whole with `descriptor`, if it is a packet's last. `tag` is the type of a VLAN's tag, if tags are put in.
    pub fn finish(&mut self, descriptor: &Descriptor, tag: Option<u16>) -> Vec<Frame> {
        if descriptor.command & END_OF_PACKET == 0 {
            return Vec::new();
        }
        let mut data = std::mem::take(&mut self.data);
        let excess = std::mem::take(&mut self.excess);
        let frames = if excess || data.len() < 14 {
            Vec::new()
        } else if self.segment {
            self.segmented(&mut data)
        } else {
            self.single(&mut data, descriptor).into_iter().collect()
        };
        // The room is kept for the next.
        data.clear();
        self.data = data;
        let tag = tag.filter(|_| descriptor.command & INSERT_TAG != 0);
        match tag {
            None => frames,
            Some(kind) => frames
                .into_iter()
                .flat_map(Segments::frames)
                .filter_map(|frame| tagged(&frame, kind, descriptor.special))
                .collect(),
        }
    }

    fn single(&self, data: &mut Vec<u8>, descriptor: &Descriptor) -> Option<Frame> {
        let mut offload = Offload::default();
        if descriptor.extended.is_none() {
            if descriptor.command & INSERT_CHECKSUM != 0 {
                let (start, place) = descriptor.checksum;
                insert(data, (start, place, 0));
            }
        } else {
            if self.options & IP_CHECKSUM != 0 {
                insert(data, self.context.ip);
            }
            if self.options & TRANSPORT_CHECKSUM != 0 {
                let (start, place, end) = self.context.transport;
                let partial =
                    (end == 0 && start >= 14 && place + 2 <= data.len() && data.len() >= SHORTEST)
                        .then(|| {
                            Some(Checksum::Partial {
                                start: u16::try_from(start).ok()?,
                                offset: u16::try_from(place.checked_sub(start)?).ok()?,
                            })
                        })
                        .flatten();
                match partial {
                    Some(partial) => offload.checksum = partial,
                    None => insert(data, self.context.transport),
                }
            }
        }
        if data.len() < SHORTEST {
            data.resize(SHORTEST, 0);
        }
        Frame::new(Buffer::copy_of(data).freeze(data.len()), offload)
    }

    /// A frame that is yet to be cut, its headers completed as those of one packet.
    fn segmented(&self, data: &mut [u8]) -> Vec<Frame> {
        let frame = self.whole(data);
        // What Segments could not cut is not let out.
        frame
            .filter(|frame| {
                frame.offload().segmentation.is_none() || Segments::new(frame, false).is_some()
            })
            .into_iter()
            .collect()
    }

    fn whole(&self, data: &mut [u8]) -> Option<Frame> {
        let is_version4 = self.context.command & CONTEXT_IP4 != 0;
        let is_tcp = self.context.command & CONTEXT_TCP != 0;
        let (ip, start) = (self.context.ip.0, self.context.transport.0);
        let place = self.context.transport.1;
        if ip != 14 || start < ip + 20 || self.context.size == 0 {
            return None;
        }
        let length = data.len();
        let body = length.checked_sub(start)?;
        let packet = data.get_mut(ip..)?;
        let (source, destination): (IpAddr, IpAddr) = if is_version4 {
            let total = u16::try_from(length - ip).ok()?;
            packet.get_mut(2..4)?.copy_from_slice(&total.to_be_bytes());
            packet.get_mut(10..12)?.fill(0);
            let sum = Sum::default().with(packet.get(..start - ip)?).finish();
            packet.get_mut(10..12)?.copy_from_slice(&sum);
            let address = |part: &[u8]| Some(Ipv4Addr::from(<[u8; 4]>::try_from(part).ok()?));
            (
                address(packet.get(12..16)?)?.into(),
                address(packet.get(16..20)?)?.into(),
            )
        } else {
            let payload = u16::try_from(length.checked_sub(ip + 40)?).ok()?;
            packet
                .get_mut(4..6)?
                .copy_from_slice(&payload.to_be_bytes());
            let address = |part: &[u8]| Some(Ipv6Addr::from(<[u8; 16]>::try_from(part).ok()?));
            (
                address(packet.get(8..24)?)?.into(),
                address(packet.get(24..40)?)?.into(),
            )
        };
        let protocol = if is_tcp { 6 } else { 17 };
        let sum = Sum::default()
            .pseudo_header(source, destination, protocol, body)
            .folded();
        data.get_mut(place..place + 2)?.copy_from_slice(&sum);
        let header = if is_tcp {
            usize::from(*data.get(start + 12)? >> 4) * 4
        } else {
            8
        };
        if !is_tcp {
            let length = u16::try_from(body).ok()?;
            data.get_mut(start + 4..start + 6)?
                .copy_from_slice(&length.to_be_bytes());
        }
        let kind = match (is_tcp, is_version4) {
            (true, true) => SegmentKind::Tcp4,
            (true, false) => SegmentKind::Tcp6,
            (false, _) => SegmentKind::Udp,
        };
        let segmentation =
            (body.checked_sub(header)? > usize::from(self.context.size)).then_some(Segmentation {
                kind,
                size: self.context.size,
                congestion: false,
            });
        let offload = Offload {
            checksum: Checksum::Partial {
                start: u16::try_from(start).ok()?,
                offset: u16::try_from(place.checked_sub(start)?).ok()?,
            },
            segmentation,
        };
        Frame::new(Buffer::copy_of(data).freeze(length), offload)
    }
}

/// Puts the checksum of everything from `start` to `end` (included; 0 is the frame's end) at `place`.
fn insert(data: &mut [u8], (start, place, end): (usize, usize, usize)) {
    let end = if end == 0 {
        data.len()
    } else {
        (end + 1).min(data.len())
    };
    let Some(covered) = data.get(start..end) else {
        return;
    };
    let sum = Sum::default().with(covered).finish();
    if let Some(field) = data.get_mut(place..place + 2) {
        field.copy_from_slice(&sum);
    }
}

fn tagged(frame: &Frame, kind: u16, tag: u16) -> Option<Frame> {
    let (addresses, rest) = frame.data().split_at_checked(12)?;
    let data = [addresses, &kind.to_be_bytes(), &tag.to_be_bytes(), rest].concat();
    Frame::copy_of(&data)
}
