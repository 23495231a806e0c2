//! The picture on a guest's screen, to be measured: screens without text are told apart by their size, colours and stillness.

use std::path::Path;

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

    /// The first place, row by row, where it differs from `other`: the left end and the top of the rectangle around all that differs.
    pub fn first_difference(&self, other: &Self) -> Option<(u32, u32)> {
        if (self.width, self.height) != (other.width, other.height) {
            return None;
        }
        let mut differing =
            (0..self.pixels.len()).filter(|at| self.pixels[*at] != other.pixels[*at]);
        let first = differing.next()?;
        let width = self.width as usize;
        let left = differing
            .map(|at| at % width)
            .fold(first % width, usize::min);
        Some((
            u32::try_from(left).ok()?,
            u32::try_from(first / width).ok()?,
        ))
    }

    /// As a PNG file.
    ///
    /// # Panics
    /// When it has no pixels.
    pub fn png(&self) -> Vec<u8> {
        let bytes = self.pixels.iter().flat_map(|pixel| {
            let [_, red, green, blue] = pixel.to_be_bytes();
            [red, green, blue]
        });
        encode(self.width, self.height, &bytes.collect::<Vec<_>>())
    }
}

fn encode(width: u32, height: u32, colours: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(colours).unwrap();
    writer.finish().unwrap();
    file
}

/// Into how many parts a screen is divided for a comparison.
const COLUMNS: u32 = 64;
const ROWS: u32 = 48;
/// How much a part's mean colour may differ, of 255.
const TOLERANCE: u8 = 24;
/// How many hundredths of the parts may differ more: clocks, counters, the pointer.
const OTHERS: usize = 4;

/// A screen reduced to its parts' mean colours, which small differences of fonts and drawing do not change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    colours: Vec<u8>,
}

impl Reference {
    /// What `picture` is reduced to.
    pub fn of(picture: &Picture) -> Self {
        let mut colours = Vec::new();
        for row in 0..ROWS {
            for column in 0..COLUMNS {
                let edge = |length: u32, part: u32, parts: u32| length * part / parts;
                let (x, y) = (
                    edge(picture.width, column, COLUMNS),
                    edge(picture.height, row, ROWS),
                );
                let width = edge(picture.width, column + 1, COLUMNS).max(x + 1) - x;
                let height = edge(picture.height, row + 1, ROWS).max(y + 1) - y;
                let mut sums = [0_u64; 3];
                let mut count = 0;
                for pixel in picture.pixels(Rectangle::new(x, y, width, height)) {
                    let [_, red, green, blue] = pixel.to_be_bytes();
                    for (sum, colour) in sums.iter_mut().zip([red, green, blue]) {
                        *sum += u64::from(colour);
                    }
                    count += 1;
                }
                colours.extend(sums.map(|sum| u8::try_from(sum / count.max(1)).unwrap_or(u8::MAX)));
            }
        }
        Self { colours }
    }

    /// The reference picture tests/pictures/NAME.png.
    ///
    /// # Panics
    /// When it is not there or has another size.
    pub fn load(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("pictures/{name}.png"));
        let file = std::fs::File::open(&path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut reader = png::Decoder::new(std::io::BufReader::new(file))
            .read_info()
            .unwrap();
        let mut colours = vec![0; (COLUMNS * ROWS * 3) as usize];
        assert_eq!(
            reader.output_buffer_size(),
            Some(colours.len()),
            "{}",
            path.display()
        );
        reader.next_frame(&mut colours).unwrap();
        Self { colours }
    }

    /// As a PNG file, of the size of a reference picture.
    pub fn png(&self) -> Vec<u8> {
        encode(COLUMNS, ROWS, &self.colours)
    }

    /// Whether `picture` looks like it.
    pub fn is_like(&self, picture: &Picture) -> bool {
        let other = Self::of(picture);
        let parts = self.colours.chunks(3).zip(other.colours.chunks(3));
        let others = parts
            .filter(|(one, other)| {
                let mut colours = one.iter().zip(*other);
                colours.any(|(one, other)| one.abs_diff(*other) > TOLERANCE)
            })
            .count();
        others * 100 <= OTHERS * (COLUMNS * ROWS) as usize
    }
}

#[cfg(test)]
impl Picture {
    pub(crate) fn draw(width: u32, height: u32, pixel: impl Fn(u32, u32) -> u32) -> Self {
        let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        Self {
            width,
            height,
            pixels: pixels.map(|(x, y)| pixel(x, y)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_like_itself_in_another_size_and_with_a_clock_but_not_like_another() {
        let halves = |width: u32| move |x, _| if x < width / 2 { 0x20_4080 } else { 0xff_ffff };
        let reference = Reference::of(&Picture::draw(640, 480, halves(640)));
        assert!(reference.is_like(&Picture::draw(1280, 800, halves(1280))));
        let clock = |x, y| {
            if x > 1200 && y < 60 {
                0
            } else {
                halves(1280)(x, y)
            }
        };
        assert!(reference.is_like(&Picture::draw(1280, 800, clock)));
        assert!(!reference.is_like(&Picture::draw(1280, 800, halves(1000))));
        assert!(!reference.is_like(&Picture::draw(1, 1, |_, _| 0)));
    }

    #[test]
    fn what_differs_is_found_by_its_upper_left_corner() {
        let plain = Picture::draw(100, 50, |_, _| 7);
        let pointer = Picture::draw(100, 50, |x, y| u32::from((20..25).contains(&x) && y >= 30));
        let other = Picture::draw(100, 50, |_, _| 0);
        assert_eq!(pointer.first_difference(&other), Some((20, 30)));
        assert_eq!(plain.first_difference(&plain), None);
        assert!(plain.png().starts_with(b"\x89PNG"));
    }
}
