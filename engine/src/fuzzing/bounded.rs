//! What the tests try of each target: its seeds, and a fixed number of mutations of them, the same in every run.

use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Numbers, TARGETS, Target};

/// Panics on threads of the engine's own, which are caught there so that one machine at most is lost. A test that breaks a thread
/// on purpose says so.
static PANICS: AtomicU64 = AtomicU64::new(0);

fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let on_purpose = panic.payload_as_str() == Some("broken on purpose");
            let thread = std::thread::current();
            let of_a_test = thread.name().is_none_or(|name| name.contains("::"));
            if !on_purpose && !of_a_test {
                PANICS.fetch_add(1, Ordering::SeqCst);
            }
            before(panic);
        }));
    });
}

impl Numbers {
    fn index(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 8).unwrap() % limit.max(1)
    }

    /// A number at which programs fail.
    fn telling(&mut self) -> u64 {
        match self.index(8) {
            0 => u64::MAX,
            1 => 1 << self.index(64),
            2 => (1 << self.index(64)) - 1,
            3 => 0,
            4 => self.next() & 0xff,
            5 => (self.next() & 0xffff) << 9,
            _ => self.next(),
        }
    }

    fn mutate(&mut self, data: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let at = self.index(data.len());
        match self.index(16) {
            0..4 => {
                if let Some(byte) = data.get_mut(at) {
                    *byte ^= 1 << self.index(8);
                }
            }
            4..7 => {
                if let Some(byte) = data.get_mut(at) {
                    *byte = self.next().to_le_bytes()[0];
                }
            }
            7..12 => {
                let (value, count) = (self.telling(), 1 << self.index(4));
                let bytes = match self.index(2) {
                    0 => value.to_le_bytes(),
                    _ => value.rotate_right(8 * count).to_be_bytes(),
                };
                for (place, byte) in data.iter_mut().skip(at).zip(&bytes[..count as usize]) {
                    *place = *byte;
                }
            }
            12 => {
                let end = data.len().min(at + 1 + self.index(16));
                data.drain(at..end);
            }
            13 => {
                let from = self.index(data.len());
                let end = data.len().min(from + 1 + self.index(64));
                let copy = data[from..end].to_vec();
                data.splice(at..at, copy);
            }
            14 => {
                let other = &seeds[self.index(seeds.len())];
                data.truncate(at);
                data.extend_from_slice(&other[self.index(other.len())..]);
            }
            _ if self.index(8) == 0 => data.truncate(at),
            _ => {
                let byte = self.next().to_le_bytes()[0];
                data.insert(at, byte);
            }
        }
    }
}

fn target(name: &str) -> &'static Target {
    TARGETS.iter().find(|target| target.name == name).unwrap()
}

/// Tells which input it was, should it end in a panic.
struct Told<'a>(&'a str, &'a [u8]);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let folder = std::env::temp_dir().join("guesthouse-fuzz");
            let path = folder.join(self.0);
            let kept =
                std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&path, self.1));
            eprintln!(
                "the input was {} bytes: {} ({kept:?})",
                self.1.len(),
                path.display()
            );
        }
    }
}

fn attempt(target: &Target, data: &[u8]) {
    let told = Told(target.name, data);
    let before = PANICS.load(Ordering::SeqCst);
    (target.run)(data);
    assert_eq!(
        PANICS.load(Ordering::SeqCst),
        before,
        "a thread of the engine's panicked"
    );
    drop(told);
}

pub(super) fn run(name: &str) {
    count_panics();
    let target = target(name);
    if let Some(file) = std::env::var_os("GUESTHOUSE_FUZZ_INPUT") {
        return attempt(target, &std::fs::read(file).unwrap());
    }
    let seeds = (target.seeds)();
    assert!(!seeds.is_empty());
    attempt(target, &[]);
    for seed in &seeds {
        attempt(target, seed);
    }
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for byte in name.bytes() {
        numbers.0 ^= u64::from(byte) << 24;
        numbers.next();
    }
    for _ in 0..target.rounds {
        let mut data = seeds[numbers.index(seeds.len())].clone();
        for _ in 0..=numbers.index(6) {
            numbers.mutate(&mut data, &seeds);
        }
        attempt(target, &data);
    }
}
