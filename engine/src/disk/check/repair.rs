//! Repairing a qcow2 image: what leads nowhere is taken out of its tables, and its reference counts are made anew.
//!
//! The new counts are written behind the end of the file, and one write of the header puts them in the place of the old ones: cut
//! short at any moment, the image is as damaged as it was, or repaired. Before anything is changed, the clusters with tables are
//! copied to a file beside the image, at their own places in it.

use std::collections::HashSet;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::super::formats::qcow2::{COPIED, Header, OFFSET, bits, shortened};
use super::super::formats::{Container, index};
use super::super::lock::Access;
use super::super::open::{open_file, size};
use super::super::tools::{Job, ToolError, Unfinished};
use super::qcow2::{Tables, Target, read_l1};
use super::{CheckReport, judge};

const ZERO: u64 = 1;

/// What a repair did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    /// What was wrong.
    pub before: CheckReport,
    /// What is wrong now.
    pub after: CheckReport,
    /// Where the tables are as they were; nothing was changed without.
    pub backup: Option<PathBuf>,
    /// Clusters of the disk whose data was lost already: they read as zeros now.
    pub lost: u64,
}

/// An image that may be changed, locked against everybody else.
pub(in crate::disk) fn open_writable(path: &Path) -> Result<(File, Container), ToolError> {
    let file = open_file(path, true)?;
    let length = size(&file, path)?;
    let clone = file
        .try_clone()
        .map_err(|source| ToolError::from_host("open", path, source))?;
    let mut container = Container::new(file, path, length);
    container.lock(Access::Write)?;
    Ok((clone, container))
}

/// Repairs the qcow2 image at `path`: what is wasted always, what is damaged only with `damage`.
///
/// # Errors
/// When it is damaged and that was not asked for, is in use, cannot be repaired, or the host refuses; see [`Repaired::backup`].
pub fn repair(path: &Path, damage: bool, job: &Job<'_>) -> Result<Repaired, ToolError> {
    let (file, container) = open_writable(path)?;
    let tables = Tables::walk(container.clone(), job)?;
    let before = judge(&tables);
    let stale = tables.header.incompatible & (bits::DIRTY | bits::CORRUPT) != 0;
    if before.is_clean() && !stale {
        return Ok(Repaired {
            after: before.clone(),
            before,
            backup: None,
            lost: 0,
        });
    }
    if before.damage > 0 && !damage {
        return Err(ToolError::refused(
            path,
            format!(
                "is damaged in {} places, which is more than wasted space",
                before.damage
            ),
            "copy it to a safe place, then repair it with --damage; see what is wrong with \"guesthouse disk check\"",
        ));
    }
    tables.header.check_readable(&container)?;
    if tables.unknown_tables {
        return Err(ToolError::refused(
            path,
            "has tables or snapshots that cannot be read, and what they hold would be given out again",
            "copy what can be read to a new image with \"guesthouse disk convert\"",
        ));
    }
    let backup = back_up(path, &tables, job)?;
    let lost = if tables.bad_entries {
        mend_entries(&file, &container, &tables)?
    } else {
        0
    };
    job.check()?;
    let mut tables = Tables::walk(container.renewed()?, job)?;
    renew(&file, path, &mut tables, |_| {})?;
    mend_flags(&file, path, &tables)?;
    let after = Tables::walk(container.renewed()?, &Job::quiet())?;
    Ok(Repaired {
        before,
        after: judge(&after),
        backup: Some(backup),
        lost,
    })
}

/// Copies the clusters that hold tables to a file beside the image, at their own places.
fn back_up(path: &Path, tables: &Tables, job: &Job<'_>) -> Result<PathBuf, ToolError> {
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let free = (1..1000)
        .map(|number| path.with_file_name(format!("{name}.tables-{number}")))
        .find(|place| place.symlink_metadata().is_err())
        .ok_or_else(|| {
            ToolError::refused(
                path,
                "has been repaired a thousand times",
                "remove the copies of its tables",
            )
        })?;
    let unfinished = Unfinished::new(&free)?;
    let host = |source| ToolError::from_host("write to", &free, source);
    let size = tables.header.cluster_size();
    let length = tables.container.length();
    unfinished.file().set_len(length).map_err(host)?;
    let mut cluster = vec![0; index(size)];
    for number in tables.metadata() {
        job.check()?;
        let offset = number * size;
        let there = index(size.min(length.saturating_sub(offset)));
        let part = cluster.get_mut(..there).unwrap_or_default();
        tables.container.fill_to_end(offset, part)?;
        unfinished.file().write_all_at(part, offset).map_err(host)?;
    }
    unfinished.finish()?;
    Ok(free)
}

/// Takes entries out that lead where they must not; what shares its place with a table gets one of its own. The number of clusters
/// of the disk that are lost.
fn mend_entries(file: &File, container: &Container, tables: &Tables) -> Result<u64, ToolError> {
    let header = &tables.header;
    let host = |source| ToolError::from_host("write to", container.path(), source);
    let size = header.cluster_size();
    let mut lost = 0;
    let l1_tables = std::iter::once((header.l1_offset, header.l1_entries)).chain(
        tables
            .snapshots
            .iter()
            .map(|snapshot| (snapshot.l1_offset, snapshot.l1_entries)),
    );
    for (offset, entries) in l1_tables {
        let mut l1 = read_l1(container, offset, entries)?;
        let mut changed = false;
        for entry in &mut l1 {
            if *entry & OFFSET != 0 && !tables.l2_tables.contains_key(&(*entry & OFFSET)) {
                *entry = 0;
                changed = true;
                lost += header.l2_entries();
            } else if *entry & OFFSET != 0 && *entry & !(OFFSET | COPIED) != 0 {
                *entry &= OFFSET | COPIED;
                changed = true;
            }
        }
        if changed {
            file.write_all_at(&big_endian(&l1), offset).map_err(host)?;
        }
    }
    let mut end = container.length().next_multiple_of(size);
    let width = if header.extended_l2() { 16 } else { 8 };
    for offset in tables.l2_tables.keys() {
        let mut table = container.bytes(*offset, index(size), "an L2 table")?;
        let mut changed = false;
        for bytes in table.chunks_exact_mut(width) {
            let Some((first, rest)) = bytes.split_first_chunk_mut::<8>() else {
                continue;
            };
            let entry = u64::from_be_bytes(*first);
            let nothing = if header.version >= 3 && width == 8 {
                ZERO
            } else {
                0
            };
            let new = match Tables::target(header, container.length(), entry) {
                Ok(Target::Nothing) => continue,
                Ok(Target::Plain(place)) if tables.is_metadata(place / size) => {
                    let mut cluster = vec![0; index(size)];
                    container.fill_to_end(place, &mut cluster)?;
                    file.write_all_at(&cluster, end).map_err(host)?;
                    end += size;
                    (end - size) | COPIED | (entry & ZERO)
                }
                Ok(Target::Plain(_)) => continue,
                Ok(Target::Compressed {
                    first,
                    last,
                    beyond,
                }) => {
                    if (first..last).any(|cluster| tables.is_metadata(cluster)) {
                        lost += 1;
                        nothing
                    } else if beyond {
                        shortened(entry, header.cluster_bits, last * size)
                    } else {
                        continue;
                    }
                }
                Err(_) => {
                    lost += 1;
                    // The bitmap says which parts are zeros; without a place all of them are.
                    if let Some(bitmap) = rest.first_chunk_mut::<8>() {
                        *bitmap = (u64::from(u32::MAX) << 32).to_be_bytes();
                    }
                    nothing
                }
            };
            *first = new.to_be_bytes();
            changed = true;
        }
        if changed {
            file.write_all_at(&table, *offset).map_err(host)?;
        }
    }
    file.sync_all().map_err(host)?;
    Ok(lost)
}

/// Sets the flags that say whether others use what an entry leads to.
fn mend_flags(file: &File, path: &Path, tables: &Tables) -> Result<(), ToolError> {
    let host = |source| ToolError::from_host("write to", path, source);
    let header = &tables.header;
    let flagged = |entry: u64, place: u64| {
        if tables.references_at(place) == 1 {
            entry | COPIED
        } else {
            entry & !COPIED
        }
    };
    let mut l1 = tables.l1.clone();
    for entry in &mut l1 {
        if *entry & OFFSET != 0 {
            *entry = flagged(*entry, *entry & OFFSET);
        }
    }
    if l1 != tables.l1 {
        file.write_all_at(&big_endian(&l1), header.l1_offset)
            .map_err(host)?;
    }
    let width = if header.extended_l2() { 16 } else { 8 };
    let places: HashSet<u64> = l1
        .iter()
        .map(|entry| entry & OFFSET)
        .filter(|offset| *offset != 0)
        .collect();
    for offset in places {
        let mut table =
            tables
                .container
                .bytes(offset, index(header.cluster_size()), "an L2 table")?;
        let before = table.clone();
        for bytes in table.chunks_exact_mut(width) {
            let Some(first) = bytes.first_chunk_mut::<8>() else {
                continue;
            };
            let entry = u64::from_be_bytes(*first);
            if let Ok(Target::Plain(place)) =
                Tables::target(header, tables.container.length(), entry)
            {
                *first = flagged(entry, place).to_be_bytes();
            }
        }
        if table != before {
            file.write_all_at(&table, offset).map_err(host)?;
        }
    }
    file.sync_all().map_err(host)
}

fn big_endian(entries: &[u64]) -> Vec<u8> {
    entries
        .iter()
        .flat_map(|entry| entry.to_be_bytes())
        .collect()
}

/// Writes the counts of `tables` behind the end of the file, and a header that leads to them and has what `change` makes of the
/// old one besides.
pub(in crate::disk) fn renew(
    file: &File,
    path: &Path,
    tables: &mut Tables,
    change: impl FnOnce(&mut [u8]),
) -> Result<(), ToolError> {
    let host = |source| ToolError::from_host("write to", path, source);
    let size = tables.header.cluster_size();
    tables.drop_counts();
    let before = file
        .metadata()
        .map_err(host)?
        .len()
        .div_ceil(size)
        .max(tables.references.len() as u64);
    let order = order_for(path, &tables.header, &tables.references)?;
    let per_block = (size * 8) >> order;
    let (mut blocks, mut table) = (0, 0);
    loop {
        let needed = (before + blocks + table).div_ceil(per_block);
        let needed_table = (needed * 8).div_ceil(size);
        if (needed, needed_table) == (blocks, table) {
            break;
        }
        (blocks, table) = (needed, needed_table);
    }
    tables.references.resize(index(before), 0);
    tables.references.resize(index(before + blocks + table), 1);
    let table_offset = before * size;
    let places: Vec<u64> = (0..blocks)
        .map(|number| table_offset + (table + number) * size)
        .collect();
    file.set_len((before + table + blocks) * size)
        .map_err(host)?;
    file.write_all_at(&big_endian(&places), table_offset)
        .map_err(host)?;
    for (place, counts) in places
        .iter()
        .zip(tables.references.chunks(index(per_block)))
    {
        let mut block = pack(counts, order);
        block.resize(index(size), 0);
        file.write_all_at(&block, *place).map_err(host)?;
    }
    file.sync_all().map_err(host)?;
    let header = &tables.header;
    let mut bytes = vec![0; if header.version == 2 { 72 } else { 104 }];
    file.read_exact_at(&mut bytes, 0).map_err(host)?;
    change(&mut bytes);
    put(&mut bytes, 48, &table_offset.to_be_bytes());
    put(
        &mut bytes,
        56,
        &u32::try_from(table).unwrap_or(u32::MAX).to_be_bytes(),
    );
    if header.version >= 3 {
        let incompatible = header.incompatible & !(bits::DIRTY | bits::CORRUPT);
        put(&mut bytes, 72, &incompatible.to_be_bytes());
        put(&mut bytes, 96, &order.to_be_bytes());
    }
    file.write_all_at(&bytes, 0).map_err(host)?;
    file.sync_all().map_err(host)
}

/// Writes into a header.
pub(in crate::disk) fn put(header: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = header.get_mut(at..at.saturating_add(bytes.len())) {
        place.copy_from_slice(bytes);
    }
}

/// The width that counts must have: as before, unless one has become too large for that.
fn order_for(path: &Path, header: &Header, references: &[u16]) -> Result<u32, ToolError> {
    let largest = references.iter().copied().max().map_or(1, u64::from).max(1);
    let order = if header.version == 2 {
        4
    } else {
        header.refcount_order
    };
    if order >= 6 || largest < 1 << (1 << order) {
        return Ok(order);
    }
    if header.version == 2 || order >= 4 {
        return Err(ToolError::refused(
            path,
            "has clusters that are used more often than can be counted",
            "copy it with \"guesthouse disk convert\"",
        ));
    }
    Ok(4)
}

/// Counts as a block has them, 1 << `order` bits each.
fn pack(counts: &[u16], order: u32) -> Vec<u8> {
    if order >= 3 {
        let width = 1_usize << (order - 3);
        return counts
            .iter()
            .flat_map(|count| {
                let bytes = u64::from(*count).to_be_bytes();
                bytes.into_iter().skip(8 - width)
            })
            .collect();
    }
    counts
        .chunks(8 >> order)
        .map(|counts| {
            counts.iter().enumerate().fold(0, |byte, (number, count)| {
                let low = count.to_le_bytes()[0];
                byte | low << (number << order)
            })
        })
        .collect()
}
