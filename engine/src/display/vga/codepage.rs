//! Code page 437, the characters of the PC's own fonts, as Unicode.

/// The characters below the space and from 0x7F on; those between are ASCII.
const LOW: &str = "\u{20}☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼";
const HIGH: &str = "⌂ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";

/// The character that code `code` shows; code 0 shows nothing and is a space.
pub(crate) fn character(code: u8) -> char {
    match code {
        0..0x20 => LOW.chars().nth(usize::from(code)).unwrap_or(' '),
        0x20..0x7f => char::from(code),
        0x7f.. => HIGH.chars().nth(usize::from(code - 0x7f)).unwrap_or(' '),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_character() {
        assert_eq!((LOW.chars().count(), HIGH.chars().count()), (0x20, 0x81));
        for (code, expected) in [
            (0, ' '),
            (1, '☺'),
            (0x1f, '▼'),
            (b'A', 'A'),
            (0x7f, '⌂'),
            (0x80, 'Ç'),
            (0xb3, '│'),
            (0xc4, '─'),
            (0xdb, '█'),
            (0xe1, 'ß'),
            (0xfe, '■'),
        ] {
            assert_eq!(character(code), expected, "{code:#x}");
        }
    }
}
