//! The wire from a device to the interrupt controller.
//!
//! A device gets a named line and raises or lowers it; which input of which controller it ends at is decided where the machine
//! is put together. Lines that share an input (PCI's INTx, ISA's shared IRQs) are combined by [`SharedInterrupt`].

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// Where interrupt lines end: the interrupt controllers, or a router before them.
pub trait InterruptSink: Send + Sync {
    /// Sets input `input` high or low. Called from any thread; setting the same level again is harmless.
    fn set_level(&self, input: u32, level: bool);
}

/// A device's end of an interrupt line.
#[derive(Clone)]
pub struct InterruptLine {
    name: &'static str,
    sink: Arc<dyn InterruptSink>,
    input: u32,
}

impl InterruptLine {
    /// A line called `name` (for logs) that ends at `input` of `sink`.
    pub fn new(name: &'static str, sink: Arc<dyn InterruptSink>, input: u32) -> Self {
        Self { name, sink, input }
    }

    /// A line that ends nowhere, for a device whose interrupt is not wired.
    pub fn unconnected(name: &'static str) -> Self {
        struct Nowhere;
        impl InterruptSink for Nowhere {
            fn set_level(&self, _input: u32, _level: bool) {}
        }
        Self::new(name, Arc::new(Nowhere), 0)
    }

    /// Drives the line high (`true`, asserted) or low.
    pub fn set_level(&self, level: bool) {
        self.sink.set_level(self.input, level);
    }

    /// Drives the line high and low again: one edge, for controllers in edge-triggered mode.
    pub fn pulse(&self) {
        self.set_level(true);
        self.set_level(false);
    }

    /// What the line is called.
    pub fn name(&self) -> &'static str {
        self.name
    }
}

impl fmt::Debug for InterruptLine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "InterruptLine({} -> {})", self.name, self.input)
    }
}

/// One controller input that up to 64 lines share: high while at least one of them is.
pub struct SharedInterrupt {
    sink: Arc<dyn InterruptSink>,
    input: u32,
    asserted: AtomicU64,
    /// Keeps the level that the controller saw last in step with `asserted` when two lines change at once.
    order: Mutex<()>,
}

impl SharedInterrupt {
    /// Input `input` of `sink`, to be shared.
    pub fn new(sink: Arc<dyn InterruptSink>, input: u32) -> Arc<Self> {
        Arc::new(Self {
            sink,
            input,
            asserted: AtomicU64::new(0),
            order: Mutex::new(()),
        })
    }

    /// The line called `name` that owns member number `member` (0 to 63) of this input.
    pub fn line(self: &Arc<Self>, name: &'static str, member: u32) -> InterruptLine {
        InterruptLine::new(name, Arc::clone(self) as Arc<dyn InterruptSink>, member)
    }
}

impl InterruptSink for SharedInterrupt {
    fn set_level(&self, member: u32, level: bool) {
        let bit = 1_u64.checked_shl(member).unwrap_or(0);
        let _order = self.order.lock();
        let before = if level {
            self.asserted.fetch_or(bit, Ordering::AcqRel)
        } else {
            self.asserted.fetch_and(!bit, Ordering::AcqRel)
        };
        let after = if level { before | bit } else { before & !bit };
        if (before == 0) != (after == 0) {
            self.sink.set_level(self.input, after != 0);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A sink that writes down what it was told, for the tests of every device.
    #[derive(Default)]
    pub(crate) struct Recorder(pub(crate) Mutex<Vec<(u32, bool)>>);

    impl InterruptSink for Recorder {
        fn set_level(&self, input: u32, level: bool) {
            self.0.lock().push((input, level));
        }
    }

    impl Recorder {
        /// The level input `input` was last driven to; low if never.
        pub(crate) fn level(&self, input: u32) -> bool {
            self.0
                .lock()
                .iter()
                .rev()
                .find(|(at, _)| *at == input)
                .is_some_and(|(_, level)| *level)
        }
    }

    #[test]
    fn a_shared_input_is_high_while_any_member_is() {
        let recorder = Arc::new(Recorder::default());
        let shared = SharedInterrupt::new(recorder.clone(), 11);
        let (first, second) = (shared.line("first", 0), shared.line("second", 63));
        first.set_level(true);
        second.set_level(true);
        first.set_level(false);
        assert_eq!(*recorder.0.lock(), [(11, true)]);
        second.set_level(false);
        second.set_level(false);
        assert_eq!(*recorder.0.lock(), [(11, true), (11, false)]);
    }

    #[test]
    fn a_member_beyond_the_last_changes_nothing() {
        let recorder = Arc::new(Recorder::default());
        SharedInterrupt::new(recorder.clone(), 5)
            .line("wrong", 64)
            .set_level(true);
        assert!(recorder.0.lock().is_empty());
    }
}
