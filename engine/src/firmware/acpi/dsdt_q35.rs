//! The differentiated system description table of a generation 2 machine: a Q35 with an ICH9 and the ISA devices on it.
//!
//! A system that uses the I/O APIC finds the eight lines of the PCI bus at its inputs 16 to 23; another one routes them by links to
//! ISA interrupts (`_PIC` says which it is).

use acpi_tables::aml::{
    And, Arg, CreateDWordField, Device, EISAName, Equal, Field, FieldAccessType, FieldEntry,
    FieldLockRule, FieldUpdateRule, If, Memory32Fixed, Method, Name, OpRegion, OpRegionSpace, Or,
    PackageBuilder, Path, Return, Scope, Store, Uuid, ZERO,
};

use super::dsdt::{
    below_4_gib, bridge_windows, isa_device, legacy_devices, name, name_bytes, ports, routed_link,
    sleep_states,
};
use super::header;
use super::resource::Code;
use crate::memory::layout::{CONFIGURATION_SPACES_SIZE, PciSpace};
use crate::pci::{Pin, route_of_q35};

/// The links in the order of the ICH9's lines, and the names of its route registers, four at 0x60 and four at 0x68.
const LINKS: [(&str, &str); 8] = [
    ("LNKA", "PRQA"),
    ("LNKB", "PRQB"),
    ("LNKC", "PRQC"),
    ("LNKD", "PRQD"),
    ("LNKE", "PRQE"),
    ("LNKF", "PRQF"),
    ("LNKG", "PRQG"),
    ("LNKH", "PRQH"),
];
/// The input of the I/O APIC of the first line.
const FIRST_INPUT: u32 = 16;
/// Whether the system uses the I/O APIC.
const MODE: &str = "PICF";

/// The table for `processors` processors and the addresses below 4 GiB as the firmware has divided them.
pub(super) fn dsdt(processors: u8, space: &PciSpace) -> Vec<u8> {
    let body = Code::of(&[
        &sleep_states(),
        &name(MODE, &ZERO),
        &Method::new(
            "_PIC".into(),
            1,
            false,
            vec![&Store::new(&Path::new(MODE), &Arg(0))],
        ),
        &Scope::new(
            "_SB_".into(),
            vec![&all_processors(processors), &host_bridge(space), &links()],
        ),
    ]);
    header::table(*b"DSDT", 1, &body.0)
}

/// The processors, by the numbers that the MADT names them by.
fn all_processors(count: u8) -> Code {
    let mut all = Code(Vec::new());
    for number in 0..count {
        let (identifier, number_of) = (name("_HID", &"ACPI0007"), name("_UID", &number));
        let path = Path::new(&format!("C{number:03X}"));
        all.0
            .extend(Code::of(&[&Device::new(path, vec![&identifier, &number_of])]).0);
    }
    all
}

fn host_bridge(space: &PciSpace) -> Code {
    let windows = bridge_windows(space);
    let mode = Path::new(MODE);
    Code::of(&[&Device::new(
        "PCI0".into(),
        vec![
            &name("_HID", &EISAName::new("PNP0A08")),
            &name("_CID", &EISAName::new("PNP0A03")),
            &name("_UID", &ZERO),
            &name("_CRS", &windows),
            &capabilities(),
            &name(
                "PRTA",
                &routing(&|line| Target::Input(FIRST_INPUT + u32::from(line))),
            ),
            &name("PRTP", &routing(&Target::Link)),
            &Method::new(
                "_PRT".into(),
                0,
                false,
                vec![
                    &If::new(&mode, vec![&Return::new(&Path::new("PRTA"))]),
                    &Return::new(&Path::new("PRTP")),
                ],
            ),
            &isa_bridge(space.configuration),
        ],
    )])
}

/// `_OSC`: what the system may take over of PCI Express, which is nothing: no function here has any of it (PCI Firmware
/// Specification 3.0, section 4.5).
fn capabilities() -> Code {
    const PCI: &str = "33DB4D5B-1FF7-401C-9657-7441C03DD766";
    const MASKED: u8 = 1 << 4;
    const UNKNOWN: u8 = 1 << 2;
    let buffer = Arg(3);
    let (first, third) = (Path::new("CDW1"), Path::new("CDW3"));
    let (asked, pci) = (Arg(0), Uuid::new(PCI));
    let known = Equal::new(&asked, &pci);
    Code::of(&[&Method::new(
        "_OSC".into(),
        4,
        true,
        vec![
            &CreateDWordField::new(&Name::new_field_name("CDW1"), &buffer, &ZERO),
            &If::new(
                &known,
                vec![
                    &CreateDWordField::new(&Name::new_field_name("CDW3"), &buffer, &8_u8),
                    &If::new(&third, vec![&Or::new(&first, &first, &MASKED)]),
                    &And::new(&third, &third, &ZERO),
                    &Return::new(&buffer),
                ],
            ),
            &Or::new(&first, &first, &UNKNOWN),
            &Return::new(&buffer),
        ],
    )])
}

/// What a line ends at.
enum Target {
    /// An input of the I/O APIC.
    Input(u32),
    /// The link of that number.
    Link(u8),
}

/// Where each pin of each slot ends, by line.
fn routing(target: &dyn Fn(u8) -> Target) -> PackageBuilder {
    let mut table = PackageBuilder::new();
    for slot in 0..32_u8 {
        for (number, pin) in (0_u8..).zip([Pin::A, Pin::B, Pin::C, Pin::D]) {
            let mut entry = PackageBuilder::new();
            entry.add_element(&(u32::from(slot) << 16 | 0xffff));
            entry.add_element(&number);
            match target(route_of_q35(slot, pin)) {
                Target::Input(input) => {
                    entry.add_element(&ZERO);
                    entry.add_element(&input);
                }
                Target::Link(line) => {
                    let (link, _) = LINKS[usize::from(line & 7)];
                    entry.add_element(&Path::new(&format!("\\_SB_.{link}")));
                    entry.add_element(&ZERO);
                }
            }
            table.add_element(&entry);
        }
    }
    table
}

fn links() -> Code {
    let mut all = Code(Vec::new());
    for (number, (link, route)) in (0_u8..).zip(LINKS) {
        all.0.extend(routed_link(number, link, route).0);
    }
    all
}

fn isa_bridge(configuration: u64) -> Code {
    let fields = |region: &str, routes: &[(&str, &str)]| {
        Field::new(
            region.into(),
            FieldAccessType::Byte,
            FieldLockRule::NoLock,
            FieldUpdateRule::Preserve,
            routes
                .iter()
                .map(|(_, route)| FieldEntry::Named(name_bytes(route), 8))
                .collect(),
        )
    };
    let (low, high) = LINKS.split_at(4);
    Code::of(&[&Device::new(
        "ISA_".into(),
        vec![
            &name("_ADR", &0x1f_0000_u32),
            &OpRegion::new("PIRQ".into(), OpRegionSpace::PCIConfig, &0x60_u8, &4_u8),
            &fields("PIRQ", low),
            &OpRegion::new("PIRH".into(), OpRegionSpace::PCIConfig, &0x68_u8, &4_u8),
            &fields("PIRH", high),
            &legacy_devices(),
            // What systems must leave alone: system control ports, interrupt trigger modes, fw_cfg, power management,
            // configuration spaces, the chipset's registers, the interrupt controllers, the firmware.
            &isa_device(
                "SYSR",
                "PNP0C02",
                &[
                    &ports(0x61, 1),
                    &ports(0x92, 1),
                    &ports(0xb2, 2),
                    &ports(0x4d0, 2),
                    &ports(0x510, 12),
                    &ports(0x600, 0x80),
                    &Memory32Fixed::new(
                        true,
                        below_4_gib(configuration),
                        below_4_gib(CONFIGURATION_SPACES_SIZE),
                    ),
                    &Memory32Fixed::new(true, 0xfed1_c000, 0x4000),
                    &Memory32Fixed::new(true, 0xfec0_0000, 0x1000),
                    &Memory32Fixed::new(true, 0xfee0_0000, 0x1000),
                ],
            ),
        ],
    )])
}
