//! Snapshots of a machine: all its disks, its variable store (`nvram.fd`) and its `machine.toml` as they were at one instant.
//!
//! At a snapshot the images that the drives have become bases that nobody writes to any more, where they are and under the names
//! they have; new qcow2 overlays in the machine's folder take what the guest writes from then on. Each snapshot is a folder below
//! `snapshots/` with a [`Manifest`] that says which images it froze, how long they are and when they were changed last;
//! `snapshots/current.toml` says which snapshot the machine goes on from. That makes a tree: going back to a snapshot gives the
//! machine new overlays over that snapshot's images, and a branch is another machine with overlays over them.
//!
//! Everything that changes more than one file is prepared in a hidden folder, written down as a list of renames (`journal.rs`),
//! then carried out: cut anywhere, it ends as done or as not done when the library is read next. Deleting hides a snapshot
//! first, which can be undone, and gives its space back later ([`Library::reclaim`](crate::Library)): an image that nothing is
//! built on is removed, one with a single overlay is joined with it, one with several stays for them.
//!
//! What is found is checked before and after every change and before a machine starts ([`check_start`]): every snapshot's parent
//! is there, every image belongs to one snapshot or to the current state, and each base is as long and as old as it was.

mod accept;
mod branch;
mod delete;
mod error;
mod files;
mod join;
mod journal;
mod manifest;
mod reclaim;
mod relocate;
mod revert;
mod session;
mod take;
#[cfg(test)]
mod tests;
mod tree;

pub use error::SnapshotError;
pub use manifest::{FrozenDisk, Identity, Link, Manifest, Origin};
pub use take::NewSnapshot;
pub use tree::{Snapshot, Tree, check_start};

pub(crate) use journal::{is_decided, recover, unfinished};
pub(crate) use relocate::{Relocation, hold, relocate};
pub(crate) use tree::backing_path;

/// The folder in a machine's folder that holds its snapshots.
const SNAPSHOTS: &str = "snapshots";
/// The file in there that says which snapshot the machine goes on from.
const CURRENT: &str = "current.toml";
/// What a snapshot is, in its folder.
const MANIFEST: &str = "manifest.toml";
/// The last picture on the machine's screen, in a machine's folder and in a snapshot's.
pub const SCREEN: &str = "screen.png";
/// What another machine's snapshot this machine's disks are built on, in the folder of a linked clone.
const ORIGIN: &str = "linked.toml";
