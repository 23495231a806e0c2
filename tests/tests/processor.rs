//! The hypervisor layer on this host's own KVM: small 16-bit programs run on a virtual processor.
#![expect(clippy::unwrap_used, reason = "a test")]

use guesthouse_engine::bus::Width;
use guesthouse_engine::hypervisor::{Exit, SlotKind, Vcpu, Vm, check_host};
use guesthouse_engine::memory::MemoryRegion;

/// A machine with 64 KiB of memory at 0 and `program` at the reset vector's page, started by a far jump to 0000:1000.
struct Fixture {
    memory: MemoryRegion,
    vcpu: Vcpu,
    vm: Vm,
}

fn fixture(program: &[u8]) -> Fixture {
    let vm = Vm::new().unwrap();
    let memory = MemoryRegion::new("memory", 0x10000).unwrap();
    memory.write(0x1000, program);
    vm.slots()
        .map(0, &memory, 0, 0x10000, SlotKind::Memory)
        .unwrap();
    let rom = MemoryRegion::new("rom", 0x1000).unwrap();
    rom.write(0xff0, &[0xea, 0x00, 0x10, 0x00, 0x00]); // jmp 0000:1000
    vm.slots()
        .map(0xffff_f000, &rom, 0, 0x1000, SlotKind::ReadOnly)
        .unwrap();
    let vcpu = vm
        .processor(0, guesthouse_engine::definition::Topology::ONE, false)
        .unwrap();
    Fixture { memory, vcpu, vm }
}

#[test]
fn this_host_can_run_machines() {
    let host = check_host().unwrap();
    assert!(host.processors >= 1);
}

#[test]
fn ports_are_written_and_read_at_their_width() {
    let mut machine = fixture(&[
        0xb0, 0x42, 0xe6, 0x80, // mov al, 42h; out 80h, al
        0xba, 0x34, 0x12, 0xed, // mov dx, 1234h; in ax, dx
        0x40, 0xef, // inc ax; out dx, ax
        0x66, 0xb8, 0x78, 0x56, 0x34, 0x12, 0x66, 0xef, // mov eax, 12345678h; out dx, eax
        0xf4,
    ]);
    let mut seen = Vec::new();
    for _ in 0..4 {
        match machine.vcpu.run() {
            Exit::PortWrite { port, width, data } => seen.push((port, width, width.load(data))),
            Exit::PortRead { port, width, data } => {
                assert_eq!((port, width), (0x1234, Width::Word));
                data.copy_from_slice(&[0xfe, 0xca]);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(
        seen,
        [
            (0x80, Width::Byte, 0x42),
            (0x1234, Width::Word, 0xcaff),
            (0x1234, Width::Dword, 0x1234_5678)
        ]
    );
}

#[test]
fn addresses_without_memory_reach_the_bus_and_rom_keeps_what_it_holds() {
    let mut machine = fixture(&[
        0xb8, 0x00, 0xa0, 0x8e, 0xd8, // mov ax, a000h; mov ds, ax
        0xc6, 0x06, 0x10, 0x00, 0x55, // mov byte [10h], 55h
        0xa0, 0x20, 0x00, // mov al, [20h]
        0xe6, 0x80, 0xf4, // out 80h, al; hlt
    ]);
    assert!(matches!(
        machine.vcpu.run(),
        Exit::MemoryWrite {
            address: 0xa0010,
            data: [0x55]
        }
    ));
    match machine.vcpu.run() {
        Exit::MemoryRead {
            address: 0xa0020,
            data,
        } => data.copy_from_slice(&[0x77]),
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        machine.vcpu.run(),
        Exit::PortWrite {
            port: 0x80,
            data: [0x77],
            ..
        }
    ));

    // 0x3000 becomes read-only: a write there reaches the bus and changes nothing.
    let mut machine = fixture(&[
        0xc6, 0x06, 0x00, 0x30, 0x55, 0xa0, 0x00, 0x30, 0xe6, 0x80, 0xf4,
    ]);
    machine.memory.write(0x3000, &[0x11]);
    let slots = machine.vm.slots();
    slots
        .map(0, &machine.memory, 0, 0x3000, SlotKind::Memory)
        .unwrap();
    slots
        .map(0x3000, &machine.memory, 0x3000, 0x1000, SlotKind::ReadOnly)
        .unwrap();
    assert!(matches!(
        machine.vcpu.run(),
        Exit::MemoryWrite {
            address: 0x3000,
            data: [0x55]
        }
    ));
    assert!(matches!(
        machine.vcpu.run(),
        Exit::PortWrite {
            port: 0x80,
            data: [0x11],
            ..
        }
    ));
}

#[test]
fn written_pages_are_known_once() {
    let mut machine = fixture(&[0xc6, 0x06, 0x00, 0x50, 0x55, 0xe6, 0x80, 0xf4]);
    let slots = std::sync::Arc::clone(machine.vm.slots());
    slots
        .map(0, &machine.memory, 0, 0x4000, SlotKind::Memory)
        .unwrap();
    let video = MemoryRegion::new("video", 0x4000).unwrap();
    assert!(slots.take_dirty(&video).is_none(), "not mapped");
    slots
        .map(0x4000, &video, 0, 0x4000, SlotKind::Logged)
        .unwrap();
    assert!(matches!(
        machine.vcpu.run(),
        Exit::PortWrite { port: 0x80, .. }
    ));
    assert_eq!(slots.take_dirty(&video), Some(vec![1 << 1]));
    assert_eq!(slots.take_dirty(&video), Some(vec![0]));
}

#[test]
fn a_triple_fault_is_told_and_a_reset_starts_anew() {
    let mut machine = fixture(&[
        0x40, 0xe6, 0x80, // inc ax; out 80h, al
        0x0f, 0x01, 0x1e, 0x40, 0x10, // lidt [1040h], which is all zeros
        0x0f, 0x20, 0xc0, 0x0c, 0x01, 0x0f, 0x22, 0xc0, // cr0.pe = 1
        0x0f, 0x0b, // ud2: no handler for it, nor for what that leads to
    ]);
    for _ in 0..3 {
        match machine.vcpu.run() {
            Exit::PortWrite { data, .. } => {
                assert_eq!(data, [1], "registers start at zero each time")
            }
            other => panic!("{other:?}"),
        }
        let exit = machine.vcpu.run();
        assert!(matches!(exit, Exit::TripleFault), "{exit:?}");
        machine.vcpu.reset().unwrap();
    }
}

#[test]
fn overlaps_and_crooked_slots_are_refused() {
    let vm = Vm::new().unwrap();
    let memory = MemoryRegion::new("memory", 0x10000).unwrap();
    let slots = vm.slots();
    slots
        .map(0x10000, &memory, 0, 0x10000, SlotKind::Memory)
        .unwrap();
    for (base, offset, length) in [
        (0x1f000, 0, 0x1000),
        (0xf000, 0, 0x2000),
        (0x100, 0, 0x1000),
        (0x40000, 0x8000, 0x9000),
        (!0xfff, 0, 0x2000),
        (0x40000, 0, 0),
    ] {
        assert!(
            slots
                .map(base, &memory, offset, length, SlotKind::Memory)
                .is_err(),
            "{base:#x} {offset:#x} {length:#x}"
        );
    }
    slots.unmap(0x10000).unwrap();
    slots
        .map(0x1f000, &memory, 0, 0x1000, SlotKind::Memory)
        .unwrap();
}
