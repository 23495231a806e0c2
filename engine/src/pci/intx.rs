//! The four interrupt pins of a PCI device and how they are wired: the pins of neighbouring slots are rotated, so that the
//! first pin of each ends at another line of the bus.
//!
//! PCI-to-PCI Bridge Architecture Specification 1.2, section 9.1. A board has four lines (PIRQA# to PIRQD#) or eight (to PIRQH#)
//! and its own way to lead slots to them, a [`Route`]. A firmware's interrupt routing table and the `_PRT` of the DSDT must say
//! the same.

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
}

/// Which line of the bus a pin of the device in a slot is wired to: 0 for PIRQA#, 7 for PIRQH#.
pub type Route = fn(device: u8, pin: Pin) -> u8;

/// The wires of an i440FX board: pin A of slot 1 ends at PIRQA#, and each further pin or slot one line on.
pub fn route_of_i440fx(device: u8, pin: Pin) -> u8 {
    (pin.number() - 1).wrapping_add(device).wrapping_sub(1) & 3
}

/// The wires of a Q35 board. The slots up to 24 are rotated over PIRQE# to PIRQH#, pin A of slot 0 first; those of the ICH9
/// itself, from 25 on, have their pins A to D at PIRQA# to PIRQD# (82801IB data sheet, registers D25IR to D31IR at power-on).
pub fn route_of_q35(device: u8, pin: Pin) -> u8 {
    let pin = pin.number() - 1;
    if device < 25 {
        4 + (pin.wrapping_add(device) & 3)
    } else {
        pin
    }
}

/// The most lines that a bus has.
const LINES: usize = 8;

/// The wires from the pins of all functions to the lines of the bus.
pub struct IntxWiring {
    route: Route,
    lines: [Arc<SharedInterrupt>; LINES],
    members: [AtomicU32; LINES],
}

impl IntxWiring {
    /// Wires as `route` says that end at inputs 0 (PIRQA#) to 7 (PIRQH#) of `router`, such as
    /// [`PirqRouter`](crate::chipset::PirqRouter).
    pub fn new(router: &Arc<dyn InterruptSink>, route: Route) -> Self {
        Self {
            route,
            lines: [0, 1, 2, 3, 4, 5, 6, 7]
                .map(|input| SharedInterrupt::new(Arc::clone(router), input)),
            members: Default::default(),
        }
    }

    /// The wire called `name` from `pin` of the function at `address`. To be asked for once per function; each of the lines
    /// takes 64 wires, what is asked for beyond that ends nowhere.
    pub fn line(&self, name: &'static str, address: Address, pin: Pin) -> InterruptLine {
        let number = usize::from((self.route)(address.device, pin) & 7);
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
            assert_eq!(route_of_i440fx(device, pin), line, "slot {device}, {pin:?}");
        }
    }

    #[test]
    fn the_ich9_has_eight_lines() {
        for (device, pin, line) in [
            (0, Pin::A, 4),
            (3, Pin::A, 7),
            (3, Pin::B, 4),
            (24, Pin::D, 7),
            (31, Pin::A, 0),
            (31, Pin::B, 1),
            (25, Pin::D, 3),
        ] {
            assert_eq!(route_of_q35(device, pin), line, "slot {device}, {pin:?}");
        }
    }

    #[test]
    fn functions_share_a_line_and_both_hold_it() {
        let recorder = Arc::new(Recorder::default());
        let wiring = IntxWiring::new(
            &(recorder.clone() as Arc<dyn InterruptSink>),
            route_of_i440fx,
        );
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
