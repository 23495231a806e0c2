//! What the source says to people: the messages that it hands to gettext, and the sentences that it forgot to.
//!
//! The source is read as Rust's tokens, so that what stands in the macros of the view counts like anything else.

mod engine;
mod grammar;
mod template;

use std::iter::Peekable;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree, token_stream};

pub use engine::{Spoken, Taker, handed, spoken, takers};
pub use grammar::documented;
pub use template::{Messages, messages, of_program, sources, template};

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
    let mut words = Words::default();
    read(tokens(source)?, &mut words);
    Ok(words)
}

fn tokens(source: &str) -> anyhow::Result<TokenStream> {
    let tokens = source.parse();
    tokens.map_err(|error| anyhow::anyhow!("it is not Rust: {error}"))
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

fn string(literal: &proc_macro2::Literal) -> Option<String> {
    match syn::Lit::new(literal.clone()) {
        syn::Lit::Str(text) => Some(text.value()),
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
    fn prose_has_two_words_and_is_no_document() {
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
}
