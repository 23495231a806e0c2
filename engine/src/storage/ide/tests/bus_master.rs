//! Direct memory access: tables of regions, good and bad, and the bus master's registers.

use super::*;
use crate::storage::Verdict;

const TABLE: u32 = 0x1000;
const BASE: u16 = PRIMARY;

/// Writes a table of (address, length) at [`TABLE`], the last entry marked, and points the primary bus master at it.
pub(super) fn table(bench: &mut Bench, entries: &[(u32, u16)]) {
    for (number, (address, length)) in entries.iter().enumerate() {
        let last = number + 1 == entries.len();
        let mut entry = address.to_le_bytes().to_vec();
        entry.extend_from_slice(&length.to_le_bytes());
        entry.extend_from_slice(&[0, if last { 0x80 } else { 0 }]);
        bench
            .memory
            .write(u64::from(TABLE) + 8 * number as u64, &entry)
            .unwrap();
    }
    bench.bus_master_write(4, &TABLE.to_le_bytes());
    bench.bus_master_write(2, &[0x06]);
}

/// Issues a command and starts the bus master; its status and the drive's when all is done.
fn run(bench: &mut Bench, code: u8, sector: u32, count: u8) -> (u8, u8) {
    bench.lba28(BASE, code, sector, count);
    bench.bus_master_write(0, &[0x09]);
    let drive = bench.settle(BASE);
    let master = bench.bus_master_read(2);
    bench.bus_master_write(0, &[0x00]);
    (master, drive)
}

fn memory(bench: &Bench, address: u64, length: usize) -> Vec<u8> {
    let mut data = vec![0; length];
    bench.memory.read(address, &mut data).unwrap();
    data
}

#[test]
fn sectors_scatter_and_gather_through_the_table() {
    let image = Arc::new(MemoryImage::numbered(2048 * 512));
    let mut bench = Bench::with_disk(&image);
    table(
        &mut bench,
        &[(0x10000, 1000), (0x20000, 24), (0x30002, 512)],
    );
    assert_eq!(run(&mut bench, 0xc8, 5, 3), (0x04, 0x50));
    let read = [
        memory(&bench, 0x10000, 1000),
        memory(&bench, 0x20000, 24),
        memory(&bench, 0x30002, 512),
    ]
    .concat();
    assert!(read == image.data.lock()[5 * 512..8 * 512]);
    assert_eq!(bench.interrupts(BASE), 1);
    // Back to another place of the disk.
    bench.bus_master_write(2, &[0x04]);
    assert_eq!(run(&mut bench, 0xca, 1000, 3), (0x04, 0x50));
    assert!(read == image.data.lock()[1000 * 512..1003 * 512]);
}

#[test]
fn a_long_transfer_goes_in_several_chunks() {
    let image = Arc::new(MemoryImage::numbered(8192 * 512));
    let mut bench = Bench::with_disk(&image);
    // A length of zero is 64 KiB: 24 of them for 3,072 sectors.
    let entries: Vec<(u32, u16)> = (0..24).map(|at| (0x10_0000 + at * 0x1_0000, 0)).collect();
    table(&mut bench, &entries);
    bench.lba48(BASE, 0x25, 17, 3072);
    bench.bus_master_write(0, &[0x09]);
    assert_eq!(bench.settle(BASE), 0x50);
    assert_eq!(bench.bus_master_read(2), 0x04);
    bench.bus_master_write(0, &[0x00]);
    assert!(memory(&bench, 0x10_0000, 3072 * 512) == image.data.lock()[17 * 512..3089 * 512]);
    // The bus master may be started before the command is given.
    table(&mut bench, &entries);
    bench.bus_master_write(0, &[0x01]);
    assert_eq!(bench.bus_master_read(2), 0x01);
    assert_eq!(bench.lba48(BASE, 0x35, 4000, 3072), 0x50);
    assert_eq!(bench.bus_master_read(2), 0x04);
    let data = image.data.lock();
    assert!(data[17 * 512..3089 * 512] == data[4000 * 512..7072 * 512]);
}

#[test]
fn a_packet_is_answered_by_dma() {
    let image = Arc::new(MemoryImage::numbered(64 * 2048));
    let mut bench = Bench::new([[optical(Some(&image)), None], [None, None]]);
    bench.attention(BASE);
    table(&mut bench, &[(0x8000, 0x3000)]);
    assert_eq!(bench.command(BASE, [1, 0, 0, 0, 0, 0xa0], 0xa0), 0x58);
    bench.outsw(BASE, &[0x28, 0, 0, 0, 0, 3, 0, 0, 6, 0, 0, 0]);
    assert_eq!(bench.inb(BASE + 7) & 0x80, 0x80, "waits for the bus master");
    bench.bus_master_write(0, &[0x09]);
    assert_eq!(bench.settle(BASE), 0x50);
    assert_eq!(bench.inb(BASE + 2), 3);
    assert_eq!(bench.bus_master_read(2), 0x04);
    assert!(memory(&bench, 0x8000, 0x3000) == image.data.lock()[3 * 2048..9 * 2048]);
}

#[test]
fn a_table_that_ends_early_stops_without_an_interrupt() {
    let image = Arc::new(MemoryImage::numbered(64 * 512));
    let mut bench = Bench::with_disk(&image);
    table(&mut bench, &[(0x10000, 512)]);
    bench.lba28(BASE, 0xc8, 0, 2);
    bench.bus_master_write(0, &[0x09]);
    bench.drives.drain();
    assert_eq!(
        bench.bus_master_read(2),
        0x00,
        "neither active nor interrupted"
    );
    assert_eq!(bench.interrupts(BASE), 0);
    assert!(memory(&bench, 0x10000, 512) == image.data.lock()[..512]);
    bench.bus_master_write(0, &[0x00]);
    // A write that cannot be fetched whole writes nothing.
    table(&mut bench, &[(0x10000, 512)]);
    bench.lba28(BASE, 0xca, 4, 2);
    bench.bus_master_write(0, &[0x01]);
    bench.drives.drain();
    assert!(image.journal.lock().is_empty());
    // The drive is usable again.
    assert_eq!(bench.lba28(BASE, 0x20, 0, 1), 0x58);
}

#[test]
fn a_table_that_is_longer_stays_active() {
    let image = Arc::new(MemoryImage::numbered(64 * 512));
    let mut bench = Bench::with_disk(&image);
    table(&mut bench, &[(0x10000, 512), (0x20000, 512)]);
    assert_eq!(run(&mut bench, 0xc8, 7, 1), (0x05, 0x50));
    assert_eq!(bench.bus_master_read(2), 0x04, "stopped by hand");
    bench.bus_master_write(2, &[0x66]);
    assert_eq!(bench.bus_master_read(2), 0x60, "the drive notes stay");
}

#[test]
fn what_is_not_memory_ends_in_an_error() {
    let image = Arc::new(MemoryImage::numbered(64 * 512));
    let mut bench = Bench::with_disk(&image);
    let end = u32::try_from(MEMORY).unwrap();
    for address in [end, end - 256, 0xffff_fffe, 0xfee0_0000] {
        for code in [0xc8, 0xca] {
            table(&mut bench, &[(address, 512)]);
            assert_eq!(run(&mut bench, code, 0, 1), (0x06, 0x41), "{address:#x}");
            assert_eq!(bench.inb(BASE + 1), 0x04);
        }
    }
    assert!(image.journal.lock().is_empty());
    // A table that is not memory itself, or ends at the end of the address space.
    for at in [end, end - 4, 0xffff_fffc] {
        table(&mut bench, &[(0x10000, 512)]);
        bench.bus_master_write(4, &at.to_le_bytes());
        assert_eq!(run(&mut bench, 0xc8, 0, 1), (0x06, 0x41));
    }
}

#[test]
fn a_table_without_end_is_left_after_64_kib() {
    let image = Arc::new(MemoryImage::sparse(64 << 20));
    let mut bench = Bench::with_disk(&image);
    // 8,192 regions of 2 bytes, and more of the same behind them; none is marked as the last.
    let entry = [0, 0, 1, 0, 2, 0, 0, 0];
    bench
        .memory
        .write(u64::from(TABLE), &entry.repeat(0x4000))
        .unwrap();
    bench.bus_master_write(4, &TABLE.to_le_bytes());
    bench.lba48(BASE, 0x25, 0, 0);
    bench.bus_master_write(0, &[0x09]);
    bench.drives.drain();
    assert_eq!(bench.bus_master_read(2), 0x00);
    assert_eq!(bench.interrupts(BASE), 0);
}

#[test]
fn stopping_the_bus_master_ends_the_command() {
    let image = Arc::new(MemoryImage::numbered(64 * 512));
    let faults = Arc::new(Judge::default());
    let mut bench = Bench::with_faults([[disk(&image), None], [None, None]], faults.clone());
    image.full.store(true, Ordering::SeqCst);
    table(&mut bench, &[(0x10000, 512)]);
    bench.lba28(BASE, 0xc8, 3, 1);
    bench.bus_master_write(0, &[0x09]);
    faults.asked();
    assert_eq!(bench.inb(BASE + 7) & 0x80, 0x80);
    bench.bus_master_write(0, &[0x08]);
    assert_eq!(bench.inb(BASE + 7), 0x41);
    image.full.store(false, Ordering::SeqCst);
    faults.answer(Verdict::Retry);
    bench.rest();
    // The next command is carried out, and what the stopped one would have brought never came.
    assert_eq!(bench.lba28(BASE, 0x20, 3, 1), 0x58);
    assert_eq!(memory(&bench, 0x10000, 512), [0; 512]);
}

#[test]
fn the_registers_and_the_configuration_space_are_the_piix3s() {
    let mut bench = Bench::new([[None, None], [None, None]]);
    bench.bus_master_write(4, &0xffff_ffff_u32.to_le_bytes());
    bench.bus_master_write(12, &0x1234_5678_u32.to_le_bytes());
    let mut data = [0; 16];
    bench.controller.read_window(4, 0, &mut data).unwrap();
    assert_eq!(
        data,
        [
            0, 0, 0, 0, 0xfc, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0x78, 0x56, 0x34, 0x12
        ]
    );
    assert!(bench.controller.read_window(3, 0, &mut data).is_err());
    let controller = &mut bench.controller;
    assert_eq!(controller.read_config(0, Width::Dword), 0x7010_8086);
    assert_eq!(controller.read_config(8, Width::Dword), 0x0101_8000);
    assert_eq!(controller.read_config(0x3d, Width::Byte), 0);
    // SeaBIOS switches both channels on and sizes the window.
    controller.write_config(0x40, Width::Word, 0x8000);
    controller.write_config(0x42, Width::Word, 0x8000);
    assert_eq!(controller.read_config(0x40, Width::Dword), 0x8000_8000);
    controller.write_config(0x20, Width::Dword, 0xffff_ffff);
    assert_eq!(controller.read_config(0x20, Width::Dword), 0xffff_fff1);
    controller.write_config(0x20, Width::Dword, 0xc040);
    assert!(controller.base_addresses().is_empty());
    controller.write_config(4, Width::Word, 0x0007);
    let windows = controller.base_addresses();
    assert_eq!(
        (windows[0].number, windows[0].base, windows[0].size),
        (4, 0xc040, 16)
    );
    controller.reset();
    assert!(controller.base_addresses().is_empty());
    assert_eq!(bench.bus_master_read(12), 0);
}
