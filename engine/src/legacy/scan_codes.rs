//! The scan code sets of a PS/2 keyboard and the controller's way from set 2 to set 1.
//!
//! A keyboard speaks set 2; the controller translates it to set 1, which is what software written for the PC/XT expects. The
//! translation is a table of the controller's ROM (IBM PS/2 Hardware Interface Technical Reference, keyboard and auxiliary device
//! controller): it is the same for every key, with or without a prefix, so that it runs backwards as well. Set 3 has a byte without a
//! prefix for each key.

/// Set 1 for each byte of set 2 below 0x80. Bytes from 0x80 on stay as they are, but for two keys.
const SET_1_OF_SET_2: [u8; 128] = [
    0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29,
    0x59, //
    0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11, 0x03,
    0x5b, //
    0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06,
    0x5d, //
    0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09,
    0x5f, //
    0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0c,
    0x61, //
    0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36, 0x1c, 0x1b, 0x75, 0x2b, 0x63,
    0x76, //
    0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f,
    0x6f, //
    0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45, 0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46,
    0x54, //
];
/// F7 and Alt+Print Screen, whose codes in set 2 have the highest bit set.
const F7: (u8, u8) = (0x83, 0x41);
const SYSTEM_REQUEST: (u8, u8) = (0x84, 0x54);

/// What the controller makes of a byte of set 2. The prefix 0xF0 (release) is not for this table.
pub(super) fn to_set_1(byte: u8) -> u8 {
    match byte {
        0x83 => F7.1,
        0x84 => SYSTEM_REQUEST.1,
        _ => SET_1_OF_SET_2
            .get(usize::from(byte))
            .copied()
            .unwrap_or(byte),
    }
}

/// The byte of set 2 of the key whose set 1 code, without prefix and highest bit, is `code` (1 to 0x7f).
pub(super) fn to_set_2(code: u8) -> Option<u8> {
    if code == F7.1 {
        return Some(F7.0);
    }
    if code == SYSTEM_REQUEST.1 {
        return Some(SYSTEM_REQUEST.0);
    }
    SET_1_OF_SET_2
        .iter()
        .position(|set_1| *set_1 == code)
        .and_then(|at| u8::try_from(at).ok())
}

/// Set 3 for each set 1 code without a prefix; 0 where there is no key.
const SET_3_OF_SET_1: [u8; 0x59] = [
    0x00, 0x08, 0x16, 0x1e, 0x26, 0x25, 0x2e, 0x36, 0x3d, 0x3e, 0x46, 0x45, 0x4e, 0x55, 0x66,
    0x0d, //
    0x15, 0x1d, 0x24, 0x2d, 0x2c, 0x35, 0x3c, 0x43, 0x44, 0x4d, 0x54, 0x5b, 0x5a, 0x11, 0x1c,
    0x1b, //
    0x23, 0x2b, 0x34, 0x33, 0x3b, 0x42, 0x4b, 0x4c, 0x52, 0x0e, 0x12, 0x5c, 0x1a, 0x22, 0x21,
    0x2a, //
    0x32, 0x31, 0x3a, 0x41, 0x49, 0x4a, 0x59, 0x7e, 0x19, 0x29, 0x14, 0x07, 0x0f, 0x17, 0x1f,
    0x27, //
    0x2f, 0x37, 0x3f, 0x47, 0x4f, 0x76, 0x5f, 0x6c, 0x75, 0x7d, 0x84, 0x6b, 0x73, 0x74, 0x7c,
    0x69, //
    0x72, 0x7a, 0x70, 0x71, 0x57, 0x00, 0x13, 0x56, 0x5e,
];
/// Set 3 for set 1 codes with the prefix 0xE0.
const SET_3_OF_EXTENDED: [(u8, u8); 19] = [
    (0x1c, 0x79),
    (0x1d, 0x58),
    (0x35, 0x77),
    (0x37, 0x57),
    (0x38, 0x39),
    (0x46, 0x62),
    (0x47, 0x6e),
    (0x48, 0x63),
    (0x49, 0x6f),
    (0x4b, 0x61),
    (0x4d, 0x6a),
    (0x4f, 0x65),
    (0x50, 0x60),
    (0x51, 0x6d),
    (0x52, 0x67),
    (0x53, 0x64),
    (0x5b, 0x8b),
    (0x5c, 0x8c),
    (0x5d, 0x8d),
];

/// The byte of set 3 of the key whose set 1 code, without its highest bit, is `code`, with the prefix 0xE0 or without.
pub(super) fn to_set_3(extended: bool, code: u8) -> Option<u8> {
    if extended {
        let mut keys = SET_3_OF_EXTENDED.iter();
        return keys.find(|key| key.0 == code).map(|key| key.1);
    }
    let set_3 = SET_3_OF_SET_1.get(usize::from(code)).copied();
    set_3.filter(|set_3| *set_3 != 0)
}

/// Whether `byte` is a key's in set 3.
pub(super) fn is_set_3(byte: u8) -> bool {
    byte != 0 && SET_3_OF_SET_1.contains(&byte)
        || SET_3_OF_EXTENDED.iter().any(|(_, set_3)| *set_3 == byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_goes_there_and_back() {
        for code in 1..0x80 {
            let set_2 = to_set_2(code).unwrap();
            assert_eq!(to_set_1(set_2), code, "{code:#x}");
        }
        assert_eq!(to_set_2(0), None);
        assert_eq!(to_set_2(0xaa), None);
    }

    #[test]
    fn known_keys() {
        for (set_1, set_2) in [
            (0x01, 0x76), // Esc
            (0x1e, 0x1c), // A
            (0x1c, 0x5a), // Enter
            (0x39, 0x29), // Space
            (0x3b, 0x05), // F1
            (0x41, 0x83), // F7
            (0x58, 0x07), // F12
            (0x45, 0x77), // Num Lock
            (0x48, 0x75), // 8 of the keypad, and with a prefix cursor up
            (0x56, 0x61), // the key beside the left Shift
        ] {
            assert_eq!(to_set_2(set_1), Some(set_2), "{set_1:#x}");
        }
    }

    #[test]
    fn keys_of_set_3_have_one_byte_each() {
        for (extended, set_1, set_3) in [
            (false, 0x01, 0x08), // Esc
            (false, 0x1e, 0x1c), // A
            (false, 0x4a, 0x84), // minus of the keypad
            (false, 0x58, 0x5e), // F12
            (true, 0x48, 0x63),  // cursor up
            (true, 0x46, 0x62),  // Pause
        ] {
            assert_eq!(to_set_3(extended, set_1), Some(set_3), "{set_1:#x}");
        }
        assert_eq!(to_set_3(false, 0x55), None);
        assert_eq!(to_set_3(false, 0x59), None);
        assert_eq!(to_set_3(true, 0x1e), None);
        let all: Vec<u8> = [false, true]
            .into_iter()
            .flat_map(|extended| (0..=255).filter_map(move |code| to_set_3(extended, code)))
            .collect();
        // Alt+Print Screen is the same key as Print Screen.
        let once =
            |byte: &u8| *byte == 0x57 || all.iter().filter(|other| *other == byte).count() == 1;
        assert!(all.iter().all(|byte| once(byte) && is_set_3(*byte)));
        assert!(!is_set_3(0) && !is_set_3(0xf4));
    }

    #[test]
    fn answers_of_the_keyboard_stay_as_they_are() {
        for byte in [0xfa, 0xaa, 0xfe, 0xee, 0xab, 0xe0, 0xe1, 0xff] {
            assert_eq!(to_set_1(byte), byte);
        }
        assert_eq!(to_set_1(0), 0xff, "overrun");
    }
}
