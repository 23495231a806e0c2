//! The picture as textures: each is new to the toolkit, but only what changed is copied and uploaded.

use std::sync::Arc;

use relm4::gtk::{cairo, gdk, glib};

use super::frame::{Area, Damage, Frame, PIXEL};

/// Buffers that are kept: one that is shown, one that the toolkit may still hold, one to draw into.
const MOST_BUFFERS: usize = 3;

/// Pixels that a texture shows and that can be used again once it is gone.
struct Pixels(Arc<Vec<u8>>);

impl AsRef<[u8]> for Pixels {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

struct Buffer {
    pixels: Arc<Vec<u8>>,
    /// What changed since the buffer was drawn.
    stale: Damage,
}

/// The textures of one picture.
#[derive(Default)]
pub struct Textures {
    size: (usize, usize),
    buffers: Vec<Buffer>,
    latest: Option<gdk::Texture>,
}

impl Textures {
    /// The texture of `frame`, of which `damage` is new; none before there is a picture.
    pub fn update(&mut self, frame: &Frame, damage: &Damage) -> Option<gdk::Texture> {
        let size @ (width, height) = frame.size();
        if size != self.size {
            *self = Self {
                size,
                ..Self::default()
            };
        }
        if width == 0 || height == 0 {
            return None;
        }
        if damage.areas().is_empty() && self.latest.is_some() {
            return self.latest.clone();
        }
        for buffer in &mut self.buffers {
            buffer.stale.extend(damage);
        }
        let pixels = self.draw(frame);
        let builder = gdk::MemoryTextureBuilder::new()
            .set_bytes(Some(&glib::Bytes::from_owned(Pixels(pixels))))
            .set_format(gdk::MemoryFormat::B8g8r8x8)
            .set_width(i32::try_from(width).ok()?)
            .set_height(i32::try_from(height).ok()?)
            .set_stride(width * PIXEL);
        let builder = match &self.latest {
            Some(latest) => builder
                .set_update_texture(Some(latest))
                .set_update_region(Some(&region(damage))),
            None => builder,
        };
        self.latest = Some(builder.build());
        self.latest.clone()
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
                let (width, height) = self.size;
                let mut stale = Damage::default();
                stale.add(Area {
                    x: 0,
                    y: 0,
                    width,
                    height,
                });
                if self.buffers.len() >= MOST_BUFFERS {
                    self.buffers.remove(0);
                }
                Buffer {
                    pixels: Arc::new(vec![0; width * height * PIXEL]),
                    stale,
                }
            }
        };
        if let Some(pixels) = Arc::get_mut(&mut buffer.pixels) {
            for area in std::mem::take(&mut buffer.stale).areas() {
                for y in area.y..area.y + area.height {
                    let row = frame.row(*area, y);
                    let start = (y * self.size.0 + area.x) * PIXEL;
                    if let Some(place) = pixels.get_mut(start..start + row.len()) {
                        place.copy_from_slice(row);
                    }
                }
            }
        }
        let pixels = Arc::clone(&buffer.pixels);
        self.buffers.push(buffer);
        pixels
    }
}

fn region(damage: &Damage) -> cairo::Region {
    let number = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    let rectangles: Vec<_> = damage
        .areas()
        .iter()
        .map(|area| {
            cairo::RectangleInt::new(
                number(area.x),
                number(area.y),
                number(area.width),
                number(area.height),
            )
        })
        .collect();
    cairo::Region::create_rectangles(&rectangles)
}
