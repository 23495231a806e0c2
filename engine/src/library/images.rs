//! The images of a machine's drives: new ones, and those that go.

use std::path::{Path, PathBuf};

use trash::TrashItem;

use super::delete::{check_volume, move_to_trash, restore_item};
use super::{DEFINITION_FILE, Library, LibraryError, NewDisk, StoredMachine};
use crate::definition::ImageFormat;
use crate::disk::create_disk;
use crate::snapshot::Tree;

/// An image in the Trash, to have it back with [`Library::restore_image`].
#[derive(Debug, Clone)]
pub struct TrashedImage {
    item: TrashItem,
    file: PathBuf,
}

impl TrashedImage {
    /// Where it was.
    pub fn file(&self) -> &Path {
        &self.file
    }
}

impl Library {
    /// A name in the machine's folder for a new image of `format`: "disk.qcow2", "disk-2.qcow2".
    pub fn free_image_name(&self, machine: &StoredMachine, format: ImageFormat) -> PathBuf {
        let end = match format {
            ImageFormat::Raw => "raw",
            ImageFormat::Qcow2 => "qcow2",
        };
        let mut number = 1_u64;
        loop {
            let name = PathBuf::from(match number {
                1 => format!("disk.{end}"),
                _ => format!("disk-{number}.{end}"),
            });
            let named = |file: &Option<PathBuf>| file.as_ref() == Some(&name);
            let drives = &machine.definition.drives;
            if machine.folder.join(&name).symlink_metadata().is_err()
                && !drives.iter().any(|drive| named(&drive.file))
            {
                return name;
            }
            number += 1;
        }
    }

    /// Makes a new, empty image in the machine's folder.
    ///
    /// # Errors
    /// When its name is taken, or the host refuses.
    pub fn create_image(
        &self,
        machine: &StoredMachine,
        disk: &NewDisk,
    ) -> Result<(), LibraryError> {
        super::create::check_disk_name(&disk.file)?;
        create_disk(&machine.folder.join(&disk.file), disk.format, disk.size)?;
        Ok(())
    }

    /// Moves an image that is in the machine's folder, and in none of its drives any more, to the Trash.
    ///
    /// # Errors
    /// When the machine runs, the image is elsewhere or something is built on it, or there is no trash. It is then where it was.
    pub fn trash_image(
        &self,
        machine: &StoredMachine,
        file: &Path,
    ) -> Result<TrashedImage, LibraryError> {
        let _library = self.lock()?;
        let _machine = machine.lock()?;
        let now = super::scan::read_machine(&machine.folder)?;
        let path = machine.folder.join(file);
        let refused = |reason: &str| LibraryError::NoTrash {
            folder: path.clone(),
            reason: reason.to_owned(),
        };
        if file.is_absolute() || file == Path::new(DEFINITION_FILE) || !path.is_file() {
            return Err(refused("it is not an image in the machine's folder"));
        }
        if now
            .definition
            .drives
            .iter()
            .any(|drive| drive.file.as_deref() == Some(file))
        {
            return Err(refused("it is in a drive of the machine"));
        }
        let tree = Tree::read(&machine.folder)
            .map_err(|_| refused("the machine's snapshots cannot be read, and may need it"))?;
        if tree.keeps(&path) {
            return Err(refused("a snapshot keeps it; delete the snapshot instead"));
        }
        if let Some(other) = self.users_of(&path, None)?.into_iter().next() {
            return Err(LibraryError::ImageInUse {
                other: other.definition.name,
                image: path,
            });
        }
        check_volume(&path).map_err(|reason| refused(&reason))?;
        let item = move_to_trash(&path)?;
        Ok(TrashedImage { item, file: path })
    }

    /// Brings an image back from the Trash to where it was.
    ///
    /// # Errors
    /// When something else is there by now, or it is not in the Trash any more.
    pub fn restore_image(&self, image: &TrashedImage) -> Result<(), LibraryError> {
        let _library = self.lock()?;
        restore_item(&image.item, &image.file)
    }
}
