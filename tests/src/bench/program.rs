//! The programs that are measured: machines made for Guesthouse's own, QEMU's command line, and a running one's output, memory and
//! processor time.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use parking_lot::{Condvar, Mutex};

use crate::x_server::Background;

/// The program of this build, as `cargo build --release` leaves it beside the benches.
///
/// # Errors
/// When it is not there.
pub fn guesthouse() -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe()?;
    let path = this
        .parent()
        .and_then(Path::parent)
        .map(|folder| folder.join("guesthouse"));
    let path = path.context("this program is in no folder")?;
    ensure!(
        path.exists(),
        "{} is missing: run `make build`",
        path.display()
    );
    Ok(path)
}

/// Guesthouse with its machines in a folder of their own.
#[derive(Debug, Clone)]
pub struct Machines {
    folder: PathBuf,
}

impl Machines {
    /// Those in `folder`.
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// A command of the program on these machines.
    ///
    /// # Errors
    /// When the program is not there.
    pub fn command(&self, arguments: &[&str]) -> anyhow::Result<Command> {
        let mut command = Command::new(guesthouse()?);
        command.arg("--machines").arg(&self.folder).args(arguments);
        Ok(command)
    }

    /// `guesthouse create NAME OPTIONS`.
    ///
    /// # Errors
    /// What the program says.
    pub fn create(&self, name: &str, options: &[&str]) -> anyhow::Result<()> {
        let output = self.command(&["create", name])?.args(options).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "create {name}: {said}");
        Ok(())
    }

    /// `guesthouse run NAME`, with the guest's serial port at its standard output.
    ///
    /// # Errors
    /// When the program is not there.
    pub fn run(&self, name: &str) -> anyhow::Result<Command> {
        self.command(&["run", name, "--serial", "stdio"])
    }
}

/// QEMU on KVM: `machine` with `mebibytes` of memory, the host's processor, and nothing that was not asked for but the serial port
/// at its standard output.
pub fn qemu(machine: &str, mebibytes: u64) -> Command {
    let mut command = Command::new("qemu-system-x86_64");
    command
        .args(["-machine", &format!("{machine},accel=kvm"), "-cpu", "host"])
        .args([
            "-m",
            &mebibytes.to_string(),
            "-nodefaults",
            "-no-user-config",
        ])
        .args(["-display", "none", "-monitor", "none", "-serial", "stdio"]);
    command
}

/// Has QEMU's machine start by OVMF as the build root has it, with new variables in the file `variables`.
///
/// # Errors
/// When OVMF is not installed, or the file cannot be written.
pub fn add_uefi(command: &mut Command, variables: &Path) -> anyhow::Result<()> {
    fs::copy("/usr/share/OVMF/OVMF_VARS_4M.fd", variables)
        .context("OVMF's variables: install ovmf")?;
    for half in [
        "file=/usr/share/OVMF/OVMF_CODE_4M.fd,readonly=on".to_owned(),
        format!("file={}", variables.display()),
    ] {
        command.args(["-drive", &format!("if=pflash,format=raw,{half}")]);
    }
    Ok(())
}

#[derive(Default)]
struct Output {
    text: Mutex<(Vec<u8>, bool)>,
    more: Condvar,
}

/// Starts `command` beside what is measured; it reads nothing, and nobody wants its output.
///
/// # Errors
/// When it is not installed.
pub fn beside(command: &mut Command) -> anyhow::Result<Background> {
    let name = command.get_program().to_owned();
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
    Ok(Background(child.with_context(|| format!("{name:?}"))?))
}

/// A program that runs; it is ended when this goes.
pub struct Running {
    child: Child,
    input: ChildStdin,
    started: Instant,
    output: Arc<Output>,
}

impl Running {
    /// Starts it and listens to its standard output. Its standard input is [`Running::shell`]'s.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(mut command: Command) -> anyhow::Result<Self> {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let started = Instant::now();
        let mut child = command
            .spawn()
            .with_context(|| format!("{:?}", command.get_program()))?;
        let mut from = child.stdout.take().context("it has no output")?;
        let input = child.stdin.take().context("it has no input")?;
        let output = Arc::<Output>::default();
        let to = Arc::clone(&output);
        std::thread::spawn(move || {
            let mut part = [0; 4096];
            loop {
                let count = from.read(&mut part).unwrap_or(0);
                let mut text = to.text.lock();
                text.0.extend_from_slice(&part[..count]);
                text.1 = count == 0;
                to.more.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
        Ok(Self {
            child,
            input,
            started,
            output,
        })
    }

    /// Waits until `text` is in its output and tells how long after its start that was.
    ///
    /// # Errors
    /// When it ends before that or says nothing of the kind within `limit`.
    pub fn wait_for(&self, text: &str, limit: Duration) -> anyhow::Result<Duration> {
        self.wait_since(0, text, self.started + limit)?;
        Ok(self.started.elapsed())
    }

    /// Waits until `text` is in what it has said after the first `mark` bytes, and gives those until `text`.
    fn wait_since(&self, mark: usize, text: &str, end: Instant) -> anyhow::Result<String> {
        let mut output = self.output.text.lock();
        loop {
            let new = output.0.get(mark..).unwrap_or_default();
            let mut places = new.windows(text.len());
            if let Some(at) = places.position(|part| part == text.as_bytes()) {
                return Ok(String::from_utf8_lossy(&new[..at]).into_owned());
            }
            let late = output.1 || self.output.more.wait_until(&mut output, end).timed_out();
            if late {
                let all = String::from_utf8_lossy(&output.0).into_owned();
                let last: String = all
                    .chars()
                    .skip(all.chars().count().saturating_sub(600))
                    .collect();
                bail!("it did not say {text:?}, but at last: {last}");
            }
        }
    }

    /// Logs root in at the guest's serial port, where no password is asked for, as soon as it offers that.
    ///
    /// # Errors
    /// When no shell comes within `limit`.
    pub fn log_in(&mut self, limit: Duration) -> anyhow::Result<()> {
        self.wait_for("login: ", limit)?;
        let mark = self.output.text.lock().0.len();
        self.input.write_all(b"root\n")?;
        self.wait_since(mark, "# ", Instant::now() + limit)?;
        self.input
            .write_all(b"stty -echo; PS1='' PS2=''; echo no \"\"echo\n")?;
        self.wait_since(mark, "no echo", Instant::now() + limit)?;
        // Without line editing, by which bash says more than its commands do, and what the kernel says between them.
        self.input
            .write_all(b"set +o emacs 2>/dev/null\ndmesg -n 1 2>/dev/null\n")?;
        self.shell("true", limit)?;
        Ok(())
    }

    /// Runs a command in the shell at the guest's serial port and gives what it printed.
    ///
    /// # Errors
    /// When it fails or does not end within `limit`.
    pub fn shell(&mut self, command: &str, limit: Duration) -> anyhow::Result<String> {
        let mark = self.output.text.lock().0.len();
        // Put together by the shell, so that an echo of the command is not taken for its end.
        let end = " end-of-command";
        let line = format!(
            "if {{ {command}\n}} 2>&1; then echo 'whole end'-of-command; else echo 'failed end'-of-command; fi\n"
        );
        self.input.write_all(line.as_bytes())?;
        let said = self.wait_since(mark, end, Instant::now() + limit)?;
        let said = said.replace('\r', "");
        match said.strip_suffix("whole") {
            Some(printed) => Ok(printed.to_owned()),
            None => bail!("{command}: {said}"),
        }
    }

    /// How long ago it was started.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// KiB in memory of all its mappings but the guest's memory, which is the one of `mebibytes` or more: all of them, and of
    /// those the ones that it shares with no other process.
    ///
    /// # Errors
    /// When it has ended.
    #[expect(clippy::cast_precision_loss, reason = "KiB are few enough")]
    pub fn memory_beyond_guest(&self, mebibytes: u64) -> anyhow::Result<(f64, f64)> {
        let text = fs::read_to_string(format!("/proc/{}/smaps", self.id()))?;
        let (mut resident, mut private, mut guest) = (0, 0, false);
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let (Some(key), value) = (words.next(), words.next()) else {
                continue;
            };
            let kibibytes: u64 = value.and_then(|value| value.parse().ok()).unwrap_or(0);
            match key {
                "Size:" => guest = kibibytes >= mebibytes * 1024,
                "Rss:" if !guest => resident += kibibytes,
                "Private_Clean:" | "Private_Dirty:" if !guest => private += kibibytes,
                _ => {}
            }
        }
        Ok((resident as f64, private as f64))
    }

    /// The processor time that all its threads have used.
    ///
    /// # Errors
    /// When it has ended.
    pub fn processor_time(&self) -> anyhow::Result<Duration> {
        let mut sum = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.id()))? {
            let statistics = fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
            sum += statistics
                .split(' ')
                .next()
                .unwrap_or("0")
                .parse::<u64>()
                .unwrap_or(0);
        }
        Ok(Duration::from_nanos(sum))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
