//! What a bench program was called with.

use std::path::PathBuf;

use anyhow::{Context, bail};

/// What to measure and how.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Arguments {
    /// Rows that have one of these words in their name; all when there is none.
    pub words: Vec<String>,
    /// How many rounds instead of the measurement's own number.
    pub rounds: Option<usize>,
    /// Results of an earlier run to print beside.
    pub compare: Option<PathBuf>,
    /// Print the names of the rows only.
    pub list: bool,
    /// Leave out what does not need hardware virtualization.
    pub guests: bool,
}

impl Arguments {
    /// Understands a command line without the program's name. `--bench` is cargo's own.
    ///
    /// # Errors
    /// When there is something else in it.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> anyhow::Result<Self> {
        let mut this = Self::default();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let mut value = || {
                let value = arguments.next();
                value.with_context(|| format!("{argument} needs a value"))
            };
            match argument.as_str() {
                "--bench" => {}
                "--list" => this.list = true,
                "--guests" => this.guests = true,
                "--rounds" => this.rounds = Some(value()?.parse().context("--rounds N")?),
                "--compare" => this.compare = Some(value()?.into()),
                option if option.starts_with('-') => {
                    bail!(
                        "{option}? Arguments: [WORD...] [--rounds N] [--compare FILE] [--list] [--guests]"
                    )
                }
                _ => this.words.push(argument.to_lowercase()),
            }
        }
        Ok(this)
    }

    /// Whether a row of this name was asked for.
    pub fn accepts(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        self.words.is_empty() || self.words.iter().any(|word| name.contains(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_choose_rows_without_regard_to_case() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let arguments =
            Arguments::parse(words("--bench Start disk --rounds 3 --compare old.json")).unwrap();
        assert!(arguments.accepts("start to the first text") && arguments.accepts("Disk reads"));
        assert!(!arguments.accepts("exits"));
        assert_eq!(
            (arguments.rounds, arguments.compare),
            (Some(3), Some("old.json".into()))
        );
        assert!(Arguments::default().accepts("anything"));
        for wrong in ["--rounds", "--rounds x", "--colour"] {
            assert!(Arguments::parse(words(wrong)).is_err(), "{wrong}");
        }
    }
}
