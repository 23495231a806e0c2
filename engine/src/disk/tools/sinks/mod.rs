//! What a copy is written to: one writer for each format that can be made.

mod qcow2;
mod raw;
mod vmdk;

pub(super) use qcow2::{Qcow2Sink, Qcow2Writing, write_names};
pub(super) use raw::RawSink;
pub(super) use vmdk::VmdkSink;
