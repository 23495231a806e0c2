//! A generation 2 machine: a computer without the devices of old.
//!
//! Intel Q35 host bridge with the window of configuration spaces, ICH9 with power management and AHCI, a display without the VGA's
//! legacy part, OVMF with variables of the machine's own in flash memory. Slots: 0 host bridge, 1 display, cards from 3 on, 31 the
//! ICH9.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::StartError;
use super::board::{Board, Chipset};
use super::display::Display;
use super::memory_map::FlashSlot;
use crate::bus::{InterruptLine, Shared, shared};
use crate::chipset::{Flash, Ich9Lpc, Q35};
use crate::display::vga::Vga;
use crate::firmware::{Nvram, Uefi};
use crate::hypervisor::{HypervisorError, check_uefi};
use crate::legacy::Timed;
use crate::memory::layout::FOUR_GIB;
use crate::memory::{MemoryLayout, MemoryRegion};
use crate::pci::{Address, IntxWiring, Pin, route_of_q35};

/// The interrupt of ACPI events.
const SYSTEM_CONTROL: u32 = 9;
/// Where the AHCI controller is.
pub(super) const AHCI: Address = Address {
    device: 31,
    function: 2,
};

/// The chipset.
pub(super) struct Generation2 {
    bridge: Shared<Ich9Lpc>,
    flash: Shared<Flash>,
    wiring: IntxWiring,
    configuration_window: Arc<AtomicU64>,
}

/// Where main memory of `bytes` goes.
pub(super) fn layout(bytes: u64) -> MemoryLayout {
    MemoryLayout::q35(bytes)
}

impl Generation2 {
    /// Puts firmware and chipset onto `board`.
    ///
    /// # Errors
    /// When the host cannot run a UEFI, the firmware or its variables are not there, or the host refuses something.
    pub fn build(board: &Board<'_>) -> Result<Self, StartError> {
        check_uefi().map_err(StartError::Host)?;
        let secure_boot = board.order.definition.firmware.secure_boot;
        let uefi = Uefi::of_host(secure_boot)?;
        let nvram = Nvram::open(board.order.folder, secure_boot, &uefi)?;
        board.place_rom(&uefi.code)?;
        let flash = flash(board, nvram, &uefi)?;
        let lpc = Ich9Lpc::new(
            |input| board.interrupts.pci(input),
            board.interrupts.isa("system control", SYSTEM_CONTROL),
            Arc::clone(&board.clock),
            board.wakeup.clone(),
        );
        let wiring = IntxWiring::new(&lpc.router(), route_of_q35);
        let bridge = shared(lpc);
        board.buses.ports.map(Ich9Lpc::FIXED_PORTS, bridge.clone());
        let host_bridge = Q35::new();
        let configuration_window = host_bridge.configuration_window();
        board.attach(Address::new(0, 0), shared(host_bridge))?;
        board.attach(Address::new(31, 0), bridge.clone())?;
        Ok(Self {
            bridge,
            flash,
            wiring,
            configuration_window,
        })
    }
}

impl Chipset for Generation2 {
    fn timed(&self) -> Vec<Shared<dyn Timed>> {
        vec![self.bridge.clone()]
    }

    fn wiring(&self) -> &IntxWiring {
        &self.wiring
    }

    fn configuration_window(&self) -> Option<Arc<AtomicU64>> {
        Some(Arc::clone(&self.configuration_window))
    }

    fn reset(&self) -> Result<(), HypervisorError> {
        self.flash.lock().reset();
        Ok(())
    }

    fn press_power_button(&self) {
        self.bridge.lock().press_power_button();
    }
}

/// The line of the AHCI controller.
pub(super) fn ahci_line(chipset: &dyn Chipset) -> InterruptLine {
    chipset.wiring().line("AHCI", AHCI, Pin::A)
}

/// The adapter.
///
/// # Errors
/// When the host has no memory for it.
pub(super) fn display(board: &Board<'_>, chipset: &dyn Chipset) -> Result<Display, StartError> {
    let vga = shared(Vga::without_legacy()?);
    Display::attach(board, chipset, Address::new(1, 0), vga)
}

/// The flash memory that holds the variables, right before the code.
fn flash(board: &Board<'_>, nvram: Nvram, uefi: &Uefi) -> Result<Shared<Flash>, StartError> {
    let size = nvram.content.len();
    let base = FOUR_GIB - (uefi.code.len() + size) as u64;
    let region = MemoryRegion::new("firmware variables", size)?;
    region.write(0, &nvram.content);
    let common = Arc::downgrade(board.order.common);
    let store = nvram.store(move |text| {
        if let Some(common) = common.upgrade() {
            common.note("engine", &text);
        }
    })?;
    let array = FlashSlot {
        slots: Arc::clone(board.vm.slots()),
        base,
        region: region.clone(),
    };
    let flash = shared(Flash::new(region, Box::new(array), Box::new(store)));
    board.map_memory(base..=base + (size as u64 - 1), flash.clone())?;
    Ok(flash)
}
