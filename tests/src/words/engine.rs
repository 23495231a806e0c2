//! What the engine says, which hands nothing to gettext: the messages of its errors, and what it says else.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use super::{LOGGING, attribute, handed_over, string, tokens};

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
    let mut spoken = Spoken::default();
    hear(tokens(source)?, &mut spoken);
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
    walk(tokens(source)?, see);
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

#[cfg(test)]
mod tests {
    use super::*;

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
