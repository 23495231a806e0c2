//! How a device reaches its driver: by messages (MSI-X), or by the interrupt line and the ISR status register.
//! Sections 4.1.4.5 and 4.1.5.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, Ordering};

use parking_lot::Mutex;

use crate::bus::InterruptLine;
use crate::pci::Msix;

/// The vector number that means none.
pub(super) const NO_VECTOR: u16 = 0xffff;
const ISR_QUEUE: u8 = 1;
const ISR_CONFIGURATION: u8 = 2;

/// The device status bits. Section 2.1.
pub(super) mod status {
    pub const DRIVER_OK: u8 = 4;
    pub const FEATURES_OK: u8 = 8;
    pub const NEEDS_RESET: u8 = 0x40;
}

/// How many times a device's faults are logged; a hostile driver can make as many as it likes.
const LOGGED_FAULTS: u32 = 16;

/// What the transport's registers and the device's threads share.
pub(super) struct Signals {
    name: &'static str,
    pub msix: Arc<Msix>,
    line: InterruptLine,
    /// The ISR status register; the line is driven with its lock held, so that the two agree.
    isr: Mutex<u8>,
    line_disabled: AtomicBool,
    pub status: AtomicU8,
    pub generation: AtomicU8,
    pub config_vector: AtomicU16,
    pub queue_vectors: Vec<AtomicU16>,
    faults: AtomicU32,
}

impl Signals {
    pub fn new(name: &'static str, msix: Arc<Msix>, line: InterruptLine, queues: usize) -> Self {
        Self {
            name,
            msix,
            line,
            isr: Mutex::new(0),
            line_disabled: AtomicBool::new(false),
            status: AtomicU8::new(0),
            generation: AtomicU8::new(0),
            config_vector: AtomicU16::new(NO_VECTOR),
            queue_vectors: (0..queues).map(|_| AtomicU16::new(NO_VECTOR)).collect(),
            faults: AtomicU32::new(0),
        }
    }

    fn drive(&self, isr: u8) {
        let level =
            isr != 0 && !self.line_disabled.load(Ordering::Acquire) && !self.msix.is_enabled();
        self.line.set_level(level);
    }

    fn assert(&self, bit: u8) {
        let mut isr = self.isr.lock();
        *isr |= bit;
        self.drive(*isr);
    }

    /// Reads the ISR status register, which clears it.
    pub fn take_isr(&self) -> u8 {
        let mut isr = self.isr.lock();
        let value = std::mem::take(&mut *isr);
        self.drive(0);
        value
    }

    /// Whether the line asks for an interrupt, for the PCI status register.
    pub fn is_asserted(&self) -> bool {
        *self.isr.lock() != 0
    }

    /// The command register or MSI-X control may have changed.
    pub fn update_line(&self, disabled: bool) {
        let isr = self.isr.lock();
        self.line_disabled.store(disabled, Ordering::Release);
        self.drive(*isr);
    }

    /// As after power-on, but for the configuration's generation: a driver may compare it across a reset.
    pub fn reset(&self) {
        self.status.store(0, Ordering::Release);
        self.config_vector.store(NO_VECTOR, Ordering::Release);
        for vector in &self.queue_vectors {
            vector.store(NO_VECTOR, Ordering::Release);
        }
        self.take_isr();
    }

    fn send(&self, vector: &AtomicU16, bit: u8) {
        if self.msix.is_enabled() {
            self.msix.signal(vector.load(Ordering::Acquire));
        } else {
            self.assert(bit);
        }
    }
}

/// A device's way to its driver. Cloning shares it; any thread may use it.
#[derive(Clone)]
pub struct Interrupt(pub(super) Arc<Signals>);

impl Interrupt {
    /// Tells the driver that queue number `queue` has used buffers. [`Queue::interrupt`](super::Queue::interrupt) does so only
    /// when the driver wants to know.
    pub(super) fn queue_used(&self, queue: usize) {
        if let Some(vector) = self.0.queue_vectors.get(queue) {
            self.0.send(vector, ISR_QUEUE);
        }
    }

    /// Tells the driver that the device's configuration has changed: to be called after the change.
    pub fn configuration_changed(&self) {
        self.0.generation.fetch_add(1, Ordering::AcqRel);
        if self.0.status.load(Ordering::Acquire) & status::DRIVER_OK != 0 {
            self.0.send(&self.0.config_vector, ISR_CONFIGURATION);
        }
    }

    /// The driver broke the rules, or the device cannot go on: tells it that only a reset helps. `reason` is for the log.
    pub fn needs_reset(&self, reason: &str) {
        let before = self
            .0
            .status
            .fetch_or(status::NEEDS_RESET, Ordering::AcqRel);
        if before & status::NEEDS_RESET != 0 {
            return;
        }
        if self.0.faults.fetch_add(1, Ordering::Relaxed) < LOGGED_FAULTS {
            tracing::warn!(device = self.0.name, reason, "the device stopped");
        }
        if before & status::DRIVER_OK != 0 {
            self.0.send(&self.0.config_vector, ISR_CONFIGURATION);
        }
    }
}
