//! Writes that the kernel collects instead of stopping the guest for each (KVM's coalesced MMIO; Linux, Documentation/virt/kvm/api.rst,
//! KVM_REGISTER_COALESCED_MMIO).
//!
//! The kernel appends each write to a ring that all processors of a machine share. Whoever is about to do something that such a
//! write may come before (carry out another access of the guest, draw what the guest drew, stop the machine) flushes the ring
//! first, so that devices see everything in its order.

use std::os::fd::BorrowedFd;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

use kvm_bindings::{KVM_COALESCED_MMIO_PAGE_OFFSET, kvm_coalesced_mmio, kvm_coalesced_mmio_ring};
use parking_lot::Mutex;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::HypervisorError;

const PAGE: usize = 4096;
/// How many writes the ring has places for.
#[expect(clippy::cast_possible_truncation, reason = "about 170")]
const PLACES: u32 =
    ((PAGE - size_of::<kvm_coalesced_mmio_ring>()) / size_of::<kvm_coalesced_mmio>()) as u32;

/// The ring of one machine.
pub struct CoalescedWrites {
    page: *mut kvm_coalesced_mmio_ring,
    /// Whoever takes writes out, so that they are carried out in their order.
    order: Mutex<()>,
}

#[expect(unsafe_code, reason = "a pointer to a page shared with the kernel")]
// SAFETY: the page is mapped for as long as this lives; its indices are only accessed atomically, and its entries only under `order`
// and only where the kernel does not write at the time.
unsafe impl Send for CoalescedWrites {}
#[expect(unsafe_code, reason = "a pointer to a page shared with the kernel")]
// SAFETY: as above.
unsafe impl Sync for CoalescedWrites {}

impl CoalescedWrites {
    /// The ring of the machine that the processor behind `vcpu` belongs to.
    #[expect(unsafe_code, reason = "maps the page that the kernel shares")]
    pub(super) fn map(vcpu: BorrowedFd<'_>) -> Result<Self, HypervisorError> {
        let offset = u64::from(KVM_COALESCED_MMIO_PAGE_OFFSET) * PAGE as u64;
        let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: a new mapping at a place of the kernel's choice, which nothing else refers to.
        let page = unsafe { mmap(ptr::null_mut(), PAGE, protection, flags, vcpu, offset) }
            .map_err(|error| {
                HypervisorError::during("map the ring of collected writes")(kvm_ioctls::Error::new(
                    error.raw_os_error(),
                ))
            })?;
        Ok(Self {
            page: page.cast(),
            order: Mutex::new(()),
        })
    }

    #[expect(unsafe_code, reason = "an index in the shared page")]
    fn first(&self) -> &AtomicU32 {
        // SAFETY: the page is mapped while `self` lives and aligned; the kernel accesses the index in whole words.
        unsafe { AtomicU32::from_ptr(&raw mut (*self.page).first) }
    }

    #[expect(unsafe_code, reason = "an index in the shared page")]
    fn last(&self) -> &AtomicU32 {
        // SAFETY: as for `first`.
        unsafe { AtomicU32::from_ptr(&raw mut (*self.page).last) }
    }

    /// Gives the writes that wait to `write` (guest-physical address and bytes), in their order; returns once all that waited when
    /// it was called are carried out. `write` must not flush.
    pub fn flush(&self, mut write: impl FnMut(u64, &[u8])) {
        // A place is given back only when its write was carried out: an empty ring has nothing under way either.
        if self.first().load(Ordering::Acquire) == self.last().load(Ordering::Acquire) {
            return;
        }
        let _order = self.order.lock();
        // No more than there are places, so that a guest that goes on writing keeps nobody here.
        for _ in 0..PLACES {
            let first = self.first().load(Ordering::Acquire);
            if first == self.last().load(Ordering::Acquire) || first >= PLACES {
                break;
            }
            let entry = self.entry(first);
            let length = usize::try_from(entry.len).unwrap_or(0);
            if let Some(data) = entry.data.get(..length) {
                write(entry.phys_addr, data);
            }
            self.first().store((first + 1) % PLACES, Ordering::Release);
        }
    }

    #[expect(unsafe_code, reason = "an entry of the shared page")]
    fn entry(&self, place: u32) -> kvm_coalesced_mmio {
        debug_assert!(place < PLACES);
        // SAFETY: the entries follow the indices in the page, `place` is one of them, and between `first` and `last`: the kernel
        // does not write it before `first` has gone past it.
        unsafe {
            (&raw const (*self.page).coalesced_mmio)
                .cast::<kvm_coalesced_mmio>()
                .add(place as usize)
                .read()
        }
    }
}

impl Drop for CoalescedWrites {
    #[expect(unsafe_code, reason = "unmaps the page")]
    fn drop(&mut self) {
        // SAFETY: the mapping is our own and nothing refers to it any more.
        if let Err(error) = unsafe { munmap(self.page.cast(), PAGE) } {
            tracing::error!(%error, "the ring of collected writes stayed mapped");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ring in memory of our own, in the kernel's place.
    fn ring() -> CoalescedWrites {
        let memory = rustix::fs::memfd_create("ring", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        let end = u64::from(KVM_COALESCED_MMIO_PAGE_OFFSET + 1) * PAGE as u64;
        rustix::fs::ftruncate(&memory, end).unwrap();
        CoalescedWrites::map(std::os::fd::AsFd::as_fd(&memory)).unwrap()
    }

    /// Appends a write as the kernel does; tells whether there was room.
    #[expect(unsafe_code, reason = "writes what the kernel would")]
    fn append(ring: &CoalescedWrites, address: u64, data: &[u8], length: u32) -> bool {
        let last = ring.last().load(Ordering::Acquire);
        if (last + 1) % PLACES == ring.first().load(Ordering::Acquire) {
            return false;
        }
        let mut entry = kvm_coalesced_mmio {
            phys_addr: address,
            len: length,
            ..Default::default()
        };
        entry.data[..data.len()].copy_from_slice(data);
        // SAFETY: `last` is a place of the ring, and nobody reads it before `last` has gone past it.
        unsafe {
            (&raw mut (*ring.page).coalesced_mmio)
                .cast::<kvm_coalesced_mmio>()
                .add(last as usize)
                .write(entry);
        }
        ring.last().store((last + 1) % PLACES, Ordering::Release);
        true
    }

    fn flushed(ring: &CoalescedWrites) -> Vec<(u64, Vec<u8>)> {
        let mut writes = Vec::new();
        ring.flush(|address, data| writes.push((address, data.to_vec())));
        writes
    }

    #[test]
    fn writes_come_out_in_their_order_around_the_end_of_the_ring() {
        let ring = ring();
        assert_eq!(flushed(&ring), []);
        let mut next = 0_u64;
        for round in 1..60 {
            let start = next;
            for _ in 0..round * 3 {
                if append(&ring, next, &next.to_le_bytes(), 8) {
                    next += 1;
                }
            }
            let expected: Vec<_> = (start..next)
                .map(|number| (number, number.to_le_bytes().to_vec()))
                .collect();
            assert_eq!(flushed(&ring), expected);
        }
    }

    #[test]
    fn lengths_that_cannot_be_are_passed_over() {
        let ring = ring();
        for (length, data) in [(9, &[1, 2][..]), (2, &[3, 4]), (u32::MAX, &[5]), (0, &[])] {
            assert!(append(&ring, 7, data, length));
        }
        assert_eq!(flushed(&ring), [(7, vec![3, 4]), (7, vec![])]);
        ring.first().store(u32::MAX, Ordering::Release);
        assert_eq!(flushed(&ring), []);
    }
}
