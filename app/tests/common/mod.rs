//! The program, run as a person would run it at a shell, with a home of its own.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// How long a firmware may take on a host that emulates every instruction, in seconds.
pub const FIRMWARE: u64 = 90;

/// A home with its machines and its trash, in which the program runs. Machines that still run are switched off at the end.
pub struct Home {
    folder: TempDir,
}

impl Home {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("run")).unwrap();
        Self { folder }
    }

    /// A path in the home.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file into the home.
    pub fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// `command` with this home's environment.
    pub fn within(&self, mut command: Command) -> Command {
        command
            .env("HOME", self.folder.path())
            .env("XDG_DATA_HOME", self.path("data"))
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .env_remove("GUESTHOUSE_MACHINES")
            .env_remove("GUESTHOUSE_LOG")
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    /// The program with these arguments, not yet started.
    pub fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_guesthouse"));
        command.args(arguments);
        self.within(command)
    }

    /// Runs `script` by the shell in a mount namespace of its own, where it may mount; `$0` is the program, `$1` and so on the
    /// arguments.
    pub fn namespace<S: AsRef<OsStr>>(&self, script: &str, arguments: &[S]) -> Command {
        // Nothing that is mounted there may reach this computer. In a change root, where only the namespace's own root can be
        // made private, the mounts must be private already.
        let private = "mount --make-rprivate / 2>/dev/null || ! grep -q ' shared:' /proc/self/mountinfo || \
            { echo 'mounts are shared here and cannot be made private' >&2; exit 77; }";
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "unchanged"]);
        if !rustix::process::geteuid().is_root() {
            command.arg("--map-root-user");
        }
        command.args(["sh", "-c", &format!("{private}\n{script}")]);
        command.arg(env!("CARGO_BIN_EXE_guesthouse"));
        command.args(arguments);
        self.within(command)
    }

    /// Runs the program; what it printed. It must succeed.
    pub fn succeed<S: AsRef<OsStr>>(&self, arguments: &[S]) -> String {
        let output = self.command(arguments).output().unwrap();
        let said = said(&output);
        assert!(output.status.success(), "{}: {said}", words(arguments));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs the program; the JSON that it printed.
    pub fn json<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Value {
        serde_json::from_str(&self.succeed(arguments)).unwrap()
    }

    /// Runs the program, which must fail with exit code 1; what it said.
    pub fn fail<S: AsRef<OsStr>>(&self, arguments: &[S]) -> String {
        failure(&mut self.command(arguments))
    }

    /// Makes a machine with 64 MiB of memory; further arguments as for `create`.
    pub fn create(&self, name: &str, arguments: &[&str]) {
        self.succeed(
            &[
                &["create", name, "--memory", "64M", "--cpus", "1"],
                arguments,
            ]
            .concat(),
        );
    }

    /// Runs `run` in the background.
    pub fn run(&self, name: &str) -> Running {
        Running::start(self.command(&["run", name]))
    }

    /// The folder of a machine.
    pub fn machine(&self, name: &str) -> PathBuf {
        self.path("data/guesthouse/machines").join(name)
    }

    /// What a machine is doing, as `show` says.
    pub fn state(&self, name: &str) -> Value {
        self.json(&["show", name, "--json"])["state"].clone()
    }

    /// Waits until the machine's state is called `wanted`; the whole state.
    pub fn wait_for_state(&self, name: &str, wanted: &str, seconds: u64) -> Value {
        let end = Instant::now() + Duration::from_secs(seconds);
        loop {
            let state = self.state(name);
            if state["state"] == wanted {
                return state;
            }
            assert!(
                Instant::now() < end,
                "{name} is not {wanted} after {seconds} s but {state}"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The text on the machine's screen, by `screenshot`; empty while it shows a picture.
    pub fn screen(&self, name: &str) -> String {
        let file = self.path("screen.txt");
        let outcome = self
            .command(&[OsStr::new("screenshot"), name.as_ref(), file.as_ref()])
            .output()
            .unwrap();
        if outcome.status.success() {
            fs::read_to_string(&file).unwrap()
        } else {
            let said = said(&outcome);
            assert!(said.contains("picture"), "{said}");
            String::new()
        }
    }

    /// Waits until `text` is on the machine's screen.
    pub fn wait_for(&self, name: &str, text: &str, seconds: u64) {
        self.wait_until(name, &format!("{text:?}"), seconds, |screen| {
            screen.contains(text)
        });
    }

    /// Waits until `seen` says so of the machine's screen.
    pub fn wait_until(&self, name: &str, what: &str, seconds: u64, seen: impl Fn(&str) -> bool) {
        let end = Instant::now() + Duration::from_secs(seconds);
        loop {
            let screen = self.screen(name);
            if seen(&screen) {
                return;
            }
            assert!(
                Instant::now() < end,
                "{what} did not come within {seconds} s; the screen of {name}:\n{screen}"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let Ok(output) = self.command(&["list", "--json"]).output() else {
            return;
        };
        let machines: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        for machine in machines.as_array().into_iter().flatten() {
            if let (Some(name), Some(_)) = (machine["name"].as_str(), machine["process"].as_u64()) {
                let _ = self.command(&["poweroff", name]).output();
            }
        }
    }
}

/// A program in the background, killed at the end if it still runs.
pub struct Running {
    child: Child,
    errors: tempfile::NamedTempFile,
}

impl Running {
    pub fn start(mut command: Command) -> Self {
        let errors = tempfile::NamedTempFile::new().unwrap();
        let child = command
            .stdout(Stdio::null())
            .stderr(errors.reopen().unwrap())
            .spawn()
            .unwrap();
        Self { child, errors }
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it said on its error stream so far.
    pub fn said(&self) -> String {
        fs::read_to_string(self.errors.path()).unwrap()
    }

    /// Whether it has not ended.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Kills it (SIGKILL).
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until it ends.
    pub fn wait(&mut self, seconds: u64) -> ExitStatus {
        let end = Instant::now() + Duration::from_secs(seconds);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                Instant::now() < end,
                "process {} did not end in {seconds} s; it said: {}",
                self.id(),
                self.said()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn words<S: AsRef<OsStr>>(arguments: &[S]) -> String {
    let words = arguments.iter().map(|word| word.as_ref().to_string_lossy());
    words.collect::<Vec<_>>().join(" ")
}

/// What a program said on its error stream.
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs the program, which must fail with exit code 1; what it said.
pub fn failure(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{command:?}: {said}");
    said
}

/// All of a file, which is the same before and after.
pub fn contents(files: &[&Path]) -> Vec<Vec<u8>> {
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}
