//! One command, from its slot in the guest's list to its end.

use std::sync::Arc;

use crate::disk::Image;
use crate::disk::queue::{Buffer, Done, Failure, Kind, Request};
use crate::memory::GuestBuffer;
use crate::storage::ata::disk::{Access, Block, Effect, SECTOR, show_failed_sector};
use crate::storage::ata::packet::PacketEffect;
use crate::storage::ata::task_file::{TaskFile, device, error, status};
use crate::storage::scsi::Sense;
use crate::storage::scsi::command::Command;
use crate::storage::scsi::optical::Response;

use super::list::{Frame, Header};
use super::port::{Drive, Port, PortState};
use super::registers::interrupt;

/// Ready, nothing to report.
pub(super) const READY: u8 = status::READY | status::SEEK;
/// Interrupt reason of a packet command that is done.
const REASON_COMPLETE: u8 = 3;
/// The device control register's reset bit.
const SOFTWARE_RESET: u8 = 1 << 2;

/// The command under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Active {
    slot: u32,
    header: Header,
    /// It is a packet's.
    packet: bool,
    /// Its data goes by programmed I/O, which has a frame of its own.
    pio: bool,
    /// A descriptor asks for an interrupt.
    interrupt: bool,
}

/// How a command ended.
enum End {
    /// Well, with this many bytes moved; `to_host`: to the guest.
    Good { moved: u64, to_host: bool },
    /// With this in the error register.
    Failed(u8),
}

impl Port {
    /// Starts commands that wait, until one is under way.
    pub(super) fn advance(self: &Arc<Self>, state: &mut PortState) {
        // Each turn takes a slot out of `issue`, halts or leaves a command under way.
        while state.runs() && state.active.is_none() && state.issue != 0 {
            let slot = next_slot(state.issue, state.slot);
            let header = Header::read(&self.memory, state.command_list(), slot);
            let frame = header.and_then(|header| Some((header, header.frame(&self.memory)?)));
            let Some((header, frame)) = frame else {
                // The list or the table is not memory.
                state.interrupt_status |= interrupt::HOST_DATA;
                state.halted = true;
                return;
            };
            match frame {
                Frame::Command { registers, code } if state.queues(code) => {
                    state.slot = slot;
                    self.start_queued(state, slot, header, registers, code);
                }
                Frame::Control(value) => {
                    state.slot = slot;
                    self.give_up_queued(state);
                    self.control(state, slot, &header, value);
                }
                // What is not queued waits for what is.
                Frame::Command { .. } if state.under_way != 0 => return,
                Frame::Command { registers, code } => {
                    state.slot = slot;
                    self.start(state, slot, header, registers, code);
                }
            }
        }
    }

    /// The device control register: a software reset begins, or ends.
    fn control(&self, state: &mut PortState, slot: u32, header: &Header, value: u8) {
        state.issue &= !(1 << slot);
        if value & SOFTWARE_RESET != 0 {
            state.in_reset = !header.clear_busy;
        } else if state.present() {
            state.device_reset();
            state.signature_again(&self.memory);
        }
    }

    fn start(
        self: &Arc<Self>,
        state: &mut PortState,
        slot: u32,
        header: Header,
        registers: TaskFile,
        code: u8,
    ) {
        let keep = state.registers;
        state.active = Some(Active {
            slot,
            header,
            packet: false,
            pio: false,
            interrupt: false,
        });
        if state.asleep {
            // Only a reset wakes the device; the command never ends.
            return;
        }
        state.registers = TaskFile {
            error: 0,
            status: READY,
            device: registers.device | device::ALWAYS,
            ..registers
        };
        match &mut state.drive {
            Drive::Absent => {
                state.registers = keep;
                self.end(state, End::Failed(error::ABORTED));
            }
            Drive::Disk(disk) => {
                let effect = disk.execute(&mut state.registers, code);
                let image = Arc::clone(&disk.image);
                self.disk_effect(state, &image, effect);
            }
            Drive::Optical(drive) => {
                const DEVICE_RESET: u8 = 0x08;
                if code == DEVICE_RESET {
                    state.device_reset();
                    self.end_without_registers(state);
                    return;
                }
                match drive.execute(&mut state.registers, code) {
                    PacketEffect::Packet => self.packet(state),
                    PacketEffect::Complete => self.end_well(state),
                    PacketEffect::Fail(code) => self.end(state, End::Failed(code)),
                    PacketEffect::Answer(data) => self.answer(state, &data, true),
                    PacketEffect::Sleep => {
                        state.asleep = true;
                        self.end_well(state);
                    }
                }
            }
        }
    }

    fn disk_effect(
        self: &Arc<Self>,
        state: &mut PortState,
        image: &Arc<dyn Image>,
        effect: Effect,
    ) {
        match effect {
            Effect::Complete => self.end_well(state),
            Effect::Fail(code) => self.end(state, End::Failed(code)),
            Effect::Answer(data) => self.answer(state, &data, true),
            Effect::TakeBuffer => {
                let mut data = vec![0; usize::try_from(SECTOR).unwrap_or(0)];
                match self.buffer(state, SECTOR) {
                    Some(buffer) if buffer.len() == data.len() => {
                        buffer.read(0, &mut data);
                        if let Drive::Disk(disk) = &mut state.drive {
                            disk.set_buffer(data);
                        }
                        let moved = SECTOR;
                        let to_host = false;
                        self.set_pio(state);
                        self.end(state, End::Good { moved, to_host });
                    }
                    _ => self.data_fault(state),
                }
            }
            Effect::Sectors {
                access,
                offset,
                length,
            } => self.sectors(state, image, access, offset, length),
            Effect::Flush => self.submit(state, image, Kind::Flush, 0, Buffer::None),
            Effect::Sleep => {
                state.asleep = true;
                self.submit(state, image, Kind::Flush, 0, Buffer::None);
            }
        }
    }

    fn sectors(
        self: &Arc<Self>,
        state: &mut PortState,
        image: &Arc<dyn Image>,
        access: Access,
        offset: u64,
        length: u64,
    ) {
        let (kind, block) = match access {
            Access::Verify => {
                self.submit(state, image, Kind::Verify { length }, offset, Buffer::None);
                return;
            }
            Access::Read(block) => (Kind::Read, block),
            Access::Write(block) => {
                let through = match &state.drive {
                    Drive::Disk(disk) => !disk.write_cache(),
                    _ => false,
                };
                (Kind::Write { through }, block)
            }
        };
        if block != Block::Direct {
            self.set_pio(state);
        }
        match self.buffer(state, length) {
            Some(buffer) if buffer.len() as u64 == length => {
                self.submit(state, image, kind, offset, Buffer::Guest(buffer));
            }
            _ => self.data_fault(state),
        }
    }

    /// The guest memory of the command under way, up to `length` bytes.
    fn buffer(&self, state: &mut PortState, length: u64) -> Option<GuestBuffer> {
        let active = state.active.as_mut()?;
        let (buffer, interrupt) = active.header.buffer(&self.memory, length)?;
        active.interrupt = interrupt;
        Some(buffer)
    }

    fn set_pio(&self, state: &mut PortState) {
        if let Some(active) = &mut state.active {
            active.pio = true;
        }
    }

    /// The descriptors name less than the command moves, or what is not memory.
    fn data_fault(&self, state: &mut PortState) {
        state.interrupt_status |= interrupt::OVERFLOW;
        self.end(state, End::Failed(error::ABORTED));
    }

    /// The guest gets `data`, as much of it as it has room for.
    fn answer(&self, state: &mut PortState, data: &[u8], pio: bool) {
        let Some(buffer) = self.buffer(state, data.len() as u64) else {
            self.data_fault(state);
            return;
        };
        buffer.write(0, data);
        if pio {
            self.set_pio(state);
        }
        let moved = buffer.len() as u64;
        let to_host = true;
        self.end(state, End::Good { moved, to_host });
    }

    /// Gives the image's part of the command under way to the queue.
    fn submit(
        self: &Arc<Self>,
        state: &mut PortState,
        image: &Arc<dyn Image>,
        kind: Kind,
        offset: u64,
        buffer: Buffer,
    ) {
        let request = Request {
            kind,
            offset,
            buffer,
        };
        self.hand_over(state, image, request, move |port, state, done| {
            port.done(state, kind, done);
        });
    }

    /// Gives a request to the queue; `ended` hears of its end unless a reset, a stop or another's failure came before.
    pub(super) fn hand_over(
        self: &Arc<Self>,
        state: &PortState,
        image: &Arc<dyn Image>,
        request: Request,
        ended: impl FnOnce(&Self, &mut PortState, &Done) + Send + 'static,
    ) {
        // A port without a drive has no commands that come so far.
        let Some(queue) = &self.queue else {
            return;
        };
        let (port, generation) = (Arc::downgrade(self), state.generation);
        queue.submit(image, request, move |done| {
            if let Some(port) = port.upgrade() {
                port.with(|state| {
                    if state.generation == generation {
                        ended(&port, state, &done);
                    }
                });
            }
        });
    }

    /// The queue is done with the image's part.
    fn done(&self, state: &mut PortState, kind: Kind, done: &Done) {
        let moved = match &done.buffer {
            Buffer::Guest(buffer) => buffer.len(),
            Buffer::None | Buffer::Bytes(_) => 0,
        };
        match &done.result {
            Ok(()) => {
                let end = End::Good {
                    moved: moved as u64,
                    to_host: kind == Kind::Read,
                };
                self.end(state, end);
            }
            Err(failure) => {
                if let Drive::Optical(drive) = &mut state.drive {
                    let sense = drive.optical.read_failed();
                    self.packet_failed(state, sense);
                    return;
                }
                if let Failure::Image {
                    offset: Some(offset),
                    ..
                } = failure
                {
                    show_failed_sector(&mut state.registers, *offset);
                }
                let code = match kind {
                    Kind::Read | Kind::Verify { .. } => error::UNCORRECTABLE,
                    _ => error::ABORTED,
                };
                self.end(state, End::Failed(code));
            }
        }
    }

    /// PACKET: the command stands in the table.
    fn packet(self: &Arc<Self>, state: &mut PortState) {
        let packet = state
            .active
            .as_ref()
            .filter(|active| active.header.packet)
            .and_then(|active| active.header.packet_bytes(&self.memory));
        let (Some(packet), Drive::Optical(drive)) = (packet, &mut state.drive) else {
            self.data_fault(state);
            return;
        };
        let response = drive.optical.execute(&Command::new(&packet));
        if let Some(active) = &mut state.active {
            active.packet = true;
        }
        self.respond(state, response);
    }

    fn respond(self: &Arc<Self>, state: &mut PortState, response: Response) {
        match response {
            Response::Good => self.end_well(state),
            Response::Data(data) => self.answer(state, &data, false),
            Response::Read(read) => match self.buffer(state, read.length) {
                Some(buffer) => {
                    let image = read.image;
                    self.submit(
                        state,
                        &image,
                        Kind::Read,
                        read.offset,
                        Buffer::Guest(buffer),
                    );
                }
                None => self.data_fault(state),
            },
            Response::Parameters(most) => {
                let Some(buffer) = self.buffer(state, most as u64) else {
                    self.data_fault(state);
                    return;
                };
                let mut data = vec![0; buffer.len()];
                buffer.read(0, &mut data);
                if let Drive::Optical(drive) = &mut state.drive {
                    let response = drive.optical.parameters(&data);
                    // Nothing asks for parameters twice.
                    match response {
                        Response::Failed(sense) => self.packet_failed(state, sense),
                        _ => self.end_well(state),
                    }
                }
            }
            Response::Failed(sense) => self.packet_failed(state, sense),
        }
    }

    /// CHECK CONDITION: the sense key stands in the error register.
    fn packet_failed(&self, state: &mut PortState, sense: Sense) {
        self.end(state, End::Failed(sense.key_number() << 4));
    }

    /// A command without data is done.
    fn end_well(&self, state: &mut PortState) {
        let end = End::Good {
            moved: 0,
            to_host: false,
        };
        self.end(state, end);
    }

    /// The command ends, and the device's registers stay as its reset has left them.
    fn end_without_registers(&self, state: &mut PortState) {
        if let Some(active) = state.active.take() {
            state.issue &= !(1 << active.slot);
        }
        state.signature_again(&self.memory);
    }

    /// The command under way ends: the guest is told.
    fn end(&self, state: &mut PortState, end: End) {
        let Some(active) = state.active.take() else {
            return;
        };
        if active.packet {
            state.registers.count.set(REASON_COMPLETE);
        }
        let received = state.received();
        match end {
            End::Good { moved, to_host } => {
                active.header.set_moved(&self.memory, moved);
                state.registers.status = READY;
                if active.pio && moved > 0 {
                    received.pio_setup(&self.memory, &state.registers, to_host, READY, moved);
                    state.interrupt_status |= interrupt::PIO_SETUP;
                }
                if active.interrupt {
                    state.interrupt_status |= interrupt::DESCRIPTOR;
                }
                received.registers(&self.memory, &state.registers);
                state.interrupt_status |= interrupt::REGISTERS;
                state.issue &= !(1 << active.slot);
            }
            End::Failed(code) => {
                active.header.set_moved(&self.memory, 0);
                state.registers.error = code;
                state.registers.status = status::READY | status::ERROR;
                received.registers(&self.memory, &state.registers);
                state.interrupt_status |= interrupt::REGISTERS | interrupt::TASK_FILE_ERROR;
                state.halted = true;
            }
        }
    }
}

/// The slot to be looked at next: the first with a command after `last`, in a circle.
fn next_slot(issue: u32, last: u32) -> u32 {
    let after = issue.rotate_right((last + 1) & 31).trailing_zeros();
    (after + last + 1) & 31
}
