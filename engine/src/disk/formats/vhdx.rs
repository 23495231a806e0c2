//! Hyper-V's images (Microsoft's [MS-VHDX]): fixed, dynamic and differencing.

use super::container::{Pages, array, le16, le32, le64};
use super::vdi::for_units;
use super::vhd::{utf16, with_bare_names};
use super::{
    Container, Extent, Format, FormatError, Identity, Kind, LOOK_AHEAD, Layer, Opened, Parent,
    index,
};

const HEADERS: [u64; 2] = [64 << 10, 128 << 10];
const REGION_TABLES: [u64; 2] = [192 << 10, 256 << 10];
const HEADER: usize = 4096;
const REGION_TABLE: usize = 64 << 10;
const METADATA_TABLE: usize = 64 << 10;
const MIB: u64 = 1 << 20;
/// The largest disk that the format can have.
const MOST: u64 = 64 << 40;

/// GUIDs as they are in the file: 2DC27766-F623-4200-9D64-115E9BFD4A08 and so on.
const REGION_BAT: [u8; 16] = [
    0x66, 0x77, 0xc2, 0x2d, 0x23, 0xf6, 0x00, 0x42, 0x9d, 0x64, 0x11, 0x5e, 0x9b, 0xfd, 0x4a, 0x08,
];
const REGION_METADATA: [u8; 16] = [
    0x06, 0xa2, 0x7c, 0x8b, 0x90, 0x47, 0x9a, 0x4b, 0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e,
];
const FILE_PARAMETERS: [u8; 16] = [
    0x37, 0x67, 0xa1, 0xca, 0x36, 0xfa, 0x43, 0x4d, 0xb3, 0xb6, 0x33, 0xf0, 0xaa, 0x44, 0xe7, 0x6b,
];
const DISK_SIZE: [u8; 16] = [
    0x24, 0x42, 0xa5, 0x2f, 0x1b, 0xcd, 0x76, 0x48, 0xb2, 0x11, 0x5d, 0xbe, 0xd8, 0x3b, 0xf4, 0xb8,
];
const SECTOR_SIZE: [u8; 16] = [
    0x1d, 0xbf, 0x41, 0x81, 0x6f, 0xa9, 0x09, 0x47, 0xba, 0x47, 0xf2, 0x33, 0xa8, 0xfa, 0xab, 0x5f,
];
const PARENT_LOCATOR: [u8; 16] = [
    0x2d, 0x5f, 0xd3, 0xa8, 0x0b, 0xb3, 0x4d, 0x45, 0xab, 0xf7, 0xd3, 0xd8, 0x48, 0x34, 0xab, 0x0c,
];

/// States of a payload block, and of a bitmap block.
const NOT_PRESENT: u64 = 0;
const UNDEFINED: u64 = 1;
const ZERO: u64 = 2;
const UNMAPPED: u64 = 3;
const PRESENT: u64 = 6;
const PARTIAL: u64 = 7;

struct Vhdx {
    container: Container,
    table: Pages,
    bitmaps: Pages,
    table_offset: u64,
    table_entries: u64,
    block_size: u64,
    sector_size: u64,
    /// Payload blocks that share a bitmap block.
    chunk: u64,
    size: u64,
    differencing: bool,
}

/// CRC-32C, as the format's checksums are: Castagnoli's polynomial, reflected.
pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |mut crc, byte| {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ if crc & 1 != 0 { 0x82f6_3b78 } else { 0 };
        }
        crc
    })
}

/// Whether a structure's checksum, at its fifth byte, is right.
fn is_sound(bytes: &[u8]) -> bool {
    let mut cleared = bytes.to_vec();
    if let Some(sum) = cleared.get_mut(4..8) {
        sum.fill(0);
    }
    crc32c(&cleared) == le32(bytes, 4)
}

pub(super) fn open(container: Container) -> Result<Opened, FormatError> {
    if !container
        .bytes(0, 8, "its beginning")?
        .starts_with(b"vhdxfile")
    {
        return Err(FormatError::Not {
            file: container.path().to_owned(),
            format: "VHDX",
        });
    }
    let mut current: Option<Vec<u8>> = None;
    for place in HEADERS {
        let header = container.bytes(place, HEADER, "its header")?;
        let newer = current
            .as_ref()
            .is_none_or(|current| le64(&header, 8) > le64(current, 8));
        if header.starts_with(b"head") && is_sound(&header) && newer {
            current = Some(header);
        }
    }
    let header = current.ok_or_else(|| container.damaged("neither of its headers is whole"))?;
    if header
        .get(48..64)
        .is_some_and(|log| log.iter().any(|byte| *byte != 0))
    {
        return Err(FormatError::unsupported(
            container.path(),
            "was not closed properly by the program that used it last",
            "attach it once in Hyper-V, or mount it in Windows, and close it there",
        ));
    }
    let mut regions = None;
    for place in REGION_TABLES {
        let table = container.bytes(place, REGION_TABLE, "its region table")?;
        if regions.is_none() && table.starts_with(b"regi") && is_sound(&table) {
            regions = Some(table);
        }
    }
    let regions =
        regions.ok_or_else(|| container.damaged("neither of its region tables is whole"))?;
    let region = |guid: [u8; 16]| {
        (0..le32(&regions, 8).min(2047))
            .map(|number| 16 + 32 * index(u64::from(number)))
            .find(|at| array(&regions, *at) == guid)
            .map(|at| (le64(&regions, at + 16), u64::from(le32(&regions, at + 24))))
    };
    let (Some(table), Some(metadata)) = (region(REGION_BAT), region(REGION_METADATA)) else {
        return Err(container.damaged("its region table does not name all that is needed"));
    };
    assemble(container, &header, table, metadata.0)
}

/// Reads the metadata at `base`; the block allocation table is `table`: where, and how many bytes.
fn assemble(
    container: Container,
    header: &[u8],
    table: (u64, u64),
    base: u64,
) -> Result<Opened, FormatError> {
    let entries = container.bytes(base, METADATA_TABLE, "its metadata")?;
    if !entries.starts_with(b"metadata") {
        return Err(container.damaged("its metadata table is missing"));
    }
    let item = |guid: [u8; 16], least: usize| -> Result<Option<Vec<u8>>, FormatError> {
        let place = (0..le16(&entries, 10).min(2047))
            .map(|number| 32 + 32 * usize::from(number))
            .find(|at| array(&entries, *at) == guid);
        let Some(at) = place else { return Ok(None) };
        let (offset, length) = (
            le32(&entries, at + 16),
            index(u64::from(le32(&entries, at + 20))),
        );
        if length < least || length > 1 << 20 {
            return Err(
                container.damaged("an item of its metadata has a length that it cannot have")
            );
        }
        container
            .bytes(
                base.saturating_add(u64::from(offset)),
                length,
                "its metadata",
            )
            .map(Some)
    };
    let needed = |guid, least| {
        item(guid, least)?.ok_or_else(|| container.damaged("an item of its metadata is missing"))
    };
    let parameters = needed(FILE_PARAMETERS, 8)?;
    let block_size = u64::from(le32(&parameters, 0));
    let differencing = le32(&parameters, 4) & 2 != 0;
    let size = le64(&needed(DISK_SIZE, 8)?, 0);
    let sector_size = u64::from(le32(&needed(SECTOR_SIZE, 4)?, 0));
    let damaged = |fault: &str| Err(container.damaged(fault));
    if !block_size.is_power_of_two() || !(MIB..=256 * MIB).contains(&block_size) {
        return damaged("its block size is out of range");
    }
    if !matches!(sector_size, 512 | 4096) {
        return damaged("its sector size is out of range");
    }
    if size == 0 || size > MOST || !size.is_multiple_of(sector_size) {
        return damaged("the size of its disk is out of range");
    }
    let chunk = (sector_size << 23) / block_size;
    let blocks = size.div_ceil(block_size);
    let needed_entries = if differencing {
        blocks.div_ceil(chunk) * (chunk + 1)
    } else {
        blocks + (blocks - 1) / chunk
    };
    if table.1 / 8 < needed_entries {
        return damaged("its block table is too short for the size of its disk");
    }
    let parent = match item(PARENT_LOCATOR, 20)?.filter(|_| differencing) {
        Some(locator) => Some(parent(&locator)),
        None if differencing => return damaged("it does not say which image it differs from"),
        None => None,
    };
    let identity = Identity::Unique(array(header, 32));
    Ok(Opened {
        variant: if differencing {
            "differencing"
        } else {
            "dynamic"
        }
        .to_owned(),
        layer: Box::new(Vhdx {
            table: Pages::new(container.clone(), "its block table"),
            bitmaps: Pages::new(container.clone(), "a sector bitmap"),
            container,
            table_offset: table.0,
            table_entries: table.1 / 8,
            block_size,
            sector_size,
            chunk,
            size,
            differencing,
        }),
        parent,
        identity: Some(identity),
    })
}

/// The image beneath, by the key and value pairs of the locator.
fn parent(locator: &[u8]) -> Parent {
    let text = |offset: u32, length: u16| {
        let bytes = locator
            .get(index(u64::from(offset))..)
            .and_then(|rest| rest.get(..usize::from(length)))
            .unwrap_or_default();
        let (units, _) = bytes.as_chunks::<2>();
        utf16(units.iter().map(|unit| u16::from_le_bytes(*unit)))
    };
    let mut paths = [const { String::new() }; 3];
    let mut linkage = Vec::new();
    for number in 0..le16(locator, 18).min(64) {
        let at = 20 + 12 * usize::from(number);
        let key = text(le32(locator, at), le16(locator, at + 8));
        let value = text(le32(locator, at + 4), le16(locator, at + 10));
        match key.as_str() {
            "relative_path" => paths[0] = value,
            "volume_path" => paths[1] = value,
            "absolute_win32_path" => paths[2] = value,
            "parent_linkage" | "parent_linkage2" => linkage.extend(guid(&value)),
            _ => {}
        }
    }
    Parent {
        names: with_bare_names(paths.into()),
        format: Some(Format::Vhdx),
        identity: (!linkage.is_empty()).then_some(Identity::AnyOf(linkage)),
    }
}

/// A GUID in braces, as bytes.
fn guid(text: &str) -> Option<[u8; 16]> {
    uuid::Uuid::try_parse(text.trim())
        .ok()
        .map(|guid| guid.to_bytes_le())
}

impl Vhdx {
    fn entry(&self, number: u64) -> Result<u64, FormatError> {
        if number >= self.table_entries {
            return Err(self.container.damaged("its block table is too short"));
        }
        self.table
            .array(self.table_offset.saturating_add(number * 8))
            .map(u64::from_le_bytes)
    }

    fn block(&self, number: u64) -> Result<u64, FormatError> {
        self.entry(number + number / self.chunk)
    }

    /// What the image has in the sector at `offset`.
    fn kind(&self, offset: u64) -> Result<Kind, FormatError> {
        let block = offset / self.block_size;
        Ok(match self.block(block)? & 7 {
            NOT_PRESENT => Kind::Absent,
            UNDEFINED | ZERO | UNMAPPED => Kind::Zero,
            PRESENT => Kind::Data,
            PARTIAL if self.differencing => {
                let chunk = block / self.chunk;
                let bitmap = self.entry(chunk * (self.chunk + 1) + self.chunk)?;
                if bitmap & 7 != PRESENT {
                    return Err(self.container.damaged("a sector bitmap is missing"));
                }
                let covered = self.chunk * self.block_size;
                let sector = offset % covered / self.sector_size;
                let place = (bitmap >> 20)
                    .saturating_mul(MIB)
                    .saturating_add(sector / 8);
                let [byte] = self.bitmaps.array(place)?;
                if byte >> (sector % 8) & 1 != 0 {
                    Kind::Data
                } else {
                    Kind::Absent
                }
            }
            _ => {
                return Err(self
                    .container
                    .damaged("a block of its disk has a state that is unknown"));
            }
        })
    }
}

impl Layer for Vhdx {
    fn size(&self) -> u64 {
        self.size
    }

    fn extent(&self, offset: u64) -> Result<Extent, FormatError> {
        let first = self.kind(offset)?;
        let mut next = offset;
        for _ in 0..LOOK_AHEAD {
            let partial = self.block(next / self.block_size)? & 7 == PARTIAL;
            let unit = if partial {
                self.sector_size
            } else {
                self.block_size
            };
            next = (next / unit + 1) * unit;
            if next >= self.size || self.kind(next)? != first {
                break;
            }
        }
        Ok(Extent::new(first, next.min(self.size) - offset))
    }

    fn read(&self, mut offset: u64, data: &mut [u8]) -> Result<(), FormatError> {
        for_units(self.block_size, &mut offset, data, |offset, part| {
            let entry = self.block(offset / self.block_size)?;
            match entry & 7 {
                PRESENT | PARTIAL => self.container.fill(
                    (entry >> 20)
                        .saturating_mul(MIB)
                        .saturating_add(offset % self.block_size),
                    part,
                    "a block of its disk",
                )?,
                _ => part.fill(0),
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_checksum_is_castagnolis() {
        assert_eq!(super::crc32c(b"123456789"), 0xe306_9283);
    }
}
