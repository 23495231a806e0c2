//! What the command line prints, in the user's language. A reader that goes away ("| head") is no error.

use std::fmt::Display;
use std::io::{self, Write};

use guesthouse_ui::text::translated;
use unicode_width::UnicodeWidthStr;

fn write(text: &str) -> anyhow::Result<()> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Prints a line.
pub fn print(text: &str) -> anyhow::Result<()> {
    write(text)
}

/// Prints a line of what is known of something: a word for what, and what it is.
pub fn tell(what: &str, value: &dyn Display) -> anyhow::Result<()> {
    write(&format!("{what}: {value}"))
}

/// Prints what the engine says.
pub fn print_translated(text: &impl Display) -> anyhow::Result<()> {
    write(&translated(&text.to_string()))
}

/// Says beside what is printed what else is to be known.
pub fn warn(text: &impl Display) {
    eprintln!("guesthouse: {}", translated(&text.to_string()));
}

/// `text` with spaces behind it up to `width` places of a terminal.
pub fn padded(text: &str, width: usize) -> String {
    let missing = width.saturating_sub(text.width());
    format!("{text}{}", " ".repeat(missing))
}

/// The places of a terminal that the widest of `texts` takes.
pub fn widest<'a>(texts: impl Iterator<Item = &'a str>) -> usize {
    texts.map(UnicodeWidthStr::width).max().unwrap_or(0)
}

/// Prints a value as JSON.
pub fn print_json(value: &serde_json::Value) -> anyhow::Result<()> {
    write(&serde_json::to_string_pretty(value)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_hold_wide_characters() {
        let texts = ["名称", "Box", "Büro"];
        let width = widest(texts.into_iter());
        assert_eq!(width, 4);
        assert_eq!(
            texts.map(|text| padded(text, width)),
            ["名称", "Box ", "Büro"]
        );
    }
}
