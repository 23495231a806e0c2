//! The layer over the kernel's KVM: probing the host, a virtual machine with its memory slots and interrupt controllers, and
//! its virtual processors. Follows the kernel's KVM API documentation (virt/kvm/api). With `memory` the only place of `unsafe`.

mod coalesced;
mod cpuid;
mod doorbells;
mod error;
mod failure;
mod interrupts;
mod probe;
mod slots;
mod state;
mod tap;
mod uefi_probe;
mod vcpu;
mod vm;

pub use coalesced::CoalescedWrites;
pub use doorbells::Doorbells;
pub use error::HypervisorError;
pub use interrupts::InterruptController;
pub use probe::{HostCapabilities, HostProblem, check_host, device_path};
pub use slots::{MemorySlots, SlotKind};
pub use state::{Activity, ProcessorState};
pub(crate) use tap::Tap;
pub use uefi_probe::check_uefi;
pub use vcpu::{Exit, Kicker, Vcpu};
pub use vm::{PRIVATE_PAGES, PRIVATE_PAGES_SIZE, Vm, VmError};
