//! A guest that means ill: no access makes the controller panic, hang or reach beyond what it was given.

use super::*;
use crate::fuzzing::Numbers;

fn bytes<const N: usize>(random: &mut Numbers) -> [u8; N] {
    std::array::from_fn(|_| random.byte())
}

fn full_bench() -> (Arc<MemoryImage>, Arc<MemoryImage>, Bench) {
    let hard = Arc::new(MemoryImage::numbered(48 * 512));
    let disc = Arc::new(MemoryImage::numbered(24 * 2048));
    let bench = Bench::new([
        [disk(&hard), optical(Some(&disc))],
        [optical(None), disk(&hard)],
    ]);
    (hard, disc, bench)
}

/// Moves data whatever the state, through both ways.
fn pump(bench: &mut Bench, base: u16, random: &mut Numbers) {
    let length = (random.next() % 3000) as usize;
    let data: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
    let width = Width::ALL[(random.next() % 3) as usize];
    if random.next() & 1 == 0 {
        bench.controller.write_port_string(base, width, &data);
    } else {
        let mut data = data;
        bench.controller.read_port_string(base, width, &mut data);
    }
    let window = u64::from(base == SECONDARY) * 8;
    if random.next() & 3 == 0 {
        bench.bus_master_write(window + 4, &bytes::<4>(random));
    }
    bench.bus_master_write(window, &[random.next() as u8]);
}

/// After whatever happened the drives answer again.
fn still_alive(bench: &mut Bench) {
    for base in [PRIMARY, SECONDARY] {
        bench.outb(base + 0x206, 0x04);
        bench.outb(base + 0x206, 0x00);
        bench.settle(base);
        let disk = if base == PRIMARY { 0xa0 } else { 0xb0 };
        assert_eq!(bench.command(base, [0, 0, 0, 0, 0, disk], 0xec), 0x58);
        assert_eq!(bench.insw(base, 512)[510], 0xa5);
        let optical = disk ^ 0x10;
        assert_eq!(bench.command(base, [0, 0, 0, 0, 0, optical], 0xa1), 0x58);
        assert_eq!(bench.insw(base, 512)[510], 0xa5);
    }
}

#[test]
fn every_command_with_every_feature() {
    let (hard, disc, mut bench) = full_bench();
    let mut random = Numbers(0x9e37_79b9_7f4a_7c15);
    for code in 0..=255_u8 {
        for feature in 0..=255_u8 {
            let base = if feature & 1 == 0 { PRIMARY } else { SECONDARY };
            let registers: [u8; 6] = bytes(&mut random);
            for (register, value) in (1..).zip(registers) {
                // Small numbers half of the time, so that some sectors exist.
                let value = if random.next() & 1 == 0 {
                    value
                } else {
                    value & 3
                };
                bench.outb(base + register, value);
            }
            bench.outb(base + 1, feature);
            bench.outb(base + 7, code);
            pump(&mut bench, base, &mut random);
            if feature % 16 == 0 {
                bench.drives.drain();
                pump(&mut bench, base, &mut random);
                bench.outb(base + 0x206, random.next() as u8);
                bench.outb(base + 0x206, 0);
            }
        }
        still_alive(&mut bench);
    }
    assert_eq!(hard.data.lock().len(), 48 * 512);
    assert_eq!(disc.data.lock().len(), 24 * 2048);
}

#[test]
fn every_port_at_every_width() {
    let (_hard, _disc, mut bench) = full_bench();
    let mut random = Numbers(1);
    let ports: Vec<u16> = IdeController::PORTS.into_iter().flatten().collect();
    for _ in 0..20_000 {
        let port = ports[(random.next() % ports.len() as u64) as usize];
        let width = Width::ALL[(random.next() % 3) as usize];
        if random.next() & 1 == 0 {
            let value = random.next() as u32 & width.ones();
            bench.controller.write_port(port, width, value).unwrap();
        } else {
            bench.controller.read_port(port, width).unwrap();
        }
    }
    for port in [
        0, 0x16f, 0x178, 0x1ef, 0x1f8, 0x375, 0x377, 0x3f5, 0x3f7, 0xffff,
    ] {
        assert!(bench.controller.read_port(port, Width::Dword).is_err());
        assert!(bench.controller.write_port(port, Width::Byte, 4).is_err());
    }
    let mut data = [0; 64];
    for offset in [0, 7, 15, 16, u64::MAX - 3, u64::MAX] {
        let _ = bench.controller.read_window(4, offset, &mut data);
        let _ = bench.controller.write_window(4, offset, &data);
    }
    for offset in 0..=255 {
        for width in Width::ALL {
            bench
                .controller
                .write_config(offset, width, random.next() as u32);
            bench.controller.read_config(offset, width);
        }
    }
    for base in [PRIMARY, SECONDARY] {
        bench.outb(base + 0x206, 0);
    }
    bench.drives.drain();
    still_alive(&mut bench);
}
