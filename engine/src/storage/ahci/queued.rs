//! Native command queueing: reads and writes of which many are under way at once and end in any order. Serial ATA 2.6, sections
//! 11.14 and 13.6; the commands are ATA8-ACS's READ and WRITE FPDMA QUEUED.

use std::sync::Arc;

use crate::disk::queue::{Buffer, Done, Failure, Kind, Request};
use crate::storage::ata::disk::{FailedCommand, show_failed_sector};
use crate::storage::ata::task_file::{TaskFile, error, status};

use super::command::READY;
use super::list::Header;
use super::port::{Drive, Port, PortState};
use super::registers::interrupt;

/// READ FPDMA QUEUED.
const READ: u8 = 0x60;
/// WRITE FPDMA QUEUED.
const WRITE: u8 = 0x61;
/// The device register's bit that asks for data on the medium before the end (FUA).
const THROUGH: u8 = 1 << 7;

/// A command of the queue's, as far as its end needs it.
#[derive(Clone, Copy)]
struct Queued {
    tag: u32,
    registers: TaskFile,
    /// A descriptor asks for an interrupt.
    interrupt: bool,
}

impl PortState {
    /// Whether command `code` is one that the drive queues.
    pub(super) fn queues(&self, code: u8) -> bool {
        matches!(self.drive, Drive::Disk(_)) && !self.asleep && matches!(code, READ | WRITE)
    }
}

impl Port {
    /// The drive takes a command into its queue.
    pub(super) fn start_queued(
        self: &Arc<Self>,
        state: &mut PortState,
        slot: u32,
        header: Header,
        registers: TaskFile,
        code: u8,
    ) {
        let bit = 1 << slot;
        state.registers.error = 0;
        state.registers.status = READY;
        state.issue &= !bit;
        state.tags |= bit;
        let mut queued = Queued {
            tag: slot,
            registers,
            interrupt: false,
        };
        // A command's tag is the number of its slot, and names one command at a time.
        let known = state.under_way & bit != 0;
        if known || u32::from(registers.count.current >> 3) != slot {
            self.fail_queued(state, queued, error::ABORTED);
            return;
        }
        let Drive::Disk(disk) = &mut state.drive else {
            return;
        };
        let place = disk.queued_sectors(&mut queued.registers, code == WRITE);
        let through = registers.device & THROUGH != 0 || !disk.write_cache();
        let image = Arc::clone(&disk.image);
        let (offset, length) = match place {
            Ok(place) => place,
            Err(code) => return self.fail_queued(state, queued, code),
        };
        let Some((buffer, asks)) = header
            .buffer(&self.memory, length)
            .filter(|(buffer, _)| buffer.len() as u64 == length)
        else {
            state.interrupt_status |= interrupt::OVERFLOW;
            return self.fail_queued(state, queued, error::ABORTED);
        };
        queued.interrupt = asks;
        state.under_way |= bit;
        let request = Request {
            kind: match code {
                WRITE => Kind::Write { through },
                _ => Kind::Read,
            },
            offset,
            buffer: Buffer::Guest(buffer),
        };
        self.hand_over(state, &image, request, move |port, state, done| {
            port.queued_done(state, queued, done);
        });
    }

    fn queued_done(&self, state: &mut PortState, mut queued: Queued, done: &Done) {
        if let Err(failure) = &done.result {
            if let Failure::Image {
                offset: Some(offset),
                ..
            } = failure
            {
                show_failed_sector(&mut queued.registers, *offset);
            }
            return self.fail_queued(state, queued, error::UNCORRECTABLE);
        }
        let bit = 1 << queued.tag;
        state.under_way &= !bit;
        state.tags &= !bit;
        state
            .received()
            .device_bits(&self.memory, &state.registers, bit);
        state.interrupt_status |= interrupt::DEVICE_BITS;
        if queued.interrupt {
            state.interrupt_status |= interrupt::DESCRIPTOR;
        }
    }

    /// The drive forgets what it has queued.
    pub(super) fn give_up_queued(&self, state: &mut PortState) {
        if state.under_way == 0 {
            return;
        }
        state.under_way = 0;
        state.generation = state.generation.wrapping_add(1);
        self.abandon_requests();
    }

    /// A command of the queue failed, with `code` in the error register: it and all the others stay where they are until the guest
    /// has asked which one it was and starts the port anew. What still is on its way to the guest's memory or the image gets there.
    fn fail_queued(&self, state: &mut PortState, queued: Queued, code: u8) {
        self.give_up_queued(state);
        state.halted = true;
        state.registers.error = code;
        state.registers.status = READY & !status::SEEK | status::ERROR;
        if let Drive::Disk(disk) = &mut state.drive {
            disk.failed = Some(FailedCommand {
                tag: u8::try_from(queued.tag).unwrap_or(0),
                registers: TaskFile {
                    status: state.registers.status,
                    error: code,
                    ..queued.registers
                },
            });
        }
        state
            .received()
            .device_bits(&self.memory, &state.registers, 0);
        state.interrupt_status |= interrupt::DEVICE_BITS | interrupt::TASK_FILE_ERROR;
    }
}
