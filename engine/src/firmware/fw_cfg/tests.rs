use super::*;
use crate::memory::MemoryRegion;

const READ: u32 = control::READ;
const SELECT: u32 = control::SELECT;

fn memory() -> GuestMemory {
    let low = MemoryRegion::new("low", 0x40_0000).unwrap();
    let high = MemoryRegion::new("high", 0x1000).unwrap();
    GuestMemory::new(vec![(0, low), (0x1_0000_0000, high)]).unwrap()
}

fn device() -> FwCfg {
    let mut contents = Contents::new();
    contents.add(key::PROCESSORS, vec![2, 0]);
    contents.add_file("etc/zero", vec![9; 3]);
    contents.add_file("etc/e820", (0..40).collect());
    contents.add_writable_file("etc/written", vec![0; 8]);
    FwCfg::new(contents, memory()).unwrap()
}

fn select(device: &mut FwCfg, key: u16) {
    device
        .write_port(0x510, Width::Word, u32::from(key))
        .unwrap();
}

fn read(device: &mut FwCfg, count: usize) -> Vec<u8> {
    (0..count)
        .map(|_| {
            let value = device.read_port(0x511, Width::Byte).unwrap();
            u8::try_from(value).unwrap()
        })
        .collect()
}

/// Carries out a request whose descriptor is at `at`; gives back its control field as the guest sees it then.
fn dma_at(device: &mut FwCfg, at: u64, control: u32, length: u32, address: u64) -> u32 {
    let mut request = control.to_be_bytes().to_vec();
    request.extend(length.to_be_bytes());
    request.extend(address.to_be_bytes());
    device.memory.write(at, &request).unwrap();
    let high = u32::try_from(at >> 32).unwrap();
    let low = u32::try_from(at & 0xffff_ffff).unwrap();
    if high != 0 {
        device
            .write_port(0x514, Width::Dword, high.swap_bytes())
            .unwrap();
    }
    device
        .write_port(0x518, Width::Dword, low.swap_bytes())
        .unwrap();
    let mut answer = [0; 4];
    device.memory.read(at, &mut answer).unwrap();
    u32::from_be_bytes(answer)
}

fn dma(device: &mut FwCfg, control: u32, length: u32, address: u64) -> u32 {
    dma_at(device, 0x6c3c, control, length, address)
}

fn memory_at(device: &FwCfg, address: u64, count: usize) -> Vec<u8> {
    let mut data = vec![0; count];
    device.memory.read(address, &mut data).unwrap();
    data
}

/// The accesses SeaBIOS 1.16 makes before it uses DMA: item 0, item 1, and their bytes at 0x511.
#[test]
fn seabios_finds_the_device_and_dma() {
    let mut device = device();
    select(&mut device, 0);
    assert_eq!(read(&mut device, 4), [0x51, 0x45, 0x4d, 0x55]);
    select(&mut device, 1);
    assert_eq!(read(&mut device, 4), [3, 0, 0, 0]);
    assert_eq!(device.read_port(0x514, Width::Dword), Ok(0x554d_4551));
    assert_eq!(device.read_port(0x518, Width::Dword), Ok(0x4746_4320));
    // The directory: the count alone first, then an entry at a time without selecting again.
    assert_eq!(dma(&mut device, 0x19 << 16 | SELECT | READ, 4, 0x7000), 0);
    assert_eq!(memory_at(&device, 0x7000, 4), [0, 0, 0, 3]);
    let mut files = Vec::new();
    for _ in 0..3 {
        assert_eq!(dma(&mut device, READ, 64, 0x7000), 0);
        let entry = memory_at(&device, 0x7000, 64);
        let name = String::from_utf8(entry[8..].to_vec()).unwrap();
        files.push((
            name.trim_end_matches('\0').to_owned(),
            entry[3],
            u16::from_be_bytes([entry[4], entry[5]]),
        ));
    }
    let expected = [
        ("etc/e820", 40, 0x20),
        ("etc/written", 8, 0x21),
        ("etc/zero", 3, 0x22),
    ];
    for (found, (name, size, number)) in files.iter().zip(expected) {
        assert_eq!(found, &(name.to_owned(), size, number));
    }
    // A file through its number, after a skip.
    assert_eq!(
        dma(&mut device, 0x20 << 16 | SELECT | control::SKIP, 8, 0),
        0
    );
    assert_eq!(dma(&mut device, READ, 4, 0x7000), 0);
    assert_eq!(memory_at(&device, 0x7000, 4), [8, 9, 10, 11]);
}

#[test]
fn what_lies_after_the_end_or_does_not_exist_reads_zero() {
    let mut device = device();
    select(&mut device, key::PROCESSORS);
    assert_eq!(read(&mut device, 5), [2, 0, 0, 0, 0]);
    for missing in [0x04, 0x8000, 0x3fff, 0xffff] {
        select(&mut device, missing);
        assert_eq!(read(&mut device, 2), [0, 0]);
    }
    device.memory.write(0x7000, &[0xee; 8]).unwrap();
    assert_eq!(dma(&mut device, 0x22 << 16 | SELECT | READ, 7, 0x7000), 0);
    assert_eq!(memory_at(&device, 0x7000, 8), [9, 9, 9, 0, 0, 0, 0, 0xee]);
    let mut string = [0xee; 5];
    select(&mut device, 0x22);
    device.read_port_string(0x511, Width::Byte, &mut string);
    assert_eq!(string, [9, 9, 9, 0, 0]);
}

#[test]
fn a_request_may_be_above_4_gib_and_the_high_half_holds_for_one() {
    let mut device = device();
    let control = 0x22 << 16 | SELECT | READ;
    assert_eq!(
        dma_at(&mut device, 0x1_0000_0100, control, 3, 0x1_0000_0200),
        0
    );
    assert_eq!(memory_at(&device, 0x1_0000_0200, 3), [9, 9, 9]);
    assert_eq!(dma(&mut device, control, 3, 0x7000), 0);
    assert_eq!(memory_at(&device, 0x7000, 3), [9, 9, 9]);
}

#[test]
fn only_writable_files_are_written_and_only_within_their_length() {
    let mut device = device();
    device.memory.write(0x7000, &[1, 2, 3, 4]).unwrap();
    let write = control::WRITE;
    assert_eq!(dma(&mut device, 0x22 << 16 | SELECT | write, 3, 0x7000), 1);
    assert_eq!(dma(&mut device, 0x21 << 16 | SELECT | write, 9, 0x7000), 1);
    assert_eq!(
        dma(
            &mut device,
            0x4021 << 16 | SELECT | control::SKIP,
            2,
            0x7000
        ),
        0
    );
    assert_eq!(dma(&mut device, write, 4, 0x7000), 0);
    assert_eq!(dma(&mut device, write, 4, 0x7000), 1);
    assert_eq!(
        device.file("etc/written"),
        Some([0, 0, 1, 2, 3, 4, 0, 0].as_slice())
    );
    device.reset();
    assert_eq!(device.file("etc/written"), Some([0; 8].as_slice()));
    assert_eq!(read(&mut device, 4), b"QEMU");
}

#[test]
fn hostile_requests_end_with_the_error_bit_and_move_nothing() {
    let mut device = device();
    let read_file = 0x20 << 16 | SELECT | READ;
    for (length, address) in [
        (u32::MAX, 0),
        (u32::MAX, u64::MAX),
        (MOST_FILL + 41, 0),
        (1, u64::MAX),
        (40, 0x40_0000),
        (40, 0x40_0000 - 39),
        (40, 0x1_0000_0fff),
    ] {
        assert_eq!(dma(&mut device, read_file, length, address), 1);
        assert_eq!(device.offset, 0);
    }
    assert_eq!(dma(&mut device, read_file, MOST_FILL + 40, 0x10_0000), 0);
    // The offset saturates and keeps reading zeros.
    for _ in 0..4 {
        assert_eq!(dma(&mut device, control::SKIP, u32::MAX, 0), 0);
    }
    assert_eq!(read(&mut device, 2), [0, 0]);
    // A descriptor that is not in memory is not answered.
    for low in [0xffff_ffff_u32, 0x0040_0000, 0x003f_fff1] {
        device
            .write_port(0x518, Width::Dword, low.swap_bytes())
            .unwrap();
    }
}

#[test]
fn names_that_do_not_fit_are_refused() {
    for name in ["", "with\0nul", &"x".repeat(56)] {
        let mut contents = Contents::new();
        contents.add_file(name, Vec::new());
        assert!(matches!(
            FwCfg::new(contents, memory()),
            Err(ContentsError::Name(_))
        ));
    }
}

#[test]
fn a_file_is_made_anew_whenever_it_is_turned_to_and_keeps_its_length() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU8, Ordering};
    let mut device = device();
    let number = *device.files.get("etc/zero").unwrap();
    let value = Arc::new(AtomicU8::new(1));
    let seen = Arc::clone(&value);
    device.renew("etc/zero", move || match seen.load(Ordering::Relaxed) {
        0 => Vec::new(),
        value => vec![value; 3],
    });
    device.renew("etc/missing", || vec![1]);
    for (now, expected) in [(1, 1), (7, 7), (0, 7), (2, 2)] {
        value.store(now, Ordering::Relaxed);
        select(&mut device, number);
        assert_eq!(read(&mut device, 4), [expected, expected, expected, 0]);
    }
    // By DMA too, and not while it is being read.
    value.store(5, Ordering::Relaxed);
    select(&mut device, number);
    value.store(6, Ordering::Relaxed);
    assert_eq!(read(&mut device, 1), [5]);
    assert_eq!(dma(&mut device, READ, 2, 0x1000), 0);
    assert_eq!(memory_at(&device, 0x1000, 2), [5, 5]);
    let control = u32::from(number) << 16 | SELECT | READ;
    assert_eq!(dma(&mut device, control, 3, 0x1000), 0);
    assert_eq!(memory_at(&device, 0x1000, 3), [6, 6, 6]);
}
