//! The answering side of a machine's control socket.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use guesthouse_engine::input::typing::{Typing, press};
use guesthouse_engine::input::{ScanCode, keys};
use guesthouse_engine::machine::{Machine, MachineEvent};
use parking_lot::{Condvar, Mutex};

use super::protocol::{Answer, Report, Request, receive, send};

/// How long a server that goes waits for answers that are on their way.
const FAREWELL: Duration = Duration::from_secs(2);

/// How many requests are being answered.
#[derive(Default)]
struct Busy {
    count: Mutex<usize>,
    changed: Condvar,
}

/// Answers for one machine until it is dropped.
pub struct Server {
    path: PathBuf,
    busy: Arc<Busy>,
    /// A connection to ourselves ends the accepting thread.
    closing: Arc<AtomicBool>,
}

impl Server {
    /// Answers for `machine`, whose identifier is `uuid`. The machine's folder must be locked by this process, so that a socket
    /// that is there already is one that a dead process left.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn new(uuid: &str, machine: Machine) -> io::Result<Self> {
        let path = super::socket(uuid)?;
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        let closing = Arc::<AtomicBool>::default();
        let busy = Arc::<Busy>::default();
        thread::Builder::new().name("control".to_owned()).spawn({
            let (closing, busy) = (closing.clone(), busy.clone());
            move || {
                for stream in listener.incoming() {
                    if closing.load(Ordering::Acquire) {
                        return;
                    }
                    let (Ok(stream), machine, busy) = (stream, machine.clone(), busy.clone())
                    else {
                        continue;
                    };
                    let served = thread::Builder::new()
                        .name("control client".to_owned())
                        .spawn(move || {
                            match serve(&stream, &machine, &busy) {
                                Ok(End::HandedOver) => return,
                                Ok(End::Done) => {}
                                Err(error) => {
                                    tracing::debug!(%error, "a control connection ended");
                                }
                            }
                            // It may be closed already.
                            let _ = stream.shutdown(Shutdown::Both);
                        });
                    if let Err(error) = served {
                        tracing::warn!(%error, "no thread for a control connection");
                    }
                }
            }
        })?;
        Ok(Self {
            path,
            busy,
            closing,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Release);
        // Wakes the accepting thread; if it is gone already, so is the reason to.
        let _ = UnixStream::connect(&self.path);
        let _ = std::fs::remove_file(&self.path);
        // Whoever asked for the machine's end is to hear that it came.
        let mut count = self.busy.count.lock();
        let end = Instant::now() + FAREWELL;
        while *count > 0 && !self.busy.changed.wait_until(&mut count, end).timed_out() {}
    }
}

/// A request that is being answered, until it is dropped.
struct Answering<'a>(&'a Busy);

impl<'a> Answering<'a> {
    fn begin(busy: &'a Busy) -> Self {
        *busy.count.lock() += 1;
        Self(busy)
    }
}

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        *self.0.count.lock() -= 1;
        self.0.changed.notify_all();
    }
}

/// How the serving of a connection ended.
enum End {
    /// Nobody needs it any more.
    Done,
    /// The machine's screen has it.
    HandedOver,
}

fn serve(stream: &UnixStream, machine: &Machine, busy: &Busy) -> io::Result<End> {
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    loop {
        let request = match receive::<Request>(&mut reader) {
            Ok(Some(request)) => request,
            Ok(None) => return Ok(End::Done),
            Err(error) => {
                send(
                    &mut writer,
                    &Answer::Failed {
                        message: format!("this is not a request: {error}"),
                    },
                )?;
                return Ok(End::Done);
            }
        };
        match request {
            Request::Follow => return tell_states(&mut writer, machine).map(|()| End::Done),
            Request::Screen => {
                let screen = stream.try_clone()?;
                send(&mut writer, &Answer::Done)?;
                machine.admit_viewer(screen).map_err(io::Error::other)?;
                return Ok(End::HandedOver);
            }
            _ => {}
        }
        let _answering = Answering::begin(busy);
        match answer(machine, request) {
            Ok((answer, bytes)) => {
                send(&mut writer, &answer)?;
                writer.write_all(&bytes)?;
            }
            Err(message) => send(&mut writer, &Answer::Failed { message })?,
        }
    }
}

/// Tells what the machine is doing until nobody listens or it is off.
fn tell_states(writer: &mut impl Write, machine: &Machine) -> io::Result<()> {
    let events = machine.subscribe();
    for event in events {
        let MachineEvent::State(state) = event else {
            continue;
        };
        let alive = state.is_alive();
        let report = Report {
            state,
            ..report(machine)
        };
        send(writer, &Answer::Report(report))?;
        if !alive {
            break;
        }
    }
    Ok(())
}

fn report(machine: &Machine) -> Report {
    Report {
        state: machine.state(),
        screen: machine.surface().view().size(),
        process: std::process::id(),
    }
}

fn bytes(bytes: Vec<u8>) -> (Answer, Vec<u8>) {
    (
        Answer::Bytes {
            length: bytes.len() as u64,
        },
        bytes,
    )
}

fn answer(machine: &Machine, request: Request) -> Result<(Answer, Vec<u8>), String> {
    let done = |outcome: Result<(), guesthouse_engine::machine::CommandError>| {
        outcome
            .map(|()| (Answer::Done, Vec::new()))
            .map_err(|error| error.to_string())
    };
    match request {
        // Who follows is answered elsewhere.
        Request::State | Request::Follow | Request::Screen => {
            Ok((Answer::Report(report(machine)), Vec::new()))
        }
        Request::Pause => done(machine.pause()),
        Request::Resume => done(machine.resume()),
        Request::Reset => done(machine.reset()),
        Request::Shutdown => done(machine.shutdown()),
        Request::PowerOff => done(machine.power_off()),
        Request::Screenshot => machine
            .screenshot()
            .map(bytes)
            .map_err(|error| format!("the screen could not be stored: {error}")),
        Request::ScreenText => match machine.screen_text() {
            Some(lines) => Ok(bytes(
                lines
                    .iter()
                    .flat_map(|line| [line.trim_end(), "\n"])
                    .collect::<String>()
                    .into_bytes(),
            )),
            None => Err("the screen shows a picture now, not text; take a .png instead".to_owned()),
        },
        Request::Type { text } => {
            // All of it can be typed or none of it is.
            let typing = Typing::new(&text).map_err(|error| error.to_string())?;
            typing.carry_out(|keys| {
                press(keys, &|event| machine.input(event));
                true
            });
            Ok((Answer::Done, Vec::new()))
        }
        Request::Keys { combination } => {
            let keys = keys::combination(&combination).map_err(|error| error.to_string())?;
            press(&keys, &|event| machine.input(event));
            Ok((Answer::Done, Vec::new()))
        }
        Request::Press { keys } => {
            let keys: Vec<ScanCode> = keys.into_iter().map(ScanCode).collect();
            press(&keys, &|event| machine.input(event));
            Ok((Answer::Done, Vec::new()))
        }
        Request::AskForScreen { width, height } => {
            // A guest without a driver learns it when it has one.
            machine.ask_for_screen(width, height);
            Ok((Answer::Done, Vec::new()))
        }
        Request::Insert { drive, file } => {
            let opened = File::open(&file)
                .map_err(|error| format!("{} could not be opened: {error}", file.display()))?;
            done(machine.insert(drive, opened, file))
        }
        Request::Eject { drive, force } => done(machine.eject(drive, force)),
        Request::Networks => serde_json::to_vec(&machine.networks())
            .map(bytes)
            .map_err(|error| error.to_string()),
        Request::ChangeNetwork { card, wanted } => done(machine.change_network(card, &wanted)),
        Request::Log => Ok(bytes(
            machine
                .log()
                .iter()
                .flat_map(|line| [line.as_str(), "\n"])
                .collect::<String>()
                .into_bytes(),
        )),
    }
}
