//! Direct memory access: tables of regions, good and bad, and the bus master's registers.

use super::*;

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
