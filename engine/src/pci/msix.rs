//! The MSI-X capability: up to 128 message-signalled interrupts, each with an entry in a table in one of the function's memory
//! windows, where software says what message it is and masks it. PCI Local Bus Specification 3.0, section 6.8.2.
//!
//! The table is at the start of the window, the array of pending bits at 0x800. Of a vector that is masked the pending bit is
//! kept, and the message is sent when the mask goes.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use parking_lot::Mutex;

use super::{ConfigSpace, ConfigSpaceBuilder};
use crate::bus::{IoError, IoResult, Message, MessageSink, MessageSource};

const ID: u8 = 0x11;
const CONTROL: u8 = 2;
const ENABLE: u16 = 1 << 15;
const FUNCTION_MASK: u16 = 1 << 14;

/// Bytes of an entry of the table: address, upper address, data, control, 4 bytes each.
const ENTRY: u64 = 16;
const ENTRY_CONTROL: usize = 12;
const MASKED: u8 = 1;
const PENDING: u64 = 0x800;

struct Vector {
    entry: [u8; 16],
    pending: bool,
    source: Box<dyn MessageSource>,
}

impl Vector {
    /// As after power-on: masked.
    fn clear(&mut self) {
        self.entry = [0; 16];
        self.entry[ENTRY_CONTROL] = MASKED;
        self.pending = false;
    }

    fn is_masked(&self) -> bool {
        self.entry[ENTRY_CONTROL] & MASKED != 0
    }

    fn message(&self) -> Message {
        let [a0, a1, a2, a3, a4, a5, a6, a7, d0, d1, d2, d3, ..] = self.entry;
        Message {
            address: u64::from_le_bytes([a0, a1, a2, a3, a4, a5, a6, a7]) & !3,
            data: u32::from_le_bytes([d0, d1, d2, d3]),
        }
    }

    /// Sends what waits, if nothing keeps it.
    fn release(&mut self, control: u16) {
        if self.pending && is_open(control) && !self.is_masked() {
            self.pending = false;
            self.source.signal();
        }
    }
}

fn is_open(control: u16) -> bool {
    control & (ENABLE | FUNCTION_MASK) == ENABLE
}

/// The vectors of a function. Shared between the function, which passes it accesses to its window and tells it of writes to its
/// configuration space, and whatever threads have interrupts to send.
pub struct Msix {
    offset: u8,
    vectors: Vec<Mutex<Vector>>,
    /// The message control register. Changed before the vectors are gone through, each under its lock: whoever sends looks at
    /// it with the vector's lock held.
    control: AtomicU16,
}

impl Msix {
    /// The size of the window that holds the table and the pending bits.
    pub const WINDOW: u32 = 0x1000;
    /// The most vectors there can be.
    pub const VECTORS: u16 = 128;
    /// How many bytes the capability takes.
    pub const LENGTH: u8 = 12;

    /// `count` vectors (1 to [`Msix::VECTORS`]) of a function whose capability is at `offset`, by way of `sink`.
    ///
    /// # Errors
    /// When the host has no more messages.
    pub fn new(offset: u8, count: u16, sink: &dyn MessageSink) -> io::Result<Arc<Self>> {
        let vectors = (0..count.clamp(1, Self::VECTORS))
            .map(|_| {
                let mut vector = Vector {
                    entry: [0; 16],
                    pending: false,
                    source: sink.source()?,
                };
                vector.clear();
                Ok(Mutex::new(vector))
            })
            .collect::<io::Result<Vec<_>>>()?;
        Ok(Arc::new(Self {
            offset,
            vectors,
            control: AtomicU16::new(0),
        }))
    }

    /// How many vectors there are.
    pub fn count(&self) -> u16 {
        u16::try_from(self.vectors.len()).unwrap_or(Self::VECTORS)
    }

    /// Adds the capability, and base address register `window` (0 to 5) for the table, to a configuration space.
    pub fn add(&self, space: ConfigSpaceBuilder, window: u8) -> ConfigSpaceBuilder {
        let [size, size_high] = (self.count() - 1).to_le_bytes();
        let [pending, pending_high, ..] = PENDING.to_le_bytes();
        let window = window & 7;
        let body = [
            size,
            size_high,
            window,
            0,
            0,
            0,
            pending | window,
            pending_high,
            0,
            0,
        ];
        let [_, writable] = (ENABLE | FUNCTION_MASK).to_le_bytes();
        space.register_window(window, Self::WINDOW).capability(
            self.offset,
            ID,
            body,
            [0, writable, 0, 0, 0, 0, 0, 0, 0, 0],
        )
    }

    /// To be called after each write to the function's configuration space.
    pub fn update(&self, space: &ConfigSpace) {
        let control = space.word(self.offset.saturating_add(CONTROL));
        if self.control.swap(control, Ordering::AcqRel) != control {
            for vector in &self.vectors {
                vector.lock().release(control);
            }
        }
    }

    /// Whether software has enabled the messages: the function's INTx line is then not used.
    pub fn is_enabled(&self) -> bool {
        self.control.load(Ordering::Acquire) & ENABLE != 0
    }

    /// Sends the message of vector number `vector`, now or when it is not masked any more. Nothing happens while software has
    /// not enabled the messages, or for a vector that does not exist.
    pub fn signal(&self, vector: u16) {
        let Some(vector) = self.vectors.get(usize::from(vector)) else {
            return;
        };
        let mut vector = vector.lock();
        let control = self.control.load(Ordering::Acquire);
        if control & ENABLE == 0 {
            return;
        }
        vector.pending = true;
        vector.release(control);
    }

    /// Reads the window.
    ///
    /// # Errors
    /// When nothing is there.
    pub fn read(&self, offset: u64, data: &mut [u8]) -> IoResult<()> {
        for (byte, at) in data.iter_mut().zip(0..) {
            let at = offset.checked_add(at).ok_or(IoError::Unmapped)?;
            *byte = match at.checked_sub(PENDING) {
                Some(at) => self.pending_bits(at)?,
                None => {
                    let (vector, at) = self.place(at)?;
                    vector.lock().entry.get(at).copied().unwrap_or(0)
                }
            };
        }
        Ok(())
    }

    fn pending_bits(&self, at: u64) -> IoResult<u8> {
        let first = usize::try_from(at.saturating_mul(8)).map_err(|_| IoError::Unmapped)?;
        // The array is made of whole quadwords.
        if first >= self.vectors.len().next_multiple_of(64) {
            return Err(IoError::Unmapped);
        }
        let bits = self.vectors.iter().skip(first).take(8).enumerate();
        Ok(bits.fold(0, |bits, (number, vector)| {
            bits | u8::from(vector.lock().pending) << number
        }))
    }

    /// Writes the window. The pending bits cannot be written.
    ///
    /// # Errors
    /// When nothing is there.
    pub fn write(&self, offset: u64, data: &[u8]) -> IoResult<()> {
        if offset >= PENDING {
            return Ok(());
        }
        // An access is at most 8 bytes and aligned, or it is none that the specification allows: one entry.
        let (vector, at) = self.place(offset)?;
        let mut vector = vector.lock();
        let before = vector.message();
        let was_masked = vector.is_masked();
        for (to, from) in vector.entry.iter_mut().skip(at).zip(data) {
            *to = *from;
        }
        vector.entry[ENTRY_CONTROL] &= MASKED;
        vector.entry[ENTRY_CONTROL + 1..].fill(0);
        let message = vector.message();
        if !vector.is_masked() && (was_masked || message != before) {
            vector.source.route(message);
            vector.release(self.control.load(Ordering::Acquire));
        }
        Ok(())
    }

    fn place(&self, offset: u64) -> IoResult<(&Mutex<Vector>, usize)> {
        let number = usize::try_from(offset / ENTRY).map_err(|_| IoError::Unmapped)?;
        let vector = self.vectors.get(number).ok_or(IoError::Unmapped)?;
        Ok((vector, usize::try_from(offset % ENTRY).unwrap_or(0)))
    }

    /// As after power-on: disabled, every vector masked and nothing pending.
    pub fn reset(&self) {
        self.control.store(0, Ordering::Release);
        for vector in &self.vectors {
            vector.lock().clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::{MessageRecorder, Width};
    use crate::pci::Identity;

    struct Rig {
        recorder: MessageRecorder,
        msix: Arc<Msix>,
        space: ConfigSpace,
    }

    fn rig(count: u16) -> Rig {
        let recorder = MessageRecorder::default();
        let msix = Msix::new(0x40, count, &recorder).unwrap();
        let identity = Identity {
            vendor: 0x1af4,
            device: 0x1042,
            revision: 1,
            class: 0x01_00_00,
        };
        let space = msix.add(ConfigSpace::builder(identity), 1).build();
        Rig {
            recorder,
            msix,
            space,
        }
    }

    impl Rig {
        fn control(&mut self, value: u32) {
            self.space.write(0x42, Width::Word, value);
            self.msix.update(&self.space);
        }
        fn program(&self, vector: u64, data: u32, mask: u32) {
            for (at, value) in [(0, 0xfee0_0000_u32), (4, 0), (8, data), (12, mask)] {
                self.msix
                    .write(vector * 16 + at, &value.to_le_bytes())
                    .unwrap();
            }
        }
        fn sent(&self) -> Vec<u32> {
            self.recorder
                .take()
                .iter()
                .map(|message| message.data)
                .collect()
        }
        fn pending(&self) -> u64 {
            let mut data = [0; 8];
            self.msix.read(0x800, &mut data).unwrap();
            u64::from_le_bytes(data)
        }
    }

    #[test]
    fn the_capability_says_where_the_table_is() {
        let mut rig = rig(5);
        assert_eq!(rig.space.dword(0x40), 0x0004_0011);
        assert_eq!((rig.space.dword(0x44), rig.space.dword(0x48)), (1, 0x801));
        rig.control(0xffff);
        assert_eq!(rig.space.word(0x42), 0xc004);
    }

    #[test]
    fn a_message_waits_behind_each_mask() {
        let mut rig = rig(3);
        rig.program(1, 0x41, 0);
        rig.msix.signal(1);
        assert_eq!((rig.sent(), rig.pending()), (vec![], 0), "not enabled");
        rig.control(0xc000);
        rig.msix.signal(1);
        rig.msix.signal(1);
        assert_eq!((rig.sent(), rig.pending()), (vec![], 2), "all are masked");
        rig.control(0x8000);
        assert_eq!((rig.sent(), rig.pending()), (vec![0x41], 0));
        rig.msix.signal(1);
        assert_eq!(rig.sent(), [0x41]);
        rig.program(1, 0x52, 1);
        rig.msix.signal(1);
        rig.msix.signal(7);
        assert_eq!(
            (rig.sent(), rig.pending()),
            (vec![], 2),
            "this one is masked"
        );
        rig.program(1, 0x52, 0);
        assert_eq!((rig.sent(), rig.pending()), (vec![0x52], 0));
        rig.msix.reset();
        rig.space.reset();
        rig.msix.update(&rig.space);
        rig.control(0x8000);
        rig.msix.signal(1);
        assert_eq!(
            (rig.sent(), rig.pending()),
            (vec![], 2),
            "masked at power-on"
        );
    }

    #[test]
    fn the_table_is_written_by_any_width_and_read_back() {
        let rig = rig(2);
        rig.msix.write(16, &0xfee0_1003_u64.to_le_bytes()).unwrap();
        rig.msix.write(24, &[0x31]).unwrap();
        rig.msix.write(28, &[0xff; 4]).unwrap();
        let mut entry = [0; 16];
        rig.msix.read(16, &mut entry).unwrap();
        assert_eq!(entry[..4], 0xfee0_1003_u32.to_le_bytes());
        assert_eq!(entry[8..], [0x31, 0, 0, 0, 1, 0, 0, 0]);
    }

    #[test]
    fn hostile_accesses_end_at_the_window() {
        let mut rig = rig(128);
        rig.control(0x8000);
        for offset in (0..0x1010).chain([u64::MAX - 8, u64::MAX]) {
            for length in [1, 2, 4, 8] {
                let mut data = [0xff; 8];
                let _ = rig.msix.read(offset, &mut data[..length]);
                let _ = rig.msix.write(offset, &data[..length]);
            }
        }
        for vector in 0..=u16::MAX {
            rig.msix.signal(vector);
        }
    }
}
