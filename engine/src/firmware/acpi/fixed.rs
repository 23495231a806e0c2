//! The tables of fixed hardware: FADT for the power management of the PIIX4 and of the ICH9, MADT for the interrupt controllers,
//! MCFG for the configuration spaces, WAET.

use acpi_tables::Aml;
use acpi_tables::fadt::{FADTBuilder, Flags, PmProfile};
use acpi_tables::gas::{AccessSize, AddressSpace, GAS};
use acpi_tables::madt::{EnabledStatus, IoApic, ProcessorLocalApic};

use super::{SCI_INTERRUPT, header};
use crate::chipset::{
    ACPI_DISABLE, ACPI_ENABLE, COMMAND_PORT, GENERAL_EVENTS, ICH9_GENERAL_EVENTS, ICH9_POWER_PORTS,
    POWER_PORTS,
};

const PM1_EVENT: u16 = *POWER_PORTS.start();
const PM1_CONTROL: u16 = PM1_EVENT + 4;
const PM_TIMER: u16 = PM1_EVENT + 8;
// Both chipsets have the registers of power management at the same place.
const _: () = assert!(*ICH9_POWER_PORTS.start() == PM1_EVENT);
const RESET_PORT: u16 = 0xcf9;
const RESET_VALUE: u8 = 6;
const CENTURY_REGISTER: u8 = 0x32;
/// Latencies this long say that there are no such states.
const NO_C2: u16 = 0xfff;
const NO_C3: u16 = 0xfff;
const IO_APIC: u32 = 0xfec0_0000;
const LOCAL_APIC: u32 = 0xfee0_0000;

/// Where the FADT points to the FACS and the DSDT, in bytes.
pub(super) const FADT_FACS: u32 = 36;
pub(super) const FADT_DSDT: u32 = 40;
pub(super) const FADT_LONG_DSDT: u32 = 140;

/// Which version of the FADT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FadtVersion {
    /// ACPI 1.0: the one that Windows 2000 insists on.
    One,
    /// ACPI 2.0: with 64-bit addresses and the reset register.
    Three,
    /// The same for a machine without a VGA, which has the ICH9's events.
    ThreeOfIch9,
}

/// The FADT, without the addresses of FACS and DSDT.
pub(super) fn fadt(version: FadtVersion) -> Vec<u8> {
    let port = |port: u16, bits: u8, size: AccessSize| {
        GAS::new(AddressSpace::SystemIo, bits, 0, size, u64::from(port))
    };
    let (gpe0, gpe0_length) = match version {
        FadtVersion::One | FadtVersion::Three => (*GENERAL_EVENTS.start(), 4),
        FadtVersion::ThreeOfIch9 => (*ICH9_GENERAL_EVENTS.start(), 16),
    };
    let mut table = FADTBuilder::new(header::OEM, header::OEM_TABLE, header::OEM_REVISION)
        .preferred_pm_profile(PmProfile::Unspecified)
        .gpe_info(u32::from(gpe0), 0, gpe0_length, 0, 0)
        .flag(Flags::Wbinvd)
        .flag(Flags::ProcC1)
        .flag(Flags::SlpButton)
        .flag(Flags::FixRtc);
    table.sci_int = u16::try_from(SCI_INTERRUPT).unwrap_or(0).into();
    table.smi_cmd = u32::from(COMMAND_PORT).into();
    table.acpi_enable = ACPI_ENABLE;
    table.acpi_disable = ACPI_DISABLE;
    table.pm1a_evt_blk = u32::from(PM1_EVENT).into();
    table.pm1a_cnt_blk = u32::from(PM1_CONTROL).into();
    table.pm_tmr_blk = u32::from(PM_TIMER).into();
    table.pm1_evt_len = 4;
    table.pm1_cnt_len = 2;
    table.pm_tmr_len = 4;
    table.p_lvl2_lat = NO_C2.into();
    table.p_lvl3_lat = NO_C3.into();
    table.century = CENTURY_REGISTER;
    table.fadt_minor_version = 0;
    let (revision, size) = match version {
        FadtVersion::One => (1, 116),
        FadtVersion::Three | FadtVersion::ThreeOfIch9 => {
            const LEGACY_DEVICES: u16 = 1;
            const KEYBOARD_CONTROLLER: u16 = 2;
            const NO_VGA: u16 = 4;
            let no_vga = match version {
                FadtVersion::ThreeOfIch9 => NO_VGA,
                _ => 0,
            };
            table.iapc_boot_arch = (LEGACY_DEVICES | KEYBOARD_CONTROLLER | no_vga).into();
            table = table.flag(Flags::ResetRegSup);
            table.reset_reg = port(RESET_PORT, 8, AccessSize::ByteAccess);
            table.reset_value = RESET_VALUE;
            table.x_pm1a_evt_blk = port(PM1_EVENT, 32, AccessSize::WordAccess);
            table.x_pm1a_cnt_blk = port(PM1_CONTROL, 16, AccessSize::WordAccess);
            table.x_pm_tmr_blk = port(PM_TIMER, 32, AccessSize::DwordAccess);
            table.x_gpe0_blk = port(gpe0, 8 * gpe0_length, AccessSize::ByteAccess);
            (3, 244)
        }
    };
    let mut bytes = Vec::new();
    table.finalize().to_aml_bytes(&mut bytes);
    // The crate makes the newest version; an older one is its beginning.
    let body = bytes.get(36..size).unwrap_or(&[]);
    header::table(*b"FACP", revision, body)
}

/// The MADT: a local APIC for each processor, the I/O APIC, and how the legacy interrupts reach it.
pub(super) fn madt(processors: u8) -> Vec<u8> {
    /// The machine also has two 8259s.
    const LEGACY_CONTROLLERS: u32 = 1;
    const EDGE_AS_BUS: u16 = 0;
    const LEVEL_ACTIVE_HIGH: u16 = 0x0d;
    const EVERY_PROCESSOR: u8 = 0xff;
    let mut body = [LOCAL_APIC, LEGACY_CONTROLLERS]
        .map(u32::to_le_bytes)
        .concat();
    for number in 0..processors {
        ProcessorLocalApic::new(number, number, EnabledStatus::Enabled).to_aml_bytes(&mut body);
    }
    IoApic::new(processors, IO_APIC, 0).to_aml_bytes(&mut body);
    let overrides = [
        (0, 2, EDGE_AS_BUS),
        (5, 5, LEVEL_ACTIVE_HIGH),
        (9, 9, LEVEL_ACTIVE_HIGH),
        (10, 10, LEVEL_ACTIVE_HIGH),
        (11, 11, LEVEL_ACTIVE_HIGH),
    ];
    for (isa, input, flags) in overrides {
        body.extend([2, 10, 0, isa]);
        body.extend(u32::to_le_bytes(input));
        body.extend(u16::to_le_bytes(flags));
    }
    // The non-maskable interrupt is at input 1 of every local APIC.
    body.extend([4, 6, EVERY_PROCESSOR, 0, 0, 1]);
    header::table(*b"APIC", 1, &body)
}

/// The MCFG: that the configuration spaces begin at `base`.
pub(super) fn mcfg(base: u64) -> Vec<u8> {
    // Reserved, base, segment group, first and last bus, reserved.
    let mut body = vec![0; 8];
    body.extend(base.to_le_bytes());
    body.extend([0, 0, 0, 0xff, 0, 0, 0, 0]);
    header::table(*b"MCFG", 1, &body)
}

/// The WAET: tells Windows that one read of the PM timer is enough.
pub(super) fn waet() -> Vec<u8> {
    const PM_TIMER_GOOD: u32 = 1 << 1;
    header::table(*b"WAET", 1, &PM_TIMER_GOOD.to_le_bytes())
}
