//! The files that say what a snapshot is and what a machine is built on.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::SnapshotError;
use crate::definition::ImageFormat;

/// The version of these files that this program writes; it refuses newer ones.
pub(super) const SCHEMA: u32 = 1;

/// A longer file is not one of these.
const MAX_LENGTH: u64 = 1 << 20;

/// A snapshot, as `snapshots/<id>/manifest.toml` holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the file's schema.
    pub schema: u32,
    /// What names its folder.
    pub id: Uuid,
    /// The snapshot it comes after; the first ones come after none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Uuid>,
    /// What people call it.
    pub name: String,
    /// What people wrote about it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub notes: String,
    /// When it was taken, in milliseconds since 1970 began in UTC.
    pub created: i64,
    /// Whether it was deleted and is only here for what is built on it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// Whether one of its images was being given the data of the next one, so that it cannot be had back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub merging: bool,
    /// The memory and the devices of a machine that ran; none where it was off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<RunningState>,
    /// The images that it keeps.
    #[serde(default, rename = "disk", skip_serializing_if = "Vec::is_empty")]
    pub disks: Vec<FrozenDisk>,
    /// The machines that are built on it.
    #[serde(default, rename = "clone", skip_serializing_if = "Vec::is_empty")]
    pub clones: Vec<Link>,
}

/// Where the state of a machine that ran is, in the snapshot's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningState {
    /// The guest's memory.
    pub memory: PathBuf,
    /// Processors and devices.
    pub devices: PathBuf,
}

/// An image that nobody writes to any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrozenDisk {
    /// Which drive of the snapshot's `machine.toml` has it, counted from 0.
    pub drive: usize,
    /// The image: relative to the machine's folder if it is in there.
    pub file: PathBuf,
    /// How it stores what the guest sees.
    pub format: ImageFormat,
    /// The size that the guest sees, in bytes.
    pub virtual_size: u64,
    /// How it was when it was frozen.
    #[serde(flatten)]
    pub identity: Identity,
    /// Whether it is being joined with another image, so that its identity says nothing until that is done. What is built on it
    /// shows the same all the while.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unsettled: bool,
}

impl FrozenDisk {
    /// By what it is known not to have been changed, where that is known.
    pub(super) fn settled(&self) -> Option<Identity> {
        (!self.unsettled).then_some(self.identity)
    }
}

/// By what a file is known not to have been changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its bytes.
    pub length: u64,
    /// When it was last changed, in nanoseconds since 1970 began in UTC.
    pub modified: i64,
}

impl Identity {
    /// That of the file at `path`.
    ///
    /// # Errors
    /// When the host does not say.
    pub fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        Ok(Self {
            length: metadata.len(),
            modified: metadata
                .mtime()
                .saturating_mul(1_000_000_000)
                .saturating_add(metadata.mtime_nsec()),
        })
    }

    /// How `now` differs, if it does.
    pub(super) fn difference(self, now: Self) -> Option<String> {
        if self.length != now.length {
            Some(format!(
                "it has {} bytes instead of {}",
                now.length, self.length
            ))
        } else if self.modified != now.modified {
            let times = [now, self].map(|one| chrono::DateTime::from_timestamp_nanos(one.modified));
            let [now, then] = times.map(|time| time.timestamp());
            // Parts of a second where nothing else differs.
            let format = if now == then {
                "%Y-%m-%d %H:%M:%S%.9f UTC"
            } else {
                "%Y-%m-%d %H:%M:%S UTC"
            };
            let [now, then] = times.map(|time| time.format(format));
            Some(format!(
                "it was written to at {now}, and had last been at {then}"
            ))
        } else {
            None
        }
    }
}

/// A machine that is built on a snapshot, as the snapshot knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The machine.
    pub machine: Uuid,
    /// The library it was made in.
    pub library: PathBuf,
}

/// What a machine is built on, as `linked.toml` in its folder holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The version of the file's schema.
    pub schema: u32,
    /// The other machine.
    pub machine: Uuid,
    /// The other machine's name at the time.
    pub name: String,
    /// The snapshot of it.
    pub snapshot: Uuid,
    /// The images of it.
    #[serde(default, rename = "base", skip_serializing_if = "Vec::is_empty")]
    pub bases: Vec<Base>,
}

/// An image of another machine's snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// Where it is.
    pub file: PathBuf,
    /// How it stores what the guest sees.
    pub format: ImageFormat,
    /// How it was when the clone was made.
    #[serde(flatten)]
    pub identity: Identity,
}

/// Which snapshot the machine goes on from, as `snapshots/current.toml` holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Current {
    pub(super) schema: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) parent: Option<Uuid>,
}

/// Reads one of these files.
pub(super) fn read<T: DeserializeOwned>(file: &Path) -> Result<T, SnapshotError> {
    let broken = |message: String| SnapshotError::Broken {
        file: file.to_owned(),
        message,
    };
    let metadata = fs::metadata(file).map_err(SnapshotError::host("read", file))?;
    if !metadata.is_file() || metadata.len() > MAX_LENGTH {
        return Err(broken("it is longer than 1 MiB or not a file".to_owned()));
    }
    let text = fs::read_to_string(file).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => broken("it is not text".to_owned()),
        _ => SnapshotError::host("read", file)(error),
    })?;
    let table: toml::Table =
        toml::from_str(&text).map_err(|error| broken(error.message().to_owned()))?;
    let schema = table.get("schema").and_then(toml::Value::as_integer);
    match schema.map(u32::try_from) {
        Some(Ok(schema)) if schema > SCHEMA => {
            return Err(SnapshotError::Newer {
                file: file.to_owned(),
                schema,
            });
        }
        Some(Ok(_)) => {}
        _ => return Err(broken("it does not say its schema".to_owned())),
    }
    toml::from_str(&text).map_err(|error| broken(error.message().to_owned()))
}

/// The text of one of these files.
pub(super) fn text<T: Serialize>(file: &Path, value: &T) -> Result<String, SnapshotError> {
    toml::to_string(value).map_err(|error| SnapshotError::Broken {
        file: file.to_owned(),
        message: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_told_as_exactly_as_it_needs() {
        let then = Identity {
            length: 4,
            modified: 1_500_000_000,
        };
        for (length, modified, expected) in [
            (4, 1_500_000_000, None),
            (5, 0, Some("it has 5 bytes instead of 4")),
            (
                4,
                61_000_000_001,
                Some(
                    "it was written to at 1970-01-01 00:01:01 UTC, and had last been at 1970-01-01 00:00:01 UTC",
                ),
            ),
            (
                4,
                1_500_000_001,
                Some(
                    "it was written to at 1970-01-01 00:00:01.500000001 UTC, and had last been at 1970-01-01 00:00:01.500000000 UTC",
                ),
            ),
        ] {
            let now = Identity { length, modified };
            assert_eq!(then.difference(now).as_deref(), expected);
        }
    }
}
