//! The four interrupt pins of a PCI device and how they are wired: the pins of neighbouring slots are rotated, so that the
//! first pin of each ends at another of the four lines of the bus (PIRQA# to PIRQD#).
//!
//! PCI-to-PCI Bridge Architecture Specification 1.2, section 9.1, with the i440FX boards' offset of one slot: the first pin of
//! slot 1 ends at PIRQA#. A firmware's interrupt routing table and the `_PRT` of the DSDT must say the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::Address;
use crate::bus::{InterruptLine, InterruptSink, SharedInterrupt};

/// An interrupt pin of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pin {
    /// INTA#.
    A,
    /// INTB#.
    B,
    /// INTC#.
    C,
    /// INTD#.
    D,
}

impl Pin {
    /// What the interrupt pin register (0x3d) says: 1 to 4.
    pub fn number(self) -> u8 {
        match self {
            Self::A => 1,
            Self::B => 2,
            Self::C => 3,
            Self::D => 4,
        }
    }

    /// Where this pin of the device in slot `device` ends: 0 for PIRQA# to 3 for PIRQD#.
    pub fn line_of_bus(self, device: u8) -> u8 {
        (self.number() - 1).wrapping_add(device).wrapping_sub(1) & 3
    }
}

/// The wires from the pins of all functions to the four lines of the bus.
pub struct IntxWiring {
    lines: [Arc<SharedInterrupt>; 4],
    members: [AtomicU32; 4],
}

impl IntxWiring {
    /// Wires that end at inputs 0 (PIRQA#) to 3 (PIRQD#) of `router`, such as [`PirqRouter`](crate::chipset::PirqRouter).
    pub fn new(router: &Arc<dyn InterruptSink>) -> Self {
        Self {
            lines: [0, 1, 2, 3].map(|input| SharedInterrupt::new(Arc::clone(router), input)),
            members: Default::default(),
        }
    }

    /// The wire called `name` from `pin` of the function at `address`. To be asked for once per function; each of the four lines
    /// takes 64 wires, what is asked for beyond that ends nowhere.
    pub fn line(&self, name: &'static str, address: Address, pin: Pin) -> InterruptLine {
        let number = usize::from(pin.line_of_bus(address.device));
        let member = self.members[number].fetch_add(1, Ordering::Relaxed);
        self.lines[number].line(name, member)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::Recorder;

    #[test]
    fn the_pins_of_neighbours_are_rotated() {
        for (device, pin, line) in [
            (0, Pin::A, 3),
            (1, Pin::A, 0),
            (1, Pin::D, 3),
            (2, Pin::A, 1),
            (3, Pin::A, 2),
            (3, Pin::C, 0),
            (4, Pin::A, 3),
            (31, Pin::D, 1),
        ] {
            assert_eq!(pin.line_of_bus(device), line, "slot {device}, {pin:?}");
        }
    }

    #[test]
    fn functions_share_a_line_and_both_hold_it() {
        let recorder = Arc::new(Recorder::default());
        let wiring = IntxWiring::new(&(recorder.clone() as Arc<dyn InterruptSink>));
        let first = wiring.line("first", Address::new(1, 0), Pin::A);
        let second = wiring.line("second", Address::new(5, 0), Pin::A);
        first.set_level(true);
        second.set_level(true);
        first.set_level(false);
        assert!(recorder.level(0));
        second.set_level(false);
        assert!(!recorder.level(0));
        assert_eq!(recorder.0.lock().len(), 2);
    }
}
