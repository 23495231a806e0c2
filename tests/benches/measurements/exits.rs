//! How many times a second a guest can touch a device: a guest that writes a port, or a memory-mapped register, in a loop, run by
//! the engine's processor and buses and by a bare KVM_RUN loop in turn.
#![expect(unsafe_code, reason = "a measurement against the bare interface")]

use std::time::{Duration, Instant};

use guesthouse_engine::bus::{
    Action, IoResult, MemoryBus, MemoryDevice, PortBus, PortDevice, Width, shared,
};
use guesthouse_engine::hypervisor::{Exit, SlotKind, Vm, device_path};
use guesthouse_engine::memory::MemoryRegion;
use guesthouse_tests::bench::{Harness, Needs, Unit, more, subject};
use kvm_bindings::kvm_userspace_memory_region;
use kvm_ioctls::{Kvm, VcpuExit};

/// again: out 80h, al; jmp again
const PORT: &[u8] = &[0xe6, 0x80, 0xeb, 0xfc];
/// mov ax, a000h; mov ds, ax; again: mov [10h], al; jmp again
const REGISTER: &[u8] = &[0xb8, 0x00, 0xa0, 0x8e, 0xd8, 0xa2, 0x10, 0x00, 0xeb, 0xfb];
const ROUND: Duration = Duration::from_millis(700);
const ROUNDS: usize = 5;

struct Nothing;
impl PortDevice for Nothing {
    fn read_port(&mut self, _: u16, _: Width) -> IoResult<u32> {
        Ok(0)
    }
    fn write_port(&mut self, _: u16, _: Width, _: u32) -> IoResult<Option<Action>> {
        Ok(None)
    }
}
impl MemoryDevice for Nothing {
    fn read_memory(&mut self, _: u64, data: &mut [u8]) -> IoResult<()> {
        data.fill(0);
        Ok(())
    }
    fn write_memory(&mut self, _: u64, _: &[u8]) -> IoResult<Option<Action>> {
        Ok(None)
    }
}

fn memory(program: &[u8]) -> MemoryRegion {
    // The reset vector's own page, which is where the program stands too.
    let memory = MemoryRegion::new("program", 0x1000).unwrap();
    memory.write(0xf00, program);
    memory.write(0xff0, &[0xe9, 0x0d, 0xff]); // jmp to f00h
    memory
}

/// Calls `exit` until the round is over; returns the calls a second.
fn rate(mut exit: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut count = 0_u32;
    while start.elapsed() < ROUND {
        for _ in 0..100 {
            exit();
        }
        count += 100;
    }
    f64::from(count) / start.elapsed().as_secs_f64()
}

fn bare(program: &[u8]) -> f64 {
    let kvm = Kvm::new_with_path(
        std::ffi::CString::new(device_path().into_os_string().into_encoded_bytes()).unwrap(),
    )
    .unwrap();
    let vm = kvm.create_vm().unwrap();
    vm.create_irq_chip().unwrap();
    // A mapping of its own: the engine's keeps its address to itself.
    let page = vm_memory::MmapRegion::<()>::new(0x1000).unwrap();
    let contents = memory(program);
    let mut bytes = [0; 0x1000];
    contents.read(0, &mut bytes);
    vm_memory::VolatileMemory::as_volatile_slice(&page).copy_from(&bytes);
    let region = kvm_userspace_memory_region {
        slot: 0,
        guest_phys_addr: 0xffff_f000,
        memory_size: 0x1000,
        userspace_addr: page.as_ptr() as u64,
        flags: 0,
    };
    // SAFETY: the mapping outlives the virtual machine, which is dropped first at the end of this function.
    unsafe { vm.set_user_memory_region(region) }.unwrap();
    let mut vcpu = vm.create_vcpu(0).unwrap();
    let rate = rate(|| match vcpu.run().unwrap() {
        VcpuExit::IoOut(..) | VcpuExit::MmioWrite(..) => {}
        other => panic!("{other:?}"),
    });
    drop(vcpu);
    drop(vm);
    rate
}

fn engine(program: &[u8]) -> f64 {
    let vm = Vm::new().unwrap();
    vm.slots()
        .map(0xffff_f000, &memory(program), 0, 0x1000, SlotKind::Memory)
        .unwrap();
    let mut vcpu = vm
        .processor(0, guesthouse_engine::definition::Topology::ONE, false)
        .unwrap();
    let (ports, addresses) = (PortBus::default(), MemoryBus::default());
    let device = shared(Nothing);
    ports.map(0x80..=0x80, device.clone());
    addresses.map(0xa0000..=0xbffff, device).unwrap();
    rate(|| match vcpu.run() {
        Exit::PortWrite { port, width, data } => {
            assert!(ports.write(port, width, width.load(data)).is_none())
        }
        Exit::MemoryWrite { address, data } => assert!(addresses.write(address, data).is_none()),
        other => panic!("{other:?}"),
    })
}

/// Hands over the rows of this file.
pub fn measure(harness: &mut Harness) {
    for (name, program) in [("port", PORT), ("memory register", REGISTER)] {
        harness.measure(
            Needs::Nothing,
            [more(format!("exits to a device: {name}"), Unit::PerSecond)],
            ROUNDS,
            vec![
                subject("Guesthouse's engine", || Ok([engine(program)])),
                subject("bare KVM_RUN", || Ok([bare(program)])),
            ],
        );
    }
}
