//! What each command of the command line does.

mod control;
mod create;
mod disk;
mod document;
mod exchange;
mod look;
mod machine;
mod network;
mod progress;
mod snapshot;

use crate::command_line::{Command, CommandLine};
use crate::control::Request;

/// Carries out a command.
///
/// # Errors
/// What kept it from being done: cause and remedy.
pub fn carry_out(command_line: &CommandLine, command: &Command) -> anyhow::Result<()> {
    if matches!(command, Command::CheckHost) {
        return look::check_host(command_line.json);
    }
    if let Command::Disk(command) = command {
        return disk::carry_out(command, command_line.json);
    }
    if let Command::Document(document) = command {
        return document::document(&document.folder);
    }
    let library = command_line.place.library()?;
    let definition = |name: &str| library.find(name).map(|machine| machine.definition);
    match command {
        Command::CheckHost | Command::Disk(_) | Command::Open(_) | Command::Document(_) => Ok(()),
        Command::Create(create) => create::create(&library, create, command_line.json),
        Command::List => look::list(&library, command_line.json),
        Command::Show(named) => look::show(&library, &named.name, command_line.json),
        Command::Delete(named) => look::delete(&library, &named.name),
        Command::Clone(clone) => machine::clone(&library, clone, command_line.json),
        Command::Rename(rename) => machine::rename(&library, rename),
        Command::Set(set) => machine::set(&library, set),
        Command::Snapshot(command) => snapshot::snapshot(&library, command, command_line.json),
        Command::Import(import) => exchange::import(&library, import, command_line.json),
        Command::Export(export) => exchange::export(&library, export),
        Command::Backup(backup) => exchange::backup(&library, backup),
        Command::Restore(restore) => exchange::restore(&library, restore, command_line.json),
        Command::Start(named) => control::start(&definition(&named.name)?, library.folder()),
        Command::Run(run) => {
            let machine = library.find(&run.name)?;
            crate::run::run(&machine.definition, &machine.folder, run)
        }
        Command::Pause(named) => control::ask(&definition(&named.name)?, &Request::Pause),
        Command::Resume(named) => control::ask(&definition(&named.name)?, &Request::Resume),
        Command::Reset(named) => control::ask(&definition(&named.name)?, &Request::Reset),
        Command::Shutdown(named) => control::ask(&definition(&named.name)?, &Request::Shutdown),
        Command::Poweroff(named) => control::ask(&definition(&named.name)?, &Request::PowerOff),
        Command::Screenshot(screenshot) => {
            control::screenshot(&definition(&screenshot.name)?, screenshot)
        }
        Command::Type(text) => control::type_text(&definition(&text.name)?, text),
        Command::Keys(keys) => control::keys(&definition(&keys.name)?, keys),
        Command::Insert(insert) => control::insert(&definition(&insert.name)?, insert),
        Command::Forward(forward) => network::forward(&library, forward, command_line.json),
        Command::Switch(switch) => network::switch(&library, switch, command_line.json),
        Command::Eject(eject) => control::eject(&definition(&eject.name)?, eject),
    }
}
