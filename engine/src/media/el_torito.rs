//! The boot catalog of an optical disc ("El Torito", bootable CD-ROM format specification 1.0).

use std::io;

use super::source::{SECTOR, Source, dword, word};

/// How many sectors of the catalog are read: 256 entries.
const MOST_SECTORS: usize = 4;
const ENTRY: usize = 32;

const BOOTABLE: u8 = 0x88;
const SECTION: u8 = 0x90;
const LAST_SECTION: u8 = 0x91;
const EXTENSION: u8 = 0x44;
const PLATFORM_PC: u8 = 0x00;
const PLATFORM_UEFI: u8 = 0xef;

/// What the catalog offers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct BootCatalog {
    /// An entry that a BIOS starts.
    pub(super) bios: bool,
    /// An entry that UEFI starts.
    pub(super) uefi: bool,
    /// An entry of a floppy or hard disk whose image the BIOS emulates.
    pub(super) emulation: bool,
    /// The catalog is not where it should be, or does not add up.
    pub(super) damaged: bool,
    /// An entry points beyond the end of the medium.
    pub(super) beyond_end: bool,
}

/// Reads the catalog at sector `first`.
pub(super) fn read(source: &impl Source, first: u32) -> io::Result<BootCatalog> {
    let mut bytes = Vec::with_capacity(MOST_SECTORS * SECTOR);
    for number in (u64::from(first)..).take(MOST_SECTORS) {
        match source.sector(number)? {
            Some(sector) => bytes.extend(sector),
            None => break,
        }
    }
    Ok(parse(&bytes, source.size()))
}

fn parse(bytes: &[u8], size: u64) -> BootCatalog {
    let mut catalog = BootCatalog::default();
    let mut entries = bytes.chunks_exact(ENTRY);
    let Some(platform) = entries.next().and_then(validation) else {
        catalog.damaged = true;
        return catalog;
    };
    if let Some(entry) = entries.next() {
        catalog.take(platform, entry, size);
    }
    // Sections follow, each with as many entries as its header says; extensions of entries stand among them.
    let mut platform = platform;
    let mut left = 0;
    let mut last = false;
    for entry in entries {
        let kind = entry.first().copied().unwrap_or(0);
        if kind == EXTENSION {
            continue;
        }
        if left > 0 {
            left -= 1;
            catalog.take(platform, entry, size);
        } else if !last && matches!(kind, SECTION | LAST_SECTION) {
            last = kind == LAST_SECTION;
            platform = entry.get(1).copied().unwrap_or(0);
            left = word(entry, 2);
        } else {
            break;
        }
    }
    catalog
}

/// The platform that the validation entry names, if it is one and adds up.
fn validation(entry: &[u8]) -> Option<u8> {
    let sum = (0..ENTRY)
        .step_by(2)
        .fold(0_u16, |sum, at| sum.wrapping_add(word(entry, at)));
    let valid = entry.first() == Some(&1) && word(entry, 30) == 0xaa55 && sum == 0;
    valid.then(|| entry.get(1).copied().unwrap_or(0))
}

impl BootCatalog {
    fn take(&mut self, platform: u8, entry: &[u8], size: u64) {
        if entry.first() != Some(&BOOTABLE) {
            return;
        }
        if u64::from(dword(entry, 8)).saturating_mul(SECTOR as u64) >= size {
            self.beyond_end = true;
            return;
        }
        match platform {
            PLATFORM_PC => {
                self.bios = true;
                self.emulation |= entry.get(1).is_some_and(|media| media & 0x0f != 0);
            }
            PLATFORM_UEFI => self.uefi = true,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A validation entry for `platform` and the entries after it.
    fn catalog(platform: u8, entries: &[[u8; 4]]) -> Vec<u8> {
        let mut bytes = vec![0; ENTRY];
        bytes[0] = 1;
        bytes[1] = platform;
        bytes[30..].copy_from_slice(&[0x55, 0xaa]);
        let sum = bytes.chunks(2).fold(0_u16, |sum, pair| {
            sum.wrapping_add(u16::from_le_bytes([pair[0], pair[1]]))
        });
        bytes[28..30].copy_from_slice(&sum.wrapping_neg().to_le_bytes());
        for entry in entries {
            bytes.extend(entry);
            bytes.extend([0; 4]);
            bytes.extend([20, 0, 0, 0]);
            bytes.resize(bytes.len() + ENTRY - 12, 0);
        }
        bytes
    }

    const SIZE: u64 = 64 * SECTOR as u64;

    #[test]
    fn entries_of_both_firmwares_are_found() {
        for (bytes, bios, uefi, emulation) in [
            (catalog(0, &[[0x88, 0, 0, 0]]), true, false, false),
            (catalog(0, &[[0x88, 2, 0, 0]]), true, false, true),
            (catalog(0xef, &[[0x88, 0, 0, 0]]), false, true, false),
            (catalog(0, &[[0x00, 0, 0, 0]]), false, false, false),
            // A section for UEFI after the default entry, as xorriso and Microsoft write it.
            (
                catalog(0, &[[0x88, 0, 0, 0], [0x91, 0xef, 1, 0], [0x88, 0, 0, 0]]),
                true,
                true,
                false,
            ),
            // Two sections, an extension in the first, and one after the last that does not count.
            (
                catalog(
                    1,
                    &[
                        [0x88, 0, 0, 0],
                        [0x90, 1, 1, 0],
                        [0x88, 0, 0, 0],
                        [0x44, 0, 0, 0],
                        [0x91, 0, 1, 0],
                        [0x88, 0, 0, 0],
                        [0x91, 0xef, 1, 0],
                        [0x88, 0, 0, 0],
                    ],
                ),
                true,
                false,
                false,
            ),
        ] {
            let found = parse(&bytes, SIZE);
            let expected = BootCatalog {
                bios,
                uefi,
                emulation,
                ..BootCatalog::default()
            };
            assert_eq!(found, expected, "{bytes:x?}");
        }
    }

    #[test]
    fn damage_is_told_and_ends() {
        assert!(parse(&[], SIZE).damaged);
        assert!(parse(&[0; 2048], SIZE).damaged);
        let mut bytes = catalog(0, &[[0x88, 0, 0, 0]]);
        bytes[5] ^= 1;
        assert!(parse(&bytes, SIZE).damaged);
        let beyond = parse(&catalog(0, &[[0x88, 0, 0, 0]]), 20 * SECTOR as u64);
        assert!(beyond.beyond_end && !beyond.bios);
        // A section of 65535 entries ends with the catalog.
        let mut entries = vec![[0, 0, 0, 0], [0x91, 0, 0xff, 0xff]];
        entries.resize(200, [0x88, 0, 0, 0]);
        assert!(parse(&catalog(0xef, &entries), SIZE).bios);
    }
}
