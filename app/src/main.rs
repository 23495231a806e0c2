//! The `guesthouse` program: the window and the command line over one engine.

use std::path::PathBuf;
use std::process::ExitCode;

use guesthouse_ui::model::{Library, Machines};

fn main() -> ExitCode {
    tracing_subscriber::fmt::init();
    let data = std::env::var_os("XDG_DATA_HOME").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".local/share"),
        PathBuf::from,
    );
    match Library::open(data.join("guesthouse/machines")) {
        Ok(library) => guesthouse_ui::run(guesthouse_ui::Options {
            machines: Machines::new(library),
        }),
        Err(error) => {
            tracing::error!(%error, "the library of machines could not be opened");
            ExitCode::FAILURE
        }
    }
}
