//! The guest's screen in the window: a viewer of the engine's RFB server.
//!
//! [`Viewer`] is the component. Its session (a task beside the toolkit's thread) speaks the protocol by vnc-rs. Where the machine is
//! in this process, the server tells where the picture changed and the pixels come from the machine's surface; where it is in
//! another, they come by the protocol and the session draws them on a surface of its own. The screen widget uploads what changed
//! when it is drawn, and sends keys by their position and the pointer by its place.
//!
//! GTK cannot move the pointer or lock it in place, so the pointer is always sent as a place on the screen. Guests with a tablet
//! follow it exactly. A PS/2 mouse turns it into differences: the guest's pointer moves as far, but comes to rest where the
//! window ends.

mod geometry;
mod grab;
mod keyboard;
mod picture;
mod pointer;
mod reading;
mod screen;
mod session;
mod texture;
mod viewer;
mod zoom;

pub use geometry::Scaling;
pub use keyboard::scan_code;
pub use session::Connection;
pub use viewer::{ReadScreen, Viewer, ViewerInput, ViewerOutput};
