//! The bridge from PCI to the ISA bus: Intel 82371SB (PIIX3), function 0.
//!
//! Intel 82371SB data sheet (order number 290550). It routes the four interrupt lines of the PCI bus to inputs of the interrupt
//! controllers (registers 0x60 to 0x63); the registers of what this machine does not have keep their bits and do nothing.
//!
//! The edge/level control registers (ports 0x4D0 and 0x4D1) belong to the interrupt controllers, which are the kernel's: it
//! answers those ports itself, so there is no device for them here.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::bus::{Action, InterruptLine, InterruptSink, Width};
use crate::pci::{ConfigSpace, Identity, PciFunction};

const ROUTES: u8 = 0x60;
const ROUTE_DISABLED: u8 = 0x80;
/// The inputs that a PCI interrupt may be routed to; the others of the sixteen are reserved.
const ROUTABLE: u16 = 0b1101_1110_1111_1000;

/// Takes PCI's interrupt lines (inputs 0 for PIRQA# to 3 for PIRQD#) to the ISA interrupts that the route registers name. An
/// ISA interrupt is high while one of the lines routed to it is.
pub struct PirqRouter {
    interrupts: [InterruptLine; 16],
    state: Mutex<Routing>,
}

struct Routing {
    routes: [u8; 4],
    asserted: [bool; 4],
    /// What each of the sixteen was last driven to, a bit each.
    driven: u16,
}

impl PirqRouter {
    fn new(interrupt: impl FnMut(u8) -> InterruptLine) -> Arc<Self> {
        let numbers: [u8; 16] = std::array::from_fn(|number| u8::try_from(number).unwrap_or(0));
        Arc::new(Self {
            interrupts: numbers.map(interrupt),
            state: Mutex::new(Routing {
                routes: [ROUTE_DISABLED; 4],
                asserted: [false; 4],
                driven: 0,
            }),
        })
    }

    fn change(&self, change: impl FnOnce(&mut Routing)) {
        let mut state = self.state.lock();
        change(&mut state);
        let wanted = state
            .routes
            .iter()
            .zip(state.asserted)
            .filter(|(route, asserted)| *asserted && **route & ROUTE_DISABLED == 0)
            .fold(0_u16, |bits, (route, _)| bits | 1 << (route & 0xf))
            & ROUTABLE;
        for (number, line) in self.interrupts.iter().enumerate() {
            if (wanted ^ state.driven) >> number & 1 != 0 {
                line.set_level(wanted >> number & 1 != 0);
            }
        }
        state.driven = wanted;
    }

    fn route(&self, routes: [u8; 4]) {
        self.change(|state| state.routes = routes);
    }
}

impl InterruptSink for PirqRouter {
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

/// The PCI to ISA bridge.
pub struct Piix3 {
    space: ConfigSpace,
    router: Arc<PirqRouter>,
}

impl Piix3 {
    /// A bridge as after power-on. `interrupt` is asked once for the line to each ISA interrupt 0 to 15 (0, 1, 2, 8 and 13 are
    /// never driven); they are shared with the ISA devices, so each wants a member of a
    /// [`SharedInterrupt`](crate::bus::SharedInterrupt) where there are others.
    pub fn new(interrupt: impl FnMut(u8) -> InterruptLine) -> Self {
        let space = ConfigSpace::builder(Identity {
            vendor: 0x8086,
            device: 0x7000,
            revision: 0,
            class: 0x06_01_00,
        })
        // I/O, memory and bus mastering cannot be switched off; only special cycles can.
        .command(0x0007, 0x0008)
        // ISA I/O recovery timer, X-bus chip select.
        .registers_of_its_own(0x4c, [0x4d, 0, 0x03, 0], [0x7f, 0, 0xff, 0x01])
        .registers_of_its_own(ROUTES, [ROUTE_DISABLED; 4], [0x8f; 4])
        // Top of memory, miscellaneous status.
        .registers_of_its_own(0x69, [0x02, 0, 0], [0xfe, 0x01, 0x80])
        // Motherboard device interrupt and DMA, programmable chip select.
        .registers_of_its_own(0x70, [0x80], [0xef])
        .registers_of_its_own(0x76, [0x0c, 0x0c, 0x02, 0], [0x8f, 0x8f, 0xff, 0xff])
        // I/O APIC base address, deterministic latency.
        .registers_of_its_own(0x80, [0, 0, 0], [0x7f, 0, 0x0f])
        // System management interrupt control.
        .registers_of_its_own(0xa0, [0x08, 0, 0, 0], [0x1f, 0, 0xff, 0x01])
        .registers_of_its_own(0xa4, [0; 4], [0xff; 4])
        .registers_of_its_own(0xa8, [0x0f], [0xff])
        .registers_of_its_own(0xac, [0, 0, 0], [0xff, 0, 0xff])
        .build();
        Self {
            space,
            router: PirqRouter::new(interrupt),
        }
    }

    /// What the interrupt lines of the PCI bus end at.
    pub fn router(&self) -> Arc<dyn InterruptSink> {
        Arc::clone(&self.router) as Arc<dyn InterruptSink>
    }

    fn update_routes(&self) {
        self.router
            .route([0, 1, 2, 3].map(|line| self.space.byte(ROUTES + line)));
    }
}

impl PciFunction for Piix3 {
    fn read_config(&mut self, offset: u8, width: Width) -> u32 {
        self.space.read(offset, width)
    }

    fn write_config(&mut self, offset: u8, width: Width, value: u32) -> Option<Action> {
        self.space.write(offset, width, value);
        self.update_routes();
        None
    }

    fn reset(&mut self) {
        self.space.reset();
        self.update_routes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::Recorder;

    fn bridge() -> (Arc<Recorder>, Piix3) {
        let recorder = Arc::new(Recorder::default());
        let sink = recorder.clone();
        let bridge =
            Piix3::new(|number| InterruptLine::new("pci", sink.clone(), u32::from(number)));
        (recorder, bridge)
    }

    #[test]
    fn registers_are_those_of_the_data_sheet_at_power_on() {
        let (_, mut bridge) = bridge();
        for (offset, width, value) in [
            (0x00, Width::Dword, 0x7000_8086),
            (0x08, Width::Dword, 0x0601_0000),
            (0x04, Width::Word, 0x0007),
            (0x4c, Width::Byte, 0x4d),
            (0x4e, Width::Word, 0x0003),
            (0x60, Width::Dword, 0x8080_8080),
            (0x69, Width::Byte, 0x02),
            (0x76, Width::Word, 0x0c0c),
            (0xa0, Width::Byte, 0x08),
            (0xa8, Width::Byte, 0x0f),
        ] {
            assert_eq!(bridge.read_config(offset, width), value, "{offset:#x}");
        }
    }

    #[test]
    fn lines_go_where_seabios_routes_them() {
        let (recorder, mut bridge) = bridge();
        let router = bridge.router();
        router.set_level(0, true);
        assert!(recorder.0.lock().is_empty(), "nothing is routed yet");
        for (register, number) in [(0x60, 10), (0x61, 10), (0x62, 11), (0x63, 11)] {
            bridge.write_config(register, Width::Byte, number);
        }
        assert_eq!(*recorder.0.lock(), [(10, true)], "the pending line is seen");
        router.set_level(1, true);
        router.set_level(3, true);
        router.set_level(0, false);
        assert!(recorder.level(10) && recorder.level(11));
        router.set_level(1, false);
        assert!(!recorder.level(10) && recorder.level(11));
        // Routed elsewhere while asserted, the old input is let go.
        bridge.write_config(0x63, Width::Byte, 5);
        assert!(!recorder.level(11) && recorder.level(5));
        bridge.write_config(0x63, Width::Byte, 0x85);
        assert!(!recorder.level(5));
    }

    #[test]
    fn reserved_inputs_are_never_driven() {
        let (recorder, mut bridge) = bridge();
        let router = bridge.router();
        router.set_level(0, true);
        router.set_level(4, true);
        router.set_level(u32::MAX, true);
        for number in 0..16 {
            bridge.write_config(0x60, Width::Byte, number);
        }
        let driven: Vec<_> = recorder
            .0
            .lock()
            .iter()
            .filter(|(_, level)| *level)
            .map(|(number, _)| *number)
            .collect();
        assert_eq!(driven, [3, 4, 5, 6, 7, 9, 10, 11, 12, 14, 15]);
        bridge.reset();
        assert!((0..16).all(|number| !recorder.level(number)));
    }

    #[test]
    fn hostile_values_are_survived() {
        let (_, mut bridge) = bridge();
        let router = bridge.router();
        for value in [0, 0xffff_ffff, 0x0f0f_0f0f, 0xa5a5_a5a5] {
            for offset in 0..=255 {
                for width in Width::ALL {
                    bridge.write_config(offset, width, value);
                    bridge.read_config(offset, width);
                    router.set_level(value & 3, offset & 1 != 0);
                }
            }
        }
        assert_eq!(bridge.read_config(0, Width::Dword), 0x7000_8086);
        assert_eq!(bridge.read_config(0x60, Width::Dword) & 0x7070_7070, 0);
    }
}
