//! The bus as firmware and hostile guests drive it.

use std::sync::Arc;

use parking_lot::Mutex;

use super::*;
use crate::pci::{BaseAddress, ConfigSpace, Identity, Pin};

/// A function with one window of each kind, and 16 bytes of registers behind its ports and registers.
struct Adapter {
    space: ConfigSpace,
    registers: [u8; 16],
}

impl Adapter {
    fn new(device: u16) -> Self {
        let space = ConfigSpace::builder(Identity {
            vendor: 0x1234,
            device,
            revision: 0,
            class: 0x03_80_00,
        })
        .interrupt_pin(Pin::A)
        .memory_window(0, MemoryRegion::new("video", 0x1_0000).unwrap())
        .register_window(1, 0x1000)
        .port_window(2, 0x10)
        .expansion_rom(MemoryRegion::new("rom", 0x1_0000).unwrap())
        .build();
        Self {
            space,
            registers: [0; 16],
        }
    }
}

impl PciFunction for Adapter {
    fn read_config(&mut self, offset: u8, width: Width) -> u32 {
        self.space.read(offset, width)
    }
    fn write_config(&mut self, offset: u8, width: Width, value: u32) -> Option<Action> {
        self.space.write(offset, width, value);
        (offset == 0xf0).then_some(Action::Reset)
    }
    fn base_addresses(&self) -> Vec<BaseAddress> {
        self.space.base_addresses()
    }
    fn read_window(&mut self, number: u8, offset: u64, data: &mut [u8]) -> IoResult<()> {
        assert!((1..=2).contains(&number));
        let start = usize::try_from(offset).unwrap();
        let part = self
            .registers
            .get(start..start + data.len())
            .ok_or(IoError::Unmapped)?;
        data.copy_from_slice(part);
        Ok(())
    }
    fn write_window(&mut self, _number: u8, offset: u64, data: &[u8]) -> IoResult<Option<Action>> {
        let start = usize::try_from(offset).unwrap();
        self.registers
            .get_mut(start..start + data.len())
            .ok_or(IoError::Unmapped)?
            .copy_from_slice(data);
        Ok(None)
    }
    fn reset(&mut self) {
        self.space.reset();
        self.registers = [0; 16];
    }
}

/// Writes down what is mapped directly now.
#[derive(Default)]
struct Slots(Mutex<Vec<(u64, &'static str, bool)>>);

impl DirectMapper for Slots {
    fn map(&self, base: u64, region: &MemoryRegion, read_only: bool) {
        let mut slots = self.0.lock();
        assert!(
            slots.iter().all(|(other, ..)| *other != base),
            "mapped twice"
        );
        slots.push((base, region.name(), read_only));
    }
    fn unmap(&self, base: u64, region: &MemoryRegion) {
        let mut slots = self.0.lock();
        let before = slots.len();
        slots.retain(|(other, name, _)| (*other, *name) != (base, region.name()));
        assert_eq!(slots.len() + 1, before, "unmapped what was not mapped");
    }
}

struct Rig {
    ports: Arc<PortBus>,
    memory: Arc<MemoryBus>,
    slots: Arc<Slots>,
    bus: Arc<PciBus>,
}

fn rig() -> Rig {
    let (ports, memory, slots) = (
        Arc::new(PortBus::default()),
        Arc::new(MemoryBus::default()),
        Arc::new(Slots::default()),
    );
    let bus = PciBus::new(
        ports.clone(),
        memory.clone(),
        slots.clone(),
        vec![0x8000_0000..=0xfebf_ffff],
    );
    bus.attach(Address::new(2, 0), shared(Adapter::new(0x1111)))
        .unwrap();
    bus.attach(Address::new(3, 0), shared(Adapter::new(0x2222)))
        .unwrap();
    Rig {
        ports,
        memory,
        slots,
        bus,
    }
}

impl Rig {
    fn select(&self, device: u32, register: u32) {
        self.ports
            .write(0xcf8, Width::Dword, 0x8000_0000 | device << 11 | register);
    }
    fn write(&self, device: u32, register: u32, value: u32) {
        self.select(device, register);
        self.ports.write(0xcfc, Width::Dword, value);
    }
}

#[test]
fn mechanism_one_reads_any_byte_of_any_function() {
    let rig = rig();
    rig.select(2, 0);
    assert_eq!(rig.ports.read(0xcf8, Width::Dword), 0x8000_1000);
    assert_eq!(rig.ports.read(0xcfc, Width::Dword), 0x1111_1234);
    assert_eq!(rig.ports.read(0xcfe, Width::Word), 0x1111);
    assert_eq!(rig.ports.read(0xcfd, Width::Byte), 0x12);
    assert_eq!(rig.ports.read(0xcfd, Width::Word), 0x1112);
    assert_eq!(rig.ports.read(0xcff, Width::Word), 0xffff, "across the end");
}

#[test]
fn what_is_absent_or_disabled_reads_as_ones() {
    let rig = rig();
    for address in [
        0x8000_2000, // slot 4
        0x8000_1100, // function 1 of slot 2
        0x8001_1000, // bus 1
        0x0000_1000, // not enabled
    ] {
        rig.ports.write(0xcf8, Width::Dword, address);
        for width in Width::ALL {
            assert_eq!(rig.ports.read(0xcfc, width), width.ones());
        }
        assert_eq!(rig.ports.write(0xcfc, Width::Dword, 0), None);
    }
}

#[test]
fn narrow_accesses_to_the_address_register_are_not_decoded() {
    let rig = rig();
    rig.select(2, 8);
    rig.ports.write(0xcf8, Width::Byte, 0);
    rig.ports.write(0xcf9, Width::Byte, 6);
    rig.ports.write(0xcfa, Width::Word, 0);
    assert_eq!(rig.ports.read(0xcf8, Width::Byte), 0xff);
    assert_eq!(rig.ports.read(0xcf9, Width::Byte), 0xff);
    assert_eq!(rig.ports.read(0xcf8, Width::Dword), 0x8000_1008);
}

#[test]
fn a_device_with_several_functions_says_so() {
    let rig = rig();
    rig.select(3, 0x0c);
    assert_eq!(rig.ports.read(0xcfe, Width::Byte), 0);
    rig.bus
        .attach(Address::new(3, 5), shared(Adapter::new(0x3333)))
        .unwrap();
    assert_eq!(rig.ports.read(0xcfe, Width::Byte), 0x80);
    assert_eq!(rig.ports.read(0xcfc, Width::Dword), 0x0080_0000);
    assert_eq!(rig.ports.read(0xcfd, Width::Word), 0x8000);
    assert_eq!(rig.ports.read(0xcfd, Width::Byte), 0x00);
    assert_eq!(
        rig.bus
            .attach(Address::new(3, 5), shared(Adapter::new(0x4444))),
        Err(Occupied(Address::new(3, 5)))
    );
}

#[test]
fn windows_answer_where_the_firmware_puts_them() {
    let rig = rig();
    rig.write(2, 0x10, 0xfd00_0000);
    rig.write(2, 0x14, 0xfebf_0000);
    rig.write(2, 0x18, 0xc000);
    rig.write(2, 0x30, 0xfebe_0001);
    assert!(rig.slots.0.lock().is_empty(), "nothing is enabled yet");
    rig.write(2, 0x04, 0x3);
    assert_eq!(
        *rig.slots.0.lock(),
        [(0xfd00_0000, "video", false), (0xfebe_0000, "rom", true)]
    );
    rig.ports.write(0xc004, Width::Dword, 0x1234_5678);
    assert_eq!(rig.ports.read(0xc006, Width::Word), 0x1234);
    let mut data = [0; 4];
    rig.memory.read(0xfebf_0004, &mut data);
    assert_eq!(data, [0x78, 0x56, 0x34, 0x12]);
    // Moved, the old place is empty and the new one answers.
    rig.write(2, 0x18, 0xc100);
    rig.write(2, 0x14, 0xfeb0_0000);
    assert_eq!(rig.ports.read(0xc004, Width::Byte), 0xff);
    assert_eq!(rig.ports.read(0xc104, Width::Byte), 0x78);
    rig.memory.read(0xfebf_0004, &mut data);
    assert_eq!(data, [0xff; 4]);
    rig.bus.reset();
    assert!(rig.slots.0.lock().is_empty());
    assert_eq!(rig.ports.read(0xc104, Width::Byte), 0xff);
    assert_eq!(rig.ports.read(0xcf8, Width::Dword), 0);
}

#[test]
fn a_window_over_memory_or_beyond_the_hole_is_not_reachable() {
    let rig = rig();
    rig.write(2, 0x04, 0x3);
    for base in [
        0x0010_0000,
        0x7fff_0000,
        0xfec0_0000,
        0xffff_f000,
        0xffff_ffff,
    ] {
        rig.write(2, 0x10, base);
        rig.write(2, 0x14, base);
        rig.write(2, 0x30, base | 1);
        assert!(rig.slots.0.lock().is_empty(), "{base:#x}");
        let mut data = [0; 1];
        rig.memory.read(u64::from(base) & !0xfff, &mut data);
        assert_eq!(data, [0xff]);
    }
}

#[test]
fn a_window_over_another_waits_until_that_one_moves() {
    let rig = rig();
    rig.write(2, 0x04, 0x3);
    rig.write(3, 0x04, 0x3);
    rig.write(2, 0x10, 0xe000_0000);
    rig.write(3, 0x10, 0xe000_0000);
    rig.write(2, 0x14, 0xe100_0000);
    rig.write(3, 0x14, 0xe100_0000);
    assert_eq!(rig.slots.0.lock().len(), 1);
    rig.memory.write(0xe100_0000, &[7]);
    rig.write(2, 0x10, 0xe200_0000);
    rig.write(2, 0x14, 0xe300_0000);
    assert_eq!(
        *rig.slots.0.lock(),
        [(0xe000_0000, "video", false), (0xe200_0000, "video", false)]
    );
    let mut data = [0; 1];
    rig.memory.read(0xe300_0000, &mut data);
    assert_eq!(data, [7], "the first one's registers moved with it");
    rig.memory.read(0xe100_0000, &mut data);
    assert_eq!(data, [0], "the second one's are reachable now");
}

#[test]
fn ports_of_other_devices_are_not_taken_away() {
    let rig = rig();
    rig.write(2, 0x04, 0x1);
    rig.write(2, 0x18, 0x0cf0);
    rig.select(2, 0);
    assert_eq!(rig.ports.read(0xcfc, Width::Dword), 0x1111_1234);
    rig.write(2, 0x18, 0xffff_fff1);
    rig.write(2, 0x18, 0x0001_0000);
    rig.write(2, 0x18, 0xfff0);
    rig.ports.write(0xffff, Width::Byte, 9);
    assert_eq!(rig.ports.read(0xffff, Width::Byte), 9);
    assert_eq!(rig.ports.read(0xffff, Width::Dword), 0xffff_ffff);
}

#[test]
fn actions_come_through_and_hostile_values_are_survived() {
    let rig = rig();
    rig.select(2, 0xf0);
    assert_eq!(rig.ports.write(0xcfc, Width::Byte, 1), Some(Action::Reset));
    for value in [0xffff_ffff, 0xfebf_f007, 0x8000_0001, 0] {
        for device in [2, 3] {
            for register in (0..0x100).step_by(4) {
                for (port, width) in [
                    (0xcfc, Width::Dword),
                    (0xcfe, Width::Word),
                    (0xcfd, Width::Word),
                    (0xcff, Width::Byte),
                    (0xcff, Width::Dword),
                ] {
                    rig.select(device, register);
                    rig.ports.write(port, width, value);
                    rig.ports.read(port, width);
                }
            }
        }
    }
}
