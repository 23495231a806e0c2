//! Bus 0: the functions on it, and configuration mechanism 1, by which the processor reaches their configuration spaces through
//! ports 0xCF8 (address) and 0xCFC to 0xCFF (data).
//!
//! PCI Local Bus Specification 3.0, section 3.2.2.3.2. Only a 32-bit access at 0xCF8 is the address register; narrower ones
//! there belong to whoever else answers (port 0xCF9 is the reset control register), so that they are left to the port bus.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, RwLock};

use super::windows::Windows;
use super::{Address, PciFunction};
use crate::bus::{
    Action, IoError, IoResult, MemoryBus, PortBus, PortDevice, Shared, Width, shared,
};
use crate::memory::MemoryRegion;

const CONFIG_ADDRESS: u16 = 0xcf8;
const CONFIG_DATA: u16 = 0xcfc;
const CONFIG_DATA_LAST: u16 = 0xcff;
/// The bits of the address register that exist: enable, bus, device, function, register.
const ADDRESS_BITS: u32 = 0x80ff_fffc;
const HEADER_TYPE: u32 = 0x0e;
const MULTIFUNCTION: u32 = 0x80;

/// Puts plain memory where the processor reaches it without asking a device: the hypervisor's memory slots.
///
/// Called with the bus's lock held, never for overlapping windows, always page-aligned and inside the holes that the bus was
/// given.
pub trait DirectMapper: Send + Sync {
    /// Shows all of `region` at guest-physical address `base`; when `read_only`, writes are lost.
    fn map(&self, base: u64, region: &MemoryRegion, read_only: bool);

    /// Takes `region`, shown at `base`, away again.
    fn unmap(&self, base: u64, region: &MemoryRegion);
}

/// There is a function at that address already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("two PCI functions were given slot {}.{}; give one of them another", .0.device, .0.function)]
pub struct Occupied(pub Address);

type Function = Shared<dyn PciFunction>;

/// Bus 0 and the functions on it.
pub struct PciBus {
    functions: RwLock<BTreeMap<Address, Function>>,
    windows: Mutex<Windows>,
    config_address: AtomicU32,
}

impl PciBus {
    /// An empty bus that answers at the configuration ports of `ports` and places the windows of its functions on `ports` and
    /// `memory` and, for plain memory, through `mapper`.
    ///
    /// `holes` are the guest-physical ranges where memory windows may be: between main memory and whatever has a fixed place
    /// above it (the interrupt controllers, the firmware). A window elsewhere is not reachable.
    pub fn new(
        ports: Arc<PortBus>,
        memory: Arc<MemoryBus>,
        mapper: Arc<dyn DirectMapper>,
        holes: Vec<RangeInclusive<u64>>,
    ) -> Arc<Self> {
        let bus = Arc::new_cyclic(|bus: &Weak<Self>| Self {
            functions: RwLock::default(),
            windows: Mutex::new(Windows::new(
                bus.clone(),
                Arc::clone(&ports),
                memory,
                mapper,
                holes,
            )),
            config_address: AtomicU32::new(0),
        });
        let config = shared(ConfigPorts(Arc::downgrade(&bus)));
        ports.map(CONFIG_ADDRESS..=CONFIG_ADDRESS, config.clone());
        ports.map(CONFIG_DATA..=CONFIG_DATA_LAST, config);
        bus
    }

    /// Puts `function` on the bus at `address`. A device with several functions needs one numbered 0, which then says that
    /// there are more.
    ///
    /// # Errors
    /// When there is a function already; nothing changes then.
    pub fn attach(&self, address: Address, function: Function) -> Result<(), Occupied> {
        let mut functions = self.functions.write();
        if functions.contains_key(&address) {
            return Err(Occupied(address));
        }
        functions.insert(address, Arc::clone(&function));
        drop(functions);
        self.windows.lock().update(address, &function);
        Ok(())
    }

    fn function(&self, address: Address) -> Option<Function> {
        self.functions.read().get(&address).cloned()
    }

    fn has_more_functions(&self, device: u8) -> bool {
        let functions = self.functions.read();
        (1..8).any(|function| functions.contains_key(&Address::new(device, function)))
    }

    /// Reads the configuration space of the function at `address`; all ones where there is none and for
    /// an access that crosses the end of a dword.
    pub fn read_config(&self, address: Address, offset: u8, width: Width) -> u32 {
        let Some(function) = self.function(address) else {
            return width.ones();
        };
        let mut value = if crosses_dword(offset, width) {
            width.ones()
        } else {
            function.lock().read_config(offset, width) & width.ones()
        };
        let covered = u32::from(offset)..u32::from(offset) + width.ones().count_ones() / 8;
        if address.function == 0
            && covered.contains(&HEADER_TYPE)
            && self.has_more_functions(address.device)
        {
            value |= MULTIFUNCTION << (8 * (HEADER_TYPE - covered.start));
        }
        value
    }

    /// Writes the configuration space of the function at `address` and moves its windows to where they are now. An access
    /// that crosses the end of a dword is lost.
    pub fn write_config(
        &self,
        address: Address,
        offset: u8,
        width: Width,
        value: u32,
    ) -> Option<Action> {
        let function = self.function(address)?;
        if crosses_dword(offset, width) {
            return None;
        }
        let action = function
            .lock()
            .write_config(offset, width, value & width.ones());
        self.windows.lock().update(address, &function);
        action
    }

    /// Every function as after power-on, and no window anywhere that its function does not have then.
    pub fn reset(&self) {
        self.config_address.store(0, Ordering::Relaxed);
        let functions: Vec<_> = self
            .functions
            .read()
            .iter()
            .map(|(address, function)| (*address, Arc::clone(function)))
            .collect();
        for (address, function) in functions {
            function.lock().reset();
            self.windows.lock().update(address, &function);
        }
    }

    /// The function and register that the address register selects; none when it is not enabled or names another bus.
    fn selected(&self) -> Option<(Address, u8)> {
        let [register, function, bus, enable] =
            self.config_address.load(Ordering::Relaxed).to_le_bytes();
        (enable & 0x80 != 0 && bus == 0)
            .then(|| (Address::new(function >> 3, function), register & 0xfc))
    }
}

fn crosses_dword(offset: u8, width: Width) -> bool {
    usize::from(offset & 3) + width.bytes() > 4
}

/// The configuration ports. They hold the bus weakly, because the bus holds the port bus.
struct ConfigPorts(Weak<PciBus>);

impl ConfigPorts {
    fn bus(&self) -> IoResult<Arc<PciBus>> {
        self.0.upgrade().ok_or(IoError::Unmapped)
    }
}

impl PortDevice for ConfigPorts {
    fn read_port(&mut self, port: u16, width: Width) -> IoResult<u32> {
        let bus = self.bus()?;
        match (port, width) {
            (CONFIG_ADDRESS, Width::Dword) => Ok(bus.config_address.load(Ordering::Relaxed)),
            (CONFIG_DATA..=CONFIG_DATA_LAST, _) => {
                let (address, register) = bus.selected().ok_or(IoError::Unmapped)?;
                let [low, _] = (port - CONFIG_DATA).to_le_bytes();
                Ok(bus.read_config(address, register | low, width))
            }
            (CONFIG_ADDRESS, _) => Err(IoError::Width),
            _ => Err(IoError::Unmapped),
        }
    }

    fn write_port(&mut self, port: u16, width: Width, value: u32) -> IoResult<Option<Action>> {
        let bus = self.bus()?;
        match (port, width) {
            (CONFIG_ADDRESS, Width::Dword) => {
                bus.config_address
                    .store(value & ADDRESS_BITS, Ordering::Relaxed);
                Ok(None)
            }
            (CONFIG_DATA..=CONFIG_DATA_LAST, _) => {
                let (address, register) = bus.selected().ok_or(IoError::Unmapped)?;
                let [low, _] = (port - CONFIG_DATA).to_le_bytes();
                Ok(bus.write_config(address, register | low, width, value))
            }
            (CONFIG_ADDRESS, _) => Err(IoError::Width),
            _ => Err(IoError::Unmapped),
        }
    }
}

#[cfg(test)]
#[path = "bus_tests.rs"]
mod tests;
