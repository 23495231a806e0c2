//! What the machines of all generations have alike, while they are put together: memory, buses, interrupts, clocks, the PCI bus
//! with its slots, and who is told what happens.
//!
//! A generation adds its [`Chipset`] to a board; then come the devices of the PC/AT ([`IsaDevices`](super::isa::IsaDevices)), the
//! drives, and cards, which take the slots from [`FIRST_CARD_SLOT`] on in the order in which they are put in.

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use crossbeam_channel::Sender;
use parking_lot::Mutex;

use super::StartError;
use super::conductor::Message;
use super::fault::FaultBridge;
use super::handle::Common;
use super::interrupts::Interrupts;
use super::memory_map::Windows;
use super::processors::Buses;
use super::virtio::VirtioCards;
use crate::bus::{InterruptLine, MemoryDevice, Shared};
use crate::definition::Definition;
use crate::firmware::BootEntry;
use crate::hypervisor::{HypervisorError, SlotKind, Vm};
use crate::legacy::{Clock, RunningClock, Timed, Wakeup};
use crate::memory::layout::{EXTENDED, FOUR_GIB, LEGACY_VIDEO};
use crate::memory::{GuestMemory, MemoryLayout, MemoryRegion};
use crate::pci::{Address, IntxWiring, PciBus, PciFunction, Pin};

/// The slot of the first card. Those before it are the board's own.
const FIRST_CARD_SLOT: u8 = 3;
/// The slot of the last card; those after it are the chipset's.
const LAST_CARD_SLOT: u8 = 24;

/// What a machine is made for and by whom it is run.
pub(super) struct Order<'a> {
    pub common: &'a Arc<Common>,
    pub definition: &'a Definition,
    /// Where its files are.
    pub folder: &'a Path,
    pub faults: &'a Arc<FaultBridge>,
    pub sender: &'a Sender<Message>,
}

/// What a generation has of its own: host bridge, ISA bridge, power management, firmware.
pub(super) trait Chipset: Send {
    /// What is to be woken as time passes.
    fn timed(&self) -> Vec<Shared<dyn Timed>>;

    /// Where the interrupt pins of cards end.
    fn wiring(&self) -> &IntxWiring;

    /// Where the window of configuration spaces begins, which the firmware places; nothing on a board without.
    fn configuration_window(&self) -> Option<Arc<AtomicU64>> {
        None
    }

    /// What is not on the PCI bus starts anew. The functions on the bus were reset before.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn reset(&self) -> Result<(), HypervisorError>;

    /// Presses the power button.
    fn press_power_button(&self);
}

/// The place that a card was given.
pub(super) struct CardSlot {
    /// Where it is on the bus.
    pub address: Address,
    /// The wire from its interrupt pin A.
    pub interrupt: InterruptLine,
}

/// A machine being put together.
pub(super) struct Board<'a> {
    pub order: Order<'a>,
    pub vm: Vm,
    pub layout: MemoryLayout,
    pub memory: GuestMemory,
    pub buses: Buses,
    pub interrupts: Interrupts,
    pub running: Arc<RunningClock>,
    /// The same clock, for devices.
    pub clock: Arc<dyn Clock>,
    pub wakeup: Wakeup,
    pub pci: Arc<PciBus>,
    pub virtio: VirtioCards,
    /// What the firmware is to start from.
    boot: Mutex<Vec<BootEntry>>,
    next_slot: AtomicU8,
}

impl<'a> Board<'a> {
    /// A board with the memory that the definition says, placed as `layout` says, and nothing else on it.
    ///
    /// # Errors
    /// When the host has no memory, or the kernel refuses.
    pub fn new(order: Order<'a>, layout: MemoryLayout) -> Result<Self, StartError> {
        let vm = Vm::new()?;
        let memory = layout.reserve()?;
        place_memory(&vm, layout, &memory)?;
        let buses = Buses::default();
        let running = Arc::new(RunningClock::default());
        let pci = PciBus::new(
            Arc::clone(&buses.ports),
            Arc::clone(&buses.memory),
            Arc::new(Windows(Arc::clone(vm.slots()))),
            layout.device_holes(),
        );
        Ok(Self {
            order,
            interrupts: Interrupts::new(&vm),
            vm,
            layout,
            memory,
            buses,
            clock: Arc::clone(&running) as _,
            running,
            wakeup: Wakeup::default(),
            pci,
            virtio: VirtioCards::default(),
            boot: Mutex::default(),
            next_slot: AtomicU8::new(FIRST_CARD_SLOT),
        })
    }

    /// Lets `device` answer at guest-physical `range`.
    ///
    /// # Errors
    /// When something else does.
    pub fn map_memory(
        &self,
        range: RangeInclusive<u64>,
        device: Shared<dyn MemoryDevice>,
    ) -> Result<(), StartError> {
        self.buses
            .memory
            .map(range, device)
            .map_err(|error| StartError::Internal(error.to_string()))
    }

    /// Shows `data` to the guest for reading only, ending at the end of the first 4 GiB.
    ///
    /// # Errors
    /// When the host has no memory for it, or the kernel refuses.
    pub fn place_rom(&self, data: &[u8]) -> Result<(), StartError> {
        let rom = MemoryRegion::new("firmware", data.len())?;
        rom.write(0, data);
        self.vm.slots().map(
            FOUR_GIB - data.len() as u64,
            &rom,
            0,
            data.len(),
            SlotKind::ReadOnly,
        )?;
        Ok(())
    }

    /// Puts a function of the board's own at its place.
    ///
    /// # Errors
    /// When there is one already.
    pub fn attach(
        &self,
        address: Address,
        function: Shared<dyn PciFunction>,
    ) -> Result<(), StartError> {
        self.pci
            .attach(address, function)
            .map_err(|error| StartError::Internal(error.to_string()))
    }

    /// Puts the card that `make` makes into the next free slot. `name` is what its interrupt line is called in logs.
    ///
    /// # Errors
    /// When all slots are taken, and what `make` answers.
    pub fn insert_card<F: PciFunction + 'static>(
        &self,
        chipset: &dyn Chipset,
        name: &'static str,
        make: impl FnOnce(CardSlot) -> Result<Shared<F>, StartError>,
    ) -> Result<Shared<F>, StartError> {
        let slot = self.next_slot.fetch_add(1, Ordering::Relaxed);
        if slot > LAST_CARD_SLOT {
            return Err(StartError::Slots {
                most: LAST_CARD_SLOT - FIRST_CARD_SLOT + 1,
            });
        }
        let address = Address::new(slot, 0);
        let interrupt = chipset.wiring().line(name, address, Pin::A);
        let card = make(CardSlot { address, interrupt })?;
        self.attach(address, card.clone())?;
        Ok(card)
    }

    /// Tells the firmware, by and by, that the machine can be started from `path` (an Open Firmware device path), at place
    /// `number` of the boot order; without a number it is not booted from while others have one.
    pub fn add_boot_entry(&self, number: Option<u32>, path: String) {
        if let Some(number) = number {
            self.boot.lock().push(BootEntry { number, path });
        }
    }

    /// What the firmware is to start from, in the order in which it was added.
    pub fn boot_entries(&self) -> Vec<BootEntry> {
        self.boot.lock().clone()
    }
}

/// Lets the guest see its memory, but for the video window and the firmware's place below 1 MiB.
fn place_memory(vm: &Vm, layout: MemoryLayout, memory: &GuestMemory) -> Result<(), StartError> {
    let slots = vm.slots();
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    for (base, region) in memory.regions() {
        if *base == 0 {
            slots.map(0, region, 0, size(LEGACY_VIDEO), SlotKind::Memory)?;
            if layout.low > EXTENDED {
                slots.map(
                    EXTENDED,
                    region,
                    size(EXTENDED),
                    size(layout.low - EXTENDED),
                    SlotKind::Memory,
                )?;
            }
        } else {
            slots.map(*base, region, 0, region.size(), SlotKind::Memory)?;
        }
    }
    Ok(())
}
