//! Joins the chipset's and the PCI bus's words for memory to the hypervisor's memory slots.

use std::sync::Arc;

use super::processors::Buses;
use crate::chipset::{FlashArray, PamSink, PamState, PamTarget};
use crate::display::DirtySource;
use crate::hypervisor::{MemorySlots, SlotKind};
use crate::memory::MemoryRegion;
use crate::memory::shadow::{Attributes, Shadow};
use crate::pci::DirectMapper;

/// The host bridge's attribute map, carried out by the shadow.
pub(super) struct Pam(pub Arc<Shadow>);

impl PamSink for Pam {
    fn set_pam(&self, segment: usize, state: PamState) {
        let attributes = Attributes {
            read: state.read == PamTarget::Memory,
            write: state.write == PamTarget::Memory,
        };
        if let Err(error) = self.0.set(segment, attributes) {
            tracing::error!(segment, ?state, %error, "the shadow below 1 MiB stays as it was");
        }
    }
}

/// The array of the firmware's flash memory, shown by a memory slot.
pub(super) struct FlashSlot {
    pub slots: Arc<MemorySlots>,
    pub base: u64,
    pub region: MemoryRegion,
}

impl FlashArray for FlashSlot {
    fn show(&mut self, shown: bool) {
        let outcome = if shown {
            let size = self.region.size();
            self.slots
                .map(self.base, &self.region, 0, size, SlotKind::ReadOnly)
        } else {
            self.slots.unmap(self.base)
        };
        if let Err(error) = outcome {
            tracing::error!(shown, %error, "the flash memory stays as it was");
        }
    }
}

/// Windows of PCI functions that are plain memory.
pub(super) struct Windows(pub Arc<MemorySlots>);

impl DirectMapper for Windows {
    fn map(&self, base: u64, region: &MemoryRegion, read_only: bool) {
        let kind = if read_only {
            SlotKind::ReadOnly
        } else {
            SlotKind::Logged
        };
        if let Err(error) = self.0.map(base, region, 0, region.size(), kind) {
            tracing::warn!(region = region.name(), base = format_args!("{base:#x}"), %error, "a PCI window is not reachable");
        }
    }

    fn unmap(&self, base: u64, _region: &MemoryRegion) {
        if let Err(error) = self.0.unmap(base) {
            tracing::error!(base = format_args!("{base:#x}"), %error, "a PCI window stays where it was");
        }
    }
}

/// Which pages of video memory the guest wrote, from the kernel's log. What the kernel has collected is written first.
pub(super) struct DirtyLog {
    pub slots: Arc<MemorySlots>,
    pub buses: Buses,
}

impl DirtySource for DirtyLog {
    fn take(&mut self, region: &MemoryRegion) -> Option<Vec<u64>> {
        self.buses.settle();
        self.slots.take_dirty(region)
    }
}
