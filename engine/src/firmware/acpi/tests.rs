use super::loader::COMMAND_SIZE;
use super::*;
use crate::memory::MemoryLayout;

/// What firmware does with the script: gives every file an address, adds pointers, sets checksums. The files in memory.
struct Loaded {
    files: Vec<(String, u64, Vec<u8>)>,
}

impl Loaded {
    fn new(files: &AcpiFiles) -> Self {
        let mut loaded = Self { files: Vec::new() };
        let mut next_high = 0x0ffe_0000_u64;
        assert_eq!(files.loader.len() % COMMAND_SIZE, 0);
        for command in files.loader.chunks(COMMAND_SIZE) {
            let number = |at: usize| u32::from_le_bytes(command[at..at + 4].try_into().unwrap());
            let name = |at: usize| {
                let text = String::from_utf8(command[at..at + 56].to_vec()).unwrap();
                text.trim_end_matches('\0').to_owned()
            };
            match number(0) {
                1 => {
                    let data = match name(4).as_str() {
                        TABLES_FILE => files.tables.clone(),
                        RSDP_FILE => files.rsdp.clone(),
                        other => panic!("file {other}"),
                    };
                    let alignment = u64::from(number(60));
                    assert!(alignment.is_power_of_two());
                    let address = if command[64] == 2 {
                        0xf_59f0_u64.next_multiple_of(alignment)
                    } else {
                        assert_eq!(command[64], 1);
                        let address = next_high.next_multiple_of(alignment);
                        next_high = address + data.len() as u64;
                        address
                    };
                    loaded.files.push((name(4), address, data));
                }
                2 => {
                    let (source, _) = loaded.file(&name(60));
                    let size = usize::from(command[120]);
                    let offset = number(116) as usize;
                    let destination = loaded.file_mut(&name(4));
                    let mut pointer = [0; 8];
                    pointer[..size].copy_from_slice(&destination[offset..offset + size]);
                    let target = u64::from_le_bytes(pointer) + source;
                    destination[offset..offset + size]
                        .copy_from_slice(&target.to_le_bytes()[..size]);
                }
                3 => {
                    let (offset, start, length) = (number(60), number(64), number(68));
                    let file = loaded.file_mut(&name(4));
                    let range = &file[start as usize..(start + length) as usize];
                    let sum = sum(range);
                    // SeaBIOS subtracts the sum from what is there, OVMF replaces that.
                    assert_eq!(file[offset as usize], 0);
                    file[offset as usize] = 0_u8.wrapping_sub(sum);
                }
                other => panic!("command {other}"),
            }
        }
        loaded
    }

    fn file(&self, name: &str) -> (u64, &[u8]) {
        let file = self.files.iter().find(|file| file.0 == name).unwrap();
        (file.1, &file.2)
    }

    fn file_mut(&mut self, name: &str) -> &mut [u8] {
        &mut self.files.iter_mut().find(|file| file.0 == name).unwrap().2
    }

    /// The table at `address`, with its checksum verified.
    fn table(&self, address: u64) -> &[u8] {
        let (base, tables) = self.file(TABLES_FILE);
        let at = usize::try_from(address - base).unwrap();
        let length = u32::from_le_bytes(tables[at + 4..at + 8].try_into().unwrap());
        let table = &tables[at..at + length as usize];
        if &table[..4] != b"FACS" {
            assert_eq!(sum(table), 0, "{:?}", String::from_utf8_lossy(&table[..4]));
        }
        table
    }
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

fn dword(table: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(table[at..at + 4].try_into().unwrap())
}

fn qword(table: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(table[at..at + 8].try_into().unwrap())
}

fn files(processors: u8) -> AcpiFiles {
    let space = MemoryLayout::new(4 << 30).pci_space(0);
    acpi_files(Generation::One, processors, &space)
}

fn q35_space(configuration: u64) -> PciSpace {
    MemoryLayout::q35(4 << 30).pci_space(configuration)
}

/// The script is read once, and the tables after the firmware has placed the configuration spaces.
#[test]
fn where_the_configuration_spaces_are_changes_no_length() {
    let files = |configuration| acpi_files(Generation::Two, 3, &q35_space(configuration));
    let (one, other) = (files(0xb000_0000), files(0xe000_0000));
    assert_eq!(one.loader, other.loader);
    assert_eq!(one.tables.len(), other.tables.len());
    assert_ne!(one.tables, other.tables);
}

#[test]
fn from_the_root_pointer_every_table_is_found_and_adds_up() {
    let loaded = Loaded::new(&files(3));
    let (address, rsdp) = loaded.file(RSDP_FILE);
    assert_eq!(address % 16, 0);
    assert_eq!(&rsdp[..8], b"RSD PTR ");
    assert_eq!((sum(&rsdp[..20]), sum(rsdp), rsdp.len()), (0, 0, 36));

    let rsdt = loaded.table(u64::from(dword(rsdp, 16)));
    let xsdt = loaded.table(qword(rsdp, 24));
    assert_eq!((&rsdt[..4], &xsdt[..4]), (&b"RSDT"[..], &b"XSDT"[..]));
    let short: Vec<u64> = rsdt[36..]
        .chunks(4)
        .map(|at| u64::from(dword(at, 0)))
        .collect();
    let long: Vec<u64> = xsdt[36..].chunks(8).map(|at| qword(at, 0)).collect();
    for (roots, fadt_revision, fadt_size) in [(&short, 1, 116), (&long, 3, 244)] {
        let tables: Vec<&[u8]> = roots.iter().map(|at| loaded.table(*at)).collect();
        let signatures: Vec<&[u8]> = tables.iter().map(|table| &table[..4]).collect();
        assert_eq!(signatures, [b"FACP", b"APIC", b"WAET"]);
        let fadt = tables[0];
        assert_eq!((fadt[8], fadt.len()), (fadt_revision, fadt_size));
        let facs = u64::from(dword(fadt, 36));
        assert_eq!(facs % 64, 0);
        assert_eq!(&loaded.table(facs)[..4], b"FACS");
        let dsdt = u64::from(dword(fadt, 40));
        assert_eq!(&loaded.table(dsdt)[..4], b"DSDT");
        if fadt_revision == 3 {
            assert_eq!(qword(fadt, 140), dsdt);
        }
    }
}

#[test]
fn the_fadt_names_the_registers_of_the_piix4() {
    let old = fixed::fadt(FadtVersion::One);
    let new = fixed::fadt(FadtVersion::Three);
    for fadt in [&old, &new] {
        assert_eq!(sum(fadt), 0);
        assert_eq!([fadt[46], fadt[47]], [9, 0], "SCI");
        assert_eq!(dword(fadt, 48), 0xb2, "SMI command");
        assert_eq!(dword(fadt, 56), 0x600, "PM1a event");
        assert_eq!(dword(fadt, 64), 0x604, "PM1a control");
        assert_eq!(dword(fadt, 76), 0x608, "PM timer");
        assert_eq!(dword(fadt, 80), 0xafe0, "GPE0");
        assert_eq!(fadt[88..94], [4, 2, 0, 4, 4, 0], "lengths");
        assert_eq!(fadt[108], 0x32, "century");
    }
    assert_eq!(dword(&old, 112), 1 | 1 << 2 | 1 << 5 | 1 << 6);
    assert_eq!(dword(&new, 112), 1 | 1 << 2 | 1 << 5 | 1 << 6 | 1 << 10);
    assert_eq!([new[109], new[110]], [3, 0], "legacy devices and 8042");
    assert_eq!(
        new[116..120],
        [1, 8, 0, 1],
        "the reset register is an 8-bit port"
    );
    assert_eq!((qword(&new, 120), new[128]), (0xcf9, 6));
    for (at, port, bits) in [
        (148, 0x600, 32),
        (172, 0x604, 16),
        (208, 0x608, 32),
        (220, 0xafe0, 32),
    ] {
        assert_eq!((new[at], new[at + 1], qword(&new, at + 4)), (1, bits, port));
    }
}

#[test]
fn the_madt_lists_every_processor_and_how_legacy_interrupts_arrive() {
    let madt = fixed::madt(3);
    assert_eq!((dword(&madt, 36), dword(&madt, 40)), (0xfee0_0000, 1));
    let mut at = 44;
    let mut entries = Vec::new();
    while at < madt.len() {
        let length = usize::from(madt[at + 1]);
        entries.push(madt[at..at + length].to_vec());
        at += length;
    }
    for (number, entry) in (0_u8..3).zip(&entries) {
        assert_eq!(entry, &[0, 8, number, number, 1, 0, 0, 0]);
    }
    assert_eq!(entries[3], [1, 12, 3, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0]);
    assert_eq!(entries[4], [2, 10, 0, 0, 2, 0, 0, 0, 0, 0]);
    for (entry, interrupt) in entries[5..9].iter().zip([5, 9, 10, 11]) {
        assert_eq!(entry, &[2, 10, 0, interrupt, interrupt, 0, 0, 0, 0x0d, 0]);
    }
    assert_eq!(entries[9], [4, 6, 0xff, 0, 0, 1]);
    assert_eq!(entries.len(), 10);
}

#[test]
fn the_dsdt_has_what_seabios_and_systems_look_for() {
    let dsdt = dsdt::dsdt(254, &MemoryLayout::new(1 << 30).pci_space(0));
    assert_eq!(sum(&dsdt), 0);
    let has = |bytes: &[u8]| dsdt.windows(bytes.len()).any(|window| window == bytes);
    // SeaBIOS 1.16 src/hw/ps2port.c looks for the EISA identifiers 0x0303 and 0x0f13 of a _HID as a 32-bit number.
    for identifier in [[0x41, 0xd0, 0x03, 0x03], [0x41, 0xd0, 0x0f, 0x13]] {
        assert!(has(&[b"_HID\x0c".as_slice(), &identifier].concat()));
    }
    assert!(has(b"\x08_S5_\x12\x06\x04\x00\x00\x00\x00"));
    assert!(has(b"C0FD") && !has(b"C0FE"));
    // The window for PCI memory, with its length.
    let window = [0x8000_0000_u32, 0xfebf_ffff, 0, 0x7ec0_0000].map(u32::to_le_bytes);
    assert!(has(&window.concat()));
    // Slot 3 pin A, as an example of the routing.
    assert!(has(&[
        b"\x0c\xff\xff\x03\x00\x00".as_slice(),
        b"\\\x2e_SB_LNKC\x00"
    ]
    .concat()));
}

#[test]
fn a_uefi_finds_each_table_once() {
    let loaded = Loaded::new(&acpi_files(Generation::Two, 2, &q35_space(0xe000_0000)));
    let (_, rsdp) = loaded.file(RSDP_FILE);
    let xsdt = loaded.table(qword(rsdp, 24));
    let tables: Vec<&[u8]> = xsdt[36..]
        .chunks(8)
        .map(|at| loaded.table(qword(at, 0)))
        .collect();
    let signatures: Vec<&[u8]> = tables.iter().map(|table| &table[..4]).collect();
    assert_eq!(signatures, [b"FACP", b"APIC", b"WAET", b"MCFG"]);
    let fadt = tables[0];
    assert_eq!((dword(fadt, 80), fadt[92]), (0x620, 16), "events");
    assert_eq!((qword(fadt, 224), fadt[221]), (0x620, 128), "events");
    assert_eq!(fadt[109], 7, "no VGA");
    let mcfg = tables[3];
    assert_eq!((qword(mcfg, 44), mcfg[54], mcfg[55]), (0xe000_0000, 0, 255));
    let dsdt = loaded.table(u64::from(dword(fadt, 40)));
    let has = |bytes: &[u8]| dsdt.windows(bytes.len()).any(|window| window == bytes);
    // PCI devices' memory is on either side of the configuration spaces, which are the board's own.
    for window in [
        [0x8000_0000_u32, 0xdfff_ffff, 0, 0x6000_0000],
        [0xf000_0000, 0xfbff_ffff, 0, 0x0c00_0000],
    ] {
        assert!(has(&window.map(u32::to_le_bytes).concat()));
    }
    assert!(has(&[0xe000_0000_u32, 0x1000_0000]
        .map(u32::to_le_bytes)
        .concat()));
    // Slot 3 pin A is at line H: input 23 of the I/O APIC, or the link of that name.
    assert!(has(b"\x0c\xff\xff\x03\x00\x00\x00\x0a\x17"));
    assert!(has(b"\x0c\xff\xff\x03\x00\x00\\\x2e_SB_LNKH\x00"));
    // The AHCI controller's pin A is at line A.
    assert!(has(b"\x0c\xff\xff\x1f\x00\x00\x00\x0a\x10"));
}

/// What the ACPI component architecture's compiler says of the tables, if it is installed here.
#[test]
fn the_compiler_takes_the_description_apart_and_together_again() {
    use std::process::Command;
    if Command::new("iasl").arg("-v").output().is_err() {
        eprintln!("iasl is not installed: nothing was tried");
        return;
    }
    for (generation, table) in [
        (1, dsdt::dsdt(4, &MemoryLayout::new(4 << 30).pci_space(0))),
        (2, dsdt_q35::dsdt(4, &q35_space(0xb000_0000))),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let run = |arguments: &[&str]| {
            let output = Command::new("iasl")
                .args(arguments)
                .current_dir(folder.path())
                .output()
                .unwrap();
            let text = [output.stdout, output.stderr].concat();
            let text = String::from_utf8_lossy(&text).into_owned();
            assert!(output.status.success(), "generation {generation}: {text}");
            text
        };
        std::fs::write(folder.path().join("dsdt.aml"), &table).unwrap();
        run(&["-d", "dsdt.aml"]);
        // Warning 3168: processors as ACPI 1.0 has them, which the old systems of generation 1 need.
        let text = run(&["-vw", "3168", "-p", "again", "dsdt.dsl"]);
        assert!(
            text.contains(" 0 Errors, 0 Warnings"),
            "generation {generation}: {text}"
        );
    }
}
