//! Where the ICH9 leads the eight interrupt lines of the PCI bus: always to inputs 16 to 23 of the I/O APIC, and besides to the ISA
//! interrupts that its route registers name. Intel 82801IB (ICH9) data sheet, sections 5.8 and 13.1.14.
//!
//! A system that uses the I/O APIC has masked what a line does beside.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::bus::{InterruptLine, InterruptSink};

/// The lines of the bus: PIRQA# to PIRQH#.
pub(super) const LINES: usize = 8;
/// A route register's value that leads to no ISA interrupt.
pub(super) const ROUTE_DISABLED: u8 = 0x80;
/// The ISA interrupts that a line may be led to; the others of the sixteen are reserved.
const ROUTABLE: u16 = 0b1101_1110_1111_1000;
/// The input of the I/O APIC of the first line.
const FIRST_INPUT: u8 = 16;

/// Takes the lines of the bus (inputs 0 for PIRQA# to 7 for PIRQH#) to the interrupt controllers.
pub(super) struct Ich9Router {
    /// By input: the ISA interrupts, then those of the I/O APIC alone.
    outputs: [InterruptLine; 24],
    state: Mutex<Routing>,
}

struct Routing {
    routes: [u8; LINES],
    asserted: [bool; LINES],
    /// What each of the outputs was last driven to, a bit each.
    driven: u32,
}

impl Ich9Router {
    /// `output` is asked once for the line to each input 0 to 23.
    pub(super) fn new(output: impl FnMut(u32) -> InterruptLine) -> Arc<Self> {
        let numbers: [u32; 24] = std::array::from_fn(|number| u32::try_from(number).unwrap_or(0));
        Arc::new(Self {
            outputs: numbers.map(output),
            state: Mutex::new(Routing {
                routes: [ROUTE_DISABLED; LINES],
                asserted: [false; LINES],
                driven: 0,
            }),
        })
    }

    fn change(&self, change: impl FnOnce(&mut Routing)) {
        let mut state = self.state.lock();
        change(&mut state);
        let mut wanted = 0_u32;
        for (number, (route, asserted)) in (0_u8..).zip(state.routes.iter().zip(state.asserted)) {
            if asserted {
                wanted |= 1 << (FIRST_INPUT + number);
                if route & ROUTE_DISABLED == 0 {
                    wanted |= (1 << (route & 0xf)) & u32::from(ROUTABLE);
                }
            }
        }
        for (number, line) in self.outputs.iter().enumerate() {
            if (wanted ^ state.driven) >> number & 1 != 0 {
                line.set_level(wanted >> number & 1 != 0);
            }
        }
        state.driven = wanted;
    }

    pub(super) fn route(&self, routes: [u8; LINES]) {
        self.change(|state| state.routes = routes);
    }
}

impl InterruptSink for Ich9Router {
    fn set_level(&self, input: u32, level: bool) {
        self.change(|state| {
            if let Some(asserted) = usize::try_from(input)
                .ok()
                .and_then(|input| state.asserted.get_mut(input))
            {
                *asserted = level;
            }
        });
    }
}
