//! A text typed key by key, as fast as a PC's firmware follows, on a US keyboard or another.

use std::thread;
use std::time::Duration;

use super::keys::{SHIFT, key_for};
use super::{InputEvent, ScanCode};

/// How long a key is held and how long until the next: what a PC's firmware, which looks at the keyboard 18 times a second and
/// has room for 15 keys, follows.
const KEY: Duration = Duration::from_millis(25);

/// Keys that are pressed together to type something, in the order in which they go down.
pub type Stroke = Vec<ScanCode>;

/// Characters that the keys of a keyboard do not type, each once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} cannot be typed on this keyboard; leave that out", self.list())]
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
pub struct Typing(Vec<Vec<Stroke>>);

impl Typing {
    /// Finds the keys of `text` on a US keyboard; lines may end as on any system.
    ///
    /// # Errors
    /// Which characters have none; then nothing is to be typed.
    pub fn new(text: &str) -> Result<Self, UntypeableText> {
        Self::by(text, |character| {
            let (code, shift) = key_for(character).ok()?;
            let stroke = if shift { vec![SHIFT, code] } else { vec![code] };
            Some(vec![stroke])
        })
    }

    /// Finds the keys of `text` by `strokes`, which tells those of a character, one after the other; lines may end as on any system.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn by(
        text: &str,
        strokes: impl Fn(char) -> Option<Vec<Stroke>>,
    ) -> Result<Self, UntypeableText> {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let mut keys = Vec::new();
        let mut characters = Vec::new();
        for character in text.chars() {
            match strokes(character) {
                Some(found) => keys.push(found),
                None if !characters.contains(&character) => characters.push(character),
                None => {}
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

    /// Types it stroke by stroke by `press`, which tells whether to go on; tells whether it came to the end.
    pub fn carry_out(&self, mut press: impl FnMut(&[ScanCode]) -> bool) -> bool {
        self.0.iter().flatten().all(|stroke| press(stroke))
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
        assert!(typing.carry_out(|keys| {
            press(keys, &send);
            true
        }));
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
        let mut left = 2;
        let complete = Typing::new("abc").unwrap().carry_out(|_| {
            left -= 1;
            left > 0
        });
        assert!(!complete && left == 0);
    }

    #[test]
    fn a_character_may_take_several_strokes() {
        let (dead, letter) = (vec![ScanCode(0x29)], vec![SHIFT, ScanCode(0x1e)]);
        let typing = Typing::by("Â", |_| Some(vec![dead.clone(), letter.clone()])).unwrap();
        let mut pressed = Vec::new();
        typing.carry_out(|keys| {
            pressed.push(keys.to_vec());
            true
        });
        assert_eq!((typing.count(), pressed), (1, vec![dead, letter]));
    }

    #[test]
    fn characters_without_a_key_are_named() {
        let error = Typing::new("naïve café ï\u{7}").unwrap_err();
        assert_eq!(error.characters, ['ï', 'é', '\u{7}']);
        assert_eq!(error.list(), "“ï”, “é”, U+0007");
        assert_eq!(
            Typing::new("5 €").unwrap_err().to_string(),
            "“€” cannot be typed on this keyboard; leave that out"
        );
    }
}
