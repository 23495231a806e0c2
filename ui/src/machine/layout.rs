//! The keyboard layouts by which guests read their keys, for texts that are typed: which keys a character takes, with dead keys where
//! the layout has it no other way.
//!
//! The layouts are those of xkeyboard-config, which the toolkit's desktops have; libxkbcommon reads them, so that nothing about a
//! layout stands here. Their names and the translations of these are xkeyboard-config's too.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use gettextrs::dgettext;
use relm4::gtk::glib::{self, NormalizeMode};
use uuid::Uuid;
use xkbcommon::xkb::{self, Keysym};

use crate::dialogs::form::{self, Field};
use crate::display::scan_code;
use crate::model::{ScanCode, Stroke};
use crate::settings;
use crate::text::gettext;

const SHIFT: ScanCode = ScanCode(0x2a);
const ALT_GR: ScanCode = ScanCode(0xb8);
const ENTER: ScanCode = ScanCode(0x1c);
const SPACE: ScanCode = ScanCode(0x39);

/// The keys that show characters whatever the locks do, as the toolkit numbers them: from 1 to the space bar.
const KEYS: [RangeInclusive<u32>; 2] = [10..=62, 65..=65];
/// The key beside the left Shift, which not every keyboard has: only for what is on no other.
const BESIDE_SHIFT: [RangeInclusive<u32>; 1] = [94..=94];

/// What is held besides: the modifiers of libxkbcommon, and the keys.
const LEVELS: [(&[&str], &[ScanCode]); 4] = [
    (&[], &[]),
    (&[xkb::MOD_NAME_SHIFT], &[SHIFT]),
    (&["Mod5"], &[ALT_GR]),
    (&[xkb::MOD_NAME_SHIFT, "Mod5"], &[SHIFT, ALT_GR]),
];

/// Dead keys, and the combining character that each puts over the next letter. <https://www.x.org/releases/current/doc/xproto/>, keysymdef.h.
const DEAD_KEYS: [(&str, char); 14] = [
    ("dead_grave", '\u{300}'),
    ("dead_acute", '\u{301}'),
    ("dead_circumflex", '\u{302}'),
    ("dead_tilde", '\u{303}'),
    ("dead_macron", '\u{304}'),
    ("dead_breve", '\u{306}'),
    ("dead_abovedot", '\u{307}'),
    ("dead_diaeresis", '\u{308}'),
    ("dead_abovering", '\u{30a}'),
    ("dead_doubleacute", '\u{30b}'),
    ("dead_caron", '\u{30c}'),
    ("dead_cedilla", '\u{327}'),
    ("dead_ogonek", '\u{328}'),
    ("dead_stroke", '\u{338}'),
];

/// What a dead key followed by the space bar types, for those that stand for a character of their own.
const ALONE: [(char, char); 5] = [
    ('`', '\u{300}'),
    ('´', '\u{301}'),
    ('^', '\u{302}'),
    ('~', '\u{303}'),
    ('¨', '\u{308}'),
];

/// A layout.
pub struct Layout {
    characters: HashMap<char, Stroke>,
    dead: HashMap<char, Stroke>,
}

impl Layout {
    /// The layout that xkeyboard-config calls `name`, with a variant in brackets perhaps: "de", "ch(fr)". Nothing where there is none.
    pub fn load(name: &str) -> Option<Self> {
        let (layout, variant) = match name.split_once('(') {
            Some((layout, variant)) => (layout, variant.trim_end_matches(')')),
            None => (name, ""),
        };
        let context = xkb::Context::new(xkb::CONTEXT_NO_FLAGS);
        let flags = xkb::KEYMAP_COMPILE_NO_FLAGS;
        let keymap =
            xkb::Keymap::new_from_names(&context, "evdev", "pc105", layout, variant, None, flags)?;
        let mut found = Self {
            characters: HashMap::from([('\n', vec![ENTER])]),
            dead: HashMap::new(),
        };
        let mut state = xkb::State::new(&keymap);
        for keys in [KEYS.as_slice(), &BESIDE_SHIFT] {
            for (modifiers, held) in LEVELS {
                let mask = modifiers.iter().fold(0, |mask, name| {
                    let index = keymap.mod_get_index(*name);
                    mask | 1_u32.checked_shl(index).unwrap_or(0)
                });
                state.update_mask(mask, 0, 0, 0, 0, 0);
                for key in keys.iter().cloned().flatten() {
                    if let Some(code) = scan_code(key) {
                        let stroke: Stroke = held.iter().copied().chain([code]).collect();
                        found.take(state.key_get_one_sym(key.into()), stroke);
                    }
                }
            }
        }
        Some(found)
    }

    /// The plainest way to type something counts.
    fn take(&mut self, symbol: Keysym, stroke: Stroke) {
        let name = xkb::keysym_get_name(symbol);
        let dead = DEAD_KEYS.iter().find(|(dead, _)| *dead == name);
        if let Some((_, mark)) = dead {
            self.dead.entry(*mark).or_insert(stroke);
        } else if let Some(character) = char::from_u32(xkb::keysym_to_utf32(symbol))
            && (character == '\t' || !character.is_control())
        {
            self.characters.entry(character).or_insert(stroke);
        }
    }

    /// The strokes that type `character`, one after the other.
    pub fn strokes(&self, character: char) -> Option<Vec<Stroke>> {
        if let Some(stroke) = self.characters.get(&character) {
            return Some(vec![stroke.clone()]);
        }
        if let Some((_, mark)) = ALONE.iter().find(|(alone, _)| *alone == character) {
            return Some(vec![self.dead.get(mark)?.clone(), vec![SPACE]]);
        }
        let parts = glib::normalize(character.to_string(), NormalizeMode::Default);
        let mut parts = parts.chars();
        let (letter, mark) = (parts.next()?, parts.next()?);
        let (letter, mark) = (self.characters.get(&letter)?, self.dead.get(&mark)?);
        parts
            .next()
            .is_none()
            .then(|| vec![mark.clone(), letter.clone()])
    }
}

/// A layout's name in the definitions and, in the user's language, for people.
pub struct Known {
    /// As xkeyboard-config calls it.
    pub name: String,
    /// As people do.
    pub title: String,
}

/// The layouts that xkeyboard-config has, by their titles; none where it is not installed.
pub fn all() -> Vec<Known> {
    let context = xkb::Context::new(xkb::CONTEXT_NO_FLAGS);
    let mut lists = context.include_paths().filter_map(|path| {
        std::fs::read_to_string(std::path::Path::new(path).join("rules/evdev.lst")).ok()
    });
    let mut known = lists.next().map_or_else(Vec::new, |list| read(&list));
    known.sort_by_cached_key(|known| glib::CollationKey::from(&known.title));
    known
}

/// Reads the section of layouts: lines of a name and a title.
fn read(list: &str) -> Vec<Known> {
    let lines = list
        .lines()
        .skip_while(|line| line.trim() != "! layout")
        .skip(1);
    let layouts = lines.take_while(|line| !line.starts_with('!'));
    layouts
        .filter_map(|line| line.trim().split_once(char::is_whitespace))
        .filter(|(name, _)| *name != "custom")
        .map(|(name, title)| Known {
            name: name.to_owned(),
            title: dgettext("xkeyboard-config", title.trim()),
        })
        .collect()
}

/// What the layout called `name` is called by people.
pub fn title(name: &str) -> String {
    let known = all().into_iter().find(|known| known.name == name);
    known.map_or_else(|| name.to_owned(), |known| known.title)
}

/// Asks over `parent` by which layout the guest of `machine` reads its keyboard, and keeps the answer.
pub async fn ask(machine: Uuid, parent: relm4::gtk::Widget) {
    let known = all();
    let settings = settings::get();
    let now = settings.keyboard_layout(machine);
    let titles: Vec<&str> = known.iter().map(|known| known.title.as_str()).collect();
    let chosen = known
        .iter()
        .position(|known| known.name == now)
        .unwrap_or(0);
    let field = gettext("Layout");
    let fields = [Field::Choice(
        &field,
        &titles,
        u32::try_from(chosen).unwrap_or(0),
    )];
    let heading = gettext("Guest’s Keyboard Layout");
    let body = gettext(
        "A text that is typed into the guest becomes right when this is the layout that the guest itself is set to. Keys that you press yourself are passed on as they are.",
    );
    let accept = gettext("_Set");
    let answer = form::ask(&parent, (&heading, &body), &fields, &accept, |_| None).await;
    if let Some([chosen]) = answer.as_deref()
        && let Some(known) = known.get(chosen.number())
    {
        settings.keep_keyboard_layout(machine, &known.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(layout: &Layout, character: char) -> Option<Vec<Vec<u8>>> {
        let strokes = layout.strokes(character)?;
        let codes = |stroke: Stroke| stroke.iter().map(|code| code.0).collect();
        Some(strokes.into_iter().map(codes).collect())
    }

    #[test]
    fn the_us_layout_is_that_of_the_engine() {
        let layout = Layout::load("us").unwrap();
        for character in (' '..='~').chain(['\n', '\t']) {
            let (code, shift) = guesthouse_engine::input::keys::key_for(character).unwrap();
            let expected = if shift {
                vec![0x2a, code.0]
            } else {
                vec![code.0]
            };
            assert_eq!(
                codes(&layout, character),
                Some(vec![expected]),
                "{character:?}"
            );
        }
        assert_eq!(codes(&layout, 'é'), None);
    }

    #[test]
    fn layouts_have_their_own_keys() {
        for (layout, character, expected) in [
            ("de", 'z', Some(vec![vec![0x15]])),
            ("de", 'ß', Some(vec![vec![0x0c]])),
            ("de", '@', Some(vec![vec![0xb8, 0x10]])),
            ("de", '|', Some(vec![vec![0xb8, 0x56]])),
            ("de", '^', Some(vec![vec![0x29], vec![0x39]])),
            ("de", 'â', Some(vec![vec![0x29], vec![0x1e]])),
            ("fr", 'a', Some(vec![vec![0x10]])),
            ("fr", '1', Some(vec![vec![0x2a, 0x02]])),
            ("fr", 'é', Some(vec![vec![0x03]])),
            ("fr", 'ê', Some(vec![vec![0x1a], vec![0x12]])),
            ("gb", '£', Some(vec![vec![0x2a, 0x04]])),
            ("gb", '#', Some(vec![vec![0x2b]])),
            ("es", 'ñ', Some(vec![vec![0x27]])),
            ("es", 'á', Some(vec![vec![0x28], vec![0x1e]])),
            ("ru", 'ж', Some(vec![vec![0x27]])),
            ("ru", 'a', None),
            ("ch(fr)", 'é', Some(vec![vec![0x27]])),
            ("de", '漢', None),
        ] {
            let loaded = Layout::load(layout).unwrap();
            assert_eq!(codes(&loaded, character), expected, "{layout} {character}");
        }
        assert!(Layout::load("no-such-layout").is_none());
    }

    #[test]
    fn layouts_are_read_from_the_list() {
        let list = "! model\n  pc105  Generic\n\n! layout\n  custom  A user-defined layout\n  us              English (US)\n  de  German\n\n! variant\n  nodeadkeys de: German (no dead keys)\n";
        let known: Vec<_> = read(list)
            .into_iter()
            .map(|known| (known.name, known.title))
            .collect();
        let expected = [("us", "English (US)"), ("de", "German")];
        assert_eq!(
            known,
            expected.map(|(name, title)| (name.to_owned(), title.to_owned()))
        );
        for wanted in ["us", "gb", "de", "fr", "es", "ru"] {
            assert!(all().iter().any(|known| known.name == wanted), "{wanted}");
        }
    }
}
