//! The `guesthouse` program: the command line over the engine, and the way to the window.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::FromArgMatches;
use guesthouse_app::command_line::{Command, CommandLine, Open, Place};
use guesthouse_app::{commands, language, refusal};

fn main() -> ExitCode {
    language::prepare();
    // A wrong command line ends here, with exit code 2.
    let command_line = language::grammar()
        .try_get_matches()
        .and_then(|matches| CommandLine::from_arg_matches(&matches))
        .unwrap_or_else(|error| refusal::end(&error));
    guesthouse_app::prepare(match command_line.command {
        Some(Command::Run(_)) => "warn,guesthouse=info,guesthouse_engine=info",
        _ => "warn",
    });
    let outcome = match &command_line.command {
        None => become_window(&command_line.place, &Open::default()),
        Some(Command::Open(open)) => become_window(&command_line.place, open),
        Some(command) => commands::carry_out(&command_line, command),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => guesthouse_app::fail(&error),
    }
}

/// Goes on as the window's program, which is beside this one, or where `make install` puts it.
fn become_window(place: &Place, open: &Open) -> anyhow::Result<()> {
    const NAME: &str = "guesthouse-window";
    let this = std::env::current_exe().context("this program's own file was not found")?;
    let beside = this.with_file_name(NAME);
    let installed = this
        .parent()
        .and_then(|folder| folder.parent())
        .map(|prefix| prefix.join("libexec/guesthouse").join(NAME));
    let program: PathBuf = [Some(beside.clone()), installed]
        .into_iter()
        .flatten()
        .find(|path| path.is_file())
        .with_context(|| {
            format!(
                "the window's program is missing ({}); install Guesthouse anew",
                beside.display()
            )
        })?;
    let mut command = std::process::Command::new(&program);
    if let Some(folder) = &place.machines {
        command.arg("--machines").arg(folder);
    }
    if open.new {
        command.arg("--new");
    }
    if open.service {
        command.arg("--gapplication-service");
    }
    if open.background {
        command.arg("--background");
    }
    // Whatever the file is called, it is no option.
    command.arg("--").args(&open.file);
    let error = command.exec();
    Err(error).with_context(|| format!("{} could not be started", program.display()))
}
