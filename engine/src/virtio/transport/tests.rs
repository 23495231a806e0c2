//! The transport as drivers use it, and as hostile ones do.

use std::sync::atomic::AtomicBool;

use super::*;
use crate::bus::Unconnected;
use crate::memory::MemoryRegion;
use crate::virtio::DeviceType;
use crate::virtio::testing::{Driver, INDIRECT, NEXT, WRITE, descriptor};

/// Gives back what it reads, inverted, on queue 0; has 4 bytes of configuration.
#[derive(Default)]
struct Echo {
    config: [u8; 4],
    threads: Vec<std::thread::JoinHandle<()>>,
    activated: Arc<std::sync::atomic::AtomicUsize>,
    busy: Arc<AtomicBool>,
    interrupt: Arc<parking_lot::Mutex<Option<Interrupt>>>,
}

impl VirtioDevice for Echo {
    fn device_type(&self) -> DeviceType {
        DeviceType::Block
    }
    fn features(&self) -> u64 {
        0x15
    }
    fn queue_sizes(&self) -> Vec<u16> {
        vec![16, 64]
    }
    fn read_config(&self, offset: u64, data: &mut [u8]) {
        let start = usize::try_from(offset).unwrap().min(4);
        for (to, from) in data.iter_mut().zip(&self.config[start..]) {
            *to = *from;
        }
    }
    fn write_config(&mut self, offset: u64, data: &[u8]) {
        let start = usize::try_from(offset).unwrap().min(4);
        for (to, from) in self.config[start..].iter_mut().zip(data) {
            *to = *from;
        }
    }
    fn activate(&mut self, mut activation: Activation) -> io::Result<()> {
        self.activated.fetch_add(1, Ordering::AcqRel);
        *self.interrupt.lock() = Some(activation.interrupt.clone());
        let Some(shared) = activation.take_queue(0) else {
            return Ok(());
        };
        self.threads.push(std::thread::spawn(move || {
            while shared.wait() {
                let mut queue = shared.lock();
                loop {
                    queue.disable_doorbell();
                    while let Some(chain) = queue.pop() {
                        let memory = queue.memory().clone();
                        let mut data = vec![0; chain.readable_length() as usize];
                        chain.read(&memory, 0, &mut data);
                        data.iter_mut().for_each(|byte| *byte = !*byte);
                        let written = chain.write(&memory, 0, &data);
                        queue.complete(&chain, u32::try_from(written).unwrap());
                    }
                    queue.interrupt();
                    if !queue.enable_doorbell() {
                        break;
                    }
                }
            }
        }));
        Ok(())
    }
    fn reset(&mut self) {
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
    }
    fn is_quiet(&self) -> bool {
        !self.busy.load(Ordering::Acquire)
    }
}

fn driver() -> Driver {
    Driver::new(Echo::default())
}

#[test]
fn configuration_space_leads_to_everything() {
    let mut function = driver().function;
    assert_eq!(function.read_config(0, Width::Dword), 0x1042_1af4);
    assert_eq!(function.read_config(8, Width::Dword), 0x0100_0001);
    assert_eq!(function.read_config(0x2c, Width::Dword), 0x1100_1af4);
    let mut found = Vec::new();
    let mut at = function.read_config(0x34, Width::Byte);
    while at != 0 {
        let offset = u8::try_from(at).unwrap();
        let id = function.read_config(offset, Width::Byte);
        if id == 9 {
            let read =
                |function: &mut VirtioPci, by| function.read_config(offset + by, Width::Dword);
            found.push([
                read(&mut function, 0) >> 16,
                read(&mut function, 4) & 0xff,
                read(&mut function, 8),
                read(&mut function, 12),
            ]);
        }
        at = function.read_config(offset + 1, Width::Byte);
    }
    assert_eq!(
        found,
        [
            [0x0110, 4, 0, 0x1000],
            [0x0214, 4, 0x3000, 0x1000],
            [0x0310, 4, 0x1000, 0x1000],
            [0x0410, 4, 0x2000, 0x1000],
            [0x0514, 0, 0, 0],
        ]
    );
    assert_eq!(
        function.read_config(0x70, Width::Dword),
        4,
        "the doorbells' distance"
    );
}

#[test]
fn features_are_negotiated_or_refused() {
    let mut driver = driver();
    let offered = driver.offered();
    assert_eq!(offered, 0x1_3000_0015);
    driver.write(0, 4, 2);
    assert_eq!(driver.read(4, 4), 0);
    assert!(!driver.negotiate(0x15), "without the modern interface");
    assert!(!driver.negotiate(0x1_0000_0002), "not offered");
    driver.write(0x14, 1, 0xf);
    assert_eq!(driver.status(), 3, "not ready without features");
    assert!(driver.negotiate(0x1_0000_0011));
    driver.write(8, 4, 0);
    driver.write(0xc, 4, 0x15);
    assert_eq!(driver.read(0xc, 4), 0x11, "too late to change");
}

#[test]
fn buffers_go_there_and_back_with_messages() {
    for features in [0, feature::EVENT_INDEX | feature::INDIRECT_DESCRIPTORS] {
        let mut driver = driver();
        driver.start(features);
        for round in 0..100_u8 {
            let used = driver.request(0, &[&[round], &[1, 2, 3]], &[2, 4]);
            assert_eq!(
                (used.written, used.data),
                (4, vec![!round, 254, 253, 252, 0, 0])
            );
        }
        assert!(driver.line.0.lock().iter().all(|(_, level)| !level));
    }
}

#[test]
fn without_messages_the_line_is_used_and_reading_isr_lowers_it() {
    let mut driver = driver();
    assert!(driver.negotiate(feature::VERSION_1));
    driver.enable_queue(0, Some(8));
    driver.write(0x14, 1, 0xf);
    driver.add(0, &[b"a"], &[1]);
    driver.kick(0);
    while !driver.line.level(11) {
        std::thread::yield_now();
    }
    assert_eq!(driver.function.read_config(6, Width::Word) & 8, 8);
    driver.function.write_config(4, Width::Word, 0x400);
    assert!(!driver.line.level(11), "disabled");
    driver.function.write_config(4, Width::Word, 0);
    assert!(driver.line.level(11));
    assert_eq!(driver.read(0x1000, 1), 1);
    assert!(!driver.line.level(11));
    assert_eq!(driver.read(0x1000, 1), 0);
    assert_eq!(driver.function.read_config(6, Width::Word) & 8, 0);
    assert_eq!(driver.used(0).len(), 1);
}

#[test]
fn a_driver_that_looks_by_itself_is_not_interrupted() {
    let mut driver = driver();
    driver.start(0);
    driver.memory.write(0x1_8000, &[1, 0]).unwrap();
    driver.add(0, &[b"a"], &[1]);
    driver.kick(0);
    while driver.used(0).is_empty() {
        std::thread::yield_now();
    }
    driver.function.reset();
    assert!(driver.messages.take().is_empty());
}

#[test]
fn an_indirect_table_is_followed() {
    let mut driver = driver();
    driver.start(feature::INDIRECT_DESCRIPTORS);
    driver.memory.write(0x30_0000, b"hello").unwrap();
    let mut table = Vec::new();
    for index in 0..5 {
        table.extend(descriptor(0x30_0000 + u64::from(index), 1, NEXT, index + 1));
    }
    table.extend(descriptor(0x31_0000, 5, WRITE, 0));
    driver.memory.write(0x32_0000, &table).unwrap();
    driver.descriptor(0, 3, 0x32_0000, 96, INDIRECT, 0);
    driver.make_available(0, 3);
    driver.kick(0);
    assert_eq!(driver.wait_used(0, 1)[0].written, 5);
    let mut data = [0; 5];
    driver.memory.read(0x31_0000, &mut data).unwrap();
    assert_eq!(data, *b"hello".map(|byte| !byte).as_slice());
}

#[test]
fn a_reset_starts_anew_and_old_queues_stay_dead() {
    let mut driver = driver();
    for round in 0..3 {
        driver.start(feature::EVENT_INDEX);
        assert_eq!(driver.request(0, &[&[round]], &[1]).data, [!round]);
        driver.write(0x14, 1, 0);
        assert_eq!(driver.status(), 0);
        assert_eq!(driver.read(0x10, 2), 0xffff);
        driver.write(0x16, 2, 0);
        assert_eq!((driver.read(0x1c, 2), driver.read(0x18, 2)), (0, 16));
        driver.kick(0);
    }
}

#[test]
fn a_device_that_still_writes_to_memory_is_not_reset_yet() {
    let busy = Arc::new(AtomicBool::new(true));
    let mut driver = Driver::new(Echo {
        busy: busy.clone(),
        ..Echo::default()
    });
    busy.store(false, Ordering::Release);
    driver.start(0);
    busy.store(true, Ordering::Release);
    driver.write(0x14, 1, 0);
    assert_eq!(driver.status(), 0xf);
    driver.write(0x14, 1, 1);
    assert_eq!(driver.status(), 0xf);
    busy.store(false, Ordering::Release);
    assert_eq!(driver.status(), 0);
}

#[test]
fn configuration_changes_are_told_with_a_new_generation() {
    let echo = Echo::default();
    let interrupt = echo.interrupt.clone();
    let mut driver = Driver::new(echo);
    driver.start(0);
    driver.write(0x2001, 2, 0x1234);
    assert_eq!(driver.config::<8>(0), [0, 0x34, 0x12, 0, 0, 0, 0, 0]);
    let before = driver.read(0x15, 1);
    interrupt.lock().as_ref().unwrap().configuration_changed();
    assert_eq!(driver.read(0x15, 1), before + 1);
    let sent: Vec<u32> = driver.messages.take().iter().map(|m| m.data).collect();
    assert_eq!(sent, [0]);
}

#[test]
fn a_paused_device_gets_no_chains() {
    let mut driver = driver();
    driver.start(0);
    driver.function.pause();
    driver.add(0, &[b"a"], &[1]);
    driver.kick(0);
    assert!(driver.used(0).is_empty());
    driver.function.resume();
    assert_eq!(driver.wait_used(0, 1).len(), 1);
}

#[test]
fn firmware_reaches_the_registers_through_configuration_space() {
    let mut driver = driver();
    let access = |function: &mut VirtioPci, offset, length, value: Option<u32>| {
        function.write_config(0x98, Width::Byte, 4);
        function.write_config(0x9c, Width::Dword, offset);
        function.write_config(0xa0, Width::Dword, length);
        match value {
            Some(value) => {
                function.write_config(0xa4, Width::Dword, value);
                0
            }
            None => function.read_config(0xa4, Width::Dword),
        }
    };
    let function = &mut driver.function;
    access(function, 0x14, 1, Some(3));
    assert_eq!(access(function, 0x14, 1, None), 3);
    access(function, 0x16, 2, Some(1));
    assert_eq!(access(function, 0x18, 2, None), 64);
    assert_eq!(access(function, 0x4, 4, None), 0x3000_0015);
    for (offset, length) in [(0x15, 2), (0x14, 3), (0x14, u32::MAX), (0x4000, 4)] {
        access(function, offset, length, Some(0));
        let _ = access(function, offset, length, None);
    }
    assert_eq!(driver.status(), 3);
}

/// Writes down which doorbells are watched.
#[derive(Default)]
struct Watched(parking_lot::Mutex<Vec<u64>>);

impl DoorbellSink for Watched {
    fn attach(&self, address: u64, _event: &vmm_sys_util::eventfd::EventFd) -> io::Result<()> {
        self.0.lock().push(address);
        Ok(())
    }
    fn detach(&self, address: u64, _event: &vmm_sys_util::eventfd::EventFd) {
        self.0.lock().retain(|other| *other != address);
    }
}

#[test]
fn doorbells_are_watched_where_the_window_is_while_the_driver_is_ready() {
    let watched = Arc::new(Watched::default());
    let mut driver = driver();
    let function = VirtioPci::new(
        Box::new(Echo::default()),
        Connections {
            line: InterruptLine::unconnected("test"),
            messages: Arc::new(Unconnected),
            doorbells: watched.clone(),
            memory: driver.memory.clone(),
        },
    );
    driver.function = function.unwrap();
    driver.function.window_placed(4, Some(0xfe00_0000));
    driver.function.window_placed(1, Some(0xfd00_0000));
    driver.start(0);
    assert_eq!(*watched.0.lock(), [0xfe00_3000, 0xfe00_3004]);
    driver.function.window_placed(4, None);
    assert!(watched.0.lock().is_empty());
    driver.function.window_placed(4, Some(0xfc00_0000));
    assert_eq!(*watched.0.lock(), [0xfc00_3000, 0xfc00_3004]);
    driver.write(0x14, 1, 0);
    assert!(watched.0.lock().is_empty());
}

#[test]
fn rings_that_break_the_rules_stop_the_device_and_a_reset_helps() {
    type Case = (&'static str, fn(&mut Driver));
    let cases: [Case; 9] = [
        ("an endless chain", |driver| {
            driver.descriptor(0, 0, 0x50_0000, 4, NEXT, 1);
            driver.descriptor(0, 1, 0x50_0000, 4, NEXT, 0);
            driver.make_available(0, 0);
        }),
        ("a descriptor that does not exist", |driver| {
            driver.descriptor(0, 0, 0x50_0000, 4, NEXT, 16);
            driver.make_available(0, 0);
        }),
        ("a head that does not exist", |driver| {
            driver.make_available(0, 16);
        }),
        ("a buffer outside of memory", |driver| {
            driver.descriptor(0, 0, 0xff_fffe, 4, 0, 0);
            driver.make_available(0, 0);
        }),
        ("a buffer at the end of the address space", |driver| {
            driver.descriptor(0, 0, u64::MAX, u32::MAX, 0, 0);
            driver.make_available(0, 0);
        }),
        ("a chain of 4 GiB", |driver| {
            for index in 0..15 {
                driver.descriptor(0, index, 0, 0xf0_0000, NEXT | WRITE, index + 1);
            }
            driver.descriptor(0, 15, 0, u32::MAX, WRITE, 0);
            driver.make_available(0, 0);
        }),
        ("a buffer to read after one to write", |driver| {
            driver.descriptor(0, 0, 0x50_0000, 4, NEXT | WRITE, 1);
            driver.descriptor(0, 1, 0x50_0000, 4, 0, 0);
            driver.make_available(0, 0);
        }),
        ("a table in a table", |driver| {
            driver
                .memory
                .write(0x50_0000, &descriptor(0x50_0000, 16, INDIRECT, 0))
                .unwrap();
            driver.descriptor(0, 0, 0x50_0000, 16, INDIRECT, 0);
            driver.make_available(0, 0);
        }),
        ("a table that is longer than any queue", |driver| {
            let mut table = Vec::new();
            for index in 0..2000 {
                table.extend(descriptor(0x50_0000, 1, NEXT, index + 1));
            }
            table.extend(descriptor(0x50_0000, 1, 0, 0));
            driver.memory.write(0x60_0000, &table).unwrap();
            driver.descriptor(
                0,
                0,
                0x60_0000,
                u32::try_from(table.len()).unwrap(),
                INDIRECT,
                0,
            );
            driver.make_available(0, 0);
        }),
    ];
    for (name, case) in cases {
        let mut driver = driver();
        driver.start(feature::EVENT_INDEX | feature::INDIRECT_DESCRIPTORS);
        case(&mut driver);
        driver.kick(0);
        driver.wait_needs_reset();
        assert!(driver.used(0).is_empty(), "{name}");
        driver.start(0);
        assert_eq!(driver.request(0, &[b"a"], &[1]).data, [!b'a'], "{name}");
    }
    // More available than there is room for.
    let mut driver = driver();
    driver.start(0);
    driver.memory.write(0x1_8002, &[17, 0]).unwrap();
    driver.kick(0);
    driver.wait_needs_reset();
}

#[test]
fn queues_outside_of_memory_are_refused() {
    for (register, value) in [
        (0x20, 0xffff_ff00_u64),
        (0x28, u64::MAX - 1),
        (0x30, 0xff_fff0),
        (0x20, 8),
    ] {
        let mut driver = driver();
        assert!(driver.negotiate(feature::VERSION_1));
        driver.enable_messages();
        driver.write(0x16, 2, 0);
        driver.write(0x28, 8, 0x2000);
        driver.write(0x30, 8, 0x3000);
        driver.write(register, 8, value);
        driver.write(0x1c, 2, 1);
        driver.write(0x14, 1, 0xf);
        assert_eq!(driver.status(), 0x4f, "{register:#x} {value:#x}");
        driver.kick(0);
    }
}

#[test]
fn any_write_anywhere_does_no_harm() {
    let region = MemoryRegion::new("test", 1 << 20).unwrap();
    let memory = GuestMemory::new(vec![(0, region)]).unwrap();
    let mut driver = Driver::with_memory(Echo::default(), memory);
    // A linear congruential generator: the same writes every time.
    let mut seed = 0x1234_5678_u64;
    let mut random = |below: u64| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    for round in 0..30_000 {
        let length = 1 << random(4);
        let offset = match random(4) {
            0 => 0x3000 + random(0x20),
            1 => random(0x4100),
            _ => random(0x40),
        };
        let value = match random(3) {
            0 => random(16),
            1 => random(1 << 20) & !0xf,
            _ => random(u64::MAX),
        };
        let data = value.to_le_bytes();
        let window = if random(8) == 0 { 1 } else { 4 };
        let _ = driver
            .function
            .write_window(window, offset, &data[..length]);
        let mut read = [0; 8];
        let _ = driver
            .function
            .read_window(window, offset, &mut read[..length]);
        if random(8) == 0 {
            let at = u8::try_from(random(256) & !3).unwrap();
            driver.function.write_config(
                at,
                Width::Dword,
                u32::try_from(value & 0xffff_ffff).unwrap(),
            );
            driver.function.read_config(at, Width::Dword);
        }
        if random(16) == 0 {
            driver.memory.write(random((1 << 20) - 8), &data).unwrap();
        }
        if round % 500 == 0 {
            driver.function.reset();
        }
    }
    driver.function.reset();
    assert_eq!(driver.status(), 0);
}
