//! The window, and the control sockets of the machines that run in it.

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::Arc;

use guesthouse_engine::machine::MachineEvent;
use guesthouse_ui::model::{Change, Machines};

use crate::command_line::CommandLine;
use crate::control::Server;

/// Opens the window; returns when it is closed for good.
///
/// # Errors
/// When the library of machines cannot be opened.
pub fn open(command_line: &CommandLine) -> anyhow::Result<ExitCode> {
    let machines = Machines::new(crate::commands::library(command_line)?);
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
    Ok(guesthouse_ui::run(guesthouse_ui::Options { machines }))
}
