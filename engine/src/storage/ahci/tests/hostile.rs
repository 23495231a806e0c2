//! Guests that write anything anywhere.

use super::*;

#[test]
fn every_register_takes_every_value() {
    let image = Arc::new(MemoryImage::numbered(64 * 512));
    let mut bench = Bench::new(disk(&image));
    for value in [0, 0xffff_ffff, 0xaaaa_aaaa, 0x5555_5555, 0x8000_0001] {
        for offset in (0..0x1000).step_by(4) {
            bench.write(offset, value);
            bench.read(offset);
        }
    }
    bench.wait();
    let mut data = [0; 16];
    for offset in [0xffc, 0xfff, u64::MAX - 3, u64::MAX] {
        let _ = bench.controller.read_window(WINDOW, offset, &mut data);
        let _ = bench.controller.write_window(WINDOW, offset, &data);
    }
    assert!(bench.controller.read_window(0, 0, &mut data).is_err());
    assert!(bench.controller.write_window(WINDOW, 1, &[0; 4]).is_err());
    assert!(bench.controller.write_window(WINDOW, 0, &[0; 2]).is_err());
    bench.controller.reset();
    bench.start();
    assert_eq!(bench.run(&frame(0xec, 0, 0), &[(DATA, 512)]), 0x50);
}

#[test]
fn lists_and_tables_outside_of_memory() {
    let image = Arc::new(MemoryImage::numbered(64 * 512));
    let mut bench = Bench::new(disk(&image));
    for (list, table) in [
        (0xffff_ffff_ffff_fc00, 0),
        (MEMORY as u64 - 16, 0),
        (LIST, 0xffff_ffff_ffff_ff80),
        (LIST, MEMORY as u64),
        (LIST, MEMORY as u64 - 0x80),
    ] {
        bench.set_port(port::COMMAND, 0x10);
        bench.set_port(port::COMMAND_LIST, list as u32);
        bench.set_port(port::COMMAND_LIST_HIGH, (list >> 32) as u32);
        let mut header = [0; 16];
        header[2..4].copy_from_slice(&[0xff, 0xff]);
        header[8..].copy_from_slice(&table.to_le_bytes());
        bench.memory.write(LIST, &header).unwrap();
        if table > 0 && table < MEMORY as u64 {
            bench.memory.write(table, &frame(0x25, 0, 1)).unwrap();
        }
        bench.set_port(port::COMMAND, 0x11);
        bench.set_port(port::ISSUE, 1);
        bench.wait();
        let status = bench.port(port::INTERRUPT_STATUS);
        assert_ne!(status & (1 << 28 | 1 << 30), 0, "{list:#x} {table:#x}");
        bench.set_port(port::INTERRUPT_STATUS, 0xffff_ffff);
    }
    // Frames that go nowhere.
    bench.set_port(port::COMMAND, 0);
    bench.set_port(port::RECEIVED, 0xffff_ff00);
    bench.set_port(port::RECEIVED_HIGH, 0xffff_ffff);
    bench.set_port(port::COMMAND_LIST, LIST as u32);
    bench.set_port(port::COMMAND_LIST_HIGH, 0);
    bench.set_port(port::COMMAND, 0x11);
    assert_eq!(bench.run(&frame(0xec, 0, 0), &[(DATA, 512)]), 0x50);
}
