//! The power management function as firmware, operating systems and hostile guests drive it.

use super::*;
use crate::bus::{PortDevice, Recorder};
use crate::chipset::{ACPI_DISABLE, ACPI_ENABLE, COMMAND_PORT, SOFT_OFF_SLEEP_TYPE};
use crate::legacy::TestClock;

struct Rig {
    interrupt: Arc<Recorder>,
    clock: Arc<TestClock>,
    power: Piix4Power,
}

/// A function whose registers SeaBIOS has put at 0x600.
fn rig() -> Rig {
    let (interrupt, clock) = (
        Arc::new(Recorder::default()),
        Arc::new(TestClock::default()),
    );
    let mut power = Piix4Power::new(
        InterruptLine::new("sci", interrupt.clone(), 9),
        clock.clone(),
        Wakeup::default(),
    );
    for (offset, width, value) in [
        (0x3c, Width::Byte, 9),
        (0x40, Width::Dword, 0x601),
        (0x80, Width::Byte, 1),
        (0x90, Width::Dword, 0x701),
        (0xd2, Width::Byte, 9),
    ] {
        assert_eq!(power.write_config(offset, width, value), None);
    }
    Rig {
        interrupt,
        clock,
        power,
    }
}

impl Rig {
    fn read(&mut self, offset: u64, width: Width) -> u32 {
        let mut data = [0; 4];
        self.power
            .read_window(POWER_WINDOW, offset, &mut data[..width.bytes()])
            .unwrap();
        width.load(&data)
    }

    fn write(&mut self, offset: u64, width: Width, value: u32) -> Option<Action> {
        self.power
            .write_window(POWER_WINDOW, offset, &value.to_le_bytes()[..width.bytes()])
            .unwrap()
    }

    fn sci(&self) -> bool {
        self.interrupt.level(9)
    }
}

#[test]
fn firmware_finds_it_with_management_mode_set_up() {
    let mut power = rig().power;
    for (offset, width, value) in [
        (0x00, Width::Dword, 0x7113_8086),
        (0x08, Width::Dword, 0x0680_0003),
        (0x3c, Width::Word, 0x0109),
        (0x40, Width::Dword, 0x601),
        (0x5b, Width::Byte, 0x02),
        (0x58, Width::Dword, 0x0200_0000),
        (0x90, Width::Dword, 0x701),
    ] {
        assert_eq!(power.read_config(offset, width), value, "{offset:#x}");
    }
}

#[test]
fn its_windows_are_where_their_registers_say_while_enabled() {
    let mut power = rig().power;
    let found = |power: &Piix4Power| -> Vec<(u64, u64)> {
        power
            .base_addresses()
            .iter()
            .map(|window| (window.base, window.size))
            .collect()
    };
    assert_eq!(found(&power), [(0x600, 64), (0x700, 16)]);
    power.write_config(0xd2, Width::Byte, 8);
    power.write_config(0x40, Width::Dword, 0xffff_ffff);
    assert_eq!(found(&power), [(0xffc0, 64)]);
    assert_eq!(power.read_config(0x40, Width::Dword), 0xffc1);
    power.write_config(0x40, Width::Dword, 0);
    assert!(found(&power).is_empty());
    power.write_config(0x40, Width::Dword, 0xb000);
    power.reset();
    assert!(found(&power).is_empty());
}

#[test]
fn the_timer_counts_at_its_frequency_and_wraps_at_24_bits() {
    let mut rig = rig();
    for (time, ticks) in [
        (Duration::ZERO, 0),
        (Duration::from_millis(1), 3579),
        (Duration::from_secs(1), 3_579_545),
        (Duration::from_secs(5), 17_897_725 - 0x100_0000),
        (Duration::from_secs(86_400 * 365), 0x0060_c780),
    ] {
        rig.clock.set(time);
        assert_eq!(rig.read(8, Width::Dword), ticks, "{time:?}");
    }
    assert_eq!(rig.read(9, Width::Word), 0x60c7);
    assert_eq!(rig.write(8, Width::Dword, 0), None);
    assert_eq!(rig.read(8, Width::Dword), 0x0060_c780, "it cannot be set");
}

#[test]
fn the_timer_tells_of_every_change_of_its_highest_bit() {
    let mut rig = rig();
    assert_eq!(rig.power.tick(), None, "nothing is enabled");
    rig.write(4, Width::Word, 1);
    rig.write(2, Width::Word, 1);
    let next = rig.power.tick().unwrap();
    assert_eq!(next.as_millis(), 2343);
    rig.clock.advance(next - Duration::from_micros(1));
    assert_eq!(rig.read(0, Width::Word), 0);
    rig.clock.advance(Duration::from_micros(1));
    assert_eq!(
        rig.power.tick(),
        None,
        "it waits for its status to be cleared"
    );
    assert!(rig.sci());
    assert_eq!(rig.read(0, Width::Dword), 0x0001_0001);
    rig.write(0, Width::Word, 1);
    assert!(!rig.sci());
    assert_eq!(rig.power.tick().map(|next| next.as_millis()), Some(2343));
}

#[test]
fn the_power_button_interrupts_an_operating_system_that_listens() {
    let mut rig = rig();
    rig.power.press_power_button();
    assert!(!rig.sci());
    assert_eq!(rig.read(0, Width::Word), 0x100);
    rig.write(2, Width::Word, 0x100);
    assert!(!rig.sci(), "not in ACPI mode");
    rig.power.write_byte(COMMAND_PORT, ACPI_ENABLE).unwrap();
    assert_eq!(rig.read(4, Width::Word), 1);
    assert!(rig.sci());
    rig.write(1, Width::Byte, 1);
    assert!(!rig.sci());
    rig.power.press_power_button();
    rig.power.write_byte(COMMAND_PORT, ACPI_DISABLE).unwrap();
    assert!(!rig.sci());
    rig.power.write_byte(COMMAND_PORT, ACPI_ENABLE).unwrap();
    rig.power.reset();
    assert!(!rig.sci());
}

#[test]
fn only_soft_off_switches_the_machine_off() {
    let mut rig = rig();
    let off = u32::from(SOFT_OFF_SLEEP_TYPE) << 10;
    assert_eq!(rig.write(4, Width::Word, off | 1), None, "not enabled");
    for other in 1..8 {
        assert_eq!(rig.write(4, Width::Word, 0x2001 | other << 10), None);
    }
    assert_eq!(
        rig.write(4, Width::Word, 0x2001 | off),
        Some(Action::PowerOff)
    );
    assert_eq!(rig.read(4, Width::Word), 1, "sleep enable reads as 0");
    assert_eq!(rig.write(5, Width::Byte, 0x20), Some(Action::PowerOff));
}

#[test]
fn general_events_keep_their_enables() {
    let mut power = rig().power;
    power.write_port(0xafe2, Width::Word, 0x1234).unwrap();
    assert_eq!(power.read_port(0xafe0, Width::Dword), Ok(0x1234_0000));
    power.write_port(0xb2, Width::Word, 0x5500).unwrap();
    assert_eq!(power.read_port(0xb3, Width::Byte), Ok(0x55));
    power.reset();
    assert_eq!(power.read_port(0xafe0, Width::Dword), Ok(0));
}

#[test]
fn hostile_values_are_survived() {
    let mut rig = rig();
    for value in [0, 0xffff_ffff, 0xdfff_dfff, 0xa5a5_a5a5] {
        for offset in 0..=255 {
            for width in Width::ALL {
                rig.power.write_config(offset, width, value);
                rig.power.read_config(offset, width);
                rig.power.base_addresses();
            }
        }
        for number in 0..=255 {
            for offset in (0..80).chain([u64::MAX - 1, u64::MAX]) {
                let mut data = value.to_le_bytes();
                let _ = rig.power.write_window(number, offset, &data);
                let _ = rig.power.read_window(number, offset, &mut data);
                rig.power.tick();
                rig.clock.advance(Duration::from_secs(1));
            }
        }
        for port in [0xb1, 0xb2, 0xb3, 0xafdf, 0xafe0, 0xafe3, 0xafe4, 0xffff] {
            for width in Width::ALL {
                let _ = rig.power.write_port(port, width, value);
                let _ = rig.power.read_port(port, width);
            }
        }
    }
    rig.clock.set(Duration::MAX);
    rig.read(0, Width::Dword);
    rig.power.tick();
}
