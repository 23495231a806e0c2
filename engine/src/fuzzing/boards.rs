//! The boards of both generations at their buses: ports, memory and configuration space, and where windows go.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::guest::{Disk, memory};
use super::legacy::TestClock;
use super::{Input, Script};
use crate::bus::{InterruptLine, MemoryBus, PortBus, Shared, Unconnected, Width, shared};
use crate::chipset::{
    DebugConsole, I440fx, Ich9Lpc, PamSink, PamState, Piix3, Piix4Power, Q35, ResetControl,
};
use crate::display::vga::Vga;
use crate::legacy::{Configuration, KeyboardController, Rtc, SerialPort, Timed, Wakeup};
use crate::memory::MemoryRegion;
use crate::pci::{Address, DirectMapper, PciBus};
use crate::storage::ahci::AhciController;
use crate::storage::{NewDrive, ReportFaults};

/// Where windows may be.
const HOLE: RangeInclusive<u64> = 0x8000_0000..=0xfebf_ffff;

/// What is mapped does not overlap, lies in the hole, and is taken away where it was put.
#[derive(Default)]
struct Slots(parking_lot::Mutex<Vec<(u64, u64)>>);

impl DirectMapper for Slots {
    fn map(&self, base: u64, region: &MemoryRegion, _read_only: bool) {
        let end = base + region.size() as u64;
        assert!(base.is_multiple_of(4096) && HOLE.contains(&base) && HOLE.contains(&(end - 1)));
        let mut slots = self.0.lock();
        assert!(slots.iter().all(|slot| end <= slot.0 || slot.1 <= base));
        slots.push((base, end));
    }

    fn unmap(&self, base: u64, region: &MemoryRegion) {
        let mut slots = self.0.lock();
        let number = slots
            .iter()
            .position(|slot| *slot == (base, base + region.size() as u64))
            .unwrap();
        slots.swap_remove(number);
    }
}

struct Shadow;

impl PamSink for Shadow {
    fn set_pam(&self, segment: usize, _state: PamState) {
        assert!(segment < 13);
    }
}

struct Buses {
    ports: Arc<PortBus>,
    memory: Arc<MemoryBus>,
    pci: Arc<PciBus>,
    clock: Arc<TestClock>,
    timed: Vec<Shared<dyn Timed>>,
}

fn line(name: &'static str) -> InterruptLine {
    InterruptLine::unconnected(name)
}

impl Buses {
    fn new() -> Self {
        let (ports, memory) = (Arc::new(PortBus::default()), Arc::new(MemoryBus::default()));
        let pci = PciBus::new(
            Arc::clone(&ports),
            Arc::clone(&memory),
            Arc::new(Slots::default()),
            vec![HOLE],
        );
        let clock = Arc::new(TestClock::default());
        clock.set(Duration::from_secs(1_961_674_662));
        let rtc = shared(Rtc::new(
            line("rtc"),
            clock.clone(),
            Wakeup::default(),
            &Configuration::default(),
        ));
        ports.map(Rtc::PORTS, rtc.clone());
        let keyboard = shared(KeyboardController::new(
            line("keyboard"),
            line("mouse"),
            |_| {},
        ));
        for port in KeyboardController::PORTS {
            ports.map(port..=port, keyboard.clone());
        }
        let reset = shared(ResetControl::default());
        for port in ResetControl::PORTS {
            ports.map(port..=port, reset.clone());
        }
        ports.map(
            DebugConsole::PORT..=DebugConsole::PORT,
            shared(DebugConsole::new(|_| {}, clock.clone())),
        );
        ports.map(
            SerialPort::COM1..=SerialPort::COM1 + 7,
            shared(SerialPort::new(
                SerialPort::COM1,
                line("com1"),
                std::io::sink(),
            )),
        );
        Self {
            ports,
            memory,
            pci,
            clock,
            timed: vec![rtc],
        }
    }

    fn run(&self, mut input: Input<'_>) {
        while let Some(code) = input.code() {
            let width = Width::ALL[usize::from(code >> 4) % 3];
            match code & 0xf {
                0 => {
                    self.ports.read(input.word(), width);
                }
                1 => {
                    self.ports.write(input.word(), width, input.long());
                }
                2 => {
                    let mut data = [0; 64];
                    let port = input.word();
                    let data = &mut data[..usize::from(input.byte() % 64)];
                    self.ports.read_string(port, width, data);
                    self.ports.write_string(port, width, data);
                }
                // The configuration mechanism, in one.
                3 => {
                    let register = 0x8000_0000 | u32::from(input.word()) & 0xfffc;
                    self.ports.write(0xcf8, Width::Dword, register);
                    let port = 0xcfc + u16::from(input.byte() & 3);
                    self.ports.write(port, width, input.long());
                    self.ports.read(port, width);
                }
                4 | 5 => {
                    let (address, length) = (input.quad(), 1 << (code >> 4 & 3));
                    let mut data = input.quad().to_le_bytes();
                    if code & 1 == 0 {
                        self.memory.write(address, &data[..length]);
                    }
                    self.memory.read(address, &mut data[..length]);
                }
                6 => {
                    self.clock
                        .advance(Duration::from_micros(input.long().into()));
                    for device in &self.timed {
                        device.lock().tick();
                    }
                }
                7 if code == 0x77 => self.pci.reset(),
                _ => {
                    let address = Address::new(input.byte(), input.byte());
                    let offset = input.byte();
                    self.pci.write_config(address, offset, width, input.long());
                    self.pci.read_config(address, offset, width);
                }
            }
        }
    }
}

pub(super) fn i440fx(data: &[u8]) {
    let mut buses = Buses::new();
    let piix3 = Piix3::new(|_| line("pci"));
    let power = shared(Piix4Power::new(
        line("sci"),
        buses.clock.clone(),
        Wakeup::default(),
    ));
    for range in Piix4Power::FIXED_PORTS {
        buses.ports.map(range, power.clone());
    }
    buses.timed.push(power.clone());
    let attach = |device, function, what| {
        buses
            .pci
            .attach(Address::new(device, function), what)
            .unwrap()
    };
    attach(0, 0, shared(I440fx::new(Arc::new(Shadow))));
    attach(1, 0, shared(piix3));
    attach(1, 3, power);
    attach(2, 0, shared(Vga::new(&[0x55, 0xaa, 1]).unwrap()));
    buses.run(Input::new(data));
}

pub(super) fn q35(data: &[u8]) {
    let mut buses = Buses::new();
    let bridge = shared(Ich9Lpc::new(
        |_| line("pci"),
        line("sci"),
        buses.clock.clone(),
        Wakeup::default(),
    ));
    buses.ports.map(Ich9Lpc::FIXED_PORTS, bridge.clone());
    buses.timed.push(bridge.clone());
    let drives = [
        Some(NewDrive::Disk {
            image: Disk::new(0x8000, false),
            name: "disk".into(),
        }),
        None,
        None,
        None,
        None,
        None,
    ];
    let faults: Arc<dyn crate::storage::FaultHandler> = Arc::new(ReportFaults);
    let ahci = AhciController::new(
        line("ahci"),
        &Unconnected,
        &memory(0x1_0000),
        &faults,
        drives,
    )
    .unwrap();
    let attach = |device, function, what| {
        buses
            .pci
            .attach(Address::new(device, function), what)
            .unwrap()
    };
    attach(0, 0, shared(Q35::new()));
    attach(1, 0, shared(Vga::without_legacy().unwrap()));
    attach(31, 0, bridge);
    attach(31, 2, shared(ahci));
    buses.run(Input::new(data));
}

fn config(script: Script, device: u8, function: u8, offset: u8, value: u32) -> Script {
    let register = u16::from(device) << 11 | u16::from(function) << 8 | u16::from(offset);
    script.code(0x23).word(register).byte(0).long(value)
}

fn common() -> Script {
    let mut script = Script::default();
    for (port, value) in [
        (0x64, 0xaa),
        (0x70, 0x0d),
        (0x3f8, 0x41),
        (0x402, 0x0a),
        (0xcf9, 2),
    ] {
        script = script.code(1).word(port).long(value).code(0).word(port);
    }
    script
}

pub(super) fn i440fx_seeds() -> Vec<Vec<u8>> {
    let mut script = common();
    // As SeaBIOS does: shadow memory, routes, the power management's ports, the display's windows.
    for (device, function, offset, value) in [
        (0, 0, 0x58, 0x3333_3300),
        (1, 0, 0x60, 0x0b0b_0a0a),
        (1, 3, 0x40, 0x601),
        (1, 3, 0x80, 1),
        (2, 0, 0x10, 0xffff_ffff),
        (2, 0, 0x10, 0xe000_0000),
        (2, 0, 0x18, 0xfea0_0000),
        (2, 0, 0x30, 0xfea1_0001),
        (2, 0, 4, 7),
    ] {
        script = config(script, device, function, offset, value);
    }
    let enable = script.clone().code(0x11).word(0x604).long(0x2001);
    vec![
        script.code(4).quad(0xfea0_0500).quad(0xb0c5).done(),
        enable.code(0x26).long(1_000_000).code(0x77).done(),
    ]
}

pub(super) fn q35_seeds() -> Vec<Vec<u8>> {
    let mut script = common();
    for (device, function, offset, value) in [
        (0, 0, 0x60, 0xb000_0001),
        (31, 0, 0x40, 0x601),
        (31, 0, 0x44, 0x80),
        (31, 0, 0xf0, 0xfed1_c001),
        (31, 2, 0x24, 0xfeb0_0000),
        (31, 2, 4, 6),
        (1, 0, 0x10, 0xe000_0000),
        (1, 0, 4, 3),
    ] {
        script = config(script, device, function, offset, value);
    }
    // By the memory-mapped mechanism, and the controller's registers.
    vec![
        script
            .clone()
            .code(0x24)
            .quad(0xb00f_a024)
            .quad(0xfec0_0000)
            .code(0x24)
            .quad(0xfec0_0004)
            .quad(0x8000_0002)
            .done(),
        script
            .code(0x25)
            .quad(0xfeb0_0100)
            .quad(0)
            .code(0x77)
            .done(),
    ]
}
