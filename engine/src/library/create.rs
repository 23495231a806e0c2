//! Making machines: whole or not at all.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Component, Path, PathBuf};

use uuid::Uuid;

use super::document;
use super::lock::FolderLock;
use super::{DEFINITION_FILE, Library, LibraryError, StoredMachine};
use crate::definition::{Definition, Finding, ImageFormat, Name, Severity};
use crate::disk::place::{rename_to_free_name, sync_folder};
use crate::disk::tools::Job;
use crate::disk::{MAX_DISK_SIZE, MIN_DISK_SIZE, Space};
use crate::firmware::NVRAM_FILES;

/// How the names of folders begin that are no machines yet or any more.
pub(super) const UNFINISHED: &str = ".unfinished-";

/// The longest name of a folder, in bytes, with room for a number behind it.
const MAX_SLUG: usize = 200;

/// A disk to be made with a machine, in its folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDisk {
    /// Its name, without any folder; a drive of the definition refers to it.
    pub file: PathBuf,
    /// Its format.
    pub format: ImageFormat,
    /// The size that the guest sees, in bytes.
    pub size: u64,
}

impl NewDisk {
    /// What speaks against making it where there is `space`; the field is `size`.
    pub fn findings(&self, space: &Space) -> Vec<Finding> {
        let finding = |severity, message: String| {
            vec![Finding {
                field: "size".to_owned(),
                severity,
                message,
            }]
        };
        if !(MIN_DISK_SIZE..=MAX_DISK_SIZE).contains(&self.size) || !self.size.is_multiple_of(512) {
            return finding(
                Severity::Error,
                "A disk has 1 MiB to 64 TiB, in whole sectors of 512 bytes.".to_owned(),
            );
        }
        if let Some(limit) = space.largest_file
            && self.size > limit
        {
            return finding(
                Severity::Error,
                "Files on this file system (FAT) are smaller than 4 GiB; choose a smaller disk or another folder.".to_owned(),
            );
        }
        if self.size > space.available {
            return finding(
                Severity::Warning,
                format!(
                    "Only {} MiB are free there. The disk takes space as the guest fills it; the machine pauses if none is left.",
                    space.available >> 20
                ),
            );
        }
        Vec::new()
    }
}

/// A folder in the making: it is removed unless it is published.
pub(crate) struct Unfinished {
    folder: PathBuf,
    /// Tells others that its maker lives.
    _lock: FolderLock,
}

impl Unfinished {
    /// Called with the library's lock held, so that nobody takes it for a leftover.
    pub(crate) fn new(library: &Library) -> Result<Self, LibraryError> {
        let folder = library
            .folder
            .join(format!("{UNFINISHED}{}", Uuid::new_v4()));
        let make = || -> io::Result<FolderLock> {
            DirBuilder::new().mode(0o700).create(&folder)?;
            FolderLock::try_acquire(&folder)?.ok_or_else(|| io::ErrorKind::WouldBlock.into())
        };
        let lock = make().map_err(|source| LibraryError::folder("create", &folder, source))?;
        Ok(Self {
            folder,
            _lock: lock,
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes it the machine that its definition says. Called with the library's lock held.
    pub(crate) fn publish(
        self,
        library: &Library,
        name: &Name,
    ) -> Result<StoredMachine, LibraryError> {
        library.check_name(name, None)?;
        let fault = |source| LibraryError::folder("create", &self.folder, source);
        super::scan::read_machine(&self.folder)?;
        sync_folder(&self.folder).map_err(fault)?;
        let slug = slug(name);
        for number in 1_u32.. {
            let folder = library.folder.join(if number == 1 {
                slug.clone()
            } else {
                format!("{slug}-{number}")
            });
            match rename_to_free_name(&self.folder, &folder) {
                Ok(()) => {
                    sync_folder(&library.folder).map_err(fault)?;
                    return super::scan::read_machine(&folder);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(fault(error)),
            }
        }
        Err(fault(io::ErrorKind::AlreadyExists.into()))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Published, it has another name by now.
        if let Err(error) = fs::remove_dir_all(&self.folder)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(folder = %self.folder.display(), %error, "could not remove an unfinished machine");
        }
    }
}

impl Library {
    /// Makes the machine `definition` with new, empty `disks` in its folder. Killed at any time, it leaves the machine or nothing.
    ///
    /// # Errors
    /// When the name is taken, a disk cannot be made, or the library cannot be written to; nothing is left behind.
    pub fn create(
        &self,
        definition: &Definition,
        disks: &[NewDisk],
    ) -> Result<StoredMachine, LibraryError> {
        self.create_with(definition, disks, &[], &Job::quiet())
    }
}

/// What `definition` is as another machine called `name`: with an identity of its own.
pub(crate) fn renewed(definition: &Definition, name: Name) -> Definition {
    let mut renewed = Definition {
        name,
        uuid: Uuid::new_v4(),
        ..definition.clone()
    };
    renewed.renew_mac_addresses();
    renewed
}

/// Writes the definition of a machine in the making.
pub(super) fn write_definition(folder: &Path, definition: &Definition) -> Result<(), LibraryError> {
    let file = folder.join(DEFINITION_FILE);
    let text = document::text(&file, definition)?;
    document::write_whole(&file, &text)
        .map_err(|source| LibraryError::folder("write", &file, source))
}

/// A disk's name is one part, visible, and none of the machine's other files'.
pub(super) fn check_disk_name(file: &Path) -> Result<(), LibraryError> {
    let mut parts = file.components();
    let single = matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == file.as_os_str());
    let text = file.to_string_lossy();
    if !single
        || text.starts_with('.')
        || text == DEFINITION_FILE
        || text.starts_with("machine.log")
        || NVRAM_FILES.contains(&text.as_ref())
    {
        return Err(LibraryError::DiskName {
            file: file.to_owned(),
        });
    }
    Ok(())
}

/// The name of a folder for the machine `name`: its letters and digits in lower case, everything else a '-'.
pub(super) fn slug(name: &Name) -> String {
    let mut slug = String::new();
    for character in name.as_str().to_lowercase().chars() {
        if slug.len() + character.len_utf8() > MAX_SLUG {
            break;
        }
        if character.is_alphanumeric() {
            slug.push(character);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "machine" } else { slug }.to_owned()
}
