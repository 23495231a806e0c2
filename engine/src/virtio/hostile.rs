//! A driver that puts anything into the queues of every device. The worst that may come of it is a device that needs a reset, and
//! after the reset it works. The same every time: what it does comes from a generator with a fixed seed.

use std::sync::Arc;

use super::balloon::Balloon;
use super::block::Block;
use super::console::Console;
use super::entropy::Entropy;
use super::input::{Input, InputKind};
use super::testing::{Driver, INDIRECT, MEMORY, NEXT, WRITE, descriptor};
use super::{VirtioDevice, feature};
use crate::definition::ImageFormat;
use crate::disk::{DiskOptions, ReportFaults};

const ROUNDS: u32 = 60;
const CHAINS: u32 = 40;

/// A linear congruential generator (Knuth's constants).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn word(&mut self, end: u64) -> u16 {
        u16::try_from(self.below(end)).unwrap()
    }

    /// An address: mostly of memory, sometimes of the rings, sometimes of nothing.
    fn address(&mut self) -> u64 {
        let memory = MEMORY as u64;
        match self.below(40) {
            0 => self.below(0x8_0000),
            1 => memory - self.below(64),
            2 => self.below(u64::MAX),
            _ => 0x40_0000 + self.below(memory - 0x50_0000),
        }
    }

    fn length(&mut self) -> u32 {
        let length = match self.below(30) {
            0 => self.below(1 << 32),
            1 => 0,
            2..5 => self.below(0x1_0000),
            5..10 => 512 * self.below(16),
            _ => self.below(32),
        };
        u32::try_from(length).unwrap()
    }

    /// A descriptor that continues the chain with `next`, mostly.
    fn descriptor(&mut self, next: u16, last: bool) -> (u64, u32, u16, u16) {
        let mut flags = if last { 0 } else { NEXT };
        if self.below(3) > 0 && last || self.below(8) == 0 {
            flags |= WRITE;
        }
        match self.below(60) {
            0 => (
                self.address(),
                self.length(),
                self.word(8),
                self.word(0x1_0000),
            ),
            _ => (self.address(), self.length(), flags, next),
        }
    }
}

fn torment<D: VirtioDevice + 'static>(device: D, kinds: &[u32]) {
    let mut random = Random(0x6775_6573_7468_6f75);
    let mut driver = Driver::new(device);
    let offered = driver.offered();
    let queues = usize::try_from(driver.read(0x12, 2)).unwrap();
    for _ in 0..ROUNDS {
        let features = match random.below(3) {
            0 => 0,
            1 => offered & !feature::EVENT_INDEX,
            _ => offered,
        };
        driver.start(features);
        for _ in 0..CHAINS {
            let queue = usize::try_from(random.below(queues as u64)).unwrap();
            driver.write(0x16, 2, queue as u64);
            let size = driver.read(0x18, 2);
            let first = random.word(size);
            let count = random.word(5) + 1;
            // The first buffer begins as the device's requests do, mostly.
            let start = 0x40_0000 + random.below(0x1000);
            let kind = kinds.get(usize::from(random.word(kinds.len() as u64 + 1)));
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&kind.copied().unwrap_or(0xffff).to_le_bytes());
            bytes[8..].copy_from_slice(&random.below(3000).to_le_bytes());
            driver.memory.write(start, &bytes).unwrap();
            let indirect = random.below(4) == 0;
            for number in 0..count {
                let last = number + 1 == count;
                let index = if indirect {
                    number
                } else {
                    (first + number) % u16::try_from(size).unwrap()
                };
                let next = if indirect {
                    index + 1
                } else {
                    (index + 1) % u16::try_from(size).unwrap()
                };
                let (mut address, mut length, flags, next) = random.descriptor(next, last);
                if number == 0 && random.below(10) > 0 {
                    (address, length) = (start, 16);
                }
                if indirect {
                    let at = 0xf0_0000 + 16 * u64::from(number);
                    driver
                        .memory
                        .write(at, &descriptor(address, length, flags, next))
                        .unwrap();
                } else {
                    driver.descriptor(queue, index, address, length, flags, next);
                }
            }
            if indirect {
                let length = 16 * u32::from(count) + u32::from(random.below(20) == 0);
                driver.descriptor(queue, first, 0xf0_0000, length, INDIRECT, 0);
            }
            driver.make_available(queue, first);
            if random.below(3) == 0 {
                let garbage = random.below(u64::MAX);
                driver.write(0x2000 + random.below(64), 4, garbage & 0xffff_ffff);
            }
            if random.below(4) > 0 {
                driver.kick(queue);
            }
            if random.below(50) == 0 {
                driver.function.pause();
                driver.function.resume();
            }
        }
        driver.write(0x14, 1, 0);
        while driver.status() != 0 {
            std::thread::yield_now();
        }
    }
}

#[test]
fn a_disk_survives_any_request() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.img");
    std::fs::File::create(&path)
        .unwrap()
        .set_len(1 << 20)
        .unwrap();
    let image = DiskOptions::new(ImageFormat::Raw).open(&path).unwrap();
    let disk = Block::new(image, "disk".to_owned(), "1", 2, Arc::new(ReportFaults)).unwrap();
    torment(disk, &[0, 1, 1, 4, 8, 11, 13]);
}

#[test]
fn small_devices_survive_anything() {
    torment(Entropy::default(), &[]);
    torment(Balloon::new(Arc::new(|| {})), &[0x500, 0x501]);
    torment(
        Console::new(None, Some(Box::new(std::io::sink()))).unwrap(),
        &[],
    );
    for kind in [InputKind::Keyboard, InputKind::Tablet] {
        torment(
            Input::new(kind, Box::new(|_| {}), Box::new(|_| {})),
            &[0x1_0011],
        );
    }
}
