//! Writing a backup.

use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};
use tar::{Builder, EntryType};

use super::contents::{self, Member};
use super::sparse::{self, Range};
use super::{BackupError, HEADER, Header, MACHINE, PIECE, SCHEMA, SUMS, Sum, Sums, hexadecimal};
use crate::disk::HeldFile;
use crate::disk::tools::{Job, Occupied, Phase, ToolError, Unfinished};
use crate::library::{Library, StoredMachine};
use crate::snapshot::{self, Identity};

/// Zstandard's own default: about as fast as a disk.
const LEVEL: i32 = 3;
/// The most threads that compress.
const MOST_THREADS: usize = 4;

impl Library {
    /// Writes the machine, which is off, with all that belongs to it to the file `target`.
    ///
    /// # Errors
    /// When the machine runs, its snapshots do not hold together, a file cannot be read, the target exists and may not be
    /// replaced or cannot be written, or the job is cancelled; nothing is left behind, and what was there stays.
    pub fn back_up(
        &self,
        machine: &StoredMachine,
        target: &Path,
        occupied: Occupied,
        job: &Job<'_>,
    ) -> Result<(), BackupError> {
        let (held, machine, tree) = snapshot::hold(self, machine)?;
        let moved = contents::moved(&machine, &tree)?;
        let mut members = contents::in_folder(&machine.folder)?;
        members.extend(moved.members);
        let files = members
            .iter()
            .map(Source::open)
            .collect::<Result<Vec<_>, _>>()?;
        let bytes = files.iter().map(Source::data).sum();
        let header = Header {
            schema: SCHEMA,
            program: format!("Guesthouse {}", env!("CARGO_PKG_VERSION")),
            name: machine.definition.name.clone(),
            uuid: machine.definition.uuid,
            created: now(),
            bytes,
            outside: moved.places,
            rebases: moved.rebases,
        };
        let unfinished = self.begin(target, occupied)?;
        job.begin(Phase::Copying, bytes)?;
        write(&header, &files, &unfinished, job)?;
        job.begin(Phase::Storing, 0)?;
        unfinished.finish()?;
        drop(held);
        Ok(())
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

/// A file that goes into the archive, which nobody may write to meanwhile.
struct Source<'a> {
    member: &'a Member,
    held: HeldFile,
    /// When it was last changed.
    modified: i64,
    ranges: Vec<Range>,
}

impl<'a> Source<'a> {
    fn open(member: &'a Member) -> Result<Self, BackupError> {
        let path = &member.path;
        let held = HeldFile::open(path)?;
        let ranges = sparse::ranges(&held.file, held.length)
            .map_err(|source| ToolError::from_host("read", path, source))?;
        let modified = Identity::of(path)
            .map_err(|source| ToolError::from_host("read", path, source))?
            .modified;
        Ok(Self {
            member,
            held,
            modified,
            ranges,
        })
    }

    /// Its bytes without holes.
    fn data(&self) -> u64 {
        self.ranges.iter().map(|(_, bytes)| bytes).sum()
    }
}

fn write(
    header: &Header,
    files: &[Source<'_>],
    unfinished: &Unfinished,
    job: &Job<'_>,
) -> Result<(), BackupError> {
    let target = unfinished.target();
    let failed = |source: io::Error| ToolError::from_host("write to", target, source);
    let mut encoder = zstd::Encoder::new(unfinished.file(), LEVEL).map_err(failed)?;
    encoder.include_checksum(true).map_err(failed)?;
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = u32::try_from(threads.min(MOST_THREADS)).unwrap_or(1);
    encoder.multithread(threads).map_err(failed)?;
    let mut archive = Builder::new(encoder);
    put_text(&mut archive, HEADER, &text(target, header)?).map_err(failed)?;
    let mut sums = Sums::default();
    for source in files {
        let sum = put(&mut archive, source, job, failed)?;
        sums.files.push(sum);
    }
    put_text(&mut archive, SUMS, &text(target, &sums)?).map_err(failed)?;
    let encoder = archive.into_inner().map_err(failed)?;
    encoder.finish().map_err(failed)?;
    Ok(())
}

fn text<T: serde::Serialize>(target: &Path, value: &T) -> Result<String, BackupError> {
    toml::to_string(value).map_err(|error| BackupError::damaged(target, error.to_string()))
}

fn entry(length: u64) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o600);
    header.set_size(length);
    header.set_mtime(u64::try_from(now() / 1000).unwrap_or(0));
    header
}

fn put_text<W: Write>(archive: &mut Builder<W>, name: &str, text: &str) -> io::Result<()> {
    let mut header = entry(text.len() as u64);
    header.set_path(name)?;
    header.set_cksum();
    archive.append(&header, text.as_bytes())
}

/// Puts a file into the archive.
fn put<W: Write>(
    archive: &mut Builder<W>,
    source: &Source<'_>,
    job: &Job<'_>,
    failed: impl Fn(io::Error) -> ToolError,
) -> Result<Sum, BackupError> {
    let name = Path::new(MACHINE).join(&source.member.name);
    let whole = sparse::is_whole(&source.ranges, source.held.length);
    let map = if whole {
        Vec::new()
    } else {
        sparse::map(&source.ranges, source.held.length)
    };
    let mut header = entry(map.len() as u64 + source.data());
    let full = name.to_str().ok_or_else(|| BackupError::Odd {
        file: source.member.path.clone(),
    })?;
    let real_size = source.held.length.to_string();
    let mut records: Vec<(&str, &[u8])> = Vec::new();
    if !whole {
        records.extend([
            ("GNU.sparse.major", &b"1"[..]),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.name", full.as_bytes()),
            ("GNU.sparse.realsize", real_size.as_bytes()),
        ]);
    }
    let plain = whole && full.is_ascii() && header.set_path(&name).is_ok();
    if !plain {
        header
            .set_path(Path::new("GNUSparseFile.0").join("file"))
            .map_err(&failed)?;
        records.push(("path", full.as_bytes()));
        archive.append_pax_extensions(records).map_err(&failed)?;
    }
    header.set_cksum();
    let mut content = Content {
        source,
        job,
        map: &map,
        range: 0,
        at: 0,
        sum: Sha256::new(),
        fault: None,
    };
    let outcome = archive.append(&header, &mut content);
    if let Some(fault) = content.fault.take() {
        return Err(fault.into());
    }
    outcome.map_err(&failed)?;
    Ok(Sum {
        path: source.member.name.clone(),
        length: source.held.length,
        modified: source.modified,
        sha256: hexadecimal(&content.sum.finalize()),
    })
}

/// What stands in the archive for a file: the map of its data, if it has holes, and the data.
struct Content<'a> {
    source: &'a Source<'a>,
    job: &'a Job<'a>,
    /// What is left of the map.
    map: &'a [u8],
    /// Which range is read, and how much of it was.
    range: usize,
    at: u64,
    sum: Sha256,
    /// Why it could not be read on.
    fault: Option<ToolError>,
}

impl Read for Content<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = into.len().min(PIECE);
        let into = into.get_mut(..most).unwrap_or_default();
        let count = if self.map.is_empty() {
            let Some((start, length)) = self.source.ranges.get(self.range).copied() else {
                return Ok(0);
            };
            let left = length - self.at;
            let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(into.len());
            let part = into.get_mut(..wanted).unwrap_or_default();
            let read = self.source.held.file.read_exact_at(part, start + self.at);
            let step = read
                .map_err(|error| ToolError::from_host("read", &self.source.member.path, error))
                .and_then(|()| self.job.advance(wanted as u64));
            if let Err(fault) = step {
                self.fault = Some(fault);
                return Err(io::Error::other("the file could not be read on"));
            }
            self.at += wanted as u64;
            if self.at == length {
                (self.range, self.at) = (self.range + 1, 0);
            }
            wanted
        } else {
            self.map.read(into)?
        };
        self.sum.update(into.get(..count).unwrap_or_default());
        Ok(count)
    }
}
