//! The guest-physical address space as KVM knows it: which memory is where, what of it is read-only, and what was written.
//!
//! KVM cannot change a slot's flags or place while it exists: what changes is taken out and put in anew, and in between the
//! guest's other processors see nothing there. Slots are therefore touched only when something really changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use kvm_bindings::{KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY, kvm_userspace_memory_region};
use kvm_ioctls::VmFd;
use parking_lot::Mutex;

use super::HypervisorError;
use crate::memory::MemoryRegion;

/// What the guest may do with a piece of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotKind {
    /// Read, write, execute.
    Memory,
    /// The same, and the kernel notes which pages were written.
    Logged,
    /// Read and execute; a write becomes an access to the memory bus.
    ReadOnly,
}

struct Slot {
    number: u32,
    region: MemoryRegion,
    offset: usize,
    length: usize,
    kind: SlotKind,
}

#[derive(Default)]
struct Table {
    /// By guest-physical address; slots never overlap.
    slots: BTreeMap<u64, Slot>,
    free: Vec<u32>,
    next: u32,
}

/// The memory slots of one virtual machine.
pub struct MemorySlots {
    vm: Arc<VmFd>,
    table: Mutex<Table>,
}

impl MemorySlots {
    pub(super) fn new(vm: Arc<VmFd>) -> Self {
        Self {
            vm,
            table: Mutex::new(Table::default()),
        }
    }

    /// Lets the guest see `length` bytes of `region` from `offset` on at guest-physical `base`. What stood at the same base
    /// before is replaced. `base`, `offset` and `length` are multiples of 4096.
    ///
    /// # Errors
    /// When the range is not within the region, another slot overlaps it, or the kernel refuses.
    pub fn map(
        &self,
        base: u64,
        region: &MemoryRegion,
        offset: usize,
        length: usize,
        kind: SlotKind,
    ) -> Result<(), HypervisorError> {
        let mut table = self.table.lock();
        if let Some(slot) = table.slots.get(&base)
            && (slot.offset, slot.length, slot.kind) == (offset, length, kind)
            && slot.region.same_as(region)
        {
            return Ok(());
        }
        self.remove(&mut table, base)?;
        let invalid = || {
            HypervisorError::during("place memory where it does not fit")(kvm_ioctls::Error::new(
                22,
            ))
        };
        let end = base.checked_add(length as u64).ok_or_else(invalid)?;
        let within = offset
            .checked_add(length)
            .is_some_and(|end| end <= region.size());
        let aligned = (base | offset as u64 | length as u64).trailing_zeros() >= 12;
        let below = table.slots.range(..end).next_back();
        let taken = below.is_some_and(|(start, slot)| start + slot.length as u64 > base);
        if !within || !aligned || length == 0 || taken {
            return Err(invalid());
        }
        let number = table.free.pop().unwrap_or_else(|| {
            table.next += 1;
            table.next - 1
        });
        let slot = Slot {
            number,
            region: region.clone(),
            offset,
            length,
            kind,
        };
        self.tell(base, &slot, slot.length)?;
        table.slots.insert(base, slot);
        Ok(())
    }

    /// Takes away the memory that was mapped at `base`, if any.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn unmap(&self, base: u64) -> Result<(), HypervisorError> {
        self.remove(&mut self.table.lock(), base)
    }

    fn remove(&self, table: &mut Table, base: u64) -> Result<(), HypervisorError> {
        if let Some(slot) = table.slots.get(&base) {
            self.tell(base, slot, 0)?;
            table.free.push(slot.number);
            table.slots.remove(&base);
        }
        Ok(())
    }

    #[expect(unsafe_code, reason = "hands host memory to the guest")]
    fn tell(&self, base: u64, slot: &Slot, length: usize) -> Result<(), HypervisorError> {
        let flags = match slot.kind {
            SlotKind::Memory => 0,
            SlotKind::Logged => KVM_MEM_LOG_DIRTY_PAGES,
            SlotKind::ReadOnly => KVM_MEM_READONLY,
        };
        let region = kvm_userspace_memory_region {
            slot: slot.number,
            flags,
            guest_phys_addr: base,
            memory_size: length as u64,
            userspace_addr: slot.region.host_address() + slot.offset as u64,
        };
        // SAFETY: `map` checked that the range lies within the mapping; the slot, which holds the mapping, is kept in the table
        // for as long as the kernel knows of it; nobody holds references into the mapping, since a `MemoryRegion` is only
        // copied from and to.
        unsafe { self.vm.set_user_memory_region(region) }
            .map_err(HypervisorError::during("place the guest's memory"))
    }

    /// Which pages of 4096 bytes of `region` the guest wrote since the last call, a bit each; `None` if the region is not
    /// mapped as [`SlotKind::Logged`] now.
    pub fn take_dirty(&self, region: &MemoryRegion) -> Option<Vec<u64>> {
        let table = self.table.lock();
        let slot = table
            .slots
            .values()
            .find(|slot| slot.kind == SlotKind::Logged && slot.region.same_as(region))?;
        self.vm.get_dirty_log(slot.number, slot.length).ok()
    }
}

impl Drop for MemorySlots {
    fn drop(&mut self) {
        // The slots go before the memory behind them does, even if a clone of the VM's descriptor should live on.
        let mut table = self.table.lock();
        let bases: Vec<u64> = table.slots.keys().copied().collect();
        for base in bases {
            if let Err(error) = self.remove(&mut table, base) {
                tracing::error!(base, %error, "a memory slot stayed");
            }
        }
    }
}
