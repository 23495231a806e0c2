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
    let Some((message, rest)) = handed_over(name, group) else {
        return read(group.stream(), words);
    };
    let line = group.span_open().start().line;
    words
        .messages
        .extend(message.map(|message| (line, message)));
    read(rest, words);
}

/// If `name` is a function that takes a message: the one that it is called with, and what else stands in the call. A table's message is
/// translated where it is shown, by a variable.
fn handed_over(name: &str, group: &Group) -> Option<(Option<Message>, TokenStream)> {
    let mut translating = TRANSLATING.iter();
    let (_, count) = translating.find(|(function, _)| *function == name)?;
    if group.delimiter() != Delimiter::Parenthesis {
        return None;
    }
    let mut rest = group.stream().into_iter().peekable();
    let mut texts = Vec::new();
    while texts.len() < *count {
        match rest.next_if(|token| matches!(token, TokenTree::Literal(_) | TokenTree::Punct(_))) {
            Some(TokenTree::Literal(literal)) => texts.extend(string(&literal)),
            Some(_) => {}
            None => break,
        }
    }
    let whole = texts.len() == *count;
    let mut texts = texts.into_iter();
    let message = texts.next().filter(|_| whole).map(|one| Message {
        one,
        many: texts.next(),
    });
    Some((message, rest.collect()))
}

/// Reads what a file's grammar of a command line (clap's `derive`) says of the options and commands in it: the documentation of fields and
/// variants, with its line.
///
/// # Errors
/// It is not Rust.
pub fn documented(source: &str) -> anyhow::Result<Vec<(usize, Message)>> {
    let tokens: TokenStream = source
        .parse()
        .map_err(|error| anyhow::anyhow!("it is not Rust: {error}"))?;
    let mut found = Vec::new();
    let mut derived = false;
    for token in tokens {
        let TokenTree::Group(group) = token else {
            continue;
        };
        match group.delimiter() {
            Delimiter::Bracket => derived |= is_grammar(&group),
            Delimiter::Brace if std::mem::take(&mut derived) => parts(group.stream(), &mut found),
            _ => {}
        }
    }
    Ok(found)
}

/// Whether an attribute makes a part of a grammar of what it stands before.
fn is_grammar(attribute: &Group) -> bool {
    let text = attribute.stream().to_string();
    let derives = text.strip_prefix("derive").map(str::trim_start);
    derives.is_some_and(|derived| {
        let mut words = derived.split(|letter: char| !letter.is_alphanumeric());
        words.any(|word| ["Args", "Parser", "Subcommand", "ValueEnum"].contains(&word))
    })
}

/// The documentation of the fields or variants of a type.
fn parts(tokens: TokenStream, found: &mut Vec<(usize, Message)>) {
    let mut lines: Vec<String> = Vec::new();
    let (mut line, mut shown, mut after_hash) = (0, true, false);
    for token in tokens {
        match &token {
            TokenTree::Punct(mark) if mark.as_char() == '#' => after_hash = true,
            TokenTree::Group(group) if after_hash => {
                after_hash = false;
                let mut inner = group.stream().into_iter();
                match (inner.next(), inner.last()) {
                    (Some(TokenTree::Ident(name)), Some(TokenTree::Literal(text)))
                        if name == "doc" =>
                    {
                        line = group.span_open().start().line;
                        lines.extend(string(&text).map(|text| text.trim().to_owned()));
                    }
                    // What is taken in from another type has a documentation for developers.
                    (Some(TokenTree::Ident(name)), Some(TokenTree::Group(what)))
                        if name == "command" =>
                    {
                        shown &= what.stream().to_string() != "flatten";
                    }
                    _ => {}
                }
            }
            _ if !lines.is_empty() => {
                let mut one = std::mem::take(&mut lines).join(" ");
                // As clap shows it.
                if one.ends_with('.') && !one.ends_with("..") {
                    one.pop();
                }
                if std::mem::replace(&mut shown, true) {
                    found.push((line, Message { one, many: None }));
                }
            }
            _ => {}
        }
    }
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
    /// All texts but the messages of errors.
    pub texts: Vec<String>,
}

/// Reads what a file of the engine says, but for its tests, what it tells the program's log, and what it hands to gettext itself.
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
                    let translated = handed_over(&name, &group);
                    hear(
                        translated.map_or_else(|| group.stream(), |(_, rest)| rest),
                        spoken,
                    );
                }
                name.clear();
            }
            TokenTree::Literal(literal) => {
                spoken.texts.extend(string(&literal));
                name.clear();
            }
        }
    }
}

/// A function that takes something by the name that was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taker {
    name: String,
    /// The number of the argument.
    place: usize,
    /// Whether other files may call it.
    pub public: bool,
}

/// The functions of a file that have a parameter of this name.
///
/// # Errors
/// It is not Rust.
pub fn takers(source: &str, parameter: &str) -> anyhow::Result<Vec<Taker>> {
    let mut found = Vec::new();
    each_call(source, &mut |call| {
        let named = |tokens: &Vec<String>| tokens.first().is_some_and(|name| name == parameter);
        let itself = |tokens: &Vec<String>| tokens.iter().any(|token| token == "self");
        let mut taken = arguments(call.group);
        taken.retain(|tokens| !itself(tokens));
        if let Some(place) = taken.iter().position(named).filter(|_| call.before == "fn") {
            found.push(Taker {
                name: call.name.to_owned(),
                place,
                public: call.public,
            });
        }
    })?;
    Ok(found)
}

/// The texts that a file hands to `takers`.
///
/// # Errors
/// It is not Rust.
pub fn handed(source: &str, takers: &[&Taker]) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    each_call(source, &mut |call| {
        let taken = takers.iter().filter(|taker| taker.name == call.name);
        for taker in taken.filter(|_| call.before != "fn") {
            let given = arguments(call.group).into_iter().nth(taker.place);
            let literal =
                given.and_then(|given| syn::parse_str::<syn::LitStr>(given.first()?).ok());
            found.extend(literal.map(|literal| literal.value()));
        }
    })?;
    Ok(found)
}

/// A name with parentheses behind it.
struct Call<'a> {
    /// The word before it.
    before: &'a str,
    name: &'a str,
    group: &'a Group,
    /// Whether what it belongs to is public.
    public: bool,
}

/// Shows `see` all calls and heads of functions but those that are only there for tests.
fn each_call(source: &str, see: &mut dyn FnMut(&Call<'_>)) -> anyhow::Result<()> {
    fn walk(tokens: TokenStream, see: &mut dyn FnMut(&Call<'_>)) {
        let (mut before, mut name, mut public) = (String::new(), String::new(), false);
        let mut tokens = tokens.into_iter().peekable();
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Punct(mark) if mark.as_char() == '#' => attribute(&mut tokens),
                TokenTree::Punct(mark) => {
                    public &= mark.as_char() != ';';
                    // A macro is no function.
                    if mark.as_char() == '!' {
                        name.clear();
                    }
                }
                TokenTree::Ident(ident) => {
                    before = std::mem::replace(&mut name, ident.to_string());
                    public |= name == "pub";
                }
                TokenTree::Group(group) => {
                    if group.delimiter() == Delimiter::Parenthesis {
                        let (before, name, group) = (&before, &name, &group);
                        see(&Call {
                            before,
                            name,
                            group,
                            public,
                        });
                    }
                    public &= group.delimiter() != Delimiter::Brace;
                    walk(group.stream(), see);
                    name.clear();
                }
                TokenTree::Literal(_) => name.clear(),
            }
        }
    }
    let tokens = source.parse();
    let tokens = tokens.map_err(|error| anyhow::anyhow!("it is not Rust: {error}"))?;
    walk(tokens, see);
    Ok(())
}

/// What stands between the commas of a group, as its tokens; commas of generic types part nothing.
fn arguments(group: &Group) -> Vec<Vec<String>> {
    let (mut all, mut depth) = (vec![Vec::new()], 0_i32);
    let mut before = ' ';
    for token in group.stream() {
        let mark = match &token {
            TokenTree::Punct(mark) => mark.as_char(),
            _ => ' ',
        };
        match mark {
            '<' => depth += 1,
            '>' if before != '-' && before != '=' => depth -= 1,
            _ => {}
        }
        if mark == ',' && depth <= 0 {
            all.push(Vec::new());
        } else if let Some(last) = all.last_mut() {
            last.push(token.to_string());
        }
        before = mark;
    }
    all
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
    let bare = without_places(text);
    let words = count_words(&bare);
    let capital = bare
        .trim_start_matches(['_', '“', ' '])
        .chars()
        .next()
        .is_some_and(char::is_uppercase);
    let lower = bare.chars().any(char::is_lowercase);
    words > 1 || (words == 1 && capital && lower)
}

/// Whether a text has two words or more beside the places of values, and is not a whole document.
pub fn is_prose(text: &str) -> bool {
    !text.contains('\n') && count_words(&without_places(text)) > 1
}

/// `text` without the places of values.
fn without_places(text: &str) -> String {
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
    bare
}

/// How many words are in a text without places; none in an accelerator or a path.
fn count_words(bare: &str) -> usize {
    if bare.starts_with('<') || (bare.contains('/') && !bare.contains(' ')) {
        return 0;
    }
    let word = |word: &str| {
        let word = word.trim_matches(|letter: char| !letter.is_alphanumeric());
        word.chars().count() > 1
            && word
                .chars()
                .all(|letter| letter.is_alphabetic() || "’'-_…".contains(letter))
    };
    bare.split_whitespace().filter(|part| word(part)).count()
}

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
    fn a_grammar_says_what_is_written_of_its_parts() {
        let source = r#"
            /// A command line.
            #[derive(Debug, Parser)]
            #[command(name = "program")]
            struct CommandLine {
                /// Print more
                /// than usual.
                #[arg(long, value_name = "MUCH")]
                more: bool,
                /// For developers.
                #[command(flatten)]
                place: Place,
            }
            /// What can be done.
            #[derive(Clone, Subcommand)]
            enum Command {
                /// Make something...
                Make(Make),
                /// Read something
                Read { /// From where
                    file: String },
            }
            #[derive(Debug)]
            struct Other {
                /// No option.
                field: bool,
            }
        "#;
        let said = documented(source).unwrap();
        let said: Vec<_> = said.iter().map(|(_, message)| &*message.one).collect();
        assert_eq!(
            said,
            [
                "Print more than usual",
                "Make something...",
                "Read something"
            ]
        );
    }

    #[test]
    fn errors_and_texts_are_heard() {
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
        assert_eq!(spoken.texts, ["memory", "That is {} too much.", "read"]);
        for (text, prose) in [
            ("its header is {} bytes", true),
            ("lost {what}", false),
            ("memory", false),
            ("/usr/share/a", false),
            ("two words\nof a document", false),
        ] {
            assert_eq!(is_prose(text), prose, "{text}");
        }
    }

    #[test]
    fn what_a_parameter_is_given_is_found_by_its_name() {
        let source = r#"
            impl Fault {
                fn host(&self, files: HashMap<u8, u8>, action: &'static str) -> Self {}
                pub(super) fn during(action: &'static str) -> impl FnOnce(u8, u8) -> Self {}
                fn other(reaction: &str) {}
            }
            fn work() {
                self.host(map(1, 2), "flush").map_err(Fault::during("make a card"))?;
                other("not one");
                during!("a macro");
                let keep = |action| during(action);
            }
            #[cfg(test)]
            mod tests {
                fn work() { during("only a test says it"); }
            }
        "#;
        let takers = takers(source, "action").unwrap();
        let taker = |name: &str, place, public| Taker {
            name: name.to_owned(),
            place,
            public,
        };
        assert_eq!(takers, [taker("host", 1, false), taker("during", 0, true)]);
        let takers: Vec<_> = takers.iter().collect();
        assert_eq!(handed(source, &takers).unwrap(), ["flush", "make a card"]);
    }
}
