//! The command line's help in the user's language.

use clap::builder::{PossibleValue, Resettable, StyledStr};
use clap::{Arg, Command, CommandFactory};
use guesthouse_ui::text::{self, gettext, gettext_with, message};

use crate::command_line::CommandLine;

/// What clap says of its own options.
const OWN: [(&str, &str); 2] = [
    ("help", message("Print help")),
    ("version", message("Print the version")),
];

/// The grammar of the command line with its help in the user's language, once [`prepare`] has set that.
pub fn grammar() -> Command {
    let mut grammar = CommandLine::command();
    // With the options that clap adds by itself.
    grammar.build();
    translated(grammar)
}

/// Sets the user's language.
pub fn prepare() {
    // What the toolkit does in the window's program.
    libc_strftime::set_locale();
    text::prepare();
}

fn translated(command: Command) -> Command {
    let heading = command.get_styles().get_header();
    let usage = gettext("Usage:");
    let template =
        format!("{{about-with-newline}}\n{heading}{usage}{heading:#} {{usage}}\n\n{{all-args}}");
    let about = command.get_about().map(|about| match command.get_name() {
        "help" => gettext("Print this help, or that of a command"),
        _ => gettext(about.to_string()),
    });
    let command = command
        .help_template(template)
        .subcommand_help_heading(gettext("Commands"))
        .mut_args(argument)
        .mut_subcommands(translated);
    match about {
        Some(about) => command.about(about),
        None => command,
    }
}

fn argument(argument: Arg) -> Arg {
    let own = OWN.iter().find(|(id, _)| argument.get_id() == *id);
    let help = match own {
        Some((_, help)) => Some(gettext(*help)),
        None => argument.get_help().map(|help| gettext(help.to_string())),
    };
    let heading = if argument.is_positional() {
        gettext("Arguments")
    } else {
        gettext("Options")
    };
    let argument = argument
        .help_heading(heading)
        .long_help(Resettable::<StyledStr>::Reset);
    let Some(mut help) = help else {
        return argument;
    };
    if !argument.get_action().takes_values() {
        return argument.help(help);
    }
    let default = argument.get_default_values().iter();
    let default: Vec<_> = default.map(|value| value.to_string_lossy()).collect();
    if !default.is_empty() {
        let value = default.join(" ");
        help += " ";
        help += &gettext_with("[default: {value}]", &[("value", &value)]);
    }
    let argument = argument.hide_default_value(true);
    let values = argument.get_possible_values();
    if values.is_empty() {
        return argument.help(help);
    }
    let names: Vec<_> = values.iter().map(PossibleValue::get_name).collect();
    let names = gettext_with("[values: {values}]", &[("values", &names.join(", "))]);
    let short = format!("{help} {names}");
    help += "\n";
    for value in &values {
        help += &format!("\n- {}", value.get_name());
        if let Some(about) = value.get_help() {
            help += &format!(": {}", gettext(about.to_string()));
        }
    }
    argument
        .hide_possible_values(true)
        .help(short)
        .long_help(help)
}

#[cfg(test)]
mod tests {
    use super::*;
    use polib::catalog::Catalog;
    use std::collections::BTreeSet;
    use std::path::Path;

    /// What a person can read in the help of `command` and of those beneath it.
    fn said(command: &Command, said: &mut BTreeSet<String>) {
        said.extend(command.get_about().map(ToString::to_string));
        for argument in command.get_arguments() {
            said.extend(argument.get_help().map(ToString::to_string));
            let values = argument.get_possible_values();
            let values = values.iter().filter_map(PossibleValue::get_help);
            said.extend(values.map(ToString::to_string));
        }
        for command in command
            .get_subcommands()
            .filter(|command| !command.is_hide_set())
        {
            self::said(command, said);
        }
    }

    #[test]
    fn all_help_is_translated() {
        let mut all = BTreeSet::new();
        said(&CommandLine::command(), &mut all);
        assert!(all.len() > 100);
        let po = Path::new(env!("CARGO_MANIFEST_DIR")).join("../po");
        let languages = std::fs::read_to_string(po.join("LINGUAS")).unwrap();
        for language in languages.lines().filter(|line| !line.starts_with('#')) {
            let file = po.join(language).with_extension("po");
            let catalog: Catalog = polib::po_file::parse(&file).unwrap();
            for help in &all {
                let entry = catalog.find_message(None, help, None);
                let translated = entry.is_some_and(|entry| entry.is_translated());
                assert!(translated, "{language}: {help}");
            }
        }
    }

    #[test]
    fn help_tells_what_there_is() {
        let grammar = grammar();
        grammar.clone().debug_assert();
        let help = grammar.clone().render_help().to_string();
        for part in [
            "Usage: guesthouse [OPTIONS] [COMMAND]",
            "Commands:",
            "Options:",
            "check-host",
        ] {
            assert!(help.contains(part), "{part}: {help}");
        }
        let create = grammar.find_subcommand("create").unwrap();
        let help = create.clone().render_long_help().to_string();
        for part in [
            "Usage: guesthouse create [OPTIONS] <NAME>",
            "Arguments:",
            "[default: nat]",
            "The fastest, for systems with its driver",
            "Print help",
        ] {
            assert!(help.contains(part), "{part}: {help}");
        }
        assert_eq!(help.matches("[default: nat]").count(), 1);
    }
}
