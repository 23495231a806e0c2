//! A machine's ACPI tables (ACPI specification 6.5, chapter 5), and the script by which the firmware loads them.
//!
//! Of a generation 1 machine there are two roots: the RSDT leads to a FADT as ACPI 1.0 has it, which Windows 2000 insists on; the
//! XSDT leads to one as ACPI 2.0 has it, with the reset register. Everything else is shared. A UEFI makes the roots itself, of
//! whatever tables the script points to: of a generation 2 machine there is one FADT.

mod dsdt;
mod dsdt_q35;
mod fixed;
mod header;
mod loader;
mod resource;
#[cfg(test)]
mod tests;

use acpi_tables::Aml;
use acpi_tables::facs::FACS;

use crate::definition::Generation;
use crate::memory::layout::PciSpace;
use fixed::FadtVersion;
use loader::{Script, Zone};

/// The interrupt of ACPI events, which the PIIX4 has hard-wired and the ICH9 at power-on.
const SCI_INTERRUPT: u32 = 9;
/// The tables' file in fw_cfg.
pub(super) const TABLES_FILE: &str = "etc/acpi/tables";
/// The root pointer's file.
pub(super) const RSDP_FILE: &str = "etc/acpi/rsdp";
/// The loading script's file.
pub(super) const LOADER_FILE: &str = "etc/table-loader";

/// The three files that firmware makes the tables from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AcpiFiles {
    pub(super) tables: Vec<u8>,
    pub(super) rsdp: Vec<u8>,
    pub(super) loader: Vec<u8>,
}

/// The tables for a machine of `generation` with `processors` processors (APIC identifiers from 0 on) and `space` for PCI devices, of
/// which their length does not depend.
pub(super) fn acpi_files(generation: Generation, processors: u8, space: &PciSpace) -> AcpiFiles {
    let mut tables = Tables::default();
    let mut facs = Vec::new();
    FACS::new().to_aml_bytes(&mut facs);
    // First of all, because it must be at a multiple of 64.
    let facs = tables.append(&facs);
    let dsdt = match generation {
        Generation::One => dsdt::dsdt(processors, space),
        Generation::Two => dsdt_q35::dsdt(processors, space),
    };
    let dsdt = tables.append_table(&dsdt, &[]);
    let pointers = [(fixed::FADT_FACS, 4, facs), (fixed::FADT_DSDT, 4, dsdt)];
    let long_pointers = [pointers[0], pointers[1], (fixed::FADT_LONG_DSDT, 8, dsdt)];
    let madt = tables.append_table(&fixed::madt(processors), &[]);
    let waet = tables.append_table(&fixed::waet(), &[]);
    let (short_root, long_root) = match generation {
        Generation::One => {
            let old_fadt = tables.append_table(&fixed::fadt(FadtVersion::One), &pointers);
            let fadt = tables.append_table(&fixed::fadt(FadtVersion::Three), &long_pointers);
            (vec![old_fadt, madt, waet], vec![fadt, madt, waet])
        }
        Generation::Two => {
            let fadt = tables.append_table(&fixed::fadt(FadtVersion::ThreeOfIch9), &long_pointers);
            let mcfg = tables.append_table(&fixed::mcfg(space.configuration), &[]);
            let all = vec![fadt, madt, waet, mcfg];
            (all.clone(), all)
        }
    };
    let rsdt = tables.append_root(*b"RSDT", 4, &short_root);
    let xsdt = tables.append_root(*b"XSDT", 8, &long_root);
    tables.finish(rsdt, xsdt)
}

/// Tables one after another, with what the firmware must do to them once it knows where they are.
#[derive(Default)]
struct Tables {
    bytes: Vec<u8>,
    pointers: Vec<(u32, u8)>,
    checksums: Vec<(u32, u32)>,
}

impl Tables {
    /// Adds `bytes` at a multiple of 16 and gives back where.
    fn append(&mut self, bytes: &[u8]) -> u32 {
        self.bytes.resize(self.bytes.len().next_multiple_of(16), 0);
        let at = length(&self.bytes);
        self.bytes.extend(bytes);
        at
    }

    /// Adds a table with `pointers`: where in it, how many bytes wide, and what offset they point to.
    fn append_table(&mut self, table: &[u8], pointers: &[(u32, u8, u32)]) -> u32 {
        let mut table = table.to_vec();
        // OVMF puts the checksum of what is there in its place, which must not count itself.
        let checksum = usize::try_from(header::CHECKSUM).unwrap_or(usize::MAX);
        if let Some(checksum) = table.get_mut(checksum) {
            *checksum = 0;
        }
        for (offset, size, target) in pointers {
            let target = u64::from(*target).to_le_bytes();
            let place = table
                .iter_mut()
                .skip(usize::try_from(*offset).unwrap_or(usize::MAX));
            for (to, from) in place.zip(target).take(usize::from(*size)) {
                *to = from;
            }
        }
        let at = self.append(&table);
        self.pointers.extend(
            pointers
                .iter()
                .map(|(offset, size, _)| (at + offset, *size)),
        );
        self.checksums.push((at, length(&table)));
        at
    }

    /// Adds an RSDT or XSDT that points to the tables at `targets` with pointers of `size` bytes.
    fn append_root(&mut self, signature: [u8; 4], size: u8, targets: &[u32]) -> u32 {
        let body = vec![0; targets.len() * usize::from(size)];
        let pointers: Vec<_> = (0..)
            .zip(targets)
            .map(|(index, target)| (header::SIZE + u32::from(size) * index, size, *target))
            .collect();
        self.append_table(&header::table(signature, 1, &body), &pointers)
    }

    fn finish(self, rsdt: u32, xsdt: u32) -> AcpiFiles {
        const RSDT_POINTER: u32 = 16;
        const XSDT_POINTER: u32 = 24;
        let mut rsdp = b"RSD PTR \0".to_vec();
        rsdp.extend(header::OEM);
        rsdp.push(2);
        rsdp.extend(rsdt.to_le_bytes());
        rsdp.extend(36_u32.to_le_bytes());
        rsdp.extend(u64::from(xsdt).to_le_bytes());
        rsdp.extend([0; 4]);

        let mut script = Script::default();
        script.allocate(RSDP_FILE, 16, Zone::FSegment);
        script.allocate(TABLES_FILE, 64, Zone::High);
        for (offset, size) in self.pointers {
            script.add_pointer(TABLES_FILE, TABLES_FILE, offset, size);
        }
        for (start, length) in self.checksums {
            script.add_checksum(TABLES_FILE, start + header::CHECKSUM, start, length);
        }
        script.add_pointer(RSDP_FILE, TABLES_FILE, RSDT_POINTER, 4);
        script.add_pointer(RSDP_FILE, TABLES_FILE, XSDT_POINTER, 8);
        // The checksum of ACPI 1.0, then that of the whole, which the first is a part of.
        script.add_checksum(RSDP_FILE, 8, 0, 20);
        script.add_checksum(RSDP_FILE, 32, 0, 36);
        AcpiFiles {
            tables: self.bytes,
            rsdp,
            loader: script.finish(),
        }
    }
}

/// The length of tables, which are far below 4 GiB.
fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}
