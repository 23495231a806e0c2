//! A picture of the screen as a file: Portable Network Graphics (third edition), 8 bits each of red, green and blue.

use super::Surface;

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
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&samples)?;
    writer.finish()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

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
