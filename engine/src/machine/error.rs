//! Why a machine did not start, or did not do what it was told.

use std::path::PathBuf;

use crate::disk::OpenError;
use crate::firmware::{FirmwareError, LocateError, NvramError};
use crate::hypervisor::{HostProblem, HypervisorError, VmError};
use crate::library::LibraryError;
use crate::memory::MemoryError;
use crate::memory::layout::ReserveError;
use crate::snapshot::SnapshotError;

/// Why a machine did not start. Nothing of it was changed.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The host cannot run machines.
    #[error(transparent)]
    Host(HostProblem),
    /// Something in the definition speaks against it.
    #[error("{field}: {message}")]
    Definition {
        /// Which field.
        field: String,
        /// Cause and remedy.
        message: String,
    },
    /// Another program runs the machine, or its folder cannot be written to.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// What its disks are built on is not what it was.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The host has too little memory free.
    #[error(
        "the machine needs {needed} MiB of memory and {free} MiB are free; close other programs or give the machine less memory"
    )]
    Memory {
        /// MiB.
        needed: u64,
        /// MiB.
        free: u64,
    },
    /// The host did not give the memory.
    #[error(transparent)]
    Reserve(#[from] ReserveError),
    /// The host did not give a device's memory.
    #[error(transparent)]
    DeviceMemory(#[from] MemoryError),
    /// The firmware's files were not found.
    #[error(transparent)]
    Firmware(#[from] LocateError),
    /// The firmware's variables cannot be used.
    #[error(transparent)]
    Nvram(#[from] NvramError),
    /// A disk image could not be opened.
    #[error(transparent)]
    Image(#[from] OpenError),
    /// A medium in an optical drive could not be opened.
    #[error("could not open {file}: {source}; choose another file for the optical drive, or empty it", file = .file.display())]
    Medium {
        /// Which.
        file: PathBuf,
        /// The host's word.
        source: std::io::Error,
    },
    /// The firmware cannot be told of the machine.
    #[error(transparent)]
    Tables(#[from] FirmwareError),
    /// There are more cards than slots.
    #[error(
        "the machine has room for {most} cards (network adapters, virtio devices); remove some"
    )]
    Slots {
        /// How many there can be.
        most: u8,
    },
    /// The kernel refused something.
    #[error(transparent)]
    Kernel(#[from] HypervisorError),
    /// The host gave no thread or other means.
    #[error(
        "the host did not give what the machine needs: {0}; close other programs and try again"
    )]
    Means(#[from] std::io::Error),
    /// A fault of ours.
    #[error("a fault in Guesthouse kept the machine from starting: {0}")]
    Internal(String),
}

impl From<VmError> for StartError {
    fn from(error: VmError) -> Self {
        match error {
            VmError::Host(problem) => Self::Host(problem),
            VmError::Kernel(error) => Self::Kernel(error),
        }
    }
}

/// Why a machine did not do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The machine has no such network card.
    #[error("the machine has {count} network cards, and card {} is not one of them", .card + 1)]
    NoNetworkCard {
        /// Which was meant, counting from 0.
        card: usize,
        /// How many there are.
        count: usize,
    },
    /// It is off.
    #[error("the machine is not running; start it first")]
    NotRunning,
    /// It has fewer optical drives.
    #[error("the machine has no optical drive number {number}; add one while it is off")]
    NoDrive {
        /// Counting from 1.
        number: usize,
    },
    /// It has no memory balloon.
    #[error("the machine has no memory balloon; add one while it is off")]
    NoBalloon,
    /// The guest holds the medium.
    #[error(
        "the guest has locked the medium in the drive; eject it in the guest first, or force it out"
    )]
    Locked,
    /// The medium cannot be used.
    #[error("the medium was not changed: {reason}")]
    Medium {
        /// Why.
        reason: String,
    },
    /// The kernel refused something; the machine has stopped.
    #[error("the machine could not go on: {0}")]
    Failed(String),
}
