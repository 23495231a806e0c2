//! What the source says to people: the messages that it hands to gettext, and the sentences that it forgot to.
//!
//! The source is read as Rust's tokens, so that what stands in the macros of the view counts like anything else. The template that
//! translations are made of follows GNU gettext's PO format: <https://www.gnu.org/software/gettext/manual/html_node/PO-Files.html>.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use polib::catalog::Catalog;
use polib::message::{Message as Entry, MessageMutView as _};
use polib::metadata::CatalogMetadata;
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree, token_stream};

/// A message: in the singular, and in the plural where it has one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Message {
    /// The message, or that for one thing.
    pub one: String,
    /// That for several things.
    pub many: Option<String>,
}

/// What a file says.
#[derive(Debug, Default)]
pub struct Words {
    /// What it hands to gettext, with the line.
    pub messages: Vec<(usize, Message)>,
    /// Sentences and names that it does not, with the line.
    pub loose: Vec<(usize, String)>,
}

/// The functions that take a message, and how many literals of theirs are one.
const TRANSLATING: [(&str, usize); 4] = [
    ("gettext", 1),
    ("gettext_with", 1),
    ("message", 1),
    ("ngettext_with", 2),
];

/// Macros whose words are for developers.
const LOGGING: [&str; 10] = [
    "trace",
    "debug",
    "info",
    "warn",
    "error",
    "panic",
    "unreachable",
    "assert",
    "assert_eq",
    "debug_assert",
];

/// Reads a file's source.
///
/// # Errors
/// It is not Rust.
pub fn words(source: &str) -> anyhow::Result<Words> {
    let tokens: TokenStream = source
        .parse()
        .map_err(|error| anyhow::anyhow!("it is not Rust: {error}"))?;
    let mut words = Words::default();
    read(tokens, &mut words);
    Ok(words)
}

fn read(tokens: TokenStream, words: &mut Words) {
    let mut tokens = tokens.into_iter().peekable();
    let mut name = String::new();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(mark) if mark.as_char() == '#' => attribute(&mut tokens),
            // A macro's name stays the name before its group.
            TokenTree::Punct(mark) if mark.as_char() == '!' => name.push('!'),
            TokenTree::Ident(ident) => name = ident.to_string(),
            TokenTree::Group(group) => {
                called(&name, &group, words);
                name.clear();
            }
            TokenTree::Literal(literal) => {
                let line = literal.span().start().line;
                if let Some(text) = string(&literal).filter(|text| is_for_people(text)) {
                    words.loose.push((line, text));
                }
                name.clear();
            }
            TokenTree::Punct(_) => name.clear(),
        }
    }
}

/// Passes over an attribute, and over the item after it where that is only there for tests.
fn attribute(tokens: &mut Peekable<token_stream::IntoIter>) {
    tokens.next_if(|token| matches!(token, TokenTree::Punct(mark) if mark.as_char() == '!'));
    let Some(TokenTree::Group(group)) =
        tokens.next_if(|token| matches!(token, TokenTree::Group(_)))
    else {
        return;
    };
    if group.stream().to_string().replace(' ', "") != "cfg(test)" {
        return;
    }
    for token in tokens.by_ref() {
        let ends = match token {
            TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
            TokenTree::Punct(mark) => mark.as_char() == ';',
            _ => false,
        };
        if ends {
            return;
        }
    }
}

/// Reads what `name` is called with.
fn called(name: &str, group: &Group, words: &mut Words) {
    if name
        .strip_suffix('!')
        .is_some_and(|name| LOGGING.contains(&name))
    {
        return;
    }
    let translating = TRANSLATING.iter().find(|(function, _)| *function == name);
    let Some((_, count)) = translating.filter(|_| group.delimiter() == Delimiter::Parenthesis)
    else {
        return read(group.stream(), words);
    };
    let mut rest = group.stream().into_iter().peekable();
    let mut texts = Vec::new();
    while texts.len() < *count {
        match rest.next_if(|token| matches!(token, TokenTree::Literal(_) | TokenTree::Punct(_))) {
            Some(TokenTree::Literal(literal)) => texts.extend(string(&literal)),
            Some(_) => {}
            None => break,
        }
    }
    // A table's message is translated where it is shown, by a variable.
    if texts.len() == *count {
        let mut texts = texts.into_iter();
        let message = Message {
            one: texts.next().unwrap_or_default(),
            many: texts.next(),
        };
        words
            .messages
            .push((group.span_open().start().line, message));
    }
    read(rest.collect(), words);
}

fn string(literal: &proc_macro2::Literal) -> Option<String> {
    match syn::Lit::new(literal.clone()) {
        syn::Lit::Str(text) => Some(text.value()),
        _ => None,
    }
}

/// What a file of the engine says.
#[derive(Debug, Default)]
pub struct Spoken {
    /// The messages of its errors.
    pub errors: Vec<String>,
    /// Whole sentences elsewhere: three words or more with a full stop.
    pub sentences: Vec<String>,
    /// All texts but the messages of errors, these sentences among them.
    pub texts: Vec<String>,
}

/// Reads what a file of the engine says, but for its tests and what it tells the program's log.
///
/// # Errors
/// It is not Rust.
pub fn spoken(source: &str) -> anyhow::Result<Spoken> {
    let tokens: TokenStream = source
        .parse()
        .map_err(|error| anyhow::anyhow!("it is not Rust: {error}"))?;
    let mut spoken = Spoken::default();
    hear(tokens, &mut spoken);
    Ok(spoken)
}

fn hear(tokens: TokenStream, spoken: &mut Spoken) {
    let mut tokens = tokens.into_iter().peekable();
    let mut name = String::new();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(mark) if mark.as_char() == '#' => {
                if let Some(TokenTree::Group(group)) = tokens.peek() {
                    spoken.errors.extend(error_message(group));
                }
                attribute(&mut tokens);
            }
            TokenTree::Punct(mark) if mark.as_char() == '!' => name.push('!'),
            TokenTree::Punct(_) => name.clear(),
            TokenTree::Ident(ident) => name = ident.to_string(),
            TokenTree::Group(group) => {
                let macro_name = name.strip_suffix('!');
                if !macro_name.is_some_and(|name| LOGGING.contains(&name)) {
                    hear(group.stream(), spoken);
                }
                name.clear();
            }
            TokenTree::Literal(literal) => {
                if let Some(text) = string(&literal) {
                    let words = text.split_whitespace().count();
                    let begins = |letter: char| letter.is_uppercase() || "{.".contains(letter);
                    if words > 2 && text.starts_with(begins) && text.ends_with(['.', '?']) {
                        spoken.sentences.push(text.clone());
                    }
                    spoken.texts.push(text);
                }
                name.clear();
            }
        }
    }
}

/// The message of an attribute `[error("…")]`.
fn error_message(attribute: &Group) -> Option<String> {
    let mut tokens = attribute.stream().into_iter();
    match (tokens.next()?, tokens.next()?) {
        (TokenTree::Ident(name), TokenTree::Group(group)) if name == "error" => {
            match group.stream().into_iter().next()? {
                TokenTree::Literal(literal) => string(&literal),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Whether a text looks like one for people rather than an identifier, a path, a style class or an icon's name: beside the places of
/// values it has two words, or one with a capital letter.
fn is_for_people(text: &str) -> bool {
    let mut bare = String::new();
    let mut depth = 0_u32;
    for letter in text.chars() {
        match letter {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ if depth == 0 => bare.push(letter),
            _ => {}
        }
    }
    // An accelerator, or a path.
    if bare.starts_with('<') || (bare.contains('/') && !bare.contains(' ')) {
        return false;
    }
    let word = |word: &str| {
        let word = word.trim_matches(|letter: char| !letter.is_alphanumeric());
        word.chars().count() > 1
            && word
                .chars()
                .all(|letter| letter.is_alphabetic() || "’'-_…".contains(letter))
    };
    let words = bare.split_whitespace().filter(|part| word(part)).count();
    let capital = bare
        .trim_start_matches(['_', '“', ' '])
        .chars()
        .next()
        .is_some_and(char::is_uppercase);
    let lower = bare.chars().any(char::is_lowercase);
    words > 1 || (words == 1 && capital && lower)
}

/// Rust sources below `folder` that are not only tests, in the order of their names.
///
/// # Errors
/// A folder cannot be read.
pub fn sources(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs")
                && !path.ends_with("tests.rs")
            {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// All messages of the sources below `folder`, with the places that have them, relative to it.
///
/// # Errors
/// A file cannot be read, or is not Rust.
pub fn messages(folder: &Path) -> anyhow::Result<BTreeMap<Message, Vec<String>>> {
    let mut all: BTreeMap<Message, Vec<String>> = BTreeMap::new();
    for path in sources(folder)? {
        let source = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let words = words(&source).with_context(|| path.display().to_string())?;
        let name = path
            .strip_prefix(folder)
            .unwrap_or(&path)
            .display()
            .to_string();
        for (line, message) in words.messages {
            all.entry(message)
                .or_default()
                .push(format!("{name}:{line}"));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_wherever_they_stand() {
        let source = r#"
            //! No "Message Here".
            #[expect(dead_code, reason = "not for people")]
            const TABLE: [&str; 1] = [message("In a table")];
            fn show() {
                view! { gtk::Label { set_label: &gettext("In a \u{201c}macro\u{201d}"), set_title: "Forgotten words" } }
                let text = gettext_with(
                    "{name} is gone",
                    &[("name", &format!("the machine {name}"))],
                );
                ngettext_with("{number} disk", "{number} disks", 2, &[("size", &1)]);
                gettext(label);
                tracing::warn!(%error, "for the log only");
                button.set_icon_name("go-next-symbolic");
                name("Alone");
            }
            #[cfg(test)]
            mod tests {
                const TEXT: &str = "only a test says it";
            }
        "#;
        let words = words(source).unwrap();
        let messages: Vec<_> = words
            .messages
            .iter()
            .map(|(_, message)| message.one.as_str())
            .collect();
        assert_eq!(
            messages,
            [
                "In a table",
                "In a “macro”",
                "{name} is gone",
                "{number} disk"
            ]
        );
        assert_eq!(words.messages[3].1.many.as_deref(), Some("{number} disks"));
        let loose: Vec<_> = words.loose.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(loose, ["Forgotten words", "the machine {name}", "Alone"]);
    }

    #[test]
    fn errors_and_sentences_are_heard() {
        let source = r#"
            /// Not a sentence for people.
            #[derive(Debug, thiserror::Error)]
            enum Fault {
                #[error("{file} is gone", file = .file.display())]
                Gone { file: PathBuf },
                #[error(transparent)]
                Other(#[from] Other),
            }
            fn find() {
                tracing::warn!("Only the log says this.");
                found.push(Finding::error("memory", format!("That is {} too much.", 1)));
                host("read");
            }
            #[cfg(test)]
            mod tests {
                const TEXT: &str = "Only a test says it.";
            }
        "#;
        let spoken = spoken(source).unwrap();
        assert_eq!(spoken.errors, ["{file} is gone"]);
        assert_eq!(spoken.sentences, ["That is {} too much."]);
        assert_eq!(spoken.texts, ["memory", "That is {} too much.", "read"]);
    }
}
