//! In which order SeaBIOS tries the drives: its `bootorder` file, a device path a line (facts: SeaBIOS src/boot.c).

use crate::definition::{Bus, Drive};

/// The file's name in fw_cfg.
pub(super) const FILE: &str = "bootorder";
/// The entry after which SeaBIOS tries nothing more.
const HALT: &str = "HALT";

/// The file for `drives`, in the order of their numbers, the earlier drive first where two have the same. Nothing else is tried
/// then. When no drive has a number there is no file, and SeaBIOS tries disks before optical drives.
pub(super) fn boot_order(drives: &[Drive]) -> Option<Vec<u8>> {
    let mut numbered: Vec<(u32, String)> = ide_places(drives)
        .filter_map(|(path, drive)| drive.boot.map(|number| (number, path)))
        .collect();
    if numbered.is_empty() {
        return None;
    }
    numbered.sort_by_key(|(number, _)| *number);
    let mut lines: Vec<String> = numbered.into_iter().map(|(_, path)| path).collect();
    lines.push(HALT.to_owned());
    let mut file = lines.join("\n").into_bytes();
    file.push(0);
    Some(file)
}

/// The drives of the PIIX3's IDE function (slot 1, function 1) with their paths: two channels of two drives, taken in order.
fn ide_places(drives: &[Drive]) -> impl Iterator<Item = (String, &Drive)> {
    drives
        .iter()
        .filter(|drive| drive.bus == Bus::Ide)
        .take(4)
        .enumerate()
        .map(|(place, drive)| {
            let (channel, unit) = (place / 2, place % 2);
            let path = format!("/pci@i0cf8/ide@1,1/drive@{channel}/disk@{unit}");
            (path, drive)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::ImageFormat;

    fn drives(numbers: &[Option<u32>]) -> Vec<Drive> {
        numbers
            .iter()
            .map(|number| Drive {
                boot: *number,
                ..Drive::disk("disk".into(), ImageFormat::Raw)
            })
            .collect()
    }

    #[test]
    fn numbered_drives_come_in_order_and_nothing_after_them() {
        let file = boot_order(&drives(&[Some(2), None, Some(1), Some(2)])).unwrap();
        assert_eq!(
            String::from_utf8(file).unwrap(),
            "/pci@i0cf8/ide@1,1/drive@1/disk@0\n\
             /pci@i0cf8/ide@1,1/drive@0/disk@0\n\
             /pci@i0cf8/ide@1,1/drive@1/disk@1\n\
             HALT\0"
        );
    }

    #[test]
    fn without_numbers_the_firmware_decides() {
        assert_eq!(boot_order(&drives(&[None, None])), None);
        assert_eq!(boot_order(&[]), None);
    }
}
