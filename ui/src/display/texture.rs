//! The picture as textures: each is new to the toolkit, but only what changed is copied and uploaded.

use std::sync::Arc;

use guesthouse_engine::display::{Frame, Rectangle};
use relm4::gtk::{cairo, gdk, glib};

/// Buffers that are kept: one that is shown, one that the toolkit may still hold, one to draw into.
const MOST_BUFFERS: usize = 3;
/// Bytes of a pixel.
const PIXEL: usize = 4;

/// Pixels that a texture shows and that can be used again once it is gone: blue, green, red and an unused byte each.
struct Pixels(Arc<Vec<u8>>);

impl AsRef<[u8]> for Pixels {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

struct Buffer {
    pixels: Arc<Vec<u8>>,
    /// The number of the change that it was brought up to.
    seen: u64,
}

/// The textures of one picture.
#[derive(Default)]
pub struct Textures {
    size: (u32, u32),
    buffers: Vec<Buffer>,
    /// The latest, and the number of the change that it shows.
    latest: Option<(gdk::Texture, u64)>,
}

impl Textures {
    /// The texture that shows `frame`; the same as before if no pixel of it changed.
    pub fn update(&mut self, frame: &Frame) -> Option<gdk::Texture> {
        if frame.size() != self.size {
            *self = Self {
                size: frame.size(),
                ..Self::default()
            };
        }
        let now = frame.sequence();
        let damage = self
            .latest
            .as_ref()
            .map(|(_, shown)| frame.changed_since(*shown));
        if damage.as_ref().is_some_and(Vec::is_empty) {
            return self.latest.as_ref().map(|(texture, _)| texture.clone());
        }
        let (width, height) = self.size;
        let pixels = self.draw(frame);
        let builder = gdk::MemoryTextureBuilder::new()
            .set_bytes(Some(&glib::Bytes::from_owned(Pixels(pixels))))
            .set_format(gdk::MemoryFormat::B8g8r8x8)
            .set_width(i32::try_from(width).ok()?)
            .set_height(i32::try_from(height).ok()?)
            .set_stride(width as usize * PIXEL);
        let texture = match (&self.latest, damage) {
            (Some((latest, _)), Some(damage)) => builder
                .set_update_texture(Some(latest))
                .set_update_region(Some(&region(&damage))),
            _ => builder,
        }
        .build();
        self.latest = Some((texture.clone(), now));
        Some(texture)
    }

    /// Brings a buffer that nobody looks at up to date.
    fn draw(&mut self, frame: &Frame) -> Arc<Vec<u8>> {
        let free = self
            .buffers
            .iter_mut()
            .position(|buffer| Arc::get_mut(&mut buffer.pixels).is_some());
        let mut buffer = match free {
            Some(free) => self.buffers.swap_remove(free),
            None => {
                if self.buffers.len() >= MOST_BUFFERS {
                    self.buffers.remove(0);
                }
                let (width, height) = self.size;
                Buffer {
                    pixels: Arc::new(vec![0; width as usize * height as usize * PIXEL]),
                    // Older than everything.
                    seen: 0,
                }
            }
        };
        if let Some(pixels) = Arc::get_mut(&mut buffer.pixels) {
            for part in frame.changed_since(buffer.seen) {
                copy(frame, part, pixels);
            }
            buffer.seen = frame.sequence();
        }
        let pixels = Arc::clone(&buffer.pixels);
        self.buffers.push(buffer);
        pixels
    }
}

/// Copies a part of the picture to its place in the bytes of a picture of the same size.
fn copy(frame: &Frame, part: Rectangle, pixels: &mut [u8]) {
    let stride = frame.size().0 as usize * PIXEL;
    let columns = part.x as usize..(part.x + part.width) as usize;
    for y in part.y..part.y + part.height {
        let start = y as usize * stride + columns.start * PIXEL;
        let from = frame.row(y).get(columns.clone()).unwrap_or(&[]);
        let to = pixels.get_mut(start..start + from.len() * PIXEL);
        let places = to.unwrap_or(&mut []).as_chunks_mut::<PIXEL>().0.iter_mut();
        for (place, pixel) in places.zip(from) {
            *place = pixel.to_le_bytes();
        }
    }
}

fn region(damage: &[Rectangle]) -> cairo::Region {
    let number = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    let rectangles: Vec<_> = damage
        .iter()
        .map(|part| {
            cairo::RectangleInt::new(
                number(part.x),
                number(part.y),
                number(part.width),
                number(part.height),
            )
        })
        .collect();
    cairo::Region::create_rectangles(&rectangles)
}

#[cfg(test)]
mod tests {
    use guesthouse_engine::display::Surface;

    use super::*;

    fn shown(surface: &Surface, pixels: &[u8]) {
        let view = surface.view();
        let expected: Vec<u8> = view
            .pixels()
            .iter()
            .flat_map(|pixel| pixel.to_le_bytes())
            .collect();
        assert!(pixels == expected);
    }

    #[test]
    fn buffers_of_any_age_are_brought_up_to_date_while_others_are_held() {
        let surface = Surface::new(200, 130);
        let mut textures = Textures {
            size: (200, 130),
            ..Textures::default()
        };
        let mut held = Vec::new();
        for step in 0..12_u32 {
            surface.draw(|frame| {
                frame.draw_row(step * 16, step * 10, &[step; 9]);
                frame.draw_row(0, 129, &[step; 200]);
            });
            let pixels = textures.draw(&surface.view());
            shown(&surface, &pixels);
            held.push(pixels);
            if step % 3 == 0 {
                held.clear();
            }
            assert!(textures.buffers.len() <= MOST_BUFFERS);
        }
    }
}
