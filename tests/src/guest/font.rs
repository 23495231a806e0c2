//! Reading text off a screen in graphics: Linux draws its console there in characters of one size, 8 by 16 pixels, in rows and columns. What each
//! looks like is learnt from a guest; all kernels have the same.

use std::collections::HashMap;
use std::sync::OnceLock;

use guesthouse_engine::display::Rectangle;

use super::Guest;
use crate::picture::Picture;

const WIDTH: u32 = 8;
const HEIGHT: u32 = 16;

/// The font of Linux's console, once it was learnt.
static CONSOLE: OnceLock<Font> = OnceLock::new();

/// What characters look like: a bit for each pixel that is not of the background.
#[derive(Debug, Default)]
pub struct Font(HashMap<u128, char>);

/// The pixels of a cell that are not black; the console's background is.
fn shape(picture: &Picture, column: u32, row: u32) -> u128 {
    let cell = Rectangle::new(column * WIDTH, row * HEIGHT, WIDTH, HEIGHT);
    picture
        .pixels(cell)
        .fold(0, |bits, pixel| bits << 1 | u128::from(pixel != 0))
}

impl Font {
    /// The font of Linux's console, if a guest of this process has shown it.
    pub fn console() -> Option<&'static Self> {
        CONSOLE.get()
    }

    /// The font of a picture whose first row shows `characters`, from the left on; none when two of them look alike, or one like nothing.
    pub fn learn(picture: &Picture, characters: &str) -> Option<Self> {
        let mut glyphs = HashMap::from([(0, ' ')]);
        for (column, character) in (0..picture.width / WIDTH).zip(characters.chars()) {
            let other = glyphs.insert(shape(picture, column, 0), character);
            if other.is_some() {
                return None;
            }
        }
        (glyphs.len() == characters.chars().count() + 1).then_some(Self(glyphs))
    }

    /// The text on a picture, a line each row; what is no character that was learnt is `\u{fffd}`.
    pub fn read(&self, picture: &Picture) -> Vec<String> {
        let columns = picture.width / WIDTH;
        let line = |row: u32| {
            (0..columns)
                .map(|column| {
                    let glyph = self.0.get(&shape(picture, column, row));
                    glyph.copied().unwrap_or(char::REPLACEMENT_CHARACTER)
                })
                .collect()
        };
        (0..picture.height / HEIGHT).map(line).collect()
    }
}

impl Guest {
    /// Learns what characters look like on the screen of a Linux guest whose console is in graphics, by the shell on the serial line; from then
    /// on [`Guest::screen`] has such consoles' text.
    ///
    /// # Panics
    /// When the characters do not come onto the screen within `seconds`.
    pub fn learn_font(&self, seconds: u64) {
        if CONSOLE.get().is_some() {
            return;
        }
        let characters: String = ('!'..='~').collect();
        // A page of its own, without a cursor. The shell takes quotes apart, printf the rest.
        let quoted = characters
            .replace('\\', "\\\\")
            .replace('%', "%%")
            .replace('\'', "'\\''");
        self.shell(
            &format!("chvt 5; printf '\\033[?25l\\033[2J\\033[H{quoted}' >/dev/tty5"),
            seconds,
        );
        let picture = self.wait_for_picture("a console in graphics", seconds, 1, |picture| {
            Font::learn(picture, &characters).is_some()
        });
        if let Some(font) = Font::learn(&picture, &characters) {
            // Another test may have learnt it too.
            let _ = CONSOLE.set(font);
        }
        self.keep_screen("font");
        self.shell("chvt 1", seconds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_learnt_font_reads_what_it_knows() {
        // Character n is a bar of n pixels at the top of its cell.
        let bars = |lengths: &'static [u32]| {
            Picture::draw(64, 32, move |x, y| {
                let row = if y < HEIGHT { lengths } else { &[3, 1] };
                let length = row.get((x / WIDTH) as usize).copied().unwrap_or(0);
                u32::from(y % HEIGHT == 0 && x % WIDTH < length) * 0xaa_aaaa
            })
        };
        let font = Font::learn(&bars(&[1, 2, 3]), "abc").unwrap();
        assert_eq!(
            font.read(&bars(&[2, 0, 4])),
            ["b \u{fffd}     ", "ca      "]
        );
        for alike in [bars(&[1, 1, 3]), bars(&[1, 2, 0])] {
            assert!(Font::learn(&alike, "abc").is_none());
        }
    }
}
