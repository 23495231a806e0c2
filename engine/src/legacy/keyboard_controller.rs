//! The keyboard and mouse controller, Intel 8042 as the PS/2 has it: ports 0x60 (data) and 0x64 (status and command), interrupts
//! 1 and 12, and behind it a keyboard and a mouse.
//!
//! IBM PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device Controller". There is one output buffer: the
//! next byte comes into it when the one before has been read, first the controller's own answers, then the keyboard's bytes,
//! then the mouse's, each only while its device is enabled. The line A20 of its output port reads as it was written and masks
//! nothing.

use parking_lot::Mutex;

use super::ByteDevice;
use super::ps2_keyboard::Ps2Keyboard;
use super::ps2_mouse::Ps2Mouse;
use super::scan_codes::to_set_1;
use crate::bus::{Action, InterruptLine, IoError, IoResult};
use crate::input::{InputEvent, InputSink, Lights};

const DATA_PORT: u16 = 0x60;
const COMMAND_PORT: u16 = 0x64;

const STATUS_OUTPUT_FULL: u8 = 1 << 0;
const STATUS_SYSTEM: u8 = 1 << 2;
const STATUS_LAST_WAS_COMMAND: u8 = 1 << 3;
const STATUS_UNLOCKED: u8 = 1 << 4;
const STATUS_OUTPUT_IS_MOUSE: u8 = 1 << 5;

const MODE_KEYBOARD_INTERRUPT: u8 = 1 << 0;
const MODE_MOUSE_INTERRUPT: u8 = 1 << 1;
const MODE_SYSTEM: u8 = 1 << 2;
const MODE_KEYBOARD_DISABLED: u8 = 1 << 4;
const MODE_MOUSE_DISABLED: u8 = 1 << 5;
const MODE_TRANSLATE: u8 = 1 << 6;
const MODE_POWER_ON: u8 = MODE_KEYBOARD_INTERRUPT | MODE_MOUSE_INTERRUPT;

const OUTPUT_PORT_NO_RESET: u8 = 1 << 0;
const OUTPUT_PORT_A20: u8 = 1 << 1;
/// No reset, A20 open, both wires at rest.
const OUTPUT_PORT_POWER_ON: u8 = 0xcf;
/// The keyboard is not locked.
const INPUT_PORT: u8 = 0x80;

const SELF_TEST_PASSED: u8 = 0x55;
const NO_PASSWORD: u8 = 0xf1;
/// A wire's test found nothing wrong.
const WIRE_GOOD: u8 = 0x00;
const RELEASE: u8 = 0xf0;

/// Which device a byte in the output buffer belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Keyboard,
    Mouse,
}

/// The controller with its keyboard and mouse.
///
/// It belongs on the port bus at [`KeyboardController::PORTS`], and, inside its lock, is an [`InputSink`].
pub struct KeyboardController {
    keyboard: Ps2Keyboard,
    mouse: Ps2Mouse,
    keyboard_interrupt: InterruptLine,
    mouse_interrupt: InterruptLine,
    /// The controller's own memory; its first byte is the mode ("command byte").
    memory: [u8; 32],
    status: u8,
    output: Option<Source>,
    /// The byte in the output buffer, which stays readable when it has been read.
    data: u8,
    /// The controller's own answer, waiting for the output buffer.
    answer: Option<(u8, Source)>,
    /// The command whose argument the next write to the data port is.
    awaiting: Option<u8>,
    output_port: u8,
    /// The release prefix of set 2 went by: the next code gets its highest bit set.
    release: bool,
}

impl KeyboardController {
    /// The ports to map it at.
    pub const PORTS: [u16; 2] = [DATA_PORT, COMMAND_PORT];

    /// A controller as after power-on. The lines are those of ISA interrupts 1 and 12; `lights_changed` is called, with the
    /// controller's lock held, when the guest switches the keyboard's lights, and must not wait.
    pub fn new(
        keyboard_interrupt: InterruptLine,
        mouse_interrupt: InterruptLine,
        lights_changed: impl FnMut(Lights) + Send + 'static,
    ) -> Self {
        let mut memory = [0; 32];
        memory[0] = MODE_POWER_ON;
        Self {
            keyboard: Ps2Keyboard::new(Box::new(lights_changed)),
            mouse: Ps2Mouse::new(),
            keyboard_interrupt,
            mouse_interrupt,
            memory,
            status: STATUS_UNLOCKED | STATUS_LAST_WAS_COMMAND,
            output: None,
            data: 0,
            answer: None,
            awaiting: None,
            output_port: OUTPUT_PORT_POWER_ON,
            release: false,
        }
    }

    /// As after power-on, keyboard and mouse included.
    pub fn reset(&mut self) {
        self.keyboard.reset();
        self.mouse.reset();
        self.memory = [0; 32];
        self.memory[0] = MODE_POWER_ON;
        self.status = STATUS_UNLOCKED | STATUS_LAST_WAS_COMMAND;
        self.output = None;
        self.data = 0;
        self.answer = None;
        self.awaiting = None;
        self.output_port = OUTPUT_PORT_POWER_ON;
        self.release = false;
        self.refill();
    }

    /// The guest's picture is so many pixels wide and high: how far the mouse is moved for a pointer that goes across it.
    pub fn set_screen_size(&mut self, width: u32, height: u32) {
        self.mouse.set_screen_size(width, height);
    }

    /// A person does something.
    pub fn take_input(&mut self, event: InputEvent) {
        match event {
            InputEvent::Key { code, down } => self.keyboard.key(code, down),
            InputEvent::Motion { x, y, buttons } => self.mouse.move_by(x, y, buttons),
            InputEvent::Position { x, y, buttons } => self.mouse.move_to(x, y, buttons),
            InputEvent::Wheel { notches } => self.mouse.turn_wheel(notches),
        }
        self.refill();
    }

    fn is_mode(&self, bit: u8) -> bool {
        self.memory[0] & bit != 0
    }

    fn set_mode(&mut self, bit: u8, on: bool) {
        if on {
            self.memory[0] |= bit;
        } else {
            self.memory[0] &= !bit;
        }
    }

    /// The next byte from the keyboard, translated if that is switched on.
    fn next_of_keyboard(&mut self) -> Option<u8> {
        loop {
            let byte = self.keyboard.send()?;
            if !self.is_mode(MODE_TRANSLATE) {
                return Some(byte);
            }
            if byte == RELEASE {
                self.release = true;
                continue;
            }
            let code = to_set_1(byte);
            return Some(if std::mem::take(&mut self.release) {
                code | 0x80
            } else {
                code
            });
        }
    }

    /// Brings the next byte into the output buffer, if it is empty, and the interrupt lines to what the buffer holds.
    fn refill(&mut self) {
        if self.output.is_none() {
            let next = self.answer.take().or_else(|| {
                (!self.is_mode(MODE_KEYBOARD_DISABLED))
                    .then(|| self.next_of_keyboard())
                    .flatten()
                    .map(|byte| (byte, Source::Keyboard))
            });
            let next = next.or_else(|| {
                (!self.is_mode(MODE_MOUSE_DISABLED))
                    .then(|| self.mouse.send())
                    .flatten()
                    .map(|byte| (byte, Source::Mouse))
            });
            if let Some((byte, source)) = next {
                self.data = byte;
                self.output = Some(source);
            }
        }
        self.keyboard_interrupt.set_level(
            self.output == Some(Source::Keyboard) && self.is_mode(MODE_KEYBOARD_INTERRUPT),
        );
        self.mouse_interrupt
            .set_level(self.output == Some(Source::Mouse) && self.is_mode(MODE_MOUSE_INTERRUPT));
    }

    fn read_data(&mut self) -> u8 {
        let data = self.data;
        if self.output.take().is_some() {
            // The lines fall before the next byte raises them, so that an edge is seen for each.
            self.keyboard_interrupt.set_level(false);
            self.mouse_interrupt.set_level(false);
            self.refill();
        }
        data
    }

    fn status(&self) -> u8 {
        self.status
            | match self.output {
                None => 0,
                Some(Source::Keyboard) => STATUS_OUTPUT_FULL,
                Some(Source::Mouse) => STATUS_OUTPUT_FULL | STATUS_OUTPUT_IS_MOUSE,
            }
    }

    fn answer(&mut self, byte: u8) {
        self.answer = Some((byte, Source::Keyboard));
    }

    fn command(&mut self, command: u8) -> Option<Action> {
        self.status |= STATUS_LAST_WAS_COMMAND;
        self.awaiting = None;
        match command {
            0x20..=0x3f => self.answer(self.memory[usize::from(command & 0x1f)]),
            0x60..=0x7f | 0xd1..=0xd4 => self.awaiting = Some(command),
            0xa4 => self.answer(NO_PASSWORD),
            0xa7 => self.set_mode(MODE_MOUSE_DISABLED, true),
            0xa8 => self.set_mode(MODE_MOUSE_DISABLED, false),
            0xa9 | 0xab => self.answer(WIRE_GOOD),
            0xaa => {
                self.status |= STATUS_SYSTEM;
                self.answer(SELF_TEST_PASSED);
            }
            0xad => self.set_mode(MODE_KEYBOARD_DISABLED, true),
            0xae => self.set_mode(MODE_KEYBOARD_DISABLED, false),
            0xc0 => self.answer(INPUT_PORT),
            0xd0 => self.answer(self.output_port),
            0xdd => self.output_port &= !OUTPUT_PORT_A20,
            0xdf => self.output_port |= OUTPUT_PORT_A20,
            0xe0 => self.answer(0),
            // Bits that are 0 pulse low: the lowest is the processor's reset.
            0xf0..=0xff if command & OUTPUT_PORT_NO_RESET == 0 => return Some(Action::Reset),
            _ => {}
        }
        self.refill();
        None
    }

    fn write_data(&mut self, data: u8) -> Option<Action> {
        self.status &= !STATUS_LAST_WAS_COMMAND;
        match self.awaiting.take() {
            None => {
                // What is sent to the keyboard opens its wire again.
                self.set_mode(MODE_KEYBOARD_DISABLED, false);
                self.release = false;
                self.keyboard.receive(data);
            }
            Some(0xd1) => {
                self.output_port = data;
                if data & OUTPUT_PORT_NO_RESET == 0 {
                    return Some(Action::Reset);
                }
            }
            Some(0xd2) => self.answer = Some((data, Source::Keyboard)),
            Some(0xd3) => self.answer = Some((data, Source::Mouse)),
            Some(0xd4) => {
                self.set_mode(MODE_MOUSE_DISABLED, false);
                self.mouse.receive(data);
            }
            Some(command) => {
                self.memory[usize::from(command & 0x1f)] = data;
                if command == 0x60 {
                    self.status = self.status & !STATUS_SYSTEM | data & MODE_SYSTEM;
                }
            }
        }
        self.refill();
        None
    }
}

impl ByteDevice for KeyboardController {
    fn read_byte(&mut self, port: u16) -> IoResult<u8> {
        match port {
            DATA_PORT => Ok(self.read_data()),
            COMMAND_PORT => Ok(self.status()),
            _ => Err(IoError::Unmapped),
        }
    }

    fn write_byte(&mut self, port: u16, value: u8) -> IoResult<Option<Action>> {
        match port {
            DATA_PORT => Ok(self.write_data(value)),
            COMMAND_PORT => Ok(self.command(value)),
            _ => Err(IoError::Unmapped),
        }
    }
}

impl InputSink for Mutex<KeyboardController> {
    fn input(&self, event: InputEvent) {
        self.lock().take_input(event);
    }
}

#[cfg(test)]
#[path = "keyboard_controller_tests.rs"]
mod tests;
