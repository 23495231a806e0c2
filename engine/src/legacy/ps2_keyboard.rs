//! A PS/2 keyboard of 101 keys and more, as the controller sees it over its wire.
//!
//! IBM PS/2 Hardware Interface Technical Reference, "101- and 102-Key Keyboard". It speaks scan code sets 1, 2 and 3; in set 3 it
//! can be told of each key whether it repeats and tells of its release. It does not repeat keys by itself, because whoever presses
//! them does.

use std::collections::VecDeque;

use super::scan_codes::{is_set_3, to_set_2, to_set_3};
use crate::input::{Lights, ScanCode};

const ACKNOWLEDGE: u8 = 0xfa;
const RESEND: u8 = 0xfe;
const ECHO: u8 = 0xee;
const SELF_TEST_PASSED: u8 = 0xaa;
const IDENTITY: [u8; 2] = [0xab, 0x83];
/// The bytes of keys that the keyboard holds for a system that does not fetch them.
const KEY_BUFFER: usize = 16;

const EXTENDED: u8 = 0xe0;
const RELEASE: u8 = 0xf0;

const LEFT_SHIFT: u8 = 0x2a;
const RIGHT_SHIFT: u8 = 0x36;
const CONTROL: u8 = 0x1d;
const ALT: u8 = 0x38;
const SCROLL_LOCK: u8 = 0x46;
const SYSTEM_REQUEST: u8 = 0x54;
const PRINT_SCREEN: ScanCode = ScanCode(0xb7);
const PAUSE: ScanCode = ScanCode(0xc6);
/// Pause sends this when pressed and nothing when released.
const PAUSE_SET_1: [u8; 6] = [0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5];
const PAUSE_SET_2: [u8; 8] = [0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77];

/// What a key does in set 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct KeyType {
    /// It sends its code again and again while it is held.
    repeats: bool,
    /// It tells of its release.
    breaks: bool,
}

const TYPEMATIC: KeyType = KeyType {
    repeats: true,
    breaks: false,
};
const MAKE_BREAK: KeyType = KeyType {
    repeats: false,
    breaks: true,
};
const MAKE: KeyType = KeyType {
    repeats: false,
    breaks: false,
};
const TYPEMATIC_MAKE_BREAK: KeyType = KeyType {
    repeats: true,
    breaks: true,
};

/// In set 3, by its codes: Caps Lock, Shift, Ctrl and Alt of the left, the right Shift, the Windows and menu keys.
const DEFAULT_MAKE_BREAK: &[u8] = &[0x14, 0x12, 0x11, 0x19, 0x59, 0x8b, 0x8c, 0x8d];
/// Esc and the function keys, the locks, Print Screen, Pause; Alt and Ctrl of the right; the keys between letters and keypad but
/// Delete and the arrows; the keypad but its plus.
const DEFAULT_MAKE: &[u8] = &[
    0x08, 0x07, 0x0f, 0x17, 0x1f, 0x27, 0x2f, 0x37, 0x3f, 0x47, 0x4f, 0x56, 0x5e, 0x57, 0x5f,
    0x62, //
    0x39, 0x58, 0x67, 0x6e, 0x65, 0x6f, 0x6d, //
    0x76, 0x6c, 0x6b, 0x69, 0x77, 0x75, 0x73, 0x72, 0x70, 0x7e, 0x7d, 0x74, 0x7a, 0x71, 0x84, 0x79,
];

/// The types of all keys by their set 3 codes, as after power-on.
fn default_types() -> [KeyType; 256] {
    let mut types = [TYPEMATIC; 256];
    for (codes, key_type) in [(DEFAULT_MAKE_BREAK, MAKE_BREAK), (DEFAULT_MAKE, MAKE)] {
        for code in codes {
            types[usize::from(*code)] = key_type;
        }
    }
    types
}

/// The type that a command of 0xF7 to 0xFD gives to all keys or to those that it names.
fn type_of_command(command: u8) -> KeyType {
    match command {
        0xf7 | 0xfb => TYPEMATIC,
        0xf8 | 0xfc => MAKE_BREAK,
        0xfa => TYPEMATIC_MAKE_BREAK,
        _ => MAKE,
    }
}

/// One make or break code: a set 1 code without its highest bit, whether it has the prefix 0xE0, and whether it is a release.
type Stroke = (bool, u8, bool);

/// The keyboard.
pub(super) struct Ps2Keyboard {
    lights_changed: Box<dyn FnMut(Lights) + Send>,
    /// Answers to commands: they go before keys.
    answers: VecDeque<u8>,
    keys: VecDeque<u8>,
    /// The command whose argument is awaited.
    awaiting: Option<u8>,
    scanning: bool,
    scan_code_set: u8,
    /// By the codes of set 3.
    types: [KeyType; 256],
    /// The keys of set 3 that are down.
    down: [bool; 256],
    last_sent: u8,
    lights: Lights,
    /// The set 1 codes (with the bit of the prefix) of Shift, Ctrl and Alt keys that are held.
    held: Vec<u8>,
    /// What the Print Screen key that is held was when it went down, for its release.
    print_screen: Option<Vec<Stroke>>,
}

impl Ps2Keyboard {
    pub(super) fn new(lights_changed: Box<dyn FnMut(Lights) + Send>) -> Self {
        Self {
            lights_changed,
            answers: VecDeque::new(),
            keys: VecDeque::new(),
            awaiting: None,
            scanning: true,
            scan_code_set: 2,
            types: default_types(),
            down: [false; 256],
            last_sent: 0,
            lights: Lights::default(),
            held: Vec::new(),
            print_screen: None,
        }
    }

    /// As after power-on.
    pub(super) fn reset(&mut self) {
        self.set_defaults();
        self.scanning = true;
        self.answers.clear();
        self.last_sent = 0;
        self.held.clear();
        self.down = [false; 256];
        self.print_screen = None;
    }

    fn set_defaults(&mut self) {
        self.keys.clear();
        self.awaiting = None;
        self.scan_code_set = 2;
        self.types = default_types();
        self.set_lights(Lights::default());
    }

    fn set_lights(&mut self, lights: Lights) {
        if lights != self.lights {
            self.lights = lights;
            (self.lights_changed)(lights);
        }
    }

    /// The next byte that the keyboard sends, if it has any.
    pub(super) fn send(&mut self) -> Option<u8> {
        let byte = match self.answers.pop_front() {
            Some(answer) => answer,
            // It scans no keys while it waits for an argument.
            None if self.awaiting.is_some() => return None,
            None => self.keys.pop_front()?,
        };
        self.last_sent = byte;
        Some(byte)
    }

    /// The keyboard receives a byte from the system.
    pub(super) fn receive(&mut self, byte: u8) {
        // Whatever it had still to answer is void.
        self.answers.clear();
        match self.awaiting.take() {
            Some(command @ 0xfb..=0xfd) if is_set_3(byte) => {
                self.types[usize::from(byte)] = type_of_command(command);
                // More may follow, until a byte comes that is no key's.
                self.awaiting = Some(command);
                self.answers.push_back(ACKNOWLEDGE);
            }
            Some(command @ (0xed | 0xf0 | 0xf3)) if byte < 0x80 => self.argument(command, byte),
            _ => self.command(byte),
        }
    }

    fn command(&mut self, byte: u8) {
        match byte {
            0xee => {
                self.answers.push_back(ECHO);
                return;
            }
            0xfe => {
                self.answers.push_back(self.last_sent);
                return;
            }
            0xed | 0xf0 | 0xf3 => self.awaiting = Some(byte),
            0xf2 => {
                self.answers.push_back(ACKNOWLEDGE);
                self.answers.extend(IDENTITY);
                return;
            }
            0xf4 => {
                self.keys.clear();
                self.scanning = true;
            }
            0xf5 => {
                self.set_defaults();
                self.scanning = false;
            }
            0xf6 => {
                self.set_defaults();
                self.scanning = true;
            }
            0xf7..=0xfa => {
                self.keys.clear();
                self.types = [type_of_command(byte); 256];
            }
            0xfb..=0xfd => {
                self.keys.clear();
                self.awaiting = Some(byte);
            }
            0xff => {
                self.reset();
                self.answers.push_back(ACKNOWLEDGE);
                self.answers.push_back(SELF_TEST_PASSED);
                return;
            }
            _ => {
                self.answers.push_back(RESEND);
                return;
            }
        }
        self.answers.push_back(ACKNOWLEDGE);
    }

    fn argument(&mut self, command: u8, byte: u8) {
        self.answers.push_back(ACKNOWLEDGE);
        match (command, byte) {
            (0xed, _) => self.set_lights(Lights {
                scroll_lock: byte & 1 != 0,
                num_lock: byte & 2 != 0,
                caps_lock: byte & 4 != 0,
            }),
            (0xf0, 0) => self.answers.push_back(self.scan_code_set),
            (0xf0, 1..=3) => {
                self.keys.clear();
                self.scan_code_set = byte;
            }
            // A set that there is not, or how fast keys repeat.
            _ => {}
        }
    }

    /// A key goes down or up.
    pub(super) fn key(&mut self, code: ScanCode, down: bool) {
        let strokes = self.strokes(code, down);
        self.follow_modifiers(code, down);
        let set_3 = self.in_set_3(code, down);
        if !self.scanning {
            return;
        }
        let bytes: Vec<u8> = match strokes {
            _ if self.scan_code_set == 3 => set_3,
            Some(strokes) => strokes
                .iter()
                .flat_map(|stroke| self.encode(*stroke))
                .collect(),
            None if self.scan_code_set == 1 => PAUSE_SET_1.to_vec(),
            None => PAUSE_SET_2.to_vec(),
        };
        if self.keys.len() + bytes.len() <= KEY_BUFFER {
            self.keys.extend(bytes);
        } else if self.keys.len() <= KEY_BUFFER {
            // The place beyond the last is for the overrun code.
            let overrun = if self.scan_code_set == 1 { 0xff } else { 0x00 };
            if self.keys.back() != Some(&overrun) {
                self.keys.push_back(overrun);
            }
        }
    }

    /// What a key sends in set 3.
    fn in_set_3(&mut self, code: ScanCode, down: bool) -> Vec<u8> {
        let Some(key) = to_set_3(code.0 & 0x80 != 0, code.0 & 0x7f) else {
            return Vec::new();
        };
        let was_down = std::mem::replace(&mut self.down[usize::from(key)], down);
        let key_type = self.types[usize::from(key)];
        match (down, was_down) {
            (true, true) if !key_type.repeats => Vec::new(),
            (true, _) => vec![key],
            (false, _) if key_type.breaks => vec![RELEASE, key],
            (false, _) => Vec::new(),
        }
    }

    /// What a key sends in sets 1 and 2; `None` is the sequence of Pause.
    fn strokes(&mut self, code: ScanCode, down: bool) -> Option<Vec<Stroke>> {
        let plain = vec![(code.0 & 0x80 != 0, code.0 & 0x7f, !down)];
        match code {
            PAUSE if self.is_held(CONTROL) && down => {
                Some(vec![(true, SCROLL_LOCK, false), (true, SCROLL_LOCK, true)])
            }
            PAUSE if down => None,
            PAUSE => Some(Vec::new()),
            PRINT_SCREEN if down => {
                let pressed = self
                    .print_screen
                    .get_or_insert_with(|| Vec::with_capacity(2));
                if pressed.is_empty() {
                    let held = |code: u8| self.held.iter().any(|held| held & 0x7f == code);
                    *pressed = if held(ALT) {
                        vec![(false, SYSTEM_REQUEST, false)]
                    } else if held(CONTROL) || held(LEFT_SHIFT) || held(RIGHT_SHIFT) {
                        plain
                    } else {
                        vec![
                            (true, LEFT_SHIFT, false),
                            (true, PRINT_SCREEN.0 & 0x7f, false),
                        ]
                    };
                }
                Some(pressed.clone())
            }
            PRINT_SCREEN => Some(self.print_screen.take().map_or(plain, |pressed| {
                pressed
                    .into_iter()
                    .rev()
                    .map(|(extended, code, _)| (extended, code, true))
                    .collect()
            })),
            _ => Some(plain),
        }
    }

    fn is_held(&self, code: u8) -> bool {
        self.held.iter().any(|held| held & 0x7f == code)
    }

    fn follow_modifiers(&mut self, code: ScanCode, down: bool) {
        if !matches!(code.0 & 0x7f, LEFT_SHIFT | RIGHT_SHIFT | CONTROL | ALT) {
            return;
        }
        self.held.retain(|held| *held != code.0);
        if down {
            self.held.push(code.0);
        }
    }

    fn encode(&self, (extended, code, release): Stroke) -> impl Iterator<Item = u8> + use<> {
        let prefix = extended.then_some(EXTENDED);
        let (release, code) = if self.scan_code_set == 1 {
            let code = (code != 0).then_some(code | if release { 0x80 } else { 0 });
            (None, code)
        } else {
            (release.then_some(RELEASE), to_set_2(code))
        };
        // A number that is no key sends nothing, its prefixes included.
        code.into_iter()
            .flat_map(move |code| prefix.into_iter().chain(release).chain([code]))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    fn keyboard() -> Ps2Keyboard {
        Ps2Keyboard::new(Box::new(|_| {}))
    }

    fn sent(keyboard: &mut Ps2Keyboard) -> Vec<u8> {
        std::iter::from_fn(|| keyboard.send()).collect()
    }

    fn pressed(keyboard: &mut Ps2Keyboard, code: u8, down: bool) -> Vec<u8> {
        keyboard.key(ScanCode(code), down);
        sent(keyboard)
    }

    fn told(keyboard: &mut Ps2Keyboard, bytes: &[u8]) -> Vec<u8> {
        let mut answer = Vec::new();
        for byte in bytes {
            keyboard.receive(*byte);
            answer.extend(sent(keyboard));
        }
        answer
    }

    #[test]
    fn keys_send_set_2() {
        let mut keyboard = keyboard();
        assert_eq!(pressed(&mut keyboard, 0x1e, true), [0x1c]);
        assert_eq!(pressed(&mut keyboard, 0x1e, false), [0xf0, 0x1c]);
        assert_eq!(pressed(&mut keyboard, 0xc8, true), [0xe0, 0x75]);
        assert_eq!(pressed(&mut keyboard, 0xc8, false), [0xe0, 0xf0, 0x75]);
        assert_eq!(pressed(&mut keyboard, 0x00, true), [0_u8; 0]);
        assert_eq!(pressed(&mut keyboard, 0x80, false), [0_u8; 0]);
    }

    #[test]
    fn keys_send_set_1_when_asked_for() {
        let mut keyboard = keyboard();
        assert_eq!(told(&mut keyboard, &[0xf0, 0x01]), [0xfa, 0xfa]);
        assert_eq!(told(&mut keyboard, &[0xf0, 0x00]), [0xfa, 0xfa, 0x01]);
        assert_eq!(pressed(&mut keyboard, 0x1e, true), [0x1e]);
        assert_eq!(pressed(&mut keyboard, 0x9d, false), [0xe0, 0x9d]);
        assert_eq!(pressed(&mut keyboard, 0xc6, true), PAUSE_SET_1);
        assert_eq!(told(&mut keyboard, &[0xf0, 0x04]), [0xfa, 0xfa]);
        assert_eq!(told(&mut keyboard, &[0xf0, 0x00]), [0xfa, 0xfa, 0x01]);
    }

    #[test]
    fn in_set_3_each_key_does_what_it_was_told() {
        let mut keyboard = keyboard();
        assert_eq!(told(&mut keyboard, &[0xf0, 0x03]), [0xfa, 0xfa]);
        assert_eq!(told(&mut keyboard, &[0xf0, 0x00]), [0xfa, 0xfa, 0x03]);
        // Held so that it repeats, then released: A (typematic), the left Shift (make and break), F1 and Pause (make).
        let pressed_twice = |keyboard: &mut Ps2Keyboard, code| {
            [true, true, false].map(|down| pressed(keyboard, code, down))
        };
        for (code, expected) in [
            (0x1e, [&[0x1c][..], &[0x1c], &[]]),
            (0x2a, [&[0x12], &[], &[0xf0, 0x12]]),
            (0x3b, [&[0x07], &[], &[]]),
            (0xc6, [&[0x62], &[], &[]]),
            (0xc8, [&[0x63], &[0x63], &[]]),
            (0x55, [&[], &[], &[]]),
        ] {
            assert_eq!(pressed_twice(&mut keyboard, code), expected, "{code:#x}");
        }
        // One by one: A is to make and break, F1 to repeat, the minus of the keypad (0x84) to make. A command ends the list.
        let list = [0xfc, 0x1c, 0xfb, 0x07, 0xfd, 0x84, 0x1b, 0xf4];
        assert_eq!(told(&mut keyboard, &list), [0xfa; 8]);
        for (code, expected) in [
            (0x1e, [&[0x1c][..], &[], &[0xf0, 0x1c]]),
            (0x3b, [&[0x07], &[0x07], &[]]),
            (0x4a, [&[0x84], &[], &[]]),
            (0x1f, [&[0x1b], &[], &[]]),
        ] {
            assert_eq!(pressed_twice(&mut keyboard, code), expected, "{code:#x}");
        }
        // All at once, whichever set is spoken.
        for (command, expected) in [
            (0xf7, [&[0x1c][..], &[0x1c], &[]]),
            (0xf8, [&[0x1c], &[], &[0xf0, 0x1c]]),
            (0xf9, [&[0x1c], &[], &[]]),
            (0xfa, [&[0x1c], &[0x1c], &[0xf0, 0x1c]]),
        ] {
            let bytes = [0xf0, 0x02, command, 0xf0, 0x03];
            assert_eq!(told(&mut keyboard, &bytes), [0xfa; 5]);
            assert_eq!(pressed_twice(&mut keyboard, 0x1e), expected, "{command:#x}");
        }
        assert_eq!(told(&mut keyboard, &[0xf6, 0xf0, 0x03]), [0xfa; 3]);
        let expected = [&[0x1c][..], &[0x1c], &[]];
        assert_eq!(pressed_twice(&mut keyboard, 0x1e), expected, "defaults");
    }

    #[test]
    fn no_keys_come_while_the_list_of_keys_is_open() {
        let mut keyboard = keyboard();
        assert_eq!(told(&mut keyboard, &[0xfc, 0x1c]), [0xfa, 0xfa]);
        assert_eq!(pressed(&mut keyboard, 0x1e, true), [0_u8; 0]);
        keyboard.receive(0xee);
        assert_eq!(sent(&mut keyboard), [0xee, 0x1c], "the key was kept");
    }

    #[test]
    fn pause_and_print_screen_have_sequences_of_their_own() {
        let mut keyboard = keyboard();
        assert_eq!(pressed(&mut keyboard, 0xc6, true), PAUSE_SET_2);
        assert_eq!(pressed(&mut keyboard, 0xc6, false), [0_u8; 0]);
        assert_eq!(pressed(&mut keyboard, 0xb7, true), [0xe0, 0x12, 0xe0, 0x7c]);
        assert_eq!(
            pressed(&mut keyboard, 0xb7, false),
            [0xe0, 0xf0, 0x7c, 0xe0, 0xf0, 0x12]
        );
        pressed(&mut keyboard, 0x9d, true);
        assert_eq!(pressed(&mut keyboard, 0xb7, true), [0xe0, 0x7c]);
        assert_eq!(
            pressed(&mut keyboard, 0xc6, true),
            [0xe0, 0x7e, 0xe0, 0xf0, 0x7e],
            "Break"
        );
        pressed(&mut keyboard, 0x9d, false);
        assert_eq!(pressed(&mut keyboard, 0xb7, false), [0xe0, 0xf0, 0x7c]);
        pressed(&mut keyboard, 0x38, true);
        assert_eq!(pressed(&mut keyboard, 0xb7, true), [0x84]);
        assert_eq!(pressed(&mut keyboard, 0xb7, false), [0xf0, 0x84]);
    }

    #[test]
    fn commands_are_answered() {
        let mut keyboard = keyboard();
        for (bytes, answer) in [
            (&[0xff][..], &[0xfa, 0xaa][..]),
            (&[0xf5], &[0xfa]),
            (&[0xf0, 0x02], &[0xfa, 0xfa]),
            (&[0xf0, 0x00], &[0xfa, 0xfa, 0x02]),
            (&[0xf2], &[0xfa, 0xab, 0x83]),
            (&[0xfe], &[0x83]),
            (&[0xee], &[0xee]),
            (&[0xf3, 0x20], &[0xfa, 0xfa]),
            (&[0xed, 0xf4], &[0xfa, 0xfa]),
            (&[0x00], &[0xfe]),
            (&[0xef], &[0xfe]),
        ] {
            assert_eq!(told(&mut keyboard, bytes), answer, "{bytes:x?}");
        }
    }

    #[test]
    fn a_disabled_keyboard_sends_no_keys() {
        let mut keyboard = keyboard();
        keyboard.key(ScanCode(0x1e), true);
        assert_eq!(
            told(&mut keyboard, &[0xf5]),
            [0xfa],
            "and forgets those it held"
        );
        assert_eq!(pressed(&mut keyboard, 0x1e, true), [0_u8; 0]);
        assert_eq!(told(&mut keyboard, &[0xf4]), [0xfa]);
        assert_eq!(pressed(&mut keyboard, 0x1e, true), [0x1c]);
    }

    #[test]
    fn lights_are_told_when_they_change() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = seen.clone();
        let mut keyboard = Ps2Keyboard::new(Box::new(move |lights| sink.lock().push(lights)));
        told(&mut keyboard, &[0xed, 0x06, 0xed, 0x06, 0xff]);
        assert_eq!(
            *seen.lock(),
            [
                Lights {
                    num_lock: true,
                    caps_lock: true,
                    scroll_lock: false,
                },
                Lights::default()
            ]
        );
    }

    #[test]
    fn a_full_buffer_ends_in_one_overrun_code() {
        let mut keyboard = keyboard();
        for _ in 0..100 {
            keyboard.key(ScanCode(0x1e), true);
        }
        let bytes = sent(&mut keyboard);
        assert_eq!(bytes.len(), 17);
        assert_eq!((bytes[15], bytes[16]), (0x1c, 0x00));
        assert_eq!(pressed(&mut keyboard, 0x1e, true), [0x1c], "and recovers");
    }

    #[test]
    fn anything_may_be_sent_and_pressed() {
        let mut keyboard = keyboard();
        for round in 0..4 {
            for byte in 0..=255 {
                keyboard.receive(byte);
                keyboard.receive(byte ^ round);
                keyboard.key(ScanCode(byte), round & 1 == 0);
                if round > 1 {
                    keyboard.send();
                }
            }
        }
        assert!(keyboard.keys.len() <= KEY_BUFFER + 1 && keyboard.answers.len() <= 3);
        assert!(keyboard.held.len() <= 8);
    }
}
