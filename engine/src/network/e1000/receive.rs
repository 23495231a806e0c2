//! Receiving: which frames are taken, and how they come into the guest's buffers. SDM, chapter 3.2.

use super::registers::{receive, receive_checksum};
use crate::definition::MacAddress;
use crate::network::checksum::Sum;
use crate::network::{Checksum, Frame};

pub(super) const DONE: u8 = 1 << 0;
pub(super) const END_OF_PACKET: u8 = 1 << 1;
const IGNORE_CHECKSUM: u8 = 1 << 2;
pub(super) const TAGGED: u8 = 1 << 3;
const TRANSPORT_LOOKED_AT: u8 = 1 << 5;
const IP_LOOKED_AT: u8 = 1 << 6;
/// In the errors: the IP header's checksum is wrong.
const IP_ERROR: u8 = 1 << 6;

/// The longest frame without long packets enabled, without and with a VLAN's tag.
const LONGEST: usize = 1514;

/// How many bytes a buffer holds, by the receive control register.
pub(super) fn buffer_size(control: u32) -> usize {
    let shift = control >> 16 & 3;
    if control & receive::LARGE_BUFFERS != 0 && shift > 0 {
        (32_768 >> shift) as usize
    } else {
        (2048 >> shift) as usize
    }
}

/// Whom a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Station,
    Multicast,
    Broadcast,
}

/// What decides about frames.
pub(super) struct Filter<'a> {
    pub control: u32,
    /// Pairs of registers: the low four bytes, then the high two with the valid bit.
    pub addresses: &'a [u32],
    pub multicast: &'a [u32],
    pub vlans: &'a [u32],
    pub tag: u16,
}

impl Filter<'_> {
    /// Whether `frame` is taken, and as what.
    pub fn accepts(&self, frame: &Frame) -> Option<Kind> {
        if self.control & receive::VLAN_FILTER != 0 && frame.protocol() == self.tag {
            let tag = frame.data().get(14..16)?;
            let identifier = u32::from(u16::from_be_bytes([*tag.first()?, *tag.last()?])) & 0xfff;
            let word = self.vlans.get(usize::try_from(identifier >> 5).ok()?)?;
            if word >> (identifier & 0x1f) & 1 == 0 {
                return None;
            }
        }
        let destination = frame.destination();
        let any = |bit| self.control & bit != 0;
        if destination == MacAddress::BROADCAST {
            return (any(receive::BROADCAST) || any(receive::ALL_MULTICAST))
                .then_some(Kind::Broadcast);
        }
        if destination.is_group() {
            let taken = any(receive::ALL_MULTICAST) || self.is_joined(destination);
            return taken.then_some(Kind::Multicast);
        }
        (any(receive::ALL_UNICAST) || self.is_own(destination)).then_some(Kind::Station)
    }

    fn is_own(&self, address: MacAddress) -> bool {
        let [a, b, c, d, e, f] = address.0;
        let low = u32::from_le_bytes([a, b, c, d]);
        let high = u32::from_le_bytes([e, f, 0, 0x80]);
        self.addresses
            .as_chunks::<2>()
            .0
            .iter()
            .any(|[own_low, own_high]| *own_low == low && own_high & 0x8000_ffff == high)
    }

    fn is_joined(&self, address: MacAddress) -> bool {
        let [.., e, f] = address.0;
        let shift = match self.control >> 12 & 3 {
            0 => 4,
            1 => 3,
            2 => 2,
            _ => 0,
        };
        let hash = u32::from(u16::from_le_bytes([e, f])) >> shift & 0xfff;
        let word = usize::try_from(hash >> 5)
            .ok()
            .and_then(|word| self.multicast.get(word));
        word.is_some_and(|word| word >> (hash & 0x1f) & 1 != 0)
    }

    /// Whether `frame` is longer than what is taken.
    pub fn is_oversize(&self, frame: &Frame) -> bool {
        let longest = if self.control & receive::LONG != 0 {
            16_384 - 4
        } else if frame.protocol() == self.tag {
            LONGEST + 4
        } else {
            LONGEST
        };
        frame.data().len() > longest
    }
}

/// What is said of checksums: status and error bits.
pub(super) struct Verdict {
    pub status: u8,
    pub errors: u8,
}

/// Looks at the checksums of `frame` as far as `control` (the receive checksum register) says.
pub(super) fn verdict(frame: &Frame, control: u32) -> Verdict {
    let data = frame.data();
    let mut verdict = Verdict {
        status: IGNORE_CHECKSUM,
        errors: 0,
    };
    let version4 = frame.protocol() == 0x0800 && control & receive_checksum::IP != 0;
    if version4 && let Some(first) = data.get(14) {
        let header = usize::from(first & 0xf) * 4;
        if let Some(header) = data
            .get(14..14 + header)
            .filter(|header| header.len() >= 20)
        {
            verdict.status = IP_LOOKED_AT;
            if !Sum::default().with(header).is_valid() {
                verdict.errors = IP_ERROR;
            }
        }
    }
    // Who sent it vouches for it; what others have computed is left to the guest to look at.
    let sure = matches!(
        frame.offload().checksum,
        Checksum::Valid | Checksum::Partial { .. }
    );
    if control & receive_checksum::TRANSPORT != 0 && sure {
        verdict.status = verdict.status & !IGNORE_CHECKSUM | TRANSPORT_LOOKED_AT;
    }
    verdict
}
