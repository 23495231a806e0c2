//! The key combinations of the Send Keys menu, which a desktop would take for itself, as scan codes of set 1.

use crate::model::{InputEvent, ScanCode};
use crate::text::message;

const CONTROL: u8 = 0x1d;
const ALT: u8 = 0x38;

/// A combination: how actions and the menu call it, and its keys in the order they go down.
pub struct Combination {
    /// Its name in the action's target.
    pub id: &'static str,
    /// Its name in the menu.
    pub label: &'static str,
    keys: &'static [u8],
}

const fn combination(id: &'static str, label: &'static str, keys: &'static [u8]) -> Combination {
    Combination { id, label, keys }
}

/// The menu, section by section.
pub const MENU: [&[Combination]; 3] = [
    &[
        combination(
            "ctrl-alt-delete",
            message("Ctrl+Alt+Delete"),
            &[CONTROL, ALT, 0xd3],
        ),
        combination(
            "ctrl-alt-backspace",
            message("Ctrl+Alt+Backspace"),
            &[CONTROL, ALT, 0x0e],
        ),
        combination("alt-tab", message("Alt+Tab"), &[ALT, 0x0f]),
        combination("alt-f4", message("Alt+F4"), &[ALT, 0x3e]),
        combination("super", message("Super"), &[0xdb]),
        combination("print-screen", message("Print Screen"), &[0xb7]),
    ],
    &[
        combination("ctrl-alt-f1", message("Ctrl+Alt+F1"), &[CONTROL, ALT, 0x3b]),
        combination("ctrl-alt-f2", message("Ctrl+Alt+F2"), &[CONTROL, ALT, 0x3c]),
        combination("ctrl-alt-f3", message("Ctrl+Alt+F3"), &[CONTROL, ALT, 0x3d]),
        combination("ctrl-alt-f4", message("Ctrl+Alt+F4"), &[CONTROL, ALT, 0x3e]),
        combination("ctrl-alt-f7", message("Ctrl+Alt+F7"), &[CONTROL, ALT, 0x41]),
    ],
    &[
        combination("escape", message("Escape"), &[0x01]),
        combination("f10", message("F10"), &[0x44]),
        combination("f11", message("F11"), &[0x57]),
        combination("f12", message("F12"), &[0x58]),
    ],
];

/// What the keyboard does for the combination called `id`: all keys down, then up in the opposite order.
pub fn events(id: &str) -> Vec<InputEvent> {
    let mut all = MENU.iter().flat_map(|section| section.iter());
    let keys = all
        .find(|combination| combination.id == id)
        .map_or([].as_slice(), |found| found.keys);
    let event = |code: &u8, down| InputEvent::Key {
        code: ScanCode(*code),
        down,
    };
    let down = keys.iter().map(|code| event(code, true));
    let up = keys.iter().rev().map(|code| event(code, false));
    down.chain(up).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_down_comes_up() {
        for combination in MENU.iter().flat_map(|section| section.iter()) {
            let mut held = Vec::new();
            for event in events(combination.id) {
                match event {
                    InputEvent::Key { code, down: true } => held.push(code),
                    InputEvent::Key { code, down: false } => assert_eq!(held.pop(), Some(code)),
                    other => panic!("{other:?}"),
                }
            }
            assert!(
                held.is_empty() && !events(combination.id).is_empty(),
                "{}",
                combination.id
            );
        }
        assert!(events("no such keys").is_empty());
    }
}
