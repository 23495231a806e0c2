//! The disk as a driver uses it, well and badly.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::*;
use crate::definition::ImageFormat;
use crate::disk::{DiskOptions, Features, ImageError, ReportFaults, Verdict};
use crate::storage::test_drives::Meter;
use crate::virtio::feature::EVENT_INDEX;
use crate::virtio::testing::{Driver, Used};

const FLUSH: u64 = feature::FLUSH;

struct Rig {
    driver: Driver,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

fn rig(read_only: bool, queues: u16) -> Rig {
    rig_with(read_only, queues, Arc::new(ReportFaults))
}

fn rig_with(read_only: bool, queues: u16, faults: Arc<dyn FaultHandler>) -> Rig {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.img");
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(1 << 20).unwrap();
    let mut options = DiskOptions::new(ImageFormat::Raw);
    options.read_only = read_only;
    let image = options.open(&path).unwrap();
    let (driver, _) = drive(image, queues, faults);
    Rig {
        driver,
        path,
        _folder: folder,
    }
}

fn drive(
    image: Arc<dyn Image>,
    queues: u16,
    faults: Arc<dyn FaultHandler>,
) -> (Driver, BlockHandle) {
    let block = Block::new(image, "disk".to_owned(), "SERIAL-1", queues, faults).unwrap();
    let handle = block.handle();
    (Driver::new(block), handle)
}

fn header(kind: u32, sector: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&kind.to_le_bytes());
    bytes[8..].copy_from_slice(&sector.to_le_bytes());
    bytes
}

fn range(sector: u64, sectors: u32, flags: u32) -> Vec<u8> {
    let mut bytes = sector.to_le_bytes().to_vec();
    bytes.extend(sectors.to_le_bytes());
    bytes.extend(flags.to_le_bytes());
    bytes
}

/// The outcome of a request.
fn outcome(used: &Used) -> u8 {
    *used.data.last().unwrap()
}

impl Rig {
    fn bytes(&self, offset: u64, length: usize) -> Vec<u8> {
        let mut data = vec![0; length];
        let file = std::fs::File::open(&self.path).unwrap();
        file.read_exact_at(&mut data, offset).unwrap();
        data
    }
}

#[test]
fn what_is_written_is_on_the_disk_and_comes_back() {
    for features in [FLUSH, FLUSH | EVENT_INDEX | feature::QUEUES] {
        let meter = Arc::new(Meter::default());
        let mut rig = rig_with(false, 2, meter.clone());
        rig.driver.start(features);
        for queue in [0, 1, 0, 1] {
            let data: Vec<u8> = (0..1536_u32)
                .map(|byte| byte.to_le_bytes()[0] ^ 0x5a)
                .collect();
            let (first, second) = data.split_at(100);
            let used = rig
                .driver
                .request(queue, &[&header(1, 3), first, second], &[1]);
            assert_eq!((outcome(&used), used.written), (0, 1));
            assert_eq!(rig.bytes(1536, 1536), data);
            let used = rig
                .driver
                .request(queue, &[&header(0, 3)], &[512, 1000, 24, 1]);
            assert_eq!((outcome(&used), used.written), (0, 1537));
            assert_eq!(used.data[..1536], data);
            assert_eq!(
                outcome(&rig.driver.request(queue, &[&header(4, 0)], &[1])),
                0
            );
        }
        assert_eq!(meter.moved(), (4 * 1536, 4 * 1536));
    }
}

#[test]
fn a_mebibyte_of_scattered_pages_is_one_request() {
    let mut rig = rig(false, 1);
    rig.driver.start(FLUSH);
    let pages: Vec<Vec<u8>> = (0..=255).map(|page: u8| vec![page; 4096]).collect();
    let first = header(1, 0);
    let mut parts: Vec<&[u8]> = vec![&first];
    parts.extend(pages.iter().map(Vec::as_slice));
    assert_eq!(outcome(&rig.driver.request(0, &parts, &[1])), 0);
    assert_eq!(rig.bytes(0, 1 << 20), pages.concat());
    let mut room = vec![4096; 256];
    room.push(1);
    let used = rig.driver.request(0, &[&header(0, 0)], &room);
    assert_eq!((outcome(&used), used.written), (0, (1 << 20) + 1));
    assert!(used.data.starts_with(&pages.concat()));
}

#[test]
fn many_requests_at_once_all_come_back() {
    let mut rig = rig(false, 1);
    rig.driver.start(FLUSH | EVENT_INDEX);
    for round in 0..20_u8 {
        for number in 0..40_u8 {
            let sector = u64::from(number) * 8;
            rig.driver
                .add(0, &[&header(1, sector), &[number ^ round; 4096]], &[1]);
        }
        rig.driver.kick(0);
        let used = rig.driver.wait_used(0, 40);
        assert!(used.iter().all(|used| outcome(used) == 0));
    }
    for number in 0..40_u8 {
        let data = rig.bytes(u64::from(number) * 4096, 4096);
        assert!(data.iter().all(|byte| *byte == number ^ 19));
    }
}

#[test]
fn the_driver_is_told_what_the_disk_is() {
    let (mut driver, _) = drive(memory_disk(), 4, Arc::new(ReportFaults));
    let offered = driver.offered() & 0xffff_ffff;
    assert_eq!(offered, 0x3000_7e44);
    assert_eq!(u64::from_le_bytes(driver.config(0)), 2048);
    assert_eq!(u32::from_le_bytes(driver.config(12)), 510);
    assert_eq!(u32::from_le_bytes(driver.config(20)), 512);
    assert_eq!(driver.config::<4>(24), [3, 0, 8, 0], "4096-byte blocks");
    assert_eq!(u16::from_le_bytes(driver.config(34)), 4);
    assert_eq!(u32::from_le_bytes(driver.config(36)), 0x3f_ffff);
    assert_eq!(u32::from_le_bytes(driver.config(40)), 16);
    assert_eq!(u32::from_le_bytes(driver.config(44)), 16);
    assert_eq!(driver.config::<1>(56), [1]);
    driver.start(0);
    let used = driver.request(0, &[&header(8, 0)], &[20, 1]);
    assert_eq!(used.data, *b"SERIAL-1\0\0\0\0\0\0\0\0\0\0\0\0\0");
    let used = driver.request(0, &[&header(8, 0)], &[4, 1]);
    assert_eq!(used.data, *b"SERI\0");
}

#[test]
fn a_read_only_disk_refuses_what_changes_it() {
    let mut rig = rig(true, 1);
    assert_eq!(rig.driver.offered() & 0xffff, 0x0e64);
    rig.driver.start(feature::READ_ONLY);
    assert_eq!(
        outcome(&rig.driver.request(0, &[&header(0, 0)], &[512, 1])),
        0
    );
    for kind in [1, 11, 13] {
        let used = rig.driver.request(0, &[&header(kind, 0), &[0; 512]], &[1]);
        assert_eq!(outcome(&used), 1, "{kind}");
    }
}

#[test]
fn ranges_are_zeroed_and_discarded() {
    let image = memory_disk();
    let (mut driver, _) = drive(image.clone(), 1, Arc::new(ReportFaults));
    driver.start(FLUSH | feature::DISCARD | feature::WRITE_ZEROES);
    driver.request(0, &[&header(1, 0), &[0xff; 65536]], &[1]);
    let zeroed = [range(1, 2, 0), range(8, 8, 1), range(127, 0, 0)].concat();
    for (kind, ranges) in [(13, zeroed), (11, range(16, 8, 0))] {
        let used = driver.request(0, &[&header(kind, 0), &ranges], &[1]);
        assert_eq!(outcome(&used), 0);
    }
    let mut expected = vec![0xff; 65536];
    expected[512..1536].fill(0);
    expected[4096..8192].fill(0);
    expected[8192..12288].fill(0xdd);
    assert!(image.data.lock()[..65536] == expected);
    for (kind, payload, expected) in [
        (11, range(16, 8, 1), 2),
        (13, range(16, 8, 2), 2),
        (13, vec![0; 15], 2),
        (13, vec![], 2),
        (11, vec![0; 17 * 16], 2),
        (11, range(2047, 2, 0), 1),
        (11, range(u64::MAX, 1, 0), 1),
        (13, range(0, u32::MAX, 0), 1),
    ] {
        let used = driver.request(0, &[&header(kind, 0), &payload], &[1]);
        assert_eq!(outcome(&used), expected, "{kind} {payload:?}");
    }
}

#[test]
fn requests_beyond_the_disk_or_of_broken_sectors_fail() {
    let mut rig = rig(false, 1);
    rig.driver.start(FLUSH);
    for (sector, length) in [
        (2047, 1024),
        (2048, 512),
        (u64::MAX, 512),
        (u64::MAX / 512, 512),
        (0, 511),
    ] {
        let used = rig.driver.request(0, &[&header(0, sector)], &[length, 1]);
        assert_eq!((outcome(&used), used.written), (1, 0), "{sector} {length}");
        let data = vec![0; length as usize];
        let used = rig.driver.request(0, &[&header(1, sector), &data], &[1]);
        assert_eq!(outcome(&used), 1, "{sector} {length}");
    }
    assert_eq!(
        outcome(&rig.driver.request(0, &[&header(0, 0)], &[1])),
        0,
        "nothing"
    );
    for kind in [2, 3, 5, 10, 14, u32::MAX] {
        assert_eq!(
            outcome(&rig.driver.request(0, &[&header(kind, 0)], &[1])),
            2
        );
    }
    rig.driver.add(0, &[&[0; 15]], &[1]);
    rig.driver.kick(0);
    rig.driver.wait_needs_reset();
    rig.driver.start(0);
    rig.driver.add(0, &[&header(1, 0), &[0; 512]], &[]);
    rig.driver.kick(0);
    rig.driver.wait_needs_reset();
}

/// A disk in memory, which counts flushes, discards by filling with 0xdd, and is full while it is told to be.
struct MemoryDisk {
    data: Mutex<Vec<u8>>,
    flushes: std::sync::atomic::AtomicUsize,
    full: AtomicBool,
}

fn memory_disk() -> Arc<MemoryDisk> {
    Arc::new(MemoryDisk {
        data: Mutex::new(vec![0; 1 << 20]),
        flushes: std::sync::atomic::AtomicUsize::new(0),
        full: AtomicBool::new(false),
    })
}

impl Image for MemoryDisk {
    fn size(&self) -> u64 {
        self.data.lock().len() as u64
    }
    fn read_only(&self) -> bool {
        false
    }
    fn file(&self) -> &Path {
        Path::new("memory")
    }
    fn features(&self) -> Features {
        Features {
            discard: true,
            discard_granularity: 8192,
            ..Features::default()
        }
    }
    fn read_at(&self, offset: u64, data: &mut [u8]) -> Result<(), ImageError> {
        let at = usize::try_from(offset).unwrap();
        data.copy_from_slice(&self.data.lock()[at..at + data.len()]);
        Ok(())
    }
    fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), ImageError> {
        if self.full.load(Ordering::Acquire) {
            return Err(ImageError::NoSpace {
                file: "memory".into(),
            });
        }
        let at = usize::try_from(offset).unwrap();
        self.data.lock()[at..at + data.len()].copy_from_slice(data);
        Ok(())
    }
    fn flush(&self) -> Result<(), ImageError> {
        self.flushes.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }
    fn discard(&self, offset: u64, length: u64) -> Result<(), ImageError> {
        let at = usize::try_from(offset).unwrap();
        self.data.lock()[at..][..usize::try_from(length).unwrap()].fill(0xdd);
        Ok(())
    }
    fn resize(&self, size: u64) -> Result<(), ImageError> {
        self.data.lock().resize(usize::try_from(size).unwrap(), 0);
        Ok(())
    }
}

#[test]
fn a_driver_that_cannot_flush_finds_its_writes_on_the_disk() {
    let image = memory_disk();
    let flushes = || image.flushes.load(Ordering::Acquire);
    let (mut driver, _) = drive(image.clone(), 1, Arc::new(ReportFaults));
    driver.start(0);
    driver.request(0, &[&header(1, 0), &[0; 512]], &[1]);
    assert_eq!((flushes(), driver.config::<1>(32)), (1, [0]));
    driver.start(FLUSH | feature::CONFIGURABLE_CACHE);
    driver.request(0, &[&header(1, 0), &[0; 512]], &[1]);
    assert_eq!((flushes(), driver.config::<1>(32)), (1, [1]));
    driver.write(0x2020, 1, 0);
    driver.request(0, &[&header(1, 0), &[0; 512]], &[1]);
    assert_eq!((flushes(), driver.config::<1>(32)), (2, [0]));
}

/// Waits for the test's verdict.
struct Asked {
    asked: crossbeam_channel::Sender<()>,
    verdict: crossbeam_channel::Receiver<Verdict>,
}

impl FaultHandler for Asked {
    fn failed(&self, _drive: &str, _error: &ImageError) -> Verdict {
        self.asked.send(()).unwrap();
        self.verdict.recv().unwrap()
    }
}

#[test]
fn a_full_disk_waits_and_goes_on_or_is_forgotten_by_a_reset() {
    let image = memory_disk();
    let (asked, asks) = crossbeam_channel::unbounded();
    let (verdicts, verdict) = crossbeam_channel::unbounded();
    let (mut driver, handle) = drive(image.clone(), 1, Arc::new(Asked { asked, verdict }));
    driver.start(FLUSH);
    image.full.store(true, Ordering::Release);
    driver.add(0, &[&header(1, 0), &[0; 512]], &[1]);
    driver.kick(0);
    asks.recv().unwrap();
    driver.function.pause();
    handle.drain();
    assert!(driver.used(0).is_empty());
    image.full.store(false, Ordering::Release);
    driver.function.resume();
    verdicts.send(Verdict::Retry).unwrap();
    assert_eq!(outcome(&driver.wait_used(0, 1)[0]), 0);

    image.full.store(true, Ordering::Release);
    driver.add(0, &[&header(1, 0), &[0; 512]], &[1]);
    driver.kick(0);
    asks.recv().unwrap();
    driver.write(0x14, 1, 0);
    assert_eq!(driver.status(), 0, "it does not wait for the person");
    driver.start(FLUSH);
    assert_eq!(outcome(&driver.request(0, &[&header(0, 0)], &[512, 1])), 0);
    verdicts.send(Verdict::Retry).unwrap();
    handle.drain();
    assert!(driver.used(0).is_empty());
}

#[test]
fn more_requests_than_the_queue_has_room_for_stop_the_device() {
    let image = memory_disk();
    let (asked, asks) = crossbeam_channel::unbounded();
    let (verdicts, verdict) = crossbeam_channel::unbounded();
    let (mut driver, _) = drive(image.clone(), 1, Arc::new(Asked { asked, verdict }));
    driver.start(FLUSH);
    image.full.store(true, Ordering::Release);
    let head = driver.add(0, &[&header(1, 0), &[0; 512]], &[1]);
    driver.kick(0);
    asks.recv().unwrap();
    // What waits for the person's decision does not come back, and a flush waits for it.
    driver
        .memory
        .write(driver.first_buffer(0, head), &[4])
        .unwrap();
    for _ in 0..QUEUE_SIZE {
        driver.make_available(0, head);
    }
    driver.kick(0);
    driver.wait_needs_reset();
    driver.write(0x14, 1, 0);
    verdicts.send(Verdict::Report).unwrap();
}

#[test]
fn a_disk_that_grew_says_so() {
    let (mut driver, handle) = drive(memory_disk(), 1, Arc::new(ReportFaults));
    driver.start(FLUSH);
    let generation = driver.read(0x15, 1);
    handle.0.image.resize(2 << 20).unwrap();
    handle.resized();
    assert_eq!(u64::from_le_bytes(driver.config(0)), 4096);
    assert_eq!(driver.read(0x15, 1), generation + 1);
    assert_eq!(driver.messages.wait().len(), 1);
    let used = driver.request(0, &[&header(0, 4095)], &[512, 1]);
    assert_eq!(outcome(&used), 0);
}
