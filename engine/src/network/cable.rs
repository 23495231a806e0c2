//! The cable of a network card: what the card sends goes in, what is for it comes out, and its other end can be moved while the
//! machine runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};

use super::{Bell, Capture, Frame, Port, Sent, Switch};

/// What went through a cable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Traffic {
    /// Frames that the card sent.
    pub sent_frames: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Frames that the card took.
    pub received_frames: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// Frames that the card did not take in time.
    pub lost_frames: u64,
}

#[derive(Default)]
struct Counters {
    sent_frames: AtomicU64,
    sent_bytes: AtomicU64,
    received_frames: AtomicU64,
    received_bytes: AtomicU64,
}

type Watcher = Box<dyn Fn(bool) + Send + Sync>;

/// The cable of one card.
pub struct Cable {
    port: RwLock<Option<Port>>,
    bell: Arc<Bell>,
    watcher: Mutex<Option<Watcher>>,
    counters: Counters,
    captures: AtomicBool,
    capture: Mutex<Option<Capture>>,
    lost: AtomicU64,
}

impl Cable {
    /// A cable that ends nowhere.
    ///
    /// # Errors
    /// When the host gives no more file descriptors.
    pub fn new() -> std::io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            port: RwLock::default(),
            bell: Arc::new(Bell::new()?),
            watcher: Mutex::default(),
            counters: Counters::default(),
            captures: AtomicBool::new(false),
            capture: Mutex::default(),
            lost: AtomicU64::new(0),
        }))
    }

    /// Rings when frames came, or when there is room again where there was none.
    pub fn bell(&self) -> &Arc<Bell> {
        &self.bell
    }

    /// Plugs it into `switch`, whatever it was plugged into before.
    pub fn plug(&self, switch: &Arc<Switch>) {
        let port = switch.connect(Arc::clone(&self.bell));
        self.replace(Some(port));
    }

    /// Pulls it.
    pub fn pull(&self) {
        self.replace(None);
    }

    fn replace(&self, port: Option<Port>) {
        let up = port.is_some();
        let before = std::mem::replace(&mut *self.port.write(), port);
        if let Some(before) = &before {
            self.lost.fetch_add(before.lost(), Ordering::Relaxed);
        }
        // Not with the lock held: whoever hears of it may call the cable.
        drop(before);
        if let Some(watcher) = self.watcher.lock().as_ref() {
            watcher(up);
        }
        self.bell.ring();
    }

    /// Whether it is plugged in.
    pub fn is_plugged(&self) -> bool {
        self.port.read().is_some()
    }

    /// Calls `watcher` with whether it is plugged in whenever that is decided anew. One at a time; the call must not last.
    pub fn watch(&self, watcher: impl Fn(bool) + Send + Sync + 'static) {
        *self.watcher.lock() = Some(Box::new(watcher));
    }

    /// Calls nobody any more.
    pub fn unwatch(&self) {
        *self.watcher.lock() = None;
    }

    /// Writes everything that passes from now on to `capture`, or nothing.
    pub fn set_capture(&self, capture: Option<Capture>) {
        let mut place = self.capture.lock();
        self.captures.store(capture.is_some(), Ordering::Release);
        *place = capture;
    }

    /// What went through it so far.
    pub fn traffic(&self) -> Traffic {
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let lost = self.port.read().as_ref().map_or(0, Port::lost);
        Traffic {
            sent_frames: value(&self.counters.sent_frames),
            sent_bytes: value(&self.counters.sent_bytes),
            received_frames: value(&self.counters.received_frames),
            received_bytes: value(&self.counters.received_bytes),
            lost_frames: lost + value(&self.lost),
        }
    }

    /// The card sends `frame`. With nothing at the other end it is lost.
    pub fn send(&self, frame: Frame) -> Sent {
        let port = self.port.read();
        let Some(port) = port.as_ref() else {
            return Sent::Taken;
        };
        let length = frame.data().len() as u64;
        let copy = self.captures.load(Ordering::Acquire).then(|| frame.clone());
        let sent = port.send(frame);
        if matches!(sent, Sent::Taken) {
            self.counters.sent_frames.fetch_add(1, Ordering::Relaxed);
            self.counters
                .sent_bytes
                .fetch_add(length, Ordering::Relaxed);
            self.record(copy.as_ref());
        }
        sent
    }

    /// The next frame for the card.
    pub fn receive(&self) -> Option<Frame> {
        let frame = self.port.read().as_ref()?.receive()?;
        self.counters
            .received_frames
            .fetch_add(1, Ordering::Relaxed);
        self.counters
            .received_bytes
            .fetch_add(frame.data().len() as u64, Ordering::Relaxed);
        if self.captures.load(Ordering::Acquire) {
            self.record(Some(&frame));
        }
        Some(frame)
    }

    fn record(&self, frame: Option<&Frame>) {
        let Some(frame) = frame else { return };
        let mut place = self.capture.lock();
        if let Some(capture) = place.as_mut()
            && let Err(error) = capture.record(frame)
        {
            tracing::warn!(%error, "a capture ended");
            self.captures.store(false, Ordering::Release);
            *place = None;
        }
    }
}

impl std::fmt::Debug for Cable {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Cable({:?})", self.traffic())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Frame {
        Frame::copy_of(&[[0xff; 12].as_slice(), &[0; 48]].concat()).unwrap()
    }

    #[test]
    fn a_cable_is_moved_while_it_is_used() {
        let (first, second) = (Switch::new(), Switch::new());
        let (a, b) = (Cable::new().unwrap(), Cable::new().unwrap());
        let links = Arc::new(Mutex::new(Vec::new()));
        a.watch({
            let links = Arc::clone(&links);
            move |up| links.lock().push(up)
        });
        assert!(matches!(a.send(frame()), Sent::Taken));
        a.plug(&first);
        b.plug(&first);
        a.send(frame());
        assert!(b.receive().is_some());
        a.plug(&second);
        a.send(frame());
        assert!(b.receive().is_none());
        a.pull();
        assert_eq!(*links.lock(), [true, true, false]);
        assert_eq!((first.ports(), second.ports()), (1, 0));
        assert_eq!(
            (a.traffic().sent_frames, b.traffic().received_bytes),
            (2, 60)
        );
    }

    #[test]
    fn what_passes_is_captured() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lan.pcap");
        let switch = Switch::new();
        let (a, b) = (Cable::new().unwrap(), Cable::new().unwrap());
        a.plug(&switch);
        b.plug(&switch);
        a.set_capture(Some(Capture::create(&file).unwrap()));
        a.send(frame());
        b.send(frame());
        assert!(a.receive().is_some());
        a.set_capture(None);
        let data = std::fs::read(&file).unwrap();
        assert_eq!(data.len(), 24 + 2 * (16 + 60));
        assert_eq!(data[..4], 0xa1b2_c3d4_u32.to_le_bytes());
        assert_eq!(data[20], 1);
        assert_eq!(data[24 + 8..24 + 16], [60, 0, 0, 0, 60, 0, 0, 0]);
    }
}
