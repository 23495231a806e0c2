//! Guests that stand still. The emulated computer of the nested rig falls into an endless loop now and then, in which a guest's processor does
//! not come past one instruction; other monitors' guests do it there too. Waiting for such a guest is of no use, and it says nothing of the
//! machine: the test begins anew in a new outer machine, by build-aux/test-guests, which says so and counts them.

use std::time::{Duration, Instant};

use super::Guest;
use super::report::registers;

/// How often a guest that is waited for is looked at, so that somebody who watches a test, or finds it ended from outside, sees where it is.
const LOOKS: Duration = Duration::from_secs(30);
/// A guest in which nothing at all changed in so many looks stands still.
const LOOKS_WITHOUT_CHANGE: u32 = 8;
/// The exit code by which build-aux/test-guests knows that the outer machine is at fault.
const OUTER_MACHINE_FAILED: i32 = 75;

/// What was seen of a guest at the last look.
#[derive(Debug)]
pub(super) struct Looks {
    when: Instant,
    seen: String,
    unchanged: u32,
}

impl Default for Looks {
    fn default() -> Self {
        Self {
            when: Instant::now(),
            seen: String::new(),
            unchanged: 0,
        }
    }
}

impl Looks {
    /// Notes what is `seen` now, and gives whether nothing has changed for too long.
    fn note(&mut self, seen: String) -> bool {
        self.when = Instant::now();
        self.unchanged = if seen == self.seen {
            self.unchanged + 1
        } else {
            0
        };
        self.seen = seen;
        self.unchanged >= LOOKS_WITHOUT_CHANGE
    }
}

impl Guest {
    /// Stores what the guest is about, if that was long ago, and ends the tests when it stands still.
    pub(super) fn look(&self) {
        let mut looks = self.looks.lock();
        if looks.when.elapsed() < LOOKS {
            return;
        }
        self.keep_progress();
        let stands_still = crate::in_rig() && looks.note(self.traces());
        drop(looks);
        if !stands_still {
            return;
        }
        let seconds = LOOKS.as_secs() * u64::from(LOOKS_WITHOUT_CHANGE);
        let why = format!("the guest stands still: nothing in it has changed for {seconds} s");
        if std::env::var_os("GUESTHOUSE_LAST_TRY").is_some() {
            self.fail(&why);
        }
        eprintln!("{why}, {:.0} s after its start", self.age().as_secs_f64());
        self.describe();
        std::process::exit(OUTER_MACHINE_FAILED);
    }

    /// All that changes while a guest does something: what it has said, read and written, and what its processors hold.
    fn traces(&self) -> String {
        let usage = self.machine.usage().unwrap_or_default();
        format!(
            "{} {} {} {} {} {}",
            self.serial_mark(),
            usage.disk_read,
            usage.disk_written,
            usage.network_received,
            usage.network_sent,
            registers(&self.machine)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_never_changes_stands_still() {
        let mut looks = Looks::default();
        for look in 0..100 {
            assert!(!looks.note(format!("{}", look / LOOKS_WITHOUT_CHANGE)));
        }
        let last = looks.seen.clone();
        let more = (0..).take_while(|_| !looks.note(last.clone())).count();
        assert!(more < LOOKS_WITHOUT_CHANGE as usize);
    }
}
