//! The chipsets: of a generation 1 machine an Intel 440FX host bridge, a PIIX3 and the power management function of a PIIX4, of a
//! generation 2 machine a Q35 host bridge, an ICH9 LPC bridge and the firmware's flash memory; and the few ports that belong to no
//! other part.
//!
//! Left to the kernel: the interrupt controllers with their edge/level control (0x4D0, 0x4D1), the interval timer, and port 0x61
//! (speaker gate and refresh bit), which the kernel answers with the interval timer when that is made with its speaker option.

mod debug_console;
mod flash;
mod i440fx;
mod ich9_lpc;
mod ich9_router;
mod piix3;
mod piix4_power;
mod power_management;
mod q35;
mod reset_control;
mod smbus;

pub use debug_console::DebugConsole;
pub use flash::{Flash, FlashArray, FlashStore};
pub use i440fx::{I440fx, PamSink, PamState, PamTarget};
pub use ich9_lpc::{ICH9_GENERAL_EVENTS, ICH9_POWER_PORTS, Ich9Lpc};
pub use piix3::{Piix3, PirqRouter};
pub use piix4_power::{GENERAL_EVENTS, POWER_PORTS, Piix4Power};
pub use power_management::{ACPI_DISABLE, ACPI_ENABLE, COMMAND_PORT, SOFT_OFF_SLEEP_TYPE};
pub use q35::Q35;
pub use reset_control::ResetControl;

#[cfg(test)]
mod tests;
