//! What the command line prints. A reader that goes away ("| head") is no error.

use std::io::{self, Write};

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

/// Prints a value as JSON.
pub fn print_json(value: &serde_json::Value) -> anyhow::Result<()> {
    write(&serde_json::to_string_pretty(value)?)
}
