//! Offsets and bits of the registers. Serial ATA AHCI 1.3.1, chapter 3.

/// The registers that all ports share.
pub(super) mod host {
    pub(crate) const CAPABILITIES: u64 = 0x00;
    pub(crate) const CONTROL: u64 = 0x04;
    pub(crate) const INTERRUPT_STATUS: u64 = 0x08;
    pub(crate) const PORTS_IMPLEMENTED: u64 = 0x0c;
    pub(crate) const VERSION: u64 = 0x10;

    /// 64-bit addresses, native command queueing, command list override, 3 Gbit/s, AHCI only, 32 slots; the number of ports is added.
    pub(crate) const CAPABILITIES_VALUE: u32 =
        1 << 31 | 1 << 30 | 1 << 24 | 2 << 20 | 1 << 18 | 31 << 8;
    /// AHCI 1.2, as the ICH9 says.
    pub(crate) const VERSION_VALUE: u32 = 0x0001_0200;

    pub(crate) const RESET: u32 = 1 << 0;
    pub(crate) const INTERRUPT_ENABLE: u32 = 1 << 1;
    pub(crate) const AHCI_ENABLE: u32 = 1 << 31;
}

/// The first port's registers, and how far those of the next are from them.
pub(super) const FIRST_PORT: u64 = 0x100;
pub(super) const PORT_SIZE: u64 = 0x80;

/// A port's registers.
pub(super) mod port {
    pub(crate) const COMMAND_LIST: u64 = 0x00;
    pub(crate) const COMMAND_LIST_HIGH: u64 = 0x04;
    pub(crate) const RECEIVED: u64 = 0x08;
    pub(crate) const RECEIVED_HIGH: u64 = 0x0c;
    pub(crate) const INTERRUPT_STATUS: u64 = 0x10;
    pub(crate) const INTERRUPT_ENABLE: u64 = 0x14;
    pub(crate) const COMMAND: u64 = 0x18;
    pub(crate) const TASK_FILE: u64 = 0x20;
    pub(crate) const SIGNATURE: u64 = 0x24;
    pub(crate) const STATUS: u64 = 0x28;
    pub(crate) const CONTROL: u64 = 0x2c;
    pub(crate) const ERROR: u64 = 0x30;
    /// The tags of commands that a disk queues and has not ended (SActive).
    pub(crate) const ACTIVE: u64 = 0x34;
    pub(crate) const ISSUE: u64 = 0x38;
}

/// Bits of a port's command register.
pub(super) mod command {
    pub(crate) const START: u32 = 1 << 0;
    pub(crate) const SPIN_UP: u32 = 1 << 1;
    pub(crate) const POWER_ON: u32 = 1 << 2;
    pub(crate) const OVERRIDE: u32 = 1 << 3;
    pub(crate) const RECEIVE_ENABLE: u32 = 1 << 4;
    pub(crate) const RECEIVE_RUNNING: u32 = 1 << 14;
    pub(crate) const LIST_RUNNING: u32 = 1 << 15;
    /// The drive is ATAPI: software keeps it, for the activity light.
    pub(crate) const ATAPI: u32 = 1 << 24;
    pub(crate) const LIGHT: u32 = 1 << 25;
    /// What software may change as such.
    pub(crate) const WRITABLE: u32 = START | RECEIVE_ENABLE | ATAPI | LIGHT;
    /// The slot whose command is under way.
    pub(crate) const SLOT_SHIFT: u32 = 8;
}

/// Bits of a port's interrupt status and enable registers.
pub(super) mod interrupt {
    pub(crate) const REGISTERS: u32 = 1 << 0;
    pub(crate) const PIO_SETUP: u32 = 1 << 1;
    /// Queued commands ended (Set Device Bits).
    pub(crate) const DEVICE_BITS: u32 = 1 << 3;
    /// A descriptor with its interrupt bit was done.
    pub(crate) const DESCRIPTOR: u32 = 1 << 5;
    pub(crate) const CONNECT_CHANGE: u32 = 1 << 6;
    pub(crate) const OVERFLOW: u32 = 1 << 24;
    pub(crate) const HOST_DATA: u32 = 1 << 28;
    pub(crate) const TASK_FILE_ERROR: u32 = 1 << 30;
    /// What is cleared by writing ones; the rest follows other registers.
    pub(crate) const CLEARED_BY_ONES: u32 = 0xfd80_00af;
    pub(crate) const ENABLE_WRITABLE: u32 = 0xfdc0_00ff;
}

/// A port's status: a device is there at 3 Gbit/s and the link is active.
pub(super) const LINK_UP: u32 = 0x0000_0123;
/// Device detection in the control register: 1 starts a reset of the link when it goes back to 0, 4 switches the port off.
pub(super) const DETECT_MASK: u32 = 0xf;
pub(super) const DETECT_RESET: u32 = 1;
pub(super) const DETECT_OFF: u32 = 4;
/// The error register's bit that says that a device was exchanged.
pub(super) const EXCHANGED: u32 = 1 << 26;
