//! The clock as firmware, operating systems and hostile guests drive it.

use super::*;
use crate::bus::{PortDevice, Recorder, Width};
use crate::legacy::TestClock;

/// 13:37:42 on Sunday, 29 February 2032.
const LEAP_DAY: Duration = Duration::from_secs(1_961_674_662);

struct Rig {
    interrupt: Arc<Recorder>,
    clock: Arc<TestClock>,
    rtc: Rtc,
}

fn rig() -> Rig {
    let (interrupt, clock) = (
        Arc::new(Recorder::default()),
        Arc::new(TestClock::default()),
    );
    clock.set(LEAP_DAY);
    let rtc = Rtc::new(
        InterruptLine::new("rtc", interrupt.clone(), 8),
        clock.clone(),
        Wakeup::default(),
        &Configuration {
            memory_below_4_gib: 256 << 20,
            processors: 2,
            boot_order: vec![BootDevice::Disk],
            ..Configuration::default()
        },
    );
    Rig {
        interrupt,
        clock,
        rtc,
    }
}

impl Rig {
    fn read(&mut self, index: u8) -> u8 {
        // Firmware always masks the non-maskable interrupt.
        self.rtc.write_byte(0x70, index | 0x80).unwrap();
        self.rtc.read_byte(0x71).unwrap()
    }

    fn write(&mut self, index: u8, value: u8) {
        self.rtc.write_byte(0x70, index).unwrap();
        self.rtc.write_byte(0x71, value).unwrap();
    }

    fn time(&mut self) -> [u8; 8] {
        [0x32, 9, 8, 7, 6, 4, 2, 0].map(|index| self.read(index))
    }

    fn raised(&self) -> bool {
        self.interrupt.level(8)
    }
}

#[test]
fn the_time_is_told_in_every_format() {
    let mut rig = rig();
    assert_eq!(rig.time(), [0x20, 0x32, 0x02, 0x29, 0x01, 0x13, 0x37, 0x42]);
    rig.write(0x0b, B_BINARY | B_24_HOURS);
    assert_eq!(rig.time(), [20, 32, 2, 29, 1, 13, 37, 42]);
    rig.write(0x0b, B_BINARY);
    assert_eq!(rig.read(4), 0x81);
    rig.write(0x0b, 0);
    for (hour, register) in [
        (0, 0x12),
        (1, 0x01),
        (11, 0x11),
        (12, 0x92),
        (13, 0x81),
        (23, 0x91),
    ] {
        rig.clock.set(Duration::from_secs(hour * 3600));
        assert_eq!(rig.read(4), register, "{hour}");
    }
}

#[test]
fn status_and_memory_read_as_seabios_saw_them() {
    let mut rig = rig();
    for (index, value) in [
        (0x0a, 0x26),
        (0x0b, 0x02),
        (0x0d, 0x80),
        (0x0f, 0x00),
        (0x34, 0x00),
        (0x35, 0x0f),
        (0x38, 0x00),
        (0x3d, 0x02),
        (0x5f, 0x01),
        (0x14, 0x06),
    ] {
        assert_eq!(rig.read(index), value, "{index:#x}");
    }
    assert_eq!(rig.rtc.read_byte(0x70), Err(IoError::Unmapped));
    rig.write(0x0f, 0x09);
    rig.write(0x0d, 0x00);
    rig.rtc.reset();
    assert_eq!((rig.read(0x0f), rig.read(0x0d)), (0x09, 0x80));
    // Index and data in one word, as some software writes them.
    rig.rtc.write_port(0x70, Width::Word, 0x5a40).unwrap();
    assert_eq!(rig.read(0x40), 0x5a);
}

#[test]
fn the_guest_sets_the_time_and_it_goes_on_from_there() {
    let mut rig = rig();
    rig.write(0x0b, B_SET | B_24_HOURS);
    for (index, value) in [
        (0, 0x58),
        (2, 0x59),
        (4, 0x23),
        (7, 0x31),
        (8, 0x12),
        (9, 0x99),
        (0x32, 0x19),
    ] {
        rig.write(index, value);
    }
    rig.clock.advance(Duration::from_secs(5));
    assert_eq!(rig.read(0), 0x58, "it stands still while it is set");
    rig.write(0x0b, B_24_HOURS);
    assert_eq!(rig.read(0), 0x58);
    rig.clock.advance(Duration::from_secs(2));
    assert_eq!(rig.time(), [0x20, 0x00, 0x01, 0x01, 0x07, 0x00, 0x00, 0x00]);
    rig.rtc.reset();
    assert_eq!(rig.read(9), 0x00, "a reset keeps the time");
    // Without the set bit, one byte at a time.
    rig.write(4, 0x12);
    assert_eq!(rig.read(4), 0x12);
}

#[test]
fn an_update_is_announced_and_told() {
    let mut rig = rig();
    assert_eq!(rig.read(0x0a), 0x26);
    rig.clock.advance(Duration::from_micros(999_760));
    assert_eq!(rig.read(0x0a), 0xa6);
    assert_eq!(rig.read(0x0c) & B_UPDATE, 0);
    rig.clock.advance(Duration::from_micros(240));
    assert_eq!(rig.read(0x0a), 0x26);
    assert_eq!(rig.read(0x0c) & B_UPDATE, B_UPDATE);
    assert_eq!(rig.read(0x0c) & B_UPDATE, 0, "reading clears it");
    assert!(!rig.raised());
}

#[test]
fn the_update_interrupt_comes_every_second_and_waits_to_be_read() {
    let mut rig = rig();
    assert_eq!(rig.rtc.tick(), None);
    rig.clock.advance(Duration::from_millis(400));
    rig.write(0x0b, B_UPDATE | B_24_HOURS);
    assert_eq!(rig.rtc.tick(), Some(Duration::from_millis(600)));
    rig.clock.advance(Duration::from_millis(600));
    assert_eq!(rig.rtc.tick(), None);
    assert!(rig.raised());
    assert_eq!(rig.read(0x0c) & 0x90, 0x90);
    assert!(!rig.raised());
    assert_eq!(rig.rtc.tick(), Some(Duration::from_secs(1)));
}

#[test]
fn the_periodic_interrupt_has_the_rates_of_the_data_sheet() {
    let mut rig = rig();
    for (rate, nanoseconds) in [
        (1, 3_906_250),
        (2, 7_812_500),
        (3, 122_071),
        (6, 976_563),
        (13, 125_000_000),
        (15, 500_000_000),
    ] {
        rig.clock.set(LEAP_DAY);
        rig.write(0x0a, 0x20 | rate);
        rig.write(0x0b, B_PERIODIC | B_24_HOURS);
        rig.read(0x0c);
        let next = rig.rtc.tick().unwrap();
        assert_eq!(next, Duration::from_nanos(nanoseconds), "rate {rate}");
        rig.clock.advance(next);
        rig.rtc.tick();
        assert!(rig.raised());
        assert_eq!(rig.read(0x0c) & 0xc0, 0xc0);
    }
    rig.write(0x0a, 0x20);
    assert_eq!(rig.rtc.tick(), None, "rate 0 is off");
    rig.write(0x0a, 0x76);
    assert_eq!(rig.rtc.tick(), None, "the divider is held in reset");
}

#[test]
fn the_alarm_goes_off_when_its_bytes_match() {
    let mut rig = rig();
    rig.write(0x0b, B_ALARM | B_24_HOURS);
    for (alarm, wait) in [
        ([0x13, 0x37, 0x43], 1),
        ([0x13, 0x37, 0x42], 86_400),
        ([0x14, 0x00, 0x00], 22 * 60 + 18),
        ([0xff, 0xff, 0xff], 1),
        ([0xff, 0xff, 0x10], 28),
        ([0xff, 0x37, 0xff], 1),
        ([0xff, 0x36, 0xff], 58 * 60 + 18),
        ([0x13, 0xff, 0x42], 60),
        ([0x00, 0x00, 0x00], 10 * 3600 + 22 * 60 + 18),
    ] {
        for (index, value) in [5, 3, 1].into_iter().zip(alarm) {
            rig.write(index, value);
        }
        rig.clock.set(LEAP_DAY);
        rig.rtc.tick();
        rig.read(0x0c);
        assert_eq!(
            rig.rtc.tick(),
            Some(Duration::from_secs(wait)),
            "{alarm:x?}"
        );
        rig.clock.advance(Duration::from_secs(wait - 1));
        assert!(rig.rtc.tick().is_some(), "{alarm:x?}");
        rig.clock.advance(Duration::from_secs(1));
        assert_eq!(rig.rtc.tick(), None, "{alarm:x?}");
        assert!(rig.raised());
        assert_eq!(rig.read(0x0c) & 0xa0, 0xa0);
    }
    rig.write(3, 0x75);
    assert_eq!(rig.rtc.tick(), None, "no minute is 75");
    // 12-hour alarms have their afternoon bit.
    rig.write(0x0b, B_ALARM);
    for (index, value) in [(5, 0x82), (3, 0x00), (1, 0x00)] {
        rig.write(index, value);
    }
    rig.clock.set(LEAP_DAY);
    rig.rtc.tick();
    rig.read(0x0c);
    assert_eq!(rig.rtc.tick(), Some(Duration::from_secs(22 * 60 + 18)));
}

#[test]
fn a_host_clock_set_back_is_borne() {
    let mut rig = rig();
    rig.write(0x0b, B_UPDATE | B_24_HOURS);
    rig.clock.set(Duration::from_secs(1_000));
    assert_eq!(rig.read(0x0c), 0);
    assert_eq!(rig.rtc.tick(), Some(Duration::from_secs(1)));
    assert_eq!(rig.read(9), 0x70);
}

#[test]
fn hostile_values_are_survived() {
    let mut rig = rig();
    for value in [0x00, 0xff, 0x99, 0x80, 0x7f, 0xa5, 0x12] {
        for mode in [0x00, 0x02, 0x04, 0x06, 0x80, 0xf2, 0x76, 0xfe] {
            for index in 0..=255 {
                rig.write(0x0b, mode);
                rig.write(index, value);
                rig.read(index);
                rig.rtc.tick();
                rig.clock.advance(Duration::from_secs(3601));
            }
        }
        rig.write(0x0b, 0x02);
        rig.clock.set(Duration::MAX);
        rig.rtc.tick();
        rig.read(9);
        rig.clock.set(Duration::ZERO);
        rig.rtc.tick();
        rig.rtc.reset();
    }
}
