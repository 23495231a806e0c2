//! Taking bases as they are now, on the word of a person who knows that their content is the same.

use std::path::Path;

use super::manifest::{self, Identity};
use super::session::Session;
use super::tree::real;
use super::{ORIGIN, SnapshotError, files};
use crate::library::{Library, StoredMachine};

impl Library {
    /// Writes down the images that the machine's snapshots keep, and those of another machine that it is built on, as they are
    /// now: a backup that was put back has other times, for example. With `only`, that is done for this image and no other. What is
    /// built on an image whose content is another one reads wrong data from then on.
    ///
    /// # Errors
    /// When the machine runs, an image is missing, or the host refuses.
    pub fn accept_bases(
        &self,
        machine: &StoredMachine,
        only: Option<&Path>,
    ) -> Result<(), SnapshotError> {
        let session = Session::open(self, machine)?;
        let only = only.map(real);
        let is_meant = |file: &Path| only.as_ref().is_none_or(|only| *only == real(file));
        let identity = |owner: String, file: &Path| {
            Identity::of(file).map_err(|_| SnapshotError::BaseMissing {
                file: file.to_owned(),
                owner,
            })
        };
        for node in &session.tree.nodes {
            let mut accepted = node.clone();
            for disk in &mut accepted.disks {
                let file = session.folder().join(&disk.file);
                if is_meant(&file) {
                    disk.identity = identity(format!("the snapshot {:?}", node.name), &file)?;
                }
            }
            if accepted != *node {
                session.rewrite(&accepted)?;
            }
        }
        if let Some(origin) = &session.tree.origin {
            let mut accepted = origin.clone();
            for base in accepted
                .bases
                .iter_mut()
                .filter(|base| is_meant(&base.file))
            {
                base.identity = identity("this machine".to_owned(), &base.file)?;
            }
            if accepted != *origin {
                let file = session.folder().join(ORIGIN);
                let text = manifest::text(&file, &accepted)?;
                files::replace(&file, text.as_bytes())
                    .map_err(SnapshotError::host("write", &file))?;
            }
        }
        // With one image, another may still have to be accepted: the next start tells of it.
        if only.is_none() {
            session.close()?;
        }
        Ok(())
    }
}
