//! The card's work at the guest's rings of descriptors: what is to be sent goes to the cable, what comes from there into buffers.
//! Chapter 3 of the manual.

use super::E1000;
use super::receive::{self, Filter, Kind};
use super::registers::{
    self, ADDRESSES, CTRL, MULTICAST, RCTL, RDBAH, RDBAL, RDH, RDLEN, RDT, RXCSUM, TCTL, TDBAH,
    TDBAL, TDH, TDLEN, TDT, VET, VLAN_FILTER, cause, ctrl, statistic,
};
use super::transmit::{self, Descriptor};
use crate::definition::MacAddress;
use crate::network::{Frame, Segments, Sent};

/// How many descriptors are carried out before processors have their turn at the registers.
const TURN: usize = 64;

enum Delivery {
    Done,
    Refused,
    NoRoom,
}

impl E1000 {
    /// Gives the cable what it did not take before; says whether it has taken all.
    fn flush(&mut self) -> bool {
        while let Some(frame) = self.unsent.pop_front() {
            if let Sent::Full(frame) = self.cable.send(frame) {
                self.unsent.push_front(frame);
                return false;
            }
        }
        true
    }

    /// Carries out the guest's orders to send; says whether there may be more.
    pub(super) fn transmit(&mut self) -> bool {
        if self.get(TCTL) & registers::transmit::ENABLE == 0 || !self.flush() {
            return false;
        }
        let count = self.get(TDLEN) / 16;
        let base = u64::from(self.get(TDBAH)) << 32 | u64::from(self.get(TDBAL));
        let tail = self.get(TDT);
        let mut causes = 0;
        let mut done = 0;
        while self.get(TDH) != tail && done < TURN {
            let head = self.get(TDH);
            if head >= count || tail >= count {
                // The guest points outside of its ring, where the head never comes: nothing is sent until it sets them anew.
                break;
            }
            done += 1;
            let place = base.wrapping_add(u64::from(head) * 16);
            let mut raw = [0; 16];
            if self.memory.read(place, &mut raw).is_err() {
                break;
            }
            let descriptor = Descriptor::parse(raw);
            if descriptor.is_context() {
                self.assembly.set_context(&descriptor);
            } else {
                let memory = &self.memory;
                self.assembly.append(&descriptor, |place| {
                    memory.read(descriptor.address, place).is_ok()
                });
                let tag = (self.get(CTRL) & ctrl::VLAN != 0).then(|| self.tag());
                for frame in self.assembly.finish(&descriptor, tag) {
                    self.sent(&frame);
                    self.unsent.push_back(frame);
                }
            }
            if descriptor.command & transmit::REPORT != 0 {
                let [.., status, _, _, _] = raw;
                if self
                    .memory
                    .write(place.wrapping_add(12), &[status | 1])
                    .is_ok()
                {
                    causes |= cause::TRANSMITTED;
                }
            }
            let next = head + 1;
            self.set(TDH, if next >= count { 0 } else { next });
            if !self.flush() {
                break;
            }
        }
        if done > 0 {
            if self.get(TDH) == tail {
                causes |= cause::TRANSMIT_EMPTY;
            }
            self.raise(causes);
        }
        done == TURN && self.unsent.is_empty()
    }

    fn tag(&self) -> u16 {
        u16::try_from(self.get(VET) & 0xffff).unwrap_or(0)
    }

    fn sent(&mut self, frame: &Frame) {
        let length = frame.data().len() + 4;
        for counter in [statistic::GOOD_SENT, statistic::ALL_SENT] {
            self.count(counter, 1);
        }
        self.count_octets(statistic::OCTETS_SENT, length);
        self.count_octets(statistic::ALL_OCTETS_SENT, length);
        if frame.destination() == MacAddress::BROADCAST {
            self.count(statistic::BROADCAST_SENT, 1);
        } else if frame.destination().is_group() {
            self.count(statistic::MULTICAST_SENT, 1);
        }
        if frame.offload().segmentation.is_some() {
            self.count(statistic::SEGMENTED, 1);
        }
    }

    /// Brings frames into the guest's buffers; says whether there may be more.
    pub(super) fn receive(&mut self) -> bool {
        let control = self.get(RCTL);
        if control & registers::receive::ENABLE == 0 {
            // A card that does not listen hears nothing.
            while self.cable.receive().is_some() {}
            self.waiting.clear();
            return false;
        }
        let mut causes = 0;
        let mut done = 0;
        while done < TURN {
            let Some(frame) = self.next_frame() else {
                break;
            };
            done += 1;
            match self.deliver(&frame) {
                Delivery::Done => causes |= cause::RECEIVED,
                Delivery::Refused => {}
                Delivery::NoRoom => {
                    self.waiting.push_front(frame);
                    break;
                }
            }
        }
        if causes != 0 {
            let count = self.get(RDLEN) / 16;
            if self.free_buffers() <= count >> (1 + (control >> 8 & 3)) {
                causes |= cause::RECEIVE_LOW;
            }
            self.raise(causes);
        }
        done == TURN
    }

    fn next_frame(&mut self) -> Option<Frame> {
        if let Some(frame) = self.waiting.pop_front() {
            return Some(frame);
        }
        // Nothing is taken from the cable that there is no room for: who sends is held up there.
        if self.free_buffers() == 0 {
            return None;
        }
        let frame = self.cable.receive()?;
        if frame.offload().segmentation.is_none() {
            return Some(frame);
        }
        self.waiting.extend(Segments::frames(frame));
        self.waiting.pop_front()
    }

    fn free_buffers(&self) -> u32 {
        let (head, tail, count) = (self.get(RDH), self.get(RDT), self.get(RDLEN) / 16);
        if head >= count || tail >= count {
            0
        } else if tail >= head {
            tail - head
        } else {
            count - head + tail
        }
    }

    fn deliver(&mut self, frame: &Frame) -> Delivery {
        let control = self.get(RCTL);
        let filter = Filter {
            control,
            addresses: self.range(ADDRESSES, 32),
            multicast: self.range(MULTICAST, 128),
            vlans: self.range(VLAN_FILTER, 128),
            tag: self.tag(),
        };
        let Some(kind) = filter.accepts(frame) else {
            return Delivery::Refused;
        };
        if filter.is_oversize(frame) {
            self.count(statistic::OVERSIZE_RECEIVED, 1);
            return Delivery::Refused;
        }
        let checks = self.get(RXCSUM);
        let verdict = receive::verdict(frame, checks);
        // What came over a cable is whole: guests pass frames on, and programs that listen to all of them look at checksums too.
        let whole = frame.clone().with_checksum();
        let mut status = verdict.status;
        let mut special = 0;
        let data: &[u8] = whole.data();
        let strip =
            self.get(CTRL) & ctrl::VLAN != 0 && frame.protocol() == self.tag() && data.len() >= 18;
        let (first, rest) = if strip {
            status |= receive::TAGGED;
            special = u16::from_be_bytes([
                data.get(14).copied().unwrap_or(0),
                data.get(15).copied().unwrap_or(0),
            ]);
            (
                data.get(..12).unwrap_or_default(),
                data.get(16..).unwrap_or_default(),
            )
        } else {
            (data, &[][..])
        };
        let check_sequence: &[u8] = if control & registers::receive::STRIP_CHECKSUM != 0 {
            &[]
        } else {
            &[0; 4]
        };
        let padding = &[0; 60][..60_usize.saturating_sub(first.len() + rest.len())];
        let parts = [first, rest, padding, check_sequence];
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let size = receive::buffer_size(control);
        let needed = u32::try_from(length.div_ceil(size)).unwrap_or(u32::MAX);
        let count = self.get(RDLEN) / 16;
        if needed > count.saturating_sub(1) {
            self.count(statistic::MISSED, 1);
            return Delivery::Refused;
        }
        if needed > self.free_buffers() {
            return Delivery::NoRoom;
        }
        self.store(&parts, size, count, status, verdict.errors, special);
        self.received(kind, length);
        Delivery::Done
    }

    /// Writes `parts` into the next buffers, `size` bytes into each.
    fn store(
        &mut self,
        parts: &[&[u8]],
        size: usize,
        count: u32,
        status: u8,
        errors: u8,
        special: u16,
    ) {
        let base = u64::from(self.get(RDBAH)) << 32 | u64::from(self.get(RDBAL));
        let mut left: usize = parts.iter().map(|part| part.len()).sum();
        let mut bytes = parts.iter().copied().filter(|part| !part.is_empty());
        let mut part = bytes.next().unwrap_or_default();
        while left > 0 {
            let head = self.get(RDH);
            let place = base.wrapping_add(u64::from(head) * 16);
            let mut raw = [0; 16];
            let readable = self.memory.read(place, &mut raw).is_ok();
            let [a0, a1, a2, a3, a4, a5, a6, a7, ..] = raw;
            let address = u64::from_le_bytes([a0, a1, a2, a3, a4, a5, a6, a7]);
            let mut filled = 0;
            while filled < size && left > 0 {
                let length = part.len().min(size - filled);
                let (now, later) = part.split_at(length);
                if readable && address != 0 {
                    // Outside of memory nothing is written, as on a bus where nobody answers.
                    let _ = self.memory.write(address.wrapping_add(filled as u64), now);
                }
                filled += length;
                left -= length;
                part = if later.is_empty() {
                    bytes.next().unwrap_or_default()
                } else {
                    later
                };
            }
            let last = left == 0;
            let [l0, l1] = u16::try_from(filled).unwrap_or(u16::MAX).to_le_bytes();
            let [s0, s1] = special.to_le_bytes();
            let state = if last {
                status | receive::DONE | receive::END_OF_PACKET
            } else {
                receive::DONE
            };
            if readable {
                // The status last: the guest looks at it.
                let _ = self.memory.write(place.wrapping_add(8), &[l0, l1, 0, 0]);
                let _ = self.memory.write(place.wrapping_add(13), &[errors, s0, s1]);
                let _ = self.memory.write(place.wrapping_add(12), &[state]);
            }
            let next = head + 1;
            self.set(RDH, if next >= count { 0 } else { next });
        }
    }

    fn received(&mut self, kind: Kind, length: usize) {
        for counter in [statistic::GOOD_RECEIVED, statistic::ALL_RECEIVED] {
            self.count(counter, 1);
        }
        self.count_octets(statistic::OCTETS_RECEIVED, length);
        self.count_octets(statistic::ALL_OCTETS_RECEIVED, length);
        match kind {
            Kind::Station => {}
            Kind::Multicast => self.count(statistic::MULTICAST_RECEIVED, 1),
            Kind::Broadcast => self.count(statistic::BROADCAST_RECEIVED, 1),
        }
    }
}
