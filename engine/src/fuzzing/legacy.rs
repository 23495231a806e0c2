//! The display adapter with its renderer, the keyboard controller, the serial port and the clock.

use std::sync::Arc;
use std::time::Duration;

use super::{Input, Script};
use crate::bus::{InterruptLine, MemoryDevice, PortDevice, Width, shared};
use crate::display::Surface;
use crate::display::vga::{MAXIMUM_HEIGHT, MAXIMUM_WIDTH, Renderer, Vga};
use crate::input::{Buttons, InputEvent, ScanCode};
use crate::legacy::{
    ByteDevice, Clock, Configuration, KeyboardController, Rtc, SerialPort, Timed, Wakeup,
};
use crate::memory::MemoryRegion;
use crate::pci::PciFunction;

/// A clock that only the input moves.
#[derive(Default)]
pub(super) struct TestClock(parking_lot::Mutex<Duration>);

impl TestClock {
    pub(super) fn set(&self, to: Duration) {
        *self.0.lock() = to;
    }

    pub(super) fn advance(&self, by: Duration) {
        *self.0.lock() += by;
    }
}

impl Clock for TestClock {
    fn now(&self) -> Duration {
        *self.0.lock()
    }
}

/// Something that a person does.
pub(super) fn event(input: &mut Input<'_>) -> InputEvent {
    let code = input.byte();
    let buttons = Buttons {
        left: code & 0x10 != 0,
        middle: code & 0x20 != 0,
        right: code & 0x40 != 0,
    };
    match code % 4 {
        0 => InputEvent::Key {
            code: ScanCode(input.byte()),
            down: code & 0x80 != 0,
        },
        1 => InputEvent::Motion {
            x: input.long() as i32,
            y: input.long() as i32,
            buttons,
        },
        2 => InputEvent::Position {
            x: input.word(),
            y: input.word(),
            buttons,
        },
        _ => InputEvent::Wheel {
            notches: input.long() as i32,
        },
    }
}

struct Everything;

impl crate::display::DirtySource for Everything {
    fn take(&mut self, _region: &MemoryRegion) -> Option<Vec<u64>> {
        None
    }
}

pub(super) fn vga(data: &[u8]) {
    let mut input = Input::new(data);
    let adapter = shared(Vga::new(&[0x55, 0xaa, 1]).unwrap());
    let surface = Arc::new(Surface::new(16, 16));
    let mut renderer = Renderer::new(adapter.clone(), Arc::clone(&surface));
    // A picture costs more than all the rest.
    let mut pictures = 8;
    while let Some(code) = input.code() {
        let mut vga = adapter.lock();
        match code & 7 {
            0 => {
                let port = 0x3b0 + u16::from(input.byte() & 0x3f);
                let width = Width::ALL[usize::from(code >> 4) % 3];
                let _ = vga.write_port(port, width, input.long() & width.ones());
                let _ = vga.read_port(port, width);
            }
            // An index and a value.
            1 => {
                let port = [0x3c4, 0x3ce, 0x3d4, 0x3b4][usize::from(code >> 4 & 3)];
                let _ = vga.write_port(port, Width::Word, input.word().into());
            }
            2 => {
                let _ = vga.write_port(0x1ce, Width::Word, input.byte().into());
                let _ = vga.write_port(0x1cf, Width::Word, input.word().into());
                let _ = vga.read_port(0x1cf, Width::Word);
            }
            3 => {
                let offset = u64::from(input.long()) & 0x3_ffff;
                let mut data = input.quad().to_le_bytes();
                let length = usize::from(code >> 3 & 7) + 1;
                let _ = vga.write_memory(offset, &data[..length]);
                let _ = vga.read_memory(offset, &mut data[..length]);
            }
            4 => {
                let offset = u64::from(input.word());
                let mut data = input.long().to_le_bytes();
                let length = 1 << (code >> 4 & 1);
                let _ = vga.write_window(2, offset, &data[..length]);
                let _ = vga.read_window(2, offset, &mut data[..length]);
            }
            5 => {
                let offset = input.byte();
                let offset = offset - offset % 4;
                vga.write_config(offset, Width::Dword, input.long());
            }
            6 => {
                let at = input.long() as usize & 0xff_ffff;
                vga.memory().write(at, input.piece());
                let _ = vga.text();
            }
            _ if code == 0x7f => vga.reset(),
            _ if pictures > 0 => {
                pictures -= 1;
                drop(vga);
                renderer.refresh(&mut Everything);
                let (width, height) = surface.view().size();
                assert!(width <= MAXIMUM_WIDTH && height <= MAXIMUM_HEIGHT);
            }
            _ => {}
        }
    }
}

pub(super) fn vga_seeds() -> Vec<Vec<u8>> {
    let pair = |script: Script, which: u8, values: &[u16]| {
        values.iter().fold(script, |script, value| {
            script.code(which << 4 | 1).word(*value)
        })
    };
    let port = |script: Script, port: u16, value: u8| {
        script.code(0).byte((port - 0x3b0) as u8).long(value.into())
    };
    let attributes = |mut script: Script, mode: u8| {
        for (index, value) in
            (0..16)
                .map(|index| (index, index))
                .chain([(0x10, mode), (0x12, 0xf), (0x13, 8)])
        {
            script = script.code(0).byte(0x2a).long(0);
            script = port(port(script, 0x3c0, index), 0x3c0, value);
        }
        port(script, 0x3c0, 0x20)
    };
    // Mode 3, mode 0x12, mode 0x13, by their registers; then linear modes by the display interface.
    let crtc = [
        0x5f00, 0x4f01, 0x5002, 0x8203, 0x5504, 0x8105, 0xbf06, 0x1f07, 0x4f09,
    ];
    let text = port(Script::default(), 0x3c2, 0x67);
    let text = pair(text, 0, &[0x0300, 0x0001, 0x0302, 0x0203]);
    let text = pair(text, 2, &[0x0011]);
    let text = pair(text, 2, &crtc);
    let text = pair(text, 2, &[0x0e11, 0x8f12, 0x2813, 0xa317]);
    let text = attributes(pair(text, 1, &[0x1005, 0x0e06]), 0x0c);
    let text = text.code(3).long(0x1_8000).quad(0x1f42_1f41).code(7);
    let planar = port(Script::default(), 0x3c2, 0xe3);
    let planar = pair(planar, 0, &[0x0300, 0x0101, 0x0f02, 0x0604]);
    let planar = pair(planar, 2, &[0x0011]);
    let planar = pair(planar, 2, &crtc);
    let planar = pair(planar, 2, &[0x4009, 0xdf12, 0x2813, 0xe317]);
    let planar = attributes(pair(planar, 1, &[0x0005, 0x0506, 0xff08]), 1);
    let planar = planar.code(0x3b).long(100).quad(u64::MAX).code(7);
    let chain = pair(planar.clone(), 0, &[0x0e04]);
    let chain = attributes(pair(chain, 1, &[0x4005, 0x0506]), 0x41).code(7);
    let mut seeds = vec![text.done(), planar.done(), chain.done()];
    for bits in [4, 8, 15, 16, 24, 32] {
        let mut script = Script::default();
        for (index, value) in [
            (4, 0),
            (1, 320),
            (2, 200),
            (3, bits),
            (4, 0x41),
            (6, 400),
            (9, 3),
        ] {
            script = script.code(2).byte(index).word(value);
        }
        seeds.push(script.code(6).long(0x100).piece(&[0x5a; 40]).code(7).done());
    }
    seeds
}

pub(super) fn keyboard_controller(data: &[u8]) {
    let mut input = Input::new(data);
    let mut controller = KeyboardController::new(
        InterruptLine::unconnected("keyboard"),
        InterruptLine::unconnected("mouse"),
        |_| {},
    );
    while let Some(code) = input.code() {
        let port = if code & 8 == 0 { 0x60 } else { 0x64 };
        match code & 7 {
            0..3 => {
                let _ = controller.write_byte(port, input.byte());
            }
            3..5 => {
                let _ = controller.read_byte(port);
            }
            5 => controller.take_input(event(&mut input)),
            6 => controller.set_screen_size(input.long(), input.long()),
            _ if code == 0xff => controller.reset(),
            _ => {
                let width = Width::ALL[usize::from(code >> 4) % 3];
                let _ = controller.read_port(port, width);
                let _ = controller.write_port(port, width, input.long());
            }
        }
    }
}

pub(super) fn keyboard_controller_seeds() -> Vec<Vec<u8>> {
    let command = |script: Script, value| script.code(8).byte(value).code(3).code(11);
    let data = |script: Script, value| script.code(0).byte(value).code(3).code(3);
    let mut script = Script::default();
    for value in [0xaa, 0xab, 0xa9, 0x20, 0xad, 0xae, 0xa7, 0xa8, 0xd0, 0xc0] {
        script = command(script, value);
    }
    script = data(command(script, 0x60), 0x47);
    for value in [0xff, 0xf2, 0xf0, 2, 0xed, 7, 0xf3, 0x20, 0xf6, 0xf4, 0xee] {
        script = data(script, value);
    }
    let keys = script
        .clone()
        .code(5)
        .byte(0x80)
        .byte(0x1e)
        .code(5)
        .byte(0)
        .byte(0xc8);
    for value in [
        0xff, 0xf2, 0xf3, 200, 0xf3, 100, 0xf3, 80, 0xf2, 0xe8, 3, 0xe9, 0xe6, 0xf4, 0xeb,
    ] {
        script = data(command(script, 0xd4), value);
    }
    let mouse = script
        .code(5)
        .byte(0x11)
        .long(100)
        .long(-7_i32 as u32)
        .code(5)
        .byte(3)
        .long(1);
    vec![
        keys.done(),
        mouse
            .code(6)
            .long(800)
            .long(600)
            .code(5)
            .byte(2)
            .word(9)
            .word(8)
            .done(),
    ]
}

pub(super) fn serial(data: &[u8]) {
    let mut input = Input::new(data);
    let mut port = SerialPort::new(
        SerialPort::COM1,
        InterruptLine::unconnected("com1"),
        std::io::sink(),
    );
    while let Some(code) = input.code() {
        let register = SerialPort::COM1 + u16::from(code & 7);
        match code >> 4 & 7 {
            0..3 => {
                let _ = port.write_byte(register, input.byte());
            }
            3..6 => {
                let _ = port.read_byte(register);
            }
            6 => {
                port.receive(input.piece());
            }
            _ if code == 0xff => port.reset(),
            _ => {
                let width = Width::ALL[usize::from(code & 7) % 3];
                let _ = port.read_port(register, width);
                let _ = port.write_port(register, width, input.long());
            }
        }
    }
}

pub(super) fn serial_seeds() -> Vec<Vec<u8>> {
    let mut script = Script::default();
    // The divisor, the format, the queues, interrupts, the loop, and back.
    for (register, value) in [
        (3, 0x80),
        (0, 1),
        (1, 0),
        (3, 3),
        (2, 0xc7),
        (4, 0x1b),
        (0, 0x55),
        (1, 0x0f),
        (4, 0x0b),
        (0, 0x41),
    ] {
        script = script.code(register).byte(value);
        for register in 0..8 {
            script = script.code(0x30 | register);
        }
    }
    let script = script
        .code(0x60)
        .piece(&[0x42; 40])
        .code(0x30)
        .code(0x30)
        .code(0x70);
    vec![script.long(0).done()]
}

pub(super) fn clock(data: &[u8]) {
    let mut input = Input::new(data);
    let clock = Arc::new(TestClock::default());
    clock.set(Duration::from_secs(1_961_674_662));
    let mut rtc = Rtc::new(
        InterruptLine::unconnected("rtc"),
        clock.clone(),
        Wakeup::default(),
        &Configuration::default(),
    );
    while let Some(code) = input.code() {
        match code & 7 {
            0..3 => {
                let _ = rtc.write_byte(0x70, input.byte());
                let _ = rtc.write_byte(0x71, input.byte());
            }
            3 | 4 => {
                let _ = rtc.write_byte(0x70, input.byte());
                let _ = rtc.read_byte(0x71);
            }
            5 => {
                clock.advance(Duration::from_micros(
                    u64::from(input.long()) << (code >> 3),
                ));
                rtc.tick();
            }
            // Somebody sets the host's clock.
            6 => clock.set(Duration::from_secs(input.quad() >> 16)),
            _ if code == 0xff => rtc.reset(),
            _ => {
                rtc.tick();
            }
        }
    }
}

pub(super) fn clock_seeds() -> Vec<Vec<u8>> {
    let mut script = Script::default();
    for (register, value) in [
        (0x0a, 0x26),
        (0x0b, 0x82),
        (0, 0x59),
        (2, 0x59),
        (4, 0x23),
        (7, 0x31),
        (8, 0x12),
        (9, 0x99),
        (0x32, 0x20),
        (1, 0xc0),
        (0x0b, 0x72),
    ] {
        script = script
            .code(0)
            .byte(register)
            .byte(value)
            .code(3)
            .byte(register);
    }
    for _ in 0..4 {
        script = script
            .code(5)
            .long(1_000_000)
            .code(3)
            .byte(0x0c)
            .code(3)
            .byte(0);
    }
    let binary = Script::default()
        .code(0)
        .byte(0x0b)
        .byte(0x04)
        .code(0)
        .byte(4)
        .byte(0x8c)
        .code(6)
        .quad(u64::MAX)
        .code(5)
        .long(u32::MAX);
    vec![script.done(), binary.done()]
}
