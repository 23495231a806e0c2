//! VirtualBox's images (VDI 1.1, the header in VDICore.h of VirtualBox's sources): a map of blocks, each there, zero or absent.

use super::container::{Pages, array, le32, le64};
use super::{Container, Extent, FormatError, Identity, Kind, LOOK_AHEAD, Layer, Opened, index};

const HEADER: usize = 0x200;
const SIGNATURE: u32 = 0xbeda_107f;
const ABSENT: u32 = u32::MAX;
const ZERO: u32 = u32::MAX - 1;

struct Vdi {
    container: Container,
    map: Pages,
    map_offset: u64,
    data_offset: u64,
    block_size: u64,
    blocks: u64,
    size: u64,
}

pub(super) fn open(container: Container) -> Result<Opened, FormatError> {
    let header = container.bytes(0, HEADER, "its header")?;
    if le32(&header, 0x40) != SIGNATURE {
        return Err(FormatError::Not {
            file: container.path().to_owned(),
            format: "VDI",
        });
    }
    let unsupported =
        |feature: String, remedy| Err(FormatError::unsupported(container.path(), feature, remedy));
    let version = le32(&header, 0x44);
    if version >> 16 != 1 {
        return unsupported(
            format!(
                "has version {}.{} of the VDI format",
                version >> 16,
                version & 0xffff
            ),
            "copy it with VirtualBox (VBoxManage clonemedium)",
        );
    }
    let variant = match le32(&header, 0x4c) {
        1 => "dynamic",
        2 => "fixed",
        4 => {
            return unsupported(
                "holds only what differs from another image, which VirtualBox alone knows".into(),
                "join them in VirtualBox (VBoxManage clonemedium)",
            );
        }
        other => {
            return unsupported(
                format!("is an image of the unknown kind {other}"),
                "copy it with VirtualBox (VBoxManage clonemedium)",
            );
        }
    };
    let block_size = u64::from(le32(&header, 0x178));
    let vdi = Vdi {
        map: Pages::new(container.clone(), "its block map"),
        map_offset: u64::from(le32(&header, 0x154)),
        data_offset: u64::from(le32(&header, 0x158)),
        block_size,
        blocks: u64::from(le32(&header, 0x180)),
        size: le64(&header, 0x170),
        container,
    };
    let damaged = |fault: &str| Err(vdi.container.damaged(fault));
    if !block_size.is_power_of_two() || !(4096..=256 << 20).contains(&block_size) {
        return damaged("its block size is out of range");
    }
    if le32(&header, 0x17c) != 0 {
        return damaged("its blocks have more before them than VirtualBox writes");
    }
    if vdi.size == 0 || vdi.size.div_ceil(block_size) > vdi.blocks {
        return damaged("its block map is too short for the size of its disk");
    }
    let identity = Identity::Unique(array(&header, 0x188));
    let mut opened = Opened::alone(vdi, variant);
    opened.identity = Some(identity);
    Ok(opened)
}

impl Vdi {
    fn entry(&self, block: u64) -> Result<u32, FormatError> {
        self.map
            .array(self.map_offset + block.min(self.blocks) * 4)
            .map(u32::from_le_bytes)
    }
}

impl Layer for Vdi {
    fn size(&self) -> u64 {
        self.size
    }

    fn extent(&self, offset: u64) -> Result<Extent, FormatError> {
        let kind = |entry| match entry {
            ABSENT => Kind::Absent,
            ZERO => Kind::Zero,
            _ => Kind::Data,
        };
        let first = kind(self.entry(offset / self.block_size)?);
        let mut next = (offset / self.block_size + 1) * self.block_size;
        for _ in 0..LOOK_AHEAD {
            if next >= self.size || kind(self.entry(next / self.block_size)?) != first {
                break;
            }
            next += self.block_size;
        }
        Ok(Extent::new(first, next.min(self.size) - offset))
    }

    fn read(&self, mut offset: u64, data: &mut [u8]) -> Result<(), FormatError> {
        for_units(self.block_size, &mut offset, data, |offset, part| {
            match self.entry(offset / self.block_size)? {
                ABSENT | ZERO => part.fill(0),
                entry => {
                    let place = self.data_offset
                        + u64::from(entry) * self.block_size
                        + offset % self.block_size;
                    // The last block of a disk may be cut off with the disk.
                    if place >= self.container.length() {
                        return Err(self
                            .container
                            .damaged("a block of its disk lies beyond the end of the file"));
                    }
                    self.container.fill_to_end(place, part)?;
                }
            }
            Ok(())
        })
    }
}

/// Takes `data`, which lies at `offset` of a disk, apart where units of `unit` bytes begin.
pub(super) fn for_units(
    unit: u64,
    offset: &mut u64,
    data: &mut [u8],
    mut each: impl FnMut(u64, &mut [u8]) -> Result<(), FormatError>,
) -> Result<(), FormatError> {
    let mut rest = data;
    while !rest.is_empty() {
        let count = index(unit - *offset % unit).min(rest.len());
        let (part, others) = rest.split_at_mut(count);
        each(*offset, part)?;
        *offset = offset.saturating_add(count as u64);
        rest = others;
    }
    Ok(())
}
