//! In which order the firmware tries what it can start from: its `bootorder` file, an Open Firmware device path a line (facts:
//! SeaBIOS src/boot.c, OVMF's QemuBootOrderLib).

use crate::definition::Generation;

/// The file's name in fw_cfg.
pub(super) const FILE: &str = "bootorder";
/// The entry after which SeaBIOS tries nothing more.
const HALT: &str = "HALT";

/// Something that the machine can be started from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootEntry {
    /// Its place in the boot order: 1 is tried first.
    pub number: u32,
    /// Its Open Firmware device path.
    pub path: String,
}

/// The file: `entries` in the order of their numbers, the earlier one first where two have the same. A BIOS tries nothing else
/// then; a UEFI goes on with the boot entries among its variables. Without entries there is no file: SeaBIOS tries disks before
/// optical drives, a UEFI its own entries in their order.
pub(super) fn boot_order(generation: Generation, entries: &[BootEntry]) -> Option<Vec<u8>> {
    if entries.is_empty() {
        return None;
    }
    let mut sorted: Vec<&BootEntry> = entries.iter().collect();
    sorted.sort_by_key(|entry| entry.number);
    let mut lines: Vec<&str> = sorted.iter().map(|entry| entry.path.as_str()).collect();
    // OVMF takes no line that is not a device path.
    if generation == Generation::One {
        lines.push(HALT);
    }
    let mut file = lines.join("\n").into_bytes();
    file.push(0);
    Some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u32, path: &str) -> BootEntry {
        BootEntry {
            number,
            path: path.to_owned(),
        }
    }

    #[test]
    fn entries_come_in_the_order_of_their_numbers_and_nothing_after_them() {
        let entries = [entry(2, "/b"), entry(1, "/a"), entry(2, "/c")];
        let file = |generation| String::from_utf8(boot_order(generation, &entries).unwrap());
        assert_eq!(file(Generation::One).unwrap(), "/a\n/b\n/c\nHALT\0");
        assert_eq!(file(Generation::Two).unwrap(), "/a\n/b\n/c\0");
    }

    #[test]
    fn without_entries_the_firmware_decides() {
        assert_eq!(boot_order(Generation::One, &[]), None);
    }
}
