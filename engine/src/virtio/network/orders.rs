//! What the driver orders by the control queue: which frames it hears, with which address, and how whole it takes them. Section
//! 5.1.6.5.

use super::{Worker, feature};
use crate::definition::MacAddress;
use crate::network::Frame;
use crate::virtio::Chain;

/// What the driver set by the control queue.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub mac: MacAddress,
    pub offloads: u64,
    everything: bool,
    all_multicast: bool,
    no_multicast: bool,
    no_broadcast: bool,
    /// Those that are taken besides; until the driver says, everything is.
    stations: Option<Vec<MacAddress>>,
}

/// How many addresses a driver may list; beyond them it gets everything.
const MOST_STATIONS: usize = 256;

impl Settings {
    pub fn new(mac: MacAddress, offloads: u64) -> Self {
        Self {
            mac,
            offloads,
            everything: true,
            all_multicast: false,
            no_multicast: false,
            no_broadcast: false,
            stations: None,
        }
    }

    pub fn accepts(&self, frame: &Frame) -> bool {
        let to = frame.destination();
        if self.everything {
            return true;
        }
        if to == MacAddress::BROADCAST {
            return !self.no_broadcast;
        }
        let listed = self
            .stations
            .as_ref()
            .is_none_or(|stations| stations.contains(&to));
        if to.is_group() {
            return self.all_multicast || listed && !self.no_multicast;
        }
        to == self.mac
            || self
                .stations
                .as_ref()
                .is_some_and(|stations| stations.contains(&to))
    }
}

impl Worker {
    /// Carries out what the driver orders.
    pub(super) fn take_orders(&mut self) {
        let Some(shared) = self.control.clone() else {
            return;
        };
        let mut queue = shared.lock();
        let mut round = queue.size();
        while round > 0 {
            let Some(chain) = queue.pop() else {
                // The driver rings for the next one only when it is asked to.
                if queue.enable_doorbell() {
                    continue;
                }
                break;
            };
            round -= 1;
            let done = self.order(&chain).is_some();
            let answer = [u8::from(!done)];
            // The answer is the last byte of the chain.
            let last = chain.writable_length().saturating_sub(1);
            let written = chain.write(&self.memory, last, &answer);
            queue.complete(&chain, last + u32::try_from(written).unwrap_or(0));
        }
        queue.interrupt();
    }

    fn order(&self, chain: &Chain) -> Option<()> {
        let [class, command] = chain.read_array(&self.memory, 0)?;
        let mut settings = self.settings.lock();
        match (class, command) {
            (0, 0..=5) => {
                let [value] = chain.read_array(&self.memory, 2)?;
                let on = value != 0;
                match command {
                    0 => settings.everything = on,
                    1 => settings.all_multicast = on,
                    // All unicast.
                    2 => settings.everything |= on,
                    3 => settings.no_multicast = on,
                    5 => settings.no_broadcast = on,
                    _ => {}
                }
            }
            (1, 0) => {
                let stations = self.stations(chain)?;
                let fits = stations.len() <= MOST_STATIONS;
                settings.everything |= !fits;
                settings.stations = fits.then_some(stations);
            }
            (1, 1) => settings.mac = MacAddress(chain.read_array(&self.memory, 2)?),
            (5, 0) => {
                let offloads = u64::from_le_bytes(chain.read_array(&self.memory, 2)?);
                if offloads & !(self.features & feature::OFFLOADS) != 0 {
                    return None;
                }
                settings.offloads = offloads;
            }
            _ => return None,
        }
        Some(())
    }

    /// The two lists of addresses, of stations and groups, each behind its length.
    fn stations(&self, chain: &Chain) -> Option<Vec<MacAddress>> {
        let mut stations = Vec::new();
        let mut at = 2;
        for _ in 0..2 {
            let count = u32::from_le_bytes(chain.read_array(&self.memory, at)?);
            at += 4;
            // No more than the chain holds.
            if u64::from(count) * 6 + u64::from(at) > u64::from(chain.readable_length()) {
                return None;
            }
            for _ in 0..count {
                if stations.len() <= MOST_STATIONS {
                    stations.push(MacAddress(chain.read_array(&self.memory, at)?));
                }
                at += 6;
            }
        }
        Some(stations)
    }
}
