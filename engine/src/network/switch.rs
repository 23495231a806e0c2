//! A learning Ethernet switch (IEEE 802.1D without spanning trees): frames go to the port where their destination was last heard,
//! and to all others while it was not.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use super::port::{Inbound, Port, Sent};
use super::{Bell, Frame};
use crate::definition::MacAddress;

/// How many addresses are remembered, of all ports and of each: what is beyond is sent to all.
const MOST_ADDRESSES: usize = 4096;
const MOST_PER_PORT: usize = 256;

type Departure = Box<dyn Fn(&[MacAddress]) + Send + Sync>;

#[derive(Default)]
struct Addresses {
    ports: HashMap<MacAddress, u64>,
    counts: HashMap<u64, usize>,
}

/// A switch. Ports come and go while it works.
#[derive(Default)]
pub struct Switch {
    ports: RwLock<BTreeMap<u64, Arc<Inbound>>>,
    addresses: RwLock<Addresses>,
    next: AtomicU64,
    departures: Mutex<Vec<Departure>>,
}

impl Switch {
    /// A switch with nothing at it.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// A new port; `bell` rings when something is to be done at it.
    pub fn connect(self: &Arc<Self>, bell: Arc<Bell>) -> Port {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let port = Port::new(Arc::clone(self), number, bell);
        self.ports
            .write()
            .insert(number, Arc::clone(port.inbound()));
        port
    }

    /// Calls `departure` with the addresses that were heard at a port whenever one is given up.
    pub fn on_departure(&self, departure: impl Fn(&[MacAddress]) + Send + Sync + 'static) {
        self.departures.lock().push(Box::new(departure));
    }

    pub(super) fn disconnect(&self, number: u64) {
        self.ports.write().remove(&number);
        let mut gone = Vec::new();
        let mut addresses = self.addresses.write();
        addresses.counts.remove(&number);
        addresses.ports.retain(|address, port| {
            if *port == number {
                gone.push(*address);
            }
            *port != number
        });
        drop(addresses);
        for departure in self.departures.lock().iter() {
            departure(&gone);
        }
    }

    /// How many ports there are.
    pub fn ports(&self) -> usize {
        self.ports.read().len()
    }

    fn learn(&self, address: MacAddress, number: u64) {
        if !address.is_station() || self.addresses.read().ports.get(&address) == Some(&number) {
            return;
        }
        let mut addresses = self.addresses.write();
        let count = addresses.counts.get(&number).copied().unwrap_or(0);
        if count >= MOST_PER_PORT || addresses.ports.len() >= MOST_ADDRESSES {
            return;
        }
        let before = addresses.ports.insert(address, number);
        *addresses.counts.entry(number).or_default() += 1;
        if let Some(count) = before.and_then(|before| addresses.counts.get_mut(&before)) {
            *count = count.saturating_sub(1);
        }
    }

    /// Passes `frame`, which came in at port `number`, on; `at_once` if only one station is to have it and it can be.
    pub(super) fn pass(
        &self,
        number: u64,
        sender: &Arc<Bell>,
        frame: Frame,
        at_once: bool,
    ) -> Sent {
        self.learn(frame.source(), number);
        let destination = frame.destination();
        let target = if destination.is_group() {
            None
        } else {
            self.addresses.read().ports.get(&destination).copied()
        };
        if let Some(target) = target {
            if target == number {
                return Sent::Taken;
            }
            let inbound = self.ports.read().get(&target).cloned();
            return match inbound {
                Some(inbound) => inbound.put(frame, sender, at_once),
                None => Sent::Taken,
            };
        }
        let others: Vec<_> = self
            .ports
            .read()
            .iter()
            .filter(|(other, _)| **other != number)
            .map(|(_, inbound)| Arc::clone(inbound))
            .collect();
        for inbound in others {
            inbound.offer(frame.clone());
        }
        Sent::Taken
    }
}

#[cfg(test)]
mod tests {
    use super::super::port::{MOST_FRAMES, PATIENCE};
    use super::*;

    fn frame(to: u8, from: u8) -> Frame {
        let mut data = [0; 60];
        data[..6].copy_from_slice(&[2, 0, 0, 0, 0, to]);
        data[6..12].copy_from_slice(&[2, 0, 0, 0, 0, from]);
        if to == 255 {
            data[..6].fill(0xff);
        }
        Frame::copy_of(&data).unwrap()
    }

    fn port(switch: &Arc<Switch>) -> (Port, Arc<Bell>) {
        let bell = Arc::new(Bell::new().unwrap());
        (switch.connect(Arc::clone(&bell)), bell)
    }

    fn is_rung(bell: &Bell) -> bool {
        bell.wait(Some(std::time::Duration::ZERO))
    }

    #[test]
    fn frames_go_where_their_destination_was_heard() {
        let switch = Switch::new();
        let ((a, bell_a), (b, bell_b), (c, _)) = (port(&switch), port(&switch), port(&switch));
        assert!(matches!(a.send(frame(2, 1)), Sent::Taken));
        assert!(b.receive().is_some() && c.receive().is_some() && a.receive().is_none());
        assert!(is_rung(&bell_b) && !is_rung(&bell_a));
        assert!(matches!(b.send(frame(1, 2)), Sent::Taken));
        assert!(a.receive().is_some() && c.receive().is_none());
        a.send(frame(2, 1));
        assert!(b.receive().is_some() && c.receive().is_none());
        a.send(frame(255, 1));
        assert!(b.receive().is_some() && c.receive().is_some());
        // A station that moved is found again.
        c.send(frame(1, 2));
        assert!(a.receive().is_some());
        a.send(frame(2, 1));
        assert!(c.receive().is_some() && b.receive().is_none());
    }

    #[test]
    fn a_full_port_holds_senders_up_for_a_while_only() {
        let switch = Switch::new();
        let ((a, bell), (b, _)) = (port(&switch), port(&switch));
        b.send(frame(1, 2));
        let mut count = 0;
        while let Sent::Taken = a.send(frame(2, 1)) {
            count += 1;
        }
        assert_eq!(count, MOST_FRAMES);
        bell.silence();
        for _ in 0..MOST_FRAMES / 2 {
            b.receive().unwrap();
        }
        assert!(is_rung(&bell));
        while let Sent::Taken = a.send(frame(2, 1)) {}
        std::thread::sleep(PATIENCE);
        assert!(matches!(a.send(frame(2, 1)), Sent::Taken));
        assert_eq!(b.lost(), 1);
        // Who sends to all is never held up.
        assert!(matches!(a.send(frame(255, 1)), Sent::Taken));
        assert_eq!(b.lost(), 2);
    }

    #[test]
    fn small_frames_for_one_station_are_passed_on_by_their_sender() {
        let switch = Switch::new();
        let ((a, _), (b, bell)) = (port(&switch), port(&switch));
        b.send(frame(1, 2));
        a.receive().unwrap();
        let passed = Arc::new(Mutex::new(0));
        bell.appoint(&passed, |passed| {
            *passed += 1;
            true
        });
        let outcome = |sent| {
            assert!(matches!(sent, Sent::Taken));
            assert!(b.receive().is_some() && b.receive().is_none());
            (std::mem::take(&mut *passed.lock()), is_rung(&bell))
        };
        assert_eq!(outcome(a.send(frame(2, 1))), (1, false));
        assert_eq!(outcome(a.post(frame(2, 1))), (0, true));
        assert_eq!(outcome(a.send(frame(255, 1))), (0, true));
        let large = [&frame(2, 1).data()[..], &[0; 1000]].concat();
        let large = Frame::copy_of(&large).unwrap();
        assert_eq!(outcome(a.send(large)), (0, true));
        // Behind others it waits for whoever was called for those.
        bell.dismiss();
        a.send(frame(2, 1));
        assert!(is_rung(&bell));
        a.send(frame(2, 1));
        assert!(!is_rung(&bell));
    }

    #[test]
    fn a_port_that_is_given_up_is_forgotten_and_said() {
        let switch = Switch::new();
        let gone = Arc::new(Mutex::new(Vec::new()));
        switch.on_departure({
            let gone = Arc::clone(&gone);
            move |addresses| gone.lock().extend_from_slice(addresses)
        });
        let ((a, _), (b, _)) = (port(&switch), port(&switch));
        a.send(frame(255, 1));
        drop(a);
        assert_eq!(*gone.lock(), [MacAddress([2, 0, 0, 0, 0, 1])]);
        assert!(matches!(b.send(frame(1, 2)), Sent::Taken));
        assert_eq!(switch.ports(), 1);
    }

    #[test]
    fn made_up_addresses_are_not_remembered_without_bound() {
        let switch = Switch::new();
        let ((a, _), (b, _)) = (port(&switch), port(&switch));
        for number in 0..100_000_u32 {
            let mut data = [0; 60];
            data[0] = 0xff;
            data[6] = 2;
            data[8..12].copy_from_slice(&number.to_be_bytes());
            a.send(Frame::copy_of(&data).unwrap());
            b.receive();
        }
        assert!(switch.addresses.read().ports.len() <= MOST_PER_PORT);
    }
}
