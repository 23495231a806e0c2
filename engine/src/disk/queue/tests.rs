//! Order, parallelism, faults and resets, on an image that a test holds by its reins.

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::super::{DiskOptions, ReportFaults, Verdict};
use super::*;
use crate::definition::{CacheMode, ImageFormat};
use crate::memory::{GuestMemory, MemoryRegion};

/// An image whose calls wait, each until the test lets it go, and are written down.
struct Reined {
    started: Sender<String>,
    go: Arc<(Mutex<Vec<String>>, Condvar)>,
}

impl Reined {
    fn call(&self, what: String) {
        self.started.send(what.clone()).unwrap();
        let (names, told) = &*self.go;
        let mut names = names.lock();
        while !names.contains(&what) {
            told.wait(&mut names);
        }
    }
}

impl Image for Reined {
    fn size(&self) -> u64 {
        1 << 20
    }
    fn read_only(&self) -> bool {
        false
    }
    fn file(&self) -> &Path {
        Path::new("reined")
    }
    fn read_at(&self, offset: u64, data: &mut [u8]) -> Result<(), ImageError> {
        data.fill(7);
        self.call(format!("read {offset}"));
        Ok(())
    }
    fn write_at(&self, offset: u64, _data: &[u8]) -> Result<(), ImageError> {
        self.call(format!("write {offset}"));
        Ok(())
    }
    fn flush(&self) -> Result<(), ImageError> {
        self.call("flush".to_owned());
        Ok(())
    }
    fn discard(&self, offset: u64, length: u64) -> Result<(), ImageError> {
        self.call(format!("discard {offset}+{length}"));
        Ok(())
    }
}

struct Reins {
    image: Arc<dyn Image>,
    started: Receiver<String>,
    go: Arc<(Mutex<Vec<String>>, Condvar)>,
    queue: DiskQueue,
    done: (Sender<Done>, Receiver<Done>),
}

fn reins() -> Reins {
    let (started, starts) = unbounded();
    let go = Arc::default();
    Reins {
        image: Arc::new(Reined {
            started,
            go: Arc::clone(&go),
        }),
        started: starts,
        go,
        queue: DiskQueue::new("disk".into(), Arc::new(ReportFaults), Method::Threads).unwrap(),
        done: unbounded(),
    }
}

impl Reins {
    fn submit(&self, kind: Kind, offset: u64) {
        let done = self.done.0.clone();
        let buffer = match kind {
            Kind::Read | Kind::Write { .. } => Buffer::Bytes(vec![0; 512]),
            _ => Buffer::None,
        };
        let request = Request {
            kind,
            offset,
            buffer,
        };
        self.queue.submit(&self.image, request, move |what| {
            let _ = done.send(what);
        });
    }

    fn starts(&self, count: usize) -> Vec<String> {
        let mut started: Vec<_> = (0..count).map(|_| self.started.recv().unwrap()).collect();
        started.sort();
        started
    }

    fn nothing_starts(&self) {
        // What may start was put on a thread when it was submitted; a wrong one would have been there first.
        assert!(self.started.try_recv().is_err());
    }

    /// Lets calls of these names go on, now and later.
    fn let_go(&self, names: &[&str]) {
        let mut going = self.go.0.lock();
        going.extend(names.iter().map(ToString::to_string));
        self.go.1.notify_all();
    }

    /// Lets those go on and waits until as many requests are done.
    fn go(&self, names: &[&str]) {
        self.let_go(names);
        for _ in names {
            assert!(self.done.1.recv().unwrap().result.is_ok());
        }
    }
}

const WRITE: Kind = Kind::Write { through: false };

#[test]
fn requests_go_side_by_side_and_a_flush_stands_between() {
    let reins = reins();
    reins.submit(WRITE, 0);
    reins.submit(WRITE, 512);
    reins.submit(Kind::Read, 1024);
    assert_eq!(reins.starts(3), ["read 1024", "write 0", "write 512"]);
    reins.submit(Kind::Flush, 0);
    reins.submit(Kind::Discard { length: 512 }, 2048);
    reins.submit(Kind::Read, 4096);
    assert_eq!(reins.starts(1), ["read 4096"], "reads pass the flush");
    reins.nothing_starts();
    reins.go(&["read 1024", "read 4096", "write 0"]);
    reins.nothing_starts();
    reins.go(&["write 512"]);
    assert_eq!(reins.starts(1), ["flush"]);
    reins.nothing_starts();
    reins.go(&["flush"]);
    assert_eq!(reins.starts(1), ["discard 2048+512"]);
    reins.go(&["discard 2048+512"]);
    reins.queue.drain();
    assert!(reins.queue.is_settled());
}

#[test]
fn flushes_come_one_after_the_other() {
    let reins = reins();
    for _ in 0..3 {
        reins.submit(Kind::Flush, 0);
    }
    assert_eq!(reins.starts(1), ["flush"]);
    reins.nothing_starts();
    reins.let_go(&["flush"]);
    assert_eq!(reins.starts(2), ["flush", "flush"]);
    reins.queue.drain();
}

#[test]
fn more_requests_than_threads_all_end() {
    let reins = reins();
    for number in 0..100 {
        reins.submit(Kind::Read, number * 512);
    }
    assert_eq!(reins.starts(THREADS).len(), THREADS);
    reins.nothing_starts();
    let names: Vec<String> = (0..100)
        .map(|number| format!("read {}", number * 512))
        .collect();
    reins.go(&names.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(reins.starts(100 - THREADS).len(), 100 - THREADS);
    reins.queue.drain();
}

#[test]
fn what_is_abandoned_is_not_heard_of_again() {
    let reins = reins();
    reins.submit(WRITE, 0);
    reins.submit(Kind::Flush, 0);
    reins.submit(WRITE, 512);
    assert_eq!(reins.starts(1), ["write 0"]);
    reins.queue.abandon();
    assert!(!reins.queue.is_settled());
    reins.submit(WRITE, 1024);
    reins.let_go(&["write 0"]);
    assert_eq!(
        reins.starts(1),
        ["write 1024"],
        "the flush and its like are gone"
    );
    reins.go(&["write 1024"]);
    reins.queue.drain();
    assert!(reins.done.1.try_recv().is_err());
}

#[test]
fn a_queue_that_goes_waits_for_what_was_started() {
    let Reins {
        image,
        started,
        go,
        queue,
        done: (done, dones),
    } = reins();
    for offset in [0, 512] {
        let done = done.clone();
        let request = Request {
            kind: Kind::Read,
            offset,
            buffer: Buffer::Bytes(vec![0; 512]),
        };
        queue.submit(&image, request, move |what| done.send(what).unwrap());
        started.recv().unwrap();
    }
    go.0.lock().extend(["read 0".into(), "read 512".into()]);
    go.1.notify_all();
    drop(queue);
    drop(done);
    // Those that were abandoned by the end are not heard of; none is under way.
    assert!(dones.iter().count() <= 2);
    assert_eq!(Arc::strong_count(&image), 1);
}

/// A raw image of 2 MiB at `path`, past the page cache or through it as `method` wants it; nothing if the file system cannot do the former.
fn raw_image(path: &Path, method: Method) -> Option<Arc<dyn Image>> {
    std::fs::write(path, vec![3; 2 << 20]).unwrap();
    let cache = match method {
        Method::Ring => CacheMode::None,
        Method::Threads => CacheMode::Writeback,
    };
    let options = DiskOptions {
        cache,
        ..DiskOptions::new(ImageFormat::Raw)
    };
    let image = options.open(path).unwrap();
    (Method::for_image(&*image) == method).then_some(image)
}

#[test]
fn a_completion_may_have_the_last_hand_on_the_queue() {
    for method in [Method::Ring, Method::Threads] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk");
        let Some(image) = raw_image(&path, method) else {
            continue;
        };
        let queue =
            Arc::new(DiskQueue::new("disk".into(), Arc::new(ReportFaults), method).unwrap());
        let memory = GuestMemory::new(vec![(0, MemoryRegion::new("test", 4096).unwrap())]).unwrap();
        let mut buffer = GuestBuffer::new(memory);
        buffer.push(0, 4096).unwrap();
        let request = Request {
            kind: Kind::Read,
            offset: 0,
            buffer: Buffer::Guest(buffer),
        };
        let (go, goes) = unbounded::<()>();
        let (done, dones) = unbounded();
        let theirs = Arc::clone(&queue);
        queue.submit(&image, request, move |_| {
            goes.recv().unwrap();
            drop(theirs);
            done.send(()).unwrap();
        });
        drop(queue);
        go.send(()).unwrap();
        dones.recv().unwrap();
    }
}

/// Fails for a while.
struct Failing(AtomicUsize);

impl Image for Failing {
    fn size(&self) -> u64 {
        1 << 20
    }
    fn read_only(&self) -> bool {
        false
    }
    fn file(&self) -> &Path {
        Path::new("failing")
    }
    fn read_at(&self, _offset: u64, _data: &mut [u8]) -> Result<(), ImageError> {
        panic!("broken on purpose");
    }
    fn write_at(&self, _offset: u64, _data: &[u8]) -> Result<(), ImageError> {
        match self.0.fetch_sub(1, Ordering::SeqCst) {
            1 => Ok(()),
            _ => Err(ImageError::NoSpace {
                file: "failing".into(),
            }),
        }
    }
    fn flush(&self) -> Result<(), ImageError> {
        Ok(())
    }
}

/// Hands each fault to the test, which gives the verdict.
struct Asks(Sender<String>, Receiver<Verdict>);

impl FaultHandler for Asks {
    fn failed(&self, drive: &str, error: &ImageError) -> Verdict {
        self.0.send(format!("{drive}: {error}")).unwrap();
        self.1.recv().unwrap()
    }
}

#[test]
fn the_fault_handler_has_the_last_word() {
    let (tell, told) = unbounded();
    let (verdict, verdicts) = unbounded();
    let queue = DiskQueue::new(
        "hard disk 1".into(),
        Arc::new(Asks(tell, verdicts)),
        Method::Threads,
    )
    .unwrap();
    let image: Arc<dyn Image> = Arc::new(Failing(AtomicUsize::new(3)));
    let (done, dones) = unbounded();
    let submit = |kind| {
        let done = done.clone();
        let request = Request {
            kind,
            offset: 512,
            buffer: Buffer::Bytes(vec![0; 512]),
        };
        queue.submit(&image, request, move |what| done.send(what).unwrap());
    };
    submit(WRITE);
    for _ in 0..2 {
        assert!(told.recv().unwrap().starts_with("hard disk 1: no space"));
        // While somebody thinks about it nothing is under way.
        queue.drain();
        verdict.send(Verdict::Retry).unwrap();
    }
    assert!(dones.recv().unwrap().result.is_ok());
    submit(WRITE);
    told.recv().unwrap();
    verdict.send(Verdict::Report).unwrap();
    assert!(matches!(
        dones.recv().unwrap().result,
        Err(Failure::Image {
            offset: Some(512),
            error: ImageError::NoSpace { .. }
        })
    ));
    submit(Kind::Read);
    assert!(matches!(dones.recv().unwrap().result, Err(Failure::Panic)));
}

#[test]
fn a_full_disk_lets_a_queue_come_to_rest_however_much_waits() {
    let (tell, told) = unbounded();
    let (verdict, verdicts) = unbounded();
    let queue = DiskQueue::new(
        "hard disk 1".into(),
        Arc::new(Asks(tell, verdicts)),
        Method::Threads,
    )
    .unwrap();
    let count = 3 * THREADS;
    // Each fails once.
    let image: Arc<dyn Image> = Arc::new(FailsFirst(Mutex::default()));
    let (done, dones) = unbounded();
    for number in 0..count as u64 {
        let done = done.clone();
        let request = Request {
            kind: WRITE,
            offset: number * 512,
            buffer: Buffer::Bytes(vec![0; 512]),
        };
        queue.submit(&image, request, move |what| done.send(what).unwrap());
    }
    let mut left = count;
    while left > 0 {
        told.recv().unwrap();
        queue.drain();
        let failed = 1 + told.try_iter().count();
        for _ in 0..failed {
            verdict.send(Verdict::Retry).unwrap();
        }
        left -= failed;
    }
    for _ in 0..count {
        assert!(dones.recv_timeout(Duration::from_secs(60)).is_ok());
    }
}

/// Fails the first time at each place.
struct FailsFirst(Mutex<HashSet<u64>>);

impl Image for FailsFirst {
    fn size(&self) -> u64 {
        1 << 20
    }
    fn read_only(&self) -> bool {
        false
    }
    fn file(&self) -> &Path {
        Path::new("full")
    }
    fn read_at(&self, _offset: u64, _data: &mut [u8]) -> Result<(), ImageError> {
        Ok(())
    }
    fn write_at(&self, offset: u64, _data: &[u8]) -> Result<(), ImageError> {
        match self.0.lock().insert(offset) {
            false => Ok(()),
            true => Err(ImageError::NoSpace {
                file: "full".into(),
            }),
        }
    }
    fn flush(&self) -> Result<(), ImageError> {
        Ok(())
    }
}

#[test]
fn guest_memory_is_filled_and_written_by_every_method() {
    for method in [Method::Ring, Method::Threads] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk");
        let Some(image) = raw_image(&path, method) else {
            continue;
        };
        let queue = DiskQueue::new("disk".into(), Arc::new(ReportFaults), method).unwrap();
        let memory =
            GuestMemory::new(vec![(0, MemoryRegion::new("test", 1 << 20).unwrap())]).unwrap();
        let buffer = |address: u64| {
            let mut buffer = GuestBuffer::new(memory.clone());
            buffer.push(address, 4096).unwrap();
            buffer.push(address + 8192, 4096).unwrap();
            Buffer::Guest(buffer)
        };
        let (done, dones) = unbounded();
        let submit = |kind, offset, buffer| {
            let done = done.clone();
            let request = Request {
                kind,
                offset,
                buffer,
            };
            queue.submit(&image, request, move |what| done.send(what).unwrap());
        };
        memory.write(0, &[9; 4096]).unwrap();
        for number in 0..200 {
            submit(WRITE, number * 8192, buffer(0));
        }
        submit(Kind::Flush, 0, Buffer::None);
        for _ in 0..201 {
            assert!(dones.recv().unwrap().result.is_ok());
        }
        submit(Kind::Read, 199 * 8192, buffer(65536));
        assert!(dones.recv().unwrap().result.is_ok());
        let mut data = [0; 16384];
        memory.read(65536, &mut data).unwrap();
        assert!(data[..4096] == [9; 4096] && data[8192..12288] == [0; 4096]);
        // What is not aligned reaches the same bytes.
        let mut odd = GuestBuffer::new(memory.clone());
        odd.push(0x1201, 100).unwrap();
        submit(Kind::Read, 199 * 8192 + 4000, Buffer::Guest(odd));
        assert!(dones.recv().unwrap().result.is_ok());
        memory.read(0x1201, &mut data[..100]).unwrap();
        assert!(data[..96] == [9; 96] && data[96..100] == [0; 4]);
        // Beyond the end, and of a file that became too short: a failure with words, no zeros.
        submit(Kind::Read, (2 << 20) - 4096, buffer(0));
        assert!(matches!(
            dones.recv().unwrap().result,
            Err(Failure::Image {
                error: ImageError::OutOfRange { .. },
                ..
            })
        ));
        std::fs::File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(4096)
            .unwrap();
        submit(Kind::Read, 8192, buffer(0));
        let Err(Failure::Image { error, .. }) = dones.recv().unwrap().result else {
            panic!("zeros instead of an error");
        };
        assert!(error.to_string().contains("truncated"), "{error}");
    }
}
