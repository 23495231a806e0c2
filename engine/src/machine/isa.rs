//! The devices that every PC has at fixed ports: real-time clock, keyboard controller, serial port, reset control, debug console.

use std::sync::Arc;

use super::handle::Common;
use super::interrupts::Interrupts;
use super::processors::Buses;
use super::serial::{self, SerialConnection};
use super::{MachineEvent, StartError};
use crate::bus::{Shared, shared};
use crate::chipset::{DebugConsole, ResetControl};
use crate::definition::{Clock as ClockKind, Definition};
use crate::display::Surface;
use crate::input::{InputEvent, InputSink};
use crate::legacy::{
    Clock, Configuration, KeyboardController, Rtc, SerialPort, Timed, Wakeup, WallClock,
};
use crate::memory::MemoryLayout;

/// The ISA interrupt lines that these devices have.
mod interrupt {
    pub const KEYBOARD: u32 = 1;
    pub const SERIAL: u32 = 4;
    pub const RTC: u32 = 8;
    pub const MOUSE: u32 = 12;
}

/// The devices on the ISA bus.
pub(super) struct IsaDevices {
    reset_control: Shared<ResetControl>,
    debug_console: Shared<DebugConsole>,
    rtc: Shared<Rtc>,
    keyboard: Shared<KeyboardController>,
    serial: Shared<SerialPort>,
}

/// Keys and the pointer, which go to the keyboard controller. The mouse moves by the difference between two places on the
/// screen, so it has to know how large the screen is.
struct Input {
    controller: Shared<KeyboardController>,
    surface: Arc<Surface>,
}

impl InputSink for Input {
    fn input(&self, event: InputEvent) {
        let size = matches!(event, InputEvent::Position { .. }).then(|| self.surface.view().size());
        let mut controller = self.controller.lock();
        if let Some((width, height)) = size {
            controller.set_screen_size(width, height);
        }
        controller.take_input(event);
    }
}

/// What the devices are wired to.
pub(super) struct Surroundings<'a> {
    pub common: &'a Arc<Common>,
    pub buses: &'a Buses,
    pub interrupts: &'a Interrupts,
    pub wakeup: &'a Wakeup,
    pub clock: &'a Arc<dyn Clock>,
}

impl IsaDevices {
    /// Makes the devices and lets them answer at their ports.
    ///
    /// # Errors
    /// When the host gives no thread for the serial line.
    pub fn build(
        definition: &Definition,
        layout: MemoryLayout,
        around: &Surroundings<'_>,
        connection: Option<SerialConnection>,
    ) -> Result<Self, StartError> {
        let ports = &around.buses.ports;
        let interrupt = |name, irq| around.interrupts.isa(name, irq);

        let reset_control = shared(ResetControl::default());
        for port in ResetControl::PORTS {
            ports.map(port..=port, reset_control.clone());
        }

        let common = Arc::downgrade(around.common);
        let sink = move |line: &str| {
            if let Some(common) = common.upgrade() {
                common.note("firmware", line);
            }
        };
        let debug_console = shared(DebugConsole::new(sink, Arc::clone(around.clock)));
        ports.map(
            DebugConsole::PORT..=DebugConsole::PORT,
            debug_console.clone(),
        );

        let configuration = Configuration {
            memory_below_4_gib: layout.low,
            memory_above_4_gib: layout.high,
            processors: definition.processor.count,
            ..Configuration::default()
        };
        let wall_clock = match definition.clock {
            ClockKind::Utc => WallClock::utc(),
            ClockKind::Local => {
                WallClock::east_of_utc(i64::from(chrono::Local::now().offset().local_minus_utc()))
            }
        };
        let rtc = shared(Rtc::new(
            interrupt("real-time clock", interrupt::RTC),
            Arc::new(wall_clock),
            around.wakeup.clone(),
            &configuration,
        ));
        ports.map(Rtc::PORTS, rtc.clone());

        let common = Arc::downgrade(around.common);
        let lights_changed = move |lights| {
            if let Some(common) = common.upgrade() {
                *common.lights.lock() = lights;
                common.remote.set_lights(lights);
                common.tell(&MachineEvent::from(lights));
            }
        };
        let keyboard = shared(KeyboardController::new(
            interrupt("keyboard", interrupt::KEYBOARD),
            interrupt("mouse", interrupt::MOUSE),
            lights_changed,
        ));
        // The mouse wants motions; viewers that can send them instead of places do.
        around.common.remote.set_relative(true);
        for port in KeyboardController::PORTS {
            ports.map(port..=port, keyboard.clone());
        }

        let (output, pending) = serial::line(connection);
        let serial = shared(SerialPort::new(
            SerialPort::COM1,
            interrupt("serial port", interrupt::SERIAL),
            output,
        ));
        ports.map(SerialPort::COM1..=SerialPort::COM1 + 7, serial.clone());
        if let Some(pending) = pending {
            pending.start(&serial)?;
        }
        Ok(Self {
            reset_control,
            debug_console,
            rtc,
            keyboard,
            serial,
        })
    }

    /// Where keys and the pointer go.
    pub fn input(&self, surface: &Arc<Surface>) -> Arc<dyn InputSink> {
        Arc::new(Input {
            controller: self.keyboard.clone(),
            surface: Arc::clone(surface),
        })
    }

    /// The device that wants to be woken as time passes.
    pub fn timed(&self) -> Shared<dyn Timed> {
        self.rtc.clone()
    }

    /// As after power-on.
    pub fn reset(&self) {
        self.reset_control.lock().reset();
        self.debug_console.lock().reset();
        self.rtc.lock().reset();
        self.keyboard.lock().reset();
        self.serial.lock().reset();
    }
}
