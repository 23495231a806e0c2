//! How rectangles of pixels are sent (RFC 6143, section 7.7; the Tight encoding as the RFB protocol community describes it).

mod cursor;
mod raw;
mod tight;
mod zlib;
mod zrle;

use std::io;

pub use cursor::send_cursor;
use tight::Tight;
use zrle::Zrle;

use super::{
    picture::{Picture, Scroll},
    pixel::Converter,
    stream::Output,
};
use crate::display::Rectangle;

/// The numbers of encodings and pseudo-encodings.
pub mod number {
    pub const RAW: i32 = 0;
    pub const COPY_RECTANGLE: i32 = 1;
    pub const TIGHT: i32 = 7;
    pub const ZRLE: i32 = 16;
    pub const DESKTOP_SIZE: i32 = -223;
    pub const LAST_RECTANGLE: i32 = -224;
    pub const CURSOR: i32 = -239;
    pub const COMPRESSION_LOWEST: i32 = -256;
    pub const COMPRESSION_HIGHEST: i32 = -247;
    pub const RELATIVE_POINTER: i32 = -257;
    pub const EXTENDED_KEYS: i32 = -258;
    pub const LIGHTS: i32 = -261;
    pub const DESKTOP_NAME: i32 = -307;
    pub const EXTENDED_DESKTOP_SIZE: i32 = -308;
    pub const FENCE: i32 = -312;
    pub const CONTINUOUS_UPDATES: i32 = -313;
}

/// How pixels are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// As they are.
    #[default]
    Raw,
    /// Fill, palette or all colours, compressed.
    Tight,
    /// Tiles, run lengths and palettes, compressed.
    Zrle,
}

/// A number that the protocol has 16 bits for.
pub fn short(number: u32) -> u16 {
    // The picture's edges are at most 8192.
    u16::try_from(number).unwrap_or(u16::MAX)
}

/// Sends the head of a rectangle.
pub fn send_head(out: &mut Output, place: Rectangle, encoding: i32) -> io::Result<()> {
    out.shorts([place.x, place.y, place.width, place.height].map(short))?;
    out.bytes(&encoding.to_be_bytes())
}

/// Sends a part that moved (CopyRect, section 7.7.2).
pub fn send_scroll(out: &mut Output, scroll: Scroll) -> io::Result<()> {
    send_head(out, scroll.to, number::COPY_RECTANGLE)?;
    out.shorts([short(scroll.to.x), short(scroll.from_y)])
}

/// The encoders of one client, with their compressed streams, which last as long as the connection.
#[derive(Default)]
pub struct Encoders {
    tight: Tight,
    zrle: Zrle,
}

/// How rectangles are to be sent at the moment.
#[derive(Clone, Copy)]
pub struct Manner<'a> {
    /// By which encoding.
    pub encoding: Encoding,
    /// In which pixel format.
    pub converter: &'a Converter,
    /// How hard to compress: 1 to 9.
    pub level: u32,
    /// The client takes any number of rectangles until it is told that it had the last.
    pub uncounted: bool,
}

impl Encoders {
    /// The rectangles that `part` becomes.
    pub fn split(&self, manner: Manner, picture: &Picture, part: Rectangle) -> Vec<Rectangle> {
        match manner.encoding {
            Encoding::Raw | Encoding::Zrle => vec![part],
            Encoding::Tight => tight::split(picture, part, manner.uncounted),
        }
    }

    /// Sends one rectangle that [`split`](Self::split) gave.
    pub fn send(
        &mut self,
        out: &mut Output,
        manner: Manner,
        picture: &Picture,
        part: Rectangle,
    ) -> io::Result<()> {
        match manner.encoding {
            Encoding::Raw => raw::send(out, manner.converter, picture, part),
            Encoding::Tight => self.tight.send(out, manner, picture, part),
            Encoding::Zrle => self.zrle.send(out, manner, picture, part),
        }
    }
}
