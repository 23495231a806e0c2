//! One virtual processor: runs the guest until it touches a device or must stop.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Once};
use std::thread::JoinHandle;

use kvm_bindings::{
    KVM_EXIT_INTERNAL_ERROR, KVM_MP_STATE_RUNNABLE, KVM_MP_STATE_UNINITIALIZED, Msrs,
    kvm_debugregs, kvm_lapic_state, kvm_mp_state, kvm_msr_entry, kvm_regs, kvm_run, kvm_sregs,
    kvm_vcpu_events, kvm_xcrs, kvm_xsave,
};
use kvm_ioctls::{VcpuExit, VcpuFd};
use parking_lot::Mutex;
use rustix::io::Errno;
use vmm_sys_util::signal::{Killable, SIGRTMIN, register_signal_handler};

use super::HypervisorError;
use super::failure::{self, InternalError};
use super::state::ProcessorState;
use crate::bus::Width;

/// Why the guest stopped.
#[derive(Debug)]
pub enum Exit<'a> {
    /// It reads a port; `data` is to be filled with as many items of `width` as fit.
    PortRead {
        /// Which.
        port: u16,
        /// Of one item.
        width: Width,
        /// To be filled.
        data: &'a mut [u8],
    },
    /// It writes a port.
    PortWrite {
        /// Which.
        port: u16,
        /// Of one item.
        width: Width,
        /// What.
        data: &'a [u8],
    },
    /// It reads an address where no memory is.
    MemoryRead {
        /// Guest-physical.
        address: u64,
        /// To be filled.
        data: &'a mut [u8],
    },
    /// It writes an address where no memory is, or read-only memory.
    MemoryWrite {
        /// Guest-physical.
        address: u64,
        /// What.
        data: &'a [u8],
    },
    /// It read or wrote a model-specific register that KVM does not know; reads give 0.
    UnknownRegister {
        /// Which.
        index: u32,
        /// What it wrote, if it wrote.
        written: Option<u64>,
    },
    /// Nothing: it was kicked.
    Interrupted,
    /// A triple fault: a PC resets.
    TripleFault,
    /// It cannot go on; [`Vcpu::explain`] says why.
    Stuck,
    /// It cannot go on: why, in words.
    Failed(String),
}

/// Stops a processor that runs the guest, from another thread. KVM's `immediate_exit` makes the next entry return at once; a
/// signal to the thread ends the entry it is in.
#[derive(Clone)]
pub struct Kicker {
    /// The address of `immediate_exit` in the shared page; gone with the processor.
    flag: Arc<Mutex<Option<Flag>>>,
}

struct Flag(*const AtomicU8);

#[expect(
    unsafe_code,
    reason = "a pointer into a mapping shared between threads"
)]
// SAFETY: the pointer is to a byte that is only accessed atomically, and `Kicker` gives it up before the mapping goes.
unsafe impl Send for Flag {}

impl Kicker {
    /// Makes the processor that `thread` runs return from the guest, or not enter it.
    #[expect(
        unsafe_code,
        reason = "writes the flag in the page shared with the kernel"
    )]
    pub fn kick(&self, thread: &JoinHandle<()>) {
        if let Some(flag) = &*self.flag.lock() {
            // SAFETY: the pointer is valid while it is in the cell: the processor takes it out, under this lock, before its
            // mapping is undone.
            unsafe { &*flag.0 }.store(1, Ordering::Release);
        }
        install_handler();
        // A thread that has ended needs no signal.
        let _ = thread.kill(SIGRTMIN());
    }
}

/// The signal does nothing but end the system call that the thread is in.
fn install_handler() {
    extern "C" fn ignore(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {}
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        if let Err(error) = register_signal_handler(SIGRTMIN(), ignore) {
            tracing::error!(%error, "no handler for the signal that stops processors");
        }
    });
}

/// A processor's registers at power-on.
struct InitialState {
    registers: kvm_regs,
    system: kvm_sregs,
    local_apic: kvm_lapic_state,
    extended: kvm_xsave,
    extended_control: kvm_xcrs,
    debug: kvm_debugregs,
    events: kvm_vcpu_events,
    model_specific: Vec<kvm_msr_entry>,
}

/// A virtual processor.
pub struct Vcpu {
    kicker: Kicker,
    fd: VcpuFd,
    run: *mut kvm_run,
    index: u32,
    initial: Box<InitialState>,
}

#[expect(unsafe_code, reason = "a pointer into the processor's own mapping")]
// SAFETY: `run` points into the mapping that `fd` owns and goes where `fd` goes; `VcpuFd` itself may change threads.
unsafe impl Send for Vcpu {}

/// Registers that KVM does not put back by itself at a reset and that guests change: MTRRs, the time stamp counter's offset and
/// KVM's own clock pages, system call entries, miscellaneous enables.
const RESET_REGISTERS: &[u32] = &[
    0x1b,
    0x174,
    0x175,
    0x176,
    0x1a0,
    0x277,
    0x2ff,
    0x250,
    0x258,
    0x259,
    0x268,
    0x269,
    0x26a,
    0x26b,
    0x26c,
    0x26d,
    0x26e,
    0x26f,
    0x200,
    0x201,
    0x202,
    0x203,
    0x204,
    0x205,
    0x206,
    0x207,
    0x208,
    0x209,
    0x20a,
    0x20b,
    0x20c,
    0x20d,
    0x20e,
    0x20f,
    0x11,
    0x12,
    0x4b56_4d00,
    0x4b56_4d01,
    0x4b56_4d02,
    0x4b56_4d03,
    0x4b56_4d04,
    0xc000_0081,
    0xc000_0082,
    0xc000_0083,
    0xc000_0084,
    0xc000_0102,
    0xc000_0103,
];

impl Vcpu {
    pub(super) fn new(mut fd: VcpuFd, index: u32) -> Result<Self, HypervisorError> {
        let run: *mut kvm_run = fd.get_kvm_run();
        #[expect(unsafe_code, reason = "the address of a field in the shared page")]
        // SAFETY: `run` points to the live mapping; the address of a field is taken, nothing is read. `AtomicU8` has the layout
        // of the `u8` that `immediate_exit` is.
        let flag = Flag(unsafe { &raw const (*run).immediate_exit }.cast());
        let kicker = Kicker {
            flag: Arc::new(Mutex::new(Some(flag))),
        };
        let read = |action| HypervisorError::during(action);
        let mut model_specific = Vec::new();
        for register in RESET_REGISTERS {
            // One by one: a register that this host does not have ends a list of several.
            let entry = kvm_msr_entry {
                index: *register,
                ..Default::default()
            };
            if let Ok(mut list) = Msrs::from_entries(&[entry])
                && fd.get_msrs(&mut list).is_ok_and(|count| count == 1)
            {
                model_specific.extend_from_slice(list.as_slice());
            }
        }
        let initial = Box::new(InitialState {
            registers: fd
                .get_regs()
                .map_err(read("read a processor's registers"))?,
            system: fd
                .get_sregs()
                .map_err(read("read a processor's system registers"))?,
            local_apic: fd.get_lapic().map_err(read("read a local APIC"))?,
            extended: fd
                .get_xsave()
                .map_err(read("read a processor's extended state"))?,
            extended_control: fd
                .get_xcrs()
                .map_err(read("read a processor's extended control registers"))?,
            debug: fd
                .get_debug_regs()
                .map_err(read("read a processor's debug registers"))?,
            events: fd
                .get_vcpu_events()
                .map_err(read("read a processor's events"))?,
            model_specific,
        });
        let vcpu = Self {
            kicker,
            fd,
            run,
            index,
            initial,
        };
        vcpu.start_state()?;
        Ok(vcpu)
    }

    /// What stops this processor from another thread.
    pub fn kicker(&self) -> Kicker {
        self.kicker.clone()
    }

    /// The processor's descriptor.
    #[expect(unsafe_code, reason = "the descriptor is only to be had as a number")]
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        // SAFETY: `fd` owns the descriptor and lives at least as long as the borrow of `self`.
        unsafe { BorrowedFd::borrow_raw(self.fd.as_raw_fd()) }
    }

    /// The processor's number.
    pub fn index(&self) -> u32 {
        self.index
    }

    fn start_state(&self) -> Result<(), HypervisorError> {
        let mp_state = if self.index == 0 {
            KVM_MP_STATE_RUNNABLE
        } else {
            KVM_MP_STATE_UNINITIALIZED
        };
        self.fd
            .set_mp_state(kvm_mp_state { mp_state })
            .map_err(HypervisorError::during("start a processor"))
    }

    /// Puts the processor into its state at power-on. The order matters: the local APIC's base is a system register, so the
    /// local APIC comes after them, and pending events come last, since setting registers clears them.
    ///
    /// # Errors
    /// When the kernel refuses; a model-specific register that it refuses is only logged.
    #[expect(
        unsafe_code,
        reason = "the extended state is as large as the host says"
    )]
    pub fn reset(&mut self) -> Result<(), HypervisorError> {
        let write = HypervisorError::during;
        self.start_state()?;
        self.fd
            .set_regs(&self.initial.registers)
            .map_err(write("reset a processor's registers"))?;
        self.fd
            .set_sregs(&self.initial.system)
            .map_err(write("reset a processor's system registers"))?;
        // SAFETY: the state was read by KVM_GET_XSAVE into the same 4 KiB structure, and no feature with a larger state was
        // switched on for this process (arch_prctl), so KVM_SET_XSAVE reads no more than that.
        unsafe { self.fd.set_xsave(&self.initial.extended) }
            .map_err(write("reset a processor's extended state"))?;
        self.fd
            .set_xcrs(&self.initial.extended_control)
            .map_err(write("reset a processor's extended control registers"))?;
        self.fd
            .set_debug_regs(&self.initial.debug)
            .map_err(write("reset a processor's debug registers"))?;
        self.fd
            .set_lapic(&self.initial.local_apic)
            .map_err(write("reset a local APIC"))?;
        for entry in &self.initial.model_specific {
            let taken = Msrs::from_entries(&[*entry])
                .is_ok_and(|list| self.fd.set_msrs(&list).is_ok_and(|count| count == 1));
            if !taken {
                tracing::debug!(
                    register = format_args!("{:#x}", entry.index),
                    "KVM does not take this register back"
                );
            }
        }
        self.fd
            .set_vcpu_events(&self.initial.events)
            .map_err(write("reset a processor's events"))
    }

    /// Finishes an access to a device that the guest is in the middle of, without running on.
    pub fn complete_access(&mut self) {
        self.fd.set_kvm_immediate_exit(1);
        if let Err(error) = self.fd.run()
            && error.errno() != Errno::INTR.raw_os_error()
        {
            tracing::debug!(%error, "an access was not completed");
        }
    }

    /// Forgets a kick that was meant for a run that is over.
    pub fn clear_kick(&mut self) {
        self.fd.set_kvm_immediate_exit(0);
    }

    /// Runs the guest until it stops.
    #[expect(
        unsafe_code,
        reason = "the width of a port access is only in the shared page"
    )]
    pub fn run(&mut self) -> Exit<'_> {
        let run = self.run;
        match self.fd.run() {
            Ok(VcpuExit::IoIn(port, data)) => {
                // SAFETY: the processor has returned from the guest, so the kernel does not write the page now; `fd` keeps the
                // mapping; the exit reason says that `io` is the union's field.
                let size = unsafe { (*run).__bindgen_anon_1.io.size };
                Exit::PortRead {
                    port,
                    width: Width::from_bytes(usize::from(size)).unwrap_or(Width::Byte),
                    data,
                }
            }
            Ok(VcpuExit::IoOut(port, data)) => {
                // SAFETY: as for `IoIn`.
                let size = unsafe { (*run).__bindgen_anon_1.io.size };
                Exit::PortWrite {
                    port,
                    width: Width::from_bytes(usize::from(size)).unwrap_or(Width::Byte),
                    data,
                }
            }
            Ok(VcpuExit::MmioRead(address, data)) => Exit::MemoryRead { address, data },
            Ok(VcpuExit::MmioWrite(address, data)) => Exit::MemoryWrite { address, data },
            Ok(VcpuExit::X86Rdmsr(exit)) => {
                *exit.data = 0;
                *exit.error = 0;
                Exit::UnknownRegister {
                    index: exit.index,
                    written: None,
                }
            }
            Ok(VcpuExit::X86Wrmsr(exit)) => {
                *exit.error = 0;
                Exit::UnknownRegister {
                    index: exit.index,
                    written: Some(exit.data),
                }
            }
            Ok(VcpuExit::Shutdown) => Exit::TripleFault,
            Ok(VcpuExit::Intr | VcpuExit::IrqWindowOpen | VcpuExit::Hlt) => Exit::Interrupted,
            Ok(VcpuExit::InternalError) => Exit::Stuck,
            Ok(VcpuExit::FailEntry(reason, _)) => Exit::Failed(format!(
                "The processor refused to enter the guest (hardware reason {reason:#x}). On an old Intel processor without \
                 \"unrestricted guest\", 16-bit programs may not run; the kernel's log (\"sudo dmesg\") may tell more."
            )),
            Ok(other) => Exit::Failed(format!(
                "KVM stopped the guest for a reason that Guesthouse does not know: {other:?}."
            )),
            Err(error)
                if [Errno::INTR, Errno::AGAIN]
                    .iter()
                    .any(|code| code.raw_os_error() == error.errno()) =>
            {
                Exit::Interrupted
            }
            Err(error) => Exit::Failed(format!("KVM could not run the guest: {error}.")),
        }
    }

    /// What it holds now. What the kernel does not tell is left at zero.
    pub fn state(&mut self) -> ProcessorState {
        let mp_state = self.fd.get_mp_state().unwrap_or_default().mp_state;
        let registers = self.fd.get_regs().unwrap_or_default();
        let system = self.fd.get_sregs().unwrap_or_default();
        let apic = self.fd.get_lapic().unwrap_or_default();
        ProcessorState::new(self.index, mp_state, &registers, &system, &apic)
    }

    /// Says in words why the last run ended with [`Exit::Stuck`].
    #[expect(unsafe_code, reason = "the details are only in the shared page")]
    pub fn explain(&self) -> String {
        // SAFETY: the processor is not in the guest (`run` borrows it mutably), so the kernel does not write the page now.
        let reason = unsafe { (*self.run).exit_reason };
        if reason != KVM_EXIT_INTERNAL_ERROR {
            return "The processor stopped.".to_owned();
        }
        // SAFETY: as above, and the exit reason says that `internal` is the union's field.
        let internal = unsafe { (*self.run).__bindgen_anon_1.internal };
        let count = usize::try_from(internal.ndata)
            .unwrap_or(0)
            .min(internal.data.len());
        let error = InternalError {
            suberror: internal.suberror,
            data: internal.data.iter().take(count).copied().collect(),
        };
        let base = self.fd.get_sregs().map_or(0, |system| system.cs.base);
        let pointer = self.fd.get_regs().map_or(0, |registers| registers.rip);
        failure::describe(
            &error,
            base,
            pointer,
            std::path::Path::new("/sys/module/kvm_pvm").exists(),
        )
    }
}

impl Drop for Vcpu {
    fn drop(&mut self) {
        // Before `fd` undoes the mapping.
        *self.kicker.flag.lock() = None;
    }
}
