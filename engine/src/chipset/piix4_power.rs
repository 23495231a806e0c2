//! The power management function: Intel 82371AB (PIIX4), function 3, on a board that otherwise has a PIIX3.
//!
//! Intel 82371AB data sheet (order number 290562), chapter 7. Its power management registers are where PMBASE (0x40) says while
//! PMREGMISC (0x80) enables them, its SMBus host controller where SMBBA (0x90) says while SMBHSTCFG (0xd2) enables it. Beside
//! them, at fixed ports: the command port of the firmware (0xB2, 0xB3) and the general purpose events ([`GENERAL_EVENTS`]).
//!
//! The machine has no system management mode. The firmware's set-up of it is told to be done by bit 25 of DEVACTB (0x58).

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::power_management::{COMMAND_PORTS, PowerManagement};
use super::smbus::SmBus;
use crate::bus::{Action, InterruptLine, IoError, IoResult, Width};
use crate::legacy::{ByteDevice, Clock, Timed, Wakeup};
use crate::pci::{BaseAddress, ConfigSpace, Identity, PciFunction, Pin, Window};

const POWER_BASE: u8 = 0x40;
const POWER_ENABLE: u8 = 0x80;
const SMBUS_BASE: u8 = 0x90;
const SMBUS_CONFIGURATION: u8 = 0xd2;
/// DEVACTB. Bit 25, APMC_EN, means to SeaBIOS that system management mode has been set up; without it it waits for ever for a
/// system management interrupt.
const DEVICE_ACTIVITY: u8 = 0x58;
const DEVICE_ACTIVITY_POWER_ON: u32 = 1 << 25;

/// The windows that base registers of its own govern, numbered after the expansion ROM.
const POWER_WINDOW: u8 = 7;
const SMBUS_WINDOW: u8 = 8;

/// The ports of the general purpose events: the FADT's GPE0 block, two bytes of status and two of enable.
pub const GENERAL_EVENTS: RangeInclusive<u16> = 0xafe0..=0xafe3;
/// Where SeaBIOS puts the power management registers when it finds ACPI tables: PM1a events at its start, control 4 and the timer
/// 8 ports further on. What the FADT names.
pub const POWER_PORTS: RangeInclusive<u16> = 0x600..=0x63f;

/// The power management function.
///
/// It belongs at a PCI address (the third function of the PIIX3's slot), on the port bus at [`Piix4Power::FIXED_PORTS`], and
/// among the devices of the [`TimerThread`](crate::legacy::TimerThread).
pub struct Piix4Power {
    space: ConfigSpace,
    power: PowerManagement,
    smbus: SmBus,
}

impl Piix4Power {
    /// The ports at which it answers wherever its base registers point.
    pub const FIXED_PORTS: [RangeInclusive<u16>; 2] = [COMMAND_PORTS, GENERAL_EVENTS];

    /// The function as after power-on. `interrupt` is the system control interrupt: ISA interrupt 9, active high, level. `clock`
    /// drives the timer and should stand still while the machine is paused; `wakeup` is the timer thread's.
    pub fn new(interrupt: InterruptLine, clock: Arc<dyn Clock>, wakeup: Wakeup) -> Self {
        let [a, b, c, d] = DEVICE_ACTIVITY_POWER_ON.to_le_bytes();
        let space = ConfigSpace::builder(Identity {
            vendor: 0x8086,
            device: 0x7113,
            revision: 3,
            class: 0x06_80_00,
        })
        .interrupt_pin(Pin::A)
        .registers_of_its_own(POWER_BASE, [1, 0, 0, 0], [0xc0, 0xff, 0, 0])
        // Counters and device activity: kept, and otherwise without effect.
        .registers_of_its_own(0x44, [0; 20], [0xff; 20])
        .registers_of_its_own(DEVICE_ACTIVITY, [a, b, c, d], [0xff; 4])
        .registers_of_its_own(0x5c, [0; 32], [0xff; 32])
        .registers_of_its_own(POWER_ENABLE, [0], [0x01])
        .registers_of_its_own(SMBUS_BASE, [1, 0, 0, 0], [0xf0, 0xff, 0, 0])
        .registers_of_its_own(SMBUS_CONFIGURATION, [0; 4], [0x0f, 0xff, 0xff, 0xff])
        .build();
        Self {
            space,
            power: PowerManagement::new(interrupt, clock, wakeup),
            smbus: SmBus::default(),
        }
    }

    /// A person presses the power button: an operating system in ACPI mode is told, any other takes no notice.
    pub fn press_power_button(&mut self) {
        self.power.press_power_button();
    }

    fn window(&self, number: u8, register: u8, size: u16) -> Option<BaseAddress> {
        let base = self.space.word(register) & !(size - 1);
        (base != 0).then(|| BaseAddress {
            number,
            base: u64::from(base),
            size: u64::from(size),
            window: Window::Ports,
        })
    }
}

impl PciFunction for Piix4Power {
    fn read_config(&mut self, offset: u8, width: Width) -> u32 {
        self.space.read(offset, width)
    }

    fn write_config(&mut self, offset: u8, width: Width, value: u32) -> Option<Action> {
        self.space.write(offset, width, value);
        None
    }

    fn base_addresses(&self) -> Vec<BaseAddress> {
        let power = (self.space.byte(POWER_ENABLE) & 1 != 0)
            .then(|| self.window(POWER_WINDOW, POWER_BASE, 64))
            .flatten();
        let smbus = (self.space.byte(SMBUS_CONFIGURATION) & 1 != 0)
            .then(|| self.window(SMBUS_WINDOW, SMBUS_BASE, 16))
            .flatten();
        power.into_iter().chain(smbus).collect()
    }

    fn read_window(&mut self, number: u8, offset: u64, data: &mut [u8]) -> IoResult<()> {
        match number {
            POWER_WINDOW => {
                // One look at the registers for the whole access, so that the timer's bytes belong together.
                let first = offset & !3;
                let low = self.power.read(first).to_le_bytes();
                let high = self.power.read(first.wrapping_add(4)).to_le_bytes();
                let skip = usize::try_from(offset & 3).unwrap_or(0);
                let registers = low.into_iter().chain(high).skip(skip);
                for (to, from) in data.iter_mut().zip(registers) {
                    *to = from;
                }
                Ok(())
            }
            SMBUS_WINDOW => {
                for (index, to) in (0..).zip(data) {
                    *to = self.smbus.read(offset.wrapping_add(index));
                }
                Ok(())
            }
            _ => Err(IoError::Unmapped),
        }
    }

    fn write_window(&mut self, number: u8, offset: u64, data: &[u8]) -> IoResult<Option<Action>> {
        let mut action = None;
        for (index, value) in (0..).zip(data) {
            let at = offset.wrapping_add(index);
            match number {
                POWER_WINDOW => action = self.power.write(at, *value).or(action),
                SMBUS_WINDOW => self.smbus.write(at, *value),
                _ => return Err(IoError::Unmapped),
            }
        }
        Ok(action)
    }

    fn reset(&mut self) {
        self.space.reset();
        self.power.reset();
        self.smbus = SmBus::default();
    }
}

impl ByteDevice for Piix4Power {
    fn read_byte(&mut self, port: u16) -> IoResult<u8> {
        if GENERAL_EVENTS.contains(&port) {
            return Ok(self.power.read_event(port - GENERAL_EVENTS.start()));
        }
        self.power.read_command(port)
    }

    fn write_byte(&mut self, port: u16, value: u8) -> IoResult<Option<Action>> {
        if GENERAL_EVENTS.contains(&port) {
            self.power.write_event(port - GENERAL_EVENTS.start(), value);
            return Ok(None);
        }
        self.power.write_command(port, value).map(|()| None)
    }
}

impl Timed for Piix4Power {
    fn tick(&mut self) -> Option<Duration> {
        self.power.tick()
    }
}

#[cfg(test)]
#[path = "piix4_power_tests.rs"]
mod tests;
