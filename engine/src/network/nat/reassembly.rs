//! Putting together what a guest sends in fragments, by RFC 791, section 3.2. As RFC 5722 has it for IPv6, a packet whose fragments overlap
//! is dropped: no guest sends such, and nobody knows which of two contents is meant.

use std::net::Ipv4Addr;
use std::ops::Range;
use std::time::{Duration, Instant};

use smoltcp::wire::Ipv4Packet;

use super::packet::ETHERNET;
use crate::definition::MacAddress;
use crate::network::{Checksum, Frame};

/// How long the rest of a packet is waited for: what Linux does.
const LIFE: Duration = Duration::from_secs(30);
/// The most packets that wait for the rest at once; with another one the oldest is dropped. Each takes at most 64 KiB.
const MOST_PACKETS: usize = 64;
/// The most gaps in a packet that waits.
const MOST_GAPS: usize = 64;
/// The most bytes of an IPv4 packet.
const LONGEST: usize = 65_535;

/// Whether the IPv4 packet in `frame` is a part of one.
pub(super) fn is_fragment(frame: &Frame) -> bool {
    // The flag that more come, and the place in the packet; not the reserved flag and the one against fragments.
    let field = frame.data().get(ETHERNET + 6..ETHERNET + 8);
    field.is_some_and(|field| field[0] & 0x3f != 0 || field[1] != 0)
}

/// By what fragments belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Key {
    /// The card that sends them: no guest meddles with another's.
    card: MacAddress,
    source: Ipv4Addr,
    destination: Ipv4Addr,
    protocol: u8,
    identification: u16,
}

/// A packet of which a part came.
#[derive(Debug)]
struct Incomplete {
    key: Key,
    since: Instant,
    /// The Ethernet and IP headers of the first fragment, once it came.
    headers: Option<Vec<u8>>,
    payload: Vec<u8>,
    /// What came of the payload, in order and with gaps between.
    come: Vec<Range<usize>>,
    /// How long the payload is, once the last fragment came.
    length: Option<usize>,
}

/// All packets of which a part came, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Reassembly(Vec<Incomplete>);

impl Reassembly {
    /// Whether none waits for the rest.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Drops what has waited too long.
    pub fn expire(&mut self, now: Instant) {
        self.0
            .retain(|packet| now.duration_since(packet.since) < LIFE);
    }

    /// Takes the fragment in `frame`, and gives the packet that it completes.
    pub fn take(&mut self, frame: &Frame, now: Instant) -> Option<Frame> {
        let packet = Ipv4Packet::new_checked(frame.data().get(ETHERNET..)?).ok()?;
        // A checksum or a cut that is left to do would be of a part.
        let plain = frame.offload().segmentation.is_none()
            && !matches!(frame.offload().checksum, Checksum::Partial { .. });
        if !plain || packet.version() != 4 || !packet.verify_checksum() {
            return None;
        }
        let key = Key {
            card: frame.source(),
            source: packet.src_addr(),
            destination: packet.dst_addr(),
            protocol: packet.next_header().into(),
            identification: packet.ident(),
        };
        self.expire(now);
        let at = self.0.iter().position(|waiting| waiting.key == key);
        let at = at.unwrap_or_else(|| {
            if self.0.len() >= MOST_PACKETS {
                self.0.remove(0);
            }
            self.0.push(Incomplete::new(key, now));
            self.0.len() - 1
        });
        let waiting = self.0.get_mut(at)?;
        let begin = usize::from(packet.frag_offset());
        let taken = waiting.put(begin, packet.payload(), !packet.more_frags());
        if taken.is_none() {
            self.0.remove(at);
            return None;
        }
        if begin == 0 {
            let headers = ETHERNET + usize::from(packet.header_len());
            waiting.headers = frame.data().get(..headers).map(<[u8]>::to_vec);
        }
        let whole = waiting.whole()?;
        self.0.remove(at);
        Frame::copy_of(&whole)
    }
}

impl Incomplete {
    fn new(key: Key, now: Instant) -> Self {
        Self {
            key,
            since: now,
            headers: None,
            payload: Vec::new(),
            come: Vec::new(),
            length: None,
        }
    }

    /// Puts a part of the payload to its place; nothing if it does not go with what came before.
    fn put(&mut self, begin: usize, part: &[u8], last: bool) -> Option<()> {
        let end = begin.checked_add(part.len())?;
        if part.is_empty() || end > LONGEST || (!last && !part.len().is_multiple_of(8)) {
            return None;
        }
        if last && self.length.replace(end).is_some_and(|other| other != end) {
            return None;
        }
        let within = |range: &Range<usize>| range.start <= begin && end <= range.end;
        if self.come.iter().any(within) {
            // Once more, as by a network that doubles frames.
            return (self.payload.get(begin..end)? == part).then_some(());
        }
        let next = self.come.partition_point(|range| range.start < begin);
        let before = next.checked_sub(1).and_then(|at| self.come.get(at));
        let overlaps = before.is_some_and(|range| range.end > begin)
            || self.come.get(next).is_some_and(|range| range.start < end);
        let furthest = self.come.last().map_or(end, |range| range.end.max(end));
        if overlaps || self.length.is_some_and(|length| furthest > length) {
            return None;
        }
        if self.payload.len() < end {
            self.payload.resize(end, 0);
        }
        self.payload.get_mut(begin..end)?.copy_from_slice(part);
        self.come.insert(next, begin..end);
        self.come.dedup_by(|right, left| {
            let adjoin = left.end == right.start;
            if adjoin {
                left.end = right.end;
            }
            adjoin
        });
        (self.come.len() <= MOST_GAPS).then_some(())
    }

    /// The frame with the whole packet, once all of it came.
    fn whole(&self) -> Option<Vec<u8>> {
        let (headers, length) = (self.headers.as_ref()?, self.length?);
        if !matches!(self.come.as_slice(), [all] if *all == (0..length)) {
            return None;
        }
        let total = headers.len().checked_sub(ETHERNET)?.checked_add(length)?;
        let mut data = [headers.as_slice(), self.payload.get(..length)?].concat();
        let mut packet = Ipv4Packet::new_unchecked(data.get_mut(ETHERNET..)?);
        packet.set_total_len(u16::try_from(total).ok()?);
        packet.set_more_frags(false);
        packet.set_frag_offset(0);
        packet.fill_checksum();
        Some(data)
    }
}

#[cfg(test)]
mod tests {
    use super::super::packet::fragments;
    use super::*;

    /// A frame with a packet of `length` bytes of payload, number `identification`.
    fn frame(length: usize, identification: u16) -> Vec<u8> {
        let mut data = vec![0; ETHERNET + 20 + length];
        data[..14].copy_from_slice(&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0]);
        let mut packet = Ipv4Packet::new_unchecked(&mut data[ETHERNET..]);
        packet.set_version(4);
        packet.set_header_len(20);
        packet.set_total_len((20 + length).try_into().unwrap());
        packet.set_ident(identification);
        packet.set_next_header(17.into());
        packet.set_src_addr(Ipv4Addr::new(10, 0, 2, 15));
        packet.set_dst_addr(Ipv4Addr::new(10, 0, 2, 2));
        packet.fill_checksum();
        for (number, byte) in data[ETHERNET + 20..].iter_mut().enumerate() {
            *byte = u8::try_from(number / 3 % 251).unwrap();
        }
        data
    }

    fn frames(parts: &[Vec<u8>]) -> Vec<Frame> {
        parts
            .iter()
            .map(|part| Frame::copy_of(part).unwrap())
            .collect()
    }

    /// Whether `frame` has the contents of `data`, whose header's checksum and flags may have been written otherwise.
    fn same(frame: &Frame, data: &[u8]) -> bool {
        let packet = Ipv4Packet::new_checked(&frame.data()[ETHERNET..]).unwrap();
        packet.verify_checksum()
            && !packet.more_frags()
            && frame.data().len() == data.len()
            && frame.data()[ETHERNET + 20..] == data[ETHERNET + 20..]
    }

    #[test]
    fn fragments_come_together_in_any_order() {
        let now = Instant::now();
        let data = frame(5000, 7);
        let parts = frames(&fragments(&data, 1500));
        assert_eq!(parts.len(), 4);
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1]] {
            let mut reassembly = Reassembly::default();
            for number in &order[..3] {
                assert!(reassembly.take(&parts[*number], now).is_none());
                // Once more makes no difference.
                assert!(reassembly.take(&parts[*number], now).is_none());
            }
            let whole = reassembly.take(&parts[order[3]], now);
            assert!(
                whole.is_some_and(|whole| same(&whole, &data)),
                "{order:?}: {:?}",
                reassembly.0.first().map(|packet| &packet.come)
            );
            assert!(reassembly.is_empty());
        }
    }

    #[test]
    fn packets_do_not_mix() {
        let now = Instant::now();
        let mut reassembly = Reassembly::default();
        let small = Frame::copy_of(&frame(100, 1)).unwrap();
        assert!(!is_fragment(&small));
        let (first, second) = (frame(2000, 2), frame(2000, 3));
        let (one, two) = (
            frames(&fragments(&first, 1500)),
            frames(&fragments(&second, 1500)),
        );
        assert!(reassembly.take(&one[0], now).is_none());
        assert!(reassembly.take(&two[1], now).is_none());
        assert!(same(&reassembly.take(&one[1], now).unwrap(), &first));
        assert!(same(&reassembly.take(&two[0], now).unwrap(), &second));
    }

    #[test]
    fn the_longest_packet_is_put_together() {
        let now = Instant::now();
        let data = frame(65_515, 9);
        let parts = frames(&fragments(&data, 1500));
        let mut reassembly = Reassembly::default();
        let whole = parts
            .iter()
            .filter_map(|part| reassembly.take(part, now))
            .collect::<Vec<_>>();
        assert!(whole.len() == 1 && same(&whole[0], &data));
    }

    /// The fragment of `data` from `begin` to `end` of its payload.
    fn part(data: &[u8], begin: u16, end: u16, more: bool) -> Frame {
        let (from, to) = (usize::from(begin), usize::from(end));
        let payload = &data[ETHERNET + 20 + from..ETHERNET + 20 + to];
        let mut part = [&data[..ETHERNET + 20], payload].concat();
        let mut packet = Ipv4Packet::new_unchecked(&mut part[ETHERNET..]);
        packet.set_total_len(20 + end - begin);
        packet.set_frag_offset(begin);
        packet.set_more_frags(more);
        packet.fill_checksum();
        Frame::copy_of(&part).unwrap()
    }

    #[test]
    fn what_does_not_fit_together_is_dropped() {
        let now = Instant::now();
        let data = frame(4000, 5);
        for (parts, why) in [
            (&[(0, 16, true), (8, 24, false)][..], "an overlap behind"),
            (&[(8, 24, true), (0, 16, true)], "an overlap before"),
            (&[(8, 16, true), (0, 24, true)], "one within another"),
            (&[(0, 16, true), (16, 29, true)], "not a multiple of eight"),
            (&[(8, 16, false), (16, 32, true)], "more than the last"),
            (&[(16, 24, false), (16, 32, false)], "two lasts"),
            (&[(64, 80, true), (16, 24, false)], "a last before another"),
        ] {
            let mut reassembly = Reassembly::default();
            for (begin, end, more) in parts {
                let fragment = part(&data, *begin, *end, *more);
                assert!(is_fragment(&fragment));
                assert!(reassembly.take(&fragment, now).is_none(), "{why}");
            }
            assert!(reassembly.is_empty(), "{why}");
        }
    }

    #[test]
    fn a_guest_cannot_make_it_grow() {
        let now = Instant::now();
        let mut reassembly = Reassembly::default();
        let data = frame(4000, 0);
        for identification in 0..2000 {
            let data = frame(4000, identification);
            assert!(reassembly.take(&part(&data, 0, 8, true), now).is_none());
        }
        assert_eq!(reassembly.0.len(), MOST_PACKETS);
        // As many gaps as there may be, and one more.
        for gap in 0..200 {
            reassembly.take(&part(&data, 16 * gap, 16 * gap + 8, true), now);
            let most = reassembly.0.iter().map(|packet| packet.come.len()).max();
            assert!(most <= Some(MOST_GAPS));
        }
        reassembly.expire(now + LIFE);
        assert!(reassembly.is_empty());
    }
}
