//! Raw images: nothing in them can contradict itself, but their partitions can reach beyond their end.

use super::super::formats::{Container, Format, index};
use super::super::tools::ToolError;
use super::{CheckReport, Severity};

const SECTOR: u64 = 512;

fn word(data: &[u8], at: usize) -> u64 {
    let bytes = data.get(at..).and_then(|rest| rest.first_chunk::<4>());
    u64::from(u32::from_le_bytes(bytes.copied().unwrap_or_default()))
}

fn long(data: &[u8], at: usize) -> u64 {
    let bytes = data.get(at..).and_then(|rest| rest.first_chunk::<8>());
    u64::from_le_bytes(bytes.copied().unwrap_or_default())
}

/// Where the partitions on a disk end, in bytes, by the first sectors of the disk (1 KiB or more) and its partition table. For a
/// GUID partition table that is where the disk ends that it was made for.
pub(in crate::disk) fn end_of_partitions(start: &[u8]) -> Option<u64> {
    const PROTECTIVE: u8 = 0xee;
    if start.get(510..512) != Some(&[0x55, 0xaa]) {
        return None;
    }
    let entries: Vec<&[u8]> = (0..4)
        .filter_map(|number| start.get(446 + 16 * number..462 + 16 * number))
        .filter(|entry| entry.get(4).is_some_and(|kind| *kind != 0))
        .filter(|entry| matches!(entry.first(), Some(0 | 0x80)))
        .collect();
    let protective = entries
        .iter()
        .any(|entry| entry.get(4) == Some(&PROTECTIVE));
    if protective && start.get(512..520) == Some(b"EFI PART") {
        return long(start, 512 + 32).checked_add(1)?.checked_mul(SECTOR);
    }
    entries
        .iter()
        .map(|entry| (word(entry, 8) + word(entry, 12)) * SECTOR)
        .max()
}

pub(super) fn check(container: &Container) -> Result<CheckReport, ToolError> {
    let mut report = CheckReport::new(Format::Raw);
    let length = container.length();
    if !length.is_multiple_of(SECTOR) {
        report.add(Severity::Note, || {
            format!("It has {length} bytes, which do not fill its last sector of {SECTOR}; its guest does not see the last {} of them.", length % SECTOR)
        });
    }
    let start = container.bytes(0, index(length.min(1024)), "its beginning")?;
    match end_of_partitions(&start) {
        Some(end) if end > length => report.add(Severity::Damage, || {
            format!("Its partitions end at byte {end}, beyond the end of the image at {length}: it was truncated or copied in part only; restore it from a backup, or grow it to that size to save what is left.")
        }),
        _ => {}
    }
    Ok(report)
}
