//! The guest's screen in the window: a viewer of the engine's RFB server.
//!
//! [`Viewer`] is the component. Its session (a task beside the toolkit's thread) speaks the protocol by vnc-rs and keeps the
//! picture; the screen widget uploads what changed when it is drawn, and sends keys by their position and the pointer by its place.
//!
//! GTK cannot move the pointer or lock it in place, so the pointer is always sent as a place on the screen. Guests with a tablet
//! follow it exactly. A PS/2 mouse turns it into differences: the guest's pointer moves as far, but comes to rest where the
//! window ends.

mod frame;
mod geometry;
mod grab;
mod keyboard;
mod pointer;
mod screen;
mod session;
mod texture;
mod viewer;

pub use geometry::Scaling;
pub use viewer::{Viewer, ViewerInput, ViewerOutput};
