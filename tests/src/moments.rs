//! Moments and numbers that nobody chose, for tests that interrupt what they test.

use std::time::{Duration, SystemTime};

/// Marsaglia's xorshift, seeded by the clock; the seed is printed for when a test fails.
#[derive(Debug)]
pub struct Moments(u64);

impl Moments {
    /// New ones.
    #[expect(
        clippy::print_stdout,
        reason = "a failed test shows what it has printed"
    )]
    pub fn new() -> Self {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let seed = u64::try_from(now.as_nanos()).unwrap_or(0) | 1;
        println!("seed {seed}");
        Self(seed)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    /// Lets up to `most` milliseconds pass.
    pub fn pass(&mut self, most: u64) {
        std::thread::sleep(Duration::from_micros(self.below(most * 1000)));
    }
}

impl Default for Moments {
    fn default() -> Self {
        Self::new()
    }
}
