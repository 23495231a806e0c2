//! A picture of the screen as a file: Portable Network Graphics (third edition), 8 bits each of red, green and blue.

use super::Surface;

/// The largest a picture for a list is, in pixels.
const MOST_WIDTH: u32 = 320;
const MOST_HEIGHT: u32 = 240;

/// Why there is no screenshot.
#[derive(Debug, thiserror::Error)]
#[error("could not encode the screen as PNG: {0}")]
pub struct ScreenshotError(#[from] png::EncodingError);

/// The screen as it is now, as the contents of a PNG file.
///
/// # Errors
/// When the encoder refuses the picture.
pub fn png(surface: &Surface) -> Result<Vec<u8>, ScreenshotError> {
    let (width, height, pixels) = {
        let view = surface.view();
        let (width, height) = view.size();
        (width, height, view.pixels().to_vec())
    };
    let mut samples = Vec::with_capacity(pixels.len() * 3);
    for pixel in pixels {
        let [_, red, green, blue] = pixel.to_be_bytes();
        samples.extend_from_slice(&[red, green, blue]);
    }
    encode(width, height, &samples)
}

/// The screen, made small enough for a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reduced {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Red, green and blue of each pixel, row by row.
    pub samples: Vec<u8>,
}

/// The screen as it is now, made small enough for a list; nothing while it shows nothing.
pub fn reduced(surface: &Surface) -> Option<Reduced> {
    let view = surface.view();
    let (width, height) = view.size();
    let first = view.pixels().first().map(|pixel| pixel & 0x00ff_ffff);
    let blank = view
        .pixels()
        .iter()
        .all(|pixel| Some(pixel & 0x00ff_ffff) == first);
    if blank {
        return None;
    }
    // Whole pixels become one: each part is the mean of a square.
    let step = width
        .div_ceil(MOST_WIDTH)
        .max(height.div_ceil(MOST_HEIGHT))
        .max(1);
    let (small_width, small_height) = (width.div_ceil(step), height.div_ceil(step));
    let mut samples = Vec::new();
    for top in (0..height).step_by(usize::try_from(step).unwrap_or(1)) {
        let mut sums = vec![[0_u32; 4]; usize::try_from(small_width).unwrap_or(0)];
        for y in top..height.min(top.saturating_add(step)) {
            let columns = view.row(y).chunks(usize::try_from(step).unwrap_or(1));
            for (sum, column) in sums.iter_mut().zip(columns) {
                for pixel in column {
                    let [_, red, green, blue] = pixel.to_be_bytes();
                    for (sum, part) in sum.iter_mut().zip([red, green, blue, 1]) {
                        *sum += u32::from(part);
                    }
                }
            }
        }
        for [red, green, blue, count] in sums {
            let mean = |sum: u32| u8::try_from(sum / count.max(1)).unwrap_or(u8::MAX);
            samples.extend([mean(red), mean(green), mean(blue)]);
        }
    }
    Some(Reduced {
        width: small_width,
        height: small_height,
        samples,
    })
}

/// As [`reduced`], as the contents of a PNG file.
///
/// # Errors
/// When the encoder refuses the picture.
pub fn thumbnail(surface: &Surface) -> Result<Option<Vec<u8>>, ScreenshotError> {
    let encoded = reduced(surface).map(|small| encode(small.width, small.height, &small.samples));
    encoded.transpose()
}

fn encode(width: u32, height: u32, samples: &[u8]) -> Result<Vec<u8>, ScreenshotError> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(samples)?;
    writer.finish()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thumbnail_is_small_and_a_blank_screen_has_none() {
        let surface = Surface::new(1281, 3);
        assert!(thumbnail(&surface).unwrap().is_none());
        surface.draw(|frame| {
            // Half of the first five by three pixels are white.
            frame.draw_row(0, 0, &[0x00ff_ffff; 5]);
            frame.draw_row(0, 1, &[0x00ff_ffff; 2]);
            frame.draw_row(1280, 0, &[0x0000_ff00]);
            frame.draw_row(1280, 1, &[0x0000_ff00]);
            frame.draw_row(1280, 2, &[0x0000_ff00]);
        });
        let file = thumbnail(&surface).unwrap().unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(file))
            .read_info()
            .unwrap();
        let mut samples = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut samples).unwrap();
        assert_eq!((info.width, info.height), (257, 1));
        assert_eq!(samples[..3], [119; 3]);
        assert_eq!(samples[256 * 3..], [0, 0xff, 0]);
        assert_eq!(samples[3..256 * 3], [0; 255 * 3]);
    }

    #[test]
    fn what_was_drawn_is_in_the_file() {
        let surface = Surface::new(3, 2);
        surface.draw(|frame| {
            frame.draw_row(1, 1, &[0x0012_3456, 0x00ff_00ff]);
        });
        let file = png(&surface).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(file))
            .read_info()
            .unwrap();
        let mut samples = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut samples).unwrap();
        assert_eq!((info.width, info.height), (3, 2));
        assert_eq!(samples[12..18], [0x12, 0x34, 0x56, 0xff, 0, 0xff]);
        assert_eq!(samples[..12], [0; 12]);
    }
}
