//! X11 keysyms (RFC 6143, section 7.5.4; X Window System protocol, appendix A) as positions on a US keyboard, for clients that do
//! not speak of positions themselves.

use crate::input::ScanCode;

/// Each key of the keyboard: its position, its keysym on a US keyboard, and its keysym with Shift where that is another character.
const KEYS: &[(u8, u32, u32)] = &[
    (0x01, 0xff1b, 0), // Escape
    (0x02, 0x31, 0x21),
    (0x03, 0x32, 0x40),
    (0x04, 0x33, 0x23),
    (0x05, 0x34, 0x24),
    (0x06, 0x35, 0x25),
    (0x07, 0x36, 0x5e),
    (0x08, 0x37, 0x26),
    (0x09, 0x38, 0x2a),
    (0x0a, 0x39, 0x28),
    (0x0b, 0x30, 0x29),
    (0x0c, 0x2d, 0x5f),
    (0x0d, 0x3d, 0x2b),
    (0x0e, 0xff08, 0), // BackSpace
    (0x0f, 0xff09, 0), // Tab
    (0x10, 0x71, 0x51),
    (0x11, 0x77, 0x57),
    (0x12, 0x65, 0x45),
    (0x13, 0x72, 0x52),
    (0x14, 0x74, 0x54),
    (0x15, 0x79, 0x59),
    (0x16, 0x75, 0x55),
    (0x17, 0x69, 0x49),
    (0x18, 0x6f, 0x4f),
    (0x19, 0x70, 0x50),
    (0x1a, 0x5b, 0x7b),
    (0x1b, 0x5d, 0x7d),
    (0x1c, 0xff0d, 0), // Return
    (0x1d, 0xffe3, 0), // Control_L
    (0x1e, 0x61, 0x41),
    (0x1f, 0x73, 0x53),
    (0x20, 0x64, 0x44),
    (0x21, 0x66, 0x46),
    (0x22, 0x67, 0x47),
    (0x23, 0x68, 0x48),
    (0x24, 0x6a, 0x4a),
    (0x25, 0x6b, 0x4b),
    (0x26, 0x6c, 0x4c),
    (0x27, 0x3b, 0x3a),
    (0x28, 0x27, 0x22),
    (0x29, 0x60, 0x7e),
    (0x2a, 0xffe1, 0), // Shift_L
    (0x2b, 0x5c, 0x7c),
    (0x2c, 0x7a, 0x5a),
    (0x2d, 0x78, 0x58),
    (0x2e, 0x63, 0x43),
    (0x2f, 0x76, 0x56),
    (0x30, 0x62, 0x42),
    (0x31, 0x6e, 0x4e),
    (0x32, 0x6d, 0x4d),
    (0x33, 0x2c, 0x3c),
    (0x34, 0x2e, 0x3e),
    (0x35, 0x2f, 0x3f),
    (0x36, 0xffe2, 0), // Shift_R
    (0x37, 0xffaa, 0), // KP_Multiply
    (0x38, 0xffe9, 0), // Alt_L
    (0x39, 0x20, 0),
    (0x3a, 0xffe5, 0), // Caps_Lock
    (0x3b, 0xffbe, 0), // F1
    (0x3c, 0xffbf, 0),
    (0x3d, 0xffc0, 0),
    (0x3e, 0xffc1, 0),
    (0x3f, 0xffc2, 0),
    (0x40, 0xffc3, 0),
    (0x41, 0xffc4, 0),
    (0x42, 0xffc5, 0),
    (0x43, 0xffc6, 0),
    (0x44, 0xffc7, 0),
    (0x45, 0xff7f, 0), // Num_Lock
    (0x46, 0xff14, 0), // Scroll_Lock
    (0x47, 0xffb7, 0), // KP_7
    (0x48, 0xffb8, 0),
    (0x49, 0xffb9, 0),
    (0x4a, 0xffad, 0), // KP_Subtract
    (0x4b, 0xffb4, 0),
    (0x4c, 0xffb5, 0),
    (0x4d, 0xffb6, 0),
    (0x4e, 0xffab, 0), // KP_Add
    (0x4f, 0xffb1, 0),
    (0x50, 0xffb2, 0),
    (0x51, 0xffb3, 0),
    (0x52, 0xffb0, 0), // KP_0
    (0x53, 0xffae, 0), // KP_Decimal
    (0x54, 0xff15, 0), // Sys_Req
    (0x56, 0xa6, 0),   // The key between left Shift and Z on 105-key keyboards
    (0x57, 0xffc8, 0), // F11
    (0x58, 0xffc9, 0),
    (0x59, 0xffbd, 0), // KP_Equal
    (0x64, 0xffca, 0), // F13
    (0x65, 0xffcb, 0),
    (0x66, 0xffcc, 0),
    (0x67, 0xffcd, 0),
    (0x68, 0xffce, 0),
    (0x69, 0xffcf, 0),
    (0x6a, 0xffd0, 0),
    (0x6b, 0xffd1, 0),
    (0x6c, 0xffd2, 0),
    (0x6d, 0xffd3, 0),
    (0x6e, 0xffd4, 0),
    (0x70, 0xff27, 0),      // Hiragana_Katakana
    (0x73, 0x04db, 0), // kana_RO: the key left of right Shift on Japanese and Brazilian keyboards
    (0x76, 0xffd5, 0), // F24
    (0x79, 0xff23, 0), // Henkan_Mode
    (0x7b, 0xff22, 0), // Muhenkan
    (0x7d, 0xa5, 0),   // yen
    (0x7e, 0xffac, 0), // KP_Separator
    (0x90, 0x1008_ff16, 0), // XF86AudioPrev
    (0x99, 0x1008_ff17, 0), // XF86AudioNext
    (0x9c, 0xff8d, 0), // KP_Enter
    (0x9d, 0xffe4, 0), // Control_R
    (0xa0, 0x1008_ff12, 0), // XF86AudioMute
    (0xa1, 0x1008_ff1d, 0), // XF86Calculator
    (0xa2, 0x1008_ff14, 0), // XF86AudioPlay
    (0xa4, 0x1008_ff15, 0), // XF86AudioStop
    (0xae, 0x1008_ff11, 0), // XF86AudioLowerVolume
    (0xb0, 0x1008_ff13, 0), // XF86AudioRaiseVolume
    (0xb2, 0x1008_ff18, 0), // XF86HomePage
    (0xb5, 0xffaf, 0), // KP_Divide
    (0xb7, 0xff61, 0), // Print
    (0xb8, 0xffea, 0), // Alt_R
    (0xc6, 0xff13, 0), // Pause
    (0xc7, 0xff50, 0), // Home
    (0xc8, 0xff52, 0),
    (0xc9, 0xff55, 0),
    (0xcb, 0xff51, 0),
    (0xcd, 0xff53, 0),
    (0xcf, 0xff57, 0),
    (0xd0, 0xff54, 0),
    (0xd1, 0xff56, 0),
    (0xd2, 0xff63, 0),      // Insert
    (0xd3, 0xffff, 0),      // Delete
    (0xdb, 0xffeb, 0),      // Super_L
    (0xdc, 0xffec, 0),      // Super_R
    (0xdd, 0xff67, 0),      // Menu
    (0xde, 0x1008_ff2a, 0), // XF86PowerOff
    (0xdf, 0x1008_ff2f, 0), // XF86Sleep
    (0xe3, 0x1008_ff2b, 0), // XF86WakeUp
    (0xe5, 0x1008_ff1b, 0), // XF86Search
    (0xe6, 0x1008_ff30, 0), // XF86Favorites
    (0xe7, 0x1008_ff29, 0), // XF86Refresh
    (0xe8, 0x1008_ff28, 0), // XF86Stop
    (0xe9, 0x1008_ff27, 0), // XF86Forward
    (0xea, 0x1008_ff26, 0), // XF86Back
    (0xeb, 0x1008_ff33, 0), // XF86MyComputer
    (0xec, 0x1008_ff19, 0), // XF86Mail
    (0xed, 0x1008_ff32, 0), // XF86AudioMedia
    (0xf1, 0xff34, 0),      // Hangul_Hanja
    (0xf2, 0xff31, 0),      // Hangul
];

/// Other keysyms that the same keys send, by the state of Num Lock, the layout's levels or the client's taste.
const ALIASES: &[(u32, u8)] = &[
    (0xfe20, 0x0f), // ISO_Left_Tab
    (0xff95, 0x47), // KP_Home
    (0xff97, 0x48),
    (0xff9a, 0x49),
    (0xff96, 0x4b),
    (0xff9d, 0x4c),
    (0xff98, 0x4d),
    (0xff9c, 0x4f),
    (0xff99, 0x50),
    (0xff9b, 0x51),
    (0xff9e, 0x52),
    (0xff9f, 0x53),
    (0xffe7, 0x38),      // Meta_L
    (0xffe8, 0xb8),      // Meta_R
    (0xfe03, 0xb8),      // ISO_Level3_Shift
    (0xff7e, 0xb8),      // Mode_switch
    (0xff20, 0xb8),      // Multi_key
    (0xffe6, 0x3a),      // Shift_Lock
    (0xffed, 0xdb),      // Hyper_L
    (0xffee, 0xdc),      // Hyper_R
    (0xff6b, 0xc6),      // Break
    (0xff0a, 0x1c),      // Linefeed
    (0xff0b, 0x4c),      // Clear
    (0xff26, 0x70),      // Katakana
    (0xff25, 0x70),      // Hiragana
    (0x1008_ff31, 0xa2), // XF86AudioPause
    (0x1008_ff73, 0xe7), // XF86Reload
];

/// The key that has `keysym` on a US keyboard, and whether Shift must be held with it to mean this keysym.
pub fn scan_code(keysym: u32) -> Option<(ScanCode, bool)> {
    // Unicode keysyms of Latin-1 characters say the same as their short form.
    let keysym = match keysym {
        0x0100_0020..=0x0100_00ff => keysym & 0xff,
        _ => keysym,
    };
    if keysym == 0 {
        return None;
    }
    KEYS.iter()
        .find_map(|(code, plain, shifted)| {
            (*plain == keysym || *shifted == keysym)
                .then_some((ScanCode(*code), *shifted == keysym))
        })
        .or_else(|| {
            ALIASES
                .iter()
                .find_map(|(alias, code)| (*alias == keysym).then_some((ScanCode(*code), false)))
        })
}

/// The keysym that the key at `code` sends on a US keyboard without Shift. What [`scan_code`] makes of it is `code` again, so that
/// a client that can send only keysyms can name a key by its position.
pub fn us_keysym(code: ScanCode) -> Option<u32> {
    KEYS.iter()
        .find_map(|(key, plain, _)| (*key == code.0).then_some(*plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_position_comes_back_from_its_keysym() {
        for code in 0..=u8::MAX {
            if let Some(keysym) = us_keysym(ScanCode(code)) {
                assert_eq!(
                    scan_code(keysym),
                    Some((ScanCode(code), false)),
                    "{code:#x}"
                );
            }
        }
        assert_eq!(us_keysym(ScanCode(0)), None);
    }

    #[test]
    fn no_keysym_is_in_the_tables_twice() {
        let mut all: Vec<u32> = KEYS
            .iter()
            .flat_map(|(_, plain, shifted)| [*plain, *shifted])
            .chain(ALIASES.iter().map(|(alias, _)| *alias))
            .filter(|keysym| *keysym != 0)
            .collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        assert!(KEYS.is_sorted_by_key(|(code, ..)| *code));
    }

    #[test]
    fn all_of_ascii_can_be_typed() {
        for character in ' '..='~' {
            let found = scan_code(u32::from(character));
            assert!(found.is_some(), "{character}");
            let shifted = found.map(|(_, shifted)| shifted);
            assert_eq!(
                shifted,
                Some(
                    character.is_ascii_uppercase() || "~!@#$%^&*()_+{}|:\"<>?".contains(character)
                )
            );
        }
        assert_eq!(scan_code(0x0100_0041), Some((ScanCode(0x1e), true)));
        assert_eq!(scan_code(0xff0d), Some((ScanCode(0x1c), false)));
        assert_eq!(scan_code(0xff8d), Some((ScanCode(0x9c), false)));
        for unknown in [0, 1, 0x0100_0000, u32::MAX, 0x0100_20ac] {
            assert_eq!(scan_code(unknown), None);
        }
    }
}
