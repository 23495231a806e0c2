//! One channel: the registers its two drives share, the lock around all of it, and the drives' queues.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::bus::InterruptLine;
use crate::disk::queue::{DiskQueue, Done, Kind};
use crate::memory::GuestMemory;
use crate::storage::TrayObserver;
use crate::storage::scsi::optical::Moved;

use super::adapter::Adapter;
use super::bus_master::Switched;
use super::unit::{Drive, Job, Unit};
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

/// A place for a drive, as it is connected.
#[derive(Default)]
pub(super) struct Place {
    pub(super) drive: Drive,
    /// None without a drive.
    pub(super) queue: Option<DiskQueue>,
}

/// A channel: its state, and what carries out its drives' requests.
pub(super) struct Channel {
    number: usize,
    state: Mutex<ChannelState>,
    queues: [Option<DiskQueue>; 2],
    pub(super) observer: Mutex<Option<TrayObserver>>,
}

/// What the lock guards.
pub(super) struct ChannelState {
    units: [Unit; 2],
    pub(super) adapter: Adapter,
    control: u8,
}

impl Channel {
    pub(super) fn new(
        number: usize,
        line: InterruptLine,
        memory: GuestMemory,
        [first, second]: [Place; 2],
    ) -> Self {
        Self {
            number,
            state: Mutex::new(ChannelState {
                units: [first.drive, second.drive].map(Unit::new),
                adapter: Adapter::new(line, memory),
                control: 0,
            }),
            queues: [first.queue, second.queue],
            observer: Mutex::default(),
        }
    }

    /// Calls `access` under the lock, gives the queues what there is to do after it, and tells the one who watches of trays that
    /// moved.
    pub(super) fn with<R>(self: &Arc<Self>, access: impl FnOnce(&mut ChannelState) -> R) -> R {
        let (result, moved) = {
            let mut state = self.state.lock();
            for (unit, queue) in state.units.iter_mut().zip(&self.queues) {
                if unit.resetting {
                    unit.resetting = !settled(queue);
                }
            }
            let result = access(&mut state);
            for (number, (unit, queue)) in state.units.iter_mut().zip(&self.queues).enumerate() {
                if let Some(queue) = queue {
                    self.employ(number, unit, queue);
                }
            }
            (result, [0, 1].map(|unit| state.take_tray_move(unit)))
        };
        for (unit, moved) in moved.into_iter().enumerate() {
            if let Some(medium) = moved {
                drop(medium);
                let observer = self.observer.lock().clone();
                if let Some(observer) = observer {
                    observer(2 * self.number + unit);
                }
            }
        }
        result
    }

    /// Has the queue forget what the drive has given up, and gives it what the drive has posted.
    fn employ(self: &Arc<Self>, number: usize, unit: &mut Unit, queue: &DiskQueue) {
        if std::mem::take(&mut unit.given_up) {
            queue.abandon();
            // What still reaches the image must not overtake what the guest does next.
            unit.resetting = !queue.is_settled();
        }
        let Some(Job { image, request }) = unit.job.take() else {
            return;
        };
        let (channel, generation) = (Arc::downgrade(self), unit.generation);
        let kind = request.kind;
        queue.submit(&image, request, move |done| {
            if let Some(channel) = channel.upgrade() {
                channel.with(|state| {
                    if state.unit(number).generation == generation {
                        state.done(number, kind, done);
                    }
                });
            }
        });
    }

    /// Waits until no drive has work, except requests about which the fault handler decides.
    pub(super) fn drain(&self) {
        for queue in self.queues.iter().flatten() {
            queue.drain();
        }
    }

    /// Lets go of the drives' images and of who watches, once what is under way has ended.
    pub(super) fn close(self: &Arc<Self>) {
        self.with(|state| {
            for unit in &mut state.units {
                unit.abandon();
            }
        });
        self.drain();
        let mut state = self.state.lock();
        let drives = [0, 1].map(|unit| std::mem::take(&mut state.unit(unit).drive));
        drop(state);
        let observer = self.observer.lock().take();
        // What they do as they go is not done under the lock.
        drop((observer, drives));
    }

    #[cfg(test)]
    pub(super) fn at_rest(&self) -> bool {
        self.queues.iter().flatten().all(DiskQueue::is_idle)
    }
}

fn settled(queue: &Option<DiskQueue>) -> bool {
    queue.as_ref().is_none_or(DiskQueue::is_settled)
}

impl ChannelState {
    pub(super) fn unit(&mut self, unit: usize) -> &mut Unit {
        &mut self.units[unit & 1]
    }

    fn take_tray_move(&mut self, unit: usize) -> Option<Moved> {
        match &mut self.unit(unit).drive {
            Drive::Optical(drive) => drive.device.optical.take_tray_move(),
            _ => None,
        }
    }

    fn done(&mut self, unit: usize, kind: Kind, done: Done) {
        let Self { units, adapter, .. } = self;
        units[unit & 1].done(adapter, kind, done);
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
            unit.status()
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
            if unit.status() & status::BUSY == 0 {
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
            let busy = |unit: &Unit| unit.status() & (status::BUSY | status::DATA) != 0;
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
