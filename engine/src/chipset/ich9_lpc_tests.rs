//! The bridge as firmware, operating systems and hostile guests drive it.

use super::*;
use crate::bus::Recorder;
use crate::chipset::{ACPI_ENABLE, COMMAND_PORT, SOFT_OFF_SLEEP_TYPE};
use crate::legacy::TestClock;

struct Rig {
    recorder: Arc<Recorder>,
    clock: Arc<TestClock>,
    bridge: Ich9Lpc,
}

/// A bridge as OVMF leaves it: power management at 0x600, chipset configuration at 0xFED1C000.
fn rig() -> Rig {
    let (recorder, clock) = (
        Arc::new(Recorder::default()),
        Arc::new(TestClock::default()),
    );
    let sink = recorder.clone();
    let mut bridge = Ich9Lpc::new(
        |input| InterruptLine::new("pci", sink.clone(), input),
        InterruptLine::new("sci", recorder.clone(), 99),
        clock.clone(),
        Wakeup::default(),
    );
    for (offset, width, value) in [
        (0x40, Width::Dword, 0x601),
        (0x44, Width::Byte, 0x80),
        (0xf0, Width::Dword, 0xfed1_c001),
    ] {
        assert_eq!(bridge.write_config(offset, width, value), None);
    }
    Rig {
        recorder,
        clock,
        bridge,
    }
}

impl Rig {
    fn read(&mut self, offset: u64, width: Width) -> u32 {
        let mut data = [0; 4];
        self.bridge
            .read_window(POWER_WINDOW, offset, &mut data[..width.bytes()])
            .unwrap();
        width.load(&data)
    }

    fn write(&mut self, offset: u64, width: Width, value: u32) -> Option<Action> {
        self.bridge
            .write_window(POWER_WINDOW, offset, &value.to_le_bytes()[..width.bytes()])
            .unwrap()
    }
}

#[test]
fn windows_are_where_ovmf_puts_them() {
    let mut rig = rig();
    let found: Vec<_> = rig
        .bridge
        .base_addresses()
        .iter()
        .map(|window| (window.number, window.base, window.size))
        .collect();
    assert_eq!(
        found,
        [
            (POWER_WINDOW, 0x600, 128),
            (ROOT_COMPLEX_WINDOW, 0xfed1_c000, 0x4000)
        ]
    );
    assert_eq!(rig.bridge.read_config(0x00, Width::Dword), 0x2918_8086);
    assert_eq!(rig.bridge.read_config(0x0a, Width::Word), 0x0601);
    rig.bridge.write_config(0x44, Width::Byte, 0);
    rig.bridge.write_config(0xf0, Width::Byte, 0);
    assert!(rig.bridge.base_addresses().is_empty());
}

#[test]
fn the_timer_counts_and_its_bytes_can_be_read_apart() {
    let mut rig = rig();
    rig.clock.advance(Duration::from_secs(1));
    assert_eq!(rig.read(8, Width::Dword), 3_579_545);
    assert_eq!(rig.read(8, Width::Word), 3_579_545 & 0xffff);
    assert_eq!(rig.read(10, Width::Byte), 3_579_545 >> 16);
}

#[test]
fn the_power_button_reaches_a_system_in_acpi_mode() {
    let mut rig = rig();
    rig.write(2, Width::Word, 0x0100);
    rig.bridge.write_byte(COMMAND_PORT, ACPI_ENABLE).unwrap();
    assert_eq!(rig.read(4, Width::Word) & 1, 1);
    rig.bridge.press_power_button();
    assert!(rig.recorder.level(99));
    assert_eq!(rig.read(0, Width::Word) & 0x0100, 0x0100);
    rig.write(0, Width::Word, 0x0100);
    assert!(!rig.recorder.level(99));
}

#[test]
fn soft_off_powers_off() {
    let mut rig = rig();
    let value = 0x2000 | u32::from(SOFT_OFF_SLEEP_TYPE) << 10;
    assert_eq!(rig.write(4, Width::Word, value), Some(Action::PowerOff));
}

#[test]
fn events_and_the_management_interrupt_registers_are_where_the_data_sheet_has_them() {
    let mut rig = rig();
    assert_eq!(rig.read(0x30, Width::Dword), 0x20, "set up already");
    rig.write(0x30, Width::Dword, 0x33);
    assert_eq!(rig.read(0x30, Width::Dword), 0x33);
    rig.write(0x28, Width::Dword, 0xffff_ffff);
    assert_eq!(rig.read(0x28, Width::Dword), 0xffff);
    assert_eq!(rig.read(0x20, Width::Dword), 0);
    // No watchdog, nothing beyond.
    assert_eq!(rig.read(0x64, Width::Word), 0);
    rig.bridge.reset();
    assert_eq!(rig.read(0x30, Width::Dword), 0x20);
}

#[test]
fn chipset_configuration_says_what_is_not_there() {
    let mut rig = rig();
    let mut read = |offset: u64| {
        let mut data = [0; 4];
        rig.bridge
            .read_window(ROOT_COMPLEX_WINDOW, offset, &mut data)
            .unwrap();
        u32::from_le_bytes(data)
    };
    assert_eq!(read(0x3410), 0x20, "no watchdog that reboots");
    assert_eq!(read(0x3140), 0x3210_3210, "pin A of a device at line A");
    assert_eq!(read(0), 0);
    rig.bridge
        .write_window(ROOT_COMPLEX_WINDOW, 0x3410, &[0; 4])
        .unwrap();
    let mut data = [0; 4];
    rig.bridge
        .read_window(ROOT_COMPLEX_WINDOW, 0x3410, &mut data)
        .unwrap();
    assert_eq!(data, [0x20, 0, 0, 0]);
}

#[test]
fn lines_reach_the_io_apic_and_the_interrupts_they_are_routed_to() {
    let mut rig = rig();
    let router = rig.bridge.router();
    router.set_level(0, true);
    router.set_level(7, true);
    assert!(rig.recorder.level(16) && rig.recorder.level(23));
    assert!(!(0..16).any(|irq| rig.recorder.level(irq)));
    for (register, irq) in [(0x60, 10), (0x6b, 11)] {
        rig.bridge.write_config(register, Width::Byte, irq);
    }
    assert!(rig.recorder.level(10) && rig.recorder.level(11));
    router.set_level(0, false);
    assert!(!rig.recorder.level(10) && !rig.recorder.level(16) && rig.recorder.level(11));
    rig.bridge.reset();
    assert!(!rig.recorder.level(11) && rig.recorder.level(23));
    // Reserved inputs are never driven.
    for irq in [0, 1, 2, 8, 13] {
        rig.bridge.write_config(0x6b, Width::Byte, irq);
        assert!(!rig.recorder.level(irq));
    }
    router.set_level(8, true);
    router.set_level(u32::MAX, true);
}

#[test]
fn hostile_values_are_survived() {
    let mut rig = rig();
    for value in [0, 0xffff_ffff, 0x0f0f_0f0f, 0xa5a5_a5a5] {
        for offset in 0..=255_u8 {
            for width in Width::ALL {
                rig.bridge.write_config(offset, width, value);
                rig.bridge.read_config(offset, width);
                rig.bridge.base_addresses();
                rig.write(u64::from(offset & 0x7f), width, value);
                rig.read(u64::from(offset & 0x7f), width);
            }
        }
    }
    let mut data = [0; 8];
    for window in [POWER_WINDOW, ROOT_COMPLEX_WINDOW] {
        let _ = rig.bridge.read_window(window, u64::MAX - 7, &mut data);
        let _ = rig.bridge.write_window(window, u64::MAX - 7, &data);
    }
    assert!(rig.bridge.read_window(0, 0, &mut data).is_err());
    assert!(rig.bridge.write_byte(0xb4, 1).is_err());
    assert_eq!(rig.bridge.read_config(0, Width::Dword), 0x2918_8086);
}
