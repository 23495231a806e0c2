//! Virtual networks: cards' cables, the switches they end at, and what stands at the switches' other ports.
//!
//! A card holds a [`Cable`]; plugged in, it ends at a [`Port`] of a [`Switch`], which passes each [`Frame`] on in the sender's own
//! thread and never waits: a port whose queue is full gives the frame back, and its bell rings when there is room again. Frames
//! carry what a network card may leave undone (checksums, cutting into segments) as metadata, so that 64 KiB pass in one piece
//! wherever both ends can take that; [`Segments`] does the rest where one cannot.

mod bell;
mod cable;
mod capture;
pub mod checksum;
pub mod e1000;
mod frame;
pub mod nat;
mod pool;
mod port;
mod segments;
mod switch;
mod switches;
mod uplink;
#[cfg(test)]
mod uplink_host_tests;

pub use bell::Bell;
pub use cable::{Cable, Traffic};
pub use capture::Capture;
pub use frame::{Checksum, Frame, MAX_FRAME, Offload, SegmentKind, Segmentation, VIRTIO_HEADER};
pub use pool::Buffer;
pub use port::{Port, Sent};
pub use segments::Segments;
pub use switch::Switch;
pub use switches::{
    Connection, SWITCHES_FILE, SwitchDefinition, SwitchError, SwitchKind, Switches,
};
pub use uplink::{Connected, NotAnUplink, Uplink, Uplinks};
