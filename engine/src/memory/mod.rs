//! The guest's memory: host memory that a guest sees as its own, and the map from guest-physical addresses to it.

mod guest_memory;
mod region;

pub use guest_memory::{GuestMemory, OutOfMemoryMap};
pub use region::{MemoryError, MemoryRegion};
