//! The machine's screen, keyboard and pointer for viewers near and far: a server of the remote framebuffer protocol, RFB 3.3 to 3.8
//! (RFC 6143, and the extensions that the RFB protocol community has written down beside it).
//!
//! Served are the encodings Raw, CopyRect, Tight (without JPEG) and ZRLE, pointer shapes, changes of size, the keyboard's lights, keys
//! by position, relative pointers, fences, continuous updates, the machine's name, bell and clipboard (Latin-1). Not served are colour
//! maps, and pointer shapes for viewers that cannot draw one themselves.
//!
//! Each viewer has two threads. One reads and notes what the client wants; one waits for a change of the [`Surface`] that the client
//! has room for, copies it, and sends it from the copy. A viewer that reads slowly is behind, and nothing is kept for it. A viewer of
//! this process is spared the pixels ([`RemoteServer::connect_looker`]).
//!
//! [`Surface`]: crate::display::Surface

mod authentication;
mod encoding;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod handshake;
mod keyboard;
mod keysym;
mod message;
mod picture;
mod pixel;
mod pointer;
mod server;
mod stream;
mod update;
mod viewer;

#[cfg(test)]
mod tests;

pub use keysym::{scan_code, us_keysym};
pub use server::{
    Address, AskForSize, LocalScreen, Options, RemoteError, RemoteServer, TakeText,
    ViewerInformation,
};
pub use stream::Stream;
