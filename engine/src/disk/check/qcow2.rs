//! Everything that a qcow2 image's header leads to, walked once: who uses each cluster of the file, and who counts it how.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::super::formats::qcow2::{COPIED, Header, OFFSET, Snapshot, bits, compressed_place};
use super::super::formats::{Container, Format, FormatError, index};
use super::super::tools::{Job, Phase, ToolError};
use super::{CheckReport, Severity};

const COMPRESSED: u64 = 1 << 62;
const ZERO: u64 = 1;
const EXTENSION_BITMAPS: u32 = 0x2385_2875;
const EXTENSION_ENCRYPTION: u32 = 0x0537_be77;
/// The most clusters of a file that are looked after: 3 bytes of memory each.
const MOST: u64 = 1 << 28;

/// What a cluster of the file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::disk) enum Use {
    Nothing,
    Header,
    ActiveL1,
    SnapshotTable,
    SnapshotL1,
    L2,
    RefcountTable,
    RefcountBlock,
    Bitmap,
    Encryption,
    Data,
}

impl Use {
    fn words(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Header => "the header",
            Self::ActiveL1 => "the L1 table",
            Self::SnapshotTable => "the snapshot table",
            Self::SnapshotL1 => "a snapshot's L1 table",
            Self::L2 => "an L2 table",
            Self::RefcountTable => "the reference count table",
            Self::RefcountBlock => "reference counts",
            Self::Bitmap => "a bitmap",
            Self::Encryption => "the encryption's header",
            Self::Data => "data",
        }
    }

    /// Whether two of a kind may share a cluster.
    fn shares(self) -> bool {
        matches!(self, Self::Data | Self::L2)
    }
}

/// How an image uses its file, in clusters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Clusters of the disk.
    pub total: u64,
    /// Those with data of the image's own.
    pub allocated: u64,
    /// Those of them that are compressed.
    pub compressed: u64,
    /// Those of them that do not follow the one before them in the file.
    pub fragmented: u64,
}

/// What a walk found.
pub(in crate::disk) struct Tables {
    pub(in crate::disk) container: Container,
    pub(in crate::disk) header: Header,
    pub(in crate::disk) report: CheckReport,
    pub(in crate::disk) usage: Usage,
    pub(in crate::disk) snapshots: Vec<Snapshot>,
    /// The active L1 table.
    pub(in crate::disk) l1: Vec<u64>,
    /// How often each cluster of the file is referred to; what counts more than can be is 65535.
    pub(in crate::disk) references: Vec<u16>,
    uses: Vec<Use>,
    /// L2 tables and how often each is referred to, by the active L1 table and by all.
    pub(in crate::disk) l2_tables: HashMap<u64, L2Uses>,
    /// Counts that the file has differ from those that were found.
    pub(in crate::disk) counts_wrong: bool,
    /// Table entries that lead where they must not.
    pub(in crate::disk) bad_entries: bool,
    /// There are tables of which it is not known what they use: the disk's own, or a snapshot's.
    pub(in crate::disk) unknown_tables: bool,
}

/// Who refers to an L2 table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::disk) struct L2Uses {
    pub(in crate::disk) active: bool,
    pub(in crate::disk) references: u32,
}

/// Where an entry that leads to data leads.
pub(in crate::disk) enum Target {
    Nothing,
    Plain(u64),
    Compressed {
        first: u64,
        last: u64,
        /// It says that it goes on behind the end of the file, where it has nothing: what is put there later would be freed with it.
        beyond: bool,
    },
}

impl Tables {
    /// Walks the image in `container`.
    pub(in crate::disk) fn walk(container: Container, job: &Job<'_>) -> Result<Self, ToolError> {
        let header = Header::read(&container)?;
        let l1 = read_l1(&container, header.l1_offset, header.l1_entries)?;
        Self::walk_with(container, header, l1, job)
    }

    /// As [`Tables::walk`] with another header and L1 table than the file's.
    pub(in crate::disk) fn walk_with(
        container: Container,
        header: Header,
        l1: Vec<u64>,
        job: &Job<'_>,
    ) -> Result<Self, ToolError> {
        let clusters = container.length().div_ceil(header.cluster_size());
        if clusters > MOST {
            return Err(ToolError::refused(
                container.path(),
                "has more clusters than can be checked",
                "copy it with larger clusters (guesthouse disk convert --cluster-size 2M)",
            ));
        }
        let mut tables = Self {
            report: CheckReport::new(Format::Qcow2),
            usage: Usage {
                total: header.size.div_ceil(header.cluster_size()),
                ..Usage::default()
            },
            snapshots: Vec::new(),
            references: vec![0; index(clusters)],
            uses: vec![Use::Nothing; index(clusters)],
            l2_tables: HashMap::new(),
            counts_wrong: false,
            bad_entries: false,
            unknown_tables: false,
            container,
            header,
            l1,
        };
        job.begin(Phase::Checking, clusters * tables.header.cluster_size())?;
        tables.walk_roots()?;
        tables.walk_l2_tables(job)?;
        tables.walk_counts()?;
        if tables.header.incompatible & bits::DIRTY != 0 {
            // Counts may lag behind then; if they do, that was said.
            tables.report.add(Severity::Note, || {
                "It was not closed by the program that used it last.".to_owned()
            });
        }
        if tables.header.incompatible & bits::CORRUPT != 0 {
            tables.counts_wrong = true;
            tables.report.add(Severity::Damage, || {
                "A program that used it has marked it as damaged.".to_owned()
            });
        }
        Ok(tables)
    }

    /// The clusters of the file that are for `what`, by their numbers.
    pub(super) fn clusters_of(&self, what: Use) -> BTreeSet<u64> {
        let uses = (0..).zip(&self.uses);
        uses.filter_map(|(cluster, known)| (*known == what).then_some(cluster))
            .collect()
    }

    fn damage(&mut self, text: impl FnOnce() -> String) {
        self.report.add(Severity::Damage, text);
    }

    /// Notes that `what` uses the clusters of `length` bytes at `offset`; whether it may.
    fn claim(&mut self, offset: u64, length: u64, what: Use, times: u32) -> bool {
        let size = self.header.cluster_size();
        if !offset.is_multiple_of(size) {
            self.damage(|| {
                format!(
                    "What should be {} does not begin where a cluster does, at byte {offset}.",
                    what.words()
                )
            });
            return false;
        }
        let first = offset / size;
        let last = first + length.div_ceil(size).max(1);
        if last > self.uses.len() as u64 || offset.checked_add(length).is_none() {
            self.damage(|| {
                format!(
                    "What should be {} lies beyond the end of the file, at byte {offset}.",
                    what.words()
                )
            });
            return false;
        }
        self.claim_clusters(first, last, what, times)
    }

    fn claim_clusters(&mut self, first: u64, last: u64, what: Use, times: u32) -> bool {
        let mut good = true;
        for cluster in first..last {
            let at = index(cluster);
            let Some(known) = self.uses.get_mut(at) else {
                return false;
            };
            let before = *known;
            if before == Use::Nothing {
                *known = what;
            } else if before != what || !what.shares() {
                good = false;
                self.damage(|| {
                    format!(
                        "Cluster {cluster} of the file is used for {} and for {} at the same time.",
                        before.words(),
                        what.words()
                    )
                });
                if before != Use::Data {
                    // Not this one's; it is not to be counted for it.
                    continue;
                }
            }
            if let Some(count) = self.references.get_mut(at) {
                *count = count.saturating_add(u16::try_from(times).unwrap_or(u16::MAX));
            }
        }
        good
    }

    /// The header and all tables but the L2 tables.
    fn walk_roots(&mut self) -> Result<(), ToolError> {
        let size = self.header.cluster_size();
        self.claim_clusters(0, 1, Use::Header, 1);
        let (offset, clusters) = (
            self.header.refcount_table_offset,
            self.header.refcount_table_clusters,
        );
        self.claim(offset, clusters * size, Use::RefcountTable, 1);
        let l1 = (self.header.l1_offset, self.l1.len() as u64 * 8);
        self.unknown_tables |= !self.claim(l1.0, l1.1, Use::ActiveL1, 1);
        self.note_l1(&self.l1.clone(), true, "the L1 table");
        self.walk_snapshots()?;
        self.walk_extensions()
    }

    fn note_l1(&mut self, entries: &[u64], active: bool, whose: &str) {
        for (number, entry) in entries.iter().enumerate() {
            let offset = entry & OFFSET;
            if offset == 0 {
                continue;
            }
            if entry & !(OFFSET | COPIED) != 0 {
                self.bad_entries = true;
                // It may be anything that stands there in a table's place.
                self.unknown_tables |= !active;
                self.damage(|| format!("Entry {number} of {whose} has bits that mean nothing."));
            }
            let uses = self.l2_tables.entry(offset).or_default();
            uses.active |= active;
            uses.references = uses.references.saturating_add(1);
        }
    }

    fn walk_snapshots(&mut self) -> Result<(), ToolError> {
        if self.header.snapshots == 0 {
            return Ok(());
        }
        let snapshots = match Snapshot::read_all(&self.container, &self.header) {
            Ok(snapshots) => snapshots,
            Err(FormatError::Damaged { fault, .. }) => {
                self.unknown_tables = true;
                self.damage(|| format!("The snapshots cannot be read: {fault}."));
                return Ok(());
            }
            Err(other) => return Err(other.into()),
        };
        if let Some(last) = snapshots.last() {
            let start = self.header.snapshots_offset;
            self.unknown_tables |= !self.claim(start, last.end - start, Use::SnapshotTable, 1);
        }
        let mut entries = 0;
        for snapshot in &snapshots {
            entries += snapshot.l1_entries;
            // Tables do not overlap; all together they are not larger than the file.
            if entries * 8 > self.container.length() {
                self.unknown_tables = true;
                self.damage(|| "The snapshots' L1 tables are larger than the file.".to_owned());
                break;
            }
            let place = (snapshot.l1_offset, snapshot.l1_entries * 8);
            if !self.claim(place.0, place.1, Use::SnapshotL1, 1) {
                self.unknown_tables = true;
                continue;
            }
            let l1 = read_l1(&self.container, snapshot.l1_offset, snapshot.l1_entries)?;
            self.note_l1(&l1, false, &format!("the snapshot {:?}", snapshot.name));
        }
        self.snapshots = snapshots;
        Ok(())
    }

    fn walk_extensions(&mut self) -> Result<(), ToolError> {
        let long = |data: &[u8], at: usize| {
            data.get(at..)
                .and_then(|rest| rest.first_chunk::<8>())
                .map_or(0, |bytes| u64::from_be_bytes(*bytes))
        };
        for extension in self.header.extensions.clone() {
            match extension.kind {
                EXTENSION_ENCRYPTION => {
                    let (offset, length) = (long(&extension.data, 0), long(&extension.data, 8));
                    self.claim(offset, length, Use::Encryption, 1);
                }
                EXTENSION_BITMAPS if self.header.autoclear & bits::BITMAPS != 0 => {
                    let (length, offset) = (long(&extension.data, 8), long(&extension.data, 16));
                    self.walk_bitmaps(offset, length)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn walk_bitmaps(&mut self, offset: u64, length: u64) -> Result<(), ToolError> {
        /// The largest directory that QEMU takes.
        const MOST_BYTES: u64 = 64 << 20;
        if length > MOST_BYTES || !self.claim(offset, length, Use::Bitmap, 1) {
            return Ok(());
        }
        let size = self.header.cluster_size();
        let directory = self.container.bytes(offset, index(length), "its bitmaps")?;
        let mut at = 0;
        while let Some(entry) = directory.get(at..).filter(|rest| rest.len() >= 24) {
            let number = |from: usize, length: usize| {
                entry
                    .get(from..from + length)
                    .unwrap_or_default()
                    .iter()
                    .fold(0, |sum: u64, byte| sum << 8 | u64::from(*byte))
            };
            let (table, entries) = (number(0, 8), number(8, 4));
            if self.claim(table, entries * 8, Use::Bitmap, 1) {
                for entry in read_l1(&self.container, table, entries)? {
                    if entry & OFFSET != 0 {
                        self.claim(entry & OFFSET, size, Use::Bitmap, 1);
                    }
                }
            }
            at += index(24 + number(18, 2) + number(20, 4)).next_multiple_of(8);
        }
        Ok(())
    }

    fn walk_l2_tables(&mut self, job: &Job<'_>) -> Result<(), ToolError> {
        let size = self.header.cluster_size();
        let mut places: Vec<(u64, L2Uses)> = self
            .l2_tables
            .iter()
            .map(|(offset, uses)| (*offset, *uses))
            .collect();
        places.sort_unstable_by_key(|(offset, _)| *offset);
        let share = self.container.length() / (places.len() as u64 + 1);
        // All tables first: data that lies where one of them is must not pass for the owner.
        places.retain(|(offset, uses)| {
            let good = self.claim(*offset, size, Use::L2, uses.references);
            if !good {
                self.bad_entries = true;
                self.l2_tables.remove(offset);
            }
            good
        });
        let mut previous = u64::MAX;
        for (offset, uses) in places {
            let table = self.container.bytes(offset, index(size), "an L2 table")?;
            self.walk_l2(&table, offset, uses, &mut previous);
            job.advance(share)?;
        }
        Ok(())
    }

    /// Where an L2 entry leads; an error says what is wrong with it.
    pub(in crate::disk) fn target(
        header: &Header,
        length: u64,
        entry: u64,
    ) -> Result<Target, &'static str> {
        let size = header.cluster_size();
        if entry & COMPRESSED != 0 {
            let (offset, bytes) = compressed_place(entry, header.cluster_bits);
            if offset >= length {
                return Err("lies beyond the end of the file");
            }
            let end = (offset + bytes).next_multiple_of(512).div_ceil(size);
            let last = length.div_ceil(size);
            return Ok(Target::Compressed {
                first: (offset & !511) / size,
                last: end.min(last),
                beyond: end > last,
            });
        }
        let offset = entry & OFFSET;
        if offset == 0 || header.data_file.is_some() {
            return Ok(Target::Nothing);
        }
        if !offset.is_multiple_of(size) {
            return Err("does not begin where a cluster does");
        }
        if offset >= length.next_multiple_of(size) {
            return Err("lies beyond the end of the file");
        }
        Ok(Target::Plain(offset))
    }

    fn walk_l2(&mut self, table: &[u8], place: u64, uses: L2Uses, previous: &mut u64) {
        let size = self.header.cluster_size();
        let width = if self.header.extended_l2() { 16 } else { 8 };
        for (number, entry) in table.chunks_exact(width).enumerate() {
            let entry = entry
                .first_chunk::<8>()
                .map_or(0, |entry| u64::from_be_bytes(*entry));
            match Self::target(&self.header, self.container.length(), entry) {
                Ok(Target::Nothing) => {}
                Ok(Target::Plain(offset)) => {
                    if entry & ZERO == 0 || self.header.version < 3 || width == 16 {
                        self.count(uses, previous, offset, false);
                    }
                    let first = offset / size;
                    if !self.claim_clusters(first, first + 1, Use::Data, uses.references) {
                        self.bad_entries = true;
                    }
                }
                Ok(Target::Compressed {
                    first,
                    last,
                    beyond,
                }) => {
                    self.count(uses, previous, 0, true);
                    if beyond {
                        self.bad_entries = true;
                        self.damage(|| format!("Entry {number} of the L2 table at byte {place} says that its compressed cluster goes on behind the end of the file."));
                    }
                    if !self.claim_clusters(first, last, Use::Data, uses.references) {
                        self.bad_entries = true;
                    }
                }
                Err(fault) => {
                    self.bad_entries = true;
                    self.damage(|| format!("Entry {number} of the L2 table at byte {place} {fault}: what the guest has stored there is lost."));
                }
            }
        }
    }

    fn count(&mut self, uses: L2Uses, previous: &mut u64, offset: u64, compressed: bool) {
        if !uses.active {
            return;
        }
        self.usage.allocated += 1;
        if compressed {
            self.usage.compressed += 1;
            return;
        }
        let follows = previous.checked_add(self.header.cluster_size());
        if *previous != u64::MAX && follows != Some(offset) {
            self.usage.fragmented += 1;
        }
        *previous = offset;
    }

    /// Compares the counts that the file has with the references that were found.
    fn walk_counts(&mut self) -> Result<(), ToolError> {
        let size = self.header.cluster_size();
        let (offset, clusters) = (
            self.header.refcount_table_offset,
            self.header.refcount_table_clusters,
        );
        let table =
            self.container
                .bytes(offset, index(clusters * size), "its reference count table");
        let table = match table {
            Ok(table) => table,
            Err(FormatError::Damaged { .. }) => {
                self.counts_wrong = true;
                return Ok(());
            }
            Err(other) => return Err(other.into()),
        };
        let (blocks, _) = table.as_chunks::<8>();
        let per_block = (size * 8) >> self.header.refcount_order;
        // The counts count the blocks that they are in; all of those must be known first.
        let mut places = Vec::new();
        for (number, block) in blocks.iter().enumerate() {
            let offset = u64::from_be_bytes(*block);
            if offset == 0 {
                continue;
            }
            if self.claim(offset, size, Use::RefcountBlock, 1) {
                places.push((number as u64, offset));
            } else {
                self.counts_wrong = true;
            }
        }
        let mut counted = vec![false; self.references.len().div_ceil(index(per_block))];
        for (number, offset) in places {
            let block = self
                .container
                .bytes(offset, index(size), "reference counts")?;
            if let Some(counted) = counted.get_mut(index(number)) {
                *counted = true;
            }
            for within in 0..per_block {
                let recorded = count_at(&block, within, self.header.refcount_order);
                self.judge(number * per_block + within, recorded);
            }
        }
        for (number, counted) in counted.into_iter().enumerate() {
            if !counted {
                let first = number as u64 * per_block;
                for cluster in first..(first + per_block).min(self.references.len() as u64) {
                    self.judge(cluster, 0);
                }
            }
        }
        self.check_copied()
    }

    fn judge(&mut self, cluster: u64, recorded: u64) {
        let found = self
            .references
            .get(index(cluster))
            .map_or(0, |count| u64::from(*count));
        let saturated = found == u64::from(u16::MAX) && recorded >= found;
        if recorded == found || saturated {
            return;
        }
        self.counts_wrong = true;
        if recorded < found {
            self.damage(|| format!("Cluster {cluster} of the file is used {found} times but counted {recorded} times: it would be given out again."));
        } else {
            self.report.add(Severity::Leak, || {
                format!("Cluster {cluster} of the file is counted {recorded} times but used {found} times: its space is wasted.")
            });
        }
    }

    /// What the flag says that spares a look at the counts.
    fn check_copied(&mut self) -> Result<(), ToolError> {
        // Each table once, however many entries lead to it.
        let mut seen = HashSet::new();
        for number in 0..self.l1.len() {
            let entry = self.l1.get(number).copied().unwrap_or(0);
            let offset = entry & OFFSET;
            if offset == 0 || !self.l2_tables.contains_key(&offset) {
                continue;
            }
            if self.flag_is_wrong(entry, offset) {
                self.damage(|| format!("Entry {number} of the L1 table says wrongly whether others use its L2 table."));
            }
            if self.header.data_file.is_some() || !seen.insert(offset) {
                continue;
            }
            let size = self.header.cluster_size();
            let width = if self.header.extended_l2() { 16 } else { 8 };
            let table = self.container.bytes(offset, index(size), "an L2 table")?;
            for (place, entry) in table.chunks_exact(width).enumerate() {
                let entry = entry
                    .first_chunk::<8>()
                    .map_or(0, |entry| u64::from_be_bytes(*entry));
                let target = Self::target(&self.header, self.container.length(), entry);
                if let Ok(Target::Plain(offset)) = target
                    && self.flag_is_wrong(entry, offset)
                {
                    self.damage(|| format!("Entry {place} of L2 table {number} says wrongly whether others use its cluster."));
                }
            }
        }
        Ok(())
    }

    fn flag_is_wrong(&mut self, entry: u64, offset: u64) -> bool {
        let wrong = (entry & COPIED != 0) != (self.references_at(offset) == 1);
        self.counts_wrong |= wrong;
        wrong
    }

    /// How often the cluster at `offset` of the file is referred to.
    pub(in crate::disk) fn references_at(&self, offset: u64) -> u16 {
        let cluster = index(offset / self.header.cluster_size());
        self.references.get(cluster).copied().unwrap_or(0)
    }

    /// Whether the cluster at `offset` belongs to something else than data.
    pub(in crate::disk) fn is_metadata(&self, cluster: u64) -> bool {
        self.uses
            .get(index(cluster))
            .is_some_and(|known| !matches!(known, Use::Data | Use::Nothing))
    }

    /// The clusters of the file that hold tables.
    pub(in crate::disk) fn metadata(&self) -> impl Iterator<Item = u64> {
        (0..self.uses.len() as u64).filter(|cluster| self.is_metadata(*cluster))
    }

    /// Forgets the counts' own clusters, so that new ones can be made.
    pub(in crate::disk) fn drop_counts(&mut self) {
        for (known, count) in self.uses.iter_mut().zip(&mut self.references) {
            if matches!(known, Use::RefcountTable | Use::RefcountBlock) {
                *known = Use::Nothing;
                *count = 0;
            }
        }
    }
}

/// Reads a table of 64-bit entries.
pub(in crate::disk) fn read_l1(
    container: &Container,
    offset: u64,
    entries: u64,
) -> Result<Vec<u64>, FormatError> {
    let bytes = container.bytes(offset, index(entries.saturating_mul(8)), "its L1 table")?;
    let (entries, _) = bytes.as_chunks::<8>();
    Ok(entries
        .iter()
        .map(|entry| u64::from_be_bytes(*entry))
        .collect())
}

/// The count number `number` of a block whose counts have 1 << `order` bits.
pub(in crate::disk) fn count_at(block: &[u8], number: u64, order: u32) -> u64 {
    if order < 3 {
        let per_byte = 8 >> order;
        let byte = block.get(index(number / per_byte)).copied().unwrap_or(0);
        let shift = (number % per_byte) << order;
        return u64::from(byte) >> shift & ((1 << (1 << order)) - 1);
    }
    let width = 1_usize << (order - 3);
    let at = index(number).saturating_mul(width);
    block
        .get(at..at + width)
        .unwrap_or_default()
        .iter()
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}
