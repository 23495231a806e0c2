//! Power cuts: mixed work on an image is cut at any write to the device, which then holds of each page what any write since the last
//! sync left there. The image must open, `qemu-img check` may find clusters that count as used and are not and nothing else, and
//! every flushed byte must be there.

use std::path::Path;
use std::sync::Arc;

use super::*;

/// Work to be cut.
struct Work {
    name: &'static str,
    /// Options for qemu-img.
    options: &'static str,
    /// The disk, in pages.
    pages: u64,
    /// It stands on a backing file.
    overlay: bool,
    /// What qemu-io and qemu-img do first.
    prepare: fn(&Path),
    /// There is a snapshot called "before".
    snapshot: bool,
    discards: bool,
    grows: bool,
    /// At most so many writes to the device.
    writes: u64,
}

fn nothing(_: &Path) {}

/// A snapshot that shares everything.
fn snapshot(path: &Path) {
    qemu(path, &["write -P 0 0 2M", "write -P 0 5M 1M"]);
    assert!(qemu_img(&["snapshot", "-c", "before"], path).0);
}

/// So many clusters that the reference count table is almost full: at 8 MiB it grows.
fn nearly_full(path: &Path) {
    qemu(path, &["write -P 0 0 7700k"]);
}

fn qemu(path: &Path, commands: &[&str]) {
    let mut command = Command::new("qemu-io");
    command.args(["-f", "qcow2"]);
    for text in commands {
        command.args(["-c", text]);
    }
    let output = command.arg(path).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

const WORKS: [Work; 10] = [
    Work {
        name: "plain, clusters of 512 bytes",
        options: "cluster_size=512",
        pages: 4 << 10,
        overlay: false,
        prepare: nothing,
        snapshot: false,
        discards: false,
        grows: false,
        writes: 1500,
    },
    Work {
        name: "plain, clusters of 4 KiB",
        options: "cluster_size=4k",
        pages: 256 << 10,
        overlay: false,
        prepare: nothing,
        snapshot: false,
        discards: false,
        grows: false,
        writes: 800,
    },
    Work {
        name: "plain, clusters of 64 KiB",
        options: "cluster_size=64k",
        pages: 4 << 20,
        overlay: false,
        prepare: nothing,
        snapshot: false,
        discards: false,
        grows: false,
        writes: 400,
    },
    Work {
        name: "a growing reference count table",
        options: "cluster_size=512",
        pages: 4 << 10,
        overlay: false,
        prepare: nearly_full,
        snapshot: false,
        discards: false,
        grows: false,
        writes: 800,
    },
    Work {
        name: "discards and zeros, clusters of 4 KiB",
        options: "cluster_size=4k",
        pages: 1 << 10,
        overlay: false,
        prepare: nothing,
        snapshot: false,
        discards: true,
        grows: false,
        writes: 600,
    },
    Work {
        name: "discards and zeros, version 2",
        options: "cluster_size=4k,compat=0.10",
        pages: 1 << 10,
        overlay: false,
        prepare: nothing,
        snapshot: false,
        discards: true,
        grows: false,
        writes: 600,
    },
    Work {
        name: "an overlay with discards and zeros",
        options: "cluster_size=8k",
        pages: 2 << 10,
        overlay: true,
        prepare: nothing,
        snapshot: false,
        discards: true,
        grows: false,
        writes: 400,
    },
    Work {
        name: "an internal snapshot with discards and zeros",
        options: "cluster_size=4k",
        pages: 2 << 10,
        overlay: false,
        prepare: snapshot,
        snapshot: true,
        discards: true,
        grows: false,
        writes: 600,
    },
    Work {
        name: "a disk that grows",
        options: "cluster_size=512",
        pages: 256,
        overlay: false,
        prepare: nothing,
        snapshot: false,
        discards: false,
        grows: true,
        writes: 600,
    },
    Work {
        name: "an overlay that grows, with discards and zeros",
        options: "cluster_size=1k",
        pages: 256,
        overlay: true,
        prepare: nothing,
        snapshot: false,
        discards: true,
        grows: true,
        writes: 600,
    },
];

/// What page `page` of the backing file holds.
fn below(page: u64) -> u64 {
    1_000_000 + page
}

/// How far the backing file goes, in pages.
const BELOW: u64 = 1500;

/// What may be read in a page, by the number of the write that left it; 0 are zeros.
struct Page {
    possible: Vec<u64>,
    /// Once everything is flushed.
    now: Vec<u64>,
}

struct Run<'a> {
    work: &'a Work,
    base: &'a [u8],
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

    /// Works until the power is cut, and judges what is left.
    fn cut(&self, seed: u64) {
        let work = self.work;
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let disk = Disk::new(self.base.to_vec());
        let mut pages: HashMap<u64, Page> = HashMap::new();
        let mut size = work.pages;
        {
            let image = self.open(&disk);
            disk.lock().writes_left = Some(1 + random.below(work.writes));
            for number in 1_u64.. {
                if self
                    .step(&image, &mut random, number, &mut size, &mut pages)
                    .is_err()
                {
                    break;
                }
            }
        }
        assert_eq!(
            disk.lock().writes_left,
            Some(0),
            "{}, {seed}: it failed before the power did",
            work.name
        );
        let left = disk.lock().after_power_cut(&mut random);
        let path = self.folder.join("left");
        fs::write(&path, &left).unwrap();
        check_for_leaks_only(&path);
        let image = self.open(&Disk::new(left));
        assert!(
            image.size() >= size * PAGE as u64,
            "{}, {seed}: growth is lost",
            work.name
        );
        for (page, allowed) in &pages {
            let mut data = vec![0; PAGE];
            image.read_at(page * PAGE as u64, &mut data).unwrap();
            // A disk promises whole sectors, no more.
            for sector in data.chunks(512) {
                let found = stamp_of(sector);
                assert!(
                    found.is_some_and(|found| allowed.possible.contains(&found)),
                    "{}, {seed}, page {page}: {found:?} is none of {:?}",
                    work.name,
                    allowed.possible
                );
            }
        }
        if work.snapshot {
            assert!(
                qemu_img(
                    &[
                        "convert",
                        "-l",
                        "before",
                        "-O",
                        "raw",
                        &path.to_string_lossy()
                    ],
                    &self.folder.join("snapshot")
                )
                .0
            );
            assert!(
                fs::read(self.folder.join("snapshot"))
                    .unwrap()
                    .iter()
                    .all(|byte| *byte == 0)
            );
        }
    }

    fn step(
        &self,
        image: &Qcow2Image,
        random: &mut Random,
        number: u64,
        size: &mut u64,
        pages: &mut HashMap<u64, Page>,
    ) -> Result<(), ImageError> {
        let (work, overlay) = (self.work, self.backing.is_some());
        let gained = work.pages;
        let mut page = |page: u64| {
            pages.entry(page).or_insert_with(|| {
                // What the disk gained is zeros whatever is below.
                let first = if overlay && page < BELOW.min(gained) {
                    below(page)
                } else {
                    0
                };
                Page {
                    possible: vec![first],
                    now: vec![first],
                }
            });
        };
        let at = random.below(*size);
        let length = (1 + random.below(24)).min(*size - at);
        let offset = at * PAGE as u64;
        match random.below(40) {
            0 if work.grows && *size < 8192 => {
                let more = *size + 1 + random.below(200);
                image.resize(more * PAGE as u64)?;
                *size = more;
            }
            1..=4 if work.discards => {
                for number in at..at + length {
                    page(number);
                }
                for number in at..at + length {
                    let page = pages.get_mut(&number).unwrap();
                    page.possible.push(0);
                    page.now.push(0);
                }
                image.discard(offset, length * PAGE as u64)?;
            }
            5..=7 if work.discards => {
                for number in at..at + length {
                    page(number);
                }
                for number in at..at + length {
                    let page = pages.get_mut(&number).unwrap();
                    page.possible.push(0);
                    page.now = vec![0];
                }
                image.write_zeroes(offset, length * PAGE as u64, random.below(2) == 0)?;
            }
            8 if work.discards => image
                .inner
                .give_back()
                .map_err(|source| image.inner.error("discard in", source))?,
            9 | 10 => {
                image.flush()?;
                settle(pages);
            }
            _ => {
                page(at);
                let page = pages.get_mut(&at).unwrap();
                page.possible.push(number);
                page.now = vec![number];
                image.write_at(offset, &stamp(number))?;
            }
        }
        Ok(())
    }
}

fn settle(pages: &mut HashMap<u64, Page>) {
    for page in pages.values_mut() {
        page.possible.clone_from(&page.now);
    }
}

/// How many cuts: `GUESTHOUSE_POWER_CUTS` says otherwise than a few.
fn cuts() -> u64 {
    std::env::var("GUESTHOUSE_POWER_CUTS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(150)
}

#[test]
fn power_cuts_cost_neither_the_image_nor_what_was_flushed() {
    let folder = tempfile::tempdir().unwrap();
    let raw = folder.path().join("below");
    let content: Vec<u8> = (0..BELOW).flat_map(|page| stamp(below(page))).collect();
    fs::write(&raw, content).unwrap();
    let each = cuts().div_ceil(WORKS.len() as u64);
    for work in &WORKS {
        let path = folder.path().join("base");
        let mut command = Command::new("qemu-img");
        command.args(["create", "-q", "-f", "qcow2", "-o", work.options]);
        if work.overlay {
            command.args(["-F", "raw", "-b"]).arg(&raw);
        }
        let status = command
            .arg(&path)
            .arg((work.pages * PAGE as u64).to_string())
            .status()
            .unwrap();
        assert!(status.success());
        (work.prepare)(&path);
        let run = Run {
            work,
            base: &fs::read(&path).unwrap(),
            backing: work.overlay.then(|| {
                super::super::super::open_disk(&raw, crate::definition::ImageFormat::Raw, true)
                    .unwrap()
            }),
            folder: folder.path(),
        };
        for seed in 0..each {
            run.cut(seed);
        }
        println!("{each} power cuts survived: {}", work.name);
    }
}
