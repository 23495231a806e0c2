//! The window, and the control sockets of the machines that run in it.
//!
//! A program of its own so that the toolkit and its hundred libraries are only loaded where there is a window: `guesthouse`
//! without a command becomes this one.

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use guesthouse_engine::library::Library;
use guesthouse_engine::machine::MachineEvent;
use guesthouse_ui::model::{Change, Machines};

use clap::Parser;
use guesthouse_app::command_line::{Open, Place};
use guesthouse_app::control::Server;
use guesthouse_app::viewers;

/// The window of Guesthouse, a virtual machine manager; "guesthouse" opens it.
#[derive(Debug, Parser)]
#[command(name = "guesthouse-window", version)]
struct Arguments {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    open: Open,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    guesthouse_app::prepare("warn,guesthouse=info,guesthouse_engine=info,guesthouse_ui=info");
    open(&arguments.place, arguments.open).unwrap_or_else(|error| guesthouse_app::fail(&error))
}

/// Opens the window; returns when it is closed for good.
fn open(place: &Place, open: Open) -> anyhow::Result<ExitCode> {
    let (library, problem) = match place.library() {
        Ok(library) => (library, None),
        // A window says what is wrong; a program that only ends says nothing to whoever clicked on its icon.
        Err(error) if place.machines.is_none() => {
            let problem = guesthouse_app::explain(&error);
            let library = Library::open_default().with_context(|| problem.clone())?;
            (library, Some(guesthouse_ui::text::sentence(&problem)))
        }
        Err(error) => return Err(error),
    };
    let machines = Machines::new(library);
    let changes = machines.subscribe();
    let weak = Arc::downgrade(&machines);
    std::thread::Builder::new()
        .name("control sockets".to_owned())
        .spawn(move || {
            let mut servers = HashMap::new();
            for change in changes {
                match change {
                    Change::Started { folder } => {
                        let machine = weak.upgrade().and_then(|machines| machines.handle(&folder));
                        let Some(machine) = machine else { continue };
                        if let Some(machines) = weak.upgrade()
                            && let Some(address) = viewers::admit(&machine, machines.viewers())
                        {
                            machines.set_address(&folder, address);
                        }
                        match Server::new(&machine.uuid().to_string(), machine) {
                            Ok(server) => drop(servers.insert(folder, server)),
                            Err(error) => {
                                tracing::warn!(%error, "the command line cannot reach this machine")
                            }
                        }
                    }
                    Change::Event {
                        folder,
                        event: MachineEvent::State(state),
                    } if !state.is_alive() => drop(servers.remove(&folder)),
                    _ => {}
                }
            }
        })?;
    if let Err(error) = guesthouse_app::elsewhere::follow(&machines) {
        tracing::warn!(
            error = guesthouse_app::explain(&error),
            "machines of other processes are not followed"
        );
    }
    if let Err(error) = guesthouse_app::bus::serve(&machines) {
        tracing::warn!(
            error = guesthouse_app::explain(&error),
            "other programs cannot reach the machines by the session bus"
        );
    }
    Ok(guesthouse_ui::run(guesthouse_ui::Options {
        machines,
        new_machine: open.new,
        medium: open.file,
        service: open.service,
        background: open.background,
        problem,
    }))
}
