//! What the grammar of a command line says of its options and commands.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use super::{Message, string, tokens};

/// Reads what a file's grammar of a command line (clap's `derive`) says of the options and commands in it: the documentation of fields and
/// variants, with its line.
///
/// # Errors
/// It is not Rust.
pub fn documented(source: &str) -> anyhow::Result<Vec<(usize, Message)>> {
    let mut found = Vec::new();
    let mut derived = false;
    for token in tokens(source)? {
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
