//! The image on a file that forgets, fills up or fails, and on files made to hurt.

mod power;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;

use super::super::tests::{check_for_leaks_only, qemu_img};
use super::super::{Image, ImageError, OpenError};
use super::header::{Header, HeaderFault};
use super::{HostFile, Parts, Qcow2Image};
use crate::fuzzing::Numbers;

const PAGE: usize = 4096;

/// A file in memory with a device beneath it: what was not synced may be lost in a power cut, page by page.
#[derive(Debug, Default)]
struct Disk {
    content: Vec<u8>,
    durable: Vec<u8>,
    /// Versions of each page since the last sync, oldest first.
    unsynced: BTreeMap<usize, Vec<Vec<u8>>>,
    /// The file cannot grow beyond this.
    capacity: usize,
    /// After that many more writes the power is cut: nothing succeeds any more.
    writes_left: Option<u64>,
    syncs_fail: bool,
    /// What reached the device, if that is recorded.
    record: Option<Vec<Event>>,
}

/// Something that reaches the device.
#[derive(Debug, Clone)]
enum Event {
    Write {
        offset: usize,
        data: Vec<u8>,
    },
    /// The file is that long now.
    Length(usize),
    Sync,
}

impl Disk {
    fn new(content: Vec<u8>) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self {
            durable: content.clone(),
            content,
            capacity: 256 << 20,
            ..Self::default()
        }))
    }

    fn alive(&self) -> io::Result<()> {
        if self.writes_left == Some(0) {
            return Err(io::Error::other("the power is cut"));
        }
        Ok(())
    }

    fn change(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.alive()?;
        if let Some(left) = &mut self.writes_left {
            *left -= 1;
        }
        let offset = usize::try_from(offset).unwrap();
        let end = offset + data.len();
        if end > self.capacity && end > self.content.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let data = data.to_vec();
        self.happen(Event::Write { offset, data });
        Ok(())
    }

    fn happen(&mut self, event: Event) {
        self.apply(&event);
        if let Some(record) = &mut self.record {
            record.push(event);
        }
    }

    fn apply(&mut self, event: &Event) {
        match event {
            Event::Write { offset, data } => {
                let end = offset + data.len();
                if end > self.content.len() {
                    self.content.resize(end, 0);
                }
                self.content[*offset..end].copy_from_slice(data);
                for page in offset / PAGE..end.div_ceil(PAGE) {
                    let version = self.content
                        [page * PAGE..((page + 1) * PAGE).min(self.content.len())]
                        .to_vec();
                    self.unsynced.entry(page).or_default().push(version);
                }
            }
            Event::Length(length) => self.content.resize(*length, 0),
            Event::Sync => {
                self.durable.resize(self.content.len(), 0);
                for page in std::mem::take(&mut self.unsynced).into_keys() {
                    let range = page * PAGE..((page + 1) * PAGE).min(self.content.len());
                    self.durable[range.clone()].copy_from_slice(&self.content[range]);
                }
            }
        }
    }

    /// What the device holds after a power cut: each page as some write since the last sync left it, or as none did.
    fn after_power_cut(&self, random: &mut Numbers) -> Vec<u8> {
        let mut content = self.durable.clone();
        for (page, versions) in &self.unsynced {
            let kept = usize::try_from(random.below(versions.len() as u64 + 1)).unwrap();
            let Some(version) = kept.checked_sub(1).and_then(|kept| versions.get(kept)) else {
                continue;
            };
            let (start, end) = (page * PAGE, page * PAGE + version.len());
            if content.len() < end {
                content.resize(end, 0);
            }
            content[start..end].copy_from_slice(version);
        }
        if random.below(2) == 0 && content.len() < self.content.len() {
            content.resize(self.content.len(), 0);
        }
        content
    }
}

impl HostFile for Arc<Mutex<Disk>> {
    fn read(&self, data: &mut [u8], offset: u64) -> io::Result<usize> {
        let disk = self.lock();
        let rest = usize::try_from(offset)
            .ok()
            .and_then(|offset| disk.content.get(offset..))
            .unwrap_or_default();
        let count = rest.len().min(data.len());
        data[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.lock().change(offset, data)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.lock().content.len() as u64)
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        let mut disk = self.lock();
        let length = usize::try_from(length).unwrap();
        if length > disk.capacity {
            return Err(io::ErrorKind::StorageFull.into());
        }
        disk.happen(Event::Length(length));
        Ok(())
    }

    fn punch(&self, offset: u64, length: u64) -> io::Result<bool> {
        let mut disk = self.lock();
        let end = offset.saturating_add(length).min(disk.content.len() as u64);
        let zeros = vec![0; usize::try_from(end.saturating_sub(offset)).unwrap()];
        if !zeros.is_empty() {
            disk.change(offset, &zeros)?;
        }
        Ok(true)
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.lock();
        disk.alive()?;
        if disk.syncs_fail {
            return Err(io::Error::other("I/O error"));
        }
        disk.happen(Event::Sync);
        Ok(())
    }
}

fn open(disk: &Arc<Mutex<Disk>>) -> Result<Qcow2Image, OpenError> {
    Qcow2Image::open(parts(disk))
}

fn parts(disk: &Arc<Mutex<Disk>>) -> Parts {
    Parts::new(
        Box::new(Arc::clone(disk)),
        PathBuf::from("test.qcow2"),
        false,
    )
}

/// An image as qemu-img makes it.
fn image(folder: &Path, options: &str, size: u64) -> Vec<u8> {
    let path = folder.join("base");
    let status = Command::new("qemu-img")
        .args(["create", "-q", "-f", "qcow2", "-o", options])
        .arg(&path)
        .arg(size.to_string())
        .status()
        .unwrap();
    assert!(status.success());
    fs::read(path).unwrap()
}

/// The first `length` bytes of the guest's disk get clusters of their own, full of zeros.
fn allocate(folder: &Path, length: &str) -> Vec<u8> {
    let path = folder.join("base");
    let output = Command::new("qemu-io")
        .args(["-f", "qcow2", "-c", &format!("write -P 0 0 {length}")])
        .arg(&path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    fs::read(path).unwrap()
}

/// The content of a page that says which write it is of.
fn stamp(number: u64) -> Vec<u8> {
    number.to_le_bytes().repeat(PAGE / 8)
}

/// The write that a page or a sector is of, 0 if none touched it; nothing if it is of several.
fn stamp_of(data: &[u8]) -> Option<u64> {
    let number = u64::from_le_bytes(*data.first_chunk()?);
    stamp(number).starts_with(data).then_some(number)
}

#[test]
fn a_full_host_loses_nothing_and_requests_can_be_made_again() {
    let folder = tempfile::tempdir().unwrap();
    for (options, size) in [
        ("cluster_size=512", 16 << 20),
        ("cluster_size=64k", 4 << 30),
    ] {
        image(folder.path(), options, size);
        let base = allocate(folder.path(), "7700k");
        let disk = Disk::new(base);
        let start = disk.lock().content.len();
        disk.lock().capacity = start;
        let mut random = Numbers(4711);
        let mut expected = HashMap::new();
        let mut refused = 0;
        {
            let image = open(&disk).unwrap();
            for number in 1..600_u64 {
                let page = random.below(size / PAGE as u64);
                let request = || -> Result<(), ImageError> {
                    image.write_at(page * PAGE as u64, &stamp(number))?;
                    if number % 10 == 0 {
                        image.flush()?;
                    }
                    Ok(())
                };
                while let Err(error) = request() {
                    assert!(matches!(error, ImageError::NoSpace { .. }), "{error}");
                    refused += 1;
                    disk.lock().capacity += 20_000;
                }
                expected.insert(page, number);
            }
            disk.lock().capacity = 256 << 20;
        }
        assert!(refused > 5, "{refused}");
        let path = folder.path().join("left");
        fs::write(&path, &disk.lock().content).unwrap();
        check_for_leaks_only(&path);
        let image = open(&disk).unwrap();
        for (page, number) in expected {
            let mut data = vec![0; PAGE];
            image.read_at(page * PAGE as u64, &mut data).unwrap();
            assert_eq!(stamp_of(&data), Some(number));
        }
    }
}

#[test]
fn a_device_that_failed_to_store_is_not_believed_again() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::new(image(folder.path(), "cluster_size=64k", 1 << 30));
    let image = open(&disk).unwrap();
    image.write_at(0, &[1; 512]).unwrap();
    disk.lock().syncs_fail = true;
    assert!(matches!(
        image.flush(),
        Err(ImageError::Io {
            action: "flush",
            ..
        })
    ));
    disk.lock().syncs_fail = false;
    let error = image.flush().unwrap_err();
    assert!(error.to_string().contains("earlier"), "{error}");
}

#[test]
fn what_the_guest_does_not_flush_reaches_the_device_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::new(image(folder.path(), "cluster_size=64k", 1 << 30));
    let image = Qcow2Image::open_flushing(parts(&disk), Duration::from_millis(1)).unwrap();
    image.write_at(512 << 20, &stamp(7)).unwrap();
    // A flusher that does not bring it there would keep this test for ever.
    loop {
        let durable = disk.lock().durable.clone();
        let left = open(&Disk::new(durable)).unwrap();
        let mut data = vec![0; PAGE];
        left.read_at(512 << 20, &mut data).unwrap();
        if stamp_of(&data) == Some(7) {
            break;
        }
        std::thread::yield_now();
    }
    drop(image);
}

#[test]
fn several_threads_use_one_image() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::new(image(folder.path(), "cluster_size=4k", 256 << 20));
    {
        let image = open(&disk).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4_u64 {
                let image = &image;
                scope.spawn(move || {
                    let mut random = Numbers(thread + 1);
                    let mut last = HashMap::new();
                    for number in 1..400 {
                        let page = random.below(4000) * 4 + thread;
                        let stamped = thread * 1000 + number;
                        image.write_at(page * PAGE as u64, &stamp(stamped)).unwrap();
                        last.insert(page, stamped);
                        if random.below(30) == 0 {
                            image.flush().unwrap();
                        }
                    }
                    for (page, stamped) in last {
                        let mut data = vec![0; PAGE];
                        image.read_at(page * PAGE as u64, &mut data).unwrap();
                        assert_eq!(stamp_of(&data), Some(stamped));
                    }
                });
            }
        });
    }
    let path = folder.path().join("left");
    fs::write(&path, &disk.lock().content).unwrap();
    let (good, text) = qemu_img(&["check", "-f", "qcow2"], &path);
    assert!(good, "{text}");
}

// --- Hostile files -------------------------------------------------------------------------------------------------------------

fn set<const N: usize>(image: &[u8], offset: usize, value: [u8; N]) -> Vec<u8> {
    let mut image = image.to_vec();
    image[offset..offset + N].copy_from_slice(&value);
    image
}

fn refusal(content: Vec<u8>) -> OpenError {
    open(&Disk::new(content)).err().unwrap()
}

#[test]
fn what_cannot_be_handled_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let good = image(folder.path(), "cluster_size=64k", 1 << 30);
    let maker = "the program that made it";
    for (content, words, remedy) in [
        (
            set(&good, 32, 1_u32.to_be_bytes()),
            "is encrypted",
            "qemu-img convert",
        ),
        (
            set(&good, 72, 1_u64.to_be_bytes()),
            "not closed properly",
            "guesthouse disk repair",
        ),
        (
            set(&good, 72, 2_u64.to_be_bytes()),
            "marked as damaged",
            "guesthouse disk repair",
        ),
        (
            set(&good, 72, 16_u64.to_be_bytes()),
            "subclusters",
            "guesthouse disk convert",
        ),
        (
            set(&good, 72, (1_u64 << 63).to_be_bytes()),
            "unknown here",
            maker,
        ),
        (
            set(&set(&good, 72, 8_u64.to_be_bytes()), 100, [0, 0, 0, 112, 2]),
            "than zlib and zstd",
            maker,
        ),
        (set(&good, 4, 4_u32.to_be_bytes()), "version 4", maker),
    ] {
        let error = refusal(content);
        assert!(matches!(error, OpenError::Unsupported { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(words) && text.contains(remedy), "{text}");
    }
    for (content, words) in [
        (set(&good, 20, 8_u32.to_be_bytes()), "cluster size"),
        (set(&good, 20, 22_u32.to_be_bytes()), "cluster size"),
        (set(&good, 20, u32::MAX.to_be_bytes()), "cluster size"),
        (set(&good, 24, 0_u64.to_be_bytes()), "size of the disk"),
        (set(&good, 24, (1_u64 << 40).to_be_bytes()), "too short"),
        (set(&good, 24, u64::MAX.to_be_bytes()), "size of the disk"),
        (
            set(&good, 36, u32::MAX.to_be_bytes()),
            "size of its L1 table",
        ),
        (
            set(&good, 36, (1_u32 << 20).to_be_bytes()),
            "ends before its L1",
        ),
        (
            set(&good, 40, 1_u64.to_be_bytes()),
            "L1 table is in an impossible place",
        ),
        (
            set(&good, 40, 0_u64.to_be_bytes()),
            "L1 table is in an impossible place",
        ),
        (
            set(&good, 40, (u64::MAX << 16).to_be_bytes()),
            "ends before its L1",
        ),
        (
            set(&good, 48, (1_u64 << 50).to_be_bytes()),
            "ends before its reference",
        ),
        (set(&good, 48, 0x30000_u64.to_be_bytes()), "overlap"),
        (
            set(&good, 56, u32::MAX.to_be_bytes()),
            "reference count table",
        ),
        (set(&good, 96, 7_u32.to_be_bytes()), "width"),
        (
            set(&good, 100, u32::MAX.to_be_bytes()),
            "length of its header",
        ),
        (set(&good, 72, 8_u64.to_be_bytes()), "how it is compressed"),
        (good[..60].to_vec(), "cut off"),
        (good[..70_000].to_vec(), "ends before"),
    ] {
        let error = refusal(content);
        assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains(words), "{words}: {error}");
    }
}

#[test]
fn bitmaps_are_declared_stale_when_the_image_is_written() {
    let folder = tempfile::tempdir().unwrap();
    image(folder.path(), "cluster_size=64k", 1 << 30);
    let path = folder.path().join("base");
    let status = Command::new("qemu-img")
        .args(["bitmap", "--add"])
        .arg(&path)
        .arg("changes")
        .status()
        .unwrap();
    assert!(status.success());
    let disk = Disk::new(fs::read(&path).unwrap());
    let image = open(&disk).unwrap();
    image.write_at(0, &[1; 512]).unwrap();
    drop(image);
    assert_eq!(disk.lock().content[88..96], [0; 8], "autoclear features");
    fs::write(&path, &disk.lock().content).unwrap();
    check_for_leaks_only(&path);
}

#[test]
fn tables_over_one_another_and_free_tables_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    for options in ["cluster_size=4k", "cluster_size=4k,refcount_bits=1"] {
        let path = folder.path().join("base");
        image(folder.path(), options, 64 << 20);
        let output = Command::new("qemu-io")
            .args(["-f", "qcow2", "-c", "write 0 4k", "-c", "write 4M 4k"])
            .arg(&path)
            .output()
            .unwrap();
        assert!(output.status.success());
        let good = fs::read(&path).unwrap();
        let header = Header::parse(&good, good.len() as u64).unwrap();
        let at = |offset: u64| usize::try_from(offset).unwrap();
        let entry = |offset: u64| {
            u64::from_be_bytes(*good[at(offset)..].first_chunk().unwrap()) & 0x00ff_ffff_ffff_fe00
        };
        let (first, second) = (header.l1_offset, header.l1_offset + 16);
        let counts = entry(header.refcount_table_offset);
        let copied = |offset: u64| (offset | 1 << 63).to_be_bytes();
        open(&Disk::new(good.clone())).unwrap();
        for (content, words) in [
            // An L2 table twice; one that is the L1 table, the header's cluster, a block of counts; one in no place.
            (
                set(&good, at(first), copied(entry(second))),
                "share a table",
            ),
            (set(&good, at(first), copied(header.l1_offset)), "one place"),
            (
                set(&good, at(first), copied(header.refcount_table_offset)),
                "one place",
            ),
            (set(&good, at(first), copied(counts)), "one place"),
            (
                set(&good, at(first), copied(entry(second) + 512)),
                "impossible place",
            ),
            (
                set(&good, at(first), copied(0x00ff_ffff_ffff_f000)),
                "counts as free",
            ),
            // Nothing is counted, or nothing says where the counts are.
            (set(&good, at(counts), [0; 64]), "counts as free"),
            (
                set(&good, at(header.refcount_table_offset), [0; 8]),
                "counts as free",
            ),
        ] {
            let error = refusal(content);
            assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
            assert!(error.to_string().contains(words), "{words}: {error}");
        }
    }
}

#[test]
fn no_header_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let good = image(folder.path(), "cluster_size=4k", 4 << 20);
    assert!(Header::parse(&good, good.len() as u64).is_ok());
    for length in 0..300 {
        assert!(Header::parse(&good[..length], length as u64).is_err());
    }
    assert_eq!(Header::parse(&[0; 4096], 4096), Err(HeaderFault::NotQcow2));
}

#[test]
fn a_guest_cannot_reach_the_tables_through_a_damaged_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("base");
    image(folder.path(), "cluster_size=4k", 4 << 20);
    assert!(
        Command::new("qemu-io")
            .args(["-f", "qcow2", "-c", "write 0 4k"])
            .arg(&path)
            .output()
            .unwrap()
            .status
            .success()
    );
    let content = fs::read(&path).unwrap();
    let header = Header::parse(&content, content.len() as u64).unwrap();
    let l1 = usize::try_from(header.l1_offset).unwrap();
    let l2 = u64::from_be_bytes(*content[l1..].first_chunk().unwrap()) & 0x00ff_ffff_ffff_fe00;
    // The guest's first cluster is now where the header, the L1 table or the reference count table is.
    for target in [header.l1_offset, header.refcount_table_offset] {
        let entry = target | 1 << 63;
        let disk = Disk::new(set(
            &content,
            usize::try_from(l2).unwrap(),
            entry.to_be_bytes(),
        ));
        let image = open(&disk).unwrap();
        let error = image.write_at(0, &[0; 512]).unwrap_err();
        assert!(error.to_string().contains("damaged"), "{error}");
    }
}
