//! VMware's images (VMware's Virtual Disk Format 5.0): a text, the descriptor, names the extents that the disk is made of. They are
//! flat (byte for byte), zero, or sparse: directories and tables of grains, compressed where the image is stream-optimised.

use flate2::{Decompress, FlushDecompress, Status};

use super::super::{Backing, OpenError};
use super::chain::{agree, beside};
use super::container::{Pages, le16, le32, le64};
use super::raw::Raw;
use super::vdi::for_units;
use super::{
    Container, Extent, Format, FormatError, Identity, Kind, LOOK_AHEAD, Layer, Opened, Parent,
    index,
};

const SECTOR: u64 = 512;
const HEADER: usize = 512;
/// The largest disk, in sectors: 128 TiB, twice what VMware makes.
const MOST: u64 = 1 << 38;
/// The longest descriptor that is read.
const DESCRIPTOR: u64 = 1 << 20;
/// The most extents: a disk of 64 TiB in pieces of 2 GiB.
const MOST_EXTENTS: usize = 32768;
const AT_END: u64 = u64::MAX;
const NO_PARENT: u32 = u32::MAX;

const FLAG_ZERO_GRAINS: u32 = 1 << 2;
const FLAG_COMPRESSED: u32 = 1 << 16;

/// What a descriptor says.
#[derive(Debug, Default)]
struct Descriptor {
    kind: String,
    content: Option<u32>,
    parent_content: Option<u32>,
    parent: Option<String>,
    extents: Vec<Part>,
}

/// A line of a descriptor: bytes, kind, file, offset in it.
#[derive(Debug)]
struct Part {
    size: u64,
    kind: String,
    file: Option<String>,
    offset: u64,
}

impl Descriptor {
    fn parse(container: &Container, bytes: &[u8]) -> Result<Self, FormatError> {
        let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        let text = String::from_utf8_lossy(text);
        let mut descriptor = Self::default();
        for line in text.lines().map(str::trim) {
            if line.starts_with("RW ")
                || line.starts_with("RDONLY ")
                || line.starts_with("NOACCESS ")
            {
                let part = Self::part(line).ok_or_else(|| {
                    container.damaged(format!("its descriptor has the line {line:?}"))
                })?;
                if descriptor.extents.len() == MOST_EXTENTS {
                    return Err(container.damaged("it has more extents than any disk needs"));
                }
                descriptor.extents.push(part);
            } else if let Some((key, value)) = line.split_once('=') {
                let value = value.trim().trim_matches('"');
                match key.trim().to_ascii_lowercase().as_str() {
                    "createtype" => descriptor.kind = value.to_owned(),
                    "cid" => descriptor.content = u32::from_str_radix(value, 16).ok(),
                    "parentcid" => descriptor.parent_content = u32::from_str_radix(value, 16).ok(),
                    "parentfilenamehint" => descriptor.parent = Some(value.to_owned()),
                    _ => {}
                }
            }
        }
        Ok(descriptor)
    }

    fn part(line: &str) -> Option<Part> {
        let (front, rest) = line.split_once('"').unwrap_or((line, ""));
        let mut words = front.split_whitespace().skip(1);
        let size = words.next()?.parse::<u64>().ok()?.checked_mul(SECTOR)?;
        let kind = words.next()?.to_ascii_uppercase();
        let (file, behind) = match rest.rsplit_once('"') {
            Some((file, behind)) => (Some(file.to_owned()), behind),
            None => (None, ""),
        };
        let offset = match behind.split_whitespace().next() {
            Some(number) => number.parse::<u64>().ok()?.checked_mul(SECTOR)?,
            None => 0,
        };
        Some(Part {
            size,
            kind,
            file,
            offset,
        })
    }

    fn parent(&self, container: &Container) -> Result<Option<Parent>, FormatError> {
        match self.parent_content {
            None | Some(NO_PARENT) => Ok(None),
            Some(content) => {
                let name = self.parent.clone().ok_or_else(|| {
                    container.damaged("it does not say which image it differs from")
                })?;
                Ok(Some(Parent {
                    names: super::vhd::with_bare_names(vec![name]),
                    format: Some(Format::Vmdk),
                    identity: Some(Identity::Content(content)),
                }))
            }
        }
    }
}

pub(super) fn open(container: Container, backing: &Backing) -> Result<Opened, FormatError> {
    let start = container.bytes(0, index(container.length().min(4)), "its beginning")?;
    if start == b"KDMV" {
        let sparse = Sparse::open(container.clone())?;
        let descriptor = Descriptor::parse(&container, &sparse.descriptor)?;
        return Ok(Opened {
            parent: descriptor.parent(&container)?,
            identity: descriptor.content.map(Identity::Content),
            variant: descriptor.kind,
            layer: Box::new(sparse),
        });
    }
    if start == b"COWD" {
        return Err(FormatError::unsupported(
            container.path(),
            "is an extent of an ESX server's image (vmfsSparse)",
            "export the machine from the server (as OVA, for example)",
        ));
    }
    let length = index(container.length().min(DESCRIPTOR));
    let text = container.bytes(0, length, "its descriptor")?;
    if !text.starts_with(b"# Disk DescriptorFile") {
        return Err(FormatError::Not {
            file: container.path().to_owned(),
            format: "VMDK",
        });
    }
    let descriptor = Descriptor::parse(&container, &text)?;
    let mut parts: Vec<(u64, Box<dyn Layer>)> = Vec::new();
    let mut size = 0_u64;
    for part in &descriptor.extents {
        let layer = open_part(&container, part, backing)?;
        if layer.size() < part.size {
            return Err(container.damaged("one of its extents is shorter than it says"));
        }
        parts.push((size, layer));
        size = size
            .checked_add(part.size)
            .filter(|size| *size <= MOST * SECTOR)
            .ok_or_else(|| container.damaged("the size of its disk is out of range"))?;
    }
    if size == 0 {
        return Err(container.damaged("its descriptor names no extents"));
    }
    Ok(Opened {
        parent: descriptor.parent(&container)?,
        identity: descriptor.content.map(Identity::Content),
        variant: descriptor.kind,
        layer: Box::new(Split { parts, size }),
    })
}

fn open_part(
    container: &Container,
    part: &Part,
    backing: &Backing,
) -> Result<Box<dyn Layer>, FormatError> {
    if part.kind == "ZERO" {
        return Ok(Box::new(Zeros(part.size)));
    }
    let name = part
        .file
        .as_ref()
        .ok_or_else(|| container.damaged("its descriptor does not name an extent's file"))?;
    let place = beside(container.path(), name);
    if !place.exists() {
        return Err(OpenError::Missing { file: place }.into());
    }
    // The pieces of one image lie together; what is elsewhere has to be agreed to.
    let mut own = backing.clone();
    if !name.contains('/') {
        own.files.push(place.clone());
    }
    let whole = agree(container.path(), &place, &own)?;
    if place.is_symlink() {
        agree(container.path(), &whole, backing)?;
    }
    let file = Container::open(&whole, false)?;
    match part.kind.as_str() {
        "FLAT" | "VMFS" => {
            if part.offset.saturating_add(part.size) > file.length() {
                return Err(file.damaged("it is shorter than the image that it belongs to says"));
            }
            Ok(Box::new(Raw::part(file, part.offset, part.size)))
        }
        "SPARSE" => Ok(Box::new(Sparse::open(file)?)),
        other => Err(FormatError::unsupported(
            container.path(),
            format!("has an extent of the kind {other}"),
            "convert it with the program that made it, for example to streamOptimized",
        )),
    }
}

/// Zeros.
struct Zeros(u64);

impl Layer for Zeros {
    fn size(&self) -> u64 {
        self.0
    }

    fn extent(&self, offset: u64) -> Result<Extent, FormatError> {
        Ok(Extent::new(Kind::Zero, self.0 - offset))
    }

    fn read(&self, _offset: u64, data: &mut [u8]) -> Result<(), FormatError> {
        data.fill(0);
        Ok(())
    }
}

/// A disk of several parts, each with the place where it begins.
struct Split {
    parts: Vec<(u64, Box<dyn Layer>)>,
    size: u64,
}

impl Split {
    /// The part that `offset` is in, the offset in it, and where the part ends.
    fn part(&self, offset: u64) -> Option<(&dyn Layer, u64, u64)> {
        let number = self
            .parts
            .partition_point(|(start, _)| *start <= offset)
            .checked_sub(1)?;
        let (start, layer) = self.parts.get(number)?;
        let end = self.parts.get(number + 1).map_or(self.size, |part| part.0);
        Some((&**layer, offset - start, end))
    }
}

impl Layer for Split {
    fn size(&self) -> u64 {
        self.size
    }

    fn extent(&self, offset: u64) -> Result<Extent, FormatError> {
        let Some((layer, within, end)) = self.part(offset) else {
            return Ok(Extent::new(Kind::Zero, 1));
        };
        let extent = layer.extent(within)?;
        Ok(Extent::new(extent.kind, extent.length.min(end - offset)))
    }

    fn read(&self, mut offset: u64, data: &mut [u8]) -> Result<(), FormatError> {
        let mut rest = data;
        while !rest.is_empty() {
            let Some((layer, within, end)) = self.part(offset) else {
                rest.fill(0);
                return Ok(());
            };
            let count = index(end - offset).min(rest.len()).max(1);
            let (part, others) = rest.split_at_mut(count);
            layer.read(within, part)?;
            offset = offset.saturating_add(count as u64);
            rest = others;
        }
        Ok(())
    }
}

/// A sparse extent.
struct Sparse {
    container: Container,
    descriptor: Vec<u8>,
    tables: Pages,
    directory: u64,
    /// Bytes of a grain.
    grain: u64,
    /// Grains of a table.
    per_table: u64,
    size: u64,
    zero_grains: bool,
    compressed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Grain {
    Absent,
    Zero,
    At(u64),
}

impl Grain {
    fn kind(self) -> Kind {
        match self {
            Self::Absent => Kind::Absent,
            Self::Zero => Kind::Zero,
            Self::At(_) => Kind::Data,
        }
    }
}

impl Sparse {
    fn open(container: Container) -> Result<Self, FormatError> {
        let mut header = container.bytes(0, HEADER, "its header")?;
        if !header.starts_with(b"KDMV") {
            return Err(container.damaged("one of its extents is not a sparse one"));
        }
        let (place, length) = (
            le64(&header, 28).saturating_mul(SECTOR),
            le64(&header, 36).saturating_mul(SECTOR),
        );
        if length > DESCRIPTOR {
            return Err(container.damaged("its descriptor is too long"));
        }
        let descriptor = if place == 0 {
            Vec::new()
        } else {
            container.bytes(place, index(length), "its descriptor")?
        };
        if le64(&header, 56) == AT_END {
            // A stream: what was not known at its beginning is in the footer, before the last, empty sector.
            let place = container.length().saturating_sub(2 * SECTOR);
            header = container.bytes(place, HEADER, "its footer")?;
            if !header.starts_with(b"KDMV") || le64(&header, 56) == AT_END {
                return Err(container.damaged("its footer is missing: the file is not whole"));
            }
        }
        let version = le32(&header, 4);
        if !(1..=3).contains(&version) {
            return Err(FormatError::unsupported(
                container.path(),
                format!("has version {version} of the VMDK format"),
                "convert it with the program that made it",
            ));
        }
        let flags = le32(&header, 8);
        let compressed = flags & FLAG_COMPRESSED != 0 && le16(&header, 77) == 1;
        if flags & FLAG_COMPRESSED != 0 && !compressed {
            return Err(FormatError::unsupported(
                container.path(),
                "is compressed in another way than deflate",
                "convert it with the program that made it",
            ));
        }
        let (capacity, grain, per_table) =
            (le64(&header, 12), le64(&header, 20), le32(&header, 44));
        if !grain.is_power_of_two() || !(1..=16384).contains(&grain) {
            return Err(container.damaged("its grain size is out of range"));
        }
        if !(1..=4096).contains(&per_table) {
            return Err(container.damaged("the size of its grain tables is out of range"));
        }
        if capacity == 0 || capacity > MOST {
            return Err(container.damaged("the size of its disk is out of range"));
        }
        let directory = le64(&header, 56).saturating_mul(SECTOR);
        if directory == 0 || directory > container.length() {
            return Err(container.damaged("its grain directory lies beyond the end of the file"));
        }
        Ok(Self {
            tables: Pages::new(container.clone(), "a grain table"),
            container,
            descriptor,
            directory,
            grain: grain * SECTOR,
            per_table: u64::from(per_table),
            size: capacity * SECTOR,
            zero_grains: flags & FLAG_ZERO_GRAINS != 0,
            compressed,
        })
    }

    /// Where the table for `offset` is, 0 for nowhere.
    fn table(&self, offset: u64) -> Result<u64, FormatError> {
        let number = offset / (self.grain * self.per_table);
        let place = self.directory.saturating_add(number * 4);
        let entry = u32::from_le_bytes(self.tables.array(place)?);
        Ok(u64::from(entry) * SECTOR)
    }

    fn grain(&self, offset: u64) -> Result<Grain, FormatError> {
        let table = self.table(offset)?;
        if table == 0 {
            return Ok(Grain::Absent);
        }
        let number = offset / self.grain % self.per_table;
        Ok(
            match u32::from_le_bytes(self.tables.array(table + number * 4)?) {
                0 => Grain::Absent,
                1 if self.zero_grains => Grain::Zero,
                entry => Grain::At(u64::from(entry) * SECTOR),
            },
        )
    }

    /// Unpacks the grain at `place` of the file.
    fn decompress(&self, place: u64) -> Result<Vec<u8>, FormatError> {
        let marker = self.container.bytes(place, 12, "a grain")?;
        let length = u64::from(le32(&marker, 8));
        // Deflate adds a few bytes to what it cannot make smaller.
        if length == 0 || length > self.grain + self.grain / 8 + 1024 {
            return Err(self
                .container
                .damaged("a compressed grain has a length that it cannot have"));
        }
        let packed = self.container.bytes(place + 12, index(length), "a grain")?;
        let mut data = vec![0; index(self.grain)];
        let mut inflate = Decompress::new(true);
        let status = inflate.decompress(&packed, &mut data, FlushDecompress::Finish);
        // The last grain of a disk may be shorter.
        if !matches!(status, Ok(Status::StreamEnd)) || inflate.total_out() == 0 {
            return Err(self
                .container
                .damaged(format!("the grain at {place} cannot be unpacked")));
        }
        Ok(data)
    }
}

impl Layer for Sparse {
    fn size(&self) -> u64 {
        self.size
    }

    fn extent(&self, offset: u64) -> Result<Extent, FormatError> {
        let first = self.grain(offset)?.kind();
        let mut next = offset;
        for _ in 0..LOOK_AHEAD {
            let unit = if self.table(next)? == 0 {
                self.grain * self.per_table
            } else {
                self.grain
            };
            next = (next / unit + 1) * unit;
            if next >= self.size || self.grain(next)?.kind() != first {
                break;
            }
        }
        Ok(Extent::new(first, next.min(self.size) - offset))
    }

    fn read(&self, mut offset: u64, data: &mut [u8]) -> Result<(), FormatError> {
        for_units(self.grain, &mut offset, data, |offset, part| {
            let within = offset % self.grain;
            match self.grain(offset)? {
                Grain::Absent | Grain::Zero => part.fill(0),
                Grain::At(place) if self.compressed => {
                    let grain = self.decompress(place)?;
                    let from = grain.get(index(within)..).unwrap_or_default();
                    for (to, byte) in part.iter_mut().zip(from) {
                        *to = *byte;
                    }
                }
                Grain::At(place) => {
                    if place >= self.container.length() {
                        return Err(self
                            .container
                            .damaged("a grain lies beyond the end of the file"));
                    }
                    self.container.fill_to_end(place + within, part)?;
                }
            }
            Ok(())
        })
    }
}
