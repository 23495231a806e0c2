//! The kernel's io_uring(7) for requests between host files and guest memory: many under way at once, without a thread for each.
//!
//! A [`Ring`] belongs to one thread; a [`Waker`] gets that thread out of [`Ring::wait`].

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use io_uring::{IoUring, opcode, types};
use vmm_sys_util::eventfd::{EFD_CLOEXEC, EventFd};

use super::GuestBuffer;

/// The user data of the request that waits for the waker.
const WAKER: u64 = u64::MAX;

/// A request that is under way: what the kernel reaches until it is done.
struct InFlight {
    // Dropped only once the kernel is done with the request.
    _vectors: Vec<libc::iovec>,
    _buffer: GuestBuffer,
    _file: Arc<File>,
}

/// Gets the ring's thread out of its wait.
#[derive(Clone)]
pub(crate) struct Waker(Arc<EventFd>);

impl Waker {
    pub(crate) fn wake(&self) {
        // It fails only when the counter is full: the thread is then about to wake anyway.
        let _ = self.0.write(1);
    }
}

/// What a request came to.
pub(crate) struct Ended {
    /// The number it was given.
    pub(crate) token: u64,
    /// Bytes that were moved.
    pub(crate) result: io::Result<usize>,
}

/// A ring and what is under way in it.
pub(crate) struct Ring {
    ring: IoUring,
    waker: Waker,
    /// The counter that the kernel reads for the waker's request; boxed so that it stays in its place.
    counter: Box<[u8; 8]>,
    waiting: bool,
    in_flight: HashMap<u64, InFlight>,
    capacity: usize,
    /// The kernel refused to take or to wait for requests: nothing more can be said of those under way.
    broken: bool,
}

// The raw pointers in the vectors are only the kernel's; the ring moves to its thread once.
#[expect(unsafe_code, reason = "io vectors hold raw pointers")]
// SAFETY: the vectors point into mappings that `GuestBuffer`s, which are Send, keep alive; nothing dereferences them in this process.
unsafe impl Send for InFlight {}

impl Ring {
    /// A ring for `entries` requests at once (a power of two).
    ///
    /// # Errors
    /// When the host does not allow it, which sandboxes often do not.
    pub(crate) fn new(entries: u32) -> io::Result<Self> {
        // One more place for the waker's request.
        let ring = IoUring::builder()
            .dontfork()
            .build(entries.saturating_mul(2))?;
        let waker = Waker(Arc::new(EventFd::new(EFD_CLOEXEC)?));
        Ok(Self {
            ring,
            waker,
            counter: Box::new([0; 8]),
            waiting: false,
            in_flight: HashMap::new(),
            capacity: entries as usize,
            broken: false,
        })
    }

    pub(crate) fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// How many more requests it takes.
    pub(crate) fn room(&self) -> usize {
        if self.broken {
            0
        } else {
            self.capacity.saturating_sub(self.in_flight.len())
        }
    }

    /// Whether it takes no more requests, ever.
    pub(crate) fn broken(&self) -> bool {
        self.broken
    }

    /// Whether nothing is under way.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// Starts to move `buffer` from (or with `write` to) `file` at `offset` at the next [`Ring::wait`]. `token` must not be one
    /// that is under way. False when it does not take the request.
    pub(crate) fn push(
        &mut self,
        token: u64,
        file: &Arc<File>,
        buffer: &GuestBuffer,
        offset: u64,
        write: bool,
    ) -> bool {
        if self.room() == 0 || token == WAKER || self.in_flight.contains_key(&token) {
            return false;
        }
        let vectors = buffer.vectors(0);
        let Ok(count) = u32::try_from(vectors.len()) else {
            return false;
        };
        if count > 1024 {
            return false;
        }
        let descriptor = types::Fd(file.as_raw_fd());
        let entry = if write {
            opcode::Writev::new(descriptor, vectors.as_ptr(), count)
                .offset(offset)
                .build()
        } else {
            opcode::Readv::new(descriptor, vectors.as_ptr(), count)
                .offset(offset)
                .build()
        }
        .user_data(token);
        let kept = InFlight {
            _vectors: vectors,
            _buffer: buffer.clone(),
            _file: Arc::clone(file),
        };
        if !self.submit_entry(&entry) {
            return false;
        }
        self.in_flight.insert(token, kept);
        true
    }

    #[expect(unsafe_code, reason = "the kernel is given addresses")]
    fn submit_entry(&mut self, entry: &io_uring::squeue::Entry) -> bool {
        // SAFETY: what the entry names (descriptor, vectors, guest memory; or the event descriptor and the counter) is kept by
        // `in_flight`, or by `self`, until the kernel has said that the request ended: `Drop` waits for that, and where the kernel
        // does not say so any more leaks it.
        unsafe { self.ring.submission().push(entry) }.is_ok()
    }

    /// Hands over what was pushed and waits until a request ends or the waker calls; returns those that ended.
    pub(crate) fn wait(&mut self) -> Vec<Ended> {
        if !self.waiting {
            let address = self.counter.as_mut_ptr();
            let descriptor = types::Fd(self.waker.0.as_raw_fd());
            let entry = opcode::Read::new(descriptor, address, 8)
                .build()
                .user_data(WAKER);
            self.waiting = self.submit_entry(&entry);
        }
        self.enter()
    }

    fn enter(&mut self) -> Vec<Ended> {
        match self.ring.submit_and_wait(1) {
            Ok(_) => {}
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::EINTR | libc::EAGAIN | libc::EBUSY | libc::ETIME)
                ) => {}
            Err(error) => {
                tracing::error!(%error, "the kernel's io_uring failed; disk requests take threads from now on");
                self.broken = true;
            }
        }
        let mut ended = Vec::new();
        for entry in self.ring.completion() {
            if entry.user_data() == WAKER {
                self.waiting = false;
                continue;
            }
            if self.in_flight.remove(&entry.user_data()).is_some() {
                ended.push(Ended {
                    token: entry.user_data(),
                    result: usize::try_from(entry.result())
                        .map_err(|_| io::Error::from_raw_os_error(entry.result().saturating_neg())),
                });
            }
        }
        ended
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        if self.waiting {
            self.waker.wake();
        }
        while (!self.in_flight.is_empty() || self.waiting) && !self.broken {
            self.enter();
        }
        if self.broken {
            // The kernel may still reach all this.
            std::mem::forget(std::mem::take(&mut self.in_flight));
            std::mem::forget(std::mem::take(&mut self.counter));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::super::{GuestMemory, MemoryRegion};
    use super::*;

    fn buffer(address: u64, length: usize) -> GuestBuffer {
        let region = MemoryRegion::new("test", 0x10000).unwrap();
        let mut buffer = GuestBuffer::new(GuestMemory::new(vec![(0, region)]).unwrap());
        buffer.push(address, length).unwrap();
        buffer
    }

    #[test]
    fn requests_end_with_their_bytes_and_the_waker_ends_a_wait() {
        // Where the host forbids it, there is nothing to test.
        let Ok(mut ring) = Ring::new(4) else { return };
        let file = Arc::new(tempfile::tempfile().unwrap());
        file.write_all_at(b"0123456789", 0).unwrap();
        let (read, write) = (buffer(0, 8), buffer(0x100, 4));
        write.write(0, b"abcd");
        assert!(ring.push(1, &file, &read, 4, false));
        assert!(!ring.push(1, &file, &read, 4, false), "the number is taken");
        assert!(ring.push(2, &file, &write, 100, true));
        let mut results = HashMap::new();
        while !ring.is_idle() {
            for ended in ring.wait() {
                results.insert(ended.token, ended.result.unwrap());
            }
        }
        assert_eq!((results[&1], results[&2]), (6, 4));
        let mut data = [0; 8];
        read.read(0, &mut data);
        assert_eq!(&data, b"456789\0\0");
        file.read_exact_at(&mut data[..4], 100).unwrap();
        assert_eq!(&data[..4], b"abcd");
        let waker = ring.waker();
        let thread = std::thread::spawn(move || waker.wake());
        loop {
            assert!(ring.wait().is_empty());
            if !ring.waiting {
                break;
            }
        }
        thread.join().unwrap();
    }

    #[test]
    fn a_ring_that_is_full_says_so_and_what_fails_says_why() {
        let Ok(mut ring) = Ring::new(2) else { return };
        let file = Arc::new(File::open("/").unwrap());
        let target = buffer(0, 8);
        assert!(ring.push(1, &file, &target, 0, false));
        assert!(ring.push(2, &file, &target, 0, false));
        assert_eq!(ring.room(), 0);
        assert!(!ring.push(3, &file, &target, 0, false));
        while !ring.is_idle() {
            for ended in ring.wait() {
                assert_eq!(ended.result.unwrap_err().raw_os_error(), Some(libc::EISDIR));
            }
        }
        assert_eq!(ring.room(), 2);
    }
}
