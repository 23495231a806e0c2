//! Work on whole images: copies, conversions and changes that take their time.
//!
//! A tool runs on its caller's thread, tells a [`Job`] how far it is, and ends early when the job is cancelled. What it makes is an
//! [`Unfinished`] file beside its place until it is whole and on the device; a tool that fails or is cancelled leaves nothing
//! behind and its source as it was, and one that is killed leaves a file called `.NAME.part`, which the next attempt takes over.

mod clone;
mod commit;
mod convert;
mod copy;
mod create;
mod details;
mod error;
mod export;
mod job;
mod rebase;
mod resize;
mod sinks;
#[cfg(test)]
pub(in crate::disk) mod tests;
mod unfinished;

pub use clone::full_clone;
pub use commit::commit;
pub(crate) use commit::commit_overlay;
pub use convert::{Source, TargetFormat, compare_disks, convert, convert_into, import_disk};
pub use create::{Preallocation, create, linked_clone};
pub use details::{Beneath, Details, InternalSnapshot, Outline, Qcow2Details, details, outline};
pub use error::ToolError;
pub use export::{Export, export};
pub use job::{Cancel, Job, Phase, Progress};
pub(crate) use rebase::set_backing;
pub use rebase::{rebase, rebase_unsafe};
pub use resize::{compact, resize};
pub use unfinished::{Occupied, Unfinished};
