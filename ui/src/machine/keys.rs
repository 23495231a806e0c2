//! The key combinations of the Send Keys menu, which a desktop would take for itself: those that every guest knows, and a person's own.
//!
//! A combination is written as on the command line: "ctrl-alt-delete".

use guesthouse_engine::input::keys;

use crate::model::{InputEvent, ScanCode};
use crate::text::{gettext, message};

/// A combination, as the engine reads it and as people do.
type Combination = (&'static str, &'static str);

/// The menu, section by section.
pub const MENU: [&[Combination]; 3] = [
    &[
        ("ctrl-alt-delete", message("Ctrl+Alt+Delete")),
        ("ctrl-alt-backspace", message("Ctrl+Alt+Backspace")),
        ("alt-tab", message("Alt+Tab")),
        ("alt-f4", message("Alt+F4")),
        ("super", message("Super")),
        ("print-screen", message("Print Screen")),
    ],
    &[
        ("ctrl-alt-f1", message("Ctrl+Alt+F1")),
        ("ctrl-alt-f2", message("Ctrl+Alt+F2")),
        ("ctrl-alt-f3", message("Ctrl+Alt+F3")),
        ("ctrl-alt-f4", message("Ctrl+Alt+F4")),
        ("ctrl-alt-f7", message("Ctrl+Alt+F7")),
    ],
    &[
        ("escape", message("Escape")),
        ("f10", message("F10")),
        ("f11", message("F11")),
        ("f12", message("F12")),
    ],
];

/// The keys that are held while another is pressed, in the order in which they go down.
pub const HELD: [Combination; 4] = [
    ("ctrl", message("Ctrl")),
    ("alt", message("Alt")),
    ("shift", message("Shift")),
    ("super", message("Super")),
];

/// The keys that have a name; those that show a character, and F1 to F12, are called by what is on them.
const NAMED: [Combination; 21] = [
    ("delete", message("Delete")),
    ("backspace", message("Backspace")),
    ("tab", message("Tab")),
    ("escape", message("Escape")),
    ("enter", message("Enter")),
    ("space", message("Space")),
    ("insert", message("Insert")),
    ("home", message("Home")),
    ("end", message("End")),
    ("page-up", message("Page Up")),
    ("page-down", message("Page Down")),
    ("up", message("Up")),
    ("down", message("Down")),
    ("left", message("Left")),
    ("right", message("Right")),
    ("print-screen", message("Print Screen")),
    ("pause", message("Pause")),
    ("scroll-lock", message("Scroll Lock")),
    ("num-lock", message("Num Lock")),
    ("caps-lock", message("Caps Lock")),
    ("menu", message("Menu")),
];

/// The keys of which a combination can be made, each as the engine and as people call it.
pub fn choices() -> Vec<(String, String)> {
    let named = NAMED.map(|(name, label)| (name.to_owned(), gettext(label)));
    let function = (1..=12).map(|number| format!("f{number}"));
    let shown = ('a'..='z').chain('0'..='9').map(String::from);
    let mut choices: Vec<_> = function
        .map(|key| (key.clone(), key.to_uppercase()))
        .collect();
    choices.extend(named);
    choices.extend(shown.map(|key| (key.clone(), key.to_uppercase())));
    choices
}

/// What people call the combination `written`; nothing where it is none.
pub fn label(written: &str) -> Option<String> {
    keys::combination(written).ok()?;
    let choices = choices();
    let mut rest = written;
    let mut labels = Vec::new();
    for (key, label) in HELD {
        if let Some(after) = rest
            .strip_prefix(key)
            .and_then(|rest| rest.strip_prefix('-'))
        {
            labels.push(gettext(label));
            rest = after;
        }
    }
    let last = choices.into_iter().find(|(name, _)| name == rest);
    labels.push(last.map_or_else(|| rest.to_owned(), |(_, label)| label));
    Some(labels.join("+"))
}

/// The keys of the combination `written`; none where it is none.
pub fn keys(written: &str) -> Vec<ScanCode> {
    keys::combination(written).unwrap_or_default()
}

/// What the keyboard does for the combination `written`: all keys down, then up in the opposite order.
pub fn events(written: &str) -> Vec<InputEvent> {
    let keys = keys(written);
    let event = |code, down| InputEvent::Key { code, down };
    let down = keys.iter().map(|code| event(*code, true));
    let up = keys.iter().rev().map(|code| event(*code, false));
    down.chain(up).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_down_comes_up() {
        for (written, _) in MENU.iter().flat_map(|section| section.iter()) {
            let mut held = Vec::new();
            for event in events(written) {
                match event {
                    InputEvent::Key { code, down: true } => held.push(code),
                    InputEvent::Key { code, down: false } => assert_eq!(held.pop(), Some(code)),
                    other => panic!("{other:?}"),
                }
            }
            assert!(held.is_empty() && !events(written).is_empty(), "{written}");
        }
        assert!(events("no such keys").is_empty());
    }

    #[test]
    fn every_key_of_a_combination_has_a_position_and_a_name() {
        let choices = choices();
        for (key, name) in &choices {
            assert_eq!(
                keys::combination(key).map(|keys| keys.len()),
                Ok(1),
                "{key}"
            );
            assert_eq!(label(key).as_ref(), Some(name));
        }
        for (written, expected) in [
            ("ctrl-alt-page-up", Some("Ctrl+Alt+Page Up")),
            ("super-l", Some("Super+L")),
            ("ctrl-alt-shift-super-0", Some("Ctrl+Alt+Shift+Super+0")),
            ("altgr", Some("altgr")),
            ("nothing", None),
            ("", None),
        ] {
            assert_eq!(label(written).as_deref(), expected, "{written:?}");
        }
    }
}
