//! What a running machine has used so far: for graphs, which take the difference between two looks.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::fault::FaultBridge;
use super::networks::Networks;
use crate::memory::GuestMemory;
use crate::virtio::balloon::{BalloonHandle, MemoryStatistics};

/// What a machine has used since it was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// The time that processors of the host spent on its virtual processors.
    pub processor: Duration,
    /// The memory that the host has given its guest and not taken back, in bytes, about.
    pub memory: u64,
    /// What the guest has given back on request, in bytes, if the machine has a memory balloon.
    pub returned: Option<u64>,
    /// What the guest said last of its memory.
    pub statistics: MemoryStatistics,
    /// What its drives have read, in bytes.
    pub disk_read: u64,
    /// What they have written.
    pub disk_written: u64,
    /// What its network cards have received, in bytes.
    pub network_received: u64,
    /// What they have sent.
    pub network_sent: u64,
}

/// How many clock ticks /proc counts in a second: what Linux tells programs on a PC, however it ticks itself.
const TICKS: u64 = 100;

/// Where the figures come from.
pub(super) struct Meters {
    pub processors: Arc<Mutex<Vec<i32>>>,
    pub memory: GuestMemory,
    pub balloon: Option<BalloonHandle>,
    pub drives: Arc<FaultBridge>,
    pub networks: Arc<Networks>,
}

impl Meters {
    /// The figures now.
    pub fn read(&self) -> Usage {
        let ticks = self
            .processors
            .lock()
            .iter()
            .map(|number| {
                let stat = fs::read_to_string(format!("/proc/self/task/{number}/stat"));
                stat.ok().and_then(|stat| ticks(&stat)).unwrap_or(0)
            })
            .sum::<u64>();
        let (disk_read, disk_written) = self.drives.transferred();
        let mut usage = Usage {
            processor: Duration::from_millis(ticks.saturating_mul(1000 / TICKS)),
            memory: self.memory.resident().unwrap_or(0).min(self.memory.size()),
            returned: self.balloon.as_ref().map(BalloonHandle::actual),
            statistics: self
                .balloon
                .as_ref()
                .map(BalloonHandle::statistics)
                .unwrap_or_default(),
            disk_read,
            disk_written,
            ..Usage::default()
        };
        for traffic in self.networks.traffic() {
            usage.network_received += traffic.received_bytes;
            usage.network_sent += traffic.sent_bytes;
        }
        usage
    }
}

/// User and system time in clock ticks, of a line of proc_pid_stat(5).
fn ticks(stat: &str) -> Option<u64> {
    // The thread's name, in parentheses, may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_thread_is_read_whatever_its_name() {
        let line = "7 (cpu0 a) b) S 1 2 3 0 -1 4194304 11 12 13 14 150 25 0 0 20 0 3 0 99";
        assert_eq!(ticks(line), Some(175));
        assert_eq!(ticks("7 (cpu0) S 1 2"), None);
        assert_eq!(ticks(""), None);
        let own = fs::read_to_string("/proc/thread-self/stat").unwrap();
        assert!(ticks(&own).is_some());
    }
}
