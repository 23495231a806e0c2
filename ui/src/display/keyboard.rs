//! Keys by their position, from the toolkit's keycodes to the protocol's keysyms.
//!
//! The toolkit numbers keys as the kernel does (linux/input-event-codes.h), plus 8. The protocol names what a key means, so each
//! key is sent as what it means on a US keyboard without Shift, from which the engine gets back its position: the layout of this
//! computer does not matter, and the guest's own gives the key its meaning.

use std::collections::BTreeSet;

use guesthouse_engine::{input::ScanCode, remote::us_keysym};

use crate::settings::ReleaseKeys;

/// What the toolkit adds to the kernel's number.
const OFFSET: u32 = 8;

/// The kernel's numbers beyond those that are scan codes themselves, and the scan codes of set 1 (bit 7 for the prefix 0xE0).
const OTHER_KEYS: &[(u32, u8)] = &[
    (86, 0x56),  // 102ND
    (87, 0x57),  // F11
    (88, 0x58),  // F12
    (89, 0x73),  // RO
    (92, 0x79),  // HENKAN
    (93, 0x70),  // KATAKANAHIRAGANA
    (94, 0x7b),  // MUHENKAN
    (96, 0x9c),  // KPENTER
    (97, 0x9d),  // RIGHTCTRL
    (98, 0xb5),  // KPSLASH
    (99, 0xb7),  // SYSRQ
    (100, 0xb8), // RIGHTALT
    (102, 0xc7), // HOME
    (103, 0xc8), // UP
    (104, 0xc9), // PAGEUP
    (105, 0xcb), // LEFT
    (106, 0xcd), // RIGHT
    (107, 0xcf), // END
    (108, 0xd0), // DOWN
    (109, 0xd1), // PAGEDOWN
    (110, 0xd2), // INSERT
    (111, 0xd3), // DELETE
    (113, 0xa0), // MUTE
    (114, 0xae), // VOLUMEDOWN
    (115, 0xb0), // VOLUMEUP
    (116, 0xde), // POWER
    (117, 0x59), // KPEQUAL
    (119, 0xc6), // PAUSE
    (121, 0x7e), // KPCOMMA
    (122, 0xf2), // HANGEUL
    (123, 0xf1), // HANJA
    (124, 0x7d), // YEN
    (125, 0xdb), // LEFTMETA
    (126, 0xdc), // RIGHTMETA
    (127, 0xdd), // COMPOSE
    (128, 0xe8), // STOP
    (140, 0xa1), // CALC
    (142, 0xdf), // SLEEP
    (143, 0xe3), // WAKEUP
    (155, 0xec), // MAIL
    (156, 0xe6), // BOOKMARKS
    (157, 0xeb), // COMPUTER
    (158, 0xea), // BACK
    (159, 0xe9), // FORWARD
    (163, 0x99), // NEXTSONG
    (164, 0xa2), // PLAYPAUSE
    (165, 0x90), // PREVIOUSSONG
    (166, 0xa4), // STOPCD
    (172, 0xb2), // HOMEPAGE
    (173, 0xe7), // REFRESH
    (183, 0x64), // F13
    (184, 0x65),
    (185, 0x66),
    (186, 0x67),
    (187, 0x68),
    (188, 0x69),
    (189, 0x6a),
    (190, 0x6b),
    (191, 0x6c),
    (192, 0x6d),
    (193, 0x6e), // F23
    (194, 0x76), // F24
    (217, 0xe5), // SEARCH
    (226, 0xed), // MEDIA
];

/// The position of the key that the toolkit calls `keycode`.
pub fn scan_code(keycode: u32) -> Option<ScanCode> {
    let key = keycode.checked_sub(OFFSET)?;
    match u8::try_from(key) {
        // ESC to KPDOT.
        Ok(code @ 1..=83) => Some(ScanCode(code)),
        _ => OTHER_KEYS
            .iter()
            .find_map(|(number, code)| (*number == key).then_some(ScanCode(*code))),
    }
}

const CONTROLS: [u8; 2] = [0x1d, 0x9d];
const ALTS: [u8; 2] = [0x38, 0xb8];
const SHIFTS: [u8; 2] = [0x2a, 0x36];

/// The keys that release the keyboard: one of each group.
fn groups(keys: ReleaseKeys) -> &'static [&'static [u8]] {
    match keys {
        ReleaseKeys::ControlAlt => &[&CONTROLS, &ALTS],
        ReleaseKeys::RightControl => &[&[0x9d]],
        ReleaseKeys::ControlShift => &[&CONTROLS, &SHIFTS],
    }
}

/// What a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyEvent {
    /// What it means on a US keyboard.
    pub keysym: u32,
    /// Down (also while it repeats) or up.
    pub down: bool,
}

/// The keys that are held in the viewer.
#[derive(Debug, Default)]
pub struct Keyboard {
    held: BTreeSet<u8>,
    /// Release keys, and nothing else, have been down since all keys were up.
    only_release_keys: bool,
    release_keys: ReleaseKeys,
}

impl Keyboard {
    /// From now on these keys release the keyboard.
    pub fn set_release_keys(&mut self, keys: ReleaseKeys) {
        self.release_keys = keys;
        self.only_release_keys = false;
    }

    /// A key went down, or repeats.
    pub fn press(&mut self, code: ScanCode) -> Option<KeyEvent> {
        let keysym = us_keysym(code)?;
        let mut keys = groups(self.release_keys).iter();
        let release_key = keys.any(|group| group.contains(&code.0));
        self.only_release_keys = release_key && (self.held.is_empty() || self.only_release_keys);
        self.held.insert(code.0);
        Some(KeyEvent { keysym, down: true })
    }

    /// A key went up; also tells whether the keyboard is to be released by it: the release keys were pressed together, and nothing
    /// else. So Ctrl+Alt+F2 reaches the guest.
    pub fn release(&mut self, code: ScanCode) -> (Option<KeyEvent>, bool) {
        let mut keys = groups(self.release_keys).iter();
        let all = keys.all(|group| group.iter().any(|key| self.held.contains(key)));
        let releases = all && self.only_release_keys;
        let event = self
            .held
            .remove(&code.0)
            .then(|| us_keysym(code))
            .flatten()
            .map(|keysym| KeyEvent {
                keysym,
                down: false,
            });
        (event, releases)
    }

    /// Lets go of everything.
    pub fn release_all(&mut self) -> Vec<KeyEvent> {
        std::mem::take(&mut self.held)
            .into_iter()
            .filter_map(|code| us_keysym(ScanCode(code)))
            .map(|keysym| KeyEvent {
                keysym,
                down: false,
            })
            .collect()
    }
}

/// A combination: all keys down in their order, then up in the opposite one.
pub fn combination(keys: &[ScanCode]) -> Vec<KeyEvent> {
    let event = |code: &ScanCode, down| us_keysym(*code).map(|keysym| KeyEvent { keysym, down });
    let down = keys.iter().filter_map(|code| event(code, true));
    let up = keys.iter().rev().filter_map(|code| event(code, false));
    down.chain(up).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTROL: ScanCode = ScanCode(0x1d);
    const ALT: ScanCode = ScanCode(0x38);

    #[test]
    fn every_key_can_be_sent_and_comes_back_as_itself() {
        let mut seen = BTreeSet::new();
        for keycode in 0..=0x2ff {
            if let Some(code) = scan_code(keycode) {
                let keysym = us_keysym(code);
                let back = keysym.and_then(guesthouse_engine::remote::scan_code);
                assert_eq!(back, Some((code, false)), "{keycode}");
                assert!(
                    seen.insert(code.0),
                    "{keycode} is a key that was there before"
                );
            }
        }
        assert!(seen.len() > 130);
    }

    #[test]
    fn keys_by_hand() {
        // Keycodes as xev shows them.
        for (keycode, keysym) in [
            (9, 0xff1b),
            (24, 0x71),
            (36, 0xff0d),
            (37, 0xffe3),
            (94, 0xa6),
            (95, 0xffc8),
            (104, 0xff8d),
            (111, 0xff52),
            (119, 0xffff),
            (133, 0xffeb),
        ] {
            assert_eq!(
                scan_code(keycode).and_then(us_keysym),
                Some(keysym),
                "{keycode}"
            );
        }
        for keycode in [0, 7, 8, 500, u32::MAX] {
            assert_eq!(scan_code(keycode), None);
        }
    }

    #[test]
    fn other_keys_release_when_a_person_wants_it() {
        const RIGHT_CONTROL: ScanCode = ScanCode(0x9d);
        const SHIFT: ScanCode = ScanCode(0x36);
        for (keys, releasing, others) in [
            (
                ReleaseKeys::RightControl,
                [RIGHT_CONTROL].as_slice(),
                [CONTROL, ALT].as_slice(),
            ),
            (
                ReleaseKeys::ControlShift,
                &[CONTROL, SHIFT],
                &[CONTROL, ALT],
            ),
        ] {
            let mut keyboard = Keyboard::default();
            keyboard.set_release_keys(keys);
            for (codes, expected) in [(releasing, true), (others, false), (releasing, true)] {
                for code in codes {
                    keyboard.press(*code);
                }
                let released: Vec<_> = codes.iter().map(|code| keyboard.release(*code).1).collect();
                assert_eq!(released.contains(&true), expected, "{keys:?} {codes:?}");
            }
            // With another key they are the guest's.
            keyboard.press(RIGHT_CONTROL);
            keyboard.press(SHIFT);
            keyboard.press(ScanCode(0x1e));
            for code in [ScanCode(0x1e), SHIFT, RIGHT_CONTROL] {
                assert!(!keyboard.release(code).1);
            }
        }
    }

    #[test]
    fn control_and_alt_release_unless_another_key_was_with_them() {
        for first_up in [CONTROL, ALT] {
            let mut keyboard = Keyboard::default();
            keyboard.press(ALT);
            keyboard.press(CONTROL);
            // Repeats.
            keyboard.press(CONTROL);
            assert!(keyboard.release(first_up).1);
        }
        let mut keyboard = Keyboard::default();
        for code in [CONTROL, ALT, ScanCode(0x3c)] {
            keyboard.press(code);
        }
        assert!(!keyboard.release(ScanCode(0x3c)).1);
        assert!(!keyboard.release(ALT).1);
        assert!(!keyboard.release(CONTROL).1);
        // One alone does not.
        keyboard.press(CONTROL);
        assert!(!keyboard.release(CONTROL).1);
        // Nor do they when another was held before.
        for code in [ScanCode(0x1e), CONTROL, ALT] {
            keyboard.press(code);
        }
        assert!(!keyboard.release(ALT).1);
    }

    #[test]
    fn what_is_held_is_let_go_of_once() {
        let mut keyboard = Keyboard::default();
        keyboard.press(ScanCode(0x1e));
        keyboard.press(CONTROL);
        let released = keyboard.release_all();
        assert_eq!(
            released
                .iter()
                .map(|event| event.keysym)
                .collect::<Vec<_>>(),
            [0xffe3, 0x61]
        );
        assert!(keyboard.release_all().is_empty());
        assert_eq!(keyboard.release(CONTROL), (None, false));
    }

    #[test]
    fn combinations() {
        let delete = ScanCode(0xd3);
        let events: Vec<_> = combination(&[CONTROL, ALT, delete])
            .iter()
            .map(|event| (event.keysym, event.down))
            .collect();
        assert_eq!(
            events,
            [
                (0xffe3, true),
                (0xffe9, true),
                (0xffff, true),
                (0xffff, false),
                (0xffe9, false),
                (0xffe3, false)
            ]
        );
    }
}
