//! A machine run in the foreground, without a window, until its guest powers off.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use guesthouse_engine::Definition;
use guesthouse_engine::machine::{Machine, MachineEvent, SerialConnection, StartOptions, State};
use guesthouse_engine::remote::Address;
use guesthouse_ui::text::{gettext, gettext_with, translated};

use crate::command_line::Run;
use crate::control::Server;

/// Where viewers may connect, as the command line says it.
fn address(text: &str) -> anyhow::Result<Address> {
    if let Some(path) = text.strip_prefix("unix:") {
        return Ok(Address::Unix(PathBuf::from(path)));
    }
    let address: SocketAddr = text.parse().with_context(|| {
        format!("{text:?} is neither an address such as 127.0.0.1:5900 nor unix:PATH")
    })?;
    Ok(Address::Tcp(address))
}

/// A terminal that passes every key on while this lives.
struct RawTerminal(rustix::termios::Termios);

impl RawTerminal {
    fn enter() -> Option<Self> {
        let input = io::stdin();
        let before = rustix::termios::tcgetattr(&input).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        // What the guest prints and what this program says keep their line ends; Ctrl+C goes to the guest.
        raw.output_modes = before.output_modes;
        rustix::termios::tcsetattr(&input, rustix::termios::OptionalActions::Now, &raw).ok()?;
        Some(Self(before))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing put back.
        let _ =
            rustix::termios::tcsetattr(io::stdin(), rustix::termios::OptionalActions::Now, &self.0);
    }
}

/// Passes what is typed to the guest; Ctrl+] ends the program as on a telnet client.
struct Keyboard {
    machine_off: crossbeam_channel::Sender<()>,
}

impl Read for Keyboard {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        const ESCAPE: u8 = 0x1d;
        let count = io::stdin().read(buffer)?;
        let typed = buffer.get(..count).unwrap_or(&[]);
        if let Some(at) = typed.iter().position(|byte| *byte == ESCAPE)
            && io::stdin().is_terminal()
        {
            // The machine may be off already.
            let _ = self.machine_off.send(());
            return Ok(at);
        }
        Ok(count)
    }
}

/// Runs the machine until it is off.
///
/// # Errors
/// When it does not start, or ends in a crash.
pub fn run(definition: &Definition, folder: &Path, command: &Run) -> anyhow::Result<()> {
    let addresses = command
        .vnc
        .iter()
        .map(|text| address(text))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let (machine_off, off_asked) = crossbeam_channel::bounded(1);
    let mut terminal = None;
    let serial = match command.serial.as_deref() {
        None => None,
        Some("stdio") => {
            if io::stdin().is_terminal() {
                eprintln!(
                    "{}",
                    gettext("The first serial port is here; Ctrl+] powers the machine off.")
                );
                terminal = RawTerminal::enter();
            }
            Some(SerialConnection {
                input: Some(Box::new(Keyboard {
                    machine_off: machine_off.clone(),
                })),
                output: Box::new(io::stdout()),
            })
        }
        Some(path) => {
            let file =
                File::create(path).with_context(|| format!("{path} could not be written"))?;
            Some(SerialConnection {
                input: None,
                output: Box::new(file),
            })
        }
    };
    let machine = Machine::start(
        definition,
        folder,
        StartOptions {
            serial,
            ..StartOptions::default()
        },
    )
    .with_context(|| format!("{} did not start", definition.name))?;
    let events = machine.subscribe();
    let _control = Server::new(&definition.uuid.to_string(), machine.clone())
        .context("the machine's control socket could not be made")?;
    for address in &addresses {
        let address = match machine.listen(address)? {
            Address::Tcp(address) => address.to_string(),
            Address::Unix(path) => format!("unix:{}", path.display()),
        };
        let said = gettext_with(
            "VNC viewers may connect to {address}",
            &[("address", &address)],
        );
        eprintln!("{said}");
    }
    watch_signals(machine_off)?;
    let outcome = wait(&machine, &events, &off_asked);
    drop(terminal);
    outcome
}

fn wait(
    machine: &Machine,
    events: &crossbeam_channel::Receiver<MachineEvent>,
    off_asked: &crossbeam_channel::Receiver<()>,
) -> anyhow::Result<()> {
    loop {
        crossbeam_channel::select! {
            recv(events) -> event => match event {
                Ok(MachineEvent::State(State::Off)) | Err(_) => return Ok(()),
                Ok(MachineEvent::State(State::Crashed { reason })) => bail!("{reason}"),
                Ok(MachineEvent::State(State::Paused { reason: Some(reason) })) => {
                    let reason = translated(&reason.to_string());
                    eprintln!("{}", gettext_with("paused: {reason}", &[("reason", &reason)]));
                }
                Ok(_) => {}
            },
            recv(off_asked) -> _ => {
                // It may go by itself at the same moment.
                let _ = machine.power_off();
            }
        }
    }
}

/// SIGINT and SIGTERM switch the machine off in order: what the guest wrote is flushed.
fn watch_signals(off: crossbeam_channel::Sender<()>) -> anyhow::Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([
        signal_hook::consts::SIGINT,
        signal_hook::consts::SIGTERM,
    ])?;
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for _ in &mut signals {
                if off.send(()).is_err() {
                    return;
                }
            }
        })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        assert_eq!(
            address("unix:/run/x").unwrap(),
            Address::Unix("/run/x".into())
        );
        assert_eq!(
            address("127.0.0.1:5900").unwrap(),
            Address::Tcp(([127, 0, 0, 1], 5900).into())
        );
        assert!(address("5900").is_err());
    }
}
