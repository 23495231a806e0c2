//! Who uses which image, and what speaks against a definition as a machine of this library.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Entry, Library, LibraryError, StoredMachine};
use crate::definition::{Definition, Finding, Host, ImageFormat, Severity};
use crate::disk::inspect;
use crate::snapshot::backing_path;

/// A path with its links followed as far as it exists, so that two names of one file are equal.
fn real_path(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

impl Library {
    /// Everything that speaks against `definition`: what [`Definition::findings`] says, its files, and the other machines.
    /// `folder` is the machine's, if it has one yet.
    ///
    /// # Errors
    /// When the library's folder cannot be read.
    pub fn findings(
        &self,
        definition: &Definition,
        folder: Option<&Path>,
        host: &Host,
    ) -> Result<Vec<Finding>, LibraryError> {
        let mut found = Vec::new();
        match self.check_name(&definition.name, folder) {
            Ok(()) => {}
            Err(error @ LibraryError::NameTaken { .. }) => found.push(Finding {
                field: "name".to_owned(),
                severity: Severity::Error,
                message: capitalised(&error.to_string()),
            }),
            Err(error) => return Err(error),
        }
        found.extend(definition.findings(host));
        found.extend(definition.file_findings(folder));
        let others = self.machines_except(folder)?;
        for (number, drive) in definition.drives.iter().enumerate() {
            let Some(path) = drive.path(folder.unwrap_or(&self.folder)) else {
                continue;
            };
            // Without a folder yet, a relative name is a disk to be made.
            if folder.is_none() && !path_is_absolute(drive.file.as_deref()) {
                continue;
            }
            if let Some((other, writes)) = user(&others, &path)
                && (writes || !drive.read_only)
            {
                found.push(Finding {
                    field: format!("drive.{number}.file"),
                    severity: Severity::Error,
                    message: format!(
                        "{} uses this image too; choose another, or attach it read-only in both.",
                        other.definition.name
                    ),
                });
            }
        }
        Ok(found)
    }

    /// The machines that have `image` in one of their drives, but for the one in `except`.
    ///
    /// # Errors
    /// When the library's folder cannot be read.
    pub fn users_of(
        &self,
        image: &Path,
        except: Option<&Path>,
    ) -> Result<Vec<StoredMachine>, LibraryError> {
        let image = real_path(image);
        let mut machines = self.machines_except(except)?;
        machines.retain(|machine| uses(machine).any(|(path, _)| path == image));
        Ok(machines)
    }

    /// The names of the machines with a card at the virtual switch `name`.
    ///
    /// # Errors
    /// When the library's folder cannot be read.
    pub fn users_of_switch(&self, name: &str) -> Result<Vec<String>, LibraryError> {
        let mut machines = self.machines_except(None)?;
        machines.retain(|machine| {
            let mut cards = machine.definition.networks.iter();
            cards.any(|card| card.switch.to_lowercase() == name.trim().to_lowercase())
        });
        let names = machines.iter().map(|machine| &machine.definition.name);
        Ok(names.map(ToString::to_string).collect())
    }

    /// Refuses if another machine uses something in the machine's folder.
    pub(super) fn check_unused(&self, folder: &Path) -> Result<(), LibraryError> {
        let real = real_path(folder);
        for other in self.machines_except(Some(folder))? {
            let found = uses(&other).find(|(path, _)| path.starts_with(&real));
            if let Some((image, _)) = found {
                return Err(LibraryError::ImageInUse {
                    other: other.definition.name,
                    image,
                });
            }
        }
        Ok(())
    }

    fn machines_except(&self, except: Option<&Path>) -> Result<Vec<StoredMachine>, LibraryError> {
        Ok(self
            .scan()?
            .into_iter()
            .filter_map(|entry| match entry {
                Entry::Machine(machine) if except != Some(&machine.folder) => Some(machine),
                _ => None,
            })
            .collect())
    }
}

/// The images of a machine with those that they are built on, and whether it may write to them.
fn uses(machine: &StoredMachine) -> impl Iterator<Item = (PathBuf, bool)> {
    machine.definition.drives.iter().flat_map(|drive| {
        let path = drive.path(&machine.folder);
        let format = drive.format;
        let below = path.clone().filter(|_| format == ImageFormat::Qcow2);
        let bases = std::iter::successors(below, |path| backing_of(path)).skip(1);
        let image = path.map(|path| (real_path(&path), !drive.read_only));
        image.into_iter().chain(
            bases
                .take(LONGEST_CHAIN)
                .map(|path| (real_path(&path), false)),
        )
    })
}

/// The longest chain of images that is followed.
const LONGEST_CHAIN: usize = 256;

/// What the image at `path` is built on, if it says so.
fn backing_of(path: &Path) -> Option<PathBuf> {
    let named = inspect(path).ok()?.backing_file?;
    Some(backing_path(path, &named))
}

/// The machine that has `image`, one that may write to it before one that may not.
fn user<'a>(machines: &'a [StoredMachine], image: &Path) -> Option<(&'a StoredMachine, bool)> {
    let image = real_path(image);
    machines
        .iter()
        .filter_map(|machine| {
            uses(machine)
                .filter(|(path, _)| *path == image)
                .map(|(_, writes)| (machine, writes))
                .max_by_key(|(_, writes)| *writes)
        })
        .max_by_key(|(_, writes)| *writes)
}

fn path_is_absolute(file: Option<&Path>) -> bool {
    file.is_some_and(Path::is_absolute)
}

fn capitalised(message: &str) -> String {
    let mut characters = message.chars();
    characters
        .next()
        .map(|first| {
            first
                .to_uppercase()
                .chain(characters)
                .chain(['.'])
                .collect()
        })
        .unwrap_or_default()
}
