//! The guest's memory: host memory that a guest sees as its own, and the map from guest-physical addresses to it.

mod guest_buffer;
mod guest_memory;
pub(crate) mod io_ring;
pub mod layout;
mod region;
pub mod shadow;

pub use guest_buffer::GuestBuffer;
pub use guest_memory::{GuestMemory, OutOfMemoryMap};
pub use layout::MemoryLayout;
pub use region::{MemoryError, MemoryRegion};
