//! The differentiated system description table of a generation 1 machine: an i440FX with a PIIX3 and the ISA devices on it.
//!
//! SeaBIOS looks into it too: without a device PNP0303 it does not set the keyboard up.

use acpi_tables::Aml;
use acpi_tables::aml::{
    AddressSpace, AddressSpaceCacheable, And, Arg, CreateDWordField, Device, EISAName, Field,
    FieldAccessType, FieldEntry, FieldLockRule, FieldUpdateRule, IO, If, Memory32Fixed, Method,
    Name, OpRegion, OpRegionSpace, Or, PackageBuilder, Path, ResourceTemplate, Return, Scope,
    Store, ZERO,
};

use super::header;
use super::resource::{Code, IsaInterrupt, PciInterrupts, Processor};
use crate::chipset::SOFT_OFF_SLEEP_TYPE;
use crate::memory::layout::PciSpace;

/// What `_STA` says of a device that is present, enabled, and works, but is not to be shown.
const PRESENT: u8 = 0x0b;
const PRESENT_DISABLED: u8 = 0x09;
/// The bit of a PIRQ route register that routes it nowhere.
const NOT_ROUTED: u8 = 0x80;
/// Its bits that name an interrupt.
const ROUTE: u8 = 0x0f;
/// The links in the order of the PIIX3's route registers 0x60 to 0x63, and those registers' names.
const LINKS: [(&str, &str); 4] = [
    ("LNKA", "PRQA"),
    ("LNKB", "PRQB"),
    ("LNKC", "PRQC"),
    ("LNKD", "PRQD"),
];
/// Where PCI interrupts may go.
const PCI_INTERRUPTS: [u32; 3] = [5, 10, 11];
/// The link of the power management function, which has an interrupt of its own.
const SCI_LINK: &str = "LNKS";

/// The table for `processors` processors and the addresses below 4 GiB that are for PCI devices.
pub(super) fn dsdt(processors: u8, space: &PciSpace) -> Vec<u8> {
    let body = Code::of(&[
        &sleep_states(),
        &processor_scope(processors),
        &Scope::new("_SB_".into(), vec![&host_bridge(space), &links()]),
    ]);
    header::table(*b"DSDT", 1, &body.0)
}

pub(super) fn name(name: &str, value: &dyn Aml) -> Name {
    Name::new(name.into(), value)
}

pub(super) fn sleep_states() -> Code {
    let mut soft_off = PackageBuilder::new();
    for value in [SOFT_OFF_SLEEP_TYPE, SOFT_OFF_SLEEP_TYPE, 0, 0] {
        soft_off.add_element(&value);
    }
    Code::of(&[&name("_S5_", &soft_off)])
}

fn processor_scope(count: u8) -> Code {
    let all = Code(
        (0..count)
            .flat_map(|number| Code::of(&[&Processor(number)]).0)
            .collect(),
    );
    Code::of(&[&Scope::new("_PR_".into(), vec![&all])])
}

/// What a host bridge passes on to its bus: the numbers of buses, the ports and the memory; it keeps the configuration ports itself.
pub(super) fn bridge_windows(space: &PciSpace) -> Code {
    let ports =
        |first: u16, last: u16| -> AddressSpace<u16> { AddressSpace::new_io(first, last, None) };
    let memory = |first: u32, last: u32, cacheable| -> AddressSpace<u32> {
        AddressSpace::new_memory(cacheable, true, first, last, None)
    };
    let windows: Vec<_> = space
        .windows
        .iter()
        .map(|window| {
            let (first, last) = (below_4_gib(*window.start()), below_4_gib(*window.end()));
            memory(first, last, AddressSpaceCacheable::NotCacheable)
        })
        .collect();
    let bus = AddressSpace::new_bus_number(0_u16, 0xff);
    let legacy = (
        IO::new(0xcf8, 0xcf8, 1, 8),
        [ports(0, 0xcf7), ports(0xd00, 0xffff)],
        memory(0xa_0000, 0xb_ffff, AddressSpaceCacheable::Cacheable),
    );
    let mut resources: Vec<&dyn Aml> = vec![&bus, &legacy.0, &legacy.1[0], &legacy.1[1], &legacy.2];
    resources.extend(windows.iter().map(|window| window as &dyn Aml));
    Code::of(&[&ResourceTemplate::new(resources)])
}

fn host_bridge(space: &PciSpace) -> Code {
    let windows = bridge_windows(space);
    Code::of(&[&Device::new(
        "PCI0".into(),
        vec![
            &name("_HID", &EISAName::new("PNP0A03")),
            &name("_UID", &ZERO),
            &name("_CRS", &windows),
            &name("_PRT", &routing()),
            &isa_bridge(),
        ],
    )])
}

/// An address of the window, which is all below 4 GiB.
pub(super) fn below_4_gib(address: u64) -> u32 {
    u32::try_from(address).unwrap_or(u32::MAX)
}

/// Which link each pin of each slot is wired to: the i440FX boards' swizzle, by which pin A of slot 1 is at the first link,
/// except that pin A of slot 1 is the PIIX4's system control interrupt.
fn routing() -> PackageBuilder {
    let mut table = PackageBuilder::new();
    for slot in 0..32_u32 {
        for pin in 0..4_u8 {
            let link = if (slot, pin) == (1, 0) {
                SCI_LINK
            } else {
                LINKS[usize::from(link_of(slot, pin))].0
            };
            let mut entry = PackageBuilder::new();
            entry.add_element(&(slot << 16 | 0xffff));
            entry.add_element(&pin);
            entry.add_element(&Path::new(&format!("\\_SB_.{link}")));
            entry.add_element(&0_u8);
            table.add_element(&entry);
        }
    }
    table
}

/// The number of the link, 0 to 3, of `pin` (0 is A) of `slot`.
fn link_of(slot: u32, pin: u8) -> u8 {
    let [low, ..] = slot.to_le_bytes();
    pin.wrapping_add(low).wrapping_sub(1) & 3
}

fn isa_bridge() -> Code {
    let routes = Field::new(
        "PIRQ".into(),
        FieldAccessType::Byte,
        FieldLockRule::NoLock,
        FieldUpdateRule::Preserve,
        LINKS
            .map(|(_, route)| FieldEntry::Named(name_bytes(route), 8))
            .into(),
    );
    Code::of(&[&Device::new(
        "ISA_".into(),
        vec![
            &name("_ADR", &0x1_0000_u32),
            &OpRegion::new("PIRQ".into(), OpRegionSpace::PCIConfig, &0x60_u8, &4_u8),
            &routes,
            &legacy_devices(),
            // What systems must leave alone: system control ports, interrupt trigger modes, fw_cfg, power management, the
            // SMBus, the general purpose events, the interrupt controllers.
            &isa_device(
                "SYSR",
                "PNP0C02",
                &[
                    &ports(0x61, 1),
                    &ports(0x92, 1),
                    &ports(0xb2, 2),
                    &ports(0x4d0, 2),
                    &ports(0x510, 12),
                    &ports(0x600, 0x40),
                    &ports(0x700, 0x10),
                    &ports(0xafe0, 4),
                    &Memory32Fixed::new(true, 0xfec0_0000, 0x1000),
                    &Memory32Fixed::new(true, 0xfee0_0000, 0x1000),
                ],
            ),
        ],
    )])
}

/// A range of `count` ports from `first` on.
pub(super) fn ports(first: u16, count: u8) -> IO {
    IO::new(first, first, 1, count)
}

/// The devices of the PC/AT.
pub(super) fn legacy_devices() -> Code {
    Code::of(&[
        &isa_device(
            "KBD_",
            "PNP0303",
            &[&ports(0x60, 1), &ports(0x64, 1), &IsaInterrupt(1)],
        ),
        &isa_device("MOU_", "PNP0F13", &[&IsaInterrupt(12)]),
        &isa_device("COM1", "PNP0501", &[&ports(0x3f8, 8), &IsaInterrupt(4)]),
        &isa_device("RTC_", "PNP0B00", &[&ports(0x70, 2), &IsaInterrupt(8)]),
    ])
}

pub(super) fn name_bytes(name: &str) -> [u8; 4] {
    let mut bytes = [b'_'; 4];
    for (to, from) in bytes.iter_mut().zip(name.bytes()) {
        *to = from;
    }
    bytes
}

pub(super) fn isa_device(device: &str, identifier: &str, resources: &[&dyn Aml]) -> Code {
    Code::of(&[&Device::new(
        device.into(),
        vec![
            &name("_HID", &EISAName::new(identifier)),
            &name("_CRS", &ResourceTemplate::new(resources.to_vec())),
        ],
    )])
}

/// The PCI interrupt link devices: four that the guest may route by the PIIX3's registers, and the fixed one of the system
/// control interrupt.
fn links() -> Code {
    let mut all = Code(Vec::new());
    for (number, (link, route)) in (0_u8..).zip(LINKS) {
        all.0.extend(routed_link(number, link, route).0);
    }
    all.0.extend(sci_link(4).0);
    all
}

/// A link that the guest may route by register `route` of the bridge, a field of the device `ISA_`, to one of `interrupts`.
pub(super) fn routed_link(number: u8, link: &str, route: &str) -> Code {
    let route = Path::new(&format!("\\_SB_.PCI0.ISA_.{route}"));
    let routed_nowhere = And::new(&ZERO, &route, &NOT_ROUTED);
    // What _CRS gives back, and the interrupt's number in it.
    let current = Name::new_field_name("BUFF");
    let current_number = Name::new_field_name("IRQC");
    // The interrupt's number in what _SRS is given.
    let chosen_number = Name::new_field_name("IRQN");
    let possible = PciInterrupts(&PCI_INTERRUPTS);
    Code::of(&[&Device::new(
        link.into(),
        vec![
            &name("_HID", &EISAName::new("PNP0C0F")),
            &name("_UID", &number),
            &name("_PRS", &ResourceTemplate::new(vec![&possible])),
            &name("BUFF", &ResourceTemplate::new(vec![&PciInterrupts(&[0])])),
            &CreateDWordField::new(&current_number, &current, &PciInterrupts::NUMBER),
            &Method::new(
                "_STA".into(),
                0,
                false,
                vec![
                    &If::new(&routed_nowhere, vec![&Return::new(&PRESENT_DISABLED)]),
                    &Return::new(&PRESENT),
                ],
            ),
            &Method::new(
                "_DIS".into(),
                0,
                false,
                vec![&Or::new(&route, &route, &NOT_ROUTED)],
            ),
            &Method::new(
                "_CRS".into(),
                0,
                true,
                vec![
                    &And::new(&current_number, &route, &ROUTE),
                    &Return::new(&current),
                ],
            ),
            &Method::new(
                "_SRS".into(),
                1,
                true,
                vec![
                    &CreateDWordField::new(&chosen_number, &Arg(0), &PciInterrupts::NUMBER),
                    &Store::new(&route, &chosen_number),
                ],
            ),
        ],
    )])
}

fn sci_link(number: u8) -> Code {
    let interrupt = PciInterrupts(&[super::SCI_INTERRUPT]);
    Code::of(&[&Device::new(
        SCI_LINK.into(),
        vec![
            &name("_HID", &EISAName::new("PNP0C0F")),
            &name("_UID", &number),
            &name("_PRS", &ResourceTemplate::new(vec![&interrupt])),
            &name("_CRS", &ResourceTemplate::new(vec![&interrupt])),
            &name("_STA", &PRESENT),
            &Method::new("_DIS".into(), 0, false, vec![]),
            &Method::new("_SRS".into(), 1, false, vec![]),
        ],
    )])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_reach_the_links_that_seabios_expects() {
        // SeaBIOS src/fw/pciinit.c: interrupts {10, 10, 11, 11} indexed by (pin - 1 + slot - 1) & 3 with pin A as 1.
        for slot in 1..32_u32 {
            for pin in 0..4_u8 {
                let expected = (u32::from(pin) + slot - 1) & 3;
                assert_eq!(u32::from(link_of(slot, pin)), expected);
            }
        }
        assert_eq!(link_of(3, 0), 2);
    }
}
