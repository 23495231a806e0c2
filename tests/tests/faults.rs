//! What ails a guest is told apart and named: one that went where no program is, a register that is not there, a guest that hangs.

use guesthouse_engine::machine::{Activity, State};
use guesthouse_tests::guest::Guest;
use guesthouse_tests::media::{el_torito, program};

const FIRMWARE: u64 = 180;
/// A hang is told after three looks, ten seconds apart.
const LOOKS: u64 = 180;

/// A machine whose guest prints "ready" and then does `code`.
fn doing(code: &[u8]) -> Guest {
    let guest = Guest::boot(&el_torito("FAULT", &program::message_then("ready", code)));
    guest.wait_for("ready", FIRMWARE);
    guest
}

#[test]
fn a_guest_that_lost_its_way_is_told_with_its_registers() {
    // mov ax, a000h; push ax; push 0; retf: goes on in the video window, where no memory is.
    let code = [0xb8, 0x00, 0xa0, 0x50, 0x6a, 0x00, 0xcb];
    let guest = Guest::boot(&el_torito("FAULT", &program::message_then("ready", &code)));
    let state = guest.wait_for_state(FIRMWARE, |state| !state.is_alive());
    let State::Crashed { reason } = state else {
        panic!("{state:?}");
    };
    assert!(
        reason.contains("went on at address 0xa0000") && reason.contains("lost its way"),
        "{reason}"
    );
    let line = guest.wait_for_log("processor 0: running, real mode", 10);
    assert!(line.contains("interrupts"), "{line}");
    guest.wait_for_log("cs a000 base a0000", 10);
}

/// The kernel carries out by itself what reaches for a device, and does not know every instruction.
#[test]
fn an_instruction_that_cannot_be_carried_out_is_told_with_its_bytes() {
    // mov eax, cr4; or ax, 200h (SSE); mov cr4, eax; mov ax, a000h (the video window); mov ds, ax; pand xmm0, [0]
    let guest = Guest::boot(&el_torito(
        "FAULT",
        &program::message_then(
            "ready",
            &[
                0x0f, 0x20, 0xe0, 0x0d, 0x00, 0x02, 0x0f, 0x22, 0xe0, 0xb8, 0x00, 0xa0, 0x8e, 0xd8,
                0x66, 0x0f, 0xdb, 0x06, 0x00, 0x00,
            ],
        ),
    ));
    let state = guest.wait_for_state(FIRMWARE, |state| !state.is_alive());
    let State::Crashed { reason } = state else {
        panic!("{state:?}");
    };
    assert!(reason.contains("66 0f db 06 00 00"), "{reason}");
    guest.wait_for_log("processor 0: running, real mode", 10);
}

#[test]
fn a_register_that_is_not_there_is_told_and_the_guest_goes_on() {
    // mov ecx, 12345h; rdmsr; inc eax; wrmsr; mov al, '!'; mov ah, 0eh; int 10h; hlt
    let guest = doing(&[
        0x66, 0xb9, 0x45, 0x23, 0x01, 0x00, 0x0f, 0x32, 0x66, 0x40, 0x0f, 0x30, 0xb8, 0x21, 0x0e,
        0xcd, 0x10, 0xf4, 0xeb, 0xfd,
    ]);
    guest.wait_for("ready!", FIRMWARE);
    guest.wait_for_log("read model-specific register 0x12345", 10);
    guest.wait_for_log("wrote 0x1 to model-specific register 0x12345", 10);
    assert_eq!(guest.machine.state(), State::Running);
}

#[test]
fn a_guest_that_waits_for_ever_is_told_from_one_that_is_idle() {
    // cli; hlt; jmp to the hlt
    let hung = doing(&[0xfa, 0xf4, 0xeb, 0xfd]);
    // sti; hlt; jmp to the hlt
    let idle = doing(&[0xfb, 0xf4, 0xeb, 0xfd]);
    hung.wait_for_log("The guest hangs", LOOKS);
    let states = hung.machine.processor_state().unwrap();
    assert_eq!(
        (states[0].activity, states[0].interrupts),
        (Activity::Halted, false)
    );
    assert!(
        !idle.machine.log().iter().any(|line| line.contains("hang")),
        "an idle guest does not hang"
    );
}

#[test]
fn a_guest_that_spins_with_interrupts_off_is_told_with_its_place() {
    // cli; jmp to itself
    let guest = doing(&[0xfa, 0xeb, 0xfe]);
    let line = guest.wait_for_log("seems to hang", LOOKS);
    let states = guest.machine.processor_state().unwrap();
    assert_eq!(states[0].activity, Activity::Running);
    let place = format!("processor 0 at address {:#x}", states[0].instruction);
    assert!(line.contains(&place), "{line}, not {place}");
}
