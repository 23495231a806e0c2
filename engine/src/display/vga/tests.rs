//! The adapter from the guest's side: ports, windows, what firmware was seen to do, and what an attacker might.

use super::*;
use crate::bus::{IoError, PortDevice, Width};
use crate::pci::PciFunction;

/// The adapter with short words for what a guest does.
pub(super) struct Guest(pub(super) Vga);

impl Guest {
    pub(super) fn new() -> Self {
        Self(Vga::new(&[0x55, 0xaa, 0x40]).unwrap())
    }

    pub(super) fn write(&mut self, port: u16, value: u8) {
        self.0
            .write_port(port, Width::Byte, u32::from(value))
            .unwrap();
    }

    pub(super) fn write_word(&mut self, port: u16, value: u16) {
        self.0
            .write_port(port, Width::Word, u32::from(value))
            .unwrap();
    }

    pub(super) fn read(&mut self, port: u16) -> u32 {
        self.0.read_port(port, Width::Byte).unwrap()
    }

    /// Sets register `index` of the pair of ports at `port`.
    pub(super) fn set(&mut self, port: u16, index: u8, value: u8) {
        self.write_word(port, u16::from_le_bytes([index, value]));
    }

    pub(super) fn attribute(&mut self, index: u8, value: u8) {
        let status = if self.0.registers.colour_addresses() {
            0x3da
        } else {
            0x3ba
        };
        self.read(status);
        self.write(0x3c0, index);
        self.write(0x3c0, value);
    }

    pub(super) fn dispi(&mut self, index: u16, value: u16) {
        self.write_word(0x1ce, index);
        self.write_word(0x1cf, value);
    }

    pub(super) fn read_dispi(&mut self, index: u16) -> u32 {
        self.write_word(0x1ce, index);
        self.0.read_port(0x1cf, Width::Word).unwrap()
    }

    /// Writes at a guest-physical address of the legacy window.
    pub(super) fn poke(&mut self, address: u64, data: &[u8]) {
        for (offset, byte) in (address - 0xa0000..).zip(data) {
            self.0.write_memory(offset, &[*byte]).unwrap();
        }
    }

    pub(super) fn peek(&mut self, address: u64) -> u8 {
        let mut byte = [0];
        self.0.read_memory(address - 0xa0000, &mut byte).unwrap();
        byte[0]
    }

    /// What a BIOS does to set a mode; colour number `i` of the converter becomes (i, 63 - i, 0).
    pub(super) fn mode(&mut self, mode: &Mode) {
        self.write(0x3c2, mode.miscellaneous);
        self.set(0x3c4, 0, 3);
        for (index, value) in (1..).zip(mode.sequencer) {
            self.set(0x3c4, index, value);
        }
        let crtc = if mode.miscellaneous & 1 == 0 {
            0x3b4
        } else {
            0x3d4
        };
        self.set(crtc, 0x11, 0);
        for (index, value) in (0..).zip(mode.crtc) {
            self.set(crtc, index, value);
        }
        for (index, value) in (0..).zip(mode.graphics) {
            self.set(0x3ce, index, value);
        }
        for (index, value) in (0..).zip(mode.attribute) {
            self.attribute(index, value);
        }
        self.attribute(0x14, 0);
        self.write(0x3c6, 0xff);
        self.write(0x3c8, 0);
        for colour in 0..=255_u8 {
            for value in [colour & 0x3f, 63 - (colour & 0x3f), 0] {
                self.write(0x3c9, value);
            }
        }
        self.write(0x3c0, 0x20);
    }

    /// What a BIOS does to give character `code` a shape.
    pub(super) fn glyph(&mut self, font: u64, code: u64, lines: &[u8]) {
        let before = self.0.registers.clone();
        for (index, value) in [(0, 1), (2, 4), (4, 6), (0, 3)] {
            self.set(0x3c4, index, value);
        }
        for (index, value) in [(4, 2), (5, 0), (6, 4)] {
            self.set(0x3ce, index, value);
        }
        self.poke(0xa0000 + font + code * 32, lines);
        self.0.registers = before;
        self.0.changed();
    }
}

/// A mode's registers, as the IBM VGA's BIOS sets them.
pub(super) struct Mode {
    pub(super) miscellaneous: u8,
    pub(super) sequencer: [u8; 4],
    pub(super) crtc: [u8; 25],
    pub(super) attribute: [u8; 20],
    pub(super) graphics: [u8; 9],
}

const SIXTEEN: [u8; 20] = [
    0, 1, 2, 3, 4, 5, 0x14, 7, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 1, 0, 0x0f, 0,
];

/// 80 by 25 characters in 16 colours.
pub(super) const MODE_3: Mode = Mode {
    miscellaneous: 0x67,
    sequencer: [0x00, 0x03, 0x00, 0x02],
    crtc: [
        0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0, 0, 0, 0, 0x9c,
        0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff,
    ],
    attribute: {
        let mut all = SIXTEEN;
        (all[16], all[19]) = (0x0c, 8);
        all
    },
    graphics: [0, 0, 0, 0, 0, 0x10, 0x0e, 0x0f, 0xff],
};

/// 40 by 25 characters in 16 colours.
pub(super) const MODE_1: Mode = Mode {
    sequencer: [0x08, 0x03, 0x00, 0x02],
    crtc: [
        0x2d, 0x27, 0x28, 0x90, 0x2b, 0xa0, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0, 0, 0, 0, 0x9c,
        0x8e, 0x8f, 0x14, 0x1f, 0x96, 0xb9, 0xa3, 0xff,
    ],
    ..MODE_3
};

/// 80 by 25 characters, monochrome.
pub(super) const MODE_7: Mode = Mode {
    miscellaneous: 0x66,
    crtc: {
        let mut crtc = MODE_3.crtc;
        crtc[0x14] = 0x0d;
        crtc
    },
    attribute: [
        0, 8, 8, 8, 8, 8, 8, 8, 0x10, 0x18, 0x18, 0x18, 0x18, 0x18, 0x18, 0x18, 0x0e, 0, 0x0f, 8,
    ],
    graphics: [0, 0, 0, 0, 0, 0x10, 0x0a, 0x0f, 0xff],
    ..MODE_3
};

/// 320 by 200 dots in four colours.
pub(super) const MODE_4: Mode = Mode {
    miscellaneous: 0x63,
    sequencer: [0x09, 0x03, 0x00, 0x02],
    crtc: [
        0x2d, 0x27, 0x28, 0x90, 0x2b, 0x80, 0xbf, 0x1f, 0x00, 0xc1, 0, 0, 0, 0, 0, 0, 0x9c, 0x8e,
        0x8f, 0x14, 0x00, 0x96, 0xb9, 0xa2, 0xff,
    ],
    attribute: [
        0, 0x13, 0x15, 0x17, 2, 4, 6, 7, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 1, 0, 3, 0,
    ],
    graphics: [0, 0, 0, 0, 0, 0x30, 0x0f, 0x0f, 0xff],
};

/// 640 by 200 dots in two colours.
pub(super) const MODE_6: Mode = Mode {
    sequencer: [0x01, 0x01, 0x00, 0x06],
    crtc: [
        0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0x00, 0xc1, 0, 0, 0, 0, 0, 0, 0x9c, 0x8e,
        0x8f, 0x28, 0x00, 0x96, 0xb9, 0xc2, 0xff,
    ],
    attribute: [
        0, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17,
        0x17, 1, 0, 1, 0,
    ],
    graphics: [0, 0, 0, 0, 0, 0, 0x0d, 0x0f, 0xff],
    ..MODE_4
};

/// 320 by 200 dots in 16 colours.
pub(super) const MODE_D: Mode = Mode {
    sequencer: [0x09, 0x0f, 0x00, 0x06],
    crtc: [
        0x2d, 0x27, 0x28, 0x90, 0x2b, 0x80, 0xbf, 0x1f, 0x00, 0xc0, 0, 0, 0, 0, 0, 0, 0x9c, 0x8e,
        0x8f, 0x14, 0x00, 0x96, 0xb9, 0xe3, 0xff,
    ],
    attribute: SIXTEEN,
    graphics: [0, 0, 0, 0, 0, 0, 0x05, 0x0f, 0xff],
    ..MODE_4
};

/// 640 by 480 dots in 16 colours.
pub(super) const MODE_12: Mode = Mode {
    miscellaneous: 0xe3,
    sequencer: [0x01, 0x0f, 0x00, 0x06],
    crtc: [
        0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0x0b, 0x3e, 0x00, 0x40, 0, 0, 0, 0, 0, 0, 0xea, 0x8c,
        0xdf, 0x28, 0x00, 0xe7, 0x04, 0xe3, 0xff,
    ],
    ..MODE_D
};

/// 320 by 200 dots in 256 colours.
pub(super) const MODE_13: Mode = Mode {
    sequencer: [0x01, 0x0f, 0x00, 0x0e],
    crtc: [
        0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0x00, 0x41, 0, 0, 0, 0, 0, 0, 0x9c, 0x8e,
        0x8f, 0x28, 0x40, 0x96, 0xb9, 0xa3, 0xff,
    ],
    attribute: [
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0x41, 0, 0x0f, 0,
    ],
    graphics: [0, 0, 0, 0, 0, 0x40, 0x05, 0x0f, 0xff],
    ..MODE_D
};

/// Every mode above.
pub(super) const MODES: [&Mode; 8] = [
    &MODE_3, &MODE_1, &MODE_7, &MODE_4, &MODE_6, &MODE_D, &MODE_12, &MODE_13,
];

/// Numbers that look random and are the same every time (xorshift64*, Vigna 2016).
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(super) fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }

    pub(super) fn word(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }
}

#[test]
fn a_vga_bios_finds_the_display_interface() {
    let mut guest = Guest::new();
    guest.dispi(0, 0xb0c0);
    assert_eq!(guest.read_dispi(0), 0xb0c0);
    guest.dispi(0, 0xb0c5);
    assert_eq!(guest.read_dispi(0xa), 0x100);
    guest.dispi(4, 2);
    assert_eq!(guest.read_dispi(3), 0x20);
    guest.dispi(4, 0);
    assert_eq!(guest.0.read_port(0x1ce, Width::Byte), Err(IoError::Width));
    assert_eq!(
        guest.0.write_port(0x1cf, Width::Dword, 0),
        Err(IoError::Width)
    );
}

#[test]
fn a_vga_bios_sets_up_the_text_screen() {
    let mut guest = Guest::new();
    guest.write(0x3c2, 0xc3);
    guest.mode(&MODE_3);
    assert_eq!(guest.read(0x3cc), 0x67);
    for status in [guest.read(0x3da), guest.read(0x3da)] {
        assert_eq!(status & !0x09, 0);
    }
    assert_eq!(
        guest.0.read_port(0x3ba, Width::Byte),
        Err(IoError::Unmapped),
        "the monochrome address"
    );
    // The shapes of characters, as it loads them.
    for (port, word) in [
        (0x3c4, 0x0100),
        (0x3c4, 0x0402),
        (0x3c4, 0x0704),
        (0x3c4, 0x0300),
        (0x3ce, 0x0204),
        (0x3ce, 0x0005),
        (0x3ce, 0x0406),
    ] {
        guest.write_word(port, word);
    }
    guest.poke(0xa0022, &[0x7e, 0x81, 0xa5]);
    assert_eq!(guest.peek(0xa0023), 0x81);
    for (port, word) in [
        (0x3c4, 0x0100),
        (0x3c4, 0x0302),
        (0x3c4, 0x0304),
        (0x3c4, 0x0300),
        (0x3ce, 0x0004),
        (0x3ce, 0x1005),
        (0x3ce, 0x0e06),
    ] {
        guest.write_word(port, word);
    }
    guest.poke(0xb8000, b"H\x07i\x70");
    assert_eq!((guest.peek(0xb8002), guest.peek(0xb8003)), (b'i', 0x70));
    let mut bytes = [0; 8];
    guest.0.memory().read(0, &mut bytes);
    assert_eq!(bytes, [b'H', 0x07, 0, 0, b'i', 0x70, 0, 0]);
    guest.0.memory().read(0x22 * 4, &mut bytes);
    assert_eq!(bytes[2], 0x7e);
    let text = guest.0.text().unwrap();
    assert_eq!(
        (text.len(), text[0].as_str(), text[1].as_str()),
        (25, "Hi", "")
    );
    assert_eq!(
        guest.0.read_memory(0, &mut bytes),
        Err(IoError::Unmapped),
        "0xA0000 is not in the window"
    );
}

#[test]
fn a_uefi_driver_sets_a_mode_through_the_register_window() {
    let mut guest = Guest::new();
    let vga = &mut guest.0;
    let mut word = [0; 2];
    let mut byte = [0; 1];
    vga.read_window(2, 0x500, &mut word).unwrap();
    assert_eq!(word, [0xc5, 0xb0]);
    vga.read_window(2, 0x514, &mut word).unwrap();
    assert_eq!(word, [0x00, 0x01]);
    for (offset, value) in [
        (0x508, 0),
        (0x50a, 0),
        (0x510, 0),
        (0x512, 0),
        (0x506, 32),
        (0x502, 1280),
        (0x50c, 1280),
        (0x504, 800),
        (0x50e, 800),
        (0x508, 0x41_u16),
    ] {
        vga.write_window(2, offset, &value.to_le_bytes()).unwrap();
    }
    vga.write_window(2, 0x402, &[0x01]).unwrap();
    vga.read_window(2, 0x41a, &mut byte).unwrap();
    vga.write_window(2, 0x400, &[0x20]).unwrap();
    vga.write_window(2, 0x408, &[0]).unwrap();
    vga.write_window(2, 0x409, &[0x38]).unwrap();
    assert_eq!(vga.registers.dispi.size(), (1280, 800));
    assert!(vga.registers.attribute.palette_is_screens());
    let mut edid = [0; 256];
    vga.read_window(2, 0, &mut edid).unwrap();
    assert_eq!(edid[..8], [0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0]);
    assert_eq!(
        edid[..128]
            .iter()
            .fold(0_u8, |sum, byte| sum.wrapping_add(*byte)),
        0
    );
    assert_eq!(edid[126..128].first(), Some(&0), "no further blocks");
    let mut extension = [0; 8];
    vga.read_window(2, 0x600, &mut extension).unwrap();
    assert_eq!(extension, [8, 0, 0, 0, 0x1e, 0x1e, 0x1e, 0x1e]);
    vga.write_window(2, 0x604, &[0xbe; 4]).unwrap();
    vga.read_window(2, 0x600, &mut extension).unwrap();
    assert_eq!(extension[4..], [0xbe; 4]);
    assert_eq!(vga.read_window(2, 0x700, &mut byte), Err(IoError::Unmapped));
    assert_eq!(vga.read_window(0, 0, &mut byte), Err(IoError::Unmapped));
}

#[test]
fn the_function_has_its_windows() {
    let mut guest = Guest::new();
    let vga = &mut guest.0;
    assert_eq!(vga.read_config(0, Width::Dword), 0x1111_1234);
    assert_eq!(vga.read_config(8, Width::Dword) >> 8, 0x03_00_00);
    for (offset, size) in [
        (0x10, 0xff00_0008),
        (0x18, 0xffff_f000),
        (0x30, 0xffff_f001),
    ] {
        vga.write_config(offset, Width::Dword, u32::MAX);
        assert_eq!(vga.read_config(offset, Width::Dword), size, "{offset:#x}");
    }
    for (offset, base) in [
        (0x10, 0xfd00_0000),
        (0x18, 0xfebf_0000),
        (0x30, 0xfebe_0001),
        (4, 2),
    ] {
        vga.write_config(offset, Width::Dword, base);
    }
    let windows: Vec<_> = vga
        .base_addresses()
        .iter()
        .map(|window| (window.number, window.size))
        .collect();
    assert_eq!(windows, [(0, 16 << 20), (2, 4096), (6, 4096)]);
    vga.reset();
    assert!(vga.base_addresses().is_empty());
    assert!(Vga::new(&[]).is_ok_and(|mut vga| {
        vga.write_config(0x30, Width::Dword, u32::MAX);
        vga.read_config(0x30, Width::Dword) == 0
    }));
}

#[test]
fn the_window_lies_where_the_graphics_controller_puts_it() {
    for (select, inside, outside) in [
        (0, vec![0xa0000, 0xaffff, 0xb0000, 0xbffff], vec![]),
        (1, vec![0xa0000, 0xaffff], vec![0xb0000, 0xbffff]),
        (2, vec![0xb0000, 0xb7fff], vec![0xa0000, 0xaffff, 0xb8000]),
        (3, vec![0xb8000, 0xbffff], vec![0xa0000, 0xb7fff]),
    ] {
        let mut guest = Guest::new();
        guest.mode(&MODE_12);
        guest.set(0x3ce, 6, 1 | select << 2);
        for address in inside {
            guest.poke(address, &[0x5a]);
            assert_eq!(guest.peek(address), 0x5a, "{select} {address:#x}");
        }
        for address in outside {
            let offset = address - 0xa0000;
            assert_eq!(
                guest.0.write_memory(offset, &[1]),
                Err(IoError::Unmapped),
                "{select} {address:#x}"
            );
        }
        guest.write(0x3c2, 0xe1);
        assert_eq!(
            guest.0.read_memory(0x18000, &mut [0]),
            Err(IoError::Unmapped),
            "memory disabled"
        );
    }
}

#[test]
fn latches_carry_a_read_into_a_write() {
    let mut guest = Guest::new();
    guest.mode(&MODE_12);
    for plane in 0..4 {
        guest.set(0x3c4, 2, 1 << plane);
        guest.poke(0xa0100, &[0x11 << plane]);
    }
    guest.set(0x3c4, 2, 0x0f);
    for plane in 0..4 {
        guest.set(0x3ce, 4, plane);
        assert_eq!(guest.peek(0xa0100), 0x11 << plane);
    }
    guest.set(0x3ce, 5, 1);
    guest.poke(0xa0200, &[0]);
    let mut bytes = [0; 4];
    guest.0.memory().read(0x200 * 4, &mut bytes);
    assert_eq!(bytes, [0x11, 0x22, 0x44, 0x88]);
    guest.set(0x3ce, 5, 8);
    guest.set(0x3ce, 2, 1);
    guest.set(0x3ce, 7, 0x0f);
    assert_eq!(guest.peek(0xa0200), 0x11, "read mode 1: colour 1");
}

#[test]
fn chain_four_and_mode_x_are_the_same_memory() {
    let mut guest = Guest::new();
    guest.mode(&MODE_13);
    guest.poke(0xa0000, &[1, 2, 3, 4, 5]);
    let mut bytes = [0; 5];
    guest.0.memory().read(0, &mut bytes);
    assert_eq!(bytes, [1, 2, 3, 4, 5], "a linear picture");
    assert_eq!(guest.peek(0xa0003), 4);
    guest.set(0x3c4, 4, 6);
    guest.set(0x3c4, 2, 4);
    guest.poke(0xa0001, &[9]);
    guest.0.memory().read(6, &mut bytes[..1]);
    assert_eq!(bytes[0], 9);
}

#[test]
fn the_bank_moves_the_window_in_linear_modes() {
    let mut guest = Guest::new();
    for (index, value) in [(1, 640), (2, 480), (3, 16), (4, 1), (5, 3)] {
        guest.dispi(index, value);
    }
    guest
        .0
        .write_memory(0x10, &[1, 2, 3, 4, 5, 6, 7, 8])
        .unwrap();
    let mut bytes = [0; 8];
    guest.0.memory().read(0x3_0010, &mut bytes);
    assert_eq!(bytes, [1, 2, 3, 4, 5, 6, 7, 8]);
    assert!(guest.0.dirty.touches(0x3_0010, 8) && !guest.0.dirty.touches(0x1000_0000, 1));
    assert_eq!(
        guest.0.read_memory(0x1_0000, &mut bytes),
        Err(IoError::Unmapped)
    );
    guest.dispi(5, u16::MAX);
    guest.0.write_memory(0xffff, &[7]).unwrap();
    guest.0.memory().read((16 << 20) - 1, &mut bytes[..1]);
    assert_eq!(bytes[0], 7, "the last bank is the last 64 KiB");
}

#[test]
fn setting_a_mode_clears_it_unless_told_not_to() {
    let mut guest = Guest::new();
    for (enable, expected) in [(0xc1, 7), (0x41, 0)] {
        guest.0.memory().write(100, &[7]);
        guest.dispi(4, 0);
        for (index, value) in [(1, 640), (2, 480), (3, 32), (4, enable)] {
            guest.dispi(index, value);
        }
        let mut byte = [1];
        guest.0.memory().read(100, &mut byte);
        assert_eq!(byte[0], expected);
    }
}

#[test]
fn writes_that_change_nothing_are_no_change() {
    let mut guest = Guest::new();
    guest.mode(&MODE_3);
    let before = guest.0.generation;
    guest.write(0x3d4, 0x0e);
    guest.set(0x3d4, 0x0e, 0);
    guest.read(0x3da);
    guest.write(0x3c8, 4);
    assert_eq!(guest.0.generation, before);
    guest.set(0x3d4, 0x0f, 5);
    assert_eq!(guest.0.generation, before + 1);
}

#[test]
fn no_port_or_offset_brings_the_adapter_down() {
    let mut numbers = Numbers(0x1234_5678_9abc_def1);
    let mut guest = Guest::new();
    let vga = &mut guest.0;
    for port in (0x3b0..=0x3df).chain([0x1ce, 0x1cf, 0, u16::MAX]) {
        for width in Width::ALL {
            for value in [0, 1, 0x55, 0xaa, 0xff, 0xffff, u32::MAX] {
                let _ = vga.write_port(port, width, value);
                let _ = vga.read_port(port, width);
            }
        }
    }
    for _ in 0..20_000 {
        let data = numbers.next().to_le_bytes();
        let data = &data[..1 << (numbers.byte() & 3)];
        let offset = match numbers.byte() & 3 {
            0 => numbers.next(),
            1 => u64::MAX - u64::from(numbers.byte()),
            _ => numbers.next() & 0x1_ffff,
        };
        let window = numbers.byte() & 7;
        let low = if numbers.byte() & 1 == 0 {
            offset & 0xfff
        } else {
            offset
        };
        let mut buffer = [0; 8];
        let _ = vga.write_window(window, low, data);
        let _ = vga.read_window(window, low, &mut buffer[..data.len()]);
        let _ = vga.write_memory(offset, data);
        let _ = vga.read_memory(offset, &mut buffer[..data.len()]);
        let _ = vga.write_port(
            0x3b0 + u16::from(numbers.byte() % 0x30),
            Width::Word,
            u32::from(numbers.word()),
        );
        let _ = vga.write_config(
            numbers.byte() & 0xfc,
            Width::Dword,
            u32::from(numbers.word()),
        );
    }
}
