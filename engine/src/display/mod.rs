//! The machine's screen: the picture that viewers see, the adapter that it comes from, the thread that draws it.

pub(crate) mod edid;
mod owner;
mod scanout;
mod screenshot;
mod surface;
pub mod vga;

pub use owner::ScreenOwner;
pub use scanout::{DirtyPages, DirtySource, DisplayThread, Wake};
pub use screenshot::{Reduced, ScreenshotError, png, reduced, thumbnail};
pub use surface::{Cursor, Frame, MAXIMUM_EDGE, Rectangle, Surface, View};
