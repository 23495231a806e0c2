//! Files with holes: where their data is, and how an archive says so (GNU tar's sparse format 1.0: numbers in decimal digits, a
//! line each, how many ranges there are and then the start and the length of each, filled up with zeros to whole blocks).

use std::fs::File;
use std::io::{self, Read};

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

/// Blocks of an archive, in bytes.
pub(super) const BLOCK: u64 = 512;
/// Shorter holes are kept as zeros, which compress to nothing.
const SHORTEST_HOLE: u64 = 1 << 20;
/// The most ranges of one file.
const MOST: usize = 1 << 20;

/// A range of data: where, and how many bytes.
pub(super) type Range = (u64, u64);

/// The ranges of `file`, which is `length` bytes long, that have data.
pub(super) fn ranges(file: &File, length: u64) -> io::Result<Vec<Range>> {
    let mut ranges: Vec<Range> = Vec::new();
    let mut at = 0;
    while at < length {
        let start = match seek(file, SeekFrom::Data(at)) {
            Ok(start) => start,
            // Only a hole follows.
            Err(Errno::NXIO) => break,
            // A file system without holes.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => at,
            Err(errno) => return Err(errno.into()),
        };
        let end = seek(file, SeekFrom::Hole(start)).map_or(length, |end| end.min(length));
        if start >= length || end <= start {
            break;
        }
        let full = ranges.len() == MOST;
        match ranges.last_mut() {
            Some((from, bytes)) if full || start - (*from + *bytes) < SHORTEST_HOLE => {
                *bytes = end - *from;
            }
            _ => ranges.push((start, end - start)),
        }
        at = end;
    }
    Ok(ranges)
}

/// Whether `ranges` are all of a file of `length` bytes.
pub(super) fn is_whole(ranges: &[Range], length: u64) -> bool {
    match ranges {
        [] => length == 0,
        [(0, bytes)] => *bytes == length,
        _ => false,
    }
}

/// The map of a file of `length` bytes as an archive has it. An empty range at the end says where a hole there ends.
pub(super) fn map(ranges: &[Range], length: u64) -> Vec<u8> {
    let ends = ranges
        .last()
        .is_some_and(|(start, bytes)| start + bytes == length);
    let end = (!ends).then_some((length, 0));
    let mut text = format!("{}\n", ranges.len() + usize::from(!ends));
    for (start, length) in ranges.iter().chain(&end) {
        text.push_str(&format!("{start}\n{length}\n"));
    }
    let mut bytes = text.into_bytes();
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

/// Reads the map of a file of `length` bytes; an error of the kind `InvalidData` says what is wrong with it.
pub(super) fn read_map(from: &mut impl Read, length: u64) -> io::Result<Vec<Range>> {
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut taken = 0_u64;
    let mut block: Vec<u8> = Vec::new();
    let mut at = 0;
    let mut number = |from: &mut dyn Read| -> io::Result<u64> {
        let mut value: Option<u64> = None;
        loop {
            if at == block.len() {
                block.resize(512, 0);
                from.read_exact(&mut block)?;
                taken += BLOCK;
                at = 0;
            }
            let byte = block.get(at).copied().unwrap_or(0);
            at += 1;
            match byte {
                b'\n' => return value.ok_or_else(|| wrong("a number in a map of data is missing")),
                b'0'..=b'9' => {
                    let digit = u64::from(byte - b'0');
                    value = value
                        .unwrap_or(0)
                        .checked_mul(10)
                        .and_then(|value| value.checked_add(digit));
                    if value.is_none() {
                        return Err(wrong("a number in a map of data is too large"));
                    }
                }
                _ => return Err(wrong("a map of data has something else than numbers")),
            }
        }
    };
    let count = number(from)?;
    if usize::try_from(count).is_ok_and(|count| count > MOST + 1) {
        return Err(wrong("a map of data has too many ranges"));
    }
    let mut ranges = Vec::new();
    let mut end = 0;
    for _ in 0..count {
        let (start, bytes) = (number(from)?, number(from)?);
        let next = start.checked_add(bytes);
        if start < end || next.is_none_or(|next| next > length) {
            return Err(wrong("a map of data leads beyond its file, or backwards"));
        }
        end = start + bytes;
        if bytes > 0 {
            ranges.push((start, bytes));
        }
    }
    Ok(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    #[test]
    fn maps_come_back_as_they_were() {
        for (ranges, length) in [
            (vec![], 5),
            (vec![(0, 5)], 5),
            (vec![(0, 1), (4, 1)], 5),
            ((0..500).map(|n| (n << 21, 1 << 20)).collect(), 1 << 40),
        ] {
            let bytes = map(&ranges, length);
            assert_eq!(bytes.len() % 512, 0);
            let mut from = &bytes[..];
            assert_eq!(read_map(&mut from, length).unwrap(), ranges);
            assert!(from.is_empty(), "all of it is read");
        }
    }

    #[test]
    fn maps_that_lie_are_refused() {
        for text in [
            "",
            "\n",
            "x\n",
            "1\n",
            "1\n0\n",
            "1\n0\n6\n",
            "1\n5\n1\n",
            "2\n3\n1\n2\n1\n",
            "1\n18446744073709551615\n1\n",
            "99999999999999999999999\n",
            "4000000000\n",
            "-1\n",
        ] {
            let mut bytes = text.as_bytes().to_vec();
            bytes.resize(512, 0);
            assert!(read_map(&mut &bytes[..], 5).is_err(), "{text:?}");
        }
    }

    #[test]
    fn holes_are_found_and_short_ones_passed_over() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(64 << 20).unwrap();
        file.write_all_at(&[1; 4096], 0).unwrap();
        file.write_all_at(&[1; 4096], 16 << 10).unwrap();
        file.write_all_at(&[1; 4096], 32 << 20).unwrap();
        let found = ranges(&file, 64 << 20).unwrap();
        assert!(!is_whole(&found, 64 << 20));
        assert!(found.iter().map(|(_, bytes)| bytes).sum::<u64>() < 1 << 20);
        assert!(found.len() <= 2, "{found:?}");
        let covered = |at: u64| {
            found
                .iter()
                .any(|(start, bytes)| (*start..start + bytes).contains(&at))
        };
        assert!(covered(0) && covered(16 << 10) && covered(32 << 20) && !covered(60 << 20));
        assert!(is_whole(
            &ranges(&tempfile::tempfile().unwrap(), 0).unwrap(),
            0
        ));
    }
}
