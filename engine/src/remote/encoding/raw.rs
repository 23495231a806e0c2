//! Raw (RFC 6143, section 7.7.1): the pixels, row by row.

use std::io;

use super::{number, send_head};
use crate::{
    display::Rectangle,
    remote::{
        picture::Picture,
        pixel::{Converter, Packing},
        stream::Output,
    },
};

/// Sends `part`.
pub fn send(
    out: &mut Output,
    converter: &Converter,
    picture: &Picture,
    part: Rectangle,
) -> io::Result<()> {
    send_head(out, part, number::RAW)?;
    for y in part.y..part.y + part.height {
        let row = picture.row(part.x, y, part.width);
        out.fill(|buffer| converter.put(Packing::Whole, row, buffer))?;
    }
    Ok(())
}
