//! The program's words in the user's language, by GNU gettext: <https://www.gnu.org/software/gettext/manual/>.
//!
//! The message is the English sentence. Values go into named places (`{name}`), which a translation may put in another order; a
//! sentence is never put together from pieces. The catalogues are made of `po/` by `build-aux/translations`.

use std::fmt::Display;
use std::path::Path;

use gettextrs::{bind_textdomain_codeset, bindtextdomain, textdomain};

pub use gettextrs::gettext;

use crate::share;

/// What the catalogues are called.
const DOMAIN: &str = "guesthouse";

/// Tells gettext where the catalogues are; comes before the first widget. The language is the user's (`LANGUAGE`, `LC_ALL`,
/// `LC_MESSAGES`, `LANG`), which the toolkit sets when it starts. Without a catalogue the program speaks English.
pub fn prepare() {
    let places = share::folders().into_iter();
    let mut places = places.map(|folder| folder.join("locale"));
    let found = places.find(|place| has_catalogue(place));
    let bound = found.map_or(Ok(None), |folder| bindtextdomain(DOMAIN, folder).map(Some));
    // Whatever the terminal's characters are, texts in the program are UTF-8.
    let encoded = bound.and_then(|_| bind_textdomain_codeset(DOMAIN, "UTF-8"));
    if let Err(error) = encoded.and_then(|_| textdomain(DOMAIN)) {
        tracing::warn!(%error, "translations cannot be used");
    }
}

/// Whether a folder has a catalogue of ours in any language.
fn has_catalogue(folder: &Path) -> bool {
    let languages = std::fs::read_dir(folder).into_iter().flatten().flatten();
    languages
        .map(|language| {
            language
                .path()
                .join("LC_MESSAGES")
                .join(DOMAIN)
                .with_extension("mo")
        })
        .any(|catalogue| catalogue.exists())
}

/// Marks a message of a table for translation; who shows it says `gettext(message)`.
pub const fn message(message: &'static str) -> &'static str {
    message
}

/// A value and the place in a message that it takes.
pub type Place<'a> = (&'a str, &'a dyn Display);

/// The translation of `message` with values in its places: `gettext_with("Start “{name}”", &[("name", &name)])`.
pub fn gettext_with(message: &str, places: &[Place<'_>]) -> String {
    fill(&gettext(message), places)
}

/// The translation of `one`, or of `many` for `number` things, whatever plural forms the language has. `{number}` is the number.
pub fn ngettext_with(one: &str, many: &str, number: u64, places: &[Place<'_>]) -> String {
    // Languages' rules look at the last digits at most: numbers above 32 bits keep theirs.
    let form = u32::try_from(number)
        .unwrap_or_else(|_| 1_000_000 + u32::try_from(number % 1_000_000).unwrap_or(0));
    let message = gettextrs::ngettext(one, many, form);
    let mut all = vec![("number", &number as &dyn Display)];
    all.extend_from_slice(places);
    fill(&message, &all)
}

/// `message` with each `{name}` replaced once: what a value says is never taken for a place.
fn fill(message: &str, places: &[Place<'_>]) -> String {
    let mut text = String::with_capacity(message.len());
    let mut rest = message;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let place = after.split_once('}').and_then(|(name, after)| {
            let (_, value) = places.iter().find(|(place, _)| *place == name)?;
            Some((value, after))
        });
        match place {
            Some((value, after)) => {
                text.push_str(&value.to_string());
                rest = after;
            }
            None => {
                text.push('{');
                rest = after;
            }
        }
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_take_their_places_once() {
        for (message, expected) in [
            ("no place", "no place"),
            ("“{name}” is on {place}", "“{place}” is on /a"),
            ("{place}, {name}", "/a, {place}"),
            ("{unknown} {name}", "{unknown} {place}"),
            ("{ {name", "{ {name"),
        ] {
            let places: [Place<'_>; 2] = [("name", &"{place}"), ("place", &"/a")];
            assert_eq!(fill(message, &places), expected);
        }
    }

    #[test]
    fn numbers_have_plural_forms() {
        for (number, expected) in [
            (0, "0 disks"),
            (1, "1 disk"),
            (2, "2 disks"),
            (1 << 40, "1099511627776 disks"),
        ] {
            assert_eq!(
                ngettext_with("{number} disk", "{number} disks", number, &[]),
                expected
            );
        }
    }
}
