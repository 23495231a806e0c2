//! One port: its registers, and what starts, stops and resets it.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::disk::queue::DiskQueue;
use crate::memory::GuestMemory;
use crate::storage::TrayObserver;
use crate::storage::ata::disk::Disk;
use crate::storage::ata::packet::PacketDevice;
use crate::storage::ata::task_file::{Signature, TaskFile, device, error, status};

use super::command::Active;
use super::controller::Host;
use super::list::Received;
use super::registers::{
    DETECT_MASK, DETECT_OFF, DETECT_RESET, EXCHANGED, LINK_UP, command, interrupt, port,
};

/// What is connected to a port.
pub(super) enum Drive {
    /// Nothing.
    Absent,
    /// A hard disk.
    Disk(Disk),
    /// A CD or DVD drive.
    Optical(PacketDevice),
}

/// Status of a port without a device.
const NO_DEVICE_STATUS: u8 = 0x7f;
const NO_SIGNATURE: u32 = 0xffff_ffff;
const READY: u8 = status::READY | status::SEEK;

/// A port, its drive, and the drive's queue.
pub(super) struct Port {
    pub(super) number: usize,
    pub(super) memory: GuestMemory,
    pub(super) state: Mutex<PortState>,
    /// None without a drive.
    pub(super) queue: Option<DiskQueue>,
    pub(super) host: Weak<Host>,
    pub(super) observer: Mutex<Option<TrayObserver>>,
}

/// What the lock guards.
pub(super) struct PortState {
    pub(super) drive: Drive,
    /// The device's registers.
    pub(super) registers: TaskFile,
    command_list: u64,
    received: u64,
    pub(super) interrupt_status: u32,
    interrupt_enable: u32,
    command: u32,
    signature: u32,
    control: u32,
    error: u32,
    pub(super) issue: u32,
    /// The tags of queued commands that have not ended, as the guest sees them.
    pub(super) tags: u32,
    /// Those that the drive has in its queue.
    pub(super) under_way: u32,
    /// The slot that was looked at last.
    pub(super) slot: u32,
    pub(super) active: Option<Active>,
    /// Counts resets and stops: what completes for an earlier one is dropped.
    pub(super) generation: u64,
    /// A command failed: nothing more is carried out before the port is started anew.
    pub(super) halted: bool,
    /// The device is held in a software reset.
    pub(super) in_reset: bool,
    pub(super) asleep: bool,
    /// The signature has not been received by the guest's memory yet.
    signature_due: bool,
}

impl PortState {
    pub(super) fn new(drive: Drive) -> Self {
        let mut state = Self {
            drive,
            registers: TaskFile::absent(),
            command_list: 0,
            received: 0,
            interrupt_status: 0,
            interrupt_enable: 0,
            command: 0,
            signature: NO_SIGNATURE,
            control: 0,
            error: 0,
            issue: 0,
            tags: 0,
            under_way: 0,
            slot: 0,
            active: None,
            generation: 0,
            halted: false,
            in_reset: false,
            asleep: false,
            signature_due: false,
        };
        state.power_on();
        state
    }

    pub(super) fn present(&self) -> bool {
        !matches!(self.drive, Drive::Absent)
    }

    /// Registers and drive as after power-on.
    fn power_on(&mut self) {
        self.abandon();
        match &mut self.drive {
            Drive::Absent => {}
            Drive::Disk(disk) => disk.power_on(),
            Drive::Optical(drive) => drive.power_on(),
        }
        self.reset_registers();
    }

    /// The port's registers as after a reset of the controller; addresses too.
    fn reset_registers(&mut self) {
        self.abandon();
        self.command_list = 0;
        self.received = 0;
        self.interrupt_status = 0;
        self.interrupt_enable = 0;
        self.command = 0;
        self.control = 0;
        self.error = 0;
        self.link_up();
    }

    /// Forgets the command under way and those that wait.
    fn abandon(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        self.active = None;
        self.issue = 0;
        self.tags = 0;
        self.under_way = 0;
        self.halted = false;
    }

    /// The link comes up: the device says what it is.
    fn link_up(&mut self) {
        if self.present() {
            self.error |= EXCHANGED;
        }
        self.device_reset();
    }

    /// The device starts anew, as after a software reset.
    pub(super) fn device_reset(&mut self) {
        self.asleep = false;
        self.in_reset = false;
        let (signature, ready) = match &mut self.drive {
            Drive::Absent => {
                self.registers = TaskFile::absent();
                self.registers.status = NO_DEVICE_STATUS;
                self.signature = NO_SIGNATURE;
                return;
            }
            Drive::Disk(disk) => {
                disk.soft_reset();
                (Signature::Ata, READY)
            }
            Drive::Optical(drive) => {
                drive.soft_reset();
                (Signature::Atapi, 0)
            }
        };
        self.registers.set_signature(signature);
        self.registers.device = device::ALWAYS;
        self.registers.status = ready;
        self.registers.error = error::DIAGNOSTICS_PASSED;
        self.signature = u32::from_le_bytes([
            self.registers.count.current,
            self.registers.low.current,
            self.registers.middle.current,
            self.registers.high.current,
        ]);
        self.signature_due = true;
    }

    /// Where received frames go.
    pub(super) fn received(&self) -> Received {
        let enabled = self.command & command::RECEIVE_ENABLE != 0;
        Received(enabled.then_some(self.received))
    }

    /// The guest gets the signature once it takes frames.
    fn send_signature(&mut self, memory: &GuestMemory) {
        if self.signature_due && self.command & command::RECEIVE_ENABLE != 0 {
            self.signature_due = false;
            self.received().registers(memory, &self.registers);
            self.interrupt_status |= interrupt::REGISTERS;
        }
    }

    /// Sends the signature anew, after a software reset.
    pub(super) fn signature_again(&mut self, memory: &GuestMemory) {
        self.signature_due = true;
        self.send_signature(memory);
    }

    pub(super) fn command_list(&self) -> u64 {
        self.command_list
    }

    pub(super) fn runs(&self) -> bool {
        self.command & command::START != 0 && !self.halted
    }

    /// Whether the port asks for an interrupt.
    pub(super) fn interrupts(&self) -> bool {
        self.shown_interrupts() & self.interrupt_enable != 0
    }

    /// The interrupt status register: the change of the connection follows the error register.
    fn shown_interrupts(&self) -> u32 {
        let change = if self.error & EXCHANGED != 0 {
            interrupt::CONNECT_CHANGE
        } else {
            0
        };
        self.interrupt_status | change
    }
}

impl Port {
    /// Whether nothing of an earlier command still reaches memory.
    fn settled(&self) -> bool {
        self.queue.as_ref().is_none_or(DiskQueue::is_settled)
    }

    pub(super) fn abandon_requests(&self) {
        if let Some(queue) = &self.queue {
            queue.abandon();
        }
    }

    /// Waits until nothing of this port is under way.
    pub(super) fn drain(&self) {
        if let Some(queue) = &self.queue {
            queue.drain();
        }
    }

    /// Calls `access` under the lock, starts what can start, and tells the controller and the one who watches what came of it.
    pub(super) fn with<R>(self: &Arc<Self>, access: impl FnOnce(&mut PortState) -> R) -> R {
        let (result, interrupts, moved) = {
            let mut state = self.state.lock();
            let result = access(&mut state);
            self.advance(&mut state);
            let moved = match &mut state.drive {
                Drive::Optical(drive) => drive.optical.take_tray_move(),
                _ => None,
            };
            (result, state.interrupts(), moved)
        };
        if let Some(host) = self.host.upgrade() {
            host.port_interrupts(self.number, interrupts);
        }
        if let Some(medium) = moved {
            drop(medium);
            let observer = self.observer.lock().clone();
            if let Some(observer) = observer {
                observer(self.number);
            }
        }
        result
    }

    /// Reads the register at `offset` of the port's.
    pub(super) fn read(&self, offset: u64) -> u32 {
        let state = self.state.lock();
        let half = |address: u64, high: bool| {
            let [a, b, c, d, e, f, g, h] = address.to_le_bytes();
            u32::from_le_bytes(if high { [e, f, g, h] } else { [a, b, c, d] })
        };
        match offset {
            port::COMMAND_LIST => half(state.command_list, false),
            port::COMMAND_LIST_HIGH => half(state.command_list, true),
            port::RECEIVED => half(state.received, false),
            port::RECEIVED_HIGH => half(state.received, true),
            port::INTERRUPT_STATUS => state.shown_interrupts(),
            port::INTERRUPT_ENABLE => state.interrupt_enable,
            port::COMMAND => self.read_command(&state),
            port::TASK_FILE => {
                let status = if state.active.is_some() || state.in_reset {
                    state.registers.status | status::BUSY
                } else {
                    state.registers.status
                };
                u32::from(status) | u32::from(state.registers.error) << 8
            }
            port::SIGNATURE => state.signature,
            port::STATUS => match state.control & DETECT_MASK {
                DETECT_OFF | DETECT_RESET => 0,
                _ if state.present() => LINK_UP,
                _ => 0,
            },
            port::CONTROL => state.control,
            port::ERROR => state.error,
            port::ACTIVE => state.tags,
            port::ISSUE => state.issue,
            _ => 0,
        }
    }

    /// The port runs until what was under way has come to rest.
    fn read_command(&self, state: &PortState) -> u32 {
        let mut value = state.command | command::SPIN_UP | command::POWER_ON;
        let starts = state.command & command::START != 0;
        if starts || !self.settled() {
            value |= command::LIST_RUNNING;
        }
        if state.command & command::RECEIVE_ENABLE != 0 || !self.settled() {
            value |= command::RECEIVE_RUNNING;
        }
        if starts {
            value |= state.slot << command::SLOT_SHIFT;
        }
        value
    }

    /// Writes the register at `offset` of the port's.
    pub(super) fn write(self: &Arc<Self>, offset: u64, value: u32) {
        self.with(|state| match offset {
            port::COMMAND_LIST => set_half(&mut state.command_list, value & !0x3ff, false),
            port::COMMAND_LIST_HIGH => set_half(&mut state.command_list, value, true),
            port::RECEIVED => set_half(&mut state.received, value & !0xff, false),
            port::RECEIVED_HIGH => set_half(&mut state.received, value, true),
            port::INTERRUPT_STATUS => {
                state.interrupt_status &= !(value & interrupt::CLEARED_BY_ONES);
            }
            port::INTERRUPT_ENABLE => {
                state.interrupt_enable = value & interrupt::ENABLE_WRITABLE;
            }
            port::COMMAND => self.write_command(state, value),
            port::CONTROL => self.write_control(state, value),
            port::ERROR => state.error &= !value,
            port::ACTIVE if state.command & command::START != 0 => state.tags |= value,
            port::ISSUE if state.command & command::START != 0 => state.issue |= value,
            _ => {}
        });
    }

    fn write_command(&self, state: &mut PortState, value: u32) {
        let was = state.command;
        state.command = value & command::WRITABLE;
        if was & command::START != 0 && value & command::START == 0 {
            state.abandon();
            self.abandon_requests();
        }
        if value & command::START != 0 && was & command::START == 0 {
            state.halted = false;
        }
        if value & command::OVERRIDE != 0 {
            state.registers.status &= !(status::BUSY | status::DATA);
        }
        state.send_signature(&self.memory);
    }

    fn write_control(&self, state: &mut PortState, value: u32) {
        let (was, is) = (state.control & DETECT_MASK, value & DETECT_MASK);
        state.control = value & 0xfff;
        if was != DETECT_RESET && is == DETECT_RESET {
            state.abandon();
            self.abandon_requests();
            state.registers.status = NO_DEVICE_STATUS;
            state.signature = NO_SIGNATURE;
        } else if was != is && is == 0 {
            state.link_up();
            state.send_signature(&self.memory);
        }
    }

    /// The controller is reset by software, or with the machine if `power_on`.
    pub(super) fn reset(self: &Arc<Self>, power_on: bool) {
        self.abandon_requests();
        self.with(|state| {
            if power_on {
                state.power_on();
            } else {
                state.reset_registers();
            }
        });
    }

    /// Whether a reset of the controller has not come to its end here.
    pub(super) fn resetting(&self) -> bool {
        !self.settled()
    }
}

fn set_half(address: &mut u64, value: u32, high: bool) {
    *address = if high {
        *address & 0xffff_ffff | u64::from(value) << 32
    } else {
        *address & !0xffff_ffff | u64::from(value)
    };
}
