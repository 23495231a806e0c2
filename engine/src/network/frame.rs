//! An Ethernet frame on its way, with what its sender left for others to do.
//!
//! The metadata are those of Virtual I/O Device (VIRTIO) 1.2, section 5.1.6 (`virtio_net_hdr`), which Linux' tap devices use too.

use bytes::Bytes;

use super::Buffer;
use crate::definition::MacAddress;

/// The longest frame in bytes: the Ethernet header and the longest IP packet.
pub const MAX_FRAME: usize = 14 + 65_535;
/// The size in bytes of a virtio network header that says how many buffers a frame takes.
pub const VIRTIO_HEADER: usize = 12;
/// The length of the Ethernet header in bytes.
pub(super) const ETHERNET: usize = 14;

const NEEDS_CHECKSUM: u8 = 1;
const DATA_VALID: u8 = 2;
const GSO_TCP4: u8 = 1;
const GSO_TCP6: u8 = 4;
const GSO_UDP: u8 = 5;
const GSO_ECN: u8 = 0x80;

/// What is known of the checksum of the transport's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Checksum {
    /// It is there; nobody looked at it yet.
    #[default]
    Complete,
    /// It need not be looked at.
    Valid,
    /// Its field holds the sum of the pseudo-header only. It covers everything from `start` and stands at `start + offset`.
    Partial {
        /// From where, in bytes from the frame's beginning.
        start: u16,
        /// How far behind `start` it stands.
        offset: u16,
    },
}

/// Of which protocol the segments are that a frame is to be cut into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SegmentKind {
    /// TCP over IPv4.
    Tcp4,
    /// TCP over IPv6.
    Tcp6,
    /// UDP, each segment a datagram.
    Udp,
}

/// How a frame that is larger than the network carries is to be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segmentation {
    /// Of which protocol it is.
    pub kind: SegmentKind,
    /// How many bytes of payload each segment has at most.
    pub size: u16,
    /// Whether the congestion window reduced flag belongs to the first segment only.
    pub congestion: bool,
}

/// What is left undone in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Offload {
    /// Its checksum.
    pub checksum: Checksum,
    /// Cutting it.
    pub segmentation: Option<Segmentation>,
}

impl Offload {
    /// Reads a virtio network header. Nothing where it is not one that makes sense.
    pub fn from_virtio(header: &[u8]) -> Option<Self> {
        let &[
            flags,
            kind,
            _,
            _,
            size0,
            size1,
            start0,
            start1,
            offset0,
            offset1,
            ..,
        ] = header
        else {
            return None;
        };
        let checksum = if flags & NEEDS_CHECKSUM != 0 {
            Checksum::Partial {
                start: u16::from_le_bytes([start0, start1]),
                offset: u16::from_le_bytes([offset0, offset1]),
            }
        } else if flags & DATA_VALID != 0 {
            Checksum::Valid
        } else {
            Checksum::Complete
        };
        let segment_kind = match kind & !GSO_ECN {
            0 => None,
            GSO_TCP4 => Some(SegmentKind::Tcp4),
            GSO_TCP6 => Some(SegmentKind::Tcp6),
            GSO_UDP => Some(SegmentKind::Udp),
            _ => return None,
        };
        let size = u16::from_le_bytes([size0, size1]);
        let segmentation = match segment_kind {
            None => None,
            // What is to be cut has its checksum left out, and pieces of some size.
            Some(_) if size == 0 || !matches!(checksum, Checksum::Partial { .. }) => return None,
            Some(kind) => Some(Segmentation {
                kind,
                size,
                congestion: kind != SegmentKind::Udp
                    && header.get(1).is_some_and(|kind| kind & GSO_ECN != 0),
            }),
        };
        Some(Self {
            checksum,
            segmentation,
        })
    }

    /// The virtio network header that says the same of `frame`, which takes `buffers` buffers.
    pub fn to_virtio(self, frame: &[u8], buffers: u16) -> [u8; VIRTIO_HEADER] {
        let (flags, start, offset) = match self.checksum {
            Checksum::Complete => (0, 0, 0),
            Checksum::Valid => (DATA_VALID, 0, 0),
            Checksum::Partial { start, offset } => (NEEDS_CHECKSUM, start, offset),
        };
        let (kind, size, header) = match self.segmentation {
            None => (0, 0, 0),
            Some(cut) => {
                let kind = match cut.kind {
                    SegmentKind::Tcp4 => GSO_TCP4,
                    SegmentKind::Tcp6 => GSO_TCP6,
                    SegmentKind::Udp => GSO_UDP,
                };
                let transport = if cut.kind == SegmentKind::Udp {
                    8
                } else {
                    let place = usize::from(start).saturating_add(12);
                    u16::from(frame.get(place).copied().unwrap_or(0x50) >> 4) * 4
                };
                let ecn = if cut.congestion { GSO_ECN } else { 0 };
                (kind | ecn, cut.size, start.saturating_add(transport))
            }
        };
        let [header0, header1] = header.to_le_bytes();
        let [size0, size1] = size.to_le_bytes();
        let [start0, start1] = start.to_le_bytes();
        let [offset0, offset1] = offset.to_le_bytes();
        let [buffers0, buffers1] = buffers.to_le_bytes();
        [
            flags, kind, header0, header1, size0, size1, start0, start1, offset0, offset1,
            buffers0, buffers1,
        ]
    }
}

/// A frame from its destination address to the end of its payload, without the frame check sequence. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Frame {
    data: Bytes,
    offload: Offload,
}

impl Frame {
    /// A frame; nothing if it is too short or too long for one, or if its checksum would lie outside it.
    pub fn new(data: Bytes, offload: Offload) -> Option<Self> {
        let whole = (ETHERNET..=MAX_FRAME).contains(&data.len());
        let inside = match offload.checksum {
            Checksum::Partial { start, offset } => {
                let field = usize::from(start) + usize::from(offset);
                usize::from(start) >= ETHERNET && field + 2 <= data.len()
            }
            _ => true,
        };
        (whole && inside).then_some(Self { data, offload })
    }

    /// A frame with everything done, copied from `data`.
    pub fn copy_of(data: &[u8]) -> Option<Self> {
        Self::new(Buffer::copy_of(data).freeze(data.len()), Offload::default())
    }

    /// Its bytes.
    pub fn data(&self) -> &Bytes {
        &self.data
    }

    /// What is left undone.
    pub fn offload(&self) -> Offload {
        self.offload
    }

    /// Whom it is for.
    pub fn destination(&self) -> MacAddress {
        self.address(0)
    }

    /// Who sent it.
    pub fn source(&self) -> MacAddress {
        self.address(6)
    }

    fn address(&self, at: usize) -> MacAddress {
        let bytes = self
            .data
            .get(at..at + 6)
            .and_then(|part| part.try_into().ok());
        MacAddress(bytes.unwrap_or_default())
    }

    /// The protocol of its payload: 0x0800 is IPv4.
    pub fn protocol(&self) -> u16 {
        match self.data.get(12..14) {
            Some(&[high, low]) => u16::from_be_bytes([high, low]),
            _ => 0,
        }
    }

    /// The same frame with its checksum computed, if that was left undone; one that is to be cut is left alone.
    pub fn with_checksum(self) -> Self {
        let Checksum::Partial { start, offset } = self.offload.checksum else {
            return self;
        };
        if self.offload.segmentation.is_some() {
            return self;
        }
        let mut buffer = Buffer::copy_of(&self.data);
        if let Some(data) = buffer.get_mut(..self.data.len()) {
            complete(data, start, offset);
        }
        Self {
            data: buffer.freeze(self.data.len()),
            offload: Offload {
                checksum: Checksum::Valid,
                segmentation: None,
            },
        }
    }
}

/// Computes the checksum of `frame` over everything from `start`, its field holding the pseudo-header's sum.
pub(super) fn complete(frame: &mut [u8], start: u16, offset: u16) {
    let (start, offset) = (usize::from(start), usize::from(offset));
    let Some(covered) = frame.get_mut(start..) else {
        return;
    };
    let mut sum = super::checksum::Sum::default().with(covered).finish();
    // UDP says by zero that there is no checksum; the same sum is written as all ones.
    if sum == [0, 0] && offset == 6 {
        sum = [0xff; 2];
    }
    if let Some(field) = covered.get_mut(offset..offset + 2) {
        field.copy_from_slice(&sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn virtio_headers_say_the_same_both_ways() {
        let mut frame = vec![0; 100];
        frame[34 + 12] = 0x80;
        for offload in [
            Offload::default(),
            Offload {
                checksum: Checksum::Valid,
                segmentation: None,
            },
            Offload {
                checksum: Checksum::Partial {
                    start: 34,
                    offset: 6,
                },
                segmentation: None,
            },
            Offload {
                checksum: Checksum::Partial {
                    start: 34,
                    offset: 16,
                },
                segmentation: Some(Segmentation {
                    kind: SegmentKind::Tcp4,
                    size: 1448,
                    congestion: true,
                }),
            },
            Offload {
                checksum: Checksum::Partial {
                    start: 54,
                    offset: 16,
                },
                segmentation: Some(Segmentation {
                    kind: SegmentKind::Tcp6,
                    size: 1428,
                    congestion: false,
                }),
            },
        ] {
            assert_eq!(
                Offload::from_virtio(&offload.to_virtio(&frame, 1)),
                Some(offload)
            );
        }
        let header = Offload {
            checksum: Checksum::Partial {
                start: 34,
                offset: 16,
            },
            segmentation: Some(Segmentation {
                kind: SegmentKind::Tcp4,
                size: 1448,
                congestion: false,
            }),
        }
        .to_virtio(&frame, 3);
        assert_eq!(header, [1, 1, 66, 0, 0xa8, 5, 34, 0, 16, 0, 3, 0]);
    }

    #[test]
    fn nonsense_is_refused() {
        for header in [
            &[0_u8; 9][..],
            &[0, 7, 0, 0, 1, 0, 0, 0, 0, 0],
            &[1, 1, 0, 0, 0, 0, 34, 0, 16, 0],
            &[0, 1, 0, 0, 100, 0, 34, 0, 16, 0],
        ] {
            assert_eq!(Offload::from_virtio(header), None, "{header:?}");
        }
        let partial = |start, offset| Offload {
            checksum: Checksum::Partial { start, offset },
            segmentation: None,
        };
        let data = || Bytes::from(vec![0; 60]);
        assert!(Frame::new(data(), partial(34, 6)).is_some());
        for (start, offset) in [(0, 0), (58, 1), (34, 25), (u16::MAX, u16::MAX)] {
            assert!(Frame::new(data(), partial(start, offset)).is_none());
        }
        assert!(Frame::copy_of(&[0; 13]).is_none());
        assert!(Frame::new(Bytes::from(vec![0; MAX_FRAME + 1]), Offload::default()).is_none());
    }

    #[test]
    fn a_checksum_left_out_is_computed() {
        let mut data = vec![0; 14 + 8];
        data[14..].copy_from_slice(&[0, 1, 0xf2, 3, 0, 0, 0xf6, 0xf7]);
        let offload = Offload {
            checksum: Checksum::Partial {
                start: 14,
                offset: 4,
            },
            segmentation: None,
        };
        let frame = Frame::new(data.into(), offload).unwrap().with_checksum();
        assert_eq!(frame.offload().checksum, Checksum::Valid);
        assert!(
            super::super::checksum::Sum::default()
                .with(&frame.data()[14..])
                .is_valid()
        );
    }
}
