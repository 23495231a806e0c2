//! Whether this host's KVM can run a UEFI firmware: tries the first instruction that some cannot carry out.
//!
//! OVMF's first phase, before it enters 64-bit mode, sets the floating-point unit up. A KVM that emulates what runs below a guest's
//! programs (KVM-PVM) does not know the instruction, and the guest would stand there without a picture or a word.

use super::{Exit, HostProblem, HypervisorError, SlotKind, Vm, VmError};
use crate::memory::MemoryRegion;

const PAGE: usize = 4096;
/// The page that holds the reset vector.
const PAGE_BASE: u64 = 0xffff_f000;
/// Where the processor starts, in that page.
const RESET_VECTOR: usize = 0xff0;
/// The port that says that all went well.
const PORT: u16 = 0x99;

/// The program, at the beginning of the page, in 16-bit code at F000:F000.
const PROGRAM: [u8; 11] = [
    0xdb, 0xe3, // fninit
    0x2e, 0xd9, 0x2e, 0x10, 0xf0, // fldcw cs:[0xf010]
    0xe6, 0x99, // out 0x99, al
    0xeb, 0xfe, // jmp $
];
const CONTROL_WORD: (usize, [u8; 2]) = (0x10, [0x7f, 0x03]);
/// jmp 0xf000, from 0xfff0.
const JUMP: [u8; 3] = [0xe9, 0x0d, 0xf0];

/// Says why a machine with a UEFI firmware cannot run here, if it cannot. Takes some milliseconds.
///
/// # Errors
/// What is in the way.
pub fn check_uefi() -> Result<(), HostProblem> {
    match try_floating_point() {
        Ok(true) => Ok(()),
        Ok(false) => Err(HostProblem {
            title: "This computer cannot run generation 2 machines".to_owned(),
            cause: "Its KVM emulates what runs below a guest's programs and does not know an instruction that every UEFI firmware starts with: the machine would stop before it shows anything.".to_owned(),
            remedy: "Choose generation 1, or run the machine on a computer with hardware virtualization (VT-x or AMD-V).".to_owned(),
        }),
        Err(VmError::Host(problem)) => Err(problem),
        Err(VmError::Kernel(error)) => Err(HostProblem {
            title: "Virtualization cannot be used".to_owned(),
            cause: format!("A virtual machine could not be tried: {error}."),
            remedy: "Look into the kernel's log (\"sudo dmesg\") for lines about kvm.".to_owned(),
        }),
    }
}

fn try_floating_point() -> Result<bool, VmError> {
    let vm = Vm::new()?;
    let region = MemoryRegion::new("firmware probe", PAGE)
        .map_err(|_| HypervisorError::during("reserve a page")(kvm_ioctls::Error::new(12)))?;
    region.write(0, &PROGRAM);
    region.write(CONTROL_WORD.0, &CONTROL_WORD.1);
    region.write(RESET_VECTOR, &JUMP);
    vm.slots()
        .map(PAGE_BASE, &region, 0, PAGE, SlotKind::ReadOnly)?;
    let mut processor = vm.processor(0, crate::definition::Topology::ONE, false)?;
    loop {
        match processor.run() {
            Exit::PortWrite { port: PORT, .. } => return Ok(true),
            Exit::Interrupted => {}
            _ => return Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_where_the_processor_looks() {
        let end = RESET_VECTOR + JUMP.len();
        let target =
            (0xf000 + end).wrapping_add(usize::from(u16::from_le_bytes([JUMP[1], JUMP[2]])));
        assert_eq!(target & 0xffff, 0xf000);
        assert!(PROGRAM.len() <= CONTROL_WORD.0);
    }
}
