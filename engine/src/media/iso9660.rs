//! The volume descriptors at the beginning of an optical disc: ISO 9660 (ECMA-119), and the recognition sequence of UDF
//! (ECMA-167) that stands among them.

use std::io;

use super::el_torito::{self, BootCatalog};
use super::source::{SECTOR, Source, dword, has, word};
use super::udf;

/// The first volume descriptor's sector.
const FIRST_DESCRIPTOR: u64 = 16;
/// How many descriptors are looked at; discs have three to seven.
const MOST_DESCRIPTORS: u64 = 32;

/// What an optical disc says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Disc {
    /// The primary volume descriptor, when there is an ISO 9660 file system.
    pub(super) primary: Option<Primary>,
    /// Whether there is a UDF file system, and its label.
    pub(super) udf: Option<String>,
    /// What the boot catalog offers, when there is one.
    pub(super) catalog: Option<BootCatalog>,
}

/// The primary volume descriptor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Primary {
    pub(super) volume: String,
    pub(super) system: String,
    pub(super) publisher: String,
    pub(super) application: String,
    /// When the disc was made, as "2025-05-17", if it says so.
    pub(super) created: Option<String>,
    /// The size of the volume, in bytes.
    pub(super) size: u64,
}

/// Reads what `source` says of itself, if it is an optical disc's image.
pub(super) fn read(source: &impl Source) -> io::Result<Option<Disc>> {
    let mut disc = Disc::default();
    let mut has_udf = false;
    let mut catalog_sector = None;
    let mut known = false;
    for number in FIRST_DESCRIPTOR..FIRST_DESCRIPTOR + MOST_DESCRIPTORS {
        let Some(descriptor) = source.sector(number)? else {
            break;
        };
        match descriptor.get(1..6) {
            Some(b"CD001") => match descriptor.first() {
                Some(0) if has(&descriptor, 7, b"EL TORITO SPECIFICATION") => {
                    catalog_sector = catalog_sector.or(Some(dword(&descriptor, 71)));
                }
                Some(1) if disc.primary.is_none() => disc.primary = Some(primary(&descriptor)),
                _ => {}
            },
            Some(b"NSR02" | b"NSR03") => has_udf = true,
            Some(b"BEA01" | b"TEA01" | b"BOOT2") => {}
            _ => break,
        }
        known = true;
    }
    if !known {
        return Ok(None);
    }
    if has_udf {
        disc.udf = Some(udf::label(source)?.unwrap_or_default());
    }
    if let Some(sector) = catalog_sector {
        disc.catalog = Some(el_torito::read(source, sector)?);
    }
    Ok(Some(disc))
}

fn primary(descriptor: &[u8]) -> Primary {
    let block = match word(descriptor, 128) {
        size @ (512 | 1024 | 2048) => u64::from(size),
        _ => SECTOR as u64,
    };
    Primary {
        system: text(descriptor, 8, 32),
        volume: text(descriptor, 40, 32),
        publisher: text(descriptor, 318, 128),
        application: text(descriptor, 574, 128),
        created: date(descriptor),
        size: u64::from(dword(descriptor, 80)).saturating_mul(block),
    }
}

/// A field of `length` bytes at `at`, without the padding at its end.
fn text(descriptor: &[u8], at: usize, length: usize) -> String {
    let field = descriptor.get(at..at + length).unwrap_or(&[]);
    String::from_utf8_lossy(field)
        .trim_end_matches([' ', '\0'])
        .chars()
        .filter(|character| !character.is_control())
        .collect()
}

/// The creation date: 16 digits from year to hundredths.
fn date(descriptor: &[u8]) -> Option<String> {
    let digits = descriptor.get(813..821)?;
    let text = std::str::from_utf8(digits).ok()?;
    let valid = digits.iter().all(u8::is_ascii_digit) && !text.starts_with("0000");
    valid.then(|| format!("{}-{}-{}", &text[..4], &text[4..6], &text[6..]))
}
