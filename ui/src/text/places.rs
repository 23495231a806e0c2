//! Remedies name commands. In the window, where there is no command line, they name the place that does the same.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{gettext, message};

/// The program that is called by commands.
const PROGRAM: &str = "guesthouse";

/// The words of commands, and the way to the same in the window.
const COMMANDS: [([&str; 2], &[&str]); 5] = [
    (
        ["disk", "check"],
        &[
            message("Hardware"),
            message("Drives"),
            message("Check and Repair"),
        ],
    ),
    (
        ["disk", "repair"],
        &[
            message("Hardware"),
            message("Drives"),
            message("Check and Repair"),
        ],
    ),
    (
        ["disk", "convert"],
        &[message("Hardware"), message("Drives"), message("Convert…")],
    ),
    (
        ["disk", "commit"],
        &[
            message("Hardware"),
            message("Drives"),
            message("Merge into Its Base…"),
        ],
    ),
    (
        ["snapshot", "accept"],
        &[message("Start"), message("Use as It Is")],
    ),
];

/// What a command stands between, in any of the languages.
const OPEN: [char; 5] = ['“', '„', '«', '(', '（'];
const CLOSE: [char; 5] = ['”', '“', '»', ')', '）'];

static IN_WINDOW: AtomicBool = AtomicBool::new(false);

/// What is shown from now on is read in the window.
pub fn speak_in_window() {
    IN_WINDOW.store(true, Ordering::Relaxed);
}

/// `text` as it is to be read where this program shows it.
pub fn suited(text: String) -> String {
    if IN_WINDOW.load(Ordering::Relaxed) {
        of_window(text)
    } else {
        text
    }
}

fn of_window(text: String) -> String {
    if !text.contains(PROGRAM) {
        return text;
    }
    COMMANDS.iter().fold(text, |text, ([group, name], way)| {
        let way: Vec<_> = way.iter().map(|part| gettext(*part)).collect();
        replaced(
            &text,
            &format!("{PROGRAM} {group} {name}"),
            &way.join(" › "),
        )
    })
}

/// `text` with `way` wherever it names `command` between marks. With arguments it is another thing, and stays.
fn replaced(text: &str, command: &str, way: &str) -> String {
    let mut parts = text.split(command);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |before, after| {
        // A program's marks become a person's.
        let marks = ['`', '"'];
        let plain = before.strip_suffix(marks).zip(after.strip_prefix(marks));
        match plain {
            Some((before, after)) => format!("{before}“{way}”{after}"),
            None if stands_between(&before, after) => before + way + after,
            None => before + command + after,
        }
    })
}

fn stands_between(before: &str, after: &str) -> bool {
    before.trim_end().ends_with(OPEN) && after.trim_start().starts_with(CLOSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_become_places_in_the_window() {
        for (text, expected) in [
            ("repair it with `COMMAND`, or", "repair it with “A › B”, or"),
            ("convert it with \"COMMAND\"", "convert it with “A › B”"),
            ("repair it first (COMMAND)", "repair it first (A › B)"),
            ("mit „COMMAND“ und „COMMAND“", "mit „A › B“ und „A › B“"),
            ("avec «\u{a0}COMMAND\u{a0}»", "avec «\u{a0}A › B\u{a0}»"),
            ("修复（COMMAND）", "修复（A › B）"),
            ("“COMMAND”会", "“A › B”会"),
            // Not what the window does, or no command at all.
            ("(COMMAND --cluster-size 2M)", "(COMMAND --cluster-size 2M)"),
            ("\"COMMAND --damage\"", "\"COMMAND --damage\""),
            ("/home/COMMAND: no such file", "/home/COMMAND: no such file"),
            ("COMMAND", "COMMAND"),
            ("", ""),
        ] {
            let [text, expected] =
                [text, expected].map(|text| text.replace("COMMAND", "guesthouse disk x"));
            assert_eq!(replaced(&text, "guesthouse disk x", "A › B"), expected);
        }
    }

    #[test]
    fn what_the_engine_says_names_the_windows_places() {
        let told = "/a is marked as damaged; restore it from a backup or repair it with `guesthouse disk repair`";
        let text = of_window(told.to_owned());
        assert_eq!(
            text,
            "/a is marked as damaged; restore it from a backup or repair it with “Hardware › Drives › Check and Repair”"
        );
    }
}
