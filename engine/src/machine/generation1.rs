//! A generation 1 machine: the compatible PC that every operating system knows.
//!
//! Intel 440FX host bridge, PIIX3 with its IDE controller, the power management of a PIIX4, standard VGA, SeaBIOS. Slots as on
//! boards of that kind: 0 host bridge, 1 PIIX3, 2 display, cards from 3 on.

use std::sync::Arc;

use super::StartError;
use super::board::{Board, Chipset};
use super::display::Display;
use super::memory_map::Pam;
use crate::bus::{InterruptLine, Shared, shared};
use crate::chipset::{I440fx, Piix3, Piix4Power};
use crate::display::vga::{LEGACY_WINDOW, Vga};
use crate::firmware::{FirmwareFile, Locations};
use crate::hypervisor::HypervisorError;
use crate::legacy::Timed;
use crate::memory::layout::{EXTENDED, SHADOW};
use crate::memory::shadow::{Shadow, ShadowWindow};
use crate::memory::{MemoryLayout, MemoryRegion};
use crate::pci::{Address, IntxWiring, route_of_i440fx};
use crate::virtio::graphics::GraphicsFunction;

/// The interrupt lines of the chipset's own functions.
mod interrupt {
    pub const SYSTEM_CONTROL: u32 = 9;
    pub const IDE: [u32; 2] = [14, 15];
}

/// How much of the firmware's end lies below 1 MiB too.
const FIRMWARE_ALIAS: usize = 128 << 10;

/// Where the IDE controller is.
pub(super) const IDE: Address = Address {
    device: 1,
    function: 1,
};

/// The chipset.
pub(super) struct Generation1 {
    power: Shared<Piix4Power>,
    shadow: Arc<Shadow>,
    wiring: IntxWiring,
}

/// Where main memory of `bytes` goes.
pub(super) fn layout(bytes: u64) -> MemoryLayout {
    MemoryLayout::new(bytes)
}

impl Generation1 {
    /// Puts firmware and chipset onto `board`.
    ///
    /// # Errors
    /// When the firmware is not there, or the host refuses something.
    pub fn build(board: &Board<'_>) -> Result<Self, StartError> {
        let bios = Locations::of_host().load(FirmwareFile::Bios)?;
        board.place_rom(&bios)?;
        let shadow = shadow(board, &bios)?;
        board.map_memory(
            SHADOW..=EXTENDED - 1,
            shared(ShadowWindow(Arc::clone(&shadow))),
        )?;
        let piix3 = Piix3::new(|irq| board.interrupts.pci(u32::from(irq)));
        let wiring = IntxWiring::new(&piix3.router(), route_of_i440fx);
        let power = shared(Piix4Power::new(
            board
                .interrupts
                .isa("system control", interrupt::SYSTEM_CONTROL),
            Arc::clone(&board.clock),
            board.wakeup.clone(),
        ));
        for range in Piix4Power::FIXED_PORTS {
            board.buses.ports.map(range, power.clone());
        }
        let bridge = I440fx::new(Arc::new(Pam(Arc::clone(&shadow))));
        board.attach(Address::new(0, 0), shared(bridge))?;
        board.attach(Address::new(1, 0), shared(piix3))?;
        board.attach(Address::new(1, 3), power.clone())?;
        Ok(Self {
            power,
            shadow,
            wiring,
        })
    }
}

impl Chipset for Generation1 {
    fn timed(&self) -> Vec<Shared<dyn Timed>> {
        vec![self.power.clone()]
    }

    fn wiring(&self) -> &IntxWiring {
        &self.wiring
    }

    fn reset(&self) -> Result<(), HypervisorError> {
        self.shadow.reset()
    }

    fn press_power_button(&self) {
        self.power.lock().press_power_button();
    }
}

/// The lines of the IDE controller's two channels.
pub(super) fn ide_lines(board: &Board<'_>) -> [InterruptLine; 2] {
    interrupt::IDE.map(|irq| board.interrupts.isa("IDE", irq))
}

/// The adapter, with the ports and the window of a VGA.
///
/// # Errors
/// When its BIOS is not there, or the host has no memory for it.
pub(super) fn display(board: &Board<'_>, chipset: &dyn Chipset) -> Result<Display, StartError> {
    let mut bios = Locations::of_host().load(FirmwareFile::VgaBios)?;
    let graphics = board.order.definition.devices.graphics;
    if graphics {
        bios = GraphicsFunction::adopt_rom(bios);
    }
    let vga = shared(Vga::new(&bios)?);
    for range in [0x3b0..=0x3df, 0x1ce..=0x1cf] {
        board.buses.ports.map(range, vga.clone());
    }
    board.map_memory(LEGACY_WINDOW, vga.clone())?;
    Display::attach(board, chipset, Address::new(2, 0), vga)
}

/// The region below 1 MiB, with the firmware's end behind it.
fn shadow(board: &Board<'_>, bios: &[u8]) -> Result<Arc<Shadow>, StartError> {
    let alias = MemoryRegion::new("firmware below 1 MiB", FIRMWARE_ALIAS)?;
    alias.write(
        0,
        bios.get(bios.len().saturating_sub(FIRMWARE_ALIAS)..)
            .unwrap_or(bios),
    );
    let shadow = Arc::new(Shadow::new(
        Arc::clone(board.vm.slots()),
        board.memory.clone(),
        alias,
    ));
    shadow.reset()?;
    Ok(shadow)
}
