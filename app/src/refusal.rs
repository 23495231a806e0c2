//! A command line that is none, told in the user's language: what is wrong, how it is used, and where more stands.

use std::error::Error as _;

use clap::Error;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use guesthouse_ui::text::{gettext, gettext_with, translated};

/// Says what is wrong and ends the program, with exit code 2; shows help and the version if these were asked for.
pub fn end(error: &Error) -> ! {
    match told(error) {
        Some(text) => eprintln!("guesthouse: {text}"),
        None => error.exit(),
    }
    std::process::exit(error.exit_code())
}

/// What is wrong, with the usage of the command; nothing where clap's own words are all there is.
fn told(error: &Error) -> Option<String> {
    let said = |kind| words(error.get(kind));
    let option = said(ContextKind::InvalidArg);
    let mut text = match error.kind() {
        ErrorKind::UnknownArgument => {
            gettext_with("there is no option {option}", &[("option", &option?)])
        }
        ErrorKind::InvalidSubcommand => {
            let command = said(ContextKind::InvalidSubcommand)?;
            gettext_with("there is no command {command}", &[("command", &command)])
        }
        ErrorKind::MissingRequiredArgument => {
            gettext_with("{arguments} is missing", &[("arguments", &option?)])
        }
        ErrorKind::ArgumentConflict => {
            let other = said(ContextKind::PriorArg)?;
            gettext_with(
                "{option} cannot be given together with {other}",
                &[("option", &option?), ("other", &other)],
            )
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let (option, value) = (option?, said(ContextKind::InvalidValue)?);
            if value.is_empty() {
                gettext_with("{option} needs a value", &[("option", &option)])
            } else {
                gettext_with(
                    "{value} is no value for {option}",
                    &[("value", &value), ("option", &option)],
                )
            }
        }
        _ => return None,
    };
    if let Some(reason) = error.source() {
        text += ": ";
        text += &translated(&reason.to_string());
    }
    let meant = [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand];
    if let Some(meant) = meant.into_iter().find_map(said) {
        text += "; ";
        text += &gettext_with("did you mean {meant}?", &[("meant", &meant)]);
    } else if let Some(values) = said(ContextKind::ValidValue).filter(|all| !all.is_empty()) {
        text += "; ";
        text += &gettext_with("it is one of {values}", &[("values", &values)]);
    }
    if let Some(usage) = said(ContextKind::Usage) {
        let usage = usage.trim_start_matches("Usage:").trim();
        text += &format!("\n\n{} {usage}", gettext("Usage:"));
    }
    Some(text + "\n\n" + &gettext("More is told by --help."))
}

/// What clap tells of one part of an error.
fn words(value: Option<&ContextValue>) -> Option<String> {
    match value? {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(texts) => Some(texts.join(", ")),
        ContextValue::StyledStr(text) => Some(text.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::grammar;

    fn refused(words: &[&str]) -> String {
        let all = [&["guesthouse"], words].concat();
        let error = grammar().try_get_matches_from(all).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        told(&error).unwrap()
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (words, said) in [
            (vec!["start", "a", "--foo"], "there is no option --foo\n"),
            (
                vec!["create", "a", "--isi", "b"],
                "there is no option --isi; did you mean --iso?\n",
            ),
            (
                vec!["stat"],
                "there is no command stat; did you mean set, start?\n",
            ),
            (vec!["start"], "<NAME> is missing\n"),
            (vec!["create", "a", "--cpus"], "--cpus <N> needs a value\n"),
            (
                vec!["create", "a", "--cpus", "b"],
                "b is no value for --cpus <N>: invalid digit found in string\n",
            ),
            (
                vec!["create", "a", "--card", "b"],
                "b is no value for --card <MODEL>; it is one of virtio, e1000\n",
            ),
            (
                vec!["disk", "rebase", "a", "--flatten", "--base", "b"],
                " cannot be given together with ",
            ),
        ] {
            let told = refused(&words);
            assert!(told.contains(said), "{words:?}: {told}");
            assert!(told.ends_with("\n\nMore is told by --help."), "{told}");
        }
    }

    #[test]
    fn usage_is_told() {
        let told = refused(&["start", "a", "--foo"]);
        assert!(
            told.contains("\n\nUsage: guesthouse start <NAME>\n\n"),
            "{told}"
        );
    }

    #[test]
    fn help_is_no_refusal() {
        for word in ["--help", "--version", "disk"] {
            let error = grammar().try_get_matches_from(["guesthouse", word]);
            let error = error.unwrap_err();
            assert_eq!(told(&error), None);
        }
    }
}
