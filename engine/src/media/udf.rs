//! The label of a UDF file system (ECMA-167, OSTA UDF 2.60).

use std::io;

use super::source::{SECTOR, Source, dword, word};

/// Where the anchor volume descriptor pointer is.
const ANCHOR: u64 = 256;
/// How many descriptors of the main sequence are looked at; it has sixteen sectors.
const MOST_DESCRIPTORS: u64 = 32;

const TAG_PRIMARY: u16 = 1;
const TAG_ANCHOR: u16 = 2;
const TAG_LOGICAL: u16 = 6;
const TAG_END: u16 = 8;

/// The logical volume's name, or else the primary's.
pub(super) fn label(source: &impl Source) -> io::Result<Option<String>> {
    let Some(anchor) = source
        .sector(ANCHOR)?
        .filter(|sector| word(sector, 0) == TAG_ANCHOR)
    else {
        return Ok(None);
    };
    let count = u64::from(dword(&anchor, 16)) / SECTOR as u64;
    let first = u64::from(dword(&anchor, 20));
    let mut from_primary = None;
    for number in first..first + count.min(MOST_DESCRIPTORS) {
        let Some(descriptor) = source.sector(number)? else {
            break;
        };
        match word(&descriptor, 0) {
            TAG_PRIMARY => from_primary = string(descriptor.get(24..56).unwrap_or(&[])),
            TAG_LOGICAL => {
                if let Some(label) = string(descriptor.get(84..212).unwrap_or(&[])) {
                    return Ok(Some(label));
                }
            }
            TAG_END => break,
            _ => {}
        }
    }
    Ok(from_primary)
}

/// A string of fixed size: the width of its characters in bits, the characters, and at the end how many bytes are used.
fn string(field: &[u8]) -> Option<String> {
    let (length, field) = field.split_last()?;
    let used = field.get(..usize::from(*length)).unwrap_or(field);
    let (width, characters) = used.split_first()?;
    let text: String = match width {
        8 => characters.iter().map(|byte| char::from(*byte)).collect(),
        16 => {
            let units = characters
                .chunks_exact(2)
                .map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            char::decode_utf16(units)
                .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect()
        }
        _ => return None,
    };
    let text = text.trim_end_matches([' ', '\0']);
    (!text.is_empty()).then(|| text.chars().filter(|it| !it.is_control()).collect())
}
