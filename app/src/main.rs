//! The `guesthouse` program: the window and the command line over one engine.

use std::process::ExitCode;

use guesthouse_engine::library::Library;
use guesthouse_ui::model::Machines;

fn main() -> ExitCode {
    tracing_subscriber::fmt::init();
    let Some(folder) = Library::default_folder() else {
        tracing::error!(
            "neither HOME nor XDG_DATA_HOME says where the machines are; set one of them"
        );
        return ExitCode::FAILURE;
    };
    match Library::open(&folder) {
        Ok(library) => guesthouse_ui::run(guesthouse_ui::Options {
            machines: Machines::new(library),
        }),
        Err(error) => {
            tracing::error!(%error, "the library of machines could not be opened");
            ExitCode::FAILURE
        }
    }
}
