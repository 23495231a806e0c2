//! What the display tells about itself: a block of Extended Display Identification Data.
//! VESA Enhanced EDID Standard, release A, revision 2 (structure 1.4).

/// The size of the block in bytes.
pub(crate) const LENGTH: usize = 128;

/// The display's size is given for this many pixels to the inch.
const DOTS_PER_INCH: u32 = 96;

/// A standard timing: width, height, both 60 Hz.
const STANDARD: [(u32, u32); 8] = [
    (1920, 1200),
    (1920, 1080),
    (1680, 1050),
    (1600, 1200),
    (1440, 900),
    (1280, 1024),
    (1280, 960),
    (1280, 720),
];

fn low_byte(value: u32) -> u8 {
    value.to_le_bytes()[0]
}

/// A standard timing's two bytes: the width, the aspect ratio, 60 Hz.
fn standard_timing(width: u32, height: u32) -> [u8; 2] {
    let aspect = match (width * 100) / height {
        160 => 0,
        133 => 1,
        125 => 2,
        _ => 3,
    };
    [low_byte(width / 8 - 31), aspect << 6]
}

fn millimetres(pixels: u32) -> u32 {
    pixels * 254 / DOTS_PER_INCH / 10
}

/// A detailed timing with reduced blanking at 60 Hz (VESA Coordinated Video Timings 1.1).
fn detailed_timing(width: u32, height: u32) -> [u8; 18] {
    let (blank, front, sync) = (160, 48, 32);
    let (lines_front, lines_sync) = (3, 6);
    // The vertical blanking lasts at least 460 microseconds of a picture's 16,667.
    let lines_blank = (height * 460).div_ceil(16_667 - 460) + 1;
    let clock = (width + blank) * (height + lines_blank) * 60 / 10_000;
    let [clock_low, clock_high, ..] = clock.to_le_bytes();
    let (wide, high) = (millimetres(width), millimetres(height));
    let nibbles = |left: u32, right: u32| low_byte((left >> 8 & 0xf) << 4 | (right >> 8 & 0xf));
    [
        clock_low,
        clock_high,
        low_byte(width),
        low_byte(blank),
        nibbles(width, blank),
        low_byte(height),
        low_byte(lines_blank),
        nibbles(height, lines_blank),
        low_byte(front),
        low_byte(sync),
        low_byte(lines_front << 4 | lines_sync),
        0,
        low_byte(wide),
        low_byte(high),
        nibbles(wide, high),
        0,
        0,
        // Digital separate synchronisation, horizontal positive, vertical negative.
        0x1a,
    ]
}

/// A display descriptor of text: `tag`, and up to 13 characters.
fn text_descriptor(tag: u8, text: &str) -> [u8; 18] {
    let mut descriptor = [b' '; 18];
    descriptor[..5].copy_from_slice(&[0, 0, 0, tag, 0]);
    for (to, from) in descriptor[5..].iter_mut().zip(text.bytes().chain([b'\n'])) {
        *to = from;
    }
    descriptor
}

/// The block of a display that prefers `width` by `height` pixels (each 320 to 4095).
pub(crate) fn block(width: u32, height: u32) -> [u8; LENGTH] {
    let (width, height) = (width.clamp(320, 4095), height.clamp(320, 4095));
    let mut block = [0; LENGTH];
    let mut put = |at: usize, bytes: &[u8]| {
        for (to, from) in block.iter_mut().skip(at).zip(bytes) {
            *to = *from;
        }
    };
    put(0, &[0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0]);
    // The maker as three letters of five bits each.
    let maker = b"GHV"
        .iter()
        .fold(0_u16, |all, letter| all << 5 | u16::from(letter - b'@'));
    put(8, &maker.to_be_bytes());
    put(10, &0x1111_u16.to_le_bytes());
    // Made in 2026; structure 1.4; digital, 8 bits for each colour.
    put(16, &[0, 36, 1, 4, 0xa0]);
    put(
        21,
        &[
            low_byte(millimetres(width) / 10),
            low_byte(millimetres(height) / 10),
            120,
        ],
    );
    // sRGB, and the first detailed timing is the native one; the primaries of sRGB.
    put(
        24,
        &[
            0x06, 0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54,
        ],
    );
    // 640x480, 800x600 and 1024x768, 60 Hz each.
    put(35, &[0x21, 0x08, 0]);
    for (at, (width, height)) in (38..).step_by(2).zip(STANDARD) {
        put(at, &standard_timing(width, height));
    }
    put(54, &detailed_timing(width, height));
    // Range limits: 50 to 125 Hz, 30 to 160 kHz, 600 MHz, no formula.
    put(
        72,
        &[
            0, 0, 0, 0xfd, 0, 50, 125, 30, 160, 60, 1, b'\n', b' ', b' ', b' ', b' ', b' ', b' ',
        ],
    );
    put(90, &text_descriptor(0xfc, "Guesthouse"));
    put(108, &text_descriptor(0xff, "1"));
    let sum = block.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    block[LENGTH - 1] = sum.wrapping_neg();
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_is_whole_and_prefers_its_size() {
        for (width, height) in [(1280, 800), (2560, 1600), (640, 480), (0, u32::MAX)] {
            let block = block(width, height);
            assert_eq!(
                block.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)),
                0
            );
            let timing = &block[54..72];
            let across = u32::from(timing[2]) | u32::from(timing[4] >> 4) << 8;
            let down = u32::from(timing[5]) | u32::from(timing[7] >> 4) << 8;
            assert_eq!(
                (across, down),
                (width.clamp(320, 4095), height.clamp(320, 4095))
            );
        }
        let block = block(1280, 800);
        assert_eq!(&block[..8], [0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0]);
        assert_eq!(&block[16..20], [0, 36, 1, 4]);
        let clock = u32::from(block[54]) | u32::from(block[55]) << 8;
        let lines = 800 + u32::from(block[60]);
        assert_eq!(
            clock * 10_000 / (1280 + 160) / lines,
            59,
            "just below 60 Hz by rounding"
        );
        assert_eq!(
            &block[90..],
            text_descriptor(0xfc, "Guesthouse")
                .iter()
                .chain(&text_descriptor(0xff, "1"))
                .chain(&[0, block[127]])
                .copied()
                .collect::<Vec<_>>()
        );
    }

    #[test]
    fn standard_timings() {
        assert_eq!(standard_timing(1920, 1080), [0xd1, 0xc0]);
        assert_eq!(standard_timing(1280, 1024), [0x81, 0x80]);
        assert_eq!(standard_timing(1600, 1200), [0xa9, 0x40]);
        assert_eq!(standard_timing(1680, 1050), [0xb3, 0x00]);
    }
}
