//! Every word of the window and of the command line can be translated, and is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use guesthouse_tests::words::{self, Message};
use polib::catalog::Catalog;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What looks like words and is none: names of types, and what is the same in every language.
const NOT_WORDS: [&str; 9] = [
    "Guesthouse",
    "GuesthouseMachineObject",
    "GuesthouseMachineRow",
    "GuesthouseScreen",
    "GuesthouseSnapshotBranch",
    "Local",
    "NameHasOwner",
    "ReadScreen",
    "Stream",
];

#[test]
fn every_sentence_goes_through_gettext() -> anyhow::Result<()> {
    let mut forgotten = Vec::new();
    for path in words::sources(&root().join("ui/src"))? {
        let source = std::fs::read_to_string(&path)?;
        let found = words::words(&source).with_context(|| path.display().to_string())?;
        for (line, text) in found.loose {
            if !NOT_WORDS.contains(&text.as_str()) {
                forgotten.push(format!("{}:{line}: {text}", path.display()));
            }
        }
    }
    anyhow::ensure!(
        forgotten.is_empty(),
        "not handed to gettext:\n{}",
        forgotten.join("\n")
    );
    Ok(())
}

/// The places of values in a message: `name` of `{name}`.
fn places(text: &str) -> BTreeSet<&str> {
    let parts = text.split('{').skip(1);
    parts
        .filter_map(|part| Some(part.split_once('}')?.0))
        .collect()
}

/// What is wrong with the translation of a message.
fn faults(message: &Message, catalog: &Catalog) -> Vec<String> {
    let entry = catalog.find_message(None, &message.one, message.many.as_deref());
    let Some(entry) = entry.filter(|entry| entry.is_translated() && !entry.is_fuzzy()) else {
        return vec!["it is not translated".to_owned()];
    };
    let forms = match &message.many {
        None => entry.msgstr().map(|text| vec![text.to_owned()]),
        Some(_) => entry.msgstr_plural().cloned(),
    };
    let Ok(forms) = forms else {
        return vec!["it has a plural on one side only".to_owned()];
    };
    let mut faults = Vec::new();
    let expected = catalog.metadata.plural_rules.nplurals;
    if message.many.is_some() && forms.len() != expected {
        faults.push(format!(
            "it has {} plural forms instead of {expected}",
            forms.len()
        ));
    }
    let known = places(message.many.as_deref().unwrap_or(&message.one));
    for form in forms {
        let own = places(&form);
        // "One disk" may do without the number.
        let optional = if message.many.is_some() {
            BTreeSet::from(["number"])
        } else {
            BTreeSet::new()
        };
        if !own.is_subset(&known) || !known.is_subset(&own.union(&optional).copied().collect()) {
            faults.push(format!("“{form}” has other places for values"));
        }
        let mnemonics = |text: &str| text.contains('_');
        if mnemonics(&message.one) && message.one != "translator-credits" && !mnemonics(&form) {
            faults.push(format!("“{form}” has no access key"));
        }
        if form.trim() != form {
            faults.push(format!("“{form}” has spaces around it"));
        }
    }
    faults
}

#[test]
fn every_translation_is_whole() -> anyhow::Result<()> {
    let messages = words::of_program(&root())?;
    let languages = std::fs::read_to_string(root().join("po/LINGUAS"))?;
    let languages: Vec<_> = languages
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    anyhow::ensure!(!languages.is_empty(), "po/LINGUAS names no language");
    let mut wrong = Vec::new();
    for language in languages {
        let path = root().join("po").join(language).with_extension("po");
        let catalog = polib::po_file::parse(&path)
            .map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
        for message in messages.keys() {
            let faults = faults(message, &catalog);
            wrong.extend(
                faults
                    .iter()
                    .map(|fault| format!("{language}: “{}”: {fault}", message.one)),
            );
        }
    }
    anyhow::ensure!(
        wrong.is_empty(),
        "run build-aux/enter build-aux/translations, and complete po/:\n{}",
        wrong.join("\n")
    );
    Ok(())
}

/// Folders and files whose words do not reach the window, and why.
const SILENT: [(&str, &str); 25] = [
    ("app/src/bus", "programs read it"),
    (
        "engine/src/bus",
        "devices' addresses, wrong in a guest or in a board",
    ),
    ("engine/src/chipset", "registers"),
    ("engine/src/display", "pixels"),
    ("engine/src/firmware/fw_cfg", "a board's own tables"),
    ("engine/src/firmware/smbios.rs", "guests read it"),
    ("engine/src/fuzzing", "hostile input for tests"),
    ("engine/src/hypervisor/state.rs", "the machine's log"),
    ("engine/src/legacy", "registers"),
    (
        "engine/src/machine/conductor.rs",
        "the machine's log, but for a crash, which is in the table",
    ),
    ("engine/src/machine/log.rs", "the machine's log"),
    ("engine/src/machine/watch.rs", "the machine's log"),
    (
        "engine/src/media/operating_system",
        "names, which are not translated",
    ),
    ("engine/src/memory/guest_buffer.rs", "developers read it"),
    ("engine/src/memory/guest_memory.rs", "a guest's addresses"),
    ("engine/src/network/cable.rs", "packets"),
    ("engine/src/pci", "a board's own slots"),
    (
        "engine/src/remote/encoding",
        "the log: viewers are of others",
    ),
    ("engine/src/remote/fuzzing.rs", "hostile input for tests"),
    (
        "engine/src/remote/handshake.rs",
        "the log: viewers are of others",
    ),
    (
        "engine/src/remote/message.rs",
        "the log: viewers are of others",
    ),
    (
        "engine/src/remote/pixel.rs",
        "the log: viewers are of others",
    ),
    (
        "engine/src/remote/stream.rs",
        "the log: where a viewer comes from",
    ),
    ("engine/src/storage/ata", "registers"),
    ("engine/src/virtio", "a guest's queues"),
];

/// Texts elsewhere that the window does not show either, or not by themselves, and why.
const UNSHOWN: [(&str, &[&str]); 4] = [
    (
        "parts of sentences that are known as a whole",
        &[
            "The host could not carry out an instruction {place} (bytes",
            "an image that it does not name",
            "hard disk",
            "optical drive",
            "the machine as it is now",
        ],
    ),
    (
        "the log alone says it",
        &[
            "MemoryRegion({}, {} bytes)",
            "nobody answers at the socket",
            "there is no place for control sockets",
        ],
    ),
    (
        "names of lines, cards and threads",
        &[
            "PCI interrupt",
            "another process",
            "control client",
            "control sockets",
            "network card",
            "other processes",
            "real-time clock",
            "serial input",
            "serial output",
            "serial port",
            "system control",
            "virtio balloon",
            "virtio console",
            "virtio disk",
            "virtio entropy",
            "virtio graphics",
            "virtio keyboard",
            "virtio tablet",
        ],
    ),
    (
        "documentation that a macro makes",
        &[
            "16 bits at `at`, least byte first.",
            "32 bits at `at`, greatest byte first.",
            "32 bits at `at`, least byte first.",
            "64 bits at `at`, greatest byte first.",
            "64 bits at `at`, least byte first.",
        ],
    ),
];

/// A text with places for values, cut at these.
struct Pattern<'a> {
    text: &'a str,
    literals: Vec<&'a str>,
}

impl<'a> Pattern<'a> {
    fn new(text: &'a str) -> Self {
        let mut parts = text.split('{');
        let first = parts.next();
        let rest = parts.map(|part| part.split_once('}').map_or("", |(_, after)| after));
        let literals = first.into_iter().chain(rest).collect();
        Self { text, literals }
    }

    /// Whether `text` is what this one becomes with something in its places.
    fn makes(&self, text: &str) -> bool {
        let [first, between @ .., last] = self.literals.as_slice() else {
            return text == self.text;
        };
        let Some(mut rest) = text.strip_prefix(first) else {
            return false;
        };
        for literal in between {
            let Some((_, after)) = rest.split_once(literal) else {
                return false;
            };
            rest = after;
        }
        rest.ends_with(last)
    }

    /// Whether this message says the sentence, or a case of it.
    fn says(&self, sentence: &Self) -> bool {
        self.literals == sentence.literals
            || sentence.makes(self.text)
            // What is added to another sentence.
            || (sentence.text.starts_with('.') && self.text.ends_with(sentence.text))
    }

    /// Whether this message says a text that may be a part of a sentence: only words at its beginning make sure that it is no other one.
    fn says_part(&self, text: &Self) -> bool {
        let begun = |text: &Self| !text.text.starts_with('{');
        self.literals == text.literals
            || (begun(text) && self.says(text))
            || (begun(self) && self.makes(text.text))
    }

    /// Whether so little of it is words that there is nothing to translate.
    fn is_bare(&self) -> bool {
        let mut literals = self.literals.iter();
        !literals.any(|literal| literal.chars().any(char::is_alphabetic))
    }
}

/// The texts that are not bare.
fn patterns(texts: &BTreeSet<String>) -> Vec<Pattern<'_>> {
    let patterns = texts.iter().map(|text| Pattern::new(text));
    patterns.filter(|text| !text.is_bare()).collect()
}

/// The sources that speak: their names, and what is in them.
fn speaking(root: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let mut paths = words::sources(&root.join("engine/src"))?;
    paths.extend(words::sources(&root.join("app/src"))?);
    let read = |path: PathBuf| {
        let name = path.strip_prefix(root)?.display().to_string();
        let source = std::fs::read_to_string(&path).with_context(|| name.clone())?;
        Ok((name, source))
    };
    paths.into_iter().map(read).collect()
}

#[test]
fn what_the_engine_and_the_command_line_say_can_be_translated() -> anyhow::Result<()> {
    let root = root();
    let known = words::messages(&root.join("ui/src/text/phrases"))?;
    anyhow::ensure!(!known.is_empty(), "no phrases were found");
    let known: Vec<Pattern<'_>> = known.keys().map(|it| Pattern::new(&it.one)).collect();
    let sources = speaking(&root)?;
    // What could not be done may be one word, which nothing else tells from a name.
    let mut takers = Vec::new();
    for (name, source) in &sources {
        let found = words::takers(source, "action").with_context(|| name.clone())?;
        takers.extend(found.into_iter().map(|taker| (name, taker)));
    }
    let unshown = || UNSHOWN.iter().flat_map(|(_, texts)| texts.iter().copied());
    let mut missing = BTreeSet::new();
    let (mut errors, mut texts) = (BTreeSet::new(), BTreeSet::new());
    for (name, source) in &sources {
        let spoken = words::spoken(source).with_context(|| name.clone())?;
        let silent = |(folder, _): &(&str, _)| Path::new(name).starts_with(folder);
        if !SILENT.iter().any(silent) {
            let errors = spoken.errors.iter().map(|text| Pattern::new(text));
            let errors = errors.filter(|text| !text.is_bare());
            let errors = errors.filter(|text| !known.iter().any(|message| message.says(text)));
            let texts = spoken.texts.iter().map(|text| text.trim());
            let texts = texts.filter(|text| words::is_prose(text));
            let texts = texts.filter(|text| unshown().all(|unshown| unshown != *text));
            let texts = texts.map(Pattern::new);
            let texts = texts.filter(|text| !known.iter().any(|message| message.says_part(text)));
            missing.extend(errors.chain(texts).map(|it| format!("{name}: {}", it.text)));
        }
        let mine = takers.iter().filter(|(at, it)| it.public || *at == name);
        let mine: Vec<_> = mine.map(|(_, taker)| taker).collect();
        let actions = words::handed(source, &mine)?;
        let actions = actions
            .iter()
            .filter(|action| known.iter().all(|message| message.text != *action));
        missing.extend(actions.map(|action| format!("{name}: {action}")));
        errors.extend(spoken.errors);
        texts.extend(spoken.texts.iter().map(|text| text.trim().to_owned()));
    }
    let (said, said_elsewhere) = (patterns(&errors), patterns(&texts));
    let is_said = |message: &Pattern<'_>| {
        let by_error = |text: &Pattern<'_>| message.says(text) || message.makes(text.text);
        said.iter().any(by_error) || said_elsewhere.iter().any(|text| message.says_part(text))
    };
    let stale = known.iter().filter(|message| !is_said(message));
    let stale: Vec<&str> = stale
        .map(|message| message.text)
        .chain(unshown().filter(|text| !texts.contains(*text)))
        .collect();
    let missing: Vec<String> = missing.into_iter().collect();
    anyhow::ensure!(
        missing.is_empty(),
        "not in ui/src/text/phrases (for what nobody reads in the window there are SILENT and UNSHOWN):\n{}",
        missing.join("\n")
    );
    anyhow::ensure!(
        stale.is_empty(),
        "in ui/src/text/phrases or UNSHOWN, but no longer said by the engine:\n{}",
        stale.join("\n")
    );
    Ok(())
}
