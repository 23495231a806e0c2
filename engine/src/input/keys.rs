//! Keys by the names that people write, and the keys that type a text on a US keyboard.
//!
//! Scan codes: IBM PS/2 set 1 (Microsoft's Keyboard Scan Code Specification, appendix A).

use super::ScanCode;

/// Left Shift.
pub const SHIFT: ScanCode = ScanCode(0x2a);

/// A name that no key has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no key called {name:?}; examples of names: a, 1, f12, ctrl, alt, shift, super, delete, enter, esc, tab, space, up, page-up, print-screen"
)]
pub struct UnknownKey {
    /// As it was written.
    pub name: String,
}

/// A character that the keys of a US keyboard do not type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{character:?} cannot be typed on a US keyboard; leave it out")]
pub struct Untypeable {
    /// Which.
    pub character: char,
}

const NAMED: &[(&str, u8)] = &[
    ("esc", 0x01),
    ("escape", 0x01),
    ("backspace", 0x0e),
    ("tab", 0x0f),
    ("enter", 0x1c),
    ("return", 0x1c),
    ("ctrl", 0x1d),
    ("control", 0x1d),
    ("shift", 0x2a),
    ("right-shift", 0x36),
    ("alt", 0x38),
    ("space", 0x39),
    ("caps-lock", 0x3a),
    ("f1", 0x3b),
    ("f2", 0x3c),
    ("f3", 0x3d),
    ("f4", 0x3e),
    ("f5", 0x3f),
    ("f6", 0x40),
    ("f7", 0x41),
    ("f8", 0x42),
    ("f9", 0x43),
    ("f10", 0x44),
    ("num-lock", 0x45),
    ("scroll-lock", 0x46),
    ("f11", 0x57),
    ("f12", 0x58),
    ("right-ctrl", 0x9d),
    ("print-screen", 0xb7),
    ("right-alt", 0xb8),
    ("altgr", 0xb8),
    ("pause", 0xc6),
    ("home", 0xc7),
    ("up", 0xc8),
    ("page-up", 0xc9),
    ("left", 0xcb),
    ("right", 0xcd),
    ("end", 0xcf),
    ("down", 0xd0),
    ("page-down", 0xd1),
    ("insert", 0xd2),
    ("delete", 0xd3),
    ("del", 0xd3),
    ("super", 0xdb),
    ("right-super", 0xdc),
    ("menu", 0xdd),
    ("minus", 0x0c),
    ("plus", 0x4e),
];

/// What each key of the main block types alone and with Shift, from scan code `.0` on.
const TYPED: &[(u8, &str, &str)] = &[
    (0x02, "1234567890-=", "!@#$%^&*()_+"),
    (0x10, "qwertyuiop[]", "QWERTYUIOP{}"),
    (0x1e, "asdfghjkl;'`", "ASDFGHJKL:\"~"),
    (0x2b, "\\zxcvbnm,./", "|ZXCVBNM<>?"),
    (0x39, " ", ""),
    (0x1c, "\n", ""),
    (0x0f, "\t", ""),
];

/// The key that types `character` on a US keyboard, and whether with Shift.
///
/// # Errors
/// When there is none.
pub fn key_for(character: char) -> Result<(ScanCode, bool), Untypeable> {
    for (first, plain, shifted) in TYPED {
        for (row, shift) in [(plain, false), (shifted, true)] {
            if let Some(code) = (*first..)
                .zip(row.chars())
                .find_map(|(code, typed)| (typed == character).then_some(code))
            {
                return Ok((ScanCode(code), shift));
            }
        }
    }
    Err(Untypeable { character })
}

/// The keys of a combination such as `ctrl-alt-delete`, in the order they are pressed.
///
/// # Errors
/// When a part of it is no key's name.
pub fn combination(text: &str) -> Result<Vec<ScanCode>, UnknownKey> {
    let lower = text.trim().to_lowercase().replace('+', "-");
    let mut parts: Vec<&str> = lower.split('-').collect();
    let mut keys = Vec::new();
    while !parts.is_empty() {
        // Names have hyphens of their own: the longest name that fits counts.
        let fits = (1..=parts.len().min(2)).rev().find_map(|count| {
            let name = parts.get(..count)?.join("-");
            named(&name).map(|code| (count, code))
        });
        let Some((count, code)) = fits else {
            return Err(UnknownKey {
                name: parts.first().copied().unwrap_or_default().to_owned(),
            });
        };
        keys.push(code);
        parts.drain(..count);
    }
    Ok(keys)
}

fn named(name: &str) -> Option<ScanCode> {
    let known = NAMED
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, code)| ScanCode(*code));
    let mut characters = name.chars();
    known.or_else(|| match (characters.next(), characters.next()) {
        (Some(character), None) => key_for(character)
            .ok()
            .filter(|(_, shift)| !shift)
            .map(|(code, _)| code),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_printable_character_has_a_key() {
        for character in (' '..='~').chain(['\n', '\t']) {
            assert!(key_for(character).is_ok(), "{character:?}");
        }
        assert_eq!(key_for('a'), Ok((ScanCode(0x1e), false)));
        assert_eq!(key_for('~'), Ok((ScanCode(0x29), true)));
        assert_eq!(key_for('/'), Ok((ScanCode(0x35), false)));
        assert_eq!(key_for('\\'), Ok((ScanCode(0x2b), false)));
        assert!(key_for('é').is_err());
    }

    #[test]
    fn combinations_are_read_with_hyphens_and_plus_signs() {
        let keys = |text: &str| {
            combination(text).map(|keys| keys.iter().map(|key| key.0).collect::<Vec<_>>())
        };
        assert_eq!(keys("ctrl-alt-delete"), Ok(vec![0x1d, 0x38, 0xd3]));
        assert_eq!(keys("Ctrl+Alt+F1"), Ok(vec![0x1d, 0x38, 0x3b]));
        assert_eq!(keys("page-up"), Ok(vec![0xc9]));
        assert_eq!(keys("shift-page-down"), Ok(vec![0x2a, 0xd1]));
        assert_eq!(keys("x"), Ok(vec![0x2d]));
        for wrong in ["", "ctrl-", "hyper", "ctrl-nothing"] {
            assert!(keys(wrong).is_err(), "{wrong:?}");
        }
    }
}
