//! Random sequences of requests against a plain array of bytes, over every cluster size and chains of up to four backing files.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;

/// What is done to the disk; places and lengths in sectors.
#[derive(Debug, Clone)]
enum Step {
    Write { at: u64, length: u64, byte: u8 },
    Read { at: u64, length: u64 },
    Zeroes { at: u64, length: u64, unmap: bool },
    Discard { at: u64, length: u64 },
    Flush,
    Grow { by: u64 },
    Reopen,
}

/// A disk, and what is done to it; the chain below it is made of what comes before each `Reopen` in `below`.
#[derive(Debug, Clone)]
struct Case {
    cluster_bits: u32,
    version: u32,
    refcount_bits: u32,
    sectors: u64,
    below: Vec<Vec<Step>>,
    steps: Vec<Step>,
}

fn place() -> impl Strategy<Value = (u64, u64)> {
    prop_oneof![
        // Anywhere, short and long, and on the borders of clusters.
        (0..8192_u64, 1..64_u64),
        (0..8192_u64, 1..2048_u64),
        (0..64_u64, 1..16_u64).prop_map(|(at, length)| (at * 128, length * 128)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (place(), 1..=255_u8).prop_map(|((at, length), byte)| Step::Write { at, length, byte }),
        3 => place().prop_map(|(at, length)| Step::Read { at, length }),
        2 => (place(), any::<bool>())
            .prop_map(|((at, length), unmap)| Step::Zeroes { at, length, unmap }),
        2 => place().prop_map(|(at, length)| Step::Discard { at, length }),
        1 => Just(Step::Flush),
        1 => (1..1024_u64).prop_map(|by| Step::Grow { by }),
        1 => Just(Step::Reopen),
    ]
}

fn case() -> impl Strategy<Value = Case> {
    (
        9..=21_u32,
        prop_oneof![Just(3_u32), Just(3), Just(2)],
        0..=6_u32,
        64..6000_u64,
        prop::collection::vec(prop::collection::vec(step(), 1..12), 0..=4),
        prop::collection::vec(step(), 1..50),
    )
        .prop_map(
            |(cluster_bits, version, refcount_bits, sectors, below, steps)| Case {
                cluster_bits,
                version,
                refcount_bits: if version == 2 { 4 } else { refcount_bits },
                sectors,
                below,
                steps,
            },
        )
}

/// What each sector may hold.
#[derive(Clone)]
struct Model {
    bytes: Vec<u8>,
    /// Sectors that were discarded: they hold what they held, or zeros.
    vague: Vec<bool>,
}

impl Model {
    fn sectors(&self) -> u64 {
        self.vague.len() as u64
    }

    fn clamp(&self, at: u64, length: u64) -> (usize, usize) {
        let at = at % self.sectors();
        let length = length.min(self.sectors() - at);
        (index(at), index(at + length))
    }

    fn set(&mut self, from: usize, to: usize, byte: u8) {
        self.bytes[from * 512..to * 512].fill(byte);
        self.vague[from..to].fill(false);
    }

    fn judge(&self, from: usize, read: &[u8]) -> Result<(), TestCaseError> {
        for (number, sector) in read.chunks(512).enumerate() {
            let at = from + number;
            let expected = &self.bytes[at * 512..at * 512 + 512];
            let good = sector == expected || (self.vague[at] && sector == [0; 512]);
            prop_assert!(good, "sector {at} holds {} for {}", sector[0], expected[0]);
        }
        Ok(())
    }
}

fn run(path: &Path, steps: &[Step], model: &mut Model) -> Result<(), TestCaseError> {
    let mut image = open_chain(path, false).unwrap();
    for step in steps {
        match *step {
            Step::Write { at, length, byte } => {
                let (from, to) = model.clamp(at, length);
                model.set(from, to, byte);
                image
                    .write_at(from as u64 * 512, &model.bytes[from * 512..to * 512])
                    .unwrap();
            }
            Step::Read { at, length } => {
                let (from, to) = model.clamp(at, length);
                let mut data = vec![0xaa; (to - from) * 512];
                image.read_at(from as u64 * 512, &mut data).unwrap();
                model.judge(from, &data)?;
            }
            Step::Zeroes { at, length, unmap } => {
                let (from, to) = model.clamp(at, length);
                model.set(from, to, 0);
                image
                    .write_zeroes(from as u64 * 512, (to - from) as u64 * 512, unmap)
                    .unwrap();
            }
            Step::Discard { at, length } => {
                let (from, to) = model.clamp(at, length);
                model.vague[from..to].fill(true);
                image
                    .discard(from as u64 * 512, (to - from) as u64 * 512)
                    .unwrap();
            }
            Step::Flush => image.flush().unwrap(),
            Step::Grow { by } => {
                let sectors = model.sectors() + by;
                image.resize(sectors * 512).unwrap();
                model.bytes.resize(index(sectors) * 512, 0);
                model.vague.resize(index(sectors), false);
            }
            Step::Reopen => {
                drop(image);
                image = open_chain(path, false).unwrap();
            }
        }
    }
    model.judge(0, &read_all(&*image))?;
    drop(image);
    let (good, text) = qemu_img(&["check", "-f", "qcow2"], path);
    prop_assert!(good, "{text}");
    Ok(())
}

fn judge(case: &Case) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir().unwrap();
    let mut model = Model {
        bytes: vec![0; index(case.sectors) * 512],
        vague: vec![false; index(case.sectors)],
    };
    let mut below: Option<PathBuf> = None;
    let links = case.below.iter().chain(std::iter::once(&case.steps));
    for (number, steps) in links.enumerate() {
        let path = folder.path().join(number.to_string());
        // Each link has another cluster size.
        let bits = 9 + (case.cluster_bits - 9 + u32::try_from(number).unwrap() * 5) % 13;
        let options = format!(
            "cluster_size={},compat={}{}",
            1 << bits,
            if case.version == 2 { "0.10" } else { "1.1" },
            if case.version == 2 {
                String::new()
            } else {
                format!(",refcount_bits={}", 1 << case.refcount_bits)
            },
        );
        let backing = below.as_deref().map(|path| ("qcow2", path));
        qemu_create(&path, &options, model.sectors() * 512, backing);
        run(&path, steps, &mut model)?;
        below = Some(path);
    }
    let path = below.unwrap();
    model.judge(0, &qemu_reads("qcow2", &path))
}

/// How many sequences: `GUESTHOUSE_DISK_CASES` says otherwise than a few.
fn cases() -> u32 {
    std::env::var("GUESTHOUSE_DISK_CASES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(60)
}

#[test]
fn random_sequences_agree_with_a_plain_array() {
    let mut runner = TestRunner::new(Config {
        cases: cases(),
        failure_persistence: None,
        max_shrink_iters: 400,
        ..Config::default()
    });
    runner
        .run(&case(), |case| judge(&case))
        .unwrap_or_else(|error| panic!("{error}"));
}

/// Clusters that were zeroed are written again, which gives the place of some to others; then they are zeroed once more, and given back.
#[test]
fn what_was_zeroed_written_and_zeroed_again_costs_nobody_else_its_data() {
    let write = |at, length| Step::Write {
        at,
        length,
        byte: 1,
    };
    let zeroes = |at, length| Step::Zeroes {
        at,
        length,
        unmap: true,
    };
    let case = Case {
        cluster_bits: 20,
        version: 3,
        refcount_bits: 0,
        sectors: 2581,
        below: vec![
            vec![write(0, 1)],
            vec![Step::Grow { by: 68 }, Step::Grow { by: 324 }],
            vec![write(0, 1)],
        ],
        steps: vec![
            write(1665, 193),
            zeroes(398, 1523),
            write(256, 1792),
            zeroes(768, 1024),
        ],
    };
    judge(&case).unwrap();
}
