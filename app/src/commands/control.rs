//! Commands to a running machine: they speak to the process that holds it.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use guesthouse_engine::Definition;

use crate::command_line::{Eject, Insert, Keys, Screenshot, TypeText};
use crate::control::{Client, Request};

/// A connection to the process that holds the machine.
///
/// # Errors
/// When no process does.
pub fn connect(definition: &Definition) -> anyhow::Result<Client> {
    let client = Client::connect(&definition.uuid.to_string())
        .context("the process that holds the machine could not be reached")?;
    client.with_context(|| {
        format!(
            "{} is not running; start it with \"guesthouse start\" or \"guesthouse run\"",
            definition.name
        )
    })
}

/// Asks for something that is done or not.
pub fn ask(definition: &Definition, request: &Request) -> anyhow::Result<()> {
    connect(definition)?.ask(request).map(|_| ())
}

/// Stores the screen.
pub fn screenshot(definition: &Definition, command: &Screenshot) -> anyhow::Result<()> {
    let request = match command
        .file
        .extension()
        .and_then(|extension| extension.to_str())
    {
        Some("png") => Request::Screenshot,
        Some("txt") => Request::ScreenText,
        _ => bail!(
            "{} ends in neither .png nor .txt; which is it to be?",
            command.file.display()
        ),
    };
    let (_, bytes) = connect(definition)?.ask(&request)?;
    store(&command.file, &bytes)
        .with_context(|| format!("{} could not be written", command.file.display()))
}

/// Writes a file whole or not at all.
fn store(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let written = fs::File::create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let outcome = written.and_then(|()| fs::rename(&temporary, path));
    if outcome.is_err() {
        // The error says what matters; the rest of a file that was not finished is of no use.
        let _ = fs::remove_file(&temporary);
    }
    outcome
}

/// Types a text.
pub fn type_text(definition: &Definition, command: &TypeText) -> anyhow::Result<()> {
    ask(
        definition,
        &Request::Type {
            text: command.text.clone(),
        },
    )
}

/// Presses combinations one after the other; none of them if one is not known.
pub fn keys(definition: &Definition, command: &Keys) -> anyhow::Result<()> {
    for combination in &command.combinations {
        guesthouse_engine::input::keys::combination(combination)?;
    }
    let mut client = connect(definition)?;
    for combination in &command.combinations {
        client.ask(&Request::Keys {
            combination: combination.clone(),
        })?;
    }
    Ok(())
}

/// Puts a medium in.
pub fn insert(definition: &Definition, command: &Insert) -> anyhow::Result<()> {
    let file = fs::canonicalize(&command.file)
        .with_context(|| format!("{} could not be opened", command.file.display()))?;
    ask(
        definition,
        &Request::Insert {
            drive: usize::from(command.drive) - 1,
            file,
        },
    )
}

/// Takes a medium out.
pub fn eject(definition: &Definition, command: &Eject) -> anyhow::Result<()> {
    ask(
        definition,
        &Request::Eject {
            drive: usize::from(command.drive) - 1,
            force: command.force,
        },
    )
}

/// Starts the machine in a process of its own, which goes on when this one ends, and waits until it runs.
pub fn start(definition: &Definition, machines: &Path) -> anyhow::Result<()> {
    if let Some(mut client) = Client::connect(&definition.uuid.to_string())? {
        let report = client.report()?;
        if report.state.is_alive() {
            bail!(
                "{} runs already, in process {}",
                definition.name,
                report.process
            );
        }
    }
    let program = std::env::current_exe().context("this program's own file was not found")?;
    let mut errors = tempfile::tempfile()?;
    let mut command = std::process::Command::new(program);
    command
        .arg("--machines")
        .arg(machines)
        .arg("run")
        .arg(definition.name.as_str());
    command
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(errors.try_clone()?);
    // A group of its own: Ctrl+C here is not meant for the machine.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = command
        .spawn()
        .context("no process could be started for the machine")?;
    let patience = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(status) = child.try_wait()? {
            use std::io::{Read, Seek};
            let mut text = String::new();
            errors.rewind()?;
            errors.read_to_string(&mut text)?;
            let reason = text.trim().trim_start_matches("guesthouse: ");
            bail!(
                "{} did not start: {}",
                definition.name,
                if reason.is_empty() {
                    status.to_string()
                } else {
                    reason.to_owned()
                }
            );
        }
        if let Ok(Some(mut client)) = Client::connect(&definition.uuid.to_string())
            && client.report().is_ok()
        {
            return Ok(());
        }
        if Instant::now() > patience {
            bail!(
                "{} is not yet running after 30 seconds; look at it with \"guesthouse show\"",
                definition.name
            );
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
