//! Where the windows of the functions are at this moment.
//!
//! A guest may write any address into a base address register at any time, also over its memory or over another device. A
//! window is placed only where nothing else is: memory windows inside the holes that main memory leaves, port windows at ports
//! that nobody answers. One that cannot be placed waits, and is tried again whenever another window moves.

use std::ops::RangeInclusive;
use std::sync::{Arc, Weak};

use super::ecam::Ecam;
use super::{Address, BaseAddress, DirectMapper, PciBus, PciFunction, Window};
use crate::bus::{
    Action, IoResult, MemoryBus, MemoryDevice, PortBus, PortDevice, Shared, Width, shared,
};
use crate::memory::MemoryRegion;

/// Passes accesses to one window on to its function.
struct Adapter {
    function: Shared<dyn PciFunction>,
    number: u8,
    /// The window's first port; unused for memory, where the bus counts from the start of the range already.
    first_port: u16,
}

impl PortDevice for Adapter {
    fn read_port(&mut self, port: u16, width: Width) -> IoResult<u32> {
        let mut data = [0xff; 4];
        let (part, _) = data.split_at_mut(width.bytes());
        let offset = u64::from(port.wrapping_sub(self.first_port));
        self.function
            .lock()
            .read_window(self.number, offset, part)?;
        Ok(width.load(&data))
    }

    fn write_port(&mut self, port: u16, width: Width, value: u32) -> IoResult<Option<Action>> {
        let data = value.to_le_bytes();
        let (part, _) = data.split_at(width.bytes());
        let offset = u64::from(port.wrapping_sub(self.first_port));
        self.function.lock().write_window(self.number, offset, part)
    }
}

impl MemoryDevice for Adapter {
    fn read_memory(&mut self, offset: u64, data: &mut [u8]) -> IoResult<()> {
        self.function.lock().read_window(self.number, offset, data)
    }

    fn write_memory(&mut self, offset: u64, data: &[u8]) -> IoResult<Option<Action>> {
        self.function.lock().write_window(self.number, offset, data)
    }
}

/// What answers in a window.
enum Target {
    Ports(Shared<Adapter>),
    Registers(Shared<Adapter>),
    Direct(MemoryRegion, bool),
    Configuration(Shared<Ecam>),
}

struct Placement {
    owner: Address,
    function: Shared<dyn PciFunction>,
    number: u8,
    base: u64,
    last: u64,
    target: Target,
    placed: bool,
}

impl Placement {
    fn is(&self, window: &BaseAddress) -> bool {
        self.number == window.number && self.base == window.base && self.last == last(window)
    }

    fn is_memory(&self) -> bool {
        !matches!(self.target, Target::Ports(_))
    }

    /// The window's ports, if it is made of ports and all of them exist.
    fn ports(&self) -> Option<RangeInclusive<u16>> {
        Some(u16::try_from(self.base).ok()?..=u16::try_from(self.last).ok()?)
    }
}

fn last(window: &BaseAddress) -> u64 {
    window.base.saturating_add(window.size.saturating_sub(1))
}

/// The windows of all functions, and the spaces they are placed in.
pub(super) struct Windows {
    ports: Arc<PortBus>,
    memory: Arc<MemoryBus>,
    mapper: Arc<dyn DirectMapper>,
    holes: Vec<RangeInclusive<u64>>,
    placements: Vec<Placement>,
    bus: Weak<PciBus>,
}

impl Windows {
    pub(super) fn new(
        bus: Weak<PciBus>,
        ports: Arc<PortBus>,
        memory: Arc<MemoryBus>,
        mapper: Arc<dyn DirectMapper>,
        holes: Vec<RangeInclusive<u64>>,
    ) -> Self {
        Self {
            ports,
            memory,
            mapper,
            holes,
            placements: Vec::new(),
            bus,
        }
    }

    /// Moves the windows of `function`, which is at `owner`, to where its base address registers say now.
    pub(super) fn update(&mut self, owner: Address, function: &Shared<dyn PciFunction>) {
        let wanted = function.lock().base_addresses();
        let gone: Vec<usize> = self
            .placements
            .iter()
            .enumerate()
            .filter(|(_, old)| old.owner == owner && !wanted.iter().any(|new| old.is(new)))
            .map(|(index, _)| index)
            .collect();
        let new: Vec<Placement> = wanted
            .into_iter()
            .filter(|window| {
                !self
                    .placements
                    .iter()
                    .any(|old| old.owner == owner && old.is(window))
            })
            .map(|window| placement(&self.bus, owner, function, window))
            .collect();
        if gone.is_empty() && new.is_empty() {
            return;
        }
        for index in gone.into_iter().rev() {
            let old = self.placements.remove(index);
            self.take_away(&old);
        }
        self.placements.extend(new);
        self.place_waiting();
    }

    fn take_away(&self, old: &Placement) {
        if !old.placed {
            return;
        }
        old.function.lock().window_placed(old.number, None);
        match &old.target {
            Target::Ports(adapter) => {
                let device: Shared<dyn PortDevice> = adapter.clone();
                if let Some(ports) = old.ports() {
                    self.ports.unmap(ports, &device);
                }
            }
            Target::Registers(adapter) => {
                let device: Shared<dyn MemoryDevice> = adapter.clone();
                self.memory.unmap(old.base, &device);
            }
            Target::Direct(region, _) => self.mapper.unmap(old.base, region),
            Target::Configuration(ecam) => {
                let device: Shared<dyn MemoryDevice> = ecam.clone();
                self.memory.unmap(old.base, &device);
            }
        }
    }

    fn place_waiting(&mut self) {
        for index in 0..self.placements.len() {
            let Some(waiting) = self.placements.get(index).filter(|window| !window.placed) else {
                continue;
            };
            let placed = self.place(waiting);
            if !placed {
                tracing::debug!(
                    owner = ?waiting.owner,
                    number = waiting.number,
                    base = waiting.base,
                    "a PCI window lies where it cannot be reached"
                );
            }
            if placed {
                let base = Some(waiting.base);
                waiting.function.lock().window_placed(waiting.number, base);
            }
            if let Some(window) = self.placements.get_mut(index) {
                window.placed = placed;
            }
        }
    }

    fn place(&self, window: &Placement) -> bool {
        match &window.target {
            Target::Ports(adapter) => window
                .ports()
                .is_some_and(|ports| self.ports.map_where_free(ports, adapter.clone())),
            Target::Registers(adapter) => self.place_device(window, adapter.clone()),
            Target::Configuration(ecam) => self.place_device(window, ecam.clone()),
            Target::Direct(region, read_only) => {
                let free = window.base.is_multiple_of(4096) && self.is_free(window);
                if free {
                    self.mapper.map(window.base, region, *read_only);
                }
                free
            }
        }
    }

    fn place_device(&self, window: &Placement, device: Shared<dyn MemoryDevice>) -> bool {
        self.is_free(window) && self.memory.map(window.base..=window.last, device).is_ok()
    }

    /// Whether a memory window lies inside a hole and over no other window.
    fn is_free(&self, window: &Placement) -> bool {
        self.holes
            .iter()
            .any(|hole| hole.contains(&window.base) && hole.contains(&window.last))
            && !self.placements.iter().any(|other| {
                other.placed
                    && other.is_memory()
                    && other.base <= window.last
                    && window.base <= other.last
            })
    }
}

fn placement(
    bus: &Weak<PciBus>,
    owner: Address,
    function: &Shared<dyn PciFunction>,
    window: BaseAddress,
) -> Placement {
    let adapter = || {
        shared(Adapter {
            function: Arc::clone(function),
            number: window.number,
            first_port: u16::try_from(window.base).unwrap_or(0),
        })
    };
    let last = last(&window);
    let target = match window.window {
        Window::Ports => Target::Ports(adapter()),
        Window::Registers => Target::Registers(adapter()),
        Window::Memory(region) => Target::Direct(region, false),
        Window::Rom(region) => Target::Direct(region, true),
        Window::Configuration => Target::Configuration(shared(Ecam(bus.clone()))),
    };
    Placement {
        owner,
        function: Arc::clone(function),
        number: window.number,
        base: window.base,
        last,
        target,
        placed: false,
    }
}
