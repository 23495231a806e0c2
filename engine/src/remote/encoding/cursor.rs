//! The pointer shape that the client draws itself (RFC 6143, section 7.8.1).

use std::io;

use super::{number, send_head};
use crate::{
    display::{Cursor, Rectangle},
    remote::{
        pixel::{Converter, Packing},
        stream::Output,
    },
};

/// The largest shape that is sent, in pixels each way.
const LARGEST: u32 = 256;

/// Sends the shape; no shape is one of no size.
pub fn send_cursor(
    out: &mut Output,
    converter: &Converter,
    cursor: Option<&Cursor>,
) -> io::Result<()> {
    let shown = cursor.filter(|cursor| {
        cursor.width <= LARGEST
            && cursor.height <= LARGEST
            && cursor.pixels.len() == cursor.width as usize * cursor.height as usize
            && !cursor.pixels.is_empty()
    });
    let Some(cursor) = shown else {
        return send_head(out, Rectangle::new(0, 0, 0, 0), number::CURSOR);
    };
    let place = Rectangle::new(
        cursor.hot_x.min(cursor.width - 1),
        cursor.hot_y.min(cursor.height - 1),
        cursor.width,
        cursor.height,
    );
    send_head(out, place, number::CURSOR)?;
    let width = cursor.width as usize;
    let colours: Vec<u32> = cursor
        .pixels
        .iter()
        .map(|pixel| pixel & 0xff_ffff)
        .collect();
    for row in colours.chunks(width) {
        out.fill(|buffer| converter.put(Packing::Whole, row, buffer))?;
    }
    for row in cursor.pixels.chunks(width) {
        out.fill(|buffer| {
            buffer.extend(row.chunks(8).map(|pixels| {
                pixels.iter().enumerate().fold(0, |mask, (bit, pixel)| {
                    // Half transparent or less is shown: the mask knows only yes and no.
                    mask | u8::from(*pixel >> 24 >= 0x80) << (7 - bit)
                })
            }));
        })?;
    }
    Ok(())
}
