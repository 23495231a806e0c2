//! Work on whole images: copies, conversions and changes that take their time.
//!
//! A tool runs on its caller's thread, tells a [`Job`] how far it is, and ends early when the job is cancelled. What it makes is an
//! [`Unfinished`] file beside its place until it is whole and on the device; a tool that fails or is cancelled leaves nothing
//! behind and its source as it was, and one that is killed leaves a file called `.NAME.part`, which the next attempt takes over.

mod clone;
mod error;
mod job;
#[cfg(test)]
mod tests;
mod unfinished;

pub use clone::full_clone;
pub use error::ToolError;
pub use job::{Cancel, Job, Phase, Progress};
pub use unfinished::Unfinished;
