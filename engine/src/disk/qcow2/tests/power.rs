//! Power cuts: mixed work on an image is recorded as it reaches the device, and cut after each of its writes. The device then holds of
//! each page what any write since the last sync left there. The image must open, nothing but clusters that count as used and are not
//! may be wrong with it, and every flushed byte must be there.
//!
//! Our own checker judges each cut, with its second reader, and `qemu-img check` one in so many: starting it takes longer than all else.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use super::super::super::check::{SecondOpinion, check};
use super::super::super::formats::Format;
use super::super::super::tools::Job;
use super::*;

/// What an image is before the work begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    Empty,
    /// It stands on a backing file.
    Overlay,
    /// All of it is compressed.
    Compressed,
    /// There is a snapshot called "before" that shares everything, which is zeros.
    Snapshot,
    /// So many clusters that the reference count table is almost full: at 8 MiB it grows.
    NearlyFull,
}

/// Work to be cut.
struct Work {
    name: &'static str,
    /// Options for qemu-img.
    options: &'static str,
    /// The disk, in pages.
    pages: u64,
    start: Start,
    discards: bool,
    grows: bool,
    /// Writes to the device in one recording.
    writes: u64,
}

/// One of `qemu-img`'s verdicts for so many cuts.
const ASKED: u64 = 25;
/// How far what is below an overlay goes, in pages.
const BELOW: u64 = 1500;

const WORKS: [Work; 11] = [
    Work {
        name: "plain, clusters of 512 bytes",
        options: "cluster_size=512",
        pages: 4 << 10,
        start: Start::Empty,
        discards: false,
        grows: false,
        writes: 1500,
    },
    Work {
        name: "plain, clusters of 4 KiB",
        options: "cluster_size=4k",
        pages: 256 << 10,
        start: Start::Empty,
        discards: false,
        grows: false,
        writes: 800,
    },
    Work {
        name: "plain, clusters of 64 KiB",
        options: "cluster_size=64k",
        pages: 4 << 20,
        start: Start::Empty,
        discards: false,
        grows: false,
        writes: 400,
    },
    Work {
        name: "a growing reference count table",
        options: "cluster_size=512",
        pages: 4 << 10,
        start: Start::NearlyFull,
        discards: false,
        grows: false,
        writes: 1500,
    },
    Work {
        name: "compressed clusters",
        options: "cluster_size=8k",
        pages: 512,
        start: Start::Compressed,
        discards: false,
        grows: false,
        writes: 1000,
    },
    Work {
        name: "discards and zeros, clusters of 4 KiB",
        options: "cluster_size=4k",
        pages: 1 << 10,
        start: Start::Empty,
        discards: true,
        grows: false,
        writes: 600,
    },
    Work {
        name: "discards and zeros, version 2",
        options: "cluster_size=4k,compat=0.10",
        pages: 1 << 10,
        start: Start::Empty,
        discards: true,
        grows: false,
        writes: 600,
    },
    Work {
        name: "an overlay with discards and zeros",
        options: "cluster_size=8k",
        pages: 2 << 10,
        start: Start::Overlay,
        discards: true,
        grows: false,
        writes: 400,
    },
    Work {
        name: "an internal snapshot with discards and zeros",
        options: "cluster_size=4k",
        pages: 2 << 10,
        start: Start::Snapshot,
        discards: true,
        grows: false,
        writes: 600,
    },
    Work {
        name: "a disk that grows",
        options: "cluster_size=512",
        pages: 256,
        start: Start::Empty,
        discards: false,
        grows: true,
        writes: 600,
    },
    Work {
        name: "an overlay that grows, with discards and zeros",
        options: "cluster_size=1k",
        pages: 256,
        start: Start::Overlay,
        discards: true,
        grows: true,
        writes: 600,
    },
];

/// What page `page` of an overlay or of a compressed image holds at first.
fn below(page: u64) -> u64 {
    1_000_000 + page
}

impl Work {
    /// The number that page `page` holds at first; 0 are zeros.
    fn first(&self, page: u64) -> u64 {
        match self.start {
            // What the disk gained is zeros whatever is below.
            Start::Overlay | Start::Compressed if page < BELOW.min(self.pages) => below(page),
            _ => 0,
        }
    }

    /// Makes the image at `path`; `raw` holds what is below.
    fn create(&self, path: &Path, raw: &Path) {
        let mut command = Command::new("qemu-img");
        if self.start == Start::Compressed {
            command.args(["convert", "-c", "-f", "raw", "-O", "qcow2"]);
            command.args(["-o", self.options]).args([raw, path]);
        } else {
            command.args(["create", "-q", "-f", "qcow2", "-o", self.options]);
            if self.start == Start::Overlay {
                command.args(["-F", "raw", "-b"]).arg(raw);
            }
            command.arg(path);
            command.arg((self.pages * PAGE as u64).to_string());
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        match self.start {
            Start::Snapshot => {
                qemu_io(path, &["write -P 0 0 2M", "write -P 0 5M 1M"]);
                assert!(qemu_img(&["snapshot", "-c", "before"], path).0);
            }
            Start::NearlyFull => qemu_io(path, &["write -P 0 0 7700k"]),
            Start::Empty | Start::Overlay | Start::Compressed => {}
        }
    }
}

fn qemu_io(path: &Path, commands: &[&str]) {
    let mut command = Command::new("qemu-io");
    command.args(["-f", "qcow2"]);
    for text in commands {
        command.args(["-c", text]);
    }
    let output = command.arg(path).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Something that holds from a moment of a recording on.
enum Promise {
    /// These pages may hold `number`; `only` that, once everything is flushed.
    Written {
        pages: Range<u64>,
        number: u64,
        only: bool,
    },
    /// Everything was flushed.
    Flushed,
    /// The disk is so many pages large.
    Size(u64),
}

/// Work as the device saw it, and what was promised after how many events.
struct Recording {
    events: Vec<Event>,
    promises: Vec<(usize, Promise)>,
}

impl Recording {
    fn writes(&self) -> u64 {
        let writes = self.events.iter().filter(|event| is_write(event));
        writes.count() as u64
    }
}

fn is_write(event: &Event) -> bool {
    matches!(event, Event::Write { .. })
}

/// What may be read in a page, by the number of the write that left it.
struct Page {
    possible: Vec<u64>,
    /// Once everything is flushed.
    now: Vec<u64>,
}

/// What may be on the disk at one moment.
struct Expected {
    pages: HashMap<u64, Page>,
    /// Those of the pages that were written since the last flush.
    open: Vec<u64>,
    size: u64,
}

impl Expected {
    fn keep(&mut self, work: &Work, promise: &Promise) {
        match promise {
            Promise::Written {
                pages,
                number,
                only,
            } => {
                for page in pages.clone() {
                    let first = work.first(page);
                    let known = self.pages.entry(page).or_insert_with(|| Page {
                        possible: vec![first],
                        now: vec![first],
                    });
                    known.possible.push(*number);
                    if *only {
                        known.now.clear();
                    }
                    known.now.push(*number);
                    self.open.push(page);
                }
            }
            Promise::Flushed => {
                for page in self.open.drain(..) {
                    let page = self.pages.get_mut(&page).unwrap();
                    page.possible.clone_from(&page.now);
                }
            }
            Promise::Size(size) => self.size = *size,
        }
    }
}

struct Run<'a> {
    work: &'a Work,
    base: Vec<u8>,
    backing: Option<Arc<dyn Image>>,
    folder: &'a Path,
}

impl Run<'_> {
    fn open(&self, disk: &Arc<Mutex<Disk>>) -> Qcow2Image {
        Qcow2Image::open(Parts {
            backing: self.backing.clone(),
            ..parts(disk)
        })
        .unwrap()
    }

    /// Works on the image and closes it.
    fn record(&self, seed: u64) -> Recording {
        let mut random = Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let disk = Disk::new(self.base.clone());
        disk.lock().record = Some(Vec::new());
        let recorded = || disk.lock().record.as_ref().map_or(0, Vec::len);
        let mut promises = Vec::new();
        let mut size = self.work.pages;
        {
            let image = self.open(&disk);
            for number in 1_u64.. {
                if recorded() as u64 >= self.work.writes {
                    break;
                }
                // Before its writes: some of them may be there.
                let begun = recorded();
                let step = self.step(&image, &mut random, number, &mut size);
                match step {
                    Some(promise @ Promise::Written { .. }) => promises.push((begun, promise)),
                    Some(promise) => promises.push((recorded(), promise)),
                    None => {}
                }
            }
        }
        promises.push((recorded(), Promise::Flushed));
        let events = disk.lock().record.take().unwrap();
        Recording { events, promises }
    }

    fn step(
        &self,
        image: &Qcow2Image,
        random: &mut Numbers,
        number: u64,
        size: &mut u64,
    ) -> Option<Promise> {
        let work = self.work;
        let at = random.below(*size);
        let length = (1 + random.below(24)).min(*size - at);
        let (offset, bytes) = (at * PAGE as u64, length * PAGE as u64);
        match random.below(40) {
            0 if work.grows && *size < 8192 => {
                *size += 1 + random.below(200);
                image.resize(*size * PAGE as u64).unwrap();
                Some(Promise::Size(*size))
            }
            1..=4 if work.discards => {
                image.discard(offset, bytes).unwrap();
                Some(Promise::Written {
                    pages: at..at + length,
                    number: 0,
                    only: false,
                })
            }
            5..=7 if work.discards => {
                let unmap = random.below(2) == 0;
                image.write_zeroes(offset, bytes, unmap).unwrap();
                Some(Promise::Written {
                    pages: at..at + length,
                    number: 0,
                    only: true,
                })
            }
            8 if work.discards => {
                image.inner.give_back().unwrap();
                None
            }
            9 | 10 => {
                image.flush().unwrap();
                Some(Promise::Flushed)
            }
            _ => {
                image.write_at(offset, &stamp(number)).unwrap();
                Some(Promise::Written {
                    pages: at..at + 1,
                    number,
                    only: true,
                })
            }
        }
    }

    /// Cuts a recording at `cuts` of its writes, or at all that it has, and judges what is left each time; how often that was.
    fn cut(&self, recording: &Recording, cuts: u64, seed: u64) -> u64 {
        let work = self.work;
        let (writes, mut write, mut done) = (recording.writes(), 0, 0);
        let mut promises = recording.promises.iter().peekable();
        let mut expected = Expected {
            pages: HashMap::new(),
            open: Vec::new(),
            size: work.pages,
        };
        let mut disk = Disk {
            content: self.base.clone(),
            durable: self.base.clone(),
            ..Disk::default()
        };
        for (number, event) in recording.events.iter().enumerate() {
            disk.apply(event);
            while let Some((_, promise)) = promises.next_if(|(at, _)| *at <= number + 1) {
                expected.keep(work, promise);
            }
            if !is_write(event) {
                continue;
            }
            write += 1;
            // As evenly as they go.
            if write * cuts.min(writes) / writes == done {
                continue;
            }
            done += 1;
            let mut random = Numbers((seed << 32 | write).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
            let left = disk.after_power_cut(&mut random);
            let name = format!("{}, recording {seed}, write {write}", work.name);
            self.judge(left, &expected, &name, done % ASKED == 1);
        }
        if work.start == Start::NearlyFull {
            let length = |content: &[u8]| {
                let header = Header::parse(content, content.len() as u64).unwrap();
                header.refcount_table_length
            };
            assert!(
                length(&disk.content) > length(&self.base),
                "the table never grew"
            );
        }
        done
    }

    fn judge(&self, left: Vec<u8>, expected: &Expected, name: &str, ask: bool) {
        let path = self.folder.join("left");
        fs::write(&path, &left).unwrap();
        let report = check(&path, Some(Format::Qcow2), &Job::quiet())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(report.damage, 0, "{name}: {:?}", report.findings);
        assert!(
            !matches!(report.second, Some(SecondOpinion::Differs(_))),
            "{name}: {:?}",
            report.second
        );
        if ask {
            check_for_leaks_only(&path);
            self.judge_snapshot(&path);
        }
        let disk = Arc::new(Mutex::new(Disk {
            content: left,
            capacity: usize::MAX,
            ..Disk::default()
        }));
        let image = self.open(&disk);
        assert!(
            image.size() >= expected.size * PAGE as u64,
            "{name}: growth is lost"
        );
        let mut data = vec![0; PAGE];
        for (page, allowed) in &expected.pages {
            image.read_at(page * PAGE as u64, &mut data).unwrap();
            // A disk promises whole sectors, no more.
            for sector in data.chunks(512) {
                let found = stamp_of(sector);
                assert!(
                    found.is_some_and(|found| allowed.possible.contains(&found)),
                    "{name}, page {page}: {found:?} is none of {:?}",
                    allowed.possible
                );
            }
        }
    }

    fn judge_snapshot(&self, path: &Path) {
        if self.work.start != Start::Snapshot {
            return;
        }
        let content = self.folder.join("snapshot");
        let from = path.to_string_lossy();
        let arguments = ["convert", "-l", "before", "-O", "raw", &from];
        assert!(qemu_img(&arguments, &content).0);
        let content = fs::read(content).unwrap();
        assert!(content.iter().all(|byte| *byte == 0));
    }
}

/// How many cuts: `GUESTHOUSE_POWER_CUTS` says otherwise than a few.
fn cuts() -> u64 {
    std::env::var("GUESTHOUSE_POWER_CUTS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(165)
}

/// Cuts `work` so often.
fn survive(work: &Work, cuts: u64) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let (raw, path) = (folder.path().join("below"), folder.path().join("base"));
    let pages = if work.start == Start::Compressed {
        work.pages
    } else {
        BELOW
    };
    let content: Vec<u8> = (0..pages).flat_map(|page| stamp(below(page))).collect();
    fs::write(&raw, content).unwrap();
    work.create(&path, &raw);
    let run = Run {
        work,
        base: fs::read(&path).unwrap(),
        backing: (work.start == Start::Overlay).then(|| {
            super::super::super::open_disk(&raw, crate::definition::ImageFormat::Raw, true).unwrap()
        }),
        folder: folder.path(),
    };
    let start = Instant::now();
    let mut done = 0;
    for seed in 0.. {
        if done >= cuts {
            break;
        }
        done += run.cut(&run.record(seed), cuts - done, seed);
    }
    println!(
        "{done} power cuts survived in {:.1} s: {}",
        start.elapsed().as_secs_f64(),
        work.name
    );
    done
}

#[test]
fn power_cuts_cost_neither_the_image_nor_what_was_flushed() {
    let each = cuts().div_ceil(WORKS.len() as u64);
    // Two at a time: each of them waits for qemu-img now and then.
    let next = AtomicUsize::new(0);
    let done: u64 = std::thread::scope(|scope| {
        let worker = || {
            std::iter::from_fn(|| WORKS.get(next.fetch_add(1, Ordering::Relaxed)))
                .map(|work| survive(work, each))
                .sum::<u64>()
        };
        let workers = [scope.spawn(worker), scope.spawn(worker)];
        workers.map(|worker| worker.join().unwrap()).iter().sum()
    });
    println!("{done} power cuts survived in all");
}
