//! A text typed key by key, as fast as a PC's firmware follows.

use std::thread;
use std::time::Duration;

use super::keys::{SHIFT, key_for};
use super::{InputEvent, ScanCode};

/// How long a key is held and how long until the next: what a PC's firmware, which looks at the keyboard 18 times a second and
/// has room for 15 keys, follows.
const KEY: Duration = Duration::from_millis(25);

/// Characters that the keys of a US keyboard do not type, each once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} cannot be typed on a US keyboard; leave that out", self.list())]
pub struct UntypeableText {
    /// In the order in which they came.
    pub characters: Vec<char>,
}

impl UntypeableText {
    /// The characters as people read them: in quotation marks, or by their numbers where they show nothing.
    pub fn list(&self) -> String {
        let shown = |character: &char| {
            if character.is_control() || character.is_whitespace() {
                format!("U+{:04X}", u32::from(*character))
            } else {
                format!("“{character}”")
            }
        };
        let shown: Vec<String> = self.characters.iter().map(shown).collect();
        shown.join(", ")
    }
}

/// A text of which every character has a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Typing(Vec<(ScanCode, bool)>);

impl Typing {
    /// Finds the keys of `text`; lines may end as on any system.
    ///
    /// # Errors
    /// Which characters have none; then nothing is to be typed.
    pub fn new(text: &str) -> Result<Self, UntypeableText> {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let mut keys = Vec::new();
        let mut characters = Vec::new();
        for character in text.chars() {
            match key_for(character) {
                Ok(key) => keys.push(key),
                Err(error) if !characters.contains(&error.character) => {
                    characters.push(error.character);
                }
                Err(_) => {}
            }
        }
        if characters.is_empty() {
            Ok(Self(keys))
        } else {
            Err(UntypeableText { characters })
        }
    }

    /// How many characters it has.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Types it by `send`, as long as `go_on` says so before a character; tells whether it came to the end. It takes its time.
    pub fn carry_out(&self, send: &impl Fn(InputEvent), mut go_on: impl FnMut() -> bool) -> bool {
        for (code, shift) in &self.0 {
            if !go_on() {
                return false;
            }
            if *shift {
                press(&[SHIFT, *code], send);
            } else {
                press(&[*code], send);
            }
        }
        true
    }
}

/// Presses the keys in order by `send` and lets them go in the opposite order.
pub fn press(keys: &[ScanCode], send: &impl Fn(InputEvent)) {
    let down = keys.iter().map(|code| (*code, true));
    let up = keys.iter().rev().map(|code| (*code, false));
    for (code, down) in down.chain(up) {
        send(InputEvent::Key { code, down });
        thread::sleep(KEY);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn a_text_is_typed_with_its_capitals_and_lines() {
        let sent = RefCell::new(Vec::new());
        let send = |event| {
            if let InputEvent::Key { code, down } = event {
                sent.borrow_mut().push((code.0, down));
            }
        };
        let typing = Typing::new("aB\r\n").unwrap();
        assert_eq!(typing.count(), 3);
        assert!(typing.carry_out(&send, || true));
        let expected = [
            (0x1e, true),
            (0x1e, false),
            (0x2a, true),
            (0x30, true),
            (0x30, false),
            (0x2a, false),
            (0x1c, true),
            (0x1c, false),
        ];
        assert_eq!(*sent.borrow(), expected);
    }

    #[test]
    fn it_can_be_stopped_between_two_characters() {
        let sent = RefCell::new(0);
        let mut left = 2;
        let complete = Typing::new("abc")
            .unwrap()
            .carry_out(&|_| *sent.borrow_mut() += 1, || {
                left -= 1;
                left >= 0
            });
        assert!(!complete);
        assert_eq!(*sent.borrow(), 4);
    }

    #[test]
    fn characters_without_a_key_are_named() {
        let error = Typing::new("naïve café ï\u{7}").unwrap_err();
        assert_eq!(error.characters, ['ï', 'é', '\u{7}']);
        assert_eq!(error.list(), "“ï”, “é”, U+0007");
        assert_eq!(
            Typing::new("5 €").unwrap_err().to_string(),
            "“€” cannot be typed on a US keyboard; leave that out"
        );
    }
}
