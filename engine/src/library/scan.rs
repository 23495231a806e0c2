//! What is in the library: machines, and folders whose definition cannot be understood, which are shown all the same.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::{DEFINITION_FILE, FolderLock, Library, LibraryError, MachineLock, MachineLog};
use crate::definition::{Definition, SCHEMA};
use crate::snapshot;

/// A longer definition is not one.
const MAX_DEFINITION: u64 = 1 << 20;

/// A machine of the library, as its file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMachine {
    /// Its folder.
    pub folder: PathBuf,
    /// What it is.
    pub definition: Definition,
}

impl StoredMachine {
    /// Its `machine.toml`.
    pub fn file(&self) -> PathBuf {
        self.folder.join(DEFINITION_FILE)
    }

    /// Its log.
    pub fn log(&self) -> PathBuf {
        MachineLog::path(&self.folder)
    }

    /// Takes it for oneself, to run it: see [`MachineLock`].
    ///
    /// # Errors
    /// When somebody has it.
    pub fn lock(&self) -> Result<MachineLock, LibraryError> {
        MachineLock::acquire(&self.folder)
    }
}

/// A folder of the library whose definition cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenMachine {
    /// The folder.
    pub folder: PathBuf,
    /// Its `machine.toml`.
    pub file: PathBuf,
    /// Which line is wrong, counted from 1, where known.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// The schema, if it is newer than what this version knows.
    pub newer_schema: Option<i64>,
    /// The machine's name, as far as that can be read.
    pub name: Option<String>,
}

impl BrokenMachine {
    /// What to show it as: its name, or that of its folder.
    pub fn title(&self) -> String {
        self.name
            .clone()
            .unwrap_or_else(|| folder_name(&self.folder))
    }

    pub(super) fn is_called(&self, name: &str) -> bool {
        self.title().to_lowercase() == name.trim().to_lowercase()
    }

    /// Why it cannot be used, with the remedy.
    pub fn into_error(self) -> LibraryError {
        match self.newer_schema {
            Some(schema) => LibraryError::Newer {
                file: self.file,
                schema,
            },
            None => LibraryError::Broken {
                file: self.file,
                line: self.line,
                message: self.message,
            },
        }
    }
}

/// Something in the library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A machine.
    Machine(StoredMachine),
    /// A machine that cannot be used until its file is mended.
    Broken(BrokenMachine),
}

impl Entry {
    /// Its folder.
    pub fn folder(&self) -> &Path {
        match self {
            Self::Machine(machine) => &machine.folder,
            Self::Broken(broken) => &broken.folder,
        }
    }

    /// What to show it as.
    pub fn title(&self) -> String {
        match self {
            Self::Machine(machine) => machine.definition.name.to_string(),
            Self::Broken(broken) => broken.title(),
        }
    }
}

impl Library {
    /// Everything in the library, by name. Folders that hide their name or have no `machine.toml` are not machines.
    ///
    /// # Errors
    /// When the library's folder cannot be read.
    pub fn scan(&self) -> Result<Vec<Entry>, LibraryError> {
        let fault = |source| LibraryError::folder("read", &self.folder, source);
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(fault)? {
            let folder = entry.map_err(fault)?.path();
            let hidden = folder_name(&folder).starts_with('.');
            if hidden || folder.join(DEFINITION_FILE).symlink_metadata().is_err() {
                continue;
            }
            self.complete_decided(&folder);
            found.push(read_entry(&folder));
        }
        found.sort_by_cached_key(|entry| (entry.title().to_lowercase(), entry.folder().to_owned()));
        Ok(found)
    }
}

impl Library {
    /// Completes a change to the snapshots of the machine in `folder` whose maker ended in the middle: its definition may not be
    /// read before. Whoever holds the library or the machine right now is in the middle of it.
    fn complete_decided(&self, folder: &Path) {
        if snapshot::is_decided(folder)
            && let Ok(Some(_library)) = FolderLock::try_acquire(&self.folder)
            && let Ok(Some(_machine)) = FolderLock::try_acquire(folder)
            && let Err(error) = snapshot::recover(folder)
        {
            tracing::error!(folder = %folder.display(), %error, "a change to snapshots could not be completed");
        }
    }
}

/// Reads the machine in `folder` as it is now, with the text of its definition.
pub(crate) fn read_definition(folder: &Path) -> Result<(StoredMachine, String), LibraryError> {
    let file = folder.join(DEFINITION_FILE);
    let text = read_text(&file)?;
    let definition = parse_definition(&file, &text)?;
    let folder = folder.to_owned();
    Ok((StoredMachine { folder, definition }, text))
}

/// What `text`, which is in `file`, defines.
pub(crate) fn parse_definition(file: &Path, text: &str) -> Result<Definition, LibraryError> {
    match parse(file, text) {
        Ok(definition) => Ok(definition),
        Err(broken) => Err(broken.into_error()),
    }
}

/// The last part of a path, for messages.
pub(super) fn folder_name(folder: &Path) -> String {
    folder
        .file_name()
        .unwrap_or(folder.as_os_str())
        .to_string_lossy()
        .into_owned()
}

/// Reads the machine in `folder`.
pub(super) fn read_machine(folder: &Path) -> Result<StoredMachine, LibraryError> {
    match read_entry(folder) {
        Entry::Machine(machine) => Ok(machine),
        Entry::Broken(broken) => Err(broken.into_error()),
    }
}

/// Reads what is in `folder`.
pub(super) fn read_entry(folder: &Path) -> Entry {
    let file = folder.join(DEFINITION_FILE);
    let text = match read_bounded(&file) {
        Ok(text) => text,
        Err(error) => {
            return Entry::Broken(BrokenMachine {
                folder: folder.to_owned(),
                file,
                line: None,
                message: format!("it cannot be read: {error}"),
                newer_schema: None,
                name: None,
            });
        }
    };
    match parse(&file, &text) {
        Ok(definition) => Entry::Machine(StoredMachine {
            folder: folder.to_owned(),
            definition,
        }),
        Err(broken) => Entry::Broken(*broken),
    }
}

/// What `text`, which is in `file`, defines, or what is wrong with it.
fn parse(file: &Path, text: &str) -> Result<Definition, Box<BrokenMachine>> {
    let broken = |line, message: String, newer_schema, name| {
        Err(Box::new(BrokenMachine {
            folder: file.parent().unwrap_or(file).to_owned(),
            file: file.to_owned(),
            line,
            message,
            newer_schema,
            name,
        }))
    };
    let table: toml::Table = match toml::from_str(text) {
        Ok(table) => table,
        Err(error) => {
            return broken(
                line_of(text, &error),
                error.message().to_owned(),
                None,
                None,
            );
        }
    };
    let name = table
        .get("name")
        .and_then(|name| name.as_str())
        .map(str::to_owned);
    if let Some(schema) = newer_schema(&table) {
        let message = format!("it was written by a newer version of Guesthouse (schema {schema})");
        return broken(None, message, Some(schema), name);
    }
    match toml::from_str::<Definition>(text) {
        Ok(definition) => Ok(definition),
        Err(error) => broken(
            line_of(text, &error),
            error.message().to_owned(),
            None,
            name,
        ),
    }
}

/// The schema, if it is newer than what this version knows.
fn newer_schema(table: &toml::Table) -> Option<i64> {
    let schema = table.get("schema")?.as_integer()?;
    (schema > i64::from(SCHEMA)).then_some(schema)
}

fn line_of(text: &str, error: &toml::de::Error) -> Option<usize> {
    let before = text.as_bytes().get(..error.span()?.start)?;
    Some(1 + before.iter().filter(|byte| **byte == b'\n').count())
}

/// Reads a definition for a change to it.
pub(super) fn read_text(file: &Path) -> Result<String, LibraryError> {
    read_bounded(file).map_err(|source| LibraryError::folder("read", file, source))
}

fn read_bounded(file: &Path) -> io::Result<String> {
    if !fs::metadata(file)?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut text = String::new();
    fs::File::open(file)?
        .take(MAX_DEFINITION + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > MAX_DEFINITION {
        return Err(io::Error::other("it is longer than 1 MiB"));
    }
    Ok(text)
}
