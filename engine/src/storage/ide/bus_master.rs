//! One channel's bus master: registers, and the walk through its table of physical region descriptors (PRD).
//! Programming Interface for Bus Master IDE Controller 1.0.

use crate::memory::GuestMemory;

/// Command register: run.
const START: u8 = 0x01;
/// Command register: the direction bit, kept for the guest; the drive's command decides.
const TO_MEMORY: u8 = 0x08;

/// Status register: a transfer is under way.
const ACTIVE: u8 = 0x01;
/// Status register: memory did not answer; written as one to clear.
const ERROR: u8 = 0x02;
/// Status register: the drive interrupted; written as one to clear.
const INTERRUPT: u8 = 0x04;
/// Status register: what the BIOS notes about the drives.
const DRIVE_NOTES: u8 = 0x60;

/// A table does not cross a boundary of 64 KiB: it has at most this many descriptors.
const MAXIMUM_DESCRIPTORS: u32 = 0x1_0000 / 8;

/// Where in its table the bus master is.
#[derive(Debug, Clone, Copy, Default)]
struct Walk {
    next: u32,
    fetched: u32,
    address: u32,
    left: u32,
    last: bool,
}

/// How a move of data ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moved {
    /// All of it was moved.
    All,
    /// The table ended first.
    Short,
    /// A descriptor or the memory it names is not memory.
    Fault,
}

/// What moves between the drive and memory.
pub(super) enum Piece<'a> {
    /// To memory.
    ToMemory(&'a [u8]),
    /// From memory.
    FromMemory(&'a mut [u8]),
}

impl Piece<'_> {
    fn len(&self) -> usize {
        match self {
            Self::ToMemory(data) => data.len(),
            Self::FromMemory(data) => data.len(),
        }
    }
}

/// The bus master of one channel.
#[derive(Debug, Default)]
pub(super) struct BusMaster {
    command: u8,
    status: u8,
    table: u32,
    walk: Walk,
}

/// What a write to the command register did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Switched {
    /// It goes on as it was.
    Not,
    /// It was started.
    On,
    /// It was stopped.
    Off,
}

impl BusMaster {
    /// Reads byte `offset` (0 to 7).
    pub(super) fn read(&self, offset: u64) -> u8 {
        let [a, b, c, d] = self.table.to_le_bytes();
        match offset {
            0 => self.command,
            2 => self.status,
            4 => a,
            5 => b,
            6 => c,
            7 => d,
            _ => 0,
        }
    }

    /// Writes byte `offset` (0 to 7).
    pub(super) fn write(&mut self, offset: u64, value: u8) -> Switched {
        match offset {
            0 => {
                let was = self.command & START != 0;
                self.command = value & (START | TO_MEMORY);
                match (was, value & START != 0) {
                    (false, true) => {
                        self.status |= ACTIVE;
                        self.walk = Walk {
                            next: self.table,
                            ..Walk::default()
                        };
                        return Switched::On;
                    }
                    (true, false) => {
                        self.status &= !ACTIVE;
                        return Switched::Off;
                    }
                    _ => {}
                }
            }
            2 => {
                let cleared = value & (ERROR | INTERRUPT);
                self.status = (self.status & !cleared & !DRIVE_NOTES) | (value & DRIVE_NOTES);
            }
            4..=7 => {
                let shift = u32::try_from(offset - 4).unwrap_or(0) * 8;
                self.table = (self.table & !(0xff << shift)) | (u32::from(value) << shift);
                self.table &= !3;
            }
            _ => {}
        }
        Switched::Not
    }

    /// Whether the guest has started it and it did not reach its end.
    pub(super) fn running(&self) -> bool {
        self.command & START != 0 && self.status & ACTIVE != 0
    }

    /// The drive interrupts.
    pub(super) fn interrupt(&mut self) {
        self.status |= INTERRUPT;
    }

    /// The drive has no more to move. Active stays set when the table goes on.
    pub(super) fn finish(&mut self) {
        if self.walk.left == 0 && self.walk.last {
            self.status &= !ACTIVE;
        }
    }

    /// Moves one piece through the table, from where the last one ended.
    pub(super) fn transfer(&mut self, memory: &GuestMemory, mut piece: Piece<'_>) -> Moved {
        let length = piece.len();
        let mut at = 0;
        while at < length {
            if self.walk.left == 0 {
                if self.walk.last || self.walk.fetched >= MAXIMUM_DESCRIPTORS {
                    self.status &= !ACTIVE;
                    return Moved::Short;
                }
                if self.fetch(memory).is_none() {
                    return self.fault();
                }
            }
            let part = usize::try_from(self.walk.left)
                .unwrap_or(usize::MAX)
                .min(length - at);
            let address = u64::from(self.walk.address);
            let done = match &mut piece {
                Piece::ToMemory(data) => data
                    .get(at..at + part)
                    .is_some_and(|part| memory.write(address, part).is_ok()),
                Piece::FromMemory(data) => data
                    .get_mut(at..at + part)
                    .is_some_and(|part| memory.read(address, part).is_ok()),
            };
            if !done {
                return self.fault();
            }
            let moved = u32::try_from(part).unwrap_or(u32::MAX);
            self.walk.address = self.walk.address.wrapping_add(moved);
            self.walk.left = self.walk.left.saturating_sub(moved);
            at += part;
        }
        Moved::All
    }

    /// Reads the next descriptor: address, byte count (0 means 64 KiB) and the mark of the last one.
    fn fetch(&mut self, memory: &GuestMemory) -> Option<()> {
        let mut descriptor = [0; 8];
        memory
            .read(u64::from(self.walk.next), &mut descriptor)
            .ok()?;
        let [a, b, c, d, e, f, _, flags] = descriptor;
        self.walk.address = u32::from_le_bytes([a & !1, b, c, d]);
        self.walk.left = match u16::from_le_bytes([e & !1, f]) {
            0 => 0x1_0000,
            count => u32::from(count),
        };
        self.walk.last = flags & 0x80 != 0;
        self.walk.next = self.walk.next.wrapping_add(8);
        self.walk.fetched += 1;
        Some(())
    }

    fn fault(&mut self) -> Moved {
        self.status = (self.status & !ACTIVE) | ERROR;
        Moved::Fault
    }
}
