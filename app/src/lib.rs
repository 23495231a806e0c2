//! What the two programs of Guesthouse share: the command line with what its commands do, and the sockets by which processes
//! reach the one that holds a running machine. `guesthouse` is the program that people call; without a command it becomes
//! `guesthouse-window`, the only one that needs the toolkit.

pub mod bus;
pub mod command_line;
pub mod commands;
pub mod control;
pub mod disk_command_line;
pub mod elsewhere;
pub mod language;
mod output;
pub mod refusal;
mod run;
mod size;
pub mod viewers;

use std::process::ExitCode;
use std::sync::Arc;

/// The library of qcow2 images says at the level of errors that a table is "dropped while modified" when there was no room for a
/// new one: nothing is in that, the guest's request is made again, and the machine's log says why it waits. The other time it says
/// so is when an image is closed with what could not be stored, which the engine itself tells.
const QUIET: &str = "imago::qcow2::metadata=off";

/// What either program does first: its log goes to standard error, as much of it as `GUESTHOUSE_LOG` says or else `filter`.
pub fn prepare(filter: &str) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("GUESTHOUSE_LOG")
        .unwrap_or_else(|_| format!("{filter},{QUIET}").into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    // A file that may not grow further is a full disk, which pauses a machine, and no reason to end the program.
    let ignored = signal_hook::flag::register(signal_hook::consts::signal::SIGXFSZ, Arc::default());
    if let Err(error) = ignored {
        tracing::warn!(%error, "a limit on the size of files may end this program");
    }
}

/// Says in the user's language why the program ends without having done what was asked for.
pub fn fail(error: &anyhow::Error) -> ExitCode {
    output::warn(&explain(error));
    ExitCode::FAILURE
}

/// What is told of an error: what failed and each of its causes, but none that an error above it names already.
pub fn explain(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text += ": ";
            text += &cause;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    #[test]
    fn a_cause_is_told_once() {
        let error = Err::<(), _>(anyhow!("no entry"))
            .context("could not open a: no entry")
            .context("the machine did not start")
            .unwrap_err();
        assert_eq!(
            super::explain(&error),
            "the machine did not start: could not open a: no entry"
        );
    }
}
