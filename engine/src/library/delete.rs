//! Deleting machines, and having them back. Nothing outside of the machine's folder is ever deleted.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use trash::{TrashContext, TrashItem, os_limited};
use uuid::Uuid;

use super::create::UNFINISHED;
use super::{Entry, Library, LibraryError, MachineLock, StoredMachine};
use crate::definition::Name;
use crate::disk::place::{rename_to_free_name, sync_folder};

/// A machine in the Trash, to have it back with [`Library::restore`].
#[derive(Debug, Clone)]
pub struct Deleted {
    item: TrashItem,
    folder: PathBuf,
    /// Its name, if its file could be read.
    name: Option<Name>,
}

impl Library {
    /// Moves the machine with everything in its folder to the Trash, also one whose file cannot be read.
    ///
    /// # Errors
    /// When it runs, another machine uses a disk in its folder, or there is no trash; it is then where it was.
    pub fn delete(&self, machine: &Entry) -> Result<Deleted, LibraryError> {
        let folder = machine.folder();
        let _library = self.lock()?;
        let _machine = MachineLock::acquire(folder)?;
        self.check_unused(folder)?;
        let no_trash = |reason: String| LibraryError::NoTrash {
            folder: folder.to_owned(),
            reason,
        };
        check_volume(folder).map_err(no_trash)?;
        let item = move_to_trash(folder)?;
        Ok(Deleted {
            item,
            folder: folder.to_owned(),
            name: match machine {
                Entry::Machine(machine) => Some(machine.definition.name.clone()),
                Entry::Broken(_) => None,
            },
        })
    }

    /// Brings a machine back from the Trash to where it was.
    ///
    /// # Errors
    /// When its name or its folder's is taken by now, or it is not in the Trash any more.
    pub fn restore(&self, deleted: &Deleted) -> Result<Entry, LibraryError> {
        let _lock = self.lock()?;
        if let Some(name) = &deleted.name {
            self.check_name(name, None)?;
        }
        restore_item(&deleted.item, &deleted.folder)?;
        Ok(super::scan::read_entry(&deleted.folder))
    }

    /// Deletes the machine with everything in its folder for good.
    ///
    /// # Errors
    /// When it runs, another machine uses a disk in its folder, or the host refuses.
    pub fn delete_permanently(&self, machine: &StoredMachine) -> Result<(), LibraryError> {
        let _library = self.lock()?;
        let _machine = machine.lock()?;
        self.check_unused(&machine.folder)?;
        let fault = |source| LibraryError::folder("delete", &machine.folder, source);
        // It is gone at once; what a crash leaves of it is removed when the library is opened next.
        let gone = self.folder.join(format!("{UNFINISHED}{}", Uuid::new_v4()));
        rename_to_free_name(&machine.folder, &gone).map_err(fault)?;
        sync_folder(&self.folder).map_err(fault)?;
        fs::remove_dir_all(&gone).map_err(fault)
    }
}

/// Moves what is at `path` to the Trash.
pub(super) fn move_to_trash(path: &Path) -> Result<TrashItem, LibraryError> {
    let no_trash = |reason: String| LibraryError::NoTrash {
        folder: path.to_owned(),
        reason,
    };
    let before: HashSet<_> = trashed(path)
        .map_err(no_trash)?
        .into_iter()
        .map(|item| item.id)
        .collect();
    TrashContext::new()
        .delete(path)
        .map_err(|error| no_trash(reason(&error)))?;
    trashed(path)
        .map_err(no_trash)?
        .into_iter()
        .find(|item| !before.contains(&item.id))
        .ok_or_else(|| LibraryError::NotRestored {
            folder: path.to_owned(),
            reason: "it was moved to the Trash, but the Trash does not show it".to_owned(),
        })
}

/// Brings what was at `path` back from the Trash.
pub(super) fn restore_item(item: &TrashItem, path: &Path) -> Result<(), LibraryError> {
    let not_restored = |reason: String| LibraryError::NotRestored {
        folder: path.to_owned(),
        reason,
    };
    if path.symlink_metadata().is_ok() {
        return Err(not_restored("something else is there now".to_owned()));
    }
    os_limited::restore_all([item.clone()]).map_err(|error| not_restored(reason(&error)))
}

/// Refuses where the volume of `folder` neither is that of the person's own Trash nor can have one: the machine would be copied to
/// the other volume, its disks without their holes.
pub(super) fn check_volume(folder: &Path) -> Result<(), String> {
    let device = |path: &Path| path.metadata().map(|metadata| metadata.dev());
    let own = device(folder).map_err(|error| error.to_string())?;
    let home = Library::default_folder().and_then(|default| {
        default
            .ancestors()
            .find_map(|ancestor| device(ancestor).ok())
    });
    if home == Some(own) {
        return Ok(());
    }
    let top = folder
        .ancestors()
        .take_while(|ancestor| device(ancestor).is_ok_and(|other| other == own))
        .last()
        .unwrap_or(folder);
    let user = rustix::process::getuid().as_raw();
    let places = [
        top.join(".Trash"),
        top.join(format!(".Trash-{user}")),
        top.to_owned(),
    ];
    if places
        .iter()
        .any(|place| access(place, Access::WRITE_OK | Access::EXEC_OK).is_ok())
    {
        return Ok(());
    }
    Err(format!(
        "there is no trash on its volume, {}, and none can be made",
        top.display()
    ))
}

/// What of the Trash was at `folder`.
fn trashed(folder: &Path) -> Result<Vec<TrashItem>, String> {
    let items = os_limited::list().map_err(|error| reason(&error))?;
    Ok(items
        .into_iter()
        .filter(|item| item.original_path() == folder)
        .collect())
}

fn reason(error: &trash::Error) -> String {
    match error {
        trash::Error::FileSystem { path, source } => format!("{}: {source}", path.display()),
        trash::Error::Unknown { description } | trash::Error::Os { description, .. } => {
            description.clone()
        }
        other => other.to_string(),
    }
}
