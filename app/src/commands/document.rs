//! The manual's pages and what shells complete from, made of the command line's own definition when the program is built.

use std::fs;
use std::path::Path;

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;

use crate::command_line::CommandLine;

/// Writes them into `folder`, in the folders that `make install` copies to `share`: a page for each command, and completion for
/// bash, zsh and fish.
///
/// # Errors
/// When they cannot be written.
pub fn document(folder: &Path) -> anyhow::Result<()> {
    let make = |name: &str| {
        let path = folder.join(name);
        fs::create_dir_all(&path)
            .with_context(|| format!("the folder {} could not be made", path.display()))?;
        Ok::<_, anyhow::Error>(path)
    };
    let manual = make("man/man1")?;
    clap_mangen::generate_to(CommandLine::command(), &manual)
        .with_context(|| format!("the manual could not be written to {}", manual.display()))?;
    for (shell, place, file) in [
        (Shell::Bash, "bash-completion/completions", "guesthouse"),
        (Shell::Zsh, "zsh/site-functions", "_guesthouse"),
        (Shell::Fish, "fish/vendor_completions.d", "guesthouse.fish"),
    ] {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut CommandLine::command(), "guesthouse", &mut text);
        let path = make(place)?.join(file);
        fs::write(&path, text)
            .with_context(|| format!("{} could not be written", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_that_is_shown_has_a_page_and_is_completed() {
        let folder = tempfile::tempdir().unwrap();
        document(folder.path()).unwrap();
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        let completions = [
            read("bash-completion/completions/guesthouse"),
            read("zsh/site-functions/_guesthouse"),
            read("fish/vendor_completions.d/guesthouse.fish"),
        ];
        assert!(read("man/man1/guesthouse.1").contains("virtual machines"));
        for command in CommandLine::command().get_subcommands() {
            let name = command.get_name();
            let page = folder.path().join(format!("man/man1/guesthouse-{name}.1"));
            assert_eq!(page.exists(), !command.is_hide_set(), "{name}");
            for text in &completions {
                assert!(command.is_hide_set() || text.contains(name), "{name}");
            }
        }
    }
}
