//! The machine's virtio devices besides its disks and network cards, each for guests that have its driver.

use serde::{Deserialize, Serialize};

/// Which of them the machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Devices {
    /// A source of random numbers.
    pub entropy: bool,
    /// A memory balloon: memory that the guest does not use goes back to the host.
    pub balloon: bool,
    /// A console, whose other end is given when the machine is started.
    pub console: bool,
    /// A keyboard and a tablet: the pointer needs no grab. Until the guest's driver is up, the PS/2 devices are used.
    pub input: bool,
    /// A graphics adapter whose screen has the size that is asked for. Until the guest's driver is up, it is the VGA that every
    /// machine has.
    pub graphics: bool,
}

impl Devices {
    /// All of them.
    pub fn all() -> Self {
        Self {
            entropy: true,
            balloon: true,
            console: true,
            input: true,
            graphics: true,
        }
    }
}
