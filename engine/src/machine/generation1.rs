//! A generation 1 machine: the compatible PC that every operating system knows.
//!
//! Intel 440FX host bridge, PIIX3 with its IDE controller, the power management of a PIIX4, standard VGA, the AT's real-time
//! clock, keyboard controller and serial port, SeaBIOS. Slots as on boards of that kind: 0 host bridge, 1 PIIX3, 2 display.

use std::path::Path;
use std::sync::Arc;

use crossbeam_channel::Sender;

use super::conductor::Message;
use super::drives::Drives;
use super::fault::FaultBridge;
use super::handle::Common;
use super::isa::{IsaDevices, Surroundings};
use super::memory_map::{DirtyLog, Pam, Windows};
use super::processors::{Buses, Processors, Reporter};
use super::{StartError, StartOptions};
use crate::bus::{InterruptLine, InterruptSink, Shared, SharedInterrupt, shared};
use crate::chipset::{I440fx, Piix3, Piix4Power};
use crate::definition::{Definition, Host, Severity};
use crate::display::DisplayThread;
use crate::display::vga::{LEGACY_WINDOW, Renderer, Vga};
use crate::firmware::{FirmwareFile, FwCfg, Locations, build_fw_cfg};
use crate::hypervisor::{HypervisorError, SlotKind, Vm};
use crate::legacy::{Clock, RunningClock, TimerThread, Wakeup};
use crate::library::MachineLock;
use crate::memory::layout::{EXTENDED, FOUR_GIB, LEGACY_VIDEO, SHADOW};
use crate::memory::shadow::{Shadow, ShadowWindow};
use crate::memory::{GuestMemory, MemoryLayout, MemoryRegion};
use crate::pci::{Address, PciBus};
use crate::storage::ide::IdeController;

/// The interrupt lines of the chipset's own functions.
mod interrupt {
    pub const SYSTEM_CONTROL: u32 = 9;
    pub const IDE: [u32; 2] = [14, 15];
}

/// How much of the firmware's end lies below 1 MiB too.
const FIRMWARE_ALIAS: usize = 128 << 10;

/// The devices that start anew at a reset.
struct Devices {
    pci: Arc<PciBus>,
    power: Shared<Piix4Power>,
    isa: IsaDevices,
    fw_cfg: Shared<FwCfg>,
}

impl Devices {
    fn reset(&self) {
        self.pci.reset();
        self.isa.reset();
        self.fw_cfg.lock().reset();
    }
}

/// Everything that a running machine is made of. Dropped in the order of its fields: first what runs, then what it runs on.
pub(super) struct Hardware {
    processors: Processors,
    _display: DisplayThread,
    _timers: TimerThread,
    running: Arc<RunningClock>,
    wakeup: Wakeup,
    drives: Drives,
    devices: Devices,
    shadow: Arc<Shadow>,
    /// Keeps what the memory slots refer to.
    _memory: GuestMemory,
    vm: Vm,
    /// Nobody else runs the machine meanwhile.
    _lock: MachineLock,
}

/// The interrupt controllers' inputs, each shared by the device on ISA (member 0) and the PIIX3's PCI lines (member 1).
pub(super) struct Interrupts(Vec<Arc<SharedInterrupt>>);

impl Interrupts {
    fn new(vm: &Vm) -> Self {
        let sink: Arc<dyn InterruptSink> = Arc::clone(vm.interrupts()) as _;
        Self(
            (0..16)
                .map(|irq| SharedInterrupt::new(Arc::clone(&sink), irq))
                .collect(),
        )
    }

    /// A line called `name` to interrupt `irq`, as member number `member` of those that share it.
    pub fn line(&self, name: &'static str, irq: u32, member: u32) -> InterruptLine {
        let input = usize::try_from(irq).ok().and_then(|irq| self.0.get(irq));
        input.map_or_else(
            || InterruptLine::unconnected(name),
            |input| input.line(name, member),
        )
    }
}

impl Hardware {
    /// Puts the machine together. Its processors stand still.
    ///
    /// # Errors
    /// What keeps it from starting.
    pub fn build(
        common: &Arc<Common>,
        definition: &Definition,
        folder: &Path,
        options: StartOptions,
        faults: &Arc<FaultBridge>,
        reporter: &Reporter,
        sender: &Sender<Message>,
    ) -> Result<Self, StartError> {
        let lock = MachineLock::acquire(folder)?;
        check(definition)?;
        let firmware = Locations::of_host();
        let bios = firmware.load(FirmwareFile::Bios)?;
        let vga_bios = firmware.load(FirmwareFile::VgaBios)?;
        let vm = Vm::new()?;
        let layout = MemoryLayout::new(definition.memory.bytes());
        let memory = layout.reserve()?;
        let shadow = place_memory(&vm, layout, &memory, &bios)?;

        let buses = Buses::default();
        let ports = &buses.ports;
        let interrupts = Interrupts::new(&vm);
        let running = Arc::new(RunningClock::default());
        let clock: Arc<dyn Clock> = Arc::clone(&running) as _;
        let wakeup = Wakeup::default();

        let map_memory = |range, device| {
            buses
                .memory
                .map(range, device)
                .map_err(|error| StartError::Internal(error.to_string()))
        };
        map_memory(
            SHADOW..=EXTENDED - 1,
            shared(ShadowWindow(Arc::clone(&shadow))),
        )?;

        let pci = PciBus::new(
            Arc::clone(ports),
            Arc::clone(&buses.memory),
            Arc::new(Windows(Arc::clone(vm.slots()))),
            vec![layout.pci_hole()],
        );
        let piix3 = Piix3::new(|irq| interrupts.line("PCI interrupt", u32::from(irq), 1));
        let system_control = interrupts.line("system control", interrupt::SYSTEM_CONTROL, 0);
        let power = shared(Piix4Power::new(
            system_control,
            Arc::clone(&clock),
            wakeup.clone(),
        ));
        for range in Piix4Power::FIXED_PORTS {
            ports.map(range, power.clone());
        }

        let ide_lines = interrupt::IDE.map(|irq| interrupts.line("IDE", irq, 0));
        let (ide, drives) = Drives::build(
            definition,
            folder,
            ide_lines,
            memory.clone(),
            Arc::clone(faults) as _,
            sender,
        )?;
        let ide = shared(ide);
        for range in IdeController::PORTS {
            ports.map(range, ide.clone());
        }

        let vga = shared(Vga::new(&vga_bios)?);
        for range in [0x3b0..=0x3df, 0x1ce..=0x1cf] {
            ports.map(range, vga.clone());
        }
        map_memory(LEGACY_WINDOW, vga.clone())?;

        let attach = |slot, number, function| {
            pci.attach(Address::new(slot, number), function)
                .map_err(|error| StartError::Internal(error.to_string()))
        };
        attach(
            0,
            0,
            shared(I440fx::new(Arc::new(Pam(Arc::clone(&shadow))))),
        )?;
        attach(1, 0, shared(piix3))?;
        attach(1, 1, ide)?;
        attach(1, 3, power.clone())?;
        attach(2, 0, vga.clone())?;

        let around = Surroundings {
            common,
            buses: &buses,
            interrupts: &interrupts,
            wakeup: &wakeup,
            clock: &clock,
        };
        let isa = IsaDevices::build(definition, layout, &around, options.serial)?;
        let timers = TimerThread::start(&wakeup, vec![power.clone() as _, isa.timed()])?;
        let fw_cfg = shared(build_fw_cfg(definition, &layout, memory.clone())?);
        ports.map(FwCfg::PORTS, fw_cfg.clone());

        let display = DisplayThread::spawn(
            Renderer::new(vga.clone(), Arc::clone(&common.surface)),
            Box::new(DirtyLog(Arc::clone(vm.slots()))),
        )?;
        *common.input.lock() = Some(isa.input(&common.surface));
        *common.text.lock() = Some(Box::new(move || vga.lock().text()));

        let count = definition.processor.count;
        let vcpus = (0..count)
            .map(|index| vm.processor(index, count))
            .collect::<Result<Vec<_>, _>>()?;
        let processors = Processors::new(definition.name.as_str(), vcpus, &buses, reporter)?;
        Ok(Self {
            processors,
            _display: display,
            _timers: timers,
            running,
            wakeup,
            drives,
            devices: Devices {
                pci,
                power,
                isa,
                fw_cfg,
            },
            shadow,
            _memory: memory,
            vm,
            _lock: lock,
        })
    }

    /// Lets the guest run.
    pub fn run(&self) {
        self.running.resume();
        self.wakeup.set_paused(false);
        self.processors.run();
    }

    /// Stops the guest and what its drives have under way.
    pub fn stop(&self) {
        self.processors.stop();
        self.drives.drain();
        self.wakeup.set_paused(true);
        self.running.pause();
    }

    /// Puts everything into the state it has after power-on. To be called while the guest stands still.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn reset(&self) -> Result<(), HypervisorError> {
        self.devices.reset();
        self.shadow.reset()?;
        self.vm.interrupts().reset()?;
        self.processors.reset();
        Ok(())
    }

    /// Presses the power button.
    pub fn press_power_button(&self) {
        self.devices.power.lock().press_power_button();
    }

    /// The drives, to change what is in them.
    pub fn drives(&self) -> &Drives {
        &self.drives
    }

    /// The processors.
    #[cfg(feature = "fault-injection")]
    pub fn panic_processor(&self) {
        self.processors.panic_one();
    }
}

/// Refuses what cannot run on this host.
fn check(definition: &Definition) -> Result<(), StartError> {
    let host = Host::inspect()?;
    if let Some(finding) = definition
        .findings(&host)
        .into_iter()
        .find(|finding| finding.severity == Severity::Error)
    {
        return Err(StartError::Definition {
            field: finding.field,
            message: finding.message,
        });
    }
    if definition.memory.bytes() > host.available {
        return Err(StartError::Memory {
            needed: definition.memory.mebibytes,
            free: host.available >> 20,
        });
    }
    Ok(())
}

/// Lets the guest see its memory and the firmware: main memory around the video window and the shadow, the firmware at the end
/// of the first 4 GiB, and its end below 1 MiB too, behind the shadow.
fn place_memory(
    vm: &Vm,
    layout: MemoryLayout,
    memory: &GuestMemory,
    bios: &[u8],
) -> Result<Arc<Shadow>, StartError> {
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
    let rom = MemoryRegion::new("firmware", bios.len())?;
    rom.write(0, bios);
    slots.map(
        FOUR_GIB - bios.len() as u64,
        &rom,
        0,
        bios.len(),
        SlotKind::ReadOnly,
    )?;
    let alias = MemoryRegion::new("firmware below 1 MiB", FIRMWARE_ALIAS)?;
    alias.write(
        0,
        bios.get(bios.len().saturating_sub(FIRMWARE_ALIAS)..)
            .unwrap_or(bios),
    );
    let shadow = Arc::new(Shadow::new(Arc::clone(slots), memory.clone(), alias));
    shadow.reset()?;
    Ok(shadow)
}
