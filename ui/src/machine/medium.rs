//! What is in an optical drive of a machine, changed. The page and the machine's own window share it.

use std::fs::File;
use std::path::PathBuf;

use crate::model::{CommandError, Definition, DriveKind, Machine};
use crate::text::{self, gettext_with};

/// What became of it.
#[derive(Debug)]
pub enum Change {
    /// Optical drive number `.0`, from 0 on, has this now.
    Made(usize, Option<PathBuf>),
    /// The guest holds the disc in this one.
    Locked(usize),
    /// Nothing, for this reason.
    Failed(String),
}

/// Changes what is in optical drive number `drive` of `machine`, if it is alive. It may last: not for a thread that draws.
pub fn change(
    machine: Option<&Machine>,
    drive: usize,
    path: Option<PathBuf>,
    force: bool,
) -> Change {
    let file = match path.as_ref().map(File::open).transpose() {
        Ok(file) => file,
        Err(error) => {
            let reason = [("reason", &error as &dyn std::fmt::Display)];
            return Change::Failed(gettext_with(
                "The file cannot be opened: {reason}.",
                &reason,
            ));
        }
    };
    let alive = machine.filter(|machine| machine.state().is_alive());
    let result = match (alive, file, path.clone()) {
        (Some(machine), Some(file), Some(path)) => machine.insert(drive, file, path),
        (Some(machine), _, _) => machine.eject(drive, force),
        (None, _, _) => Ok(()),
    };
    match result {
        Ok(()) => Change::Made(drive, path),
        Err(CommandError::Locked) if path.is_none() => Change::Locked(drive),
        Err(error) => Change::Failed(text::sentence(&error)),
    }
}

/// What the machine is from now on, with this in optical drive number `drive`; none if that is what it was.
pub fn kept(definition: &Definition, drive: usize, path: Option<PathBuf>) -> Option<Definition> {
    let mut definition = definition.clone();
    let mut drives = definition.drives.iter_mut();
    let drive = drives
        .by_ref()
        .filter(|drive| drive.kind == DriveKind::Optical)
        .nth(drive)
        .filter(|drive| drive.file != path)?;
    drive.file = path;
    Some(definition)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Drive, ImageFormat, Name};

    #[test]
    fn a_disc_is_kept_where_it_was_put() {
        let mut definition = Definition::new(Name::new("Test").unwrap());
        let disk = Drive::disk("disk.qcow2".into(), ImageFormat::Qcow2);
        definition.drives = vec![Drive::optical(None), disk, Drive::optical(None)];
        let disc = Some(PathBuf::from("/a.iso"));
        let with = kept(&definition, 1, disc.clone()).unwrap();
        assert_eq!(with.drives[2].file, disc);
        assert_eq!(with.drives[..2], definition.drives[..2]);
        assert_eq!(kept(&with, 1, disc.clone()), None);
        assert_eq!(kept(&with, 1, None), Some(definition));
        assert_eq!(kept(&with, 2, disc), None);
    }

    #[test]
    fn a_file_that_is_not_there_changes_nothing() {
        let change = change(None, 0, Some("/not/there.iso".into()), false);
        assert!(matches!(change, Change::Failed(_)), "{change:?}");
    }
}
