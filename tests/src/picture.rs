//! The picture on a guest's screen, to be measured: screens without text are told apart by their size, colours and stillness.

use guesthouse_engine::display::{Rectangle, Surface};

/// A copy of what a screen showed at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    pixels: Vec<u32>,
}

impl Picture {
    /// What is on `surface` now.
    pub fn of(surface: &Surface) -> Self {
        let view = surface.view();
        let (width, height) = view.size();
        Self {
            width,
            height,
            pixels: view.pixels().to_vec(),
        }
    }

    /// The whole of it.
    pub fn all(&self) -> Rectangle {
        Rectangle::new(0, 0, self.width, self.height)
    }

    /// The part of it that starts at `left`, `top` and ends before `right`, `bottom`, in hundredths of its size.
    pub fn part(&self, left: u32, top: u32, right: u32, bottom: u32) -> Rectangle {
        let (x, y) = (self.width * left / 100, self.height * top / 100);
        Rectangle::new(
            x,
            y,
            self.width * right / 100 - x,
            self.height * bottom / 100 - y,
        )
    }

    /// The pixels of `part`, 0x00RRGGBB, row by row.
    pub fn pixels(&self, part: Rectangle) -> impl Iterator<Item = u32> {
        let part = part
            .clipped(self.width, self.height)
            .unwrap_or(Rectangle::new(0, 0, 0, 0));
        (part.y..part.y + part.height).flat_map(move |y| {
            let start = y as usize * self.width as usize + part.x as usize;
            self.pixels[start..start + part.width as usize]
                .iter()
                .copied()
        })
    }

    /// How many hundredths of `part` have a colour that `wanted` accepts, given red, green and blue.
    ///
    /// # Panics
    /// When the part is empty.
    pub fn share(&self, part: Rectangle, wanted: impl Fn(u8, u8, u8) -> bool) -> u64 {
        let count = self
            .pixels(part)
            .filter(|pixel| {
                let [_, red, green, blue] = pixel.to_be_bytes();
                wanted(red, green, blue)
            })
            .count();
        count as u64 * 100 / part.area()
    }

    /// How many pixels of `part` differ from those of `other`; all of them when the sizes differ.
    pub fn difference(&self, other: &Self, part: Rectangle) -> u64 {
        if (self.width, self.height) != (other.width, other.height) {
            return part.area();
        }
        let differing = self
            .pixels(part)
            .zip(other.pixels(part))
            .filter(|(one, other)| one != other);
        differing.count() as u64
    }
}
