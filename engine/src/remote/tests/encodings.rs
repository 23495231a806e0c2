//! Each encoding, decoded by the tests' client, gives what is on the screen.

use super::{
    Rig,
    client::{Client, RGB},
    pictures,
};
use crate::{
    display::{Cursor, Surface},
    remote::Options,
};

const COPY: i32 = 1;
const TIGHT: i32 = 7;
const ZRLE: i32 = 16;
const LAST: i32 = -224;

fn same(client: &Client, surface: &Surface, what: &str) {
    let view = surface.view();
    let (width, _) = view.size();
    for (y, row) in client.picture.chunks(width as usize).enumerate() {
        let right = view.row(u32::try_from(y).unwrap());
        assert!(row == right, "{what}: row {y} of the picture");
    }
    assert_eq!(client.picture.len(), view.pixels().len());
}

#[test]
fn every_encoding_gives_the_picture() {
    for encodings in [
        &[0][..],
        &[TIGHT],
        &[TIGHT, LAST],
        &[ZRLE],
        &[COPY, ZRLE, TIGHT, -247],
        &[TIGHT, -256],
        &[],
        &[5, 99, -1000],
    ] {
        // Not a multiple of a tile, and wider than Tight's widest.
        for (width, height) in [(200, 150), (2100, 70), (1, 1), (63, 65)] {
            let rig = Rig::new(width, height, Options::default());
            let mut client = Client::new(rig.server.connect().unwrap());
            client.set_encodings(encodings);
            for (what, pixel) in pictures() {
                rig.draw(pixel);
                // A picture of one pixel may be the same as before.
                client.request(false);
                client.update();
                same(
                    &client,
                    &rig.surface,
                    &format!("{encodings:?} {width} {what}"),
                );
            }
            // A change of little, too small to be compressed.
            rig.surface.draw(|frame| {
                frame.draw_row(0, 0, &[0x00ff_0001]);
            });
            client.refresh();
            same(&client, &rig.surface, "a point");
        }
    }
}

#[test]
fn the_encoding_is_the_first_that_is_known() {
    for (encodings, expected) in [
        (&[5, ZRLE, TIGHT][..], ZRLE),
        (&[TIGHT, 0], TIGHT),
        (&[0, TIGHT], 0),
        (&[2, 5], 0),
    ] {
        let rig = Rig::new(64, 64, Options::default());
        let mut client = Client::new(rig.server.connect().unwrap());
        client.set_encodings(encodings);
        client.refresh();
        assert_eq!(client.encodings, [expected]);
    }
}

/// A pixel format's bits per pixel, depth, byte order, maxima and shifts.
fn format(bits: u8, depth: u8, big: bool, channels: [(u16, u8); 3]) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&[bits, depth, u8::from(big), 1]);
    for (at, (maximum, shift)) in channels.into_iter().enumerate() {
        bytes[4 + at * 2..6 + at * 2].copy_from_slice(&maximum.to_be_bytes());
        bytes[10 + at] = shift;
    }
    bytes
}

#[test]
fn every_pixel_format_gives_the_picture() {
    let rgb = [(255, 16), (255, 8), (255, 0)];
    let bgr = [(255, 0), (255, 8), (255, 16)];
    let high = [(255, 24), (255, 16), (255, 8)];
    let deep = [(1023, 20), (1023, 10), (1023, 0)];
    let rgb565 = [(31, 11), (63, 5), (31, 0)];
    let bgr233 = [(7, 0), (7, 3), (3, 6)];
    for big in [false, true] {
        for (bits, depth, channels, compressed) in [
            (32, 24, rgb, (3, 0)),
            (32, 24, bgr, (3, 0)),
            (32, 24, high, (3, 8)),
            (32, 30, deep, (4, 0)),
            (32, 32, rgb, (4, 0)),
            (16, 16, rgb565, (2, 0)),
            (8, 8, bgr233, (1, 0)),
        ] {
            for encoding in [0, TIGHT, ZRLE] {
                let rig = Rig::new(150, 70, Options::default());
                let mut client = Client::new(rig.server.connect().unwrap());
                client.set_format(format(bits, depth, big, channels));
                client.compressed = compressed;
                client.tight_colours = bits == 32 && depth == 24;
                client.set_encodings(&[encoding]);
                for (what, pixel) in pictures() {
                    rig.draw(pixel);
                    client.request(false);
                    client.update();
                    let view = rig.surface.view();
                    for (at, got) in client.picture.iter().enumerate() {
                        let pixel = view.pixels()[at];
                        let colours = [pixel >> 16 & 255, pixel >> 8 & 255, pixel & 255];
                        let expected =
                            colours
                                .iter()
                                .zip(channels)
                                .fold(0, |sum, (value, channel)| {
                                    let (maximum, shift) = channel;
                                    sum | ((value * u32::from(maximum) + 127) / 255) << shift
                                });
                        let expected = if encoding == TIGHT && client.tight_colours {
                            pixel
                        } else {
                            expected
                        };
                        assert_eq!(
                            *got, expected,
                            "{what} {bits} {big} {channels:?} {encoding}"
                        );
                    }
                }
            }
        }
    }
    // The format of the others is not touched.
    assert_eq!(RGB, format(32, 24, false, rgb));
}

#[test]
fn text_that_scrolls_is_copied() {
    let rig = Rig::new(720, 400, Options::default());
    let glyphs = |x: u32, y: u32| {
        if (x * 31 + y * 17 + y / 16 * 7).wrapping_mul(0x9e37_79b9) >> 31 == 0 {
            0
        } else {
            0xaa_aaaa
        }
    };
    rig.draw(glyphs);
    let mut client = Client::new(rig.server.connect().unwrap());
    client.set_encodings(&[ZRLE, COPY]);
    client.refresh();
    for line in 1..4 {
        rig.draw(|x, y| glyphs(x, y + 16 * line));
        client.refresh();
        assert_eq!(client.encodings[0], COPY);
        same(&client, &rig.surface, "scrolled");
    }
}

#[test]
fn pointer_shapes() {
    let rig = Rig::new(64, 64, Options::default());
    let mut client = Client::new(rig.server.connect().unwrap());
    client.set_encodings(&[-239]);
    client.refresh();
    assert_eq!(client.cursor, Some((0, 0, 0, 0, vec![], vec![])));
    let shape = |pixels| {
        Some(Cursor {
            width: 9,
            height: 1,
            hot_x: 20,
            hot_y: 0,
            pixels,
        })
    };
    let pixels = vec![0xff11_2233, 0, 0, 0, 0, 0, 0, 0, 0x8044_5566];
    rig.surface.draw(|frame| frame.set_cursor(shape(pixels)));
    client.refresh();
    let (x, y, width, height, pixels, mask) = client.cursor.take().unwrap();
    assert_eq!((x, y, width, height), (8, 0, 9, 1));
    assert_eq!(pixels[..8], [0x33, 0x22, 0x11, 0, 0, 0, 0, 0]);
    assert_eq!(mask, [0x80, 0x80]);
    // A shape with fewer pixels than it says is none.
    rig.surface
        .draw(|frame| frame.set_cursor(shape(vec![0; 3])));
    client.refresh();
    assert_eq!(client.cursor.take().unwrap().2, 0);
}
