//! One channel: the registers its two drives share, and the lock around all of it.

use parking_lot::{Condvar, Mutex};

use crate::bus::InterruptLine;
use crate::memory::GuestMemory;
use crate::storage::TrayObserver;
use crate::storage::scsi::optical::Moved;

use super::adapter::Adapter;
use super::bus_master::Switched;
use super::unit::{Drive, Unit};
use super::worker::{Outcome, Worker};
use crate::storage::ata::task_file::{device, status};

/// Device control register: show what was written before the last time.
const SHOW_PREVIOUS: u8 = 0x80;
/// Device control register: software reset while set.
const SOFTWARE_RESET: u8 = 0x04;
/// Device control register: no interrupts (nIEN).
const NO_INTERRUPTS: u8 = 0x02;

/// The number of the data port among the command block registers.
pub(super) const DATA_PORT: u16 = 0;
/// The number of the status (read) and command (write) register.
const STATUS_COMMAND: u16 = 7;

/// A channel: its state, and what its drives' threads wait on.
pub(super) struct Channel {
    number: usize,
    pub(super) state: Mutex<ChannelState>,
    /// Signalled when a drive's thread comes to rest.
    pub(super) settled: Condvar,
    wake: [Condvar; 2],
}

/// What the lock guards.
pub(super) struct ChannelState {
    pub(super) units: [Unit; 2],
    pub(super) adapter: Adapter,
    control: u8,
    /// The drives' threads end.
    pub(super) closed: bool,
    pub(super) observer: Option<TrayObserver>,
}

impl Channel {
    pub(super) fn new(
        number: usize,
        line: InterruptLine,
        memory: GuestMemory,
        drives: [Drive; 2],
    ) -> Self {
        Self {
            number,
            state: Mutex::new(ChannelState {
                units: drives.map(Unit::new),
                adapter: Adapter::new(line, memory),
                control: 0,
                closed: false,
                observer: None,
            }),
            settled: Condvar::new(),
            wake: [Condvar::new(), Condvar::new()],
        }
    }

    /// The number of the place among the controller's.
    pub(super) fn place(&self, unit: usize) -> usize {
        2 * self.number + unit
    }

    pub(super) fn wake(&self, unit: usize) -> &Condvar {
        &self.wake[unit & 1]
    }

    /// Calls `access` under the lock and wakes the threads that have something to do after it.
    pub(super) fn with<R>(&self, access: impl FnOnce(&mut ChannelState) -> R) -> R {
        let mut state = self.state.lock();
        let result = access(&mut state);
        for unit in 0..2 {
            if state.has_work(unit) {
                self.wake(unit).notify_one();
            }
        }
        result
    }

    /// Waits until no drive's thread has work, except those that wait for the fault handler.
    pub(super) fn drain(&self) {
        let mut state = self.state.lock();
        while (0..2).any(|unit| state.unsettled(unit)) {
            self.settled.wait(&mut state);
        }
    }

    /// Lets the drives' threads end, and go of the drives' images and of who watches. Returns, for each thread, whether it ends
    /// by itself now rather than when the fault handler lets go of it.
    pub(super) fn close(&self) -> [bool; 2] {
        {
            let mut state = self.state.lock();
            state.closed = true;
            for wake in &self.wake {
                wake.notify_all();
            }
            for unit in &mut state.units {
                unit.abandon();
            }
        }
        self.drain();
        let mut state = self.state.lock();
        let ending = [0, 1].map(|unit| state.unit(unit).worker != Worker::Deciding);
        let observer = state.observer.take();
        let drives =
            [0, 1].map(|unit| std::mem::replace(&mut state.unit(unit).drive, Drive::Absent));
        drop(state);
        // What they do as they go is not done under the lock.
        drop((observer, drives));
        ending
    }
}

impl ChannelState {
    pub(super) fn unit(&mut self, unit: usize) -> &mut Unit {
        &mut self.units[unit & 1]
    }

    fn unsettled(&mut self, unit: usize) -> bool {
        let waits = self.has_work(unit) && !self.closed;
        match self.unit(unit).worker {
            Worker::Idle => waits,
            Worker::Busy => true,
            Worker::Deciding => false,
        }
    }

    #[cfg(test)]
    pub(super) fn at_rest(&self) -> bool {
        (0..2).all(|unit| !self.has_work(unit) && self.units[unit].worker == Worker::Idle)
    }

    fn has_work(&self, unit: usize) -> bool {
        let unit = &self.units[unit & 1];
        unit.job.is_some()
            || matches!(&unit.drive, Drive::Optical(drive) if drive.device.optical.tray_moved())
    }

    pub(super) fn take_tray_move(&mut self, unit: usize) -> Option<Moved> {
        match &mut self.unit(unit).drive {
            Drive::Optical(drive) => drive.device.optical.take_tray_move(),
            _ => None,
        }
    }

    pub(super) fn worker_done(&mut self, unit: usize, outcome: Outcome) {
        let Self { units, adapter, .. } = self;
        units[unit & 1].worker_done(adapter, outcome);
    }

    /// The place that the device register selects.
    fn selected(&self) -> usize {
        usize::from(self.units[0].registers.device & device::SECOND != 0)
    }

    fn empty(&self) -> bool {
        !self.units.iter().any(Unit::present)
    }

    /// Reads one of the registers 1 to 7 of the selected drive. Nothing is connected to an empty channel: it reads as zero. For
    /// a missing drive the other one holds the registers but shows no status.
    pub(super) fn read_register(&mut self, register: u16) -> u8 {
        if self.empty() {
            return 0;
        }
        if register == STATUS_COMMAND {
            if self.units[self.selected()].present() {
                self.adapter.acknowledge();
            }
            return self.status();
        }
        let previous = self.control & SHOW_PREVIOUS != 0;
        self.units[self.selected()]
            .registers
            .read(register, previous)
    }

    /// The alternate status register: the status without its effect on the interrupt.
    pub(super) fn status(&self) -> u8 {
        let unit = &self.units[self.selected()];
        if !unit.present() {
            0
        } else if self.control & SOFTWARE_RESET != 0 {
            status::BUSY
        } else {
            unit.registers.status
        }
    }

    /// Writes one of the registers 1 to 7. Both drives take it; only the selected one carries out a command.
    pub(super) fn write_register(&mut self, register: u16, value: u8) {
        self.control &= !SHOW_PREVIOUS;
        if self.control & SOFTWARE_RESET != 0 {
            return;
        }
        if register == STATUS_COMMAND {
            self.command(value);
            return;
        }
        for unit in &mut self.units {
            // The registers of a busy drive cannot be written; which drive is selected always can.
            if unit.registers.status & status::BUSY == 0 {
                unit.registers.write(register, value);
            } else if register == 6 {
                unit.registers.device =
                    (unit.registers.device & !device::SECOND) | (value & device::SECOND);
            }
        }
    }

    fn command(&mut self, code: u8) {
        const EXECUTE_DEVICE_DIAGNOSTIC: u8 = 0x90;
        let selected = self.selected();
        if code == EXECUTE_DEVICE_DIAGNOSTIC {
            let busy = |unit: &Unit| unit.registers.status & (status::BUSY | status::DATA) != 0;
            if !self.empty() && !self.units.iter().any(busy) {
                self.reset_units();
                self.adapter.interrupt();
            }
            return;
        }
        if self.units[selected].present() {
            self.adapter.acknowledge();
        }
        self.units[selected].command(&mut self.adapter, code);
    }

    /// Writes the device control register.
    pub(super) fn write_control(&mut self, value: u8) {
        let (was, is) = (
            self.control & SOFTWARE_RESET != 0,
            value & SOFTWARE_RESET != 0,
        );
        self.control = value;
        self.adapter.set_disabled(value & NO_INTERRUPTS != 0);
        if !was && is {
            self.adapter.acknowledge();
            for unit in &mut self.units {
                unit.abandon();
            }
        } else if was && !is {
            self.reset_units();
        }
    }

    /// Both drives start anew and the first is selected.
    fn reset_units(&mut self) {
        for unit in &mut self.units {
            unit.reset();
            unit.registers.device = device::ALWAYS;
        }
        self.adapter.acknowledge();
    }

    /// As after power-on.
    pub(super) fn power_on(&mut self) {
        self.control = 0;
        for unit in &mut self.units {
            unit.power_on();
        }
        self.adapter.reset();
    }

    /// Reads the data port in items of `width` bytes.
    pub(super) fn read_data(&mut self, width: usize, data: &mut [u8]) {
        let selected = self.selected();
        self.units[selected].read_data(&mut self.adapter, width, data);
    }

    /// Writes the data port in items of `width` bytes.
    pub(super) fn write_data(&mut self, width: usize, data: &[u8]) {
        let selected = self.selected();
        self.units[selected].write_data(&mut self.adapter, width, data);
    }

    /// Writes one of the bus master's registers (0 to 7).
    pub(super) fn write_bus_master(&mut self, offset: u64, value: u8) {
        match self.adapter.bus_master.write(offset, value) {
            Switched::Not => {}
            Switched::On => {
                for unit in &mut self.units {
                    unit.bus_master_runs(&mut self.adapter);
                }
            }
            Switched::Off => {
                for unit in &mut self.units {
                    unit.bus_master_stopped();
                }
            }
        }
    }
}
