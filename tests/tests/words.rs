//! Every word of the window can be translated.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use guesthouse_tests::words;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What looks like words and is none: names of types, and what is the same in every language.
const NOT_WORDS: [&str; 4] = ["Guesthouse", "GuesthouseScreen", "Local", "Stream"];

/// Files whose words are yet to be handed over.
const LATER: [&str; 2] = ["machine/hardware/mod.rs", "machine/hardware/boot_order.rs"];

#[test]
fn every_sentence_goes_through_gettext() -> anyhow::Result<()> {
    let mut forgotten = Vec::new();
    for path in words::sources(&root().join("ui/src"))? {
        if LATER.iter().any(|later| path.ends_with(later)) {
            continue;
        }
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
