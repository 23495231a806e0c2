//! A machine worked as a person would work it: look at the screen, wait for a text or a picture, press keys, click at a place, use the
//! serial line. Whatever does not come in time ends the test and leaves in target/guest-reports/TEST what the guest's last screens were, what it
//! said on its serial line, the machine's log and what its processors hold.

mod font;
mod input;
mod report;
mod screen;
mod serial;
mod standstill;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use guesthouse_engine::Definition;
use guesthouse_engine::definition::{Drive, ImageFormat, Name};
use guesthouse_engine::disk;
use guesthouse_engine::machine::{Machine, StartOptions, State};
use parking_lot::Mutex;
use tempfile::TempDir;

use crate::media::{el_torito, program};
use crate::picture::Picture;
use crate::serial::SerialLine;

pub use report::test_folder;

/// How many of the last pictures are kept for a report.
const PICTURES: usize = 4;

/// A running machine in a folder of its own.
pub struct Guest {
    /// The machine.
    pub machine: Arc<Machine>,
    /// What it was made from.
    pub definition: Definition,
    /// Taken only when the guest goes.
    folder: Option<TempDir>,
    started: Instant,
    serial: Arc<SerialLine>,
    /// The other end of its virtio console, if it has one.
    pub console: Option<SerialLine>,
    /// What was seen of it while it was waited for.
    looks: Mutex<standstill::Looks>,
    /// Its test failed, and what can be seen of it is stored.
    described: AtomicBool,
    /// What the screen showed lately, the newest last.
    pictures: Mutex<Vec<Picture>>,
}

/// A definition with 64 MiB of memory and `medium` in its optical drive.
pub fn with_medium(medium: &Path) -> Definition {
    let mut definition = Definition::new(Name::new("test").unwrap());
    definition.memory.mebibytes = 64;
    definition.drives.push(Drive {
        boot: Some(1),
        ..Drive::optical(Some(medium.to_owned()))
    });
    definition
}

impl Guest {
    /// Starts a machine as `definition` says. Files that it names without a folder are in [`Guest::folder`]; `prepare` makes
    /// them there.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(definition: Definition, prepare: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        prepare(folder.path());
        Self::start_in(folder, definition)
    }

    /// Starts a machine whose guest writes to `count` sectors of its disk over and over, each `stride` sectors behind the one before.
    ///
    /// # Panics
    /// When it does not start.
    pub fn writer(count: u16, stride: u32) -> Self {
        let mut definition = with_medium("medium.iso".as_ref());
        definition
            .drives
            .push(Drive::disk("disk.qcow2".into(), ImageFormat::Qcow2));
        Self::start(definition, |folder| {
            let medium = el_torito("WRITER", &program::write_sectors(count, stride));
            std::fs::write(folder.join("medium.iso"), medium).unwrap();
            disk::create_disk(&folder.join("disk.qcow2"), ImageFormat::Qcow2, 64 << 20).unwrap();
        })
    }

    /// Starts a machine as [`Guest::start`] does, whose files are in `folder` already.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_in(folder: TempDir, definition: Definition) -> Self {
        let mut serial = SerialLine::default();
        let mut options: StartOptions = serial.options();
        let console = definition.devices.console.then(|| {
            let mut console = SerialLine::default();
            options.console = console.options().serial;
            console
        });
        let started = Instant::now();
        let machine = Machine::start(&definition, folder.path(), options)
            .unwrap_or_else(|error| panic!("the machine did not start: {error}"));
        let (machine, serial) = (Arc::new(machine), Arc::new(serial));
        report::watch_over(&machine, &serial);
        Self {
            machine,
            definition,
            folder: Some(folder),
            started,
            serial,
            console,
            looks: Mutex::default(),
            described: AtomicBool::new(false),
            pictures: Mutex::default(),
        }
    }

    /// Starts a machine with 64 MiB of memory from a medium with these contents.
    ///
    /// # Panics
    /// When it does not start.
    pub fn boot(medium: &[u8]) -> Self {
        Self::start(with_medium(Path::new("medium.iso")), |folder| {
            std::fs::write(folder.join("medium.iso"), medium).unwrap()
        })
    }

    /// The machine's folder.
    pub fn folder(&self) -> &Path {
        self.folder.as_ref().unwrap().path()
    }

    /// Switches the machine off if it still runs, and gives its folder.
    pub fn into_folder(mut self) -> TempDir {
        // It may be off already.
        let _ = self.machine.power_off();
        self.folder.take().unwrap()
    }

    /// How long ago it was started.
    pub fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// Waits until the machine's state is one that `wanted` accepts.
    ///
    /// # Panics
    /// When it does not within `seconds`.
    pub fn wait_for_state(&self, seconds: u64, wanted: impl Fn(&State) -> bool) -> State {
        let end = Instant::now() + Duration::from_secs(seconds);
        loop {
            let state = self.machine.state();
            if wanted(&state) {
                return state;
            }
            self.look();
            if Instant::now() >= end {
                self.fail(&format!("the machine stayed {state:?} for {seconds} s"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until a line of the machine's log has `text` in it, and gives that line.
    ///
    /// # Panics
    /// When none comes within `seconds`.
    pub fn wait_for_log(&self, text: &str, seconds: u64) -> String {
        let end = Instant::now() + Duration::from_secs(seconds);
        loop {
            let found = self
                .machine
                .log()
                .into_iter()
                .find(|line| line.contains(text));
            if let Some(line) = found {
                return line;
            }
            if Instant::now() >= end {
                self.fail(&format!(
                    "{text:?} did not come into the log within {seconds} s"
                ));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Ends the test when it is later than `end` or the machine does not run any more.
    fn check_time(&self, what: &str, seconds: u64, end: Instant) {
        self.look();
        let state = self.machine.state();
        if !state.is_alive() {
            self.fail(&format!("{what} did not come: the machine is {state:?}"));
        }
        if Instant::now() > end {
            self.fail(&format!("{what} did not come within {seconds} s"));
        }
    }

    /// Stores the screen as target/guest-reports/TEST/NAME.png, to be looked at, and says how long after its start this was.
    ///
    /// # Panics
    /// When it cannot be stored.
    pub fn keep_screen(&self, name: &str) -> PathBuf {
        let path = test_folder().join(format!("{name}.png"));
        std::fs::write(&path, self.machine.screenshot().unwrap()).unwrap();
        eprintln!(
            "    {name} {:.1} s after its start",
            self.age().as_secs_f64()
        );
        path
    }
}
