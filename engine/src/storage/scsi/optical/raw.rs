//! Sectors of a CD as they stand on it, made from their user data: ECMA-130, sections 14 (sectors of Mode 1 and their error detection
//! code) and Annex A (their error correction code).

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::{SECTOR, toc};
use crate::disk::{Image, ImageError};

/// Bytes of a whole sector.
const WHOLE: usize = 2352;
/// Where the parts of a sector of Mode 1 lie in it.
const SYNCHRONIZATION: Range<usize> = 0..12;
const HEADER: Range<usize> = 12..16;
const USER_DATA: Range<usize> = 16..2064;
/// Behind it come eight zeros and the two parts of the error correction code.
const DETECTION_CODE: Range<usize> = 2064..2068;
const P_PARITY: usize = 2076;
const Q_PARITY: usize = 2248;

/// The polynomial (x^16 + x^15 + x^2 + 1)(x^16 + x^2 + x + 1) of the error detection code, lowest power highest.
const DETECTION_POLYNOMIAL: u32 = 0xd801_8001;
/// x^8 + x^4 + x^3 + x^2 + 1, over which the error correction code counts, without its highest power.
const FIELD_POLYNOMIAL: u8 = 0x1d;

/// The part of a sector of Mode 1 that READ CD's flags (byte 9 of the command) choose: an empty one for none, nothing if there is no
/// such form. A sector of Mode 1 has no sub-header. MMC-3, "READ CD".
pub(super) fn chosen(flags: u8) -> Option<Range<usize>> {
    let (synchronization, user_data, correction) =
        (flags & 0x80 != 0, flags & 0x10 != 0, flags & 0x08 != 0);
    let header = flags & 0x20 != 0;
    // C2 errors and reserved bits.
    if flags & 0x07 != 0 {
        return None;
    }
    match (synchronization, header, user_data, correction) {
        (false, false, false, false) => Some(0..0),
        (false, false, true, false) => Some(USER_DATA),
        (false, false, true, true) => Some(USER_DATA.start..WHOLE),
        (false, true, false, false) => Some(HEADER),
        (false, true, true, false) => Some(HEADER.start..USER_DATA.end),
        (false, true, true, true) => Some(HEADER.start..WHOLE),
        (true, true, false, false) => Some(SYNCHRONIZATION.start..HEADER.end),
        (true, true, true, false) => Some(SYNCHRONIZATION.start..USER_DATA.end),
        (true, true, true, true) => Some(0..WHOLE),
        _ => None,
    }
}

/// Whether `part` is the user data and no more.
pub(super) fn is_user_data(part: &Range<usize>) -> bool {
    *part == USER_DATA
}

/// A medium whose every sector is shown as one part of it as it stands on a CD.
pub(super) struct RawSectors {
    image: Arc<dyn Image>,
    part: Range<usize>,
}

impl RawSectors {
    /// The `part` (not empty, as [`chosen`] gives it) of each sector of `image`.
    pub(super) fn new(image: Arc<dyn Image>, part: Range<usize>) -> Self {
        Self { image, part }
    }

    /// Bytes that are shown of each sector.
    pub(super) fn sector(&self) -> u64 {
        self.part.len() as u64
    }
}

impl Image for RawSectors {
    fn size(&self) -> u64 {
        self.image.size() / SECTOR * self.sector()
    }

    fn read_only(&self) -> bool {
        true
    }

    fn file(&self) -> &Path {
        self.image.file()
    }

    fn read_at(&self, offset: u64, data: &mut [u8]) -> Result<(), ImageError> {
        let beyond = || ImageError::OutOfRange {
            file: self.file().to_owned(),
            offset,
            length: data.len() as u64,
        };
        let end = offset.checked_add(data.len() as u64).ok_or_else(beyond)?;
        if end > self.size() {
            return Err(beyond());
        }
        let mut at = offset;
        let mut left = data;
        while !left.is_empty() {
            let number = at / self.sector();
            let within = usize::try_from(at % self.sector()).unwrap_or(0);
            let sector = self.whole(number)?;
            let from = sector
                .get(self.part.clone())
                .and_then(|part| part.get(within..))
                .unwrap_or(&[]);
            let count = from.len().min(left.len()).max(1);
            let (to, rest) = left.split_at_mut(count);
            to.copy_from_slice(from.get(..count).unwrap_or(&[0]));
            left = rest;
            at += count as u64;
        }
        Ok(())
    }

    fn write_at(&self, _offset: u64, _data: &[u8]) -> Result<(), ImageError> {
        Err(ImageError::ReadOnly {
            file: self.file().to_owned(),
        })
    }

    fn flush(&self) -> Result<(), ImageError> {
        Ok(())
    }
}

impl RawSectors {
    fn whole(&self, number: u64) -> Result<[u8; WHOLE], ImageError> {
        let mut sector = [0; WHOLE];
        sector[1..11].fill(0xff);
        let address = toc::minute_second_frame(u32::try_from(number).unwrap_or(u32::MAX));
        for (place, part) in sector[HEADER].iter_mut().zip(address) {
            *place = ((part / 10 % 10) << 4) | (part % 10);
        }
        sector[HEADER.end - 1] = 1;
        self.image
            .read_at(number * SECTOR, &mut sector[USER_DATA])?;
        let code = detection_code(&sector[..USER_DATA.end]);
        sector[DETECTION_CODE].copy_from_slice(&code.to_le_bytes());
        // 43 columns of 24 rows of words for P; then, with P's parity, 26 diagonals of 43 for Q.
        parity(&mut sector, P_PARITY, 86, 24, 2, 86);
        parity(&mut sector, Q_PARITY, 52, 43, 86, 88);
        Ok(sector)
    }
}

/// The error detection code of a sector up to the end of its user data.
fn detection_code(data: &[u8]) -> u32 {
    data.iter().fold(0, |code, byte| {
        (0..8).fold(code ^ u32::from(*byte), |code, _| {
            code >> 1
                ^ if code & 1 != 0 {
                    DETECTION_POLYNOMIAL
                } else {
                    0
                }
        })
    })
}

/// The double of a number of the field.
fn double(number: u8) -> u8 {
    number << 1
        ^ if number & 0x80 != 0 {
            FIELD_POLYNOMIAL
        } else {
            0
        }
}

/// The number of the field that makes `sum` together with its double.
fn of_sum(sum: u8) -> u8 {
    (0..=u8::MAX)
        .find(|number| double(*number) ^ number == sum)
        .unwrap_or(0)
}

/// Writes the two parity bytes of each of `count` code words of `length` bytes. Bytes of words lie side by side (low and high of a
/// 16-bit word belong to two code words); `along` is from one pair of code words to the next, `step` from one byte to the next.
fn parity(
    sector: &mut [u8; WHOLE],
    to: usize,
    count: usize,
    length: usize,
    along: usize,
    step: usize,
) {
    for word in 0..count {
        let (mut weighted, mut sum) = (0, 0);
        for place in 0..length {
            let at = (word / 2 * along + word % 2 + place * step) % (count * length);
            let byte = sector.get(HEADER.start + at).copied().unwrap_or(0);
            sum ^= byte;
            weighted = double(weighted ^ byte);
        }
        // The two unknowns of: the sum of all bytes is 0, and so is that of all bytes times the power of their place.
        let first = of_sum(double(weighted) ^ sum);
        for (place, byte) in [(to + word, first), (to + count + word, first ^ sum)] {
            if let Some(place) = sector.get_mut(place) {
                *place = byte;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disc of 100 sectors, of bytes that depend on their place.
    struct Disc;

    impl Image for Disc {
        fn size(&self) -> u64 {
            100 * SECTOR
        }
        fn read_only(&self) -> bool {
            true
        }
        fn file(&self) -> &Path {
            Path::new("disc")
        }
        fn read_at(&self, offset: u64, data: &mut [u8]) -> Result<(), ImageError> {
            for (at, byte) in (offset..).zip(data) {
                *byte = (at.wrapping_mul(0x9e37_79b9) >> 7).to_le_bytes()[0];
            }
            Ok(())
        }
        fn write_at(&self, _offset: u64, _data: &[u8]) -> Result<(), ImageError> {
            Ok(())
        }
        fn flush(&self) -> Result<(), ImageError> {
            Ok(())
        }
    }

    fn shown(part: Range<usize>, offset: u64, length: usize) -> Vec<u8> {
        let mut data = vec![0; length];
        let raw = RawSectors::new(Arc::new(Disc), part);
        raw.read_at(offset, &mut data).unwrap();
        data
    }

    fn multiplied(one: u8, other: u8) -> u8 {
        let doubled = std::iter::successors(Some(one), |number| Some(double(*number)));
        doubled
            .zip(0..8)
            .filter(|(_, bit)| (other >> bit) & 1 != 0)
            .fold(0, |sum, (number, _)| sum ^ number)
    }

    #[test]
    fn a_whole_sector_has_its_parts() {
        // Sector 5 begins two seconds and five frames in; 2352 bytes a sector.
        let sector = shown(0..WHOLE, 5 * 2352, WHOLE);
        assert_eq!(sector[0], 0);
        assert_eq!(sector[1..11], [0xff; 10]);
        assert_eq!(sector[11..16], [0, 0x00, 0x02, 0x05, 0x01]);
        let mut user_data = [0; 2048];
        Disc.read_at(5 * SECTOR, &mut user_data).unwrap();
        assert_eq!(sector[USER_DATA], user_data);
        assert_eq!(sector[2068..2076], [0; 8]);
        // 98 sectors in: 3 seconds and 23 frames, in decimal digits.
        assert_eq!(shown(HEADER, 98 * 4, 4), [0x00, 0x03, 0x23, 0x01]);
    }

    #[test]
    fn the_detection_code_divides_as_the_standard_says() {
        let product = (0..17)
            .filter(|bit| (0x1_8005_u64 >> bit) & 1 != 0)
            .fold(0, |sum, bit| sum ^ (0x1_0007_u64 << bit));
        assert_eq!(product, 0x1_8001_801b);
        assert_eq!(
            DETECTION_POLYNOMIAL.reverse_bits(),
            u32::try_from(product & 0xffff_ffff).unwrap()
        );
        // With its code behind it, the data is a multiple of the polynomial.
        let sector = shown(0..WHOLE, 7 * 2352, WHOLE);
        assert_eq!(detection_code(&sector[..DETECTION_CODE.end]), 0);
        assert_ne!(detection_code(&sector[..DETECTION_CODE.start]), 0);
    }

    #[test]
    fn every_code_word_of_the_correction_code_adds_up() {
        let sector = shown(0..WHOLE, 11 * 2352, WHOLE);
        let bytes = &sector[HEADER.start..];
        let word = |places: Vec<usize>| {
            let (mut sum, mut weighted) = (0, 0);
            for at in places {
                sum ^= bytes[at];
                // Horner's rule: the last byte has the power 0.
                weighted = multiplied(weighted, 2) ^ bytes[at];
            }
            (sum, weighted)
        };
        for column in 0..86 {
            let places = (0..26).map(|row| column + 86 * row).collect();
            assert_eq!(word(places), (0, 0), "P {column}");
        }
        for diagonal in 0..52 {
            let start = diagonal / 2 * 86 + diagonal % 2;
            let mut places: Vec<usize> = (0..43).map(|at| (start + 88 * at) % 2236).collect();
            places.extend([2236 + diagonal, 2236 + 52 + diagonal]);
            assert_eq!(word(places), (0, 0), "Q {diagonal}");
        }
    }

    #[test]
    fn flags_choose_parts_that_follow_each_other() {
        for (flags, part) in [
            (0x00, Some(0..0)),
            (0x10, Some(16..2064)),
            (0x50, Some(16..2064)),
            (0x18, Some(16..2352)),
            (0x20, Some(12..16)),
            (0x30, Some(12..2064)),
            (0x38, Some(12..2352)),
            (0xa0, Some(0..16)),
            (0xb0, Some(0..2064)),
            (0xb8, Some(0..2352)),
            (0xf8, Some(0..2352)),
            (0x08, None),
            (0x28, None),
            (0x90, None),
            (0x80, None),
            (0xa8, None),
            (0x12, None),
            (0xfc, None),
            (0x11, None),
        ] {
            assert_eq!(chosen(flags), part, "{flags:#x}");
        }
    }

    #[test]
    fn any_range_is_the_same_as_a_part_of_all() {
        for part in [HEADER, 0..WHOLE, USER_DATA.start..WHOLE] {
            let length = part.len();
            let all = shown(part.clone(), 0, 100 * length);
            for (offset, count) in [
                (0, 1),
                (1, length),
                (length - 1, 2),
                (3 * length + 7, 5 * length),
            ] {
                assert_eq!(
                    shown(part.clone(), offset as u64, count),
                    all[offset..offset + count]
                );
            }
            let raw = RawSectors::new(Arc::new(Disc), part);
            assert_eq!(raw.size(), 100 * length as u64);
            assert!(raw.read_at(raw.size(), &mut [0]).is_err());
            assert!(raw.read_at(u64::MAX, &mut [0]).is_err());
            assert!(raw.write_at(0, &[0]).is_err());
        }
    }
}
