//! Files that are not optical discs: disk images, and files that must be unpacked or converted before they are any use.

use std::fmt;
use std::io;

use super::source::{Source, dword, has, qword, word};

/// A file in a format that must be turned into an image first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    /// Compressed with xz.
    Xz,
    /// Compressed with gzip.
    Gzip,
    /// Compressed with bzip2.
    Bzip2,
    /// Compressed with Zstandard.
    Zstandard,
    /// A ZIP archive.
    Zip,
    /// A 7-Zip archive.
    SevenZip,
    /// A RAR archive.
    Rar,
    /// A tar archive; an OVA is one.
    Tar,
    /// The raw sectors of a CD, with their headers: the BIN of a BIN and CUE pair.
    RawCd,
    /// A disk image of VMware.
    Vmdk,
    /// A disk image of VirtualBox.
    Vdi,
    /// A disk image of Virtual PC and Hyper-V.
    Vhd,
    /// A newer disk image of Hyper-V.
    Vhdx,
}

impl Foreign {
    /// What can be done with such a file, as the end of a sentence that begins with "It".
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Xz => "unpack it first: unxz FILE",
            Self::Gzip => "unpack it first: gunzip FILE",
            Self::Bzip2 => "unpack it first: bunzip2 FILE",
            Self::Zstandard => "unpack it first: unzstd FILE",
            Self::Zip => "unpack it first: unzip FILE",
            Self::SevenZip => "unpack it first: 7z x FILE",
            Self::Rar => "unpack it first: unrar x FILE",
            Self::Tar => "take the disk out first: guesthouse disk convert FILE.ova NEW.qcow2",
            Self::RawCd => "convert it first: bchunk FILE CUE-FILE NAME",
            Self::Vmdk | Self::Vdi | Self::Vhd | Self::Vhdx => {
                "convert it first: guesthouse disk convert FILE NEW.qcow2"
            }
        }
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Xz => "a file compressed with xz",
            Self::Gzip => "a file compressed with gzip",
            Self::Bzip2 => "a file compressed with bzip2",
            Self::Zstandard => "a file compressed with Zstandard",
            Self::Zip => "a ZIP archive",
            Self::SevenZip => "a 7-Zip archive",
            Self::Rar => "a RAR archive",
            Self::Tar => "a tar archive",
            Self::RawCd => "an image of a CD's raw sectors (BIN/CUE)",
            Self::Vmdk => "a VMware disk image (VMDK)",
            Self::Vdi => "a VirtualBox disk image (VDI)",
            Self::Vhd => "a Virtual PC disk image (VHD)",
            Self::Vhdx => "a Hyper-V disk image (VHDX)",
        })
    }
}

/// How a raw disk is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partitioning {
    /// A boot sector without partitions: a floppy disk, or a file system on the bare disk.
    None,
    /// A master boot record.
    Mbr,
    /// A GUID partition table.
    Gpt,
}

/// What a file that is no optical disc is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recognised {
    Qcow2,
    Raw {
        partitioning: Partitioning,
        bios: bool,
        uefi: bool,
    },
    Foreign(Foreign),
    Unknown,
}

/// Files told by how they begin: where, what, and which.
const SIGNATURES: [(usize, &[u8], Foreign); 14] = [
    (0, b"\xfd7zXZ\0", Foreign::Xz),
    (0, b"\x1f\x8b", Foreign::Gzip),
    (0, b"BZh", Foreign::Bzip2),
    (0, b"\x28\xb5\x2f\xfd", Foreign::Zstandard),
    (0, b"PK\x03\x04", Foreign::Zip),
    (0, b"7z\xbc\xaf\x27\x1c", Foreign::SevenZip),
    (0, b"Rar!\x1a\x07", Foreign::Rar),
    (
        0,
        b"\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0",
        Foreign::RawCd,
    ),
    (0, b"KDMV", Foreign::Vmdk),
    (0, b"# Disk DescriptorFile", Foreign::Vmdk),
    (0x40, b"\x7f\x10\xda\xbe", Foreign::Vdi),
    (0, b"conectix", Foreign::Vhd),
    (0, b"vhdxfile", Foreign::Vhdx),
    (257, b"ustar", Foreign::Tar),
];

/// What `source` is by its beginning (and, for a fixed VHD, its end).
pub(super) fn recognise(source: &impl Source) -> io::Result<Recognised> {
    let length = usize::try_from(source.size().min(4096)).unwrap_or(0);
    let start = source.bytes(0, length)?.unwrap_or_default();
    if has(&start, 0, b"QFI\xfb") {
        return Ok(Recognised::Qcow2);
    }
    let foreign = SIGNATURES
        .iter()
        .find(|(at, signature, _)| has(&start, *at, signature));
    if let Some((_, _, foreign)) = foreign {
        return Ok(Recognised::Foreign(*foreign));
    }
    let end = source.size().saturating_sub(512);
    if source
        .bytes(end, 8)?
        .is_some_and(|footer| footer == b"conectix")
    {
        return Ok(Recognised::Foreign(Foreign::Vhd));
    }
    if !has(&start, 510, b"\x55\xaa") || !source.size().is_multiple_of(512) {
        return Ok(Recognised::Unknown);
    }
    raw(source, &start)
}

/// A raw disk with the boot sector at the beginning of `start`.
fn raw(source: &impl Source, start: &[u8]) -> io::Result<Recognised> {
    const BOOT_CODE: usize = 440;
    const PROTECTIVE: u8 = 0xee;
    const UEFI_SYSTEM: u8 = 0xef;
    let bios = start
        .get(..BOOT_CODE)
        .is_some_and(|code| code.iter().any(|byte| *byte != 0));
    let kinds: Vec<u8> = (0..4)
        .filter_map(|index| start.get(446 + 16 * index..462 + 16 * index))
        .filter(|partition| matches!(partition[0], 0 | 0x80) && dword(partition, 12) != 0)
        .map(|partition| partition[4])
        .filter(|kind| *kind != 0)
        .collect();
    let (partitioning, uefi) = if kinds.contains(&PROTECTIVE) && has(start, 512, b"EFI PART") {
        (Partitioning::Gpt, has_uefi_system(source, start)?)
    } else if kinds.is_empty() {
        (Partitioning::None, false)
    } else {
        (Partitioning::Mbr, kinds.contains(&UEFI_SYSTEM))
    };
    Ok(Recognised::Raw {
        partitioning,
        bios,
        uefi,
    })
}

/// Whether one of the first partitions of a GUID partition table is the one that UEFI starts from.
fn has_uefi_system(source: &impl Source, start: &[u8]) -> io::Result<bool> {
    /// C12A7328-F81F-11D2-BA4B-00A0C93EC93B.
    const UEFI_SYSTEM: [u8; 16] = [
        0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9,
        0x3b,
    ];
    const MOST_ENTRIES: usize = 128;
    let header = start.get(512..).unwrap_or(&[]);
    let offset = qword(header, 72).saturating_mul(512);
    let size = usize::from(word(header, 84));
    let count = usize::try_from(dword(header, 80)).unwrap_or(0);
    if dword(header, 84) != u32::from(word(header, 84)) || !(128..=4096).contains(&size) {
        return Ok(false);
    }
    let entries = source.bytes(offset, size * count.min(MOST_ENTRIES))?;
    Ok(entries.is_some_and(|entries| {
        entries
            .chunks_exact(size)
            .any(|entry| has(entry, 0, &UEFI_SYSTEM))
    }))
}
