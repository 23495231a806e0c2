//! Every word of the window can be translated, and is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use guesthouse_tests::words::{self, Message};
use polib::catalog::Catalog;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What looks like words and is none: names of types, and what is the same in every language.
const NOT_WORDS: [&str; 8] = [
    "Guesthouse",
    "GuesthouseMachineObject",
    "GuesthouseMachineRow",
    "GuesthouseScreen",
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
    let messages = words::messages(&root().join("ui/src"))?;
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

/// Folders and files of the engine whose words do not reach the window, and why.
const SILENT: [(&str, &str); 17] = [
    ("bus", "devices' addresses, wrong in a guest or in a board"),
    ("chipset", "registers"),
    ("display", "pixels"),
    ("firmware/fw_cfg", "a board's own tables"),
    ("fuzzing", "hostile input for tests"),
    ("legacy", "registers"),
    (
        "machine/conductor.rs",
        "the machine's log, but for a crash, which is in the table",
    ),
    ("machine/watch.rs", "the machine's log"),
    ("media/operating_system", "names, which are not translated"),
    ("memory/guest_memory.rs", "a guest's addresses"),
    ("memory/layout.rs", "it is told by what it holds"),
    ("network/cable.rs", "packets"),
    ("network/nat/tests", "only tests say it"),
    ("pci", "a board's own slots"),
    ("remote", "viewers of other programs, who read the log"),
    ("virtio", "a guest's queues"),
    ("storage/ata", "registers"),
];

/// `text` cut at its places.
fn literals(text: &str) -> Vec<&str> {
    let mut parts = text.split('{');
    let first = parts.next();
    let rest = parts.map(|part| part.split_once('}').map_or("", |(_, after)| after));
    first.into_iter().chain(rest).collect()
}

/// Whether `text` is what `pattern` becomes with something in its places.
fn is_made_of(text: &str, pattern: &str) -> bool {
    let literals = literals(pattern);
    let [first, between @ .., last] = literals.as_slice() else {
        return text == pattern;
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

/// Whether the message says the sentence, or a case of it.
fn says(message: &str, sentence: &str) -> bool {
    literals(message) == literals(sentence)
        || is_made_of(message, sentence)
        // What is added to another sentence.
        || (sentence.starts_with('.') && message.ends_with(sentence))
}

/// Whether so little of a sentence is words that there is nothing to translate.
fn is_bare(text: &str) -> bool {
    !literals(text)
        .iter()
        .any(|literal| literal.chars().any(char::is_alphabetic))
}

#[test]
fn what_the_engine_says_can_be_translated() -> anyhow::Result<()> {
    let known = words::messages(&root().join("ui/src/text/phrases"))?;
    anyhow::ensure!(!known.is_empty(), "no phrases were found");
    let engine = root().join("engine/src");
    let (mut missing, mut all) = (Vec::new(), Vec::new());
    for path in words::sources(&engine)? {
        let source = std::fs::read_to_string(&path)?;
        let spoken = words::spoken(&source).with_context(|| path.display().to_string())?;
        let name = path.strip_prefix(&engine)?;
        let silent = SILENT.iter().any(|(folder, _)| name.starts_with(folder));
        let said = spoken.errors.iter().chain(&spoken.sentences);
        let said = said.filter(|_| !silent);
        for sentence in said.filter(|sentence| !is_bare(sentence)) {
            if !known.keys().any(|message| says(&message.one, sentence)) {
                missing.push(format!("{}: {sentence}", name.display()));
            }
        }
        all.extend(spoken.errors);
        all.extend(spoken.texts.iter().map(|text| text.trim().to_owned()));
    }
    let stale: Vec<&str> = known
        .keys()
        .map(|message| message.one.as_str())
        .filter(|message| {
            !all.iter()
                .any(|text| !is_bare(text) && (says(message, text) || is_made_of(text, message)))
        })
        .collect();
    anyhow::ensure!(
        missing.is_empty(),
        "not in ui/src/text/phrases:\n{}",
        missing.join("\n")
    );
    anyhow::ensure!(
        stale.is_empty(),
        "in ui/src/text/phrases, but no longer said by the engine:\n{}",
        stale.join("\n")
    );
    Ok(())
}
