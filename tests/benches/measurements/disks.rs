//! Disk images, beside qemu-img with the same cache mode on the same file system: requests a second at queue depths 1 and 32, and how
//! long it takes to make and to open a large disk, and to copy one into another format.
//!
//! Both go through the disk in the same way: requests follow one another at a distance that touches each part of it, and start again
//! at the front. Ours go through the queue that the drives use, into a guest's memory.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Instant;

use anyhow::{Context, ensure};
use guesthouse_engine::definition::{CacheMode, ImageFormat};
use guesthouse_engine::disk::queue::{Buffer, DiskQueue, Kind, Method, Request};
use guesthouse_engine::disk::tools::{Job, Source, TargetFormat, convert};
use guesthouse_engine::disk::{DiskOptions, Image, ReportFaults, create_disk};
use guesthouse_engine::memory::{GuestBuffer, GuestMemory, MemoryRegion};
use guesthouse_tests::bench::{Harness, Needs, Unit, less, more, subject};
use parking_lot::Mutex;

const ROUNDS: usize = 5;
/// Bytes of the disk.
const SIZE: u64 = 512 << 20;

/// One row.
#[derive(Clone, Copy)]
struct Load {
    name: &'static str,
    /// Bytes of a request.
    size: u64,
    /// Bytes from one to the next.
    step: u64,
    count: u64,
    write: bool,
    /// A flush after each so many; after as many as are under way if that is more.
    flush: Option<u64>,
    state: State,
}

/// What the disk is at first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Written,
    Empty,
    Compressed,
}

/// Far enough apart that no request is near the one before it.
const APART: u64 = (1 << 20) + (68 << 10);

const LOADS: [Load; 9] = [
    Load {
        name: "4 KiB reads all over",
        size: 4 << 10,
        step: APART,
        count: 40_000,
        write: false,
        flush: None,
        state: State::Written,
    },
    Load {
        name: "4 KiB writes all over",
        size: 4 << 10,
        step: APART,
        count: 40_000,
        write: true,
        flush: None,
        state: State::Written,
    },
    Load {
        name: "4 KiB writes all over, flushed",
        size: 4 << 10,
        step: APART,
        count: 640,
        write: true,
        flush: Some(1),
        state: State::Written,
    },
    Load {
        name: "64 KiB reads in order",
        size: 64 << 10,
        step: 64 << 10,
        count: 16_000,
        write: false,
        flush: None,
        state: State::Written,
    },
    Load {
        name: "64 KiB writes in order",
        size: 64 << 10,
        step: 64 << 10,
        count: 8_000,
        write: true,
        flush: None,
        state: State::Written,
    },
    Load {
        name: "1 MiB reads in order",
        size: 1 << 20,
        step: 1 << 20,
        count: 1_500,
        write: false,
        flush: None,
        state: State::Written,
    },
    Load {
        name: "1 MiB writes in order",
        size: 1 << 20,
        step: 1 << 20,
        count: 1_000,
        write: true,
        flush: None,
        state: State::Written,
    },
    Load {
        name: "4 KiB first writes all over",
        size: 4 << 10,
        step: (64 << 10) * 3,
        count: 2_700,
        write: true,
        flush: None,
        state: State::Empty,
    },
    Load {
        name: "4 KiB reads of compressed clusters",
        size: 4 << 10,
        step: APART,
        count: 8_000,
        write: false,
        flush: None,
        state: State::Compressed,
    },
];

fn name_of(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Raw => "raw",
        ImageFormat::Qcow2 => "qcow2",
    }
}

fn run(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().context("qemu-utils is needed")?;
    ensure!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Makes the disk of a row at `path`.
fn prepare(path: &Path, format: ImageFormat, state: State) -> anyhow::Result<()> {
    let _ = fs::remove_file(path);
    if state == State::Empty {
        create_disk(path, format, SIZE)?;
        return Ok(());
    }
    // Every sector says where it is: neither zeros nor noise.
    let raw = path.with_extension("source");
    let mut content = vec![0_u8; usize::try_from(SIZE)?];
    for (number, sector) in content.chunks_mut(512).enumerate() {
        sector[..8].copy_from_slice(&number.to_le_bytes());
        sector[256..].fill(number.to_le_bytes()[1]);
    }
    fs::write(&raw, content)?;
    let mut convert = Command::new("qemu-img");
    convert.args(["convert", "-f", "raw", "-O", name_of(format)]);
    if state == State::Compressed {
        convert.arg("-c");
    }
    run(convert.args([&raw, path]))?;
    fs::remove_file(raw)?;
    fs::File::open(path)?.sync_all()?;
    Ok(())
}

/// Seconds that qemu-img needs.
fn theirs(path: &Path, format: ImageFormat, load: Load, depth: u64) -> anyhow::Result<f64> {
    let mut command = Command::new("qemu-img");
    command.args(["bench", "-t", "writeback", "-f", name_of(format)]);
    for (option, value) in [
        ("-c", load.count),
        ("-d", depth),
        ("-s", load.size),
        ("-S", load.step),
    ] {
        command.arg(option).arg(value.to_string());
    }
    if load.write {
        command.arg("-w");
    }
    if let Some(interval) = load.flush {
        command.arg(format!("--flush-interval={}", interval.max(depth)));
    }
    let text = run(command.arg(path))?;
    text.split("completed in ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next())
        .and_then(|number| number.parse().ok())
        .with_context(|| text.clone())
}

/// What goes through our queue.
struct Driver {
    queue: DiskQueue,
    image: Arc<dyn Image>,
    memory: GuestMemory,
    load: Load,
    depth: u64,
    progress: Mutex<Progress>,
    end: Mutex<Sender<bool>>,
}

#[derive(Default)]
struct Progress {
    submitted: u64,
    in_flight: u64,
    since_flush: u64,
}

impl Driver {
    /// Submits what may go now.
    fn go_on(self: &Arc<Self>) {
        let mut progress = self.progress.lock();
        let interval = self.load.flush.map(|interval| interval.max(self.depth));
        loop {
            if interval.is_some_and(|interval| progress.since_flush >= interval) {
                if progress.in_flight > 0 {
                    return;
                }
                progress.since_flush = 0;
                progress.in_flight = 1;
                self.submit(Kind::Flush, 0, Buffer::None);
                return;
            }
            if progress.submitted == self.load.count {
                if progress.in_flight == 0 {
                    let _ = self.end.lock().send(true);
                }
                return;
            }
            if progress.in_flight == self.depth {
                return;
            }
            let number = progress.submitted;
            progress.submitted += 1;
            progress.in_flight += 1;
            progress.since_flush += 1;
            let mut buffer = GuestBuffer::new(self.memory.clone());
            let length = usize::try_from(self.load.size).unwrap();
            // One for all of them, as qemu-img has.
            buffer.push(0, length).unwrap();
            let kind = if self.load.write {
                Kind::Write { through: false }
            } else {
                Kind::Read
            };
            let offset = number * self.load.step % (SIZE - self.load.size + 1);
            self.submit(kind, offset / 4096 * 4096, Buffer::Guest(buffer));
        }
    }

    fn submit(self: &Arc<Self>, kind: Kind, offset: u64, buffer: Buffer) {
        let request = Request {
            kind,
            offset,
            buffer,
        };
        let this = Arc::downgrade(self);
        self.queue.submit(&self.image, request, move |done| {
            let Some(this) = this.upgrade() else { return };
            if done.result.is_err() {
                let _ = this.end.lock().send(false);
            }
            this.progress.lock().in_flight -= 1;
            this.go_on();
        });
    }
}

/// Seconds that we need.
fn ours(path: &Path, format: ImageFormat, load: Load, depth: u64) -> anyhow::Result<f64> {
    let image = DiskOptions {
        read_only: !load.write,
        cache: CacheMode::Writeback,
        ..DiskOptions::new(format)
    }
    .open(path)?;
    let queue = DiskQueue::new(
        "disk".to_owned(),
        Arc::new(ReportFaults),
        Method::for_image(&*image),
    )?;
    let (end, ended) = channel();
    // As a guest's that has been running for a while, and as qemu-img's: all of it is there.
    let region = MemoryRegion::new("memory", 64 << 20)?;
    region.fill(0, 64 << 20, 0x55);
    let driver = Arc::new(Driver {
        queue,
        image,
        memory: GuestMemory::new(vec![(0, region)])?,
        load,
        depth,
        progress: Mutex::default(),
        end: Mutex::new(end),
    });
    let start = Instant::now();
    driver.go_on();
    let good = ended.recv()?;
    let seconds = start.elapsed().as_secs_f64();
    driver.queue.drain();
    ensure!(good, "a request failed");
    Ok(seconds)
}

/// Hands over the rows of this file.
pub fn measure(harness: &mut Harness) {
    // Not in /tmp, which may be in memory.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    for format in [ImageFormat::Raw, ImageFormat::Qcow2] {
        for load in LOADS {
            if load.state != State::Written && format == ImageFormat::Raw {
                continue;
            }
            let path = folder.path().join("disk");
            let mut prepared = false;
            for depth in [1, 32] {
                let row = more(
                    format!("disk, {}: {}, {depth} at once", name_of(format), load.name),
                    Unit::PerSecond,
                );
                if !harness.wants(std::slice::from_ref(&row)) {
                    continue;
                }
                if !prepared {
                    prepare(&path, format, load.state).unwrap();
                    prepared = true;
                }
                let rate = |seconds: f64| [load.count as f64 / seconds];
                let fresh = || match load.state {
                    State::Empty => prepare(&path, format, load.state),
                    _ => Ok(()),
                };
                harness.measure(
                    Needs::Nothing,
                    [row],
                    ROUNDS,
                    vec![
                        subject("Guesthouse", || {
                            fresh()?;
                            Ok(rate(ours(&path, format, load, depth)?))
                        }),
                        subject("qemu-img bench", || {
                            fresh()?;
                            Ok(rate(theirs(&path, format, load, depth)?))
                        }),
                    ],
                );
            }
        }
    }
    large(harness, folder.path());
    copies(harness, folder.path());
}

/// A disk of 4 GiB, half full, into another format and onto the device.
fn copies(harness: &mut Harness, folder: &Path) {
    const ROUNDS: usize = 3;
    const WHOLE: u64 = 4 << 30;
    const PART: u64 = 4 << 20;
    for (from, to, format) in [
        (ImageFormat::Raw, ImageFormat::Qcow2, TargetFormat::QCOW2),
        (ImageFormat::Qcow2, ImageFormat::Raw, TargetFormat::Raw),
    ] {
        let row = less(
            format!(
                "disk, {} to {}: copying 4 GiB, half full",
                name_of(from),
                name_of(to)
            ),
            Unit::Milliseconds,
        );
        if !harness.wants(std::slice::from_ref(&row)) {
            continue;
        }
        let (source, target) = (folder.join("from"), folder.join("to"));
        let fill = || -> anyhow::Result<()> {
            let _ = fs::remove_file(&source);
            create_disk(&source, from, WHOLE)?;
            let image = DiskOptions::new(from).open(&source)?;
            let mut part = vec![0_u8; usize::try_from(PART)?];
            for number in 0..WHOLE / PART / 2 {
                for (at, sector) in (0_u64..).zip(part.chunks_mut(512)) {
                    sector.fill((number + at).to_le_bytes()[0] | 1);
                    sector[..8].copy_from_slice(&(number * PART + at).to_le_bytes());
                }
                image.write_at(number * 2 * PART, &part)?;
            }
            Ok(image.flush()?)
        };
        fill().unwrap();
        let timed = |work: &dyn Fn() -> anyhow::Result<()>| -> anyhow::Result<[f64; 1]> {
            let _ = fs::remove_file(&target);
            // What the one before left to be written would be written during this one.
            rustix::fs::sync();
            let start = Instant::now();
            work()?;
            Ok([start.elapsed().as_secs_f64() * 1e3])
        };
        let ours = || {
            let source = Source::new(&source);
            Ok(convert(&source, &target, format, false, &Job::quiet())?)
        };
        let theirs = || {
            let mut command = Command::new("qemu-img");
            command.args(["convert", "-t", "writeback", "-f", name_of(from)]);
            command.args(["-O", name_of(to)]).args([&source, &target]);
            run(&mut command).map(|_| ())
        };
        harness.measure(
            Needs::Nothing,
            [row],
            ROUNDS,
            vec![
                subject("Guesthouse", || timed(&ours)),
                subject("qemu-img convert", || timed(&theirs)),
            ],
        );
        fs::remove_file(&source).unwrap();
        fs::remove_file(&target).unwrap();
    }
}

/// A disk of 1 TiB.
fn large(harness: &mut Harness, folder: &Path) {
    let path = folder.join("large");
    let milliseconds = |start: Instant| start.elapsed().as_secs_f64() * 1e3;
    harness.measure(
        Needs::Nothing,
        [
            less("disk, qcow2: making one of 1 TiB", Unit::Milliseconds),
            less("disk, qcow2: opening one of 1 TiB", Unit::Milliseconds),
        ],
        ROUNDS,
        vec![subject("Guesthouse", || {
            let _ = fs::remove_file(&path);
            let start = Instant::now();
            create_disk(&path, ImageFormat::Qcow2, 1 << 40)?;
            let made = milliseconds(start);
            let start = Instant::now();
            let image = DiskOptions::new(ImageFormat::Qcow2).open(&path)?;
            let opened = milliseconds(start);
            drop(image);
            Ok([made, opened])
        })],
    );
}
