//! ACPI's fixed registers: power management events and control, the power management timer, general purpose events.
//!
//! ACPI Specification 6.5, section 4.8 (where the bits are), Intel 82371AB (PIIX4) data sheet, order number 290562, section 7.2
//! (where the registers are). The timer counts at 3.579545 MHz in 24 bits; its status bit is set whenever bit 23 changes, every
//! 2.34 seconds. A sleep state other than S5 is not entered: the tables do not offer one.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use crate::bus::{Action, InterruptLine, IoError, IoResult};
use crate::legacy::{Clock, Wakeup};

/// The ticks of the power management timer in a second.
const TIMER_FREQUENCY: u128 = 3_579_545;
const NANOSECONDS: u128 = 1_000_000_000;
const TIMER_MASK: u32 = 0x00ff_ffff;
/// The ticks between two changes of the timer's highest bit are 2 to this power.
const TIMER_HIGHEST_BIT: u32 = 23;

const STATUS_TIMER: u16 = 1 << 0;
const STATUS_POWER_BUTTON: u16 = 1 << 8;
/// Timer, global lock, power button, real-time clock.
const ENABLE_WRITABLE: u16 = 0x0521;
const CONTROL_SCI_ENABLE: u16 = 1 << 0;
/// Interrupt enable, bus master reload, sleep type. The global release and sleep enable bits read as 0.
const CONTROL_WRITABLE: u16 = 0x1c03;
const CONTROL_SLEEP_ENABLE: u16 = 1 << 13;

/// The sleep type that switches the machine off: what the `_S5` object of the DSDT names in both of its first two elements.
pub const SOFT_OFF_SLEEP_TYPE: u8 = 0;

/// The firmware's command port, which the FADT names as SMI_CMD.
pub const COMMAND_PORT: u16 = 0xb2;
const COMMAND_DATA_PORT: u16 = 0xb3;
/// The ports of firmware commands, which every chipset has at the same place.
pub(super) const COMMAND_PORTS: RangeInclusive<u16> = COMMAND_PORT..=COMMAND_DATA_PORT;
/// What is written to [`COMMAND_PORT`] to enter ACPI mode: the FADT's ACPI_ENABLE.
pub const ACPI_ENABLE: u8 = 0xf1;
/// What is written to [`COMMAND_PORT`] to leave ACPI mode: the FADT's ACPI_DISABLE.
pub const ACPI_DISABLE: u8 = 0xf0;

/// The fixed registers, wherever a chipset puts them.
pub(super) struct PowerManagement {
    interrupt: InterruptLine,
    clock: Arc<dyn Clock>,
    wakeup: Wakeup,
    status: u16,
    enable: u16,
    control: u16,
    event_status: u16,
    event_enable: u16,
    command: u8,
    command_data: u8,
    /// How often the timer's highest bit had changed when it was last looked at.
    changes_seen: u128,
}

impl PowerManagement {
    pub(super) fn new(interrupt: InterruptLine, clock: Arc<dyn Clock>, wakeup: Wakeup) -> Self {
        let mut registers = Self {
            interrupt,
            clock,
            wakeup,
            status: 0,
            enable: 0,
            control: 0,
            event_status: 0,
            event_enable: 0,
            command: 0,
            command_data: 0,
            changes_seen: 0,
        };
        registers.changes_seen = registers.ticks() >> TIMER_HIGHEST_BIT;
        registers
    }

    pub(super) fn reset(&mut self) {
        self.status = 0;
        self.enable = 0;
        self.control = 0;
        self.event_status = 0;
        self.event_enable = 0;
        self.command = 0;
        self.command_data = 0;
        self.changes_seen = self.ticks() >> TIMER_HIGHEST_BIT;
        self.update_interrupt();
    }

    fn ticks(&self) -> u128 {
        self.clock.now().as_nanos() * TIMER_FREQUENCY / NANOSECONDS
    }

    /// The timer register.
    pub(super) fn timer(&self) -> u32 {
        let [a, b, c, d, ..] = self.ticks().to_le_bytes();
        u32::from_le_bytes([a, b, c, d]) & TIMER_MASK
    }

    /// Sets the timer's status bit if its highest bit changed since this was last asked.
    fn watch_timer(&mut self) {
        let changes = self.ticks() >> TIMER_HIGHEST_BIT;
        if changes != self.changes_seen {
            self.changes_seen = changes;
            self.status |= STATUS_TIMER;
        }
    }

    fn update_interrupt(&self) {
        let pending =
            self.status & self.enable & ENABLE_WRITABLE | self.event_status & self.event_enable;
        self.interrupt
            .set_level(self.control & CONTROL_SCI_ENABLE != 0 && pending != 0);
    }

    /// The dword of registers at `offset`: 0 status and enable, 4 control, 8 timer; 0 elsewhere.
    pub(super) fn read(&mut self, offset: u64) -> u32 {
        match offset {
            0 => {
                self.watch_timer();
                u32::from(self.status) | u32::from(self.enable) << 16
            }
            4 => u32::from(self.control),
            8 => self.timer(),
            _ => 0,
        }
    }

    /// Writes the byte at `offset` of the registers.
    pub(super) fn write(&mut self, offset: u64, value: u8) -> Option<Action> {
        self.watch_timer();
        let shift = if offset & 1 == 0 { 0 } else { 8 };
        let (value, kept) = (u16::from(value) << shift, !(0xff << shift));
        let mut action = None;
        match offset {
            0 | 1 => self.status &= !value,
            2 | 3 => self.enable = self.enable & kept | value & ENABLE_WRITABLE,
            4 | 5 => {
                self.control = self.control & kept | value & CONTROL_WRITABLE;
                if value & CONTROL_SLEEP_ENABLE != 0 {
                    action = self.sleep();
                }
            }
            _ => return None,
        }
        self.update_interrupt();
        self.wakeup.notify();
        action
    }

    fn sleep(&self) -> Option<Action> {
        let [_, high] = self.control.to_le_bytes();
        let sleep_type = high >> 2 & 7;
        if sleep_type == SOFT_OFF_SLEEP_TYPE {
            return Some(Action::PowerOff);
        }
        tracing::debug!(
            sleep_type,
            "the guest asked for a sleep state that it was not offered"
        );
        None
    }

    /// Reads one of [`COMMAND_PORTS`].
    pub(super) fn read_command(&self, port: u16) -> IoResult<u8> {
        match port {
            COMMAND_PORT => Ok(self.command),
            COMMAND_DATA_PORT => Ok(self.command_data),
            _ => Err(IoError::Unmapped),
        }
    }

    /// Writes one of [`COMMAND_PORTS`]. There is no system management mode: the commands that switch ACPI on and off are carried
    /// out here.
    pub(super) fn write_command(&mut self, port: u16, value: u8) -> IoResult<()> {
        match port {
            COMMAND_PORT => {
                self.command = value;
                match value {
                    ACPI_ENABLE => self.set_acpi_mode(true),
                    ACPI_DISABLE => self.set_acpi_mode(false),
                    _ => {}
                }
            }
            COMMAND_DATA_PORT => self.command_data = value,
            _ => return Err(IoError::Unmapped),
        }
        Ok(())
    }

    /// Switches between ACPI mode (events raise the interrupt) and legacy mode, as firmware does when asked by its command port.
    fn set_acpi_mode(&mut self, on: bool) {
        if on {
            self.control |= CONTROL_SCI_ENABLE;
        } else {
            self.control &= !CONTROL_SCI_ENABLE;
        }
        self.update_interrupt();
        self.wakeup.notify();
    }

    pub(super) fn press_power_button(&mut self) {
        self.status |= STATUS_POWER_BUTTON;
        self.update_interrupt();
    }

    /// The byte at `offset` of the general purpose event block: two of status, two of enable.
    pub(super) fn read_event(&self, offset: u16) -> u8 {
        let [a, b] = self.event_status.to_le_bytes();
        let [c, d] = self.event_enable.to_le_bytes();
        [a, b, c, d]
            .get(usize::from(offset))
            .copied()
            .unwrap_or(0xff)
    }

    pub(super) fn write_event(&mut self, offset: u16, value: u8) {
        let value = u16::from(value);
        match offset {
            0 => self.event_status &= !value,
            1 => self.event_status &= !(value << 8),
            2 => self.event_enable = self.event_enable & 0xff00 | value,
            3 => self.event_enable = self.event_enable & 0x00ff | value << 8,
            _ => {}
        }
        self.update_interrupt();
    }

    /// Does what is due; says when the timer will next set its status bit if that raises the interrupt.
    pub(super) fn tick(&mut self) -> Option<Duration> {
        self.watch_timer();
        self.update_interrupt();
        let awaited = self.control & CONTROL_SCI_ENABLE != 0
            && self.enable & STATUS_TIMER != 0
            && self.status & STATUS_TIMER == 0;
        if !awaited {
            return None;
        }
        let next = (self.changes_seen + 1) << TIMER_HIGHEST_BIT;
        let at = (next * NANOSECONDS).div_ceil(TIMER_FREQUENCY);
        let left = at.saturating_sub(self.clock.now().as_nanos());
        Some(Duration::from_nanos(
            u64::try_from(left).unwrap_or(u64::MAX),
        ))
    }
}
