//! Every kind of mode, drawn from memory that the test filled, pixel by pixel.

use super::super::tests::*;
use super::*;
use crate::bus::MemoryDevice;
use crate::bus::{Width, shared};
use crate::display::DisplayThread;
use crate::display::vga::{MAXIMUM_HEIGHT, MAXIMUM_WIDTH};

/// What the guest wrote by itself.
enum Log {
    Nothing,
    Unknown,
    Byte(usize),
}

impl DirtySource for Log {
    fn take(&mut self, region: &MemoryRegion) -> Option<Vec<u64>> {
        let mut words = vec![0; region.size() / 4096 / 64];
        match self {
            Self::Nothing => {}
            Self::Unknown => return None,
            Self::Byte(at) => words[*at / 4096 / 64] |= 1 << (*at / 4096 % 64),
        }
        Some(words)
    }
}

struct Screen {
    adapter: Shared<Vga>,
    surface: Arc<Surface>,
    renderer: Renderer,
}

impl Screen {
    fn new(guest: Guest) -> Self {
        let (adapter, surface) = (shared(guest.0), Arc::new(Surface::default()));
        let renderer = Renderer::new(adapter.clone(), surface.clone());
        let mut screen = Self {
            adapter,
            surface,
            renderer,
        };
        screen.refresh();
        screen
    }

    fn refresh_with(&mut self, log: &mut Log, milliseconds: u64) -> Refreshed {
        self.renderer
            .refresh_at(log, Duration::from_millis(milliseconds))
    }

    fn refresh(&mut self) -> Refreshed {
        self.refresh_with(&mut Log::Nothing, 0)
    }

    fn guest(&mut self, does: impl FnOnce(&mut Guest)) {
        let mut adapter = self.adapter.lock();
        let vga = std::mem::replace(&mut *adapter, Vga::new(&[]).unwrap());
        let mut guest = Guest(vga);
        does(&mut guest);
        *adapter = guest.0;
    }

    fn size(&self) -> (u32, u32) {
        self.surface.view().size()
    }

    fn pixel(&self, x: usize, y: u32) -> u32 {
        self.surface.view().row(y)[x]
    }

    fn row(&self, y: u32, from: usize, count: usize) -> Vec<u32> {
        self.surface.view().row(y)[from..from + count].to_vec()
    }
}

/// What colour number `entry` of the converter looks like.
fn shade(entry: u8) -> u32 {
    let wide = |value: u8| u32::from(value << 2 | value >> 4);
    let value = entry & 0x3f;
    wide(value) << 16 | wide(63 - value) << 8
}

/// What one of the sixteen colours of text looks like.
fn text_colour(colour: u8) -> u32 {
    shade(MODE_3.attribute[usize::from(colour)])
}

fn with_mode(mode: &Mode) -> Guest {
    let mut guest = Guest::new();
    guest.mode(mode);
    guest
}

fn dots(bits: &str, on: u32, off: u32) -> Vec<u32> {
    bits.chars()
        .map(|bit| if bit == '1' { on } else { off })
        .collect()
}

#[test]
fn text_of_eighty_columns() {
    let mut guest = with_mode(&MODE_3);
    guest.glyph(0, u64::from(b'A'), &[0b1100_0011, 0b1000_0001]);
    guest.glyph(0, 0xc4, &[0xff]);
    guest.poke(0xb8000, &[b'A', 0x1e, 0xc4, 0x07, b'A', 0x07]);
    guest.poke(0xb8000 + 160, b"A\x70");
    let screen = Screen::new(guest);
    assert_eq!(screen.size(), (720, 400));
    let (yellow, blue, grey, black) = (
        text_colour(14),
        text_colour(1),
        text_colour(7),
        text_colour(0),
    );
    assert_eq!(screen.row(0, 0, 9), dots("110000110", yellow, blue));
    assert_eq!(screen.row(1, 0, 9), dots("100000010", yellow, blue));
    assert_eq!(screen.row(2, 0, 9), dots("000000000", yellow, blue));
    assert_eq!(
        screen.row(0, 9, 9),
        dots("111111111", grey, black),
        "lines join in the ninth dot"
    );
    assert_eq!(
        screen.row(0, 18, 9),
        dots("110000110", grey, black),
        "other characters do not"
    );
    assert_eq!(screen.row(16, 0, 9), dots("110000110", black, grey));
}

#[test]
fn text_of_forty_columns_is_twice_as_wide() {
    let mut guest = with_mode(&MODE_1);
    guest.glyph(0, 1, &[0b1010_0000]);
    guest.poke(0xb8000, &[1, 0x07]);
    guest.poke(0xb8000 + 80, &[1, 0x07]);
    let screen = Screen::new(guest);
    assert_eq!(screen.size(), (720, 400));
    let expected = dots("110011000000000000", text_colour(7), text_colour(0));
    assert_eq!(screen.row(0, 0, 18), expected);
    assert_eq!(screen.row(16, 0, 18), expected);
}

#[test]
fn eight_dot_characters_and_a_font_of_eight_lines() {
    let mut guest = with_mode(&MODE_3);
    guest.set(0x3c4, 1, 1);
    guest.set(0x3d4, 9, 0x47);
    guest.glyph(0, 1, &[0x80, 0, 0, 0, 0, 0, 0, 0x01]);
    guest.poke(0xb8000 + 49 * 160, &[1, 0x07]);
    let screen = Screen::new(guest);
    assert_eq!(screen.size(), (640, 400));
    assert_eq!(
        screen.row(392, 0, 8),
        dots("10000000", text_colour(7), text_colour(0))
    );
    assert_eq!(
        screen.row(399, 0, 8),
        dots("00000001", text_colour(7), text_colour(0))
    );
    assert_eq!(screen.adapter.lock().text().unwrap()[49], "☺");
}

#[test]
fn two_fonts_by_the_attribute() {
    let mut guest = with_mode(&MODE_3);
    guest.glyph(0, 1, &[0xf0]);
    guest.glyph(0x4000, 1, &[0x0f]);
    // Generator A (attribute bit 3 set) at 16 KiB, generator B at 0.
    guest.set(0x3c4, 3, 0x04);
    guest.poke(0xb8000, &[1, 0x07, 1, 0x0f]);
    let mut screen = Screen::new(guest);
    assert_eq!(
        screen.row(0, 0, 8),
        dots("11110000", text_colour(7), text_colour(0))
    );
    assert_eq!(
        screen.row(0, 9, 8),
        dots("00001111", text_colour(15), text_colour(0))
    );
    screen.guest(|guest| guest.glyph(0x4000, 1, &[0xaa]));
    screen.refresh();
    assert_eq!(
        screen.row(0, 9, 8),
        dots("10101010", text_colour(15), text_colour(0))
    );
}

#[test]
fn the_cursor_blinks_and_moves() {
    let mut guest = with_mode(&MODE_3);
    guest.poke(0xb8000, &[b' ', 0x07, b' ', 0x07]);
    guest.set(0x3d4, 0x0f, 1);
    let mut screen = Screen::new(guest);
    let (grey, black) = (text_colour(7), text_colour(0));
    assert_eq!(screen.row(13, 8, 11), dots("01111111110", grey, black));
    assert_eq!(
        (
            screen.pixel(9, 12),
            screen.pixel(9, 14),
            screen.pixel(9, 15)
        ),
        (black, grey, black)
    );
    let later = screen.refresh_with(&mut Log::Nothing, 228);
    assert!(later.changed && !later.active && later.next.is_some());
    assert_eq!(screen.pixel(9, 13), black);
    assert!(!screen.refresh_with(&mut Log::Nothing, 300).changed);
    screen.refresh_with(&mut Log::Nothing, 456);
    assert_eq!(screen.pixel(9, 13), grey);
    screen.guest(|guest| guest.set(0x3d4, 0x0f, 0));
    screen.refresh_with(&mut Log::Nothing, 456);
    assert_eq!((screen.pixel(0, 13), screen.pixel(9, 13)), (grey, black));
    screen.guest(|guest| guest.set(0x3d4, 0x0a, 0x00));
    screen.refresh_with(&mut Log::Nothing, 456);
    assert_eq!(screen.pixel(0, 0), grey, "a block");
    screen.guest(|guest| guest.set(0x3d4, 0x0a, 0x2d));
    let off = screen.refresh_with(&mut Log::Nothing, 456);
    assert_eq!((screen.pixel(0, 13), off.next), (black, None));
}

#[test]
fn characters_blink_or_have_bright_backgrounds() {
    let mut guest = with_mode(&MODE_3);
    guest.set(0x3d4, 0x0a, 0x20);
    guest.glyph(0, 1, &[0xff]);
    guest.poke(0xb8000, &[1, 0x9e]);
    let mut screen = Screen::new(guest);
    assert_eq!(screen.pixel(0, 0), text_colour(14));
    screen.refresh_with(&mut Log::Nothing, 456);
    assert_eq!(screen.pixel(0, 0), text_colour(1));
    screen.guest(|guest| {
        guest.attribute(0x10, 0x04);
        guest.write(0x3c0, 0x20);
    });
    screen.refresh_with(&mut Log::Nothing, 456);
    assert_eq!(
        (screen.pixel(0, 0), screen.pixel(0, 1)),
        (text_colour(14), text_colour(9))
    );
}

#[test]
fn monochrome_text_is_underlined() {
    let mut guest = with_mode(&MODE_7);
    guest.poke(0xb0000, &[b' ', 0x01, b' ', 0x07]);
    guest.set(0x3b4, 0x0a, 0x20);
    let screen = Screen::new(guest);
    assert_eq!(
        screen.row(13, 0, 10),
        dots("1111111110", shade(8), shade(0))
    );
    assert_eq!(screen.pixel(0, 12), shade(0));
}

#[test]
fn text_scrolls_by_start_split_and_panning() {
    let mut guest = with_mode(&MODE_3);
    guest.set(0x3d4, 0x0a, 0x20);
    guest.glyph(0, 1, &[0x80; 16]);
    guest.glyph(
        0,
        2,
        &[0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff],
    );
    guest.poke(0xb8000, &[1, 0x07]);
    guest.poke(0xb8000 + 160, &[2, 0x07, 1, 0x07]);
    // From the second row on, one dot to the left, three lines up; below line 200 the first row.
    guest.set(0x3d4, 0x0d, 80);
    guest.attribute(0x13, 0);
    guest.attribute(0x10, 0x2c);
    guest.write(0x3c0, 0x20);
    guest.set(0x3d4, 8, 3);
    guest.set(0x3d4, 0x11, 0);
    guest.set(0x3d4, 7, 0x0f);
    guest.set(0x3d4, 9, 0x0f);
    guest.set(0x3d4, 0x18, 199);
    let screen = Screen::new(guest);
    let (grey, black) = (text_colour(7), text_colour(0));
    assert_eq!(screen.size(), (720, 400));
    assert_eq!(
        screen.row(12, 0, 10),
        dots("1111111010", grey, black),
        "line 15 of the row, a dot off the edge"
    );
    assert_eq!(screen.row(0, 0, 10), dots("0000000010", grey, black));
    assert_eq!(
        screen.row(200, 0, 10),
        dots("1000000000", grey, black),
        "below the split nothing pans"
    );
    assert_eq!(screen.row(216, 0, 10), dots("1111111101", grey, black));
}

#[test]
fn sixteen_colours_in_planes() {
    let mut guest = with_mode(&MODE_12);
    for (plane, byte) in [0b1010_0000, 0b1100_0000, 0b1111_0000, 0b1000_0001]
        .into_iter()
        .enumerate()
    {
        guest.set(0x3c4, 2, 1 << plane);
        guest.poke(0xa0000 + 80 * 479, &[byte]);
    }
    let mut screen = Screen::new(guest);
    assert_eq!(screen.size(), (640, 480));
    let expected: Vec<u32> = [15, 6, 5, 4, 0, 0, 0, 8].map(text_colour).to_vec();
    assert_eq!(screen.row(479, 0, 8), expected);
    screen.guest(|guest| {
        guest.attribute(0x13, 3);
        guest.write(0x3c0, 0x20);
    });
    screen.refresh();
    assert_eq!(screen.row(479, 0, 5), expected[3..]);
    screen.guest(|guest| {
        guest.attribute(0x13, 0);
        guest.attribute(0x12, 0x07);
        guest.write(0x3c0, 0x20);
    });
    screen.refresh();
    assert_eq!(
        screen.row(479, 0, 8),
        [7, 6, 5, 4, 0, 0, 0, 0].map(text_colour)
    );
}

#[test]
fn sixteen_colours_of_half_the_dots_are_doubled_both_ways() {
    let mut guest = with_mode(&MODE_D);
    guest.poke(0xa0000 + 40, &[0x80]);
    let screen = Screen::new(guest);
    assert_eq!(screen.size(), (640, 400));
    for (y, expected) in [(1, "0000"), (2, "1100"), (3, "1100"), (4, "0000")] {
        assert_eq!(
            screen.row(y, 0, 4),
            dots(expected, text_colour(15), text_colour(0)),
            "line {y}"
        );
    }
}

#[test]
fn four_colours_as_on_the_cga() {
    let mut guest = with_mode(&MODE_4);
    guest.poke(0xb8000, &[0b0001_1011, 0b1100_0000]);
    guest.poke(0xba000, &[0b1111_1111]);
    let screen = Screen::new(guest);
    assert_eq!(screen.size(), (640, 400));
    let colours = [0, 0x13, 0x15, 0x17].map(shade);
    let expected: Vec<u32> = [0, 1, 2, 3, 3, 0]
        .iter()
        .flat_map(|dot| [colours[*dot]; 2])
        .collect();
    assert_eq!(screen.row(0, 0, 12), expected);
    assert_eq!(screen.row(1, 0, 12), expected);
    assert_eq!(
        screen.row(2, 0, 8),
        [colours[3]; 8],
        "odd lines lie 8 KiB on"
    );
    assert_eq!(screen.row(4, 0, 8), [colours[0]; 8]);
}

#[test]
fn two_colours_as_on_the_cga() {
    let mut guest = with_mode(&MODE_6);
    guest.poke(0xb8000, &[0b1010_0000]);
    guest.poke(0xba000, &[0b0000_1111]);
    let screen = Screen::new(guest);
    assert_eq!(screen.size(), (640, 400));
    assert_eq!(screen.row(1, 0, 8), dots("10100000", shade(0x17), shade(0)));
    assert_eq!(screen.row(2, 0, 8), dots("00001111", shade(0x17), shade(0)));
}

#[test]
fn two_hundred_fifty_six_colours_chained_and_unchained() {
    let mut guest = with_mode(&MODE_13);
    guest.poke(0xa0000 + 320, &[1, 2, 3, 60]);
    let mut screen = Screen::new(guest);
    assert_eq!(screen.size(), (640, 400));
    let expected = [1, 1, 2, 2, 3, 3, 60, 60].map(shade);
    assert_eq!(screen.row(2, 0, 8), expected);
    assert_eq!(screen.row(3, 0, 8), expected);
    assert_eq!(screen.pixel(0, 4), shade(0));
    // Mode X: 240 lines, planes apart, another page.
    screen.guest(|guest| {
        guest.set(0x3c4, 4, 6);
        guest.set(0x3d4, 0x11, 0);
        for (index, value) in [
            (0x06, 0x0d),
            (0x07, 0x3e),
            (0x09, 0x41),
            (0x12, 0xdf),
            (0x14, 0),
            (0x17, 0xe3),
            (0x0c, 0x4b),
        ] {
            guest.set(0x3d4, index, value);
        }
        guest.set(0x3c4, 2, 2);
        guest.poke(0xa0000 + 0x4b00, &[42]);
    });
    screen.refresh();
    assert_eq!(screen.size(), (640, 480));
    assert_eq!(screen.row(0, 0, 6), [0, 0, 42, 42, 0, 0].map(shade));
}

#[test]
fn the_counter_wraps_around_the_planes() {
    let mut guest = with_mode(&MODE_13);
    guest.set(0x3d4, 0x0c, 0xff);
    guest.set(0x3d4, 0x0d, 0xff);
    guest.0.memory().write(0x3_fffc, &[1, 2, 3, 4]);
    guest.0.memory().write(0, &[5, 6]);
    let screen = Screen::new(guest);
    assert_eq!(
        screen.row(0, 0, 12),
        [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6].map(shade)
    );
}

fn with_dispi(registers: &[(u16, u16)]) -> Guest {
    let mut guest = with_mode(&MODE_13);
    for (index, value) in registers {
        guest.dispi(*index, *value);
    }
    guest
}

#[test]
fn linear_modes_of_every_depth() {
    for (depth, bytes, expected) in [
        (8, vec![1, 60], [shade(1), shade(60)]),
        (15, vec![0x1f, 0x7c, 0, 0x80], [0x00ff_00ff, 0]),
        (16, vec![0x1f, 0xf8, 0xe0, 0x07], [0x00ff_00ff, 0x0000_ff00]),
        (24, vec![3, 2, 1, 6, 5, 4], [0x0001_0203, 0x0004_0506]),
        (
            32,
            vec![3, 2, 1, 0xff, 6, 5, 4, 0],
            [0x0001_0203, 0x0004_0506],
        ),
    ] {
        // A virtual screen twice as wide, seen from (8, 10) on.
        let guest = with_dispi(&[
            (1, 320),
            (2, 240),
            (3, depth),
            (4, 0x41),
            (6, 640),
            (8, 8),
            (9, 10),
        ]);
        let size = usize::from(depth.div_ceil(8));
        guest.0.memory().write((640 * 12 + 8) * size, &bytes);
        let mut screen = Screen::new(guest);
        assert_eq!(screen.size(), (320, 240));
        assert_eq!(screen.row(2, 0, 2), expected, "{depth} bits");
        assert_eq!(screen.pixel(0, 1), if depth == 8 { shade(0) } else { 0 });
        screen
            .adapter
            .lock()
            .memory()
            .write((640 * 249 + 8 + 319) * size, &vec![0xff; size]);
        assert!(!screen.refresh().changed, "nobody said so");
        assert!(
            screen
                .refresh_with(&mut Log::Byte((640 * 249 + 8 + 319) * size), 0)
                .changed
        );
        assert_ne!(screen.pixel(319, 239), 0);
    }
}

#[test]
fn sixteen_colours_of_the_display_interface() {
    let mut guest = with_dispi(&[
        (1, 800),
        (2, 600),
        (3, 4),
        (4, 0x41),
        (6, 1600),
        (8, 3),
        (9, 1),
    ]);
    guest.set(0x3c4, 4, 6);
    guest.set(0x3c4, 2, 0x0f);
    guest.set(0x3ce, 5, 0);
    guest.poke(0xa0000 + 200, &[0b0001_0000]);
    let screen = Screen::new(guest);
    assert_eq!(screen.size(), (800, 600));
    assert_eq!(screen.row(0, 0, 3), dots("100", shade(15), shade(0)));
}

#[test]
fn palette_changes_redraw_and_eight_bits_count() {
    let guest = with_dispi(&[(1, 320), (2, 200), (3, 8), (4, 0x61)]);
    let mut screen = Screen::new(guest);
    screen.guest(|guest| {
        guest.write(0x3c8, 0);
        for value in [0x12, 0x34, 0x56] {
            guest.write(0x3c9, value);
        }
    });
    assert!(screen.refresh().changed);
    assert_eq!(screen.pixel(100, 100), 0x0012_3456);
}

#[test]
fn a_dark_screen_keeps_its_size_and_comes_back() {
    let mut screen = Screen::new(with_mode(&MODE_13));
    let shown = screen.pixel(0, 0);
    assert_ne!(shown, 0);
    for dark in [
        |guest: &mut Guest| guest.set(0x3c4, 1, 0x21),
        |guest: &mut Guest| guest.attribute(0, 0),
    ] {
        screen.guest(dark);
        assert!(!screen.refresh_with(&mut Log::Nothing, 1000).changed);
        assert_eq!(screen.pixel(0, 0), shown, "nobody sees a moment's darkness");
        screen.refresh_with(&mut Log::Nothing, 1040);
        assert_eq!((screen.size(), screen.pixel(0, 0)), ((640, 400), 0));
        assert!(screen.adapter.lock().text().is_none());
        screen.guest(|guest| {
            guest.set(0x3c4, 1, 1);
            guest.write(0x3c0, 0x20);
        });
        screen.refresh();
        assert_eq!(screen.pixel(0, 0), shown);
    }
}

/// Window 0 is decoded: the guest reaches video memory without the adapter.
fn map_memory(guest: &mut Guest) {
    guest.0.write_config(0x10, Width::Dword, 0xfd00_0000);
    guest.0.write_config(4, Width::Word, 2);
}

#[test]
fn memory_that_the_guest_does_not_reach_is_not_searched() {
    let mut screen = Screen::new(with_mode(&MODE_13));
    screen.adapter.lock().memory().fill(0, 64_000, 5);
    assert!(!screen.refresh_with(&mut Log::Unknown, 0).changed);
    screen.guest(|guest| {
        map_memory(guest);
    });
    assert!(screen.refresh_with(&mut Log::Unknown, 0).changed);
}

#[test]
fn the_thread_draws_what_happens_and_ends() {
    let Screen {
        adapter,
        surface,
        renderer,
    } = Screen::new(with_mode(&MODE_13));
    let thread = DisplayThread::spawn(renderer, Box::new(Log::Nothing)).unwrap();
    for colour in [1, 2, 3] {
        let seen = surface.view().sequence();
        adapter.lock().write_memory(0, &[colour]).unwrap();
        let latest = surface.wait(seen, Duration::from_secs(60));
        assert!(latest > seen);
        assert_eq!(surface.view().row(0)[0], shade(colour));
    }
    drop(thread);
    assert_eq!(Arc::strong_count(&adapter), 1);
}

#[test]
fn nothing_is_drawn_when_nothing_changed() {
    for mode in MODES {
        let mut guest = with_mode(mode);
        guest.set(
            if mode.miscellaneous & 1 == 0 {
                0x3b4
            } else {
                0x3d4
            },
            0x0a,
            0x20,
        );
        map_memory(&mut guest);
        let mut screen = Screen::new(guest);
        let seen = screen.surface.view().sequence();
        let idle = Refreshed {
            changed: false,
            active: false,
            next: None,
        };
        assert_eq!(screen.refresh_with(&mut Log::Nothing, 5000), idle);
        assert!(!screen.refresh_with(&mut Log::Unknown, 5000).changed);
        assert_eq!(screen.surface.view().sequence(), seen);
    }
}

#[test]
fn one_character_damages_its_own_tile_only() {
    let mut guest = with_mode(&MODE_3);
    guest.set(0x3d4, 0x0a, 0x20);
    guest.glyph(0, 1, &[0xff; 16]);
    let mut screen = Screen::new(guest);
    let seen = screen.surface.view().sequence();
    screen.guest(|guest| guest.poke(0xb8000 + 2 * (80 * 10 + 40), &[1, 0x07]));
    let refreshed = screen.refresh();
    assert!(refreshed.changed && refreshed.active);
    let view = screen.surface.view();
    let damage = view.changed_since(seen);
    assert!(
        damage.len() == 1 && damage[0].area() <= 64 * 64,
        "{damage:?}"
    );
}

#[test]
fn whatever_the_registers_hold_drawing_ends_within_bounds() {
    let mut numbers = Numbers(0x0bad_cafe_dead_beef);
    let mut guest = Guest::new();
    map_memory(&mut guest);
    let mut screen = Screen::new(guest);
    screen.adapter.lock().memory().fill(0, usize::MAX, 0xa7);
    for round in 0..600 {
        let mode = MODES[usize::from(numbers.byte()) % MODES.len()];
        screen.guest(|guest| {
            if round % 3 == 0 {
                guest.mode(mode);
            }
            for _ in 0..numbers.byte() % 24 {
                let value = [0, 0xff, 0x7f, numbers.byte()][usize::from(numbers.byte() & 3)];
                match numbers.byte() % 6 {
                    0 => guest.set(0x3c4, numbers.byte() & 7, value),
                    1 => guest.set(0x3ce, numbers.byte() & 15, value),
                    2 => {
                        guest.write(0x3c2, value | 1);
                        guest.set(0x3d4, 0x11, 0);
                        guest.set(0x3d4, numbers.byte() & 31, value);
                    }
                    3 => {
                        guest.write(0x3c2, value | 1);
                        guest.attribute(numbers.byte() & 31, value);
                    }
                    _ => guest.dispi(
                        u16::from(numbers.byte() & 15),
                        [numbers.word(), u16::from(value), u16::MAX, 0x41]
                            [usize::from(numbers.byte() & 3)],
                    ),
                }
            }
            guest.write(0x3c2, guest.0.registers.miscellaneous | 1);
            guest.attribute(0x11, 0);
            guest.write(0x3c0, 0x20);
        });
        screen.refresh_with(&mut Log::Unknown, numbers.next() & 0xffff);
        let (width, height) = screen.size();
        assert!(
            (1..=MAXIMUM_WIDTH).contains(&width) && (1..=MAXIMUM_HEIGHT).contains(&height),
            "{width}x{height}"
        );
        let _ = screen.adapter.lock().text();
    }
}

#[test]
fn a_screen_that_is_taken_is_left_alone_and_drawn_anew_when_it_is_back() {
    let mut screen = Screen::new(with_mode(&MODE_3));
    let (size, before) = (screen.size(), screen.surface.view().pixels().to_vec());
    let owner = screen.renderer.owner();
    owner.take();
    screen.surface.draw(|frame| frame.resize(32, 32));
    screen.guest(|guest| guest.poke(0xb8000, b"A\x7f"));
    let refreshed = screen.refresh();
    assert!(!refreshed.changed && !refreshed.active);
    assert_eq!(screen.size(), (32, 32));
    owner.release();
    assert!(screen.refresh().changed);
    assert_eq!(screen.size(), size);
    assert_ne!(
        screen.surface.view().pixels(),
        before,
        "with what was written meanwhile"
    );
}
