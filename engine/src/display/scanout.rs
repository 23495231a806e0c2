//! The thread that keeps the picture up to date: how it learns what changed in video memory, and how often it looks.
//!
//! Guests write to linear video memory without the machine's noticing, so somebody has to look at the hypervisor's log of
//! written pages: 60 times a second while something goes on, 20 times after a second of stillness. Everything else (registers,
//! the legacy window) wakes the thread by [`Wake`].

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::vga::Renderer;
use crate::memory::MemoryRegion;

/// The shortest time from one look to the next: 60 pictures a second.
const PICTURE: Duration = Duration::from_micros(16_667);
/// From one look to the next while nothing goes on.
const STILL: Duration = Duration::from_millis(50);
/// How long nothing must go on before looks become seldom.
const UNTIL_STILL: Duration = Duration::from_secs(1);

/// The size of a page of memory in the log of written pages.
const PAGE_BITS: u32 = 12;

/// Who knows which pages of video memory the guest wrote to: the hypervisor.
pub trait DirtySource {
    /// The pages of `region` that the guest wrote to since the last call, one bit for each 4 KiB, lowest first; nothing if that
    /// is not known (then all of it may have been written).
    fn take(&mut self, region: &MemoryRegion) -> Option<Vec<u64>>;
}

/// A set of pages of video memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirtyPages {
    words: Vec<u64>,
}

impl DirtyPages {
    /// The empty set of pages of `size` bytes of memory.
    pub fn new(size: usize) -> Self {
        Self {
            words: vec![0; (size >> PAGE_BITS).div_ceil(64).max(1)],
        }
    }

    /// Adds the pages of `length` bytes from `start` on, as far as the memory goes.
    pub fn mark(&mut self, start: usize, length: usize) {
        let Some(last) = length.checked_sub(1).map(|rest| start.saturating_add(rest)) else {
            return;
        };
        let end = self.words.len() * 64;
        for page in start >> PAGE_BITS..=(last >> PAGE_BITS).min(end - 1) {
            if let Some(word) = self.words.get_mut(page / 64) {
                *word |= 1 << (page % 64);
            }
        }
    }

    /// Adds every page.
    pub fn mark_all(&mut self) {
        self.words.fill(u64::MAX);
    }

    /// Adds the pages whose bits are set in `words`.
    pub fn merge(&mut self, words: &[u64]) {
        for (to, from) in self.words.iter_mut().zip(words) {
            *to |= from;
        }
    }

    /// Moves all pages of `other` here.
    pub fn absorb(&mut self, other: &mut Self) {
        for (to, from) in self.words.iter_mut().zip(&mut other.words) {
            *to |= std::mem::take(from);
        }
    }

    /// Takes all pages out.
    pub fn clear(&mut self) {
        self.words.fill(0);
    }

    /// Whether no page is in the set.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Whether one of the pages of `length` bytes from `start` on is in the set.
    pub fn touches(&self, start: usize, length: usize) -> bool {
        let Some(last) = length.checked_sub(1).map(|rest| start.saturating_add(rest)) else {
            return false;
        };
        let end = self.words.len() * 64;
        (start >> PAGE_BITS..=(last >> PAGE_BITS).min(end - 1)).any(|page| {
            self.words
                .get(page / 64)
                .is_some_and(|word| word >> (page % 64) & 1 != 0)
        })
    }
}

#[derive(Default)]
struct WakeState {
    /// The thread wants to be woken by the next change.
    armed: AtomicBool,
    signals: Mutex<Signals>,
    changed: Condvar,
}

#[derive(Default)]
struct Signals {
    woken: bool,
    stop: bool,
}

/// Wakes the display's thread. Cheap where nobody waits: one load. Cloning shares it.
#[derive(Clone, Default)]
pub struct Wake(Arc<WakeState>);

impl Wake {
    /// Something changed that is to be drawn.
    pub fn wake(&self) {
        if self.0.armed.load(Ordering::Relaxed) && self.0.armed.swap(false, Ordering::AcqRel) {
            self.0.signals.lock().woken = true;
            self.0.changed.notify_all();
        }
    }

    /// From now on the next [`Wake::wake`] counts. To be called before looking, so that no change falls between.
    fn arm(&self) {
        self.0.signals.lock().woken = false;
        self.0.armed.store(true, Ordering::Release);
    }

    /// Waits until `earliest`, and from then on until woken or `latest`; tells whether to stop instead.
    fn wait(&self, earliest: Instant, latest: Instant) -> bool {
        let mut signals = self.0.signals.lock();
        loop {
            let until = if signals.woken { earliest } else { latest };
            if signals.stop {
                return true;
            }
            if self.0.changed.wait_until(&mut signals, until).timed_out() {
                return signals.stop;
            }
        }
    }

    fn stop(&self) {
        self.0.signals.lock().stop = true;
        self.0.changed.notify_all();
    }
}

/// The thread that draws a machine's screen. It ends when this is dropped.
pub struct DisplayThread {
    wake: Wake,
    thread: Option<JoinHandle<()>>,
}

impl DisplayThread {
    /// Starts drawing with `renderer`, asking `dirty` what was written.
    ///
    /// # Errors
    /// When the host gives no thread.
    pub fn spawn(
        mut renderer: Renderer,
        mut dirty: Box<dyn DirtySource + Send>,
    ) -> io::Result<Self> {
        let wake = renderer.wake();
        let waiting = wake.clone();
        let thread = thread::Builder::new()
            .name("display".into())
            .spawn(move || {
                let mut active = Instant::now();
                loop {
                    waiting.arm();
                    let now = Instant::now();
                    let refreshed = renderer.refresh(dirty.as_mut());
                    if refreshed.active {
                        active = now;
                    }
                    let pause = if now.duration_since(active) < UNTIL_STILL {
                        PICTURE
                    } else {
                        refreshed
                            .next
                            .map_or(STILL, |next| next.clamp(PICTURE, STILL))
                    };
                    // Drawing takes half of a processor's time at most, however slow it is.
                    let done = Instant::now();
                    let earliest = (now + PICTURE).max(done + done.duration_since(now));
                    if waiting.wait(earliest, earliest.max(now + pause)) {
                        break;
                    }
                }
            })?;
        Ok(Self {
            wake,
            thread: Some(thread),
        })
    }
}

impl Drop for DisplayThread {
    fn drop(&mut self) {
        self.wake.stop();
        if self
            .thread
            .take()
            .is_some_and(|thread| thread.join().is_err())
        {
            tracing::error!("the display's thread ended by a fault of this program");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_marked_and_found() {
        let mut pages = DirtyPages::new(16 << 20);
        assert!(pages.is_empty());
        pages.mark(0x1fff, 2);
        pages.mark(usize::MAX, usize::MAX);
        pages.mark(5, 0);
        assert!(!pages.touches(0, 0x1000) && pages.touches(0x1000, 1) && pages.touches(0x2fff, 1));
        assert!(!pages.touches(0x3000, 0x1000) && !pages.touches(0x1000, 0));
        assert!(pages.touches(0, usize::MAX));
        let mut all = DirtyPages::new(16 << 20);
        all.absorb(&mut pages);
        assert!(pages.is_empty() && all.touches(0x2000, 1));
        all.clear();
        all.merge(&[0, 1]);
        assert!(all.touches(64 << 12, 1) && !all.touches(65 << 12, 1));
        all.mark_all();
        assert!(all.touches((16 << 20) - 1, 1));
    }

    #[test]
    fn a_wake_between_looking_and_waiting_is_not_lost() {
        let wake = Wake::default();
        let now = Instant::now();
        wake.arm();
        wake.wake();
        assert!(
            !wake.wait(now, now + Duration::from_secs(3600)),
            "returns at once"
        );
        wake.arm();
        wake.stop();
        assert!(wake.wait(
            now + Duration::from_secs(3600),
            now + Duration::from_secs(3600)
        ));
    }
}
