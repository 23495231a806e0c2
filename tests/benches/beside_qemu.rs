//! Guesthouse beside QEMU, on the same KVM, with the same firmware, in turn: how long until the guest's first instruction and
//! until SeaBIOS's first text, and how much memory beyond the guest's own. Prints a table; decides nothing.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement")]

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const ROUNDS: usize = 7;
const MEMORY: u64 = 1024;

/// A firmware whose first instructions say "!" on the first serial port: mov dx, 3f8h; mov al, 21h; out dx, al; cli; hlt; jmp $.
fn speaking_firmware(folder: &Path) {
    let mut rom = vec![0xff; 256 << 10];
    let program = [0xba, 0xf8, 0x03, 0xb0, 0x21, 0xee, 0xfa, 0xf4, 0xeb, 0xfd];
    let start = rom.len() - 16;
    rom[start..start + program.len()].copy_from_slice(&program);
    fs::write(folder.join("bios-256k.bin"), rom).unwrap();
    fs::copy(
        firmware().join("vgabios-stdvga.bin"),
        folder.join("vgabios-stdvga.bin"),
    )
    .unwrap();
}

fn firmware() -> PathBuf {
    let places = ["/usr/share/seabios", "/usr/share/qemu"];
    places
        .iter()
        .map(PathBuf::from)
        .find(|place| place.join("vgabios-stdvga.bin").exists())
        .unwrap()
}

/// The program beside this one, as `cargo build --release` leaves it.
fn guesthouse() -> PathBuf {
    let this = std::env::current_exe().unwrap();
    let path = this
        .parent()
        .and_then(Path::parent)
        .unwrap()
        .join("guesthouse");
    assert!(
        path.exists(),
        "{} is missing: build it first",
        path.display()
    );
    path
}

/// One of the two, ready to be started with the firmware in a folder.
struct Subject {
    name: &'static str,
    command: Box<dyn Fn(&Path) -> Command>,
}

/// Where SeaBIOS's log goes.
fn log_of(subject: &Subject, scratch: &Path) -> PathBuf {
    if subject.name == "QEMU" {
        scratch.join("qemu.log")
    } else {
        scratch.join("machines/bench/machine.log")
    }
}

fn subjects(scratch: &Path) -> [Subject; 2] {
    let machines = scratch.join("machines");
    let created = Command::new(guesthouse())
        .arg("--machines")
        .arg(&machines)
        .args([
            "create",
            "bench",
            "--disk",
            "none",
            "--cpus",
            "1",
            "--memory",
            &format!("{MEMORY}M"),
        ])
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(created.success());
    let log = scratch.join("qemu.log");
    [
        Subject {
            name: "Guesthouse",
            command: Box::new(move |firmware| {
                let mut command = Command::new(guesthouse());
                command
                    .arg("--machines")
                    .arg(&machines)
                    .args(["run", "bench", "--serial", "stdio"]);
                command.env("GUESTHOUSE_FIRMWARE_DIR", firmware);
                command
            }),
        },
        Subject {
            name: "QEMU",
            command: Box::new(move |firmware| {
                let mut command = Command::new("qemu-system-x86_64");
                command.args([
                    "-machine",
                    "pc,accel=kvm",
                    "-cpu",
                    "host",
                    "-m",
                    &MEMORY.to_string(),
                    "-nodefaults",
                    "-vga",
                    "std",
                    "-display",
                    "none",
                ]);
                command.arg("-bios").arg(firmware.join("bios-256k.bin"));
                command.args(["-serial", "stdio", "-monitor", "none"]);
                command
                    .arg("-debugcon")
                    .arg(format!("file:{}", log.display()))
                    .args(["-global", "isa-debugcon.iobase=0x402"]);
                command
            }),
        },
    ]
}

fn start(subject: &Subject, firmware: &Path) -> (Child, Instant) {
    let mut command = (subject.command)(firmware);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let begin = Instant::now();
    (command.spawn().unwrap(), begin)
}

fn end(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// From the process's start to the guest's first byte on the serial port.
fn first_instruction(subject: &Subject, scratch: &Path) -> Duration {
    let (mut child, begin) = start(subject, &scratch.join("speaking"));
    let mut byte = [0];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut byte)
        .unwrap();
    let time = begin.elapsed();
    assert_eq!(byte, [b'!']);
    end(child);
    time
}

/// From the process's start to SeaBIOS's banner on the screen, which its log says the second time; and the memory beyond the
/// guest's at that moment, in KiB: (resident, of that not shared with other processes).
fn first_text(subject: &Subject, scratch: &Path) -> (Duration, u64, u64) {
    let log = log_of(subject, scratch);
    let _ = fs::remove_file(&log);
    let (child, begin) = start(subject, &firmware());
    loop {
        let text = fs::read_to_string(&log).unwrap_or_default();
        let shown = text
            .split_once("Turning on vga text mode console")
            .is_some_and(|(_, after)| after.contains("SeaBIOS (version"));
        if shown {
            break;
        }
        assert!(
            begin.elapsed() < Duration::from_secs(60),
            "{} shows nothing",
            subject.name
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    let time = begin.elapsed();
    let (resident, private) = memory_beyond_guest(child.id());
    end(child);
    (time, resident, private)
}

/// Resident KiB of all mappings but the guest's memory, which is the one of its size or more.
fn memory_beyond_guest(process: u32) -> (u64, u64) {
    let text = fs::read_to_string(format!("/proc/{process}/smaps")).unwrap();
    let (mut resident, mut private, mut guest) = (0, 0, false);
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (Some(key), value) = (words.next(), words.next()) else {
            continue;
        };
        let kibibytes: u64 = value.and_then(|value| value.parse().ok()).unwrap_or(0);
        match key {
            "Size:" => guest = kibibytes >= MEMORY * 1024,
            "Rss:" if !guest => resident += kibibytes,
            "Private_Clean:" | "Private_Dirty:" if !guest => private += kibibytes,
            _ => {}
        }
    }
    (resident, private)
}

fn median<T: Ord + Copy>(mut values: Vec<T>) -> T {
    values.sort_unstable();
    values[values.len() / 2]
}

fn main() {
    let scratch = tempfile::tempdir().unwrap();
    fs::create_dir(scratch.path().join("speaking")).unwrap();
    speaking_firmware(&scratch.path().join("speaking"));
    let subjects = subjects(scratch.path());
    let mut instructions = [Vec::new(), Vec::new()];
    let mut texts = [Vec::new(), Vec::new()];
    let mut residents = [Vec::new(), Vec::new()];
    let mut privates = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (number, subject) in subjects.iter().enumerate() {
            instructions[number].push(first_instruction(subject, scratch.path()).as_micros());
            let (text, resident, private) = first_text(subject, scratch.path());
            texts[number].push(text.as_millis());
            residents[number].push(u128::from(resident));
            privates[number].push(u128::from(private));
        }
    }
    println!(
        "{:<44}{:>12}{:>12}{:>8}",
        "medians", subjects[0].name, subjects[1].name, "ratio"
    );
    for (name, values) in [
        ("start to the first guest instruction (µs)", instructions),
        ("start to SeaBIOS's first text (ms)", texts),
        ("resident beyond the guest's memory (KiB)", residents),
        ("of that not shared (KiB)", privates),
    ] {
        let [ours, theirs] = values.map(median);
        println!(
            "{name:<44}{ours:>12}{theirs:>12}{:>8}",
            format!(
                "{}.{:02}",
                ours / theirs.max(1),
                ours * 100 / theirs.max(1) % 100
            )
        );
    }
}
