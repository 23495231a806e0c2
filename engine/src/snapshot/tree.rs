//! A machine's snapshots as they are on disk, and what must hold of them.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::manifest::{self, Current, FrozenDisk, Identity, Manifest, Origin};
use super::{CURRENT, MANIFEST, ORIGIN, SCREEN, SNAPSHOTS, SnapshotError, journal};
use crate::definition::{Definition, Drive, DriveKind, ImageFormat};
use crate::disk::inspect;

/// The longest chain of images that is followed.
const LONGEST_CHAIN: usize = 256;

/// A snapshot, to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// What identifies it.
    pub id: Uuid,
    /// The snapshot it comes after, among those shown.
    pub parent: Option<Uuid>,
    /// How many come before it.
    pub depth: usize,
    /// What people call it.
    pub name: String,
    /// What people wrote about it.
    pub notes: String,
    /// When it was taken, in milliseconds since 1970 began in UTC.
    pub created: i64,
    /// What its files take up on the host, in bytes. An image outside of the machine's folder does not count.
    pub size: u64,
    /// A picture (PNG) of the screen at the time.
    pub screen: Option<PathBuf>,
    /// Whether machines are built on it.
    pub has_clones: bool,
    /// Whether the machine goes on from it.
    pub current: bool,
}

/// A machine's snapshots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    folder: PathBuf,
    /// Oldest first.
    pub(super) nodes: Vec<Manifest>,
    pub(super) current: Option<Uuid>,
    pub(super) origin: Option<Origin>,
}

/// A path with its links followed as far as it exists, so that two names of one file are equal.
pub(super) fn real(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// Whether the guest writes to what is in a drive.
pub(super) fn is_written(drive: &Drive) -> bool {
    drive.kind == DriveKind::Disk && !drive.read_only && drive.file.is_some()
}

/// What a file takes up on the host.
pub(super) fn allocated(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.blocks().saturating_mul(512))
}

impl Tree {
    /// Reads the snapshots of the machine in `folder`; there may be none.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub fn read(folder: &Path) -> Result<Self, SnapshotError> {
        let snapshots = folder.join(SNAPSHOTS);
        let mut tree = Self {
            folder: folder.to_owned(),
            nodes: Vec::new(),
            current: None,
            origin: None,
        };
        let origin = folder.join(ORIGIN);
        if origin.exists() {
            tree.origin = Some(manifest::read(&origin)?);
        }
        let entries = match fs::read_dir(&snapshots) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(tree),
            Err(error) => return Err(SnapshotError::host("read", &snapshots)(error)),
        };
        for entry in entries {
            let path = entry
                .map_err(SnapshotError::host("read", &snapshots))?
                .path();
            let name = path.file_name().and_then(|name| name.to_str());
            let Some(id) = name.and_then(|name| Uuid::try_parse(name).ok()) else {
                continue;
            };
            let file = path.join(MANIFEST);
            let node: Manifest = manifest::read(&file)?;
            if node.id != id {
                return Err(SnapshotError::Broken {
                    file,
                    message: format!("it is the manifest of another snapshot ({})", node.id),
                });
            }
            tree.nodes.push(node);
        }
        tree.nodes.sort_by_key(|node| (node.created, node.id));
        let current = snapshots.join(CURRENT);
        if current.exists() {
            tree.current = manifest::read::<Current>(&current)?.parent;
        }
        Ok(tree)
    }

    /// The folder of the machine.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder of a snapshot.
    pub(super) fn place(&self, id: Uuid) -> PathBuf {
        self.folder.join(relative_place(id))
    }

    pub(super) fn node(&self, id: Uuid) -> Option<&Manifest> {
        self.nodes.iter().find(|node| node.id == id)
    }

    /// The snapshot `id` that is not deleted.
    pub(super) fn get(&self, id: Uuid) -> Result<&Manifest, SnapshotError> {
        self.node(id)
            .filter(|node| !node.deleted)
            .ok_or_else(|| SnapshotError::NotFound {
                name: id.to_string(),
            })
    }

    /// The snapshot called `text`, or whose identifier begins with it.
    ///
    /// # Errors
    /// When there is none or more than one.
    pub fn find(&self, text: &str) -> Result<Uuid, SnapshotError> {
        let text = text.trim();
        let shown = || self.nodes.iter().filter(|node| !node.deleted);
        let named: Vec<_> = shown().filter(|node| node.name == text).collect();
        let found = if named.is_empty() {
            let text = text.to_lowercase();
            shown()
                .filter(|node| text.len() >= 4 && node.id.to_string().starts_with(&text))
                .collect()
        } else {
            named
        };
        match found[..] {
            [] => Err(SnapshotError::NotFound {
                name: text.to_owned(),
            }),
            [node] => Ok(node.id),
            _ => Err(SnapshotError::Ambiguous {
                name: text.to_owned(),
            }),
        }
    }

    /// The nearest snapshot that is shown, from `id` on backwards.
    fn shown(&self, mut id: Option<Uuid>) -> Option<Uuid> {
        for _ in 0..=self.nodes.len() {
            let node = self.node(id?)?;
            if !node.deleted {
                return id;
            }
            id = node.parent;
        }
        None
    }

    /// The snapshots, each followed by those after it, the oldest first.
    pub fn snapshots(&self) -> Vec<Snapshot> {
        let current = self.shown(self.current);
        let mut after: HashMap<Option<Uuid>, Vec<&Manifest>> = HashMap::new();
        for node in self.nodes.iter().filter(|node| !node.deleted) {
            after.entry(self.shown(node.parent)).or_default().push(node);
        }
        let mut found = Vec::new();
        let mut open: Vec<(Option<Uuid>, usize, &Manifest)> = Vec::new();
        let mut push = |open: &mut Vec<_>, parent: Option<Uuid>, depth| {
            for node in after.remove(&parent).unwrap_or_default().into_iter().rev() {
                open.push((parent, depth, node));
            }
        };
        push(&mut open, None, 0);
        while let Some((parent, depth, node)) = open.pop() {
            let screen = self.place(node.id).join(SCREEN);
            found.push(Snapshot {
                id: node.id,
                parent,
                depth,
                name: node.name.clone(),
                notes: node.notes.clone(),
                created: node.created,
                size: self.size(node),
                screen: screen.is_file().then_some(screen),
                has_clones: !node.clones.is_empty(),
                current: current == Some(node.id),
            });
            push(&mut open, Some(node.id), depth + 1);
        }
        found
    }

    fn size(&self, node: &Manifest) -> u64 {
        let files = fs::read_dir(self.place(node.id)).into_iter().flatten();
        let own: u64 = files.flatten().map(|entry| allocated(&entry.path())).sum();
        let disks = node.disks.iter().filter(|disk| disk.file.is_relative());
        own + disks
            .map(|disk| allocated(&self.folder.join(&disk.file)))
            .sum::<u64>()
    }

    /// Whether deleted snapshots still take space that [`Library::reclaim`](crate::Library::reclaim) may give back.
    pub fn has_deleted(&self) -> bool {
        self.nodes.iter().any(|node| node.deleted)
    }

    /// Whether a snapshot keeps the image at `path`.
    pub fn keeps(&self, path: &Path) -> bool {
        self.keeper(path).is_some()
    }

    /// Whether the image at `path` may not change: a snapshot of this machine keeps it, or one of the machine that this is a linked
    /// clone of.
    pub fn is_frozen(&self, path: &Path) -> bool {
        self.known(path).is_some()
    }

    /// Who keeps the image at `path`.
    pub(super) fn keeper(&self, path: &Path) -> Option<(&Manifest, &FrozenDisk)> {
        let path = real(path);
        self.nodes.iter().find_map(|node| {
            let disk = node
                .disks
                .iter()
                .find(|disk| real(&self.folder.join(&disk.file)) == path)?;
            Some((node, disk))
        })
    }

    /// What must hold of the snapshots and of what the machine `definition` writes to, but for the content of the images.
    ///
    /// # Errors
    /// What does not hold, and what to do about it.
    pub fn check(&self, definition: &Definition) -> Result<(), SnapshotError> {
        self.check_parents()?;
        let mut owners: HashMap<PathBuf, &str> = HashMap::new();
        for node in &self.nodes {
            for disk in &node.disks {
                let file = real(&self.folder.join(&disk.file));
                if let Some(first) = owners.insert(file.clone(), &node.name) {
                    return Err(SnapshotError::OwnedTwice {
                        file,
                        first: first.to_owned(),
                        second: format!("the snapshot {:?}", node.name),
                    });
                }
            }
        }
        for drive in definition.drives.iter().filter(|drive| is_written(drive)) {
            let Some(file) = drive.path(&self.folder) else {
                continue;
            };
            if let Some(snapshot) = owners.get(&real(&file)) {
                return Err(SnapshotError::Frozen {
                    file,
                    snapshot: (*snapshot).to_owned(),
                });
            }
        }
        Ok(())
    }

    fn check_parents(&self) -> Result<(), SnapshotError> {
        for node in &self.nodes {
            let mut seen = HashSet::from([node.id]);
            let mut at = node;
            while let Some(parent) = at.parent {
                at = self
                    .node(parent)
                    .ok_or_else(|| SnapshotError::ParentMissing {
                        snapshot: at.name.clone(),
                        parent: parent.to_string(),
                    })?;
                if !seen.insert(parent) {
                    return Err(SnapshotError::Circle {
                        snapshot: node.name.clone(),
                    });
                }
            }
        }
        match self.current {
            Some(parent) if self.node(parent).is_none() => Err(SnapshotError::ParentMissing {
                snapshot: "the machine as it is now".to_owned(),
                parent: parent.to_string(),
            }),
            _ => Ok(()),
        }
    }

    /// The images below the one at `path`, the nearest first, each as it was when it was frozen.
    ///
    /// # Errors
    /// When one is missing, was changed, or names itself.
    pub(super) fn chain(
        &self,
        owner: &str,
        path: &Path,
        format: ImageFormat,
    ) -> Result<Vec<PathBuf>, SnapshotError> {
        let mut chain = Vec::new();
        let (mut path, mut format) = (path.to_owned(), format);
        while format == ImageFormat::Qcow2 {
            let Some(named) = inspect(&path)?.backing_file else {
                break;
            };
            let base = backing_path(&path, &named);
            if chain.len() == LONGEST_CHAIN || chain.contains(&base) {
                return Err(SnapshotError::Broken {
                    file: path,
                    message:
                        "the images below it name one another in a circle, or are more than 256"
                            .to_owned(),
                });
            }
            let known = self.known(&base);
            self.check_base(owner, &base, known.and_then(|(identity, _)| identity))?;
            chain.push(base.clone());
            let Some((_, base_format)) = known else { break };
            (path, format) = (base, base_format);
        }
        Ok(chain)
    }

    /// How an image was when it was frozen, by this machine or by the one that this is a clone of.
    fn known(&self, path: &Path) -> Option<(Option<Identity>, ImageFormat)> {
        if let Some((_, disk)) = self.keeper(path) {
            return Some((disk.settled(), disk.format));
        }
        let path = real(path);
        let bases = &self.origin.as_ref()?.bases;
        let base = bases.iter().find(|base| real(&base.file) == path)?;
        Some((Some(base.identity), base.format))
    }

    /// How a frozen image stores what the guest sees.
    pub(super) fn known_format(&self, path: &Path) -> Option<ImageFormat> {
        self.known(path).map(|(_, format)| format)
    }

    fn check_base(
        &self,
        owner: &str,
        file: &Path,
        then: Option<Identity>,
    ) -> Result<(), SnapshotError> {
        let now = match Identity::of(file) {
            Ok(now) => now,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(SnapshotError::BaseMissing {
                    file: file.to_owned(),
                    owner: owner.to_owned(),
                });
            }
            Err(error) => return Err(SnapshotError::host("read", file)(error)),
        };
        match then.and_then(|then| then.difference(now)) {
            None => Ok(()),
            Some(difference) => Err(SnapshotError::BaseChanged {
                file: file.to_owned(),
                owner: owner.to_owned(),
                difference,
            }),
        }
    }

    /// Checks everything that the disks in the drives of `definition` are built on.
    pub(super) fn check_current(&self, definition: &Definition) -> Result<(), SnapshotError> {
        for drive in &definition.drives {
            if drive.kind == DriveKind::Disk
                && let Some(file) = drive.path(&self.folder)
                && (self.origin.is_some() || !self.nodes.is_empty())
            {
                self.chain("this machine", &file, drive.format)?;
            }
        }
        Ok(())
    }

    /// Checks the images that a snapshot keeps and everything below them; all those below, the nearest first.
    pub(super) fn check_snapshot(&self, node: &Manifest) -> Result<Vec<PathBuf>, SnapshotError> {
        let owner = format!("the snapshot {:?}", node.name);
        let mut below = Vec::new();
        for disk in &node.disks {
            let file = self.folder.join(&disk.file);
            self.check_base(&owner, &file, disk.settled())?;
            below.extend(self.chain(&owner, &file, disk.format)?);
        }
        Ok(below)
    }
}

/// The folder of a snapshot in its machine's.
pub(super) fn relative_place(id: Uuid) -> PathBuf {
    Path::new(SNAPSHOTS).join(id.to_string())
}

/// Where the image is that the one at `path` names as what it is built on.
pub(crate) fn backing_path(path: &Path, named: &str) -> PathBuf {
    let named = named.strip_prefix("file:").unwrap_or(named);
    path.parent().unwrap_or(Path::new("")).join(named)
}

/// Checks before the machine in `folder` is started that its disks are built on what they were, and that it does not write to
/// what a snapshot keeps.
///
/// # Errors
/// What does not hold, and what to do about it.
pub fn check_start(folder: &Path, definition: &Definition) -> Result<(), SnapshotError> {
    if journal::is_decided(folder) {
        return Err(SnapshotError::Interrupted);
    }
    let tree = Tree::read(folder)?;
    tree.check(definition)?;
    tree.check_current(definition)
}
