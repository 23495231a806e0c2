//! What the engine and the command line say, in the user's language.
//!
//! The engine knows no language but English: its sentences go into logs as they are, and so do those by which the command line refuses
//! something. Those that people can read stand here once more as messages whose named places take what was put into them; a sentence is
//! recognised by the words around its places. What is not recognised is shown as it is.

mod checks;
mod command_line;
mod disks;
mod faults;
mod host;
mod machines;
mod networks;
mod refusals;
mod remote;
mod stored;

use std::collections::HashSet;
use std::fmt::Display;
use std::sync::LazyLock;

use super::places;
use super::translation::{Place, gettext_with};
use super::{capitalised, full_stop};

/// All that is recognised.
const MESSAGES: [&[&str]; 20] = [
    checks::CHECKS,
    command_line::COMMANDS,
    command_line::DETAILS,
    command_line::KEYS,
    disks::ACTIONS,
    disks::DISKS,
    faults::FAULTS,
    faults::PARTS,
    host::HOST,
    host::HYPERVISOR,
    host::MEDIA,
    machines::DEFINITION,
    machines::LIBRARY,
    machines::MACHINE,
    networks::NETWORKS,
    refusals::FEATURES,
    refusals::REFUSALS,
    remote::REMOTE,
    stored::BACKUPS,
    stored::SNAPSHOTS,
];

/// Places that hold words rather than names: what stands there is translated too.
const SPOKEN: [&str; 16] = [
    "action",
    "cause",
    "difference",
    "fault",
    "feature",
    "format",
    "keys",
    "kind",
    "message",
    "owner",
    "packages",
    "part",
    "place",
    "reason",
    "remedy",
    "source",
];

/// Causes within causes that are looked into.
const DEEPEST: usize = 6;

/// Ends of a sentence's first part that are tried.
const MOST_PARTS: usize = 8;

/// Spaces of a path that are tried for its end.
const MOST_SPACES: usize = 16;

/// The longest text that is looked at, in bytes.
const LONGEST: usize = 8192;

/// A message, taken apart.
struct Template {
    message: &'static str,
    /// What stands before the first place.
    start: &'static str,
    /// Each place, and what stands after it.
    places: Vec<(&'static str, &'static str)>,
    /// Bytes that are not places.
    weight: usize,
    /// Whether none of them is a letter.
    bare: bool,
}

impl Template {
    fn new(message: &'static str) -> Self {
        let mut parts = message.split('{');
        let start = parts.next().unwrap_or_default();
        let places: Vec<_> = parts.filter_map(|part| part.split_once('}')).collect();
        let weight = start.len() + places.iter().map(|(_, after)| after.len()).sum::<usize>();
        let mut words = std::iter::once(start).chain(places.iter().map(|(_, after)| *after));
        let bare = !words.any(|words| words.contains(char::is_alphabetic));
        Self {
            message,
            start,
            places,
            weight,
            bare,
        }
    }

    /// What `text` has in the places; nothing where it is another sentence.
    fn read<'a>(&self, text: &'a str) -> Option<Vec<(&'static str, &'a str)>> {
        let mut rest = text.strip_prefix(self.start)?;
        let Some(((last, end), others)) = self.places.split_last() else {
            return rest.is_empty().then(Vec::new);
        };
        rest = rest.strip_suffix(end)?;
        let mut found: Vec<(&str, &str)> = Vec::with_capacity(self.places.len());
        for (index, (name, after)) in others.iter().enumerate() {
            let next = others.get(index + 1);
            let (next, mark) = next.map_or((last, None), |(next, mark)| (next, Some(*mark)));
            let (value, behind) = if *after == " " && SPOKEN.contains(next) {
                before_words(rest, next, mark).or_else(|| split(rest, name, after))?
            } else {
                split(rest, name, after)?
            };
            found.push((name, value));
            rest = behind;
        }
        found.push((last, rest));
        let twice = |(name, value): &(&str, &str)| {
            let same = found.iter().filter(|(other, _)| other == name);
            same.clone().all(|(_, other)| other == value)
        };
        (found.iter().all(twice) && self.is_likely(&found)).then_some(found)
    }

    /// Whether a message that does not begin with words of its own is meant all the same: nearly every text has such places, so what
    /// is in them must be known.
    fn is_likely(&self, found: &[(&str, &str)]) -> bool {
        let mut spoken = found.iter().filter(|(name, _)| SPOKEN.contains(name));
        if self.bare {
            spoken.all(|(_, value)| is_known(value))
        } else {
            let first = found.first().filter(|_| self.start.is_empty());
            first.is_none_or(|(name, value)| !SPOKEN.contains(name) || is_known(value))
        }
    }
}

/// `text` at the first `mark`, or at a later one if a place for words then holds more words that are known ("write to" rather than
/// "write").
fn split<'a>(text: &'a str, place: &str, mark: &str) -> Option<(&'a str, &'a str)> {
    let at = |index: usize| Some((text.get(..index)?, text.get(index + mark.len()..)?));
    let first = text.find(mark)?;
    let known = SPOKEN.contains(&place).then(|| {
        let ends = text.match_indices(mark).map(|(index, _)| index);
        ends.take(MOST_PARTS)
            .filter(|end| text.get(..*end).is_some_and(|words| FIXED.contains(words)))
            .last()
    });
    at(known.flatten().unwrap_or(first))
}

/// `text` at the first space behind which words stand that are known, up to `mark` if that is to follow: what is before, a path for
/// example, may have spaces too.
fn before_words<'a>(text: &'a str, place: &str, mark: Option<&str>) -> Option<(&'a str, &'a str)> {
    text.match_indices(' ')
        .take(MOST_SPACES)
        .find_map(|(at, _)| {
            let (before, behind) = (text.get(..at)?, text.get(at + 1..)?);
            let words = match mark {
                Some(mark) => split(behind, place, mark)?.0,
                None => behind,
            };
            is_known(words).then_some((before, behind))
        })
}

/// Whether `text` is a message that says something without a name at its beginning.
fn is_known(text: &str) -> bool {
    let mut templates = TEMPLATES.iter().filter(|template| {
        let first = template.places.first();
        !template.start.is_empty() || first.is_some_and(|(name, _)| SPOKEN.contains(name))
    });
    FIXED.contains(text) || templates.any(|template| template.read(text).is_some())
}

/// The messages, those with the most words first.
static TEMPLATES: LazyLock<Vec<Template>> = LazyLock::new(|| {
    let messages = MESSAGES.iter().copied().flatten();
    let mut templates: Vec<_> = messages.copied().map(Template::new).collect();
    templates.sort_by_key(|template| std::cmp::Reverse(template.weight));
    templates
});

/// The messages without places.
static FIXED: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    let messages = MESSAGES.iter().copied().flatten().copied();
    messages.filter(|message| !message.contains('{')).collect()
});

/// What the engine says in `text`, in the user's language. Where only parts of it are known ("left: right", or several sentences), those
/// are translated; nothing of it is lost.
pub fn translated(text: &str) -> String {
    places::suited(speak(text, DEEPEST).unwrap_or_else(|| text.to_owned()))
}

/// Whether a name holds no parts of a sentence, so that it may well be one.
fn is_one(name: &str) -> bool {
    !name.contains(": ") && !name.contains(". ")
}

/// The translation of `text`, if anything in it is known.
fn speak(text: &str, depth: usize) -> Option<String> {
    let depth = depth.checked_sub(1)?;
    if text.len() > LONGEST {
        return None;
    }
    let whole = fit(text, depth, &is_one);
    whole
        .or_else(|| parts(text, depth))
        .or_else(|| fit(text, depth, &|_| true))
}

/// The translation of a text that is one sentence, whose names are `likely` ones. It may begin with a capital letter and end with a full
/// stop where the message does not.
fn fit(text: &str, depth: usize, likely: &dyn Fn(&str) -> bool) -> Option<String> {
    let inner = |text: &str| {
        exact(text, depth, likely, false).or_else(|| {
            let mut small = text.to_owned();
            let first = small.get_mut(..1)?;
            if !first.bytes().all(|letter| letter.is_ascii_uppercase()) {
                return None;
            }
            first.make_ascii_lowercase();
            Some(capitalised(&exact(&small, depth, likely, true)?))
        })
    };
    inner(text).or_else(|| {
        let mut sentence = inner(text.strip_suffix('.')?)?;
        sentence.push(full_stop(&sentence));
        Some(sentence)
    })
}

/// The translation of a text that is a message with its places filled in; `begun` when the message must begin with words.
fn exact(text: &str, depth: usize, likely: &dyn Fn(&str) -> bool, begun: bool) -> Option<String> {
    let mut templates = TEMPLATES.iter();
    let (template, found) = templates.find_map(|template| {
        if begun && template.start.is_empty() {
            return None;
        }
        let found = template.read(text)?;
        let mut names = found.iter().filter(|(name, _)| !SPOKEN.contains(name));
        names
            .all(|(_, value)| likely(value))
            .then_some((template, found))
    })?;
    let values: Vec<(&str, String)> = found
        .into_iter()
        .map(|(name, value)| {
            let spoken = SPOKEN
                .contains(&name)
                .then(|| speak(value, depth))
                .flatten();
            (name, spoken.unwrap_or_else(|| value.to_owned()))
        })
        .collect();
    let places: Vec<Place<'_>> = values
        .iter()
        .map(|(name, value)| (*name, value as &dyn Display))
        .collect();
    Some(gettext_with(template.message, &places))
}

/// The translation of a text of several parts, as far as they are known.
fn parts(text: &str, depth: usize) -> Option<String> {
    // The full stop belongs to what is before it.
    let ends = text.char_indices().filter_map(|(index, letter)| {
        let keep = usize::from(letter == '.');
        let after = text.get(index..)?;
        let ends = after.starts_with(": ") || after.starts_with(". ");
        let left = text.get(..index + keep)?;
        ends.then_some((
            left,
            text.get(index + keep..index + 2)?,
            text.get(index + 2..)?,
        ))
    });
    let ends: Vec<_> = ends.take(MOST_PARTS).collect();
    for (left, mark, right) in &ends {
        if let Some(left) = fit(left, depth, &is_one) {
            let right = speak(right, depth).unwrap_or_else(|| (*right).to_owned());
            // Chinese has no space behind a full stop.
            let mark = if left.ends_with('。') { "" } else { mark };
            return Some(left + mark + &right);
        }
    }
    let (left, mark, right) = ends.first()?;
    let right = speak(right, depth)?;
    Some([*left, *mark, right.as_str()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is understood of a text: each message with what is in its places.
    fn understood(text: &str) -> Vec<String> {
        let found = TEMPLATES.iter().find_map(|template| {
            let found = template.read(text)?;
            let mut names = found.iter().filter(|(name, _)| !SPOKEN.contains(name));
            names
                .all(|(_, value)| is_one(value))
                .then_some((template.message, found))
        });
        let Some((message, found)) = found else {
            return Vec::new();
        };
        let values = found
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"));
        std::iter::once(message.to_owned()).chain(values).collect()
    }

    #[test]
    fn sentences_are_taken_apart() {
        for (text, expected) in [
            (
                "a machine called Debian exists already; choose another name",
                &[
                    "a machine called {name} exists already; choose another name",
                    "name=Debian",
                ][..],
            ),
            (
                "could not write to /a b.img: no space: none",
                &[
                    "could not {action} {file}: {source}",
                    "action=write to",
                    "file=/a b.img",
                    "source=no space: none",
                ],
            ),
            (
                "/m.toml, line 3, cannot be understood: no key; correct the file in a text editor or restore it from a backup",
                &[
                    "{file}, line {line}, cannot be understood: {message}; correct the file in a text editor or restore it from a backup",
                    "file=/m.toml",
                    "line=3",
                    "message=no key",
                ],
            ),
            (
                "Its drives are connected by IDE from now on: a guest that names them by their place (/dev/hda, /dev/sda) or has no driver for SATA does not find them.",
                &[],
            ),
            (
                "Cluster 5 of the file is used for a snapshot's L1 table and for data at the same time.",
                &[
                    "Cluster {cluster} of the file is used for {part} and for {kind} at the same time.",
                    "cluster=5",
                    "part=a snapshot's L1 table",
                    "kind=data",
                ],
            ),
            (
                "/my disks/a b.vhd is an image of the unknown kind 9, which is not supported; restore it from a backup",
                &[
                    "{file} {feature}, which is not supported; {remedy}",
                    "file=/my disks/a b.vhd",
                    "feature=is an image of the unknown kind 9",
                    "remedy=restore it from a backup",
                ],
            ),
            (
                "/my disks/a is b.qcow2 is based on no other image; nothing needs to be done",
                &[
                    "{file} {reason}; {remedy}",
                    "file=/my disks/a is b.qcow2",
                    "reason=is based on no other image",
                    "remedy=nothing needs to be done",
                ],
            ),
            (
                "/a was not closed properly or is marked as damaged and cannot be resized; repair it first (guesthouse disk repair)",
                &[
                    "{file} {reason}; {remedy}",
                    "file=/a",
                    "reason=was not closed properly or is marked as damaged and cannot be resized",
                    "remedy=repair it first (guesthouse disk repair)",
                ],
            ),
            (
                "/a b.vhdx is damaged: its block table lies beyond the end of the file; restore it from a backup, or download or copy it again",
                &[
                    "{file} is damaged: {fault}; restore it from a backup, or download or copy it again",
                    "file=/a b.vhdx",
                    "fault=its block table lies beyond the end of the file",
                ],
            ),
            (
                "its region table lies beyond the end of the file",
                &[
                    "{part} lies beyond the end of the file",
                    "part=its region table",
                ],
            ),
            (
                "KVM could not reset a local APIC: Invalid argument (os error 22)",
                &[
                    "KVM could not {action}: {source}",
                    "action=reset a local APIC",
                    "source=Invalid argument (os error 22)",
                ],
            ),
            ("all of it lies beyond the end of the file", &[]),
            ("a sentence of others; nothing needs to be done", &[]),
            ("nothing of ours", &[]),
            ("", &[]),
        ] {
            assert_eq!(understood(text), expected, "{text}");
        }
    }

    #[test]
    fn no_message_is_taken_for_another() {
        let words = |template: &Template| {
            let after = template.places.iter().map(|(_, after)| *after);
            std::iter::once(template.start)
                .chain(after)
                .collect::<Vec<_>>()
        };
        for template in TEMPLATES.iter() {
            let mut text = template.start.to_owned();
            for (name, after) in &template.places {
                let spoken = SPOKEN.contains(name);
                let value = if spoken { "its header" } else { "7" };
                text = text + value + after;
            }
            let found = TEMPLATES.iter().find(|other| other.read(&text).is_some());
            assert_eq!(found.map(words), Some(words(template)), "{text}");
        }
    }

    #[test]
    fn no_text_loses_a_part() {
        let long = ": could not read /a: ".repeat(200) + &"é. ".repeat(1000);
        for text in [
            "The machine could not go on: could not open /ä: a: b: c. d",
            "KVM is not loaded. The processor can run virtual machines, but /dev/kvm is missing. Run \"sudo modprobe kvm_amd\".",
            "The hard disk 0: could not flush /x: y. Look at this computer's log and check the device.",
            "a: A name has at most 64 characters.: b",
            "{file} exists already; choose another name",
            "{a}{b}{: . . : ",
            "É: é.",
            ". ",
            ": ",
            ".",
            "",
            &long,
            &": could not read /a: ".repeat(380),
            &"could not open a: could not flush b. ".repeat(200),
            &"could not open : ".repeat(10_000),
            &"a; b ".repeat(1600),
            &" lies beyond the end of the file and cannot be x".repeat(170),
            &" is encrypted; restore it from a backup".repeat(200),
        ] {
            assert_eq!(translated(text), text);
        }
    }
}
