//! A second opinion on a qcow2 image's tables: qcow2-rs goes from the disk to the file by code of its own, and must come to the same
//! clusters as our walk.
//!
//! It is asked only after our walk found nothing wrong, and where version 0.1.6 can be relied on. It is not asked about clusters below
//! 4 KiB (it indexes past its cache), reference counts of other than 16 bits (it shifts those of 1 to 4 bits wrongly), version 2 (it
//! takes what follows the shorter header for fields), compressed clusters (it counts one too many where data ends with a cluster) and
//! what it does not know: external data files, extended L2 entries, zstd, encryption. It is never asked to check, since its own check
//! passes over tables that nobody counts; it opens nothing for writing, and no backing file.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::File;
use std::ops::RangeInclusive;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use qcow2_rs::dev::{Qcow2Dev, Qcow2DevParams};
use qcow2_rs::error::Qcow2Result;
use qcow2_rs::meta::Qcow2Header;
use qcow2_rs::ops::Qcow2IoOps;

use super::super::formats::qcow2::{Header, bits};
use super::super::formats::{Container, index};
use super::qcow2::{Tables, Use};

/// It looks at one cluster of the disk after the other, allocated or not: half a second for these.
const MOST_CLUSTERS: u64 = 1 << 21;
/// It counts each byte of the two uppermost tables: a second for these.
const LARGEST_TABLE: u64 = 1 << 20;
/// What is read of the file for its header.
const HEADER: usize = 64 << 10;
/// Sectors, as a power of two.
const SECTOR_BITS: u8 = 9;

/// What the second reader says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecondOpinion {
    /// The same.
    Agrees,
    /// Something else.
    Differs(String),
    /// It was not asked, and why not, as the rest of a sentence.
    NotAsked(&'static str),
}

/// Asks it about an image that was walked.
pub(in crate::disk) fn ask(tables: &Tables) -> SecondOpinion {
    if let Some(reason) = unfit(tables) {
        return SecondOpinion::NotAsked(reason);
    }
    // It asserts where others report.
    match catch_unwind(AssertUnwindSafe(|| read(&tables.container, &tables.header))) {
        Ok(Ok(found)) => compare(tables, &found),
        Ok(Err(error)) => SecondOpinion::Differs(format!("it cannot read the image: {error}")),
        Err(_) => SecondOpinion::Differs("it ends in a panic".to_owned()),
    }
}

/// Why it cannot be asked, if that is so.
fn unfit(tables: &Tables) -> Option<&'static str> {
    let header = &tables.header;
    let clusters = header.size.div_ceil(header.cluster_size());
    let tables_size = (header.refcount_table_clusters * header.cluster_size())
        .max((header.l1_entries * 8).next_multiple_of(header.cluster_size()));
    if tables.report.damage > 0 {
        return Some("something is wrong with the image");
    }
    if header.version != 3 {
        return Some("it does not read version 2 well");
    }
    if header.incompatible & !bits::DIRTY != 0 || header.data_file.is_some() {
        return Some("it does not know what is special about the image");
    }
    if header.cluster_bits < 12 || header.refcount_order != 4 {
        return Some("it knows neither such small clusters nor such reference counts");
    }
    if tables.usage.compressed > 0 {
        return Some("it does not count compressed clusters well");
    }
    if clusters > MOST_CLUSTERS || tables_size > LARGEST_TABLE {
        return Some("it would take long for a disk of this size");
    }
    None
}

/// The clusters that it finds in use, by what for.
#[derive(Default)]
struct Found {
    l2_tables: BTreeSet<u64>,
    data: BTreeSet<u64>,
    counts: BTreeSet<u64>,
}

fn read(container: &Container, header: &Header) -> Qcow2Result<Found> {
    let length = index(container.length()).min(HEADER);
    let start = container
        .bytes(0, length, "the header")
        .map_err(|error| error.to_string())?;
    let file = container
        .file()
        .try_clone()
        .map_err(|error| error.to_string())?;
    // Slices of tables as large as clusters: no other is right in this version.
    let slices = Some((
        u8::try_from(header.cluster_bits).unwrap_or(16),
        index(header.cluster_size() * 4),
    ));
    let parameters = Qcow2DevParams::new(SECTOR_BITS, slices, slices, true, false);
    let reader = Reader(file);
    let theirs = Qcow2Header::from_buf(&start)?;
    let device = Qcow2Dev::new(container.path(), theirs, &parameters, reader)?;
    let found = RefCell::new(Found::default());
    let note = |what: &str, ranges: &Vec<&RangeInclusive<u64>>, _: Option<(usize, usize)>| {
        let mut found = found.borrow_mut();
        let into = match what {
            "l2_tables" => &mut found.l2_tables,
            "data" => &mut found.data,
            "refblock_tables" => &mut found.counts,
            _ => return,
        };
        into.extend(ranges.iter().flat_map(|range| (*range).clone()));
    };
    let work = async {
        device.qcow2_prep_io().await?;
        device.qcow2_cluster_usage(note).await
    };
    // Its file never makes it wait.
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done?,
        Poll::Pending => return Err("it waits for something".into()),
    }
    Ok(found.into_inner())
}

fn compare(tables: &Tables, found: &Found) -> SecondOpinion {
    // It looks neither for what internal snapshots alone use nor for what zeros keep, so all that it finds must be among ours.
    for (what, theirs, ours) in [
        ("an L2 table", &found.l2_tables, Use::L2),
        ("data", &found.data, Use::Data),
        ("reference counts", &found.counts, Use::RefcountBlock),
    ] {
        let ours = tables.clusters_of(ours);
        if let Some(cluster) = theirs.difference(&ours).next() {
            return SecondOpinion::Differs(format!(
                "it finds {what} in cluster {cluster} of the file"
            ));
        }
    }
    let allocated = found.data.len() as u64;
    if allocated == tables.usage.allocated {
        SecondOpinion::Agrees
    } else {
        SecondOpinion::Differs(format!(
            "it finds data in {allocated} clusters, not in {}",
            tables.usage.allocated
        ))
    }
}

/// The image's file, for reading.
struct Reader(File);

impl Qcow2IoOps for Reader {
    async fn read_to(&self, offset: u64, buffer: &mut [u8]) -> Qcow2Result<usize> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.0.read_at(rest, offset + done as u64) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) => return Err(error.to_string().into()),
            }
        }
        // Behind the end of the file are zeros.
        if let Some(rest) = buffer.get_mut(done..) {
            rest.fill(0);
        }
        Ok(buffer.len())
    }

    async fn write_from(&self, _: u64, _: &[u8]) -> Qcow2Result<()> {
        Err("it is open for reading".into())
    }

    async fn fallocate(&self, _: u64, _: usize, _: u32) -> Qcow2Result<()> {
        Err("it is open for reading".into())
    }

    async fn fsync(&self, _: u64, _: usize, _: u32) -> Qcow2Result<()> {
        Ok(())
    }
}
