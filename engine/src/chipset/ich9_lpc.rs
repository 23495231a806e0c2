//! The LPC bridge of a generation 2 machine: Intel 82801IB (ICH9), PCI function 00:1f.0, with the power management that is part
//! of it.
//!
//! Intel 82801IB data sheet (order number 316972), chapter 13. Its power management registers are where PMBASE (0x40) says while
//! ACPI_CNTL (0x44) enables them; the chipset's configuration registers, of which few can be changed, where RCBA (0xF0) says. It
//! leads the eight lines of the PCI bus to the interrupt controllers (registers 0x60 to 0x63 and 0x68 to 0x6B).
//!
//! The machine has no system management mode: SMI_EN says from the beginning that it has been set up. It has no watchdog either:
//! GCS says NO_REBOOT, which drivers take for that.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::ich9_router::{Ich9Router, LINES, ROUTE_DISABLED};
use super::power_management::{COMMAND_PORTS, PowerManagement};
use crate::bus::{Action, InterruptLine, InterruptSink, IoError, IoResult, Width};
use crate::legacy::{ByteDevice, Clock, Timed, Wakeup};
use crate::pci::{BaseAddress, ConfigSpace, Identity, PciFunction, Window};

const POWER_BASE: u8 = 0x40;
const POWER_CONTROL: u8 = 0x44;
const POWER_ENABLE: u8 = 1 << 7;
const ROUTES: [u8; LINES] = [0x60, 0x61, 0x62, 0x63, 0x68, 0x69, 0x6a, 0x6b];
const POWER_SIZE: u16 = 128;
const ROOT_COMPLEX_BASE: u8 = 0xf0;
const ROOT_COMPLEX_SIZE: u32 = 0x4000;

/// The windows that base registers of its own govern, numbered after the expansion ROM.
const POWER_WINDOW: u8 = 7;
const ROOT_COMPLEX_WINDOW: u8 = 8;

/// Where OVMF puts the power management registers.
pub const ICH9_POWER_PORTS: RangeInclusive<u16> = 0x600..=0x67f;
/// The general purpose events: the FADT's GPE0 block, eight bytes of status and eight of enable.
pub const ICH9_GENERAL_EVENTS: RangeInclusive<u16> = 0x620..=0x62f;

/// Offsets within the power management registers.
const TIMER: u64 = 8;
const EVENTS: u64 = 0x20;
const EVENTS_END: u64 = 0x30;
const SMI_ENABLE: u64 = 0x30;
const SMI_ENABLE_END: u64 = 0x34;
/// APMC_EN, which firmware takes for a system management mode that has been set up.
const SMI_ENABLE_POWER_ON: u32 = 1 << 5;

/// The LPC bridge.
///
/// It belongs on the PCI bus, on the port bus at [`Ich9Lpc::FIXED_PORTS`], and among the devices of the
/// [`TimerThread`](crate::legacy::TimerThread).
pub struct Ich9Lpc {
    space: ConfigSpace,
    power: PowerManagement,
    router: Arc<Ich9Router>,
    smi_enable: u32,
}

impl Ich9Lpc {
    /// The ports at which it answers wherever its base registers point.
    pub const FIXED_PORTS: RangeInclusive<u16> = COMMAND_PORTS;

    /// The bridge as after power-on. `output` is asked once for the line to each input 0 to 23 of the interrupt controllers, which
    /// it shares with the ISA devices. `interrupt` is the system control interrupt: ISA interrupt 9, active high, level. `clock`
    /// drives the timer and should stand still while the machine is paused; `wakeup` is the timer thread's.
    pub fn new(
        output: impl FnMut(u32) -> InterruptLine,
        interrupt: InterruptLine,
        clock: Arc<dyn Clock>,
        wakeup: Wakeup,
    ) -> Self {
        let space = ConfigSpace::builder(Identity {
            vendor: 0x8086,
            device: 0x2918,
            revision: 2,
            class: 0x06_01_00,
        })
        .subsystem(0x1af4, 0x1100)
        // I/O, memory and bus mastering cannot be switched off.
        .command(0x0007, 0x0140)
        .registers_of_its_own(POWER_BASE, [1, 0, 0, 0], [0x80, 0xff, 0, 0])
        .registers_of_its_own(POWER_CONTROL, [0], [0x87])
        // The general purpose I/O has no ports: its base register reads as 1 with no address in it, and stays.
        .registers_of_its_own(0x48, [1, 0, 0, 0], [0; 4])
        .registers_of_its_own(0x60, [ROUTE_DISABLED; 4], [0x8f; 4])
        // Serial interrupts.
        .registers_of_its_own(0x64, [0x10], [0xdc])
        .registers_of_its_own(0x68, [ROUTE_DISABLED; 4], [0x8f; 4])
        // Which ports are decoded towards the LPC bus; without effect.
        .registers_of_its_own(0x80, [0; 4], [0x77, 0x13, 0x0f, 0x3f])
        .registers_of_its_own(0x84, [0; 12], [0xff; 12])
        // General power management configuration.
        .registers_of_its_own(0xa0, [0; 4], [0xff, 0x0f, 0, 0])
        .registers_of_its_own(ROOT_COMPLEX_BASE, [0; 4], [0x01, 0xc0, 0xff, 0xff])
        .build();
        Self {
            space,
            power: PowerManagement::new(interrupt, clock, wakeup),
            router: Ich9Router::new(output),
            smi_enable: SMI_ENABLE_POWER_ON,
        }
    }

    /// What the interrupt lines of the PCI bus end at.
    pub fn router(&self) -> Arc<dyn InterruptSink> {
        Arc::clone(&self.router) as Arc<dyn InterruptSink>
    }

    /// A person presses the power button: an operating system in ACPI mode is told, any other takes no notice.
    pub fn press_power_button(&mut self) {
        self.power.press_power_button();
    }

    fn update_routes(&self) {
        self.router
            .route(ROUTES.map(|register| self.space.byte(register)));
    }

    fn read_power_byte(&mut self, offset: u64) -> u8 {
        let of_dword = |dword: u32| dword.to_le_bytes()[usize::try_from(offset & 3).unwrap_or(0)];
        match offset {
            EVENTS..EVENTS_END => event_register(offset).map_or(0, |at| self.power.read_event(at)),
            SMI_ENABLE..SMI_ENABLE_END => of_dword(self.smi_enable),
            _ => of_dword(self.power.read(offset & !3)),
        }
    }

    fn write_power_byte(&mut self, offset: u64, value: u8) -> Option<Action> {
        match offset {
            EVENTS..EVENTS_END => {
                if let Some(at) = event_register(offset) {
                    self.power.write_event(at, value);
                }
            }
            SMI_ENABLE..SMI_ENABLE_END => {
                let shift = 8 * (offset - SMI_ENABLE);
                self.smi_enable = self.smi_enable & !(0xff << shift) | u32::from(value) << shift;
            }
            _ => return self.power.write(offset, value),
        }
        None
    }
}

/// Whether there is such a window, and it goes so far.
fn check_offset(number: u8, offset: u64) -> IoResult<()> {
    let size = match number {
        POWER_WINDOW => u64::from(POWER_SIZE),
        ROOT_COMPLEX_WINDOW => u64::from(ROOT_COMPLEX_SIZE),
        _ => 0,
    };
    if offset < size {
        Ok(())
    } else {
        Err(IoError::Unmapped)
    }
}

/// Which of the four event registers is at `offset`: of the eight bytes of status, and then of enable, two have events.
fn event_register(offset: u64) -> Option<u16> {
    match offset.checked_sub(EVENTS)? {
        0 => Some(0),
        1 => Some(1),
        8 => Some(2),
        9 => Some(3),
        _ => None,
    }
}

/// The chipset's configuration register that holds the byte at `offset`: those that drivers look at. The others read as zero.
fn root_complex_byte(offset: u64) -> u8 {
    /// Which interrupt lines the pins of devices 25 to 31 are at: A to D at the lines of the same letters.
    const PIN_ROUTES: RangeInclusive<u64> = 0x3140..=0x314f;
    /// The I/O APIC is enabled.
    const OTHER_INTERRUPT_CONTROL: u64 = 0x31ff;
    /// General control and status.
    const CONTROL: u64 = 0x3410;
    const NO_REBOOT: u8 = 1 << 5;
    match offset {
        OTHER_INTERRUPT_CONTROL => 1,
        CONTROL => NO_REBOOT,
        offset if PIN_ROUTES.contains(&offset) => {
            if offset & 1 == 0 {
                0x10
            } else {
                0x32
            }
        }
        _ => 0,
    }
}

impl PciFunction for Ich9Lpc {
    fn read_config(&mut self, offset: u8, width: Width) -> u32 {
        self.space.read(offset, width)
    }

    fn write_config(&mut self, offset: u8, width: Width, value: u32) -> Option<Action> {
        self.space.write(offset, width, value);
        self.update_routes();
        None
    }

    fn base_addresses(&self) -> Vec<BaseAddress> {
        let ports = self.space.word(POWER_BASE) & 0xff80;
        let enabled = self.space.byte(POWER_CONTROL) & POWER_ENABLE != 0;
        let power = (enabled && ports != 0).then(|| BaseAddress {
            number: POWER_WINDOW,
            base: u64::from(ports),
            size: u64::from(POWER_SIZE),
            window: Window::Ports,
        });
        let root = self.space.dword(ROOT_COMPLEX_BASE);
        let root_complex = (root & 1 != 0).then(|| BaseAddress {
            number: ROOT_COMPLEX_WINDOW,
            base: u64::from(root & !(ROOT_COMPLEX_SIZE - 1)),
            size: u64::from(ROOT_COMPLEX_SIZE),
            window: Window::Registers,
        });
        power.into_iter().chain(root_complex).collect()
    }

    fn read_window(&mut self, number: u8, offset: u64, data: &mut [u8]) -> IoResult<()> {
        check_offset(number, offset)?;
        match number {
            // A firmware's delays read the timer millions of times, always the whole register.
            POWER_WINDOW if offset == TIMER && data.len() == 4 => {
                data.copy_from_slice(&self.power.timer().to_le_bytes());
            }
            POWER_WINDOW => {
                for (at, byte) in (offset..).zip(data) {
                    *byte = self.read_power_byte(at);
                }
            }
            ROOT_COMPLEX_WINDOW => {
                for (at, byte) in (offset..).zip(data) {
                    *byte = root_complex_byte(at);
                }
            }
            _ => return Err(IoError::Unmapped),
        }
        Ok(())
    }

    fn write_window(&mut self, number: u8, offset: u64, data: &[u8]) -> IoResult<Option<Action>> {
        let mut action = None;
        check_offset(number, offset)?;
        match number {
            POWER_WINDOW => {
                for (at, byte) in (offset..).zip(data) {
                    action = self.write_power_byte(at, *byte).or(action);
                }
            }
            // None of the registers that are there can be changed.
            ROOT_COMPLEX_WINDOW => {}
            _ => return Err(IoError::Unmapped),
        }
        Ok(action)
    }

    fn reset(&mut self) {
        self.space.reset();
        self.power.reset();
        self.smi_enable = SMI_ENABLE_POWER_ON;
        self.update_routes();
    }
}

impl ByteDevice for Ich9Lpc {
    fn read_byte(&mut self, port: u16) -> IoResult<u8> {
        self.power.read_command(port)
    }

    fn write_byte(&mut self, port: u16, value: u8) -> IoResult<Option<Action>> {
        self.power.write_command(port, value).map(|()| None)
    }
}

impl Timed for Ich9Lpc {
    fn tick(&mut self) -> Option<Duration> {
        self.power.tick()
    }
}

#[cfg(test)]
#[path = "ich9_lpc_tests.rs"]
mod tests;
