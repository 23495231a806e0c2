//! A machine worked as a person would work it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use guesthouse_engine::Definition;
use guesthouse_engine::definition::{Drive, Name};
use guesthouse_engine::input::keys::{self, SHIFT};
use guesthouse_engine::input::{InputEvent, ScanCode};
use guesthouse_engine::machine::{Machine, StartOptions, State};
use tempfile::TempDir;

use crate::picture::Picture;

/// A running machine in a folder of its own.
pub struct Guest {
    /// The machine.
    pub machine: Machine,
    /// What it was made from.
    pub definition: Definition,
    folder: TempDir,
    started: Instant,
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
        Self::start_with(definition, StartOptions::default(), prepare)
    }

    /// Starts a machine as [`Guest::start`] does, with these options.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_with(
        definition: Definition,
        options: StartOptions,
        prepare: impl FnOnce(&Path),
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        prepare(folder.path());
        let started = Instant::now();
        let machine = Machine::start(&definition, folder.path(), options)
            .unwrap_or_else(|error| panic!("the machine did not start: {error}"));
        Self {
            machine,
            definition,
            folder,
            started,
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
        self.folder.path()
    }

    /// The text on the screen, a line each row; empty when the screen shows no text.
    pub fn screen(&self) -> String {
        let lines = self.machine.screen_text().unwrap_or_default();
        lines
            .iter()
            .map(|line| line.trim_end())
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// Waits until `seen` says so of the screen's text.
    ///
    /// # Panics
    /// When it does not within `seconds`; the screen is kept as a picture and printed.
    pub fn wait_until(&self, what: &str, seconds: u64, seen: impl Fn(&str) -> bool) {
        let end = Instant::now() + Duration::from_secs(seconds);
        loop {
            let screen = self.screen();
            if seen(&screen) {
                return;
            }
            self.check_time(what, seconds, end);
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends the test when it is later than `end` or the machine does not run any more.
    fn check_time(&self, what: &str, seconds: u64, end: Instant) {
        if Instant::now() <= end && self.machine.state().is_alive() {
            return;
        }
        let picture = self.keep_screen("failed");
        let log = self.machine.log();
        let last = log[log.len().saturating_sub(30)..].join("\n");
        panic!(
            "{what} did not come within {seconds} s; the machine is {:?}, its screen ({}):\n{}\nits log:\n{last}",
            self.machine.state(),
            picture.display(),
            self.screen()
        );
    }

    /// The picture on the screen.
    pub fn picture(&self) -> Picture {
        Picture::of(self.machine.surface())
    }

    /// Waits until the screen shows a picture that `seen` accepts and that stays the same for `still` seconds.
    ///
    /// # Panics
    /// When it does not within `seconds`; the screen is kept as a picture.
    pub fn wait_for_picture(
        &self,
        what: &str,
        seconds: u64,
        still: u64,
        seen: impl Fn(&Picture) -> bool,
    ) -> Picture {
        let end = Instant::now() + Duration::from_secs(seconds);
        let mut last = self.picture();
        let mut since = Instant::now();
        loop {
            std::thread::sleep(Duration::from_millis(250));
            let picture = self.picture();
            if picture != last {
                last = picture;
                since = Instant::now();
            } else if since.elapsed() >= Duration::from_secs(still) && seen(&last) {
                return last;
            }
            self.check_time(what, seconds, end);
        }
    }

    /// Waits until `text` is on the screen.
    ///
    /// # Panics
    /// As [`Guest::wait_until`].
    pub fn wait_for(&self, text: &str, seconds: u64) {
        self.wait_until(&format!("{text:?}"), seconds, |screen| {
            screen.contains(text)
        });
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
            assert!(
                Instant::now() < end,
                "the machine stayed {state:?} for {seconds} s"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Presses keys together, as `ctrl-alt-delete`.
    ///
    /// # Panics
    /// When there is no such key.
    pub fn press(&self, combination: &str) {
        let keys = keys::combination(combination).unwrap();
        self.press_keys(&keys);
    }

    /// Presses keys together every three seconds until `seen` says so of the screen's text.
    ///
    /// # Panics
    /// When it does not within `seconds`, or there is no such key.
    pub fn press_until(&self, combination: &str, seconds: u64, seen: impl Fn(&str) -> bool) {
        let end = Instant::now() + Duration::from_secs(seconds);
        loop {
            self.press(combination);
            let next = Instant::now() + Duration::from_secs(3);
            while Instant::now() < next {
                if seen(&self.screen()) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            if Instant::now() > end {
                self.wait_until(&format!("what {combination} does"), 0, &seen);
                return;
            }
        }
    }

    /// Types a text on a US keyboard.
    ///
    /// # Panics
    /// When it cannot be typed.
    pub fn type_text(&self, text: &str) {
        for character in text.chars() {
            let (code, shift) = keys::key_for(character).unwrap();
            if shift {
                self.press_keys(&[SHIFT, code])
            } else {
                self.press_keys(&[code])
            }
        }
    }

    fn press_keys(&self, keys: &[ScanCode]) {
        let hold = Duration::from_millis(40);
        for code in keys {
            self.machine.input(InputEvent::Key {
                code: *code,
                down: true,
            });
            std::thread::sleep(hold);
        }
        for code in keys.iter().rev() {
            self.machine.input(InputEvent::Key {
                code: *code,
                down: false,
            });
            std::thread::sleep(hold);
        }
    }

    /// Stores the screen as target/screens/TEST-NAME.png, to be looked at, and says how long after its start this was.
    ///
    /// # Panics
    /// When it cannot be stored.
    pub fn keep_screen(&self, name: &str) -> PathBuf {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/screens");
        std::fs::create_dir_all(&folder).unwrap();
        let test = std::thread::current()
            .name()
            .unwrap_or("test")
            .replace("::", "-");
        let path = folder.join(format!("{test}-{name}.png"));
        std::fs::write(&path, self.machine.screenshot().unwrap()).unwrap();
        eprintln!(
            "{test}: {name} {:.1} s after its start",
            self.started.elapsed().as_secs_f64()
        );
        path
    }
}
