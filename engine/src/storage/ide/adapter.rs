//! The controller's side of a channel's cable: the interrupt and the bus master.

use crate::bus::InterruptLine;
use crate::memory::GuestMemory;

use super::bus_master::BusMaster;

/// What the drives of a channel reach through the cable.
pub(super) struct Adapter {
    line: InterruptLine,
    pending: bool,
    disabled: bool,
    level: bool,
    pub(super) bus_master: BusMaster,
    pub(super) memory: GuestMemory,
}

impl Adapter {
    pub(super) fn new(line: InterruptLine, memory: GuestMemory) -> Self {
        Self {
            line,
            pending: false,
            disabled: false,
            level: false,
            bus_master: BusMaster::default(),
            memory,
        }
    }

    /// A drive asks for the processor.
    pub(super) fn interrupt(&mut self) {
        self.pending = true;
        self.drive_line();
    }

    /// The processor has seen it: it read the status, wrote a command, or reset the drives.
    pub(super) fn acknowledge(&mut self) {
        self.pending = false;
        self.drive_line();
    }

    /// The device control register's nIEN bit.
    pub(super) fn set_disabled(&mut self, disabled: bool) {
        self.disabled = disabled;
        self.drive_line();
    }

    /// As after power-on.
    pub(super) fn reset(&mut self) {
        self.pending = false;
        self.disabled = false;
        self.bus_master = BusMaster::default();
        self.drive_line();
    }

    fn drive_line(&mut self) {
        let level = self.pending && !self.disabled;
        if level == self.level {
            return;
        }
        self.level = level;
        if level {
            self.bus_master.interrupt();
        }
        self.line.set_level(level);
    }
}
