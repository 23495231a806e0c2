//! What a machine tells those who watch it.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize, Serializer};

use crate::disk::FaultCause;

use crate::input::Lights;
use crate::virtio::balloon::MemoryStatistics;

/// What a machine is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "state")]
pub enum State {
    /// Nothing: it is off.
    Off,
    /// It is being put together.
    Starting,
    /// The guest runs.
    Running,
    /// The guest stands still and goes on where it was.
    Paused {
        /// Why, if it was not asked for: a full disk, say, with what to do about it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<PauseReason>,
    },
    /// It cannot go on.
    Crashed {
        /// What happened, and what to do.
        reason: String,
    },
}

/// Why a machine stands still that nobody paused: a drive waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseReason {
    /// What stands behind it.
    pub cause: FaultCause,
    /// The image that could not be read or written.
    #[serde(serialize_with = "readable")]
    pub file: PathBuf,
    /// What happened and what helps, as sentences.
    pub text: String,
}

/// Paths need not be Unicode; JSON must.
fn readable<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

impl fmt::Display for PauseReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl State {
    /// Whether the machine holds memory, files and a processor's time: anything but off and crashed.
    pub fn is_alive(&self) -> bool {
        matches!(self, Self::Starting | Self::Running | Self::Paused { .. })
    }
}

/// Something that happened to a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum MachineEvent {
    /// Its state is another now.
    State(State),
    /// The guest switched its keyboard's lights.
    Lights {
        /// Scroll Lock.
        scroll_lock: bool,
        /// Num Lock.
        num_lock: bool,
        /// Caps Lock.
        caps_lock: bool,
    },
    /// The medium of optical drive number `drive` (counting from 0) was inserted, ejected, or ejected by the guest.
    Medium {
        /// Which optical drive.
        drive: usize,
        /// What is in it now.
        file: Option<PathBuf>,
    },
    /// The guest has restarted the computer by itself, or switched it off: its state follows.
    Ended {
        /// What its drives had written since it was started, in bytes.
        written: u64,
    },
    /// Network card number `card` (counting from 0) is attached, or forwards, or fails to, in another way than before.
    Network {
        /// Which card.
        card: usize,
    },
    /// The guest has given memory back or taken it again, or has told how it uses it.
    Memory {
        /// What it has given back to the host on request, in bytes.
        returned: u64,
        /// What it said last.
        statistics: MemoryStatistics,
    },
    /// The guest's pointer goes where it is put from now on, so that nothing needs to be grabbed; or (`absolute` is false) it moves
    /// by differences.
    Pointer {
        /// Whether it goes where it is put.
        absolute: bool,
    },
    /// A line for the machine's log.
    Log {
        /// The line.
        line: String,
    },
}

impl From<Lights> for MachineEvent {
    fn from(lights: Lights) -> Self {
        Self::Lights {
            scroll_lock: lights.scroll_lock,
            num_lock: lights.num_lock,
            caps_lock: lights.caps_lock,
        }
    }
}
