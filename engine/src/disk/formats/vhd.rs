//! Virtual PC's images (Microsoft's Virtual Hard Disk Image Format Specification 1.0): fixed, dynamic, and differencing, where a
//! bitmap says which sectors of a block are the image's own.

use super::container::{Pages, array, be32, be64};
use super::raw::Raw;
use super::vdi::for_units;
use super::{
    Container, Extent, Format, FormatError, Identity, Kind, LOOK_AHEAD, Layer, Opened, Parent,
    index,
};

const FOOTER: u64 = 512;
const HEADER: usize = 1024;
const SECTOR: u64 = 512;
const ABSENT: u32 = u32::MAX;
/// The largest disk that the format can have.
const MOST: u64 = 2040 << 30;

struct Vhd {
    container: Container,
    table: Pages,
    bitmaps: Pages,
    table_offset: u64,
    block_size: u64,
    blocks: u64,
    size: u64,
    differencing: bool,
}

/// The footer, and where the data in front of it ends.
fn footer(container: &Container) -> Result<(Vec<u8>, u64), FormatError> {
    // Old versions of Virtual PC wrote 511 bytes.
    for length in [FOOTER, FOOTER - 1] {
        let place = container.length().saturating_sub(length);
        let footer = container.bytes(place, index(length), "its footer")?;
        if footer.starts_with(b"conectix") {
            return Ok((footer, place));
        }
    }
    // A dynamic image begins with a copy; the end is lost where the file was cut off.
    let copy = container.bytes(0, index(FOOTER), "its footer")?;
    if copy.starts_with(b"conectix") {
        return Ok((copy, container.length()));
    }
    Err(FormatError::Not {
        file: container.path().to_owned(),
        format: "VHD",
    })
}

pub(super) fn open(container: Container) -> Result<Opened, FormatError> {
    let (footer, end) = footer(&container)?;
    let damaged = |fault: &str| Err(container.damaged(fault));
    let sum = footer
        .iter()
        .enumerate()
        .filter(|(at, _)| !(64..68).contains(at))
        .fold(0_u32, |sum, (_, byte)| sum.wrapping_add(u32::from(*byte)));
    if !sum != be32(&footer, 64) {
        return damaged("the checksum of its footer is wrong");
    }
    let size = be64(&footer, 48);
    if size == 0 || size > MOST || !size.is_multiple_of(SECTOR) {
        return damaged("the size of its disk is out of range");
    }
    let identity = Some(Identity::Unique(array(&footer, 68)));
    let kind = be32(&footer, 60);
    match kind {
        2 => {
            if size > end {
                return damaged("its disk lies beyond the end of the file");
            }
            let mut opened = Opened::alone(Raw::part(container, 0, size), "fixed");
            opened.identity = identity;
            return Ok(opened);
        }
        3 | 4 => {}
        other => {
            return Err(FormatError::unsupported(
                container.path(),
                format!("is an image of the unknown kind {other}"),
                "convert it with the program that made it",
            ));
        }
    }
    let header = container.bytes(be64(&footer, 16), HEADER, "its dynamic disk header")?;
    if !header.starts_with(b"cxsparse") {
        return damaged("its dynamic disk header is missing");
    }
    let (blocks, block_size) = (u64::from(be32(&header, 28)), u64::from(be32(&header, 32)));
    if !block_size.is_power_of_two() || !(SECTOR..=256 << 20).contains(&block_size) {
        return damaged("its block size is out of range");
    }
    if size.div_ceil(block_size) > blocks {
        return damaged("its block table is too short for the size of its disk");
    }
    let table_offset = be64(&header, 16);
    if table_offset > container.length() {
        return damaged("its block table lies beyond the end of the file");
    }
    let parent = (kind == 4)
        .then(|| parent(&container, &header))
        .transpose()?;
    let vhd = Vhd {
        table: Pages::new(container.clone(), "its block table"),
        bitmaps: Pages::new(container.clone(), "a block of its disk"),
        container,
        table_offset,
        block_size,
        blocks,
        size,
        differencing: kind == 4,
    };
    Ok(Opened {
        variant: if kind == 4 { "differencing" } else { "dynamic" }.to_owned(),
        parent,
        identity,
        layer: Box::new(vhd),
    })
}

/// The image beneath, by the locators and the name in the header.
fn parent(container: &Container, header: &[u8]) -> Result<Parent, FormatError> {
    let mut names = Vec::new();
    for number in 0..8 {
        let at = 576 + 24 * number;
        let (code, length) = (array::<4>(header, at), be32(header, at + 8));
        if !matches!(&code, b"W2ru" | b"W2ku") || length > 4096 {
            continue;
        }
        let name = container.bytes(
            be64(header, at + 16),
            index(u64::from(length)),
            "the name of its parent",
        )?;
        let (units, _) = name.as_chunks::<2>();
        let name = utf16(units.iter().map(|unit| u16::from_le_bytes(*unit)));
        // The relative one first: images move together.
        if &code == b"W2ru" {
            names.insert(0, name);
        } else {
            names.push(name);
        }
    }
    let (units, _) = header.get(64..576).unwrap_or_default().as_chunks::<2>();
    names.push(utf16(units.iter().map(|unit| u16::from_be_bytes(*unit))));
    Ok(Parent {
        names: with_bare_names(names),
        format: Some(Format::Vhd),
        identity: Some(Identity::Unique(array(header, 40))),
    })
}

/// The text up to the first zero.
pub(super) fn utf16(units: impl Iterator<Item = u16>) -> String {
    char::decode_utf16(units.take_while(|unit| *unit != 0))
        .map(|character| character.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

/// Windows' names as this system writes them, and for each the file of that name beside the image.
pub(super) fn with_bare_names(names: Vec<String>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let names = names
        .into_iter()
        .map(|name| name.replace('\\', "/"))
        .filter(|name| !name.is_empty());
    for name in names {
        let bare = name.rsplit('/').next().unwrap_or_default().to_owned();
        for candidate in [name, bare] {
            if !candidate.is_empty() && !all.contains(&candidate) {
                all.push(candidate);
            }
        }
    }
    all
}

impl Vhd {
    /// Where block `number` begins, with its bitmap.
    fn block(&self, number: u64) -> Result<Option<u64>, FormatError> {
        let place = self.table_offset + number.min(self.blocks) * 4;
        let entry = u32::from_be_bytes(self.table.array(place)?);
        Ok((entry != ABSENT).then(|| u64::from(entry) * SECTOR))
    }

    fn bitmap_size(&self) -> u64 {
        (self.block_size / SECTOR)
            .div_ceil(8)
            .next_multiple_of(SECTOR)
    }

    /// What the image has in the sector at `offset`.
    fn kind(&self, offset: u64) -> Result<Kind, FormatError> {
        let Some(block) = self.block(offset / self.block_size)? else {
            return Ok(Kind::Absent);
        };
        if !self.differencing {
            return Ok(Kind::Data);
        }
        let sector = offset % self.block_size / SECTOR;
        let [byte] = self.bitmaps.array(block.saturating_add(sector / 8))?;
        Ok(if byte << (sector % 8) & 0x80 != 0 {
            Kind::Data
        } else {
            Kind::Absent
        })
    }
}

impl Layer for Vhd {
    fn size(&self) -> u64 {
        self.size
    }

    fn extent(&self, offset: u64) -> Result<Extent, FormatError> {
        let first = self.kind(offset)?;
        let mut next = offset;
        for _ in 0..LOOK_AHEAD {
            let partial = self.differencing && self.block(next / self.block_size)?.is_some();
            let unit = if partial { SECTOR } else { self.block_size };
            next = (next / unit + 1) * unit;
            if next >= self.size || self.kind(next)? != first {
                break;
            }
        }
        Ok(Extent::new(first, next.min(self.size) - offset))
    }

    fn read(&self, mut offset: u64, data: &mut [u8]) -> Result<(), FormatError> {
        for_units(self.block_size, &mut offset, data, |offset, part| {
            match self.block(offset / self.block_size)? {
                None => part.fill(0),
                Some(block) => self.container.fill(
                    block + self.bitmap_size() + offset % self.block_size,
                    part,
                    "a block of its disk",
                )?,
            }
            Ok(())
        })
    }
}
