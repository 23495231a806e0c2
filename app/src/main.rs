//! The `guesthouse` program: the window and the command line over one engine.

mod command_line;
mod commands;
mod control;
mod output;
mod run;
mod size;
mod window;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use command_line::{Command, CommandLine};

fn main() -> ExitCode {
    // A wrong command line ends here, with exit code 2.
    let command_line = CommandLine::parse();
    let default = match command_line.command {
        None | Some(Command::Run(_)) => {
            "warn,guesthouse=info,guesthouse_engine=info,guesthouse_ui=info"
        }
        Some(_) => "warn",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("GUESTHOUSE_LOG")
        .unwrap_or_else(|_| default.into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    // A file that may not grow further is a full disk, which pauses a machine, and no reason to end the program.
    let ignored = signal_hook::flag::register(signal_hook::consts::signal::SIGXFSZ, Arc::default());
    if let Err(error) = ignored {
        tracing::warn!(%error, "a limit on the size of files may end this program");
    }
    let outcome = match &command_line.command {
        None => window::open(&command_line),
        Some(command) => commands::carry_out(&command_line, command).map(|()| ExitCode::SUCCESS),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("guesthouse: {error:#}");
        ExitCode::FAILURE
    })
}
