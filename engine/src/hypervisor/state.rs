//! What a virtual processor holds at one moment, for whoever looks into why a guest does not go on.
//!
//! Intel Software Developer's Manual, volume 3: control registers (2.5), EFLAGS (2.3), the local APIC's registers (11.4).

use std::fmt;

use kvm_bindings::{
    KVM_MP_STATE_HALTED, KVM_MP_STATE_INIT_RECEIVED, KVM_MP_STATE_SIPI_RECEIVED,
    KVM_MP_STATE_UNINITIALIZED, kvm_lapic_state, kvm_regs, kvm_segment, kvm_sregs,
};

/// The flag that lets interrupts in.
const INTERRUPTS: u64 = 1 << 9;
const PROTECTED: u64 = 1;
const PAGING: u64 = 1 << 31;
const LONG_MODE_ACTIVE: u64 = 1 << 10;
/// Task priority, in-service and interrupt-request registers of the local APIC.
const TASK_PRIORITY: usize = 0x80;
const IN_SERVICE: usize = 0x100;
const REQUESTED: usize = 0x200;

/// What a processor is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// It carries out instructions.
    Running,
    /// It waits for an interrupt.
    Halted,
    /// No other processor has started it yet.
    NotStarted,
}

/// A processor between two instructions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessorState {
    /// The processor's number.
    pub index: u32,
    /// What it is about.
    pub activity: Activity,
    /// Whether it lets interrupts in.
    pub interrupts: bool,
    /// The linear address of its next instruction.
    pub instruction: u64,
    text: String,
}

impl fmt::Display for ProcessorState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

fn activity(mp_state: u32) -> Activity {
    match mp_state {
        KVM_MP_STATE_HALTED => Activity::Halted,
        KVM_MP_STATE_UNINITIALIZED | KVM_MP_STATE_INIT_RECEIVED | KVM_MP_STATE_SIPI_RECEIVED => {
            Activity::NotStarted
        }
        _ => Activity::Running,
    }
}

fn mode(system: &kvm_sregs) -> &'static str {
    if system.efer & LONG_MODE_ACTIVE != 0 {
        if system.cs.l != 0 {
            "64-bit"
        } else {
            "compatibility"
        }
    } else if system.cr0 & PROTECTED == 0 {
        "real mode"
    } else if system.cr0 & PAGING == 0 {
        "protected mode"
    } else {
        "protected mode with paging"
    }
}

/// The numbers of the bits that are set in eight 32-bit registers, 16 bytes apart.
fn vectors(apic: &kvm_lapic_state, from: usize) -> Vec<String> {
    let mut vectors = Vec::new();
    for number in 0..256 {
        let byte = apic.regs.get(from + number / 32 * 16 + number / 8 % 4);
        if byte.is_some_and(|byte| byte.cast_unsigned() >> (number % 8) & 1 != 0) {
            vectors.push(format!("{number:#x}"));
        }
    }
    vectors
}

impl ProcessorState {
    pub(super) fn new(
        index: u32,
        mp_state: u32,
        registers: &kvm_regs,
        system: &kvm_sregs,
        apic: &kvm_lapic_state,
    ) -> Self {
        let activity = activity(mp_state);
        let interrupts = registers.rflags & INTERRUPTS != 0;
        let segment = |name: &str, segment: &kvm_segment| {
            format!(
                "{name} {:04x} base {:x} limit {:x}",
                segment.selector, segment.base, segment.limit
            )
        };
        let doing = match activity {
            Activity::Running => "running",
            Activity::Halted => "halted",
            Activity::NotStarted => "not started",
        };
        let kvm_regs {
            rax,
            rbx,
            rcx,
            rdx,
            rsi,
            rdi,
            rsp,
            rbp,
            r8,
            r9,
            r10,
            r11,
            r12,
            r13,
            r14,
            r15,
            rip,
            rflags,
        } = *registers;
        let text = format!(
            "processor {index}: {doing}, {}, interrupts {}\n\
             rip {rip:016x} rflags {rflags:x}\n\
             rax {rax:016x} rbx {rbx:016x} rcx {rcx:016x} rdx {rdx:016x}\n\
             rsi {rsi:016x} rdi {rdi:016x} rsp {rsp:016x} rbp {rbp:016x}\n\
             r8  {r8:016x} r9  {r9:016x} r10 {r10:016x} r11 {r11:016x}\n\
             r12 {r12:016x} r13 {r13:016x} r14 {r14:016x} r15 {r15:016x}\n\
             {}; {}; {}\n\
             cr0 {:x} cr2 {:x} cr3 {:x} cr4 {:x} efer {:x} gdt {:x} idt {:x}\n\
             local APIC: task priority {:02x}, in service [{}], requested [{}]",
            mode(system),
            if interrupts { "on" } else { "off" },
            segment("cs", &system.cs),
            segment("ss", &system.ss),
            segment("ds", &system.ds),
            system.cr0,
            system.cr2,
            system.cr3,
            system.cr4,
            system.efer,
            system.gdt.base,
            system.idt.base,
            apic.regs.get(TASK_PRIORITY).copied().unwrap_or(0),
            vectors(apic, IN_SERVICE).join(" "),
            vectors(apic, REQUESTED).join(" "),
        );
        Self {
            index,
            activity,
            interrupts,
            instruction: system.cs.base.wrapping_add(rip),
            text,
        }
    }
}

#[cfg(test)]
impl ProcessorState {
    /// A state of which only these things matter.
    pub(crate) fn for_tests(index: u32, mp_state: u32, interrupts: bool, instruction: u64) -> Self {
        Self {
            index,
            activity: activity(mp_state),
            interrupts,
            instruction,
            text: String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvm_bindings::KVM_MP_STATE_RUNNABLE;

    #[test]
    fn a_halted_processor_tells_its_mode_flags_and_pending_interrupts() {
        let registers = kvm_regs {
            rip: 0x1234,
            rflags: 2,
            ..Default::default()
        };
        let mut system = kvm_sregs::default();
        system.cs.base = 0xf0000;
        let mut apic = kvm_lapic_state::default();
        apic.regs[REQUESTED + 16] = 1 << 4; // 36
        apic.regs[IN_SERVICE + 7 * 16 + 3] = -128; // 255
        let state = ProcessorState::new(3, KVM_MP_STATE_HALTED, &registers, &system, &apic);
        assert_eq!(
            (state.activity, state.interrupts, state.instruction),
            (Activity::Halted, false, 0xf1234)
        );
        let text = state.to_string();
        for part in [
            "processor 3: halted, real mode, interrupts off",
            "rip 0000000000001234",
            "in service [0xff], requested [0x24]",
        ] {
            assert!(text.contains(part), "{part:?} in {text}");
        }
        let registers = kvm_regs {
            rflags: 0x202,
            ..registers
        };
        let state = ProcessorState::new(0, KVM_MP_STATE_RUNNABLE, &registers, &system, &apic);
        assert!(state.interrupts && state.activity == Activity::Running);
    }
}
