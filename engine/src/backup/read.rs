//! Bringing a machine back.

use std::collections::{BTreeMap, HashMap};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use sha2::{Digest, Sha256};
use tar::{Archive, Entry, EntryType, PaxExtensions};
use uuid::Uuid;

use super::contents::MOST_DEPTH;
use super::sparse::{self, Range};
use super::{
    BackupError, HEADER, Header, LONGEST_TEXT, MACHINE, PIECE, Rebase, SCHEMA, SUMS, Sums,
    hexadecimal,
};
use crate::definition::Name;
use crate::disk::place::sync_folder;
use crate::disk::tools::{Job, Phase, ToolError, rebase_unsafe};
use crate::library::{Library, StoredMachine, Unfinished};
use crate::snapshot::{self, Relocation};

/// The most files of a machine, and the longest description of one.
const MOST_FILES: usize = 100_000;
const LONGEST_EXTENSION: u64 = 64 << 10;
/// The most bytes that fill an archive up behind its end.
const LONGEST_END: u64 = 1 << 20;
/// A piece of zeros of this many bytes becomes a hole.
const HOLE: usize = 64 << 10;

/// What a backup is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// The machine's name at the time.
    pub name: Name,
    /// What identifies the machine.
    pub uuid: Uuid,
    /// When it was made, in milliseconds since 1970 began in UTC.
    pub created: i64,
    /// All the bytes of its files, without holes.
    pub bytes: u64,
}

/// Who the machine is when it comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeptIdentity {
    /// The machine that was backed up: its guests find the same computer, with the same network cards.
    Same,
    /// Another machine, which may run beside the first.
    New,
}

type Stream = zstd::Decoder<'static, BufReader<File>>;

impl About {
    /// Reads what the backup in `file` is of.
    ///
    /// # Errors
    /// When it cannot be read, or is no backup.
    pub fn read(file: &Path) -> Result<Self, BackupError> {
        let mut archive = open(file)?;
        let mut entries = archive
            .entries()
            .map_err(|error| fault(file, error))?
            .raw(true);
        let Header {
            name,
            uuid,
            created,
            bytes,
            ..
        } = read_header(file, entries.next())?;
        Ok(Self {
            name,
            uuid,
            created,
            bytes,
        })
    }
}

impl Library {
    /// Makes the machine in the backup `file` one of this library's again, called `name`. Every file is compared with its checksum.
    ///
    /// # Errors
    /// When the backup is damaged, the name is taken, the machine itself is still there and is to be the same, there is no space,
    /// or the job is cancelled; nothing is left behind.
    pub fn restore_backup(
        &self,
        file: &Path,
        name: Name,
        identity: KeptIdentity,
        job: &Job<'_>,
    ) -> Result<StoredMachine, BackupError> {
        let unfinished = {
            let _lock = self.lock()?;
            self.check_name(&name, None)?;
            Unfinished::new(self)?
        };
        let folder = unfinished.folder();
        let mut archive = open(file)?;
        let mut entries = archive
            .entries()
            .map_err(|error| fault(file, error))?
            .raw(true);
        let header = read_header(file, entries.next())?;
        if identity == KeptIdentity::Same {
            self.check_gone(header.uuid)?;
        }
        job.begin(Phase::Copying, header.bytes)?;
        unpack(file, entries, folder, job).map_err(|error| self.without_space(error, folder))?;
        finish(file, archive)?;
        job.begin(Phase::Storing, 0)?;
        for Rebase {
            file: image,
            base,
            format,
        } in &header.rebases
        {
            let image = folder.join(checked_name(file, &Path::new(MACHINE).join(image))?);
            let base = folder.join(checked_name(file, &Path::new(MACHINE).join(base))?);
            rebase_unsafe(&image, Some((&base, (*format).into())), job)?;
        }
        let mut places = BTreeMap::new();
        for place in header.outside {
            let name = checked_name(file, &Path::new(MACHINE).join(place.name))?;
            places.insert(place.path, name);
        }
        snapshot::relocate(
            folder,
            &Relocation {
                places,
                name: name.clone(),
                renewed: identity == KeptIdentity::New,
            },
        )?;
        let _lock = self.lock()?;
        if identity == KeptIdentity::Same {
            self.check_gone(header.uuid)?;
        }
        Ok(unfinished.publish(self, &name)?)
    }

    /// Refuses if the machine that `uuid` identifies is in the library.
    fn check_gone(&self, uuid: Uuid) -> Result<(), BackupError> {
        let there = self.scan()?.into_iter().find_map(|entry| match entry {
            crate::library::Entry::Machine(machine) if machine.definition.uuid == uuid => {
                Some(machine.definition.name)
            }
            _ => None,
        });
        match there {
            Some(other) => Err(BackupError::StillThere { other }),
            None => Ok(()),
        }
    }

    fn without_space(&self, error: BackupError, unfinished: &Path) -> BackupError {
        match error {
            BackupError::Tool(error) => BackupError::Tool(self.in_place(error, unfinished)),
            other => other,
        }
    }
}

fn open(file: &Path) -> Result<Archive<Stream>, BackupError> {
    let host = |source| ToolError::from_host("read", file, source);
    let opened = crate::disk::HeldFile::open(file)?.file;
    let mut start = [0; 4];
    match opened.read_exact_at(&mut start, 0) {
        Ok(()) if start == [0x28, 0xb5, 0x2f, 0xfd] => {}
        Ok(()) => {
            return Err(BackupError::Not {
                file: file.to_owned(),
            });
        }
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(BackupError::Not {
                file: file.to_owned(),
            });
        }
        Err(error) => return Err(host(error).into()),
    }
    let stream = zstd::Decoder::new(opened).map_err(host)?;
    Ok(Archive::new(stream))
}

/// Reads what is behind the archive's end, up to the checksum of the whole.
fn finish(file: &Path, archive: Archive<Stream>) -> Result<(), BackupError> {
    let mut rest = archive.into_inner().take(LONGEST_END + 1);
    let count = io::copy(&mut rest, &mut io::sink()).map_err(|error| fault(file, error))?;
    if count > LONGEST_END {
        return Err(BackupError::damaged(
            file,
            "there is more in it than it says",
        ));
    }
    Ok(())
}

/// What reading the archive failed with.
fn fault(file: &Path, error: io::Error) -> BackupError {
    match error.raw_os_error() {
        Some(_) => ToolError::from_host("read", file, error).into(),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            BackupError::damaged(file, "it ends too early")
        }
        None => BackupError::damaged(file, error.to_string()),
    }
}

/// A text in the archive.
fn text(file: &Path, entry: &mut impl Read, length: u64) -> Result<String, BackupError> {
    if length > LONGEST_TEXT {
        return Err(BackupError::damaged(file, "a text in it is too long"));
    }
    let mut text = String::new();
    entry
        .take(length)
        .read_to_string(&mut text)
        .map_err(|error| fault(file, error))?;
    Ok(text)
}

fn read_header<R: Read>(
    file: &Path,
    entry: Option<io::Result<Entry<'_, R>>>,
) -> Result<Header, BackupError> {
    let not = || BackupError::Not {
        file: file.to_owned(),
    };
    let mut entry = entry
        .ok_or_else(not)?
        .map_err(|error| match error.raw_os_error() {
            Some(_) => fault(file, error),
            None => not(),
        })?;
    if *entry.path_bytes() != *HEADER.as_bytes() {
        return Err(not());
    }
    let length = entry.size();
    let text = text(file, &mut entry, length)?;
    let table: toml::Table = toml::from_str(&text).map_err(|_| not())?;
    let schema = table.get("schema").and_then(toml::Value::as_integer);
    match schema {
        Some(schema) if schema > i64::from(SCHEMA) => Err(BackupError::Newer {
            file: file.to_owned(),
        }),
        Some(_) => toml::from_str(&text)
            .map_err(|error| BackupError::damaged(file, error.message().to_owned())),
        None => Err(not()),
    }
}

/// What the entry before a file says of it.
#[derive(Default)]
struct Extension {
    path: Option<String>,
    /// Its length with holes, if it has any.
    sparse: Option<u64>,
}

fn unpack<'a, R: Read + 'a>(
    file: &Path,
    entries: impl Iterator<Item = io::Result<Entry<'a, R>>>,
    folder: &Path,
    job: &Job<'_>,
) -> Result<(), BackupError> {
    let mut found: HashMap<PathBuf, (u64, String)> = HashMap::new();
    let mut sums: Option<Sums> = None;
    let mut extension = Extension::default();
    for entry in entries {
        let mut entry = entry.map_err(|error| fault(file, error))?;
        let kind = entry.header().entry_type();
        let length = entry.size();
        if sums.is_some() || found.len() > MOST_FILES {
            return Err(BackupError::damaged(
                file,
                "there is more in it than it says",
            ));
        }
        match kind {
            EntryType::XHeader => extension = read_extension(file, &mut entry, length)?,
            EntryType::Regular | EntryType::Continuous => {
                let Extension { path, sparse } = std::mem::take(&mut extension);
                let path = match path {
                    Some(path) => PathBuf::from(path),
                    None => match std::str::from_utf8(&entry.path_bytes()) {
                        Ok(path) => PathBuf::from(path),
                        Err(_) => {
                            return Err(BackupError::damaged(file, "a name in it is not text"));
                        }
                    },
                };
                if path == Path::new(SUMS) {
                    let text = text(file, &mut entry, length)?;
                    let read = toml::from_str(&text)
                        .map_err(|error| BackupError::damaged(file, error.message().to_owned()))?;
                    sums = Some(read);
                    continue;
                }
                let name = checked_name(file, &path)?;
                let sum = unpack_file(file, &mut entry, length, sparse, folder, &name, job)?;
                if found.insert(name, sum).is_some() {
                    return Err(BackupError::damaged(file, "a file is in it twice"));
                }
            }
            // Programs that repack archives add them.
            EntryType::Directory | EntryType::XGlobalHeader => {}
            _ => {
                return Err(BackupError::damaged(
                    file,
                    "there is something else in it than files",
                ));
            }
        }
    }
    let sums = sums.ok_or_else(|| BackupError::damaged(file, "it ends too early"))?;
    for sum in &sums.files {
        match found.remove(&sum.path) {
            Some(is) if is == (sum.length, sum.sha256.clone()) => {
                set_modified(&folder.join(&sum.path), sum.modified)?;
            }
            Some(_) => {
                let fault = format!("the checksum of {} is wrong", sum.path.display());
                return Err(BackupError::damaged(file, fault));
            }
            None => {
                let fault = format!("{} is missing", sum.path.display());
                return Err(BackupError::damaged(file, fault));
            }
        }
    }
    if let Some(name) = found.keys().next() {
        let fault = format!("it has no checksum of {}", name.display());
        return Err(BackupError::damaged(file, fault));
    }
    Ok(())
}

fn read_extension(
    file: &Path,
    entry: &mut impl Read,
    length: u64,
) -> Result<Extension, BackupError> {
    if length > LONGEST_EXTENSION {
        return Err(BackupError::damaged(file, "a name in it is too long"));
    }
    let mut bytes = Vec::new();
    entry
        .take(length)
        .read_to_end(&mut bytes)
        .map_err(|error| fault(file, error))?;
    let mut extension = Extension::default();
    let mut version = (None, None);
    for record in PaxExtensions::new(&bytes) {
        let record = record.map_err(|error| fault(file, error))?;
        let (Ok(key), Ok(value)) = (record.key(), record.value()) else {
            return Err(BackupError::damaged(file, "a name in it is not text"));
        };
        match key {
            "path" if extension.path.is_none() => extension.path = Some(value.to_owned()),
            "GNU.sparse.name" => extension.path = Some(value.to_owned()),
            "GNU.sparse.realsize" => extension.sparse = value.parse().ok(),
            "GNU.sparse.major" => version.0 = Some(value.to_owned()),
            "GNU.sparse.minor" => version.1 = Some(value.to_owned()),
            _ => {}
        }
    }
    let sparse = extension.sparse.is_some();
    if sparse && version != (Some("1".to_owned()), Some("0".to_owned())) {
        return Err(BackupError::damaged(
            file,
            "its holes are written in another way",
        ));
    }
    Ok(extension)
}

/// The name of a file below the machine's folder; it leads nowhere else and hides nothing.
fn checked_name(file: &Path, path: &Path) -> Result<PathBuf, BackupError> {
    let refused = || {
        BackupError::damaged(
            file,
            "a file in it would lie outside of the machine's folder",
        )
    };
    let name = path.strip_prefix(MACHINE).map_err(|_| refused())?;
    let plain = name.components().all(|part| match part {
        Component::Normal(part) => !part.as_encoded_bytes().starts_with(b"."),
        _ => false,
    });
    let depth = name.components().count();
    if !plain || !(1..=MOST_DEPTH + 1).contains(&depth) {
        return Err(refused());
    }
    Ok(name.components().collect())
}

/// Reads through it and sums what passes.
struct Summed<'a, R> {
    inner: &'a mut R,
    sum: Sha256,
}

impl<R: Read> Read for Summed<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(into)?;
        self.sum.update(into.get(..count).unwrap_or_default());
        Ok(count)
    }
}

fn unpack_file(
    file: &Path,
    entry: &mut impl Read,
    stored: u64,
    sparse: Option<u64>,
    folder: &Path,
    name: &Path,
    job: &Job<'_>,
) -> Result<(u64, String), BackupError> {
    let target = folder.join(name);
    let host = |source| BackupError::from(ToolError::from_host("write to", &target, source));
    if let Some(parent) = target.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)
            .map_err(host)?;
    }
    let to = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&target)
        .map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => BackupError::damaged(file, "a file is in it twice"),
            _ => host(source),
        })?;
    let mut from = Summed {
        inner: entry,
        sum: Sha256::new(),
    };
    let length = sparse.unwrap_or(stored);
    let ranges: Vec<Range> = match sparse {
        Some(length) => sparse::read_map(&mut from, length).map_err(|error| fault(file, error))?,
        None => vec![(0, stored)],
    };
    to.set_len(length).map_err(host)?;
    let mut piece = vec![0; PIECE];
    for (start, bytes) in ranges {
        let (mut at, end) = (start, start.saturating_add(bytes));
        while at < end {
            let wanted = usize::try_from(end - at).unwrap_or(usize::MAX).min(PIECE);
            let part = piece.get_mut(..wanted).unwrap_or_default();
            from.read_exact(part).map_err(|error| fault(file, error))?;
            for (number, part) in part.chunks(HOLE).enumerate() {
                if part.iter().any(|byte| *byte != 0) {
                    to.write_all_at(part, at + (number * HOLE) as u64)
                        .map_err(host)?;
                }
            }
            at += wanted as u64;
            job.advance(wanted as u64)?;
        }
    }
    let mut rest = [0; 1];
    if from.read(&mut rest).map_err(|error| fault(file, error))? != 0 {
        return Err(BackupError::damaged(
            file,
            "a file in it is longer than it says",
        ));
    }
    to.sync_all().map_err(host)?;
    if let Some(parent) = target.parent() {
        sync_folder(parent).map_err(host)?;
    }
    Ok((length, hexadecimal(&from.sum.finalize())))
}

/// Has a file have been changed when it was: that is how the machines that are built on it know it.
fn set_modified(path: &Path, nanoseconds: i64) -> Result<(), ToolError> {
    let time = match u64::try_from(nanoseconds) {
        Ok(since) => UNIX_EPOCH + Duration::from_nanos(since),
        Err(_) => UNIX_EPOCH,
    };
    OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|file| file.set_modified(time))
        .map_err(|source| ToolError::from_host("write to", path, source))
}
