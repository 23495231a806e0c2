//! From the start of the program to the guest's first instruction and to SeaBIOS's first text, with the same firmware, and the
//! memory beyond the guest's own at that moment.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::ensure;
use guesthouse_tests::bench::program::{Machines, Running, qemu};
use guesthouse_tests::bench::{Harness, Needs, Unit, less, subject};

const ROUNDS: usize = 7;
const MEMORY: u64 = 1024;
const LIMIT: Duration = Duration::from_secs(60);

/// A firmware whose first instructions say "!" on the first serial port: mov dx, 3f8h; mov al, 21h; out dx, al; cli; hlt; jmp $.
fn speaking_firmware(folder: &Path) {
    fs::create_dir(folder).unwrap();
    let mut rom = vec![0xff; 256 << 10];
    let program = [0xba, 0xf8, 0x03, 0xb0, 0x21, 0xee, 0xfa, 0xf4, 0xeb, 0xfd];
    let start = rom.len() - 16;
    rom[start..start + program.len()].copy_from_slice(&program);
    fs::write(folder.join("bios-256k.bin"), rom).unwrap();
    let rom = "vgabios-stdvga.bin";
    fs::copy(firmware().join(rom), folder.join(rom)).unwrap();
}

fn firmware() -> PathBuf {
    let places = ["/usr/share/seabios", "/usr/share/qemu"];
    let mut places = places.iter().map(PathBuf::from);
    places
        .find(|place| place.join("vgabios-stdvga.bin").exists())
        .unwrap()
}

/// Waits until the log says that SeaBIOS's banner is on the screen, which it tells the second time.
fn first_text(running: &Running, log: &Path) -> anyhow::Result<[f64; 3]> {
    loop {
        let text = fs::read_to_string(log).unwrap_or_default();
        let time = running.elapsed();
        if text
            .split_once("Turning on vga text mode console")
            .is_some_and(|(_, after)| after.contains("SeaBIOS (version"))
        {
            let (resident, private) = running.memory_beyond_guest(MEMORY)?;
            return Ok([time.as_secs_f64() * 1e3, resident, private]);
        }
        ensure!(time < LIMIT, "no text: {text}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Hands over the rows of this file.
pub fn measure(harness: &mut Harness) {
    let instruction = [less(
        "start to the first guest instruction",
        Unit::Microseconds,
    )];
    let text = [
        less("start to SeaBIOS's first text", Unit::Milliseconds),
        less(
            "memory beyond the guest's, at SeaBIOS's first text",
            Unit::Kibibytes,
        ),
        less(
            "memory beyond the guest's, not shared, at SeaBIOS's first text",
            Unit::Kibibytes,
        ),
    ];
    if !harness.wants(&instruction) && !harness.wants(&text) {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let speaking = scratch.path().join("speaking");
    speaking_firmware(&speaking);
    let machines = Machines::new(&scratch.path().join("machines"));
    let memory = format!("{MEMORY}M");
    let options = ["--disk", "none", "--cpus", "1", "--memory", &memory];
    machines.create("bench", &options).unwrap();

    let guesthouse = |firmware: &Path| -> anyhow::Result<Running> {
        let mut command = machines.run("bench")?;
        command.env("GUESTHOUSE_FIRMWARE_DIR", firmware);
        Running::start(command)
    };
    let qemu_log = scratch.path().join("qemu.log");
    let qemu = |machine: &str, firmware: &Path| -> anyhow::Result<Running> {
        let mut command: Command = qemu(machine, MEMORY);
        command.arg("-bios").arg(firmware.join("bios-256k.bin"));
        if machine == "pc" {
            command.args(["-vga", "std", "-global", "isa-debugcon.iobase=0x402"]);
            command
                .arg("-debugcon")
                .arg(format!("file:{}", qemu_log.display()));
        }
        Running::start(command)
    };
    let said = |running: anyhow::Result<Running>| {
        let time = running?.wait_for("!", LIMIT)?;
        Ok([time.as_secs_f64() * 1e6])
    };
    harness.measure(
        Needs::Nothing,
        instruction,
        ROUNDS,
        vec![
            subject("Guesthouse", || said(guesthouse(&speaking))),
            subject("QEMU pc", || said(qemu("pc", &speaking))),
            subject("QEMU microvm", || said(qemu("microvm", &speaking))),
        ],
    );
    let log = scratch.path().join("machines/bench/machine.log");
    harness.measure(
        Needs::Nothing,
        text,
        ROUNDS,
        vec![
            subject("Guesthouse", || {
                // The log of the round before would be taken for this one's.
                let _ = fs::remove_file(&log);
                first_text(&guesthouse(&firmware())?, &log)
            }),
            subject("QEMU pc", || {
                let _ = fs::remove_file(&qemu_log);
                first_text(&qemu("pc", &firmware())?, &qemu_log)
            }),
        ],
    );
}
