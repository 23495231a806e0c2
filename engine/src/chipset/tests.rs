//! The whole platform on its buses, as SeaBIOS 1.16.2 was seen to drive it, and as no firmware would.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::*;
use crate::bus::{Action, InterruptLine, MemoryBus, PortBus, Recorder, Shared, Width, shared};
use crate::legacy::{Configuration, KeyboardController, Rtc, SerialPort, TestClock, Timed, Wakeup};
use crate::memory::MemoryRegion;
use crate::pci::{Address, DirectMapper, IntxWiring, PciBus, Pin, route_of_i440fx};

struct NoSlots;
impl DirectMapper for NoSlots {
    fn map(&self, _base: u64, _region: &MemoryRegion, _read_only: bool) {}
    fn unmap(&self, _base: u64, _region: &MemoryRegion) {}
}

#[derive(Default)]
struct Shadow(Mutex<[PamState; 13]>);
impl PamSink for Shadow {
    fn set_pam(&self, segment: usize, state: PamState) {
        self.0.lock()[segment] = state;
    }
}

struct Platform {
    ports: Arc<PortBus>,
    pci: Arc<PciBus>,
    interrupts: Arc<Recorder>,
    shadow: Arc<Shadow>,
    clock: Arc<TestClock>,
    power: Shared<Piix4Power>,
    rtc: Shared<Rtc>,
    log: Arc<Mutex<Vec<String>>>,
    display_interrupt: InterruptLine,
}

fn platform() -> Platform {
    let (ports, interrupts, clock) = (
        Arc::new(PortBus::default()),
        Arc::new(Recorder::default()),
        Arc::new(TestClock::default()),
    );
    let line = |name, number: u32| InterruptLine::new(name, interrupts.clone(), number);
    let pci = PciBus::new(
        ports.clone(),
        Arc::new(MemoryBus::default()),
        Arc::new(NoSlots),
        vec![0x8000_0000..=0xfebf_ffff],
    );
    let shadow = Arc::new(Shadow::default());
    let piix3 = Piix3::new(|number| line("pci", number.into()));
    let wiring = IntxWiring::new(&piix3.router(), route_of_i440fx);
    let wakeup = Wakeup::default();
    let power = shared(Piix4Power::new(
        line("sci", 9),
        clock.clone(),
        wakeup.clone(),
    ));
    for range in Piix4Power::FIXED_PORTS {
        ports.map(range, power.clone());
    }
    pci.attach(Address::new(0, 0), shared(I440fx::new(shadow.clone())))
        .unwrap();
    pci.attach(Address::new(1, 0), shared(piix3)).unwrap();
    pci.attach(Address::new(1, 3), power.clone()).unwrap();
    let reset = shared(ResetControl::default());
    for port in ResetControl::PORTS {
        ports.map(port..=port, reset.clone());
    }
    let log = Arc::new(Mutex::new(Vec::new()));
    let sink = log.clone();
    ports.map(
        DebugConsole::PORT..=DebugConsole::PORT,
        shared(DebugConsole::new(
            move |line| sink.lock().push(line.to_owned()),
            clock.clone(),
        )),
    );
    let rtc = shared(Rtc::new(
        line("rtc", 8),
        clock.clone(),
        wakeup,
        &Configuration::default(),
    ));
    ports.map(Rtc::PORTS, rtc.clone());
    let keyboard = shared(KeyboardController::new(
        line("keyboard", 1),
        line("mouse", 12),
        |_| {},
    ));
    for port in KeyboardController::PORTS {
        ports.map(port..=port, keyboard.clone());
    }
    ports.map(
        SerialPort::COM1..=SerialPort::COM1 + 7,
        shared(SerialPort::new(
            SerialPort::COM1,
            line("com1", 4),
            std::io::sink(),
        )),
    );
    Platform {
        pci,
        shadow,
        power,
        rtc,
        log,
        display_interrupt: wiring.line("display", Address::new(2, 0), Pin::A),
        ports,
        interrupts,
        clock,
    }
}

/// An access to a configuration register: what is written to 0xCF8, the data port, and what is read or written there.
enum Access {
    Read(Width, u32),
    Write(Width, u32),
}
use Access::{Read, Write};
use Width::{Byte, Dword, Word};

impl Platform {
    fn replay(&self, accesses: &[(u32, u16, Access)]) {
        for (address, port, access) in accesses {
            self.ports.write(0xcf8, Dword, *address);
            match access {
                Read(width, value) => assert_eq!(
                    self.ports.read(*port, *width),
                    *value,
                    "{address:#x} at {port:#x}"
                ),
                Write(width, value) => assert_eq!(self.ports.write(*port, *width, *value), None),
            }
        }
    }
}

#[test]
fn seabios_finds_and_sets_up_the_chipset() {
    let platform = platform();
    platform.replay(&[
        // Mechanism 1, the host bridge, "Running on QEMU".
        (0x8000_0000, 0xcf8, Read(Dword, 0x8000_0000)),
        (0x8000_0000, 0xcfc, Read(Dword, 0x1237_8086)),
        (0x8000_002c, 0xcfc, Read(Word, 0x1af4)),
        (0x8000_002c, 0xcfe, Read(Word, 0x1100)),
        // The shadow is opened.
        (0x8000_0058, 0xcfc, Read(Dword, 0)),
        (0x8000_0058, 0xcfc, Write(Dword, 0x3333_3000)),
        (0x8000_005c, 0xcfc, Read(Dword, 0)),
        (0x8000_005c, 0xcfc, Write(Dword, 0x3333_3333)),
        // What is on the bus.
        (0x8000_000c, 0xcfe, Read(Byte, 0x00)),
        (0x8000_0800, 0xcfc, Read(Dword, 0x7000_8086)),
        (0x8000_0808, 0xcfe, Read(Word, 0x0601)),
        (0x8000_080c, 0xcfe, Read(Byte, 0x80)),
        (0x8000_0900, 0xcfc, Read(Word, 0xffff)),
        (0x8000_0b00, 0xcfc, Read(Dword, 0x7113_8086)),
        (0x8000_0b08, 0xcfe, Read(Word, 0x0680)),
        (0x8000_1000, 0xcfc, Read(Word, 0xffff)),
        // No function here has base addresses.
        (0x8000_0810, 0xcfc, Write(Dword, 0xffff_ffff)),
        (0x8000_0810, 0xcfc, Read(Dword, 0)),
        (0x8000_0b30, 0xcfc, Write(Dword, 0xffff_f800)),
        (0x8000_0b30, 0xcfc, Read(Dword, 0)),
        // Interrupt routing.
        (0x8000_0860, 0xcfc, Write(Byte, 10)),
        (0x8000_0860, 0xcfd, Write(Byte, 10)),
        (0x8000_0860, 0xcfe, Write(Byte, 11)),
        (0x8000_0860, 0xcff, Write(Byte, 11)),
        // Power management, with system management mode set up already.
        (0x8000_0b58, 0xcfc, Read(Dword, 0x0200_0000)),
        (0x8000_0b3c, 0xcfc, Write(Byte, 9)),
        (0x8000_0b40, 0xcfc, Write(Dword, 0x601)),
        (0x8000_0b80, 0xcfc, Write(Byte, 1)),
        (0x8000_0b90, 0xcfc, Write(Dword, 0x701)),
        (0x8000_0bd0, 0xcfe, Write(Byte, 9)),
        (0x8000_0004, 0xcfc, Write(Word, 0x103)),
        (0x8000_0804, 0xcfc, Write(Word, 0x103)),
        (0x8000_0b04, 0xcfc, Write(Word, 0x103)),
    ]);
    let open = PamState {
        read: PamTarget::Memory,
        write: PamTarget::Memory,
    };
    assert_eq!(*platform.shadow.0.lock(), [open; 13]);
    // The timer runs where it was put.
    assert_eq!(platform.ports.read(0x608, Dword), 0);
    platform.clock.advance(Duration::from_millis(130));
    assert_eq!(platform.ports.read(0x608, Dword), 465_340);
    // The display's pin ends at the input that its slot is routed to: (1 - 1 + 2 - 1) & 3 is PIRQB.
    platform.display_interrupt.set_level(true);
    assert!(platform.interrupts.level(10));
    platform.display_interrupt.set_level(false);
    // The shadow is closed again, but for what SeaBIOS keeps to itself.
    platform.replay(&[
        (0x8000_0058, 0xcfd, Write(Byte, 0x10)),
        (0x8000_0058, 0xcfe, Write(Byte, 0x11)),
        (0x8000_005c, 0xcff, Write(Byte, 0x31)),
    ]);
    let locked = PamState {
        read: PamTarget::Memory,
        write: PamTarget::Bus,
    };
    let segments = *platform.shadow.0.lock();
    assert_eq!((segments[12], segments[10]), (locked, locked));
    assert_eq!(
        (segments[0], segments[1], segments[11]),
        (locked, locked, open)
    );
}

#[test]
fn seabios_logs_probes_and_resets() {
    let platform = platform();
    assert_eq!(platform.ports.read(0x402, Byte), 0xe9);
    platform
        .ports
        .write_string(0x402, Byte, b"SeaBIOS (version 1.16.2)\n");
    assert_eq!(*platform.log.lock(), ["SeaBIOS (version 1.16.2)"]);
    // What is absent reads as ones: the other serial ports, the printers, the processor hotplug block, the index register.
    for port in [
        0x2e9, 0x2f9, 0x3e9, 0x278, 0x27a, 0x378, 0x37a, 0xcd8, 0xaf00, 0x70,
    ] {
        platform.ports.write(port, Byte, 2);
        assert_eq!(platform.ports.read(port, Byte), 0xff, "{port:#x}");
    }
    platform.ports.write(0x92, Byte, 2);
    assert_eq!(platform.ports.read(0x92, Byte), 2);
    assert_eq!(platform.ports.write(0xcf9, Byte, 2), None);
    assert_eq!(platform.ports.write(0xcf9, Byte, 6), Some(Action::Reset));
    platform.pci.reset();
    platform.replay(&[
        (0x8000_0858, 0xcfc, Read(Dword, 0)),
        (0x8000_0860, 0xcfc, Read(Dword, 0x8080_8080)),
        (0x8000_0b40, 0xcfc, Read(Dword, 1)),
    ]);
    assert_eq!(platform.ports.read(0x608, Dword), 0xffff_ffff);
    assert_eq!(*platform.shadow.0.lock(), [PamState::default(); 13]);
}

#[test]
fn the_power_registers_move_without_taking_other_ports() {
    let platform = platform();
    platform.replay(&[
        (0x8000_0b80, 0xcfc, Write(Byte, 1)),
        (0x8000_0b40, 0xcfc, Write(Dword, 0x0cc0)),
    ]);
    platform.replay(&[(0x8000_0000, 0xcfc, Read(Dword, 0x1237_8086))]);
    platform.replay(&[(0x8000_0b40, 0xcfc, Write(Dword, 0x0040))]);
    platform.ports.write(0x70, Byte, 0x0d);
    assert_eq!(
        platform.ports.read(0x71, Byte),
        0x80,
        "the clock still answers"
    );
    platform.replay(&[(0x8000_0b40, 0xcfc, Write(Dword, 0xb000))]);
    platform.ports.write(0xb002, Word, 0x100);
    platform.power.lock().press_power_button();
    platform.ports.write(0xb2, Byte, ACPI_ENABLE.into());
    assert!(platform.interrupts.level(9));
    assert_eq!(
        platform.ports.write(0xb004, Word, 0x2001),
        Some(Action::PowerOff)
    );
}

#[test]
fn every_port_survives_every_width_and_many_values() {
    let platform = platform();
    let mut value = 0x1234_5678_u32;
    for round in 0..4 {
        for port in 0..=u16::MAX {
            for width in Width::ALL {
                value = value.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let value = match round {
                    0 => 0xffff_ffff,
                    1 => 0,
                    _ => value,
                };
                platform.ports.write(port, width, value);
                platform.ports.read(port, width);
            }
        }
        platform.power.lock().tick();
        platform.rtc.lock().tick();
        platform.clock.advance(Duration::from_secs(100_003));
    }
    // Now at the configuration registers, with the windows going where they will.
    for round in 0..3_u32 {
        for device in 0..3_u32 {
            for function in 0..4_u32 {
                for register in (0..0x100).step_by(4) {
                    value = value.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let address = 0x8000_0000 | device << 11 | function << 8 | register;
                    platform.ports.write(0xcf8, Dword, address);
                    platform.ports.write(0xcfc, Dword, value >> round);
                    platform.ports.read(0xcfc, Dword);
                    let near = u16::try_from(value & 0xffc0).unwrap();
                    platform.ports.write(near, Dword, value);
                    platform.ports.read(near.wrapping_add(61), Dword);
                }
            }
        }
    }
    platform.pci.reset();
    platform.replay(&[(0x8000_0000, 0xcfc, Read(Dword, 0x1237_8086))]);
}
