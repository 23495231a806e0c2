//! Follows the machines that other processes run, by their control sockets: which there are, the kernel tells (inotify), and what
//! they are doing, their holders.

use std::ffi::OsStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use guesthouse_ui::model::{Elsewhere, Holder, Machines, ScanCode, Wish};
use rustix::fs::inotify;

use crate::control::{self, Client, Request};
use crate::explain;

/// A socket is there a moment before it is listened at.
const TRIES: u32 = 20;
const BETWEEN: Duration = Duration::from_millis(50);

/// A process, by a machine's socket.
struct Process {
    identifier: String,
    number: u32,
}

impl Process {
    fn client(&self) -> Result<Client, String> {
        let client = Client::connect(&self.identifier).map_err(|error| error.to_string())?;
        client.ok_or_else(|| format!("the process {} no longer runs the machine", self.number))
    }
}

impl Holder for Process {
    fn process(&self) -> u32 {
        self.number
    }

    fn screen(&self) -> Result<UnixStream, String> {
        let screen = self.client()?.screen();
        screen.map_err(|error| explain(&error))
    }

    fn screenshot(&self) -> Result<Vec<u8>, String> {
        let answer = self.client()?.ask(&Request::Screenshot);
        let (_, picture) = answer.map_err(|error| explain(&error))?;
        Ok(picture)
    }

    fn press(&self, keys: &[ScanCode]) -> Result<(), String> {
        let keys = keys.iter().map(|key| key.0).collect();
        let answer = self.client()?.ask(&Request::Press { keys });
        answer.map(drop).map_err(|error| explain(&error))
    }

    fn ask_for_screen(&self, width: u32, height: u32) -> Result<(), String> {
        let request = Request::AskForScreen { width, height };
        let answer = self.client()?.ask(&request);
        answer.map(drop).map_err(|error| explain(&error))
    }

    fn ask(&self, wish: Wish) -> Result<(), String> {
        let request = match wish {
            Wish::Pause => Request::Pause,
            Wish::Resume => Request::Resume,
            Wish::Reset => Request::Reset,
            Wish::ShutDown => Request::Shutdown,
            Wish::PowerOff => Request::PowerOff,
        };
        let answer = self.client()?.ask(&request);
        answer.map(drop).map_err(|error| explain(&error))
    }
}

/// Tells `machines` what other processes run, as long as those are there.
///
/// # Errors
/// When the sockets' folder cannot be watched.
pub fn follow(machines: &Arc<Machines>) -> anyhow::Result<()> {
    let folder = control::folder().context("there is no place for control sockets")?;
    let watched = inotify::init(inotify::CreateFlags::CLOEXEC)?;
    inotify::add_watch(&watched, &folder, inotify::WatchFlags::CREATE)?;
    let machines = Arc::downgrade(machines);
    thread::Builder::new()
        .name("other processes".to_owned())
        .spawn(move || {
            if let Err(error) = watch(&folder, &watched, &machines) {
                tracing::warn!(%error, "machines of other processes are not followed");
            }
        })?;
    Ok(())
}

fn watch(
    folder: &Path,
    watched: &rustix::fd::OwnedFd,
    machines: &Weak<Machines>,
) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        begin(&entry?.file_name(), machines);
    }
    let mut room = [MaybeUninit::uninit(); 4096];
    let mut events = inotify::Reader::new(watched, &mut room);
    loop {
        let event = events.next()?;
        if machines.strong_count() == 0 {
            return Ok(());
        }
        if let Some(name) = event.file_name() {
            begin(OsStr::new(&*name.to_string_lossy()), machines);
        }
    }
}

/// Follows the machine whose socket has this name.
fn begin(name: &OsStr, machines: &Weak<Machines>) {
    let name = name.to_string_lossy();
    let Some(identifier) = name.strip_suffix(".sock").map(str::to_owned) else {
        return;
    };
    let machines = machines.clone();
    let followed = thread::Builder::new()
        .name("another process".to_owned())
        .spawn(move || {
            if let Err(error) = hear(&identifier, &machines) {
                tracing::debug!(%error, identifier, "a machine of another process is not followed");
            }
            if let Some(machines) = machines.upgrade() {
                machines.set_elsewhere(&identifier, None);
            }
        });
    if let Err(error) = followed {
        tracing::warn!(%error, "no thread could be made that follows another process");
    }
}

/// Hears what the machine is doing until its holder ends.
fn hear(identifier: &str, machines: &Weak<Machines>) -> anyhow::Result<()> {
    let mut tries = 0;
    let client = loop {
        if let Some(client) = Client::connect(identifier)? {
            break client;
        }
        tries += 1;
        anyhow::ensure!(tries < TRIES, "nobody answers at the socket");
        thread::sleep(BETWEEN);
    };
    client.follow(|report| {
        let Some(machines) = machines.upgrade() else {
            return false;
        };
        // The sockets of this process are there too.
        if report.process == std::process::id() {
            return false;
        }
        let alive = report.state.is_alive();
        let holder = Process {
            identifier: identifier.to_owned(),
            number: report.process,
        };
        let elsewhere = Elsewhere {
            state: report.state,
            holder: Arc::new(holder),
        };
        machines.set_elsewhere(identifier, alive.then_some(elsewhere));
        alive
    })
}
