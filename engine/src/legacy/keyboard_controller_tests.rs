//! The controller as firmware, operating systems, people and hostile guests drive it.

use std::sync::Arc;

use super::*;
use crate::bus::{PortBus, Recorder, Width, shared};
use crate::input::{Buttons, ScanCode};

struct Rig {
    interrupts: Arc<Recorder>,
    controller: KeyboardController,
}

fn rig() -> Rig {
    let interrupts = Arc::new(Recorder::default());
    let controller = KeyboardController::new(
        InterruptLine::new("keyboard", interrupts.clone(), 1),
        InterruptLine::new("mouse", interrupts.clone(), 12),
        |_| {},
    );
    Rig {
        interrupts,
        controller,
    }
}

impl Rig {
    fn status(&mut self) -> u8 {
        self.controller.read_byte(0x64).unwrap()
    }
    fn command(&mut self, command: u8) -> Option<Action> {
        self.controller.write_byte(0x64, command).unwrap()
    }
    fn data(&mut self, data: u8) -> Option<Action> {
        self.controller.write_byte(0x60, data).unwrap()
    }
    fn read(&mut self) -> u8 {
        self.controller.read_byte(0x60).unwrap()
    }
    /// Everything that can be read now.
    fn drain(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while self.status() & 1 != 0 && bytes.len() < 100 {
            bytes.push(self.read());
        }
        bytes
    }
    fn key(&mut self, code: u8, down: bool) {
        self.controller.take_input(InputEvent::Key {
            code: ScanCode(code),
            down,
        });
    }
}

#[test]
fn seabios_sets_the_keyboard_up() {
    let mut rig = rig();
    // Both devices off, self-test, wire test.
    rig.command(0xad);
    rig.command(0xa7);
    assert_eq!(rig.status() & 0x01, 0);
    assert_eq!(rig.status(), 0x18);
    rig.command(0xaa);
    assert_eq!(rig.status(), 0x1d);
    assert_eq!(rig.read(), 0x55);
    rig.command(0xab);
    assert_eq!(rig.read(), 0x00);
    rig.interrupts.0.lock().clear();
    // The mode: keyboard's interrupt off, mouse off; then the keyboard's reset, set 2, enable.
    for (mode, byte, answer) in [
        (0x30, 0xff, &[0xfa, 0xaa][..]),
        (0x20, 0xf5, &[0xfa]),
        (0x20, 0xf0, &[0xfa]),
        (0x20, 0x02, &[0xfa]),
        (0x20, 0xf4, &[0xfa]),
    ] {
        rig.command(0x60);
        rig.data(mode);
        rig.data(byte);
        assert_eq!(rig.drain(), answer, "{byte:#x}");
    }
    assert!(rig.interrupts.0.lock().iter().all(|(_, level)| !level));
    // Interrupt and translation on.
    rig.command(0x60);
    rig.data(0x61);
    rig.command(0x20);
    assert_eq!(rig.read(), 0x61);
    rig.key(0x1e, true);
    assert!(rig.interrupts.level(1));
    assert_eq!(rig.read(), 0x1e);
    assert!(!rig.interrupts.level(1));
}

#[test]
fn keys_are_translated_to_set_1() {
    let mut rig = rig();
    rig.command(0x60);
    rig.data(0x43);
    for (code, down, bytes) in [
        (0x1e, true, &[0x1e][..]),
        (0x1e, false, &[0x9e]),
        (0x41, true, &[0x41]),
        (0x41, false, &[0xc1]),
        (0xc8, true, &[0xe0, 0x48]),
        (0xc8, false, &[0xe0, 0xc8]),
        (0xc6, true, &[0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5]),
        (0xc6, false, &[]),
        (0xb7, true, &[0xe0, 0x2a, 0xe0, 0x37]),
        (0xb7, false, &[0xe0, 0xb7, 0xe0, 0xaa]),
    ] {
        rig.key(code, down);
        assert_eq!(rig.drain(), bytes, "{code:#x}");
    }
    // Every key comes out as it went in.
    for code in 1..=0x7f {
        rig.key(code, true);
        rig.key(code, false);
        assert_eq!(rig.drain(), [code, code | 0x80]);
    }
    rig.data(0xf2);
    assert_eq!(
        rig.drain(),
        [0xfa, 0xab, 0x41],
        "the identity is translated too"
    );
}

#[test]
fn untranslated_keys_are_set_2() {
    let mut rig = rig();
    rig.key(0x1e, false);
    assert_eq!(rig.drain(), [0xf0, 0x1c]);
}

#[test]
fn each_byte_raises_the_line_of_its_device() {
    let mut rig = rig();
    rig.command(0xd4);
    rig.data(0xf4);
    assert_eq!(rig.status() & 0x21, 0x21);
    assert!(rig.interrupts.level(12) && !rig.interrupts.level(1));
    rig.key(0x1e, true);
    assert!(!rig.interrupts.level(1), "the buffer is full");
    assert_eq!(rig.read(), 0xfa);
    assert!(rig.interrupts.level(1) && !rig.interrupts.level(12));
    rig.key(0x30, true);
    rig.interrupts.0.lock().clear();
    rig.read();
    let edges: Vec<bool> = rig
        .interrupts
        .0
        .lock()
        .iter()
        .filter(|(input, _)| *input == 1)
        .map(|(_, level)| *level)
        .collect();
    assert_eq!(edges, [false, true], "an edge for the second byte");
    rig.read();
    assert_eq!(rig.status() & 1, 0);
    rig.controller.take_input(InputEvent::Motion {
        x: 1,
        y: 0,
        buttons: Buttons::default(),
    });
    assert!(rig.interrupts.level(12));
    assert_eq!(rig.drain(), [0x08, 1, 0]);
}

#[test]
fn disabled_devices_wait() {
    let mut rig = rig();
    rig.command(0xd4);
    rig.data(0xf4);
    rig.drain();
    rig.command(0xad);
    rig.command(0xa7);
    rig.key(0x1e, true);
    rig.controller.take_input(InputEvent::Position {
        x: 1,
        y: 1,
        buttons: Buttons {
            left: true,
            ..Buttons::default()
        },
    });
    assert_eq!(rig.drain(), [0_u8; 0]);
    rig.command(0x20);
    assert_eq!(rig.drain(), [0x33]);
    rig.command(0xa8);
    assert_eq!(rig.drain(), [0x09, 0, 0]);
    rig.command(0xae);
    assert_eq!(rig.drain(), [0x1c]);
}

#[test]
fn commands_are_answered() {
    let mut rig = rig();
    for (command, answer) in [
        (0xa4, 0xf1),
        (0xa9, 0x00),
        (0xc0, 0x80),
        (0xd0, 0xcf),
        (0xe0, 0x00),
        (0x25, 0x00),
    ] {
        assert_eq!(rig.command(command), None);
        assert_eq!(rig.drain(), [answer], "{command:#x}");
    }
    rig.command(0x65);
    rig.data(0x5a);
    rig.command(0x25);
    assert_eq!(rig.read(), 0x5a);
    rig.command(0xd2);
    rig.data(0x77);
    assert_eq!((rig.status() & 0x21, rig.read()), (0x01, 0x77));
    rig.command(0xd3);
    rig.data(0x78);
    assert_eq!((rig.status() & 0x21, rig.read()), (0x21, 0x78));
    rig.command(0xdd);
    rig.command(0xd0);
    assert_eq!(rig.read(), 0xcd);
    rig.command(0xdf);
    rig.command(0xd0);
    assert_eq!(rig.read(), 0xcf);
    rig.command(0xd1);
    assert_eq!(rig.data(0x01), None);
    rig.command(0xd0);
    assert_eq!(rig.read(), 0x01);
}

#[test]
fn the_reset_line_is_pulsed_or_pulled() {
    let mut rig = rig();
    assert_eq!(rig.command(0xfe), Some(Action::Reset));
    assert_eq!(rig.command(0xf0), Some(Action::Reset));
    assert_eq!(rig.command(0xff), None);
    rig.command(0xd1);
    assert_eq!(rig.data(0x02), Some(Action::Reset));
}

#[test]
fn an_awaited_argument_does_not_outlive_the_next_command() {
    let mut rig = rig();
    rig.command(0x60);
    rig.command(0xab);
    assert_eq!(rig.read(), 0);
    rig.data(0xee);
    assert_eq!(rig.drain(), [0xee], "it went to the keyboard");
}

#[test]
fn a_reset_leaves_nothing() {
    let mut rig = rig();
    rig.key(0x1e, true);
    assert!(rig.interrupts.level(1));
    rig.command(0x60);
    rig.controller.reset();
    assert_eq!(rig.status(), 0x18);
    assert!(!rig.interrupts.level(1));
    assert_eq!(rig.drain(), [0_u8; 0]);
    rig.command(0x20);
    assert_eq!(rig.drain(), [0x03]);
}

#[test]
fn it_takes_input_inside_its_lock() {
    let bus = PortBus::default();
    let controller = shared(rig().controller);
    for port in KeyboardController::PORTS {
        bus.map(port..=port, controller.clone());
    }
    let sink: Arc<dyn InputSink> = controller;
    sink.input(InputEvent::Key {
        code: ScanCode(0x01),
        down: true,
    });
    sink.input(InputEvent::Wheel { notches: i32::MIN });
    assert_eq!(bus.read(0x60, Width::Byte), 0x76);
    assert_eq!(bus.read(0x61, Width::Byte), 0xff);
}

#[test]
fn hostile_values_are_survived() {
    let mut rig = rig();
    for round in 0..3 {
        for command in 0..=255 {
            for data in [0, 0xff, 0xd4, 0x60, command] {
                rig.command(command);
                rig.data(data);
                rig.key(data, round & 1 == 0);
                if round > 0 {
                    rig.read();
                    rig.status();
                }
            }
        }
        rig.command(0x60);
        rig.data(0x43);
        rig.drain();
    }
    assert_eq!(rig.controller.read_byte(0x61), Err(IoError::Unmapped));
    assert_eq!(rig.controller.write_byte(0x63, 1), Err(IoError::Unmapped));
}

/// What an edge-triggered interrupt controller makes of the two lines: a request for each time that one of them rises.
#[derive(Default)]
struct Edges {
    seen: usize,
    levels: [bool; 13],
    requested: [bool; 13],
}

impl Edges {
    fn follow(&mut self, interrupts: &Recorder) {
        let told = interrupts.0.lock();
        for (input, level) in told.iter().skip(self.seen) {
            let input = usize::try_from(*input).unwrap();
            self.requested[input] |= *level && !self.levels[input];
            self.levels[input] = *level;
        }
        self.seen = told.len();
    }
}

#[test]
fn handlers_that_read_one_byte_for_each_interrupt_lose_none() {
    // Keys and pointer in every order, while the handlers are slow, the keyboard's wire is closed for a while, or its interrupt is
    // masked in the controller: each byte must come with an edge of its own.
    for order in 0..1024_u32 {
        let mut rig = rig();
        rig.command(0x60);
        rig.data(0x47);
        rig.command(0xd4);
        rig.data(0xf4);
        assert_eq!(rig.drain(), [0xfa]);
        // What was read without waiting for its interrupt.
        let mut edges = Edges {
            seen: rig.interrupts.0.lock().len(),
            ..Edges::default()
        };
        let (mut keys, mut expected, mut pointer, mut moved) = (Vec::new(), Vec::new(), 0, 0);
        let handle = |rig: &mut Rig, edges: &mut Edges, keys: &mut Vec<u8>, pointer: &mut usize| {
            edges.follow(&rig.interrupts);
            for (line, of_mouse) in [(1, false), (12, true)] {
                if std::mem::take(&mut edges.requested[line]) {
                    let status = rig.status();
                    // An edge that somebody else's read made void.
                    if status & 1 == 0 {
                        continue;
                    }
                    assert_eq!(status & 0x20 != 0, of_mouse, "{order:#x}");
                    let byte = rig.read();
                    if of_mouse {
                        *pointer += 1;
                    } else {
                        keys.push(byte);
                    }
                    edges.follow(&rig.interrupts);
                }
            }
        };
        for step in 0..5 {
            match (order >> (2 * step)) & 3 {
                0 => {
                    rig.key(0x1e, true);
                    rig.key(0x1e, false);
                    expected.extend([0x1e, 0x9e]);
                }
                1 => {
                    rig.controller.take_input(InputEvent::Motion {
                        x: 3,
                        y: 1,
                        buttons: Buttons::default(),
                    });
                    moved += 1;
                }
                2 => handle(&mut rig, &mut edges, &mut keys, &mut pointer),
                _ => {
                    rig.command(0xad);
                    rig.command(0x60);
                    rig.data(0x46);
                    handle(&mut rig, &mut edges, &mut keys, &mut pointer);
                    rig.command(0x60);
                    rig.data(0x47);
                    rig.command(0xae);
                }
            }
        }
        for _ in 0..100 {
            handle(&mut rig, &mut edges, &mut keys, &mut pointer);
        }
        assert_eq!(keys, expected, "{order:#x}");
        assert!(moved == 0 || pointer > 0, "{order:#x}");
        assert_eq!(rig.status() & 1, 0, "{order:#x}: nothing is left");
    }
}
