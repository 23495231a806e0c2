//! The program is killed while its machine's guest writes: the image opens, qemu-img finds nothing but leaks, every byte that the guest
//! had flushed is there, nobody holds a lock, and the machine starts again.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use common::{FIRMWARE, Home, Running};
use guesthouse_engine::definition::ImageFormat;
use guesthouse_engine::disk::{Backing, DiskOptions, Image};
use guesthouse_tests::media::{el_torito, program};
use guesthouse_tests::moments::Moments;

/// Sectors from one that the guest writes to the next: each needs a cluster of its own, and now and then a new L2 table.
const STRIDE: u32 = 4224;
/// After so many kills comes a new machine.
const KILLS_OF_A_MACHINE: u64 = 10;

/// How the guest writes.
struct Way {
    name: &'static str,
    /// What `machine.toml` says of its disk's bus and cache.
    drive: &'static str,
    /// The guest flushes; else the drive has no cache that it could flush.
    flush: bool,
    /// From the second kill on, the disk is based on a snapshot.
    snapshot: bool,
}

const WAYS: [Way; 3] = [
    Way {
        name: "IDE, with flushes",
        drive: "bus = \"ide\"\n",
        flush: true,
        snapshot: false,
    },
    Way {
        name: "virtio, write through",
        drive: "bus = \"virtio\"\ncache = \"writethrough\"\n",
        flush: false,
        snapshot: false,
    },
    Way {
        name: "IDE, with flushes, based on a snapshot",
        drive: "bus = \"ide\"\n",
        flush: true,
        snapshot: true,
    },
];

/// A machine, and what its guest has told.
struct Writer {
    home: Home,
    way: &'static Way,
    /// The first number that the guest has not written yet, as far as is known.
    next: u32,
    /// The numbers that were on the device for good.
    flushed: Vec<u32>,
}

impl Writer {
    fn new(way: &'static Way) -> Self {
        let home = Home::new();
        let medium = home.write("medium.iso", &[]);
        home.write("medium.iso", &Self::medium(1, way));
        home.create("t", &["--iso", medium.to_str().unwrap(), "--disk", "64G"]);
        let definition = home.machine("t").join("machine.toml");
        let text = fs::read_to_string(&definition).unwrap();
        let bus = "bus = \"ide\"\n";
        assert!(text.contains(bus), "{text}");
        fs::write(&definition, text.replacen(bus, way.drive, 1)).unwrap();
        Self {
            home,
            way,
            next: 1,
            flushed: Vec::new(),
        }
    }

    fn medium(first: u32, way: &Way) -> Vec<u8> {
        el_torito("WRITER", &program::write_for_good(first, STRIDE, way.flush))
    }

    /// Where the disk is now: a snapshot gives it another file.
    fn image(&self) -> PathBuf {
        let text = fs::read_to_string(self.home.machine("t").join("machine.toml")).unwrap();
        let file = text
            .lines()
            .filter_map(|line| line.strip_prefix("file = \"")?.strip_suffix('"'))
            .find(|file| file.ends_with(".qcow2"))
            .unwrap();
        self.home.machine("t").join(file)
    }

    /// Runs the machine, kills its process while the guest writes, and looks at what is left.
    fn kill(&mut self, moments: &mut Moments) {
        self.home
            .write("medium.iso", &Self::medium(self.next, self.way));
        let serial = self.home.path("serial");
        let _ = fs::remove_file(&serial);
        let mut command = self.home.command(&["run", "t", "--serial"]);
        command.arg(&serial);
        let mut running = Running::start(command);
        let wanted = 4 * (1 + moments.below(if self.way.flush { 12 } else { 90 }));
        let end = Instant::now() + Duration::from_secs(FIRMWARE);
        while fs::metadata(&serial).map_or(0, |file| file.len()) < wanted {
            assert!(
                running.is_alive() && Instant::now() < end,
                "the guest does not write: {}",
                running.said()
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_micros(moments.below(30_000)));
        assert!(running.is_alive(), "it ended: {}", running.said());
        running.kill();
        let told = fs::read(&serial).unwrap();
        let (told, _) = told.as_chunks::<4>();
        for number in told.iter().map(|bytes| u32::from_le_bytes(*bytes)) {
            assert_ne!(number, u32::MAX, "the guest's disk reported an error");
            assert!(number >= self.next, "{number} was told twice");
            // All that were written before it are flushed, too.
            self.flushed.extend(self.next..=number);
            self.next = number + 1;
        }
        self.judge();
    }

    fn judge(&mut self) {
        let image = self.image();
        assert_leaks_only(&image);
        let options = DiskOptions {
            backing: Backing {
                files: Vec::new(),
                folders: vec![self.home.machine("t")],
            },
            ..DiskOptions::new(ImageFormat::Qcow2)
        };
        let disk = options.open(&image).expect("nobody holds it");
        for number in &self.flushed {
            assert_eq!(
                content(&*disk, *number),
                Some(*number),
                "number {number} was flushed"
            );
        }
        // What was under way is there, or it is not.
        while let number = content(&*disk, self.next).expect("sectors are whole")
            && number != 0
        {
            assert_eq!(number, self.next);
            self.next += 1;
        }
    }
}

/// The number that fills the place of number `number`; nothing when it is torn.
fn content(disk: &dyn Image, number: u32) -> Option<u32> {
    let mut sector = [0; 512];
    disk.read_at(u64::from(number) * u64::from(STRIDE) * 512, &mut sector)
        .unwrap();
    let (words, _) = sector.as_chunks::<4>();
    let [first, others @ ..] = words else {
        return None;
    };
    others
        .iter()
        .all(|word| word == first)
        .then(|| u32::from_le_bytes(*first))
}

/// Clusters that count as used and are not (exit code 3) are all that qemu-img may find.
fn assert_leaks_only(image: &Path) {
    let output = Command::new("qemu-img")
        .args(["check", "-f", "qcow2"])
        .arg(image)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(matches!(output.status.code(), Some(0 | 3)), "{text}");
}

#[test]
fn a_killed_process_costs_nothing_that_its_guest_had_flushed() {
    // GUESTHOUSE_KILLS says otherwise.
    let kills: u64 = std::env::var("GUESTHOUSE_KILLS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(3);
    let mut moments = Moments::new();
    let (mut done, mut flushed) = (0, 0);
    for way in WAYS.iter().cycle() {
        let left = kills - done;
        if left == 0 {
            break;
        }
        // A few are spread over all the ways.
        let these = left
            .min(KILLS_OF_A_MACHINE)
            .min(kills.div_ceil(WAYS.len() as u64));
        let mut writer = Writer::new(way);
        for number in 0..these {
            writer.kill(&mut moments);
            if way.snapshot && number == 0 {
                writer.home.succeed(&["snapshot", "create", "t", "before"]);
            }
        }
        done += these;
        flushed += writer.flushed.len();
        println!(
            "{these} kills survived: {}, {} sectors flushed",
            way.name,
            writer.flushed.len()
        );
    }
    println!("{done} kills survived in all, {flushed} flushed sectors were all there");
}
