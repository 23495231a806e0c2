//! The machine's screen: the picture that viewers see and the adapters that draw it.

mod surface;

pub use surface::{Cursor, Frame, Rectangle, Surface, View};
