//! The flash memory that holds a firmware's variables: 8-bit commands of Intel's command set (Intel 28F008SA data sheet, order
//! number 290429), as far as OVMF's driver uses it. No CFI query: the driver asks none.
//!
//! While the array can be read, it is memory like any other ([`FlashArray::show`]), and only writes reach the device: a command
//! turns the array off, so that reads reach the device too and see its status, until 0xFF turns it on again.
//! What was programmed and erased is stored then, and on a reset ([`FlashStore::store`]).

use std::ops::Range;

use crate::bus::{Action, IoResult, MemoryDevice};
use crate::memory::MemoryRegion;

/// The pieces that are erased at once, in bytes.
pub const BLOCK: usize = 4096;

/// Commands.
mod command {
    pub(super) const PROGRAM: u8 = 0x10;
    pub(super) const ERASE: u8 = 0x20;
    pub(super) const PROGRAM_ALTERNATE: u8 = 0x40;
    pub(super) const CLEAR_STATUS: u8 = 0x50;
    pub(super) const READ_STATUS: u8 = 0x70;
    pub(super) const ERASE_CONFIRM: u8 = 0xd0;
    pub(super) const READ_ARRAY: u8 = 0xff;
}

/// Nothing is being programmed or erased.
const READY: u8 = 1 << 7;
/// A sequence of commands was wrong: both error bits.
const SEQUENCE_ERROR: u8 = 1 << 5 | 1 << 4;

/// Makes the array memory that the processor reads without asking the device.
pub trait FlashArray: Send {
    /// Whether the array is shown from now on.
    fn show(&mut self, shown: bool);
}

/// Keeps what the flash holds.
pub trait FlashStore: Send {
    /// The bytes from `offset` on are `data` now. They must survive the end of this process once this returns, and the end of the
    /// host's power soon after.
    fn store(&mut self, offset: usize, data: &[u8]);
}

/// What the next write means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A command; reads see the array.
    ReadArray,
    /// A command; reads see the status.
    ReadStatus,
    /// The byte to be programmed.
    Program,
    /// The confirmation of an erasure.
    Erase,
}

/// The flash memory.
pub struct Flash {
    memory: MemoryRegion,
    array: Box<dyn FlashArray>,
    store: Box<dyn FlashStore>,
    state: State,
    status: u8,
    /// What was changed and not stored yet.
    changed: Option<Range<usize>>,
}

impl Flash {
    /// Flash memory that holds what `memory` does. The array is shown from the beginning.
    pub fn new(
        memory: MemoryRegion,
        mut array: Box<dyn FlashArray>,
        store: Box<dyn FlashStore>,
    ) -> Self {
        array.show(true);
        Self {
            memory,
            array,
            store,
            state: State::ReadArray,
            status: READY,
            changed: None,
        }
    }

    /// As after power-on. What it holds stays.
    pub fn reset(&mut self) {
        self.status = READY;
        self.enter(State::ReadArray);
        self.keep();
    }

    fn enter(&mut self, state: State) {
        let (was, is) = (self.state == State::ReadArray, state == State::ReadArray);
        self.state = state;
        if was != is {
            self.array.show(is);
        }
    }

    fn keep(&mut self) {
        let Some(changed) = self.changed.take() else {
            return;
        };
        let mut data = vec![0; changed.len()];
        self.memory.read(changed.start, &mut data);
        self.store.store(changed.start, &data);
    }

    fn change(&mut self, offset: usize, data: &[u8]) {
        let end = offset + self.memory.write(offset, data);
        self.changed = Some(match self.changed.take() {
            Some(before) => before.start.min(offset)..before.end.max(end),
            None => offset..end,
        });
    }

    fn write_byte(&mut self, offset: usize, value: u8) {
        match self.state {
            State::Program => {
                // Programming clears bits; only erasing sets them.
                let mut byte = [0xff];
                self.memory.read(offset, &mut byte);
                self.change(offset, &[byte[0] & value]);
                self.status |= READY;
                self.enter(State::ReadStatus);
            }
            State::Erase if value == command::ERASE_CONFIRM => {
                self.change(offset / BLOCK * BLOCK, &[0xff; BLOCK]);
                self.status |= READY;
                self.enter(State::ReadStatus);
            }
            State::Erase => {
                self.status |= READY | SEQUENCE_ERROR;
                self.enter(State::ReadStatus);
            }
            State::ReadArray | State::ReadStatus => self.command(value),
        }
    }

    fn command(&mut self, value: u8) {
        match value {
            command::PROGRAM | command::PROGRAM_ALTERNATE => self.enter(State::Program),
            command::ERASE => self.enter(State::Erase),
            command::CLEAR_STATUS => self.status = 0,
            command::READ_STATUS => self.enter(State::ReadStatus),
            command::READ_ARRAY => {
                self.enter(State::ReadArray);
                self.keep();
            }
            _ => tracing::debug!(value, "an unknown command to the flash memory"),
        }
    }
}

impl MemoryDevice for Flash {
    fn read_memory(&mut self, offset: u64, data: &mut [u8]) -> IoResult<()> {
        if self.state == State::ReadArray {
            // The array was shown again between the processor's access and its arrival here.
            self.memory
                .read(usize::try_from(offset).unwrap_or(usize::MAX), data);
        } else {
            data.fill(self.status);
        }
        Ok(())
    }

    fn write_memory(&mut self, offset: u64, data: &[u8]) -> IoResult<Option<Action>> {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        for (at, value) in (offset..self.memory.size()).zip(data) {
            self.write_byte(at, *value);
        }
        Ok(None)
    }
}

impl Drop for Flash {
    fn drop(&mut self) {
        self.keep();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use parking_lot::Mutex;

    use super::*;

    type Stored = Vec<(usize, Vec<u8>)>;

    #[derive(Clone, Default)]
    struct Bench {
        shown: Arc<AtomicBool>,
        stored: Arc<Mutex<Stored>>,
    }

    impl FlashArray for Bench {
        fn show(&mut self, shown: bool) {
            self.shown.store(shown, Ordering::SeqCst);
        }
    }

    impl FlashStore for Bench {
        fn store(&mut self, offset: usize, data: &[u8]) {
            self.stored.lock().push((offset, data.to_vec()));
        }
    }

    fn flash() -> (Bench, MemoryRegion, Flash) {
        let bench = Bench::default();
        let memory = MemoryRegion::new("flash", 4 * BLOCK).unwrap();
        memory.fill(0, 4 * BLOCK, 0xff);
        let flash = Flash::new(
            memory.clone(),
            Box::new(bench.clone()),
            Box::new(bench.clone()),
        );
        (bench, memory, flash)
    }

    fn read(flash: &mut Flash, offset: u64) -> u8 {
        let mut data = [0];
        flash.read_memory(offset, &mut data).unwrap();
        data[0]
    }

    fn write(flash: &mut Flash, offset: u64, values: &[u8]) {
        for value in values {
            flash.write_memory(offset, &[*value]).unwrap();
        }
    }

    #[test]
    fn ovmf_finds_flash_by_its_probe() {
        let (bench, _, mut flash) = flash();
        assert!(bench.shown.load(Ordering::SeqCst));
        write(&mut flash, 0x10, &[0x50, 0x70]);
        assert!(!bench.shown.load(Ordering::SeqCst));
        assert_eq!(read(&mut flash, 0x10), 0);
        write(&mut flash, 0x10, &[0xff]);
        assert!(bench.shown.load(Ordering::SeqCst));
        assert!(bench.stored.lock().is_empty(), "nothing was changed");
    }

    #[test]
    fn bytes_are_programmed_and_stored_when_the_array_is_back() {
        let (bench, memory, mut flash) = flash();
        for (offset, value) in [(0x64, 0xf8), (0x65, 0x12), (0x66, 0x34)] {
            write(&mut flash, offset, &[0x10, value]);
            assert_eq!(read(&mut flash, offset) & READY, READY);
        }
        assert!(bench.stored.lock().is_empty());
        write(&mut flash, 0x66, &[0xff]);
        assert_eq!(*bench.stored.lock(), [(0x64, vec![0xf8, 0x12, 0x34])]);
        // Bits can be cleared only.
        write(&mut flash, 0x64, &[0x10, 0x87, 0xff]);
        let mut byte = [0];
        memory.read(0x64, &mut byte);
        assert_eq!(byte[0], 0x80);
        assert_eq!(read(&mut flash, 0x64), 0x80);
    }

    #[test]
    fn an_erasure_takes_its_whole_block_and_needs_its_confirmation() {
        let (bench, memory, mut flash) = flash();
        memory.fill(0, 4 * BLOCK, 0);
        write(&mut flash, 0x1234, &[0x20, 0xd0, 0xff]);
        assert_eq!(*bench.stored.lock(), [(BLOCK, vec![0xff; BLOCK])]);
        let mut around = [0; 2 * BLOCK + 2];
        memory.read(BLOCK - 1, &mut around);
        assert_eq!((around[0], around[BLOCK + 1]), (0, 0));
        write(&mut flash, 0, &[0x20, 0x10]);
        assert_eq!(read(&mut flash, 0), READY | SEQUENCE_ERROR);
        write(&mut flash, 0, &[0x50, 0x70]);
        assert_eq!(read(&mut flash, 0), 0);
        memory.read(0, &mut around[..1]);
        assert_eq!(around[0], 0, "nothing was erased");
    }

    #[test]
    fn a_reset_and_an_end_in_the_middle_lose_nothing() {
        let (bench, _, mut flash) = flash();
        write(&mut flash, 0, &[0x10, 0x11]);
        flash.reset();
        assert!(bench.shown.load(Ordering::SeqCst));
        write(&mut flash, 1, &[0x10, 0x22]);
        drop(flash);
        assert_eq!(*bench.stored.lock(), [(0, vec![0x11]), (1, vec![0x22])]);
    }
}
