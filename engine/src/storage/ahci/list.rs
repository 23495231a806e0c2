//! What guest memory holds for a port: command headers, command tables with their descriptors, and the frames it received.
//! Serial ATA AHCI 1.3.1, section 4.2; Serial ATA 2.6, section 10.3.

use crate::memory::{GuestBuffer, GuestMemory};
use crate::storage::ata::task_file::{Pair, TaskFile};

/// A command header, in bytes.
const HEADER: u64 = 32;
/// Where a command table has its packet and its descriptors.
const PACKET: u64 = 0x40;
const DESCRIPTORS: u64 = 0x80;
const DESCRIPTOR: usize = 16;

/// The frame by which the host sends registers.
const HOST_TO_DEVICE: u8 = 0x27;
const DEVICE_TO_HOST: u8 = 0x34;
const PIO_SETUP: u8 = 0x5f;
const SET_DEVICE_BITS: u8 = 0xa1;
/// The status bits that Set Device Bits carries.
const CARRIED: u8 = 0x77;
/// Where frames are received.
const PIO_SETUP_OFFSET: u64 = 0x20;
const REGISTERS_OFFSET: u64 = 0x40;
const DEVICE_BITS_OFFSET: u64 = 0x58;
/// The bit of a frame that asks for an interrupt.
const INTERRUPT: u8 = 1 << 6;

/// A command's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    address: u64,
    /// The command is a packet's.
    pub packet: bool,
    /// Clear BSY when the frame was sent: a software reset's.
    pub clear_busy: bool,
    descriptors: u16,
    table: u64,
}

/// What the guest's frame says.
#[derive(Debug, Clone, Copy)]
pub(super) enum Frame {
    /// Carry out this command.
    Command { registers: TaskFile, code: u8 },
    /// The device control register has this value.
    Control(u8),
}

impl Header {
    /// Reads the header of `slot` of the list at `list`.
    pub(super) fn read(memory: &GuestMemory, list: u64, slot: u32) -> Option<Self> {
        let address = list.checked_add(u64::from(slot) * HEADER)?;
        let mut bytes = [0; 16];
        memory.read(address, &mut bytes).ok()?;
        let [flags, more, low, high, _, _, _, _, table @ ..] = bytes;
        Some(Self {
            address,
            packet: flags & 1 << 5 != 0,
            clear_busy: more & 1 << 2 != 0,
            descriptors: u16::from_le_bytes([low, high]),
            table: u64::from_le_bytes(table) & !0x7f,
        })
    }

    /// Reads the frame.
    pub(super) fn frame(&self, memory: &GuestMemory) -> Option<Frame> {
        let mut frame = [0; 20];
        memory.read(self.table, &mut frame).ok()?;
        if frame[0] != HOST_TO_DEVICE {
            return None;
        }
        if frame[1] & 0x80 == 0 {
            return Some(Frame::Control(frame[15]));
        }
        let pair = |current: u8, previous: u8| Pair { current, previous };
        let mut registers = TaskFile::absent();
        registers.features = pair(frame[3], frame[11]);
        registers.low = pair(frame[4], frame[8]);
        registers.middle = pair(frame[5], frame[9]);
        registers.high = pair(frame[6], frame[10]);
        registers.device = frame[7];
        registers.count = pair(frame[12], frame[13]);
        Some(Frame::Command {
            registers,
            code: frame[2],
        })
    }

    /// Reads the 16 bytes of a packet.
    pub(super) fn packet_bytes(&self, memory: &GuestMemory) -> Option<[u8; 16]> {
        let mut packet = [0; 16];
        memory
            .read(self.table.checked_add(PACKET)?, &mut packet)
            .ok()?;
        Some(packet)
    }

    /// The guest memory that the descriptors name, up to `length` bytes, and whether one of them asks for an interrupt. None when
    /// a descriptor or what it names is not memory.
    pub(super) fn buffer(&self, memory: &GuestMemory, length: u64) -> Option<(GuestBuffer, bool)> {
        let mut buffer = GuestBuffer::new(memory.clone());
        let mut interrupt = false;
        let mut bytes = [0; 32 * DESCRIPTOR];
        let mut address = self.table.checked_add(DESCRIPTORS)?;
        let mut left = usize::from(self.descriptors);
        let mut wanted = usize::try_from(length).ok()?;
        while left > 0 && wanted > 0 {
            let part = bytes.get_mut(..left.min(32) * DESCRIPTOR)?;
            memory.read(address, part).ok()?;
            for descriptor in part.chunks_exact(DESCRIPTOR) {
                let (base, flags) = (descriptor.get(..8)?, descriptor.get(12..16)?);
                let base = u64::from_le_bytes(base.try_into().ok()?) & !1;
                let flags = u32::from_le_bytes(flags.try_into().ok()?);
                // The count is one less than what it means; its lowest bit is always set.
                let count = usize::try_from((flags & 0x003f_ffff) | 1).ok()? + 1;
                let count = count.min(wanted);
                buffer.push(base, count).ok()?;
                interrupt |= flags >> 31 != 0;
                wanted -= count;
                if wanted == 0 {
                    break;
                }
            }
            left -= left.min(32);
            address = address.checked_add(bytes.len() as u64)?;
        }
        Some((buffer, interrupt))
    }

    /// Says in the header how many bytes were moved.
    pub(super) fn set_moved(&self, memory: &GuestMemory, bytes: u64) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        if let Some(at) = self.address.checked_add(4)
            && let Err(error) = memory.write(at, &bytes.to_le_bytes())
        {
            tracing::debug!(%error, "a command header went away");
        }
    }
}

/// Where a port's received frames go, if the guest has enabled that.
#[derive(Debug, Clone, Copy)]
pub(super) struct Received(pub Option<u64>);

impl Received {
    fn put(self, memory: &GuestMemory, offset: u64, frame: &[u8]) {
        if let Some(at) = self.0.and_then(|base| base.checked_add(offset))
            && let Err(error) = memory.write(at, frame)
        {
            tracing::debug!(%error, "a received frame went nowhere");
        }
    }

    /// The device's registers.
    pub(super) fn registers(self, memory: &GuestMemory, registers: &TaskFile) {
        let mut frame = [0; 20];
        fill(&mut frame, DEVICE_TO_HOST, registers);
        self.put(memory, REGISTERS_OFFSET, &frame);
    }

    /// The queued commands with these tags have ended.
    pub(super) fn device_bits(self, memory: &GuestMemory, registers: &TaskFile, tags: u32) {
        let mut frame = [0; 8];
        frame[0] = SET_DEVICE_BITS;
        frame[1] = INTERRUPT;
        frame[2] = registers.status & CARRIED;
        frame[3] = registers.error;
        frame[4..].copy_from_slice(&tags.to_le_bytes());
        self.put(memory, DEVICE_BITS_OFFSET, &frame);
    }

    /// Data of `length` bytes comes or goes by programmed I/O, after which the status is `end_status`.
    pub(super) fn pio_setup(
        self,
        memory: &GuestMemory,
        registers: &TaskFile,
        to_host: bool,
        end_status: u8,
        length: u64,
    ) {
        let mut frame = [0; 20];
        fill(&mut frame, PIO_SETUP, registers);
        frame[1] |= u8::from(to_host) << 5;
        frame[15] = end_status;
        let [low, high, ..] = length.to_le_bytes();
        frame[16] = low;
        frame[17] = high;
        self.put(memory, PIO_SETUP_OFFSET, &frame);
    }
}

fn fill(frame: &mut [u8; 20], kind: u8, registers: &TaskFile) {
    frame[0] = kind;
    frame[1] = INTERRUPT;
    frame[2] = registers.status;
    frame[3] = registers.error;
    frame[4] = registers.low.current;
    frame[5] = registers.middle.current;
    frame[6] = registers.high.current;
    frame[7] = registers.device;
    frame[8] = registers.low.previous;
    frame[9] = registers.middle.previous;
    frame[10] = registers.high.previous;
    frame[12] = registers.count.current;
    frame[13] = registers.count.previous;
}
