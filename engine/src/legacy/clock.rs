//! The clocks that devices read: how long the machine has run, and what time it is.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

/// Something that tells the time since an origin of its own. It may be set back (a wall clock), and devices bear it.
pub trait Clock: Send + Sync {
    /// The time since the clock's origin.
    fn now(&self) -> Duration;
}

/// How long the machine has run since it was switched on; stands still while the machine is paused. For the power management
/// timer and everything else that counts.
#[derive(Debug)]
pub struct RunningClock(Mutex<Run>);

#[derive(Debug)]
struct Run {
    /// What had passed when the clock was last paused.
    before: Duration,
    /// When it was last resumed, unless it stands still.
    since: Option<Instant>,
}

impl Default for RunningClock {
    /// A clock at zero that runs.
    fn default() -> Self {
        Self(Mutex::new(Run {
            before: Duration::ZERO,
            since: Some(Instant::now()),
        }))
    }
}

impl RunningClock {
    /// Stops the clock where it is.
    pub fn pause(&self) {
        let mut run = self.0.lock();
        if let Some(since) = run.since.take() {
            run.before += since.elapsed();
        }
    }

    /// Lets the clock go on from where it is.
    pub fn resume(&self) {
        self.0.lock().since.get_or_insert_with(Instant::now);
    }
}

impl Clock for RunningClock {
    fn now(&self) -> Duration {
        let run = self.0.lock();
        run.before + run.since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

/// The time of day where the machine is, since the start of 1970 there. For the real-time clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct WallClock {
    east_of_utc: i64,
}

impl WallClock {
    /// Coordinated universal time.
    pub fn utc() -> Self {
        Self::default()
    }

    /// The time of a place that is `seconds` ahead of coordinated universal time (behind it, when negative).
    pub fn east_of_utc(seconds: i64) -> Self {
        Self {
            east_of_utc: seconds,
        }
    }
}

impl Clock for WallClock {
    fn now(&self) -> Duration {
        let utc = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let offset = Duration::from_secs(self.east_of_utc.unsigned_abs());
        if self.east_of_utc < 0 {
            utc.saturating_sub(offset)
        } else {
            utc.saturating_add(offset)
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A clock that tests set.
    #[derive(Default)]
    pub(crate) struct TestClock(Mutex<Duration>);

    impl TestClock {
        pub(crate) fn set(&self, to: Duration) {
            *self.0.lock() = to;
        }
        pub(crate) fn advance(&self, by: Duration) {
            *self.0.lock() += by;
        }
    }

    impl Clock for TestClock {
        fn now(&self) -> Duration {
            *self.0.lock()
        }
    }

    #[test]
    fn a_paused_clock_stands_still_and_never_goes_back() {
        let clock = RunningClock::default();
        clock.pause();
        let at = clock.now();
        clock.pause();
        assert_eq!(clock.now(), at);
        clock.resume();
        clock.resume();
        assert!(clock.now() >= at);
    }

    #[test]
    fn places_differ_by_their_offset() {
        let utc = WallClock::utc().now();
        let east = WallClock::east_of_utc(7200).now();
        let west = WallClock::east_of_utc(-7200).now();
        assert!(east >= utc + Duration::from_secs(7200));
        assert!(west < utc);
        assert_eq!(WallClock::east_of_utc(i64::MIN).now(), Duration::ZERO);
    }
}
