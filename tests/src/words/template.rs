//! All messages of the program, and the template that translations are made of, in GNU gettext's PO format:
//! <https://www.gnu.org/software/gettext/manual/html_node/PO-Files.html>.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use polib::catalog::Catalog;
use polib::message::{Message as Entry, MessageMutView as _};
use polib::metadata::CatalogMetadata;

use super::{Message, documented, words};

/// Rust sources below `place` that are not only tests, in the order of their names; it may be a source itself.
///
/// # Errors
/// A folder cannot be read.
pub fn sources(place: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut places = vec![place.to_owned()];
    while let Some(path) = places.pop() {
        let name = path.file_stem().and_then(|name| name.to_str());
        if path != place && name.is_some_and(|name| name == "tests" || name.ends_with("_tests")) {
            continue;
        }
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).with_context(|| path.display().to_string())?;
            for entry in entries {
                places.push(entry?.path());
            }
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Messages with the places that have them.
pub type Messages = BTreeMap<Message, Vec<String>>;

/// All messages of the sources below `folder`, with the places that have them, relative to it.
///
/// # Errors
/// A file cannot be read, or is not Rust.
pub fn messages(folder: &Path) -> anyhow::Result<Messages> {
    let mut all = Messages::new();
    for path in sources(folder)? {
        let source = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let name = path.strip_prefix(folder).unwrap_or(&path).display();
        let words = words(&source).with_context(|| path.display().to_string())?;
        let documented = documented(&source).with_context(|| path.display().to_string())?;
        for (line, message) in words.messages.into_iter().chain(documented) {
            let places = all.entry(message).or_default();
            places.push(format!("{name}:{line}"));
        }
    }
    Ok(all)
}

/// All messages of the program whose sources are in `root`: those of the window and of the command line.
///
/// # Errors
/// As [`messages`].
pub fn of_program(root: &Path) -> anyhow::Result<Messages> {
    let mut all = messages(&root.join("ui/src"))?;
    for (message, places) in messages(&root.join("app/src"))? {
        all.entry(message).or_default().extend(places);
    }
    Ok(all)
}

/// The template of `messages`, in the format of PO files.
///
/// # Errors
/// Memory cannot be written to.
pub fn template(messages: &BTreeMap<Message, Vec<String>>) -> anyhow::Result<Vec<u8>> {
    let mut metadata = CatalogMetadata::new();
    metadata.project_id_version = "Guesthouse".to_owned();
    metadata.mime_version = "1.0".to_owned();
    metadata.content_type = "text/plain; charset=UTF-8".to_owned();
    metadata.content_transfer_encoding = "8bit".to_owned();
    metadata.plural_rules.nplurals = 2;
    let mut catalog = Catalog::new(metadata);
    for (message, places) in messages {
        let source = places.join(" ");
        let mut entry = match &message.many {
            None => Entry::build_singular(),
            Some(many) => {
                let mut entry = Entry::build_plural();
                entry.with_msgid_plural(many.clone());
                entry.with_msgstr_plural(vec![String::new(); 2]);
                entry
            }
        };
        let mut entry = entry.with_msgid(message.one.clone()).done();
        *entry.source_mut() = source;
        catalog.append_or_update(entry);
    }
    let mut writer = std::io::BufWriter::new(Vec::new());
    polib::po_file::write(&catalog, &mut writer)?;
    Ok(writer.into_inner()?)
}
