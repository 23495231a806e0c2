//! Backups: a machine that is off with all its disks, snapshots, variable store and definition in one file, and back again.
//!
//! The file is a tar archive (POSIX.1-2001) compressed by Zstandard, so that people can take out of it what they need without
//! Guesthouse (`tar --zstd -xf`). First comes [`HEADER`], which says what it is; then the files of the machine's folder below
//! `machine/`, those with holes in GNU's sparse format 1.0, which keeps its map within the data and so reads with little memory;
//! last [`SUMS`], with the SHA-256 of each file's part of the archive. Without the sums the file is not whole.
//!
//! Disks that lie elsewhere, because the person brought them or because the machine is built on another's snapshot, are put in
//! the machine's folder, and what refers to them there is changed when it comes back: it then stands on its own. Media in
//! optical drives are referred to, not kept.

mod contents;
mod error;
mod read;
mod sparse;
#[cfg(test)]
mod tests;
mod write;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use error::BackupError;
pub use read::{About, KeptIdentity};

use crate::definition::{ImageFormat, Name};

/// What the first file in a backup is called.
const HEADER: &str = "backup.toml";
/// What the last one is called.
const SUMS: &str = "sums.toml";
/// The folder in it that is the machine's.
const MACHINE: &str = "machine";
/// The version of the format that this program writes; it refuses newer ones.
const SCHEMA: u32 = 1;
/// A longer header or list of sums is not one.
const LONGEST_TEXT: u64 = 16 << 20;
/// Bytes that are handled at a time.
const PIECE: usize = 1 << 20;

/// What a backup is, in its first file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    schema: u32,
    /// Which program wrote it.
    program: String,
    name: Name,
    uuid: Uuid,
    /// In milliseconds since 1970 began in UTC.
    created: i64,
    /// All the bytes of its files, without holes.
    bytes: u64,
    /// Disks that were elsewhere.
    #[serde(default, rename = "outside", skip_serializing_if = "Vec::is_empty")]
    outside: Vec<Place>,
    /// Images that must name what they are built on otherwise.
    #[serde(default, rename = "rebase", skip_serializing_if = "Vec::is_empty")]
    rebases: Vec<Rebase>,
}

/// A disk by the whole path that something names it by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    /// Where it was.
    path: PathBuf,
    /// What it is called in the machine's folder.
    name: PathBuf,
}

/// An image that is built on one that has another place now. Both are names in the machine's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Rebase {
    file: PathBuf,
    base: PathBuf,
    format: ImageFormat,
}

/// The sums of all files, in the last one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Sums {
    #[serde(default, rename = "file", skip_serializing_if = "Vec::is_empty")]
    files: Vec<Sum>,
}

/// A file in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Sum {
    /// Its name below the machine's folder.
    path: PathBuf,
    /// Its bytes, with holes.
    length: u64,
    /// When it was last changed, in nanoseconds since 1970 began in UTC.
    modified: i64,
    /// The SHA-256 of what stands in the archive for it, in hexadecimal digits.
    sha256: String,
}

/// A checksum as text.
fn hexadecimal(digest: &[u8]) -> String {
    use std::fmt::Write;
    digest.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
