//! The way from the NAT to its guests: the switch's port, and who was heard with which address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::packet::{Envelope, fragments, header_length};
use super::plan::Plan;
use crate::definition::MacAddress;
use crate::network::{Buffer, Checksum, Frame, Offload, Port, Sent};

/// How many guests' addresses are remembered.
const MOST_NEIGHBOURS: usize = 1024;
/// What the network carries in one packet, in bytes.
pub(super) const MTU: usize = 1500;

struct Neighbour {
    mac: MacAddress,
    heard: Instant,
}

/// Who has which address, for everybody who wants to know.
pub(super) type Known = Arc<Mutex<HashMap<IpAddr, MacAddress>>>;

/// The port and what is known of those behind it.
pub(super) struct Outlet {
    pub port: Port,
    pub plan: Plan,
    neighbours: HashMap<IpAddr, Neighbour>,
    /// The same for those who ask from elsewhere.
    known: Known,
    identification: u16,
}

impl Outlet {
    pub fn new(port: Port, plan: Plan) -> Self {
        Self {
            port,
            plan,
            neighbours: HashMap::new(),
            known: Known::default(),
            identification: 0,
        }
    }

    /// Who has which address, now and later.
    pub fn known(&self) -> Known {
        Arc::clone(&self.known)
    }

    /// Notes that `address` was heard from `mac`.
    pub fn hear(&mut self, address: IpAddr, mac: MacAddress, now: Instant) {
        let possible =
            self.plan.contains(address) && !self.plan.is_own(address) && mac.is_station();
        if !possible || address == IpAddr::V4(self.plan.broadcast()) {
            return;
        }
        if let Some(neighbour) = self.neighbours.get_mut(&address) {
            if neighbour.mac != mac {
                self.known.lock().insert(address, mac);
            }
            *neighbour = Neighbour { mac, heard: now };
            return;
        }
        if self.neighbours.len() >= MOST_NEIGHBOURS {
            let oldest = self
                .neighbours
                .iter()
                .min_by_key(|(_, neighbour)| neighbour.heard);
            if let Some(oldest) = oldest.map(|(address, _)| *address) {
                self.neighbours.remove(&oldest);
                self.known.lock().remove(&oldest);
            }
        }
        self.neighbours
            .insert(address, Neighbour { mac, heard: now });
        self.known.lock().insert(address, mac);
    }

    /// Who has `address`.
    pub fn mac_of(&self, address: IpAddr) -> Option<MacAddress> {
        self.neighbours.get(&address).map(|neighbour| neighbour.mac)
    }

    /// The IPv4 address that `mac` was heard with last.
    pub fn address_of(&self, mac: MacAddress) -> Option<IpAddr> {
        self.neighbours
            .iter()
            .filter(|(address, neighbour)| address.is_ipv4() && neighbour.mac == mac)
            .max_by_key(|(_, neighbour)| neighbour.heard)
            .map(|(address, _)| *address)
    }

    /// Forgets those who are gone.
    pub fn forget(&mut self, gone: &[MacAddress]) {
        self.neighbours
            .retain(|_, neighbour| !gone.contains(&neighbour.mac));
        self.known.lock().retain(|_, mac| !gone.contains(mac));
    }

    /// A number for the next packet.
    pub fn identification(&mut self) -> u16 {
        self.identification = self.identification.wrapping_add(1);
        self.identification
    }

    /// The headers of a packet from `source` to the guest at `destination`, if it was heard.
    pub fn envelope(&self, source: IpAddr, destination: IpAddr, protocol: u8) -> Option<Envelope> {
        Some(Envelope {
            from: self.plan.mac(),
            to: self.mac_of(destination)?,
            source,
            destination,
            protocol,
        })
    }

    /// Sends `frame`; gives it back if there is no room at its guest's port.
    pub fn send(&self, frame: Frame) -> Sent {
        self.port.send(frame)
    }

    /// Sends `frame`, which nobody waits for; it may be lost.
    pub fn post(&self, frame: Frame) {
        let _ = self.port.post(frame);
    }

    /// A small packet: `body` behind the headers of `envelope`. `checksum` says where in the body its checksum stands (which must be
    /// zero there), with the pseudo-header in it or not.
    pub fn packet(
        &mut self,
        envelope: &Envelope,
        body: &[u8],
        checksum: Option<(u16, bool)>,
    ) -> Option<Frame> {
        let begin = header_length(envelope.destination);
        let length = begin + body.len();
        let mut buffer = Buffer::new(length);
        let identification = self.identification();
        envelope.write(&mut buffer, identification, body.len());
        let place = buffer.get_mut(begin..length)?;
        place.copy_from_slice(body);
        let mut offload = Offload::default();
        if let Some((offset, pseudo)) = checksum {
            let at = usize::from(offset);
            if pseudo && let Some(field) = place.get_mut(at..at + 2) {
                field.copy_from_slice(&envelope.pseudo_header(body.len()).folded());
            }
            offload.checksum = Checksum::Partial {
                start: u16::try_from(begin).unwrap_or(0),
                offset,
            };
        }
        Frame::new(buffer.freeze(length), offload)
    }

    /// Sends such a packet, in fragments if it is too long for one. It may be lost.
    pub fn send_packet(&mut self, envelope: &Envelope, body: &[u8], checksum: Option<(u16, bool)>) {
        let Some(frame) = self.packet(envelope, body, checksum) else {
            return;
        };
        if frame.data().len() - 14 <= MTU {
            let _ = self.send(frame);
        } else if envelope.destination.is_ipv4() {
            for fragment in fragments(frame.with_checksum().data(), MTU) {
                if let Some(frame) = Frame::copy_of(&fragment) {
                    let _ = self.send(frame);
                }
            }
        }
    }

    /// Sends a whole frame: `payload` of `protocol` (0x0806 is ARP) to `mac`.
    pub fn send_link(&mut self, mac: MacAddress, protocol: u16, payload: &[u8]) {
        let from = self.plan.mac();
        let data = [&mac.0, &from.0, protocol.to_be_bytes().as_slice(), payload].concat();
        if let Some(frame) = Frame::copy_of(&data) {
            let _ = self.send(frame);
        }
    }
}

/// Lets so many things happen in a second, and no more.
pub(super) struct Rate {
    most: u32,
    left: u32,
    since: Instant,
}

impl Rate {
    pub fn new(most: u32, now: Instant) -> Self {
        Self {
            most,
            left: most,
            since: now,
        }
    }

    /// Whether one more may happen.
    pub fn allow(&mut self, now: Instant) -> bool {
        if now.duration_since(self.since) >= Duration::from_secs(1) {
            self.since = now;
            self.left = self.most;
        }
        let allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        allowed
    }
}
