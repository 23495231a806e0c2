//! A running machine's hardware, whatever its generation: put together from its definition, run, stopped and reset as a whole.

use std::sync::Arc;

use super::board::{Board, Chipset, Order};
use super::display::Display;
use super::drives::Drives;
use super::generation1::{self, Generation1};
use super::generation2::{self, Generation2};
use super::input::Router;
use super::isa::{IsaDevices, Surroundings};
use super::memory_map::DirtyLog;
use super::networks::Networks;
use super::processors::{Processors, Reporter};
use super::usage::Meters;
use super::virtio::{self, VirtioCards};
use super::{StartError, StartOptions};
use crate::bus::{Shared, shared};
use crate::definition::{Definition, Generation, Host, Severity};
use crate::display::DisplayThread;
use crate::display::vga::LEGACY_WINDOW;
use crate::firmware::{FwCfg, build_fw_cfg};
use crate::hypervisor::{HypervisorError, ProcessorState, Vm};
use crate::legacy::{RunningClock, TimerThread, Wakeup};
use crate::library::MachineLock;
use crate::memory::GuestMemory;
use crate::pci::PciBus;
use crate::snapshot::check_start;
use crate::virtio::balloon::BalloonHandle;

/// The devices that start anew at a reset.
struct Devices {
    pci: Arc<PciBus>,
    chipset: Box<dyn Chipset>,
    isa: IsaDevices,
    fw_cfg: Shared<FwCfg>,
}

impl Devices {
    fn reset(&self) -> Result<(), HypervisorError> {
        self.pci.reset();
        self.isa.reset();
        self.fw_cfg.lock().reset();
        self.chipset.reset()
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
    networks: Arc<Networks>,
    virtio: VirtioCards,
    balloon: Option<BalloonHandle>,
    devices: Devices,
    /// Keeps what the memory slots refer to.
    _memory: GuestMemory,
    vm: Vm,
    /// Nobody else runs the machine meanwhile.
    _lock: MachineLock,
}

impl Hardware {
    /// Puts the machine together. Its processors stand still.
    ///
    /// # Errors
    /// What keeps it from starting.
    pub fn build(
        order: Order<'_>,
        options: StartOptions,
        reporter: &Reporter,
    ) -> Result<Self, StartError> {
        let (definition, common, faults) = (order.definition, order.common, order.faults);
        let lock = MachineLock::acquire(order.folder)?;
        check_start(order.folder, order.definition)?;
        check(definition)?;
        let layout = match definition.generation {
            Generation::One => generation1::layout(definition.memory.bytes()),
            Generation::Two => generation2::layout(definition.memory.bytes()),
        };
        let board = Board::new(order, layout)?;
        let chipset: Box<dyn Chipset> = match definition.generation {
            Generation::One => Box::new(Generation1::build(&board)?),
            Generation::Two => Box::new(Generation2::build(&board)?),
        };
        let display = match definition.generation {
            Generation::One => generation1::display(&board, chipset.as_ref())?,
            Generation::Two => generation2::display(&board, chipset.as_ref())?,
        };
        let drives = Drives::build(&board, chipset.as_ref())?;
        let networks = Arc::new(Networks::build(&board, chipset.as_ref())?);
        *common.networks.lock() = Some(Arc::clone(&networks));
        let handles = virtio::build(&board, chipset.as_ref(), options.console)?;

        let around = Surroundings {
            common,
            buses: &board.buses,
            interrupts: &board.interrupts,
            wakeup: &board.wakeup,
            clock: &board.clock,
        };
        let isa = IsaDevices::build(definition, board.layout, &around, options.serial)?;
        let mut timed = chipset.timed();
        timed.push(isa.timed());
        let timers = TimerThread::start(&board.wakeup, timed)?;
        let fw_cfg = shared(build_fw_cfg(
            definition,
            board.vm.has_vmx(),
            &board.layout,
            board.memory.clone(),
            &board.boot_entries(),
            chipset.configuration_window(),
        )?);
        board.buses.ports.map(FwCfg::PORTS, fw_cfg.clone());

        let topology = definition.processor.topology().ok_or_else(|| {
            StartError::Internal("the processors cannot be put together".to_owned())
        })?;
        let nested = definition.processor.nested;
        let vcpus = (0..definition.processor.count)
            .map(|index| board.vm.processor(index, topology, nested))
            .collect::<Result<Vec<_>, _>>()?;
        let mut buses = board.buses.clone();
        buses.collected = vcpus
            .first()
            .and_then(|vcpu| board.vm.collect_writes(&LEGACY_WINDOW, vcpu));

        let Display {
            vga,
            owner,
            renderer,
        } = display;
        let display = DisplayThread::spawn(
            renderer,
            Box::new(DirtyLog {
                slots: Arc::clone(board.vm.slots()),
                buses: buses.clone(),
            }),
        )?;
        *common.input.lock() = Some(Arc::new(Router::new(
            isa.input(&common.surface),
            handles.input,
        )));
        let seen = buses.clone();
        *common.text.lock() = Some(Box::new(move || {
            seen.settle();
            if owner.is_taken() {
                return None;
            }
            vga.lock().text()
        }));

        let processors = Processors::new(definition.name.as_str(), vcpus, &buses, reporter)?;
        *common.meters.lock() = Some(Arc::new(Meters {
            processors: processors.thread_numbers(),
            memory: board.memory.clone(),
            balloon: handles.balloon.clone(),
            drives: Arc::clone(faults),
            networks: Arc::clone(&networks),
        }));
        Ok(Self {
            processors,
            _display: display,
            _timers: timers,
            running: board.running,
            wakeup: board.wakeup,
            drives,
            networks,
            virtio: board.virtio,
            balloon: handles.balloon,
            devices: Devices {
                pci: board.pci,
                chipset,
                isa,
                fw_cfg,
            },
            _memory: board.memory,
            vm: board.vm,
            _lock: lock,
        })
    }

    /// Lets the guest run.
    pub fn run(&self) {
        self.running.resume();
        self.wakeup.set_paused(false);
        self.networks.set_paused(false);
        self.virtio.resume();
        self.processors.run();
    }

    /// Stops the guest and what its drives and other devices have under way.
    pub fn stop(&self) {
        self.processors.stop();
        self.virtio.pause();
        self.drives.drain();
        self.networks.set_paused(true);
        self.wakeup.set_paused(true);
        self.running.pause();
    }

    /// Puts everything into the state it has after power-on. To be called while the guest stands still.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn reset(&self) -> Result<(), HypervisorError> {
        self.devices.reset()?;
        self.vm.interrupts().reset()?;
        self.processors.reset();
        Ok(())
    }

    /// What the processors hold. To be called while the guest stands still.
    pub fn processor_states(&self) -> Vec<ProcessorState> {
        self.processors.states()
    }

    /// Stops the processors alone for a moment, to see what they hold. To be called while the guest runs.
    pub fn look_at_processors(&self) -> Vec<ProcessorState> {
        self.processors.stop();
        let states = self.processors.states();
        self.processors.run();
        states
    }

    /// Presses the power button.
    pub fn press_power_button(&self) {
        self.devices.chipset.press_power_button();
    }

    /// The memory balloon, if the machine has one.
    pub fn balloon(&self) -> Option<&BalloonHandle> {
        self.balloon.as_ref()
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
