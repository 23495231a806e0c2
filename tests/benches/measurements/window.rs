//! From the start of a program to its window on the screen, warm, and the memory of its processes then, beside other managers of virtual
//! machines; and the same with a library of hundreds, and how many pictures a second show it while it is scrolled.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use guesthouse_tests::bench::program::{Machines, guesthouse};
use guesthouse_tests::bench::{Harness, Needs, Unit, less, more, subject};
use guesthouse_tests::x_server::{Background, XServer};
use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

const ROUNDS: usize = 7;
const LIMIT: Duration = Duration::from_secs(60);
/// Between two looks at the screen.
const LOOK: Duration = Duration::from_millis(2);
/// A screen with fewer different pixels shows no window with its text yet.
const COLOURS: usize = 24;
/// From the first picture to the look at the memory.
const SETTLING: Duration = Duration::from_secs(2);
/// How often the wheel is turned, and every how many milliseconds: faster than a screen shows pictures.
const TURNS: u32 = 400;
const TURN: u32 = 8;
/// Where the list of machines is on the screen, in pixels: left, top, width and height.
const LIST: [usize; 4] = [100, 300, 150, 100];
/// Two pictures are at least so far apart: what changes sooner is one picture that is still being put on the screen.
const PICTURE: Duration = Duration::from_millis(6);
/// Machines of a large library.
const MANY: usize = 500;

/// A display and a session bus for programs that are measured, with a home of their own.
struct Desktop {
    home: TempDir,
    server: XServer,
    _bus: Background,
    bus: String,
}

/// A program and all that it starts; they end with this.
struct Group(Background);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = i32::try_from(self.0.0.id()).ok().and_then(Pid::from_raw) {
            // They may have ended.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Desktop {
    fn start() -> anyhow::Result<Self> {
        let home = tempfile::tempdir()?;
        let server = XServer::start(1280, 800);
        let address = format!("unix:path={}", home.path().join("bus").display());
        let mut bus = Command::new("dbus-daemon");
        bus.args(["--session", "--nofork", "--address", &address])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let desktop = Self {
            _bus: Background(desktop_of(&mut bus, &home, &server, &address).spawn()?),
            home,
            server,
            bus: address,
        };
        let end = Instant::now() + LIMIT;
        while !desktop.home.path().join("bus").exists() {
            ensure!(Instant::now() < end, "the session bus did not start");
            std::thread::sleep(LOOK);
        }
        Ok(desktop)
    }

    /// Starts `command` and tells how many milliseconds pass until its window is on the screen, and the memory of its processes in KiB.
    fn measure(&self, command: Command) -> anyhow::Result<[f64; 2]> {
        let (group, time) = self.show(command)?;
        let memory = memory_of_group(group.0.0.id())?;
        self.leave(group)?;
        Ok([time.as_secs_f64() * 1e3, memory])
    }

    /// Starts `command` and tells how many pictures a second show its list of machines while the wheel is turned over it.
    fn scroll(&self, command: Command) -> anyhow::Result<[f64; 1]> {
        let (group, _) = self.show(command)?;
        let [left, top, width, height] = LIST;
        let (x, y) = (left + width / 2, top + height / 2);
        let mut turn = Command::new("xdotool");
        turn.env("DISPLAY", &self.server.display)
            .args(["mousemove", &x.to_string(), &y.to_string(), "click"])
            .args([
                "--repeat",
                &TURNS.to_string(),
                "--delay",
                &TURN.to_string(),
                "5",
            ]);
        let mut turns = Background(turn.spawn().context("xdotool is needed")?);
        let mut last = self.server.part(LIST);
        let mut shown = Vec::new();
        while turns.0.try_wait()?.is_none() {
            let now = self.server.part(LIST);
            if now == last {
                std::thread::sleep(LOOK / 2);
                continue;
            }
            last = now;
            shown.push(Instant::now());
            std::thread::sleep(PICTURE);
        }
        self.leave(group)?;
        let (Some(first), Some(last)) = (shown.first(), shown.last()) else {
            anyhow::bail!("the list did not move");
        };
        let time = (*last - *first).as_secs_f64();
        ensure!(time > 0.5, "the list moved for {time} s");
        Ok([f64::from(u32::try_from(shown.len() - 1)?) / time])
    }

    /// Starts `command` and waits until its window is on the screen and has settled; tells how long it took to be there.
    fn show(&self, mut command: Command) -> anyhow::Result<(Group, Duration)> {
        let before = self.server.pixels();
        ensure!(
            colours(&before) < COLOURS,
            "the window before is still on the screen"
        );
        desktop_of(&mut command, &self.home, &self.server, &self.bus)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let started = Instant::now();
        let child = command
            .spawn()
            .with_context(|| format!("{:?}", command.get_program()))?;
        let mut group = Group(Background(child));
        while colours(&self.server.pixels()) < COLOURS {
            ensure!(started.elapsed() < LIMIT, "no window came");
            let ended = group.0.0.try_wait()?;
            ensure!(ended.is_none(), "it ended without a window: {ended:?}");
            std::thread::sleep(LOOK);
        }
        let time = started.elapsed();
        std::thread::sleep(SETTLING);
        Ok((group, time))
    }

    /// Ends a program and waits until its window is gone.
    fn leave(&self, group: Group) -> anyhow::Result<()> {
        drop(group);
        let end = Instant::now() + LIMIT;
        while colours(&self.server.pixels()) >= COLOURS {
            ensure!(Instant::now() < end, "its window stayed on the screen");
            std::thread::sleep(LOOK);
        }
        Ok(())
    }
}

/// Gives `command` the environment of a session on `server`.
fn desktop_of<'a>(
    command: &'a mut Command,
    home: &TempDir,
    server: &XServer,
    bus: &str,
) -> &'a mut Command {
    for name in ["DATA_HOME", "CONFIG_HOME", "CACHE_HOME", "RUNTIME_DIR"] {
        command.env(format!("XDG_{name}"), home.path().join(name));
    }
    command
        .env("HOME", home.path())
        .env("DISPLAY", &server.display)
        .env("DBUS_SESSION_BUS_ADDRESS", bus)
        .env("GDK_BACKEND", "x11")
        // The processor does a graphics card's work, for all of them alike.
        .env("GSK_RENDERER", "cairo")
        .env("GSETTINGS_BACKEND", "memory")
        .env("NO_AT_BRIDGE", "1")
        .env("GTK_A11Y", "none")
        .env_remove("WAYLAND_DISPLAY")
}

/// How many different pixels there are, or [`COLOURS`] when there are as many or more.
fn colours(pixels: &[u8]) -> usize {
    let mut found = BTreeSet::new();
    for pixel in pixels.chunks_exact(4) {
        if found.len() < COLOURS {
            found.insert(pixel);
        }
    }
    found.len()
}

/// The memory of all processes of a group in KiB, with its part of what is shared with others.
#[expect(clippy::cast_precision_loss, reason = "KiB are few enough")]
fn memory_of_group(leader: u32) -> anyhow::Result<f64> {
    let mut sum = 0;
    for entry in fs::read_dir("/proc")? {
        let folder = entry?.path();
        let Ok(status) = fs::read_to_string(folder.join("stat")) else {
            continue;
        };
        // After the name, which may have spaces and parentheses: state, parent, group.
        let group = status
            .rsplit_once(") ")
            .and_then(|(_, rest)| rest.split(' ').nth(2));
        if group != Some(leader.to_string().as_str()) {
            continue;
        }
        let smaps = fs::read_to_string(folder.join("smaps_rollup")).unwrap_or_default();
        let line = smaps.lines().find_map(|line| line.strip_prefix("Pss:"));
        let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        sum += kibibytes.unwrap_or(0);
    }
    ensure!(sum > 0, "it has ended");
    Ok(sum as f64)
}

/// Where a peer's program is, if it is installed.
fn installed(name: &str) -> Option<PathBuf> {
    let paths = std::env::var_os("PATH")?;
    std::env::split_paths(&paths)
        .map(|folder| folder.join(name))
        .find(|path| path.exists())
}

/// A library of [`MANY`] machines, each a copy of one but for its name and its number.
fn many(folder: &Path) -> anyhow::Result<()> {
    let machines = Machines::new(folder);
    machines.create("first", &["--disk", "none"])?;
    let first = fs::read_to_string(folder.join("first/machine.toml"))?;
    let number = |line: &str| line.starts_with("uuid = ");
    for machine in 1..MANY {
        let lines = first.lines().map(|line| match line {
            line if number(line) => {
                format!("uuid = \"0b2e7f5e-54c8-4a5c-8f0b-{machine:012x}\"")
            }
            line if line.starts_with("name = ") => format!("name = \"machine {machine}\""),
            line => line.to_owned(),
        });
        let text: Vec<String> = lines.collect();
        let copy = folder.join(format!("machine-{machine}"));
        fs::create_dir(&copy)?;
        fs::write(copy.join("machine.toml"), text.join("\n") + "\n")?;
    }
    Ok(())
}

/// Hands over the rows of this file.
pub fn measure(harness: &mut Harness) {
    let rows = |library: &str| {
        [
            less(
                format!("start of the program to its window on the screen{library}"),
                Unit::Milliseconds,
            ),
            less(
                format!("memory of the program with its window{library}"),
                Unit::Kibibytes,
            ),
        ]
    };
    let (one, large) = (rows(""), rows(", with 500 machines"));
    let scrolled = [more(
        "pictures a second while a list of 500 machines is scrolled",
        Unit::PerSecond,
    )];
    if !harness.wants(&one) && !harness.wants(&large) && !harness.wants(&scrolled) {
        return;
    }
    // Made when they are first asked for: nothing is started for rows that are only listed.
    let desktop = OnceCell::new();
    let desktop = || match desktop.get() {
        Some(desktop) => Ok(desktop),
        None => Desktop::start().map(|started| desktop.get_or_init(|| started)),
    };
    let scratch = tempfile::tempdir().unwrap();
    let (empty, full) = (scratch.path().join("empty"), scratch.path().join("full"));
    let window = |machines: &Path| -> anyhow::Result<[f64; 2]> {
        let mut command = Command::new(guesthouse()?);
        command.arg("--machines").arg(machines);
        desktop()?.measure(command)
    };
    let mut subjects = vec![subject("Guesthouse", || window(&empty)).warm()];
    for (name, program, argument) in [
        ("virt-manager", "virt-manager", Some("--no-fork")),
        ("GNOME Boxes", "gnome-boxes", None),
    ] {
        if let Some(path) = installed(program) {
            let desktop = &desktop;
            let measure = move || {
                let mut command = Command::new(&path);
                command.args(argument);
                desktop()?.measure(command)
            };
            subjects.push(subject(name, measure).warm());
        }
    }
    harness.measure(Needs::Nothing, one, ROUNDS, subjects);
    let library = || {
        if full.exists() {
            return Ok(());
        }
        many(&full)
    };
    let ours = subject("Guesthouse", || {
        library()?;
        window(&full)
    });
    harness.measure(Needs::Nothing, large, ROUNDS, vec![ours.warm()]);
    let ours = subject("Guesthouse", || {
        library()?;
        let mut command = Command::new(guesthouse()?);
        command.arg("--machines").arg(&full);
        desktop()?.scroll(command)
    });
    harness.measure(Needs::Nothing, scrolled, ROUNDS, vec![ours.warm()]);
}
