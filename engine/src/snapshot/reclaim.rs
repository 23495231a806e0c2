//! Giving the space of deleted snapshots back.
//!
//! An image of a deleted snapshot that nothing is built on is removed. One with a single overlay is joined with it (`join.rs`).
//! An image with several overlays stays for them, and one that another machine is built on for that. It does not matter where the
//! work is cut or stopped: everything shows the same at every moment, and the rest is done the next time.

use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::delete::Overlay;
use super::journal::{Prepared, Step};
use super::manifest::{self, Manifest};
use super::session::{Session, current_text};
use super::tree::relative_place;
use super::{CURRENT, MANIFEST, SNAPSHOTS, SnapshotError};
use crate::definition::Definition;
use crate::disk::tools::Job;
use crate::library::{DEFINITION_FILE, Library, StoredMachine, merge_definition};

impl Library {
    /// Gives the space of the machine's deleted snapshots back, as far as nothing else needs what they hold; they cannot be had
    /// back then. It may take long, and can be stopped and done again.
    ///
    /// # Errors
    /// When the machine runs, the job is cancelled, an image is missing or was changed, or there is no space to join two.
    pub fn reclaim(&self, machine: &StoredMachine, job: &Job<'_>) -> Result<(), SnapshotError> {
        // Each round takes one image away; the next one sees what is left.
        loop {
            let session = Session::open(self, machine)?;
            let Some(work) = session.next_work()? else {
                session.close()?;
                return Ok(());
            };
            job.check()
                .map_err(|error| SnapshotError::from_tool(session.folder(), error))?;
            session.carry_out(work, job)?;
        }
    }
}

/// What is to be done with a deleted snapshot.
#[derive(Debug)]
enum Work {
    /// Nothing needs its image number so and so, or it has none at all.
    Drop(Manifest, Option<usize>),
    /// One overlay is built on its image number so and so.
    Join(Manifest, usize, Overlay),
}

impl Session<'_> {
    fn next_work(&self) -> Result<Option<Work>, SnapshotError> {
        for node in self.tree.nodes.iter().filter(|node| node.deleted) {
            if self.clone_of(node)?.is_some() {
                continue;
            }
            if node.disks.is_empty() {
                return Ok(Some(Work::Drop(node.clone(), None)));
            }
            for (number, disk) in node.disks.iter().enumerate() {
                match self.overlays_of(&self.folder().join(&disk.file))[..] {
                    [] => return Ok(Some(Work::Drop(node.clone(), Some(number)))),
                    [overlay] => return Ok(Some(Work::Join(node.clone(), number, overlay))),
                    _ => {}
                }
            }
        }
        Ok(None)
    }

    fn carry_out(self, work: Work, job: &Job<'_>) -> Result<(), SnapshotError> {
        match work {
            Work::Drop(mut node, number) => {
                let mut change = Change::new(&self)?;
                if let Some(number) = number {
                    let disk = node.disks.remove(number);
                    if self.is_ours(&disk.file) {
                        change.remove(disk.file);
                    }
                }
                change.put_last(node)?;
                change.commit()
            }
            Work::Join(node, number, overlay) => self.join(node, number, overlay, job),
        }
    }
}

/// A change to snapshots and images that happens all or not at all.
pub(super) struct Change<'a, 'b> {
    session: &'a Session<'b>,
    prepared: Prepared,
    /// The manifests that are another ones then.
    put: Vec<Manifest>,
    /// Images of snapshots whose identity is to be written down at the end.
    settle: Vec<(Uuid, usize)>,
    /// Files that are removed at the end, when nothing names them any more.
    files: Vec<PathBuf>,
}

impl<'a, 'b> Change<'a, 'b> {
    pub(super) fn new(session: &'a Session<'b>) -> Result<Self, SnapshotError> {
        Ok(Self {
            prepared: Prepared::new(session.folder())?,
            session,
            put: Vec::new(),
            settle: Vec::new(),
            files: Vec::new(),
        })
    }

    pub(super) fn put(&mut self, node: Manifest) {
        self.put.retain(|other| other.id != node.id);
        self.put.push(node);
    }

    /// A snapshot as it is going to be.
    pub(super) fn manifest(&self, id: Uuid) -> Result<Manifest, SnapshotError> {
        let put = self.put.iter().find(|node| node.id == id).cloned();
        put.map_or_else(|| self.session.manifest(id), Ok)
    }

    /// Writes down how an image of a snapshot is when all else is done.
    pub(super) fn settle(&mut self, snapshot: Uuid, disk: usize) {
        self.settle.push((snapshot, disk));
    }

    /// Puts a deleted snapshot; one without images goes, and what came after it comes after what was before it.
    pub(super) fn put_last(&mut self, node: Manifest) -> Result<(), SnapshotError> {
        if !node.disks.is_empty() {
            self.put(node);
            return Ok(());
        }
        for after in &self.session.tree.nodes {
            if after.parent == Some(node.id) {
                let mut after = self.manifest(after.id)?;
                after.parent = node.parent;
                self.put(after);
            }
        }
        if self.session.tree.current == Some(node.id) {
            let text = current_text(self.session.folder(), node.parent)?;
            self.prepared.write(CURRENT, text.as_bytes())?;
            self.prepared
                .place(CURRENT, Path::new(SNAPSHOTS).join(CURRENT));
        }
        self.prepared.then(Step::RemoveFolder {
            folder: relative_place(node.id),
        });
        Ok(())
    }

    pub(super) fn define(&mut self, wanted: &Definition) -> Result<(), SnapshotError> {
        let session = self.session;
        let text = merge_definition(
            &session.machine.file(),
            &session.text,
            &session.machine.definition,
            wanted,
        )?;
        self.prepared.write(DEFINITION_FILE, text.as_bytes())?;
        self.prepared.define(DEFINITION_FILE);
        Ok(())
    }

    pub(super) fn then(&mut self, step: Step) {
        self.prepared.then(step);
    }

    /// Removes a file at the end.
    pub(super) fn remove(&mut self, file: PathBuf) {
        self.files.push(file);
    }

    pub(super) fn commit(mut self) -> Result<(), SnapshotError> {
        for node in &self.put {
            let name = format!("{}.toml", node.id);
            let text = manifest::text(Path::new(MANIFEST), node)?;
            self.prepared.write(&name, text.as_bytes())?;
            self.prepared
                .place(&name, relative_place(node.id).join(MANIFEST));
        }
        for (snapshot, disk) in self.settle {
            self.prepared.then(Step::Settle { snapshot, disk });
        }
        for file in self.files {
            self.prepared.then(Step::Remove { file });
        }
        self.prepared.commit()
    }
}
