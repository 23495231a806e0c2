//! The table of internal snapshots.

use super::super::container::{array, be32, be64};
use super::super::{Container, FormatError};
use super::Header;

/// The most snapshots, and the most bytes of their table: those of QEMU.
const MOST: u32 = 65536;
const MOST_BYTES: u64 = 1 << 30;
/// Bytes of an entry before its texts.
const FIXED: usize = 40;

/// A state that the image keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::disk) struct Snapshot {
    pub(in crate::disk) id: String,
    pub(in crate::disk) name: String,
    /// Seconds since 1970.
    pub(in crate::disk) time: u64,
    /// Bytes of the machine's state.
    pub(in crate::disk) state_size: u64,
    pub(in crate::disk) l1_offset: u64,
    pub(in crate::disk) l1_entries: u64,
    /// Bytes of the disk.
    pub(in crate::disk) disk_size: u64,
    /// Where its entry ends in the file.
    pub(in crate::disk) end: u64,
}

impl Snapshot {
    /// All of them.
    pub(in crate::disk) fn read_all(
        container: &Container,
        header: &Header,
    ) -> Result<Vec<Self>, FormatError> {
        if header.snapshots > MOST {
            return Err(container.damaged("it has more snapshots than any image can have"));
        }
        let mut snapshots = Vec::new();
        let mut at = header.snapshots_offset;
        for _ in 0..header.snapshots {
            if at.saturating_sub(header.snapshots_offset) > MOST_BYTES {
                return Err(container.damaged("its snapshot table is too long"));
            }
            let fixed = container.bytes(at, FIXED, "its snapshot table")?;
            let length = |at| usize::from(u16::from_be_bytes(array(&fixed, at)));
            let (id, name) = (length(12), length(14));
            let extra = usize::try_from(be32(&fixed, 36)).unwrap_or(usize::MAX);
            if extra > 1024 {
                return Err(container.damaged("an entry of its snapshot table is too long"));
            }
            let rest = container.bytes(
                at.saturating_add(FIXED as u64),
                extra + id + name,
                "its snapshot table",
            )?;
            let text = |from: usize, length: usize| {
                String::from_utf8_lossy(
                    rest.get(from..)
                        .and_then(|rest| rest.get(..length))
                        .unwrap_or_default(),
                )
                .into_owned()
            };
            let end = at.saturating_add((FIXED + extra + id + name) as u64);
            snapshots.push(Self {
                id: text(extra, id),
                name: text(extra + id, name),
                time: u64::from(be32(&fixed, 16)),
                state_size: if extra >= 8 {
                    be64(&rest, 0)
                } else {
                    u64::from(be32(&fixed, 32))
                },
                l1_offset: be64(&fixed, 0),
                l1_entries: u64::from(be32(&fixed, 8)),
                disk_size: if extra >= 16 {
                    be64(&rest, 8)
                } else {
                    header.size
                },
                end,
            });
            at = end.next_multiple_of(8);
        }
        Ok(snapshots)
    }
}
