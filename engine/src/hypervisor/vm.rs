//! One virtual machine in the kernel.

use std::ops::RangeInclusive;
use std::sync::Arc;

use kvm_bindings::{
    CpuId, KVM_CAP_X86_USER_SPACE_MSR, KVM_MAX_CPUID_ENTRIES, KVM_MSR_EXIT_REASON_UNKNOWN,
    kvm_enable_cap,
};
use kvm_ioctls::{Cap, IoEventAddress, VmFd};

use crate::definition::Topology;

use super::{
    CoalescedWrites, Doorbells, HostProblem, HypervisorError, InterruptController, MemorySlots,
    Vcpu, cpuid, probe,
};

/// Where KVM keeps its own four pages in the guest-physical address space; firmware is told that they are reserved.
pub const PRIVATE_PAGES: u64 = 0xfeff_c000;
/// How many bytes [`PRIVATE_PAGES`] are.
pub const PRIVATE_PAGES_SIZE: u64 = 0x4000;

/// Why a virtual machine could not be made.
#[derive(Debug, thiserror::Error)]
pub enum VmError {
    /// The host cannot run machines.
    #[error(transparent)]
    Host(#[from] HostProblem),
    /// The kernel refused something.
    #[error(transparent)]
    Kernel(#[from] HypervisorError),
}

/// A virtual machine: memory slots, interrupt controllers, and the maker of processors.
pub struct Vm {
    vm: Arc<VmFd>,
    slots: Arc<MemorySlots>,
    interrupts: Arc<InterruptController>,
    doorbells: Arc<Doorbells>,
    supported: CpuId,
    deadline_timer: bool,
}

impl Vm {
    /// Makes an empty virtual machine with its interrupt controllers and timer.
    ///
    /// # Errors
    /// When the host cannot run machines, or refuses.
    pub fn new() -> Result<Self, VmError> {
        let kvm = probe::open_kvm()?;
        let vm = Arc::new(kvm.create_vm().map_err(|error| match error.errno() {
            code if code == rustix::io::Errno::BUSY.raw_os_error() => VmError::Host(HostProblem {
                title: "Another program uses virtualization".to_owned(),
                cause: "KVM says that the processor's virtualization is in use.".to_owned(),
                remedy: "Close the other program's virtual machines (VirtualBox or VMware, say), then try again.".to_owned(),
            }),
            _ => VmError::Kernel(HypervisorError::during("make a virtual machine")(error)),
        })?);
        let identity = PRIVATE_PAGES;
        vm.set_identity_map_address(identity)
            .map_err(HypervisorError::during("reserve its identity map"))?;
        let task_state = usize::try_from(PRIVATE_PAGES + 0x1000).unwrap_or(0);
        vm.set_tss_address(task_state)
            .map_err(HypervisorError::during("reserve its task state"))?;
        if kvm.check_extension(Cap::X86UserSpaceMsr) {
            let mut capability = kvm_enable_cap {
                cap: KVM_CAP_X86_USER_SPACE_MSR,
                ..Default::default()
            };
            if let Some(argument) = capability.args.first_mut() {
                *argument = u64::from(KVM_MSR_EXIT_REASON_UNKNOWN);
            }
            if let Err(error) = vm.enable_cap(&capability) {
                tracing::warn!(%error, "unknown model-specific registers will fault in the guest");
            }
        }
        let interrupts = Arc::new(InterruptController::new(Arc::clone(&vm))?);
        let supported = kvm
            .get_supported_cpuid(KVM_MAX_CPUID_ENTRIES)
            .map_err(HypervisorError::during("say what processors it offers"))?;
        let slots = Arc::new(MemorySlots::new(Arc::clone(&vm)));
        Ok(Self {
            slots,
            interrupts,
            doorbells: Arc::new(Doorbells::new(Arc::clone(&vm))),
            supported,
            deadline_timer: kvm.check_extension(Cap::TscDeadlineTimer),
            vm,
        })
    }

    /// Where the guest's memory is put.
    pub fn slots(&self) -> &Arc<MemorySlots> {
        &self.slots
    }

    /// Watches addresses for writes.
    pub fn doorbells(&self) -> &Arc<Doorbells> {
        &self.doorbells
    }

    /// Where interrupt lines and messages end.
    pub fn interrupts(&self) -> &Arc<InterruptController> {
        &self.interrupts
    }

    /// Whether a guest that may nest finds Intel's virtualization, which its firmware has to switch on.
    pub fn has_vmx(&self) -> bool {
        cpuid::has_vmx(&self.supported)
    }

    /// Makes processor number `index` of a machine whose processors are put together like that; with the host's virtualization if the guest may
    /// be `nested`. Number 0 starts at the reset vector, the others wait to be woken.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn processor(
        &self,
        index: u32,
        topology: Topology,
        nested: bool,
    ) -> Result<Vcpu, HypervisorError> {
        let fd = self
            .vm
            .create_vcpu(u64::from(index))
            .map_err(HypervisorError::during("make a virtual processor"))?;
        let described = cpuid::for_processor(
            &self.supported,
            index,
            topology,
            nested,
            self.deadline_timer,
        )
        .map_err(|_| {
            HypervisorError::during("describe a virtual processor")(kvm_ioctls::Error::new(7))
        })?;
        fd.set_cpuid2(&described)
            .map_err(HypervisorError::during("describe a virtual processor"))?;
        Vcpu::new(fd, index)
    }

    /// Lets the kernel collect the guest's writes to `range` of guest-physical addresses rather than stop a processor for each. To
    /// be called once, with any of the processors; nothing where the kernel cannot.
    ///
    /// The device there must not care when it sees a write, only in which order.
    pub fn collect_writes(
        &self,
        range: &RangeInclusive<u64>,
        processor: &Vcpu,
    ) -> Option<Arc<CoalescedWrites>> {
        if !self.vm.check_extension(Cap::CoalescedMmio) {
            return None;
        }
        let size = u32::try_from(range.end() - range.start() + 1).ok()?;
        let ring = CoalescedWrites::map(processor.descriptor());
        let ring = ring
            .inspect_err(|error| tracing::warn!(%error, "writes are not collected"))
            .ok()?;
        self.vm
            .register_coalesced_mmio(IoEventAddress::Mmio(*range.start()), size)
            .inspect_err(|error| tracing::warn!(%error, "writes are not collected"))
            .ok()?;
        Some(Arc::new(ring))
    }
}
