//! Words that several windows use: sizes, states, times. Sentences stand where they are shown.

mod phrases;
mod places;
mod translation;

use relm4::gtk::glib;

use crate::model::State;

pub use phrases::translated;
pub use places::speak_in_window;
pub use translation::{gettext, gettext_with, message, ngettext_with, prepare};

/// `bytes` in the largest binary unit that keeps it readable, in the language's words: "20 GiB", "1.5 GiB", "1,5 Gio".
pub fn bytes(bytes: u64) -> String {
    let text = glib::format_size_full(bytes, glib::FormatSizeFlags::IEC_UNITS);
    // GLib always gives one decimal place, and a space that does not break.
    let text = text.replace('\u{a0}', " ");
    match text.split_once(' ') {
        Some((number, unit)) => {
            let whole = number
                .strip_suffix('0')
                .and_then(|number| number.strip_suffix(['.', ',', '٫']));
            format!("{} {unit}", whole.unwrap_or(number))
        }
        None => text,
    }
}

/// The bytes that `text` says in GiB, in whole sectors of 512 bytes: "20", "1.5".
pub fn gibibytes(text: &str) -> Option<u64> {
    let text = text.trim().replace(',', ".");
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() + part.len() == 0 || part.len() > 6 || !digits(whole) || !digits(part) {
        return None;
    }
    let whole: u64 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let millionths: u64 = format!("{part:0<6}").parse().ok()?;
    let rest = (millionths << 30) / 1_000_000;
    Some(whole.checked_mul(1 << 30)?.checked_add(rest)? & !511)
}

/// A state in a word.
pub fn state(state: &State) -> String {
    match state {
        State::Off => gettext("Off"),
        State::Starting => gettext("Starting"),
        State::Running => gettext("Running"),
        State::Paused { .. } => gettext("Paused"),
        State::Crashed { .. } => gettext("Crashed"),
    }
}

/// What a banner says while a machine is paused: why, if it was not asked for.
pub fn standing(state: &State) -> String {
    match state {
        State::Paused {
            reason: Some(reason),
        } => escape(&translated(&reason.text)),
        _ => gettext("Paused"),
    }
}

/// What an error says, as a sentence of its own, in the user's language.
pub fn sentence(error: &impl std::fmt::Display) -> String {
    let mut text = capitalised(&translated(&error.to_string()));
    match text.chars().next_back() {
        Some('.' | '!' | '?' | '。' | '！' | '？') => {}
        _ => text.push(full_stop(&text)),
    }
    text
}

/// What ends a sentence like `text`: Chinese has a full stop of its own.
fn full_stop(text: &str) -> char {
    match text.chars().next_back() {
        Some('\u{3000}'..='\u{9fff}' | '\u{ff00}'..='\u{ffef}') => '。',
        _ => '.',
    }
}

/// `text` with a capital letter at its beginning, in any script that has some.
fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).collect()
}

/// `text` with what markup would take for its own made harmless.
pub fn escape(text: &str) -> String {
    glib::markup_escape_text(text).into()
}

/// A spin row's value as the whole number that it shows.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the conversion saturates, and the rows hold no negative values"
)]
pub fn whole(value: f64) -> u64 {
    value.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_as_people_read_them() {
        for (number, text) in [
            (0, "0 bytes"),
            (1000, "1000 bytes"),
            (1, "1 byte"),
            (1023, "1023 bytes"),
            (1024, "1 KiB"),
            (1 << 30, "1 GiB"),
            (3 << 29, "1.5 GiB"),
            (20 << 30, "20 GiB"),
            ((1 << 40) - 1, "1024 GiB"),
            (u64::MAX, "16 EiB"),
        ] {
            assert_eq!(bytes(number), text);
        }
    }

    #[test]
    fn sizes_as_people_write_them() {
        for (text, bytes) in [
            ("20", Some(20 << 30)),
            (" 1.5 ", Some(3 << 29)),
            ("1,5", Some(3 << 29)),
            (".25", Some(1 << 28)),
            ("", None),
            (".", None),
            ("-1", None),
            ("1e3", None),
            ("1.2.3", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(gibibytes(text), bytes, "{text:?}");
        }
    }

    #[test]
    fn errors_become_sentences() {
        assert_eq!(sentence(&"could not open it"), "Could not open it.");
        assert_eq!(
            sentence(&"/a is gone; was it moved?"),
            "/a is gone; was it moved?"
        );
        assert_eq!(sentence(&"ääh"), "Ääh.");
        assert_eq!(sentence(&"не удалось"), "Не удалось.");
        assert_eq!(sentence(&"无法打开"), "无法打开。");
        assert_eq!(sentence(&""), ".");
    }
}
