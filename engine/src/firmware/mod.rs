//! What a machine starts with: the firmware's files on the host, and what the firmware is told of the machine through the
//! [`FwCfg`] device: memory map, ACPI and SMBIOS tables, boot order.

mod acpi;
mod boot_order;
pub mod fw_cfg;
mod keys;
mod locate;
mod memory_map;
mod nvram;
mod smbios;
mod uefi;

pub use boot_order::BootEntry;
pub use fw_cfg::FwCfg;
pub use locate::{DIRECTORY_VARIABLE, FirmwareFile, LocateError, Locations};
pub use nvram::{NVRAM_FILES, Nvram, NvramError};
pub use uefi::Uefi;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fw_cfg::{Contents, ContentsError, key};

use crate::definition::Definition;
use crate::memory::{GuestMemory, MemoryLayout};

/// How long the boot menu is offered, in milliseconds.
const BOOT_MENU_WAIT: u16 = 3000;
/// The most processors whose local APICs have identifiers of 8 bits, with one left for the I/O APIC.
pub(crate) const MOST_PROCESSORS: u32 = 254;

/// Why the firmware cannot be told of a machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FirmwareError {
    /// The tables cannot name so many.
    #[error("{0} processors are more than a machine can have; give it {MOST_PROCESSORS} or fewer")]
    Processors(u32),
    /// The firmware would wait for a processor for ever.
    #[error("a machine needs at least one processor")]
    NoProcessor,
    /// The device cannot hold a file.
    #[error(transparent)]
    Contents(#[from] ContentsError),
}

/// What the firmware is to write into each processor's IA32_FEATURE_CONTROL: locked, VMX outside SMX enabled (Intel SDM volume 4).
const VMX_ENABLED: u64 = 1 | 1 << 2;

/// What the firmware of a machine is told, ready for [`FwCfg::new`]. `vmx` says whether its processors could have Intel's virtualization, `boot`
/// what it may be started from.
///
/// # Errors
/// When the definition has no processors or more than the tables can name.
pub fn firmware_contents(
    definition: &Definition,
    vmx: bool,
    memory: &MemoryLayout,
    boot: &[BootEntry],
) -> Result<Contents, FirmwareError> {
    let processors = processors(definition)?;
    let mut contents = Contents::new();
    let count = u16::from(processors).to_le_bytes().to_vec();
    contents.add(key::PROCESSORS, count.clone());
    contents.add(key::MAX_PROCESSORS, count);
    contents.add(key::NUMA, vec![0; 8 * (1 + usize::from(processors))]);
    let menu = u16::from(definition.firmware.boot_menu);
    contents.add(key::BOOT_MENU, menu.to_le_bytes().to_vec());
    contents.add(key::TIMER_OVERRIDE, vec![1]);

    contents.add_file(memory_map::FILE, memory_map::memory_map(memory));
    let acpi = acpi::acpi_files(definition.generation, processors, &memory.pci_space(0));
    contents.add_file(acpi::TABLES_FILE, acpi.tables);
    contents.add_file(acpi::RSDP_FILE, acpi.rsdp);
    contents.add_file(acpi::LOADER_FILE, acpi.loader);
    let identity = smbios::Identity {
        name: definition.name.as_str(),
        uuid: definition.uuid,
        topology: definition
            .processor
            .topology()
            .ok_or(FirmwareError::NoProcessor)?,
        generation: definition.generation,
    };
    let smbios = smbios::smbios_files(&identity, memory);
    contents.add_file(smbios::ANCHOR_FILE, smbios.anchor);
    contents.add_file(smbios::TABLES_FILE, smbios.tables);
    if let Some(file) = boot_order::boot_order(definition.generation, boot) {
        contents.add_file(boot_order::FILE, file);
    }
    contents.add_file("etc/boot-menu-wait", BOOT_MENU_WAIT.to_le_bytes().to_vec());
    // A machine that finds nothing to boot stays there and says so, instead of starting anew every minute.
    contents.add_file("etc/boot-fail-wait", u32::MAX.to_le_bytes().to_vec());
    if vmx && definition.processor.nested {
        let control = VMX_ENABLED.to_le_bytes().to_vec();
        contents.add_file("etc/msr_feature_control", control);
    }
    // Sleep states S0 to S5: bit 7 says that there is such a state, the rest is its sleep type. S3 and S4 are not there.
    contents.add_file("etc/system-states", vec![0x80, 0, 0, 1, 2, 0x80]);
    Ok(contents)
}

/// The fw_cfg device of a machine as its builder needs it. `configuration_window` is where a Q35 board's configuration spaces begin: the
/// firmware places them, and then reads the tables that say where they are.
///
/// # Errors
/// As [`firmware_contents`].
pub fn build_fw_cfg(
    definition: &Definition,
    vmx: bool,
    layout: &MemoryLayout,
    memory: GuestMemory,
    boot: &[BootEntry],
    configuration_window: Option<Arc<AtomicU64>>,
) -> Result<FwCfg, FirmwareError> {
    let contents = firmware_contents(definition, vmx, layout, boot)?;
    let mut fw_cfg = FwCfg::new(contents, memory)?;
    if let Some(window) = configuration_window {
        let (generation, layout) = (definition.generation, *layout);
        let processors = processors(definition)?;
        fw_cfg.renew(acpi::TABLES_FILE, move || {
            let space = layout.pci_space(window.load(Ordering::Acquire));
            acpi::acpi_files(generation, processors, &space).tables
        });
    }
    Ok(fw_cfg)
}

/// How many processors the tables name.
fn processors(definition: &Definition) -> Result<u8, FirmwareError> {
    let count = definition.processor.count;
    match u8::try_from(count) {
        Ok(0) => Err(FirmwareError::NoProcessor),
        Ok(number) if count <= MOST_PROCESSORS => Ok(number),
        _ => Err(FirmwareError::Processors(count)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::Name;

    fn definition() -> Definition {
        Definition::new(Name::new("Test").unwrap())
    }

    #[test]
    fn a_machine_tells_the_firmware_all_that_it_asks_for() {
        let boot = [BootEntry {
            number: 1,
            path: "/pci@i0cf8/ide@1,1/drive@0/disk@0".to_owned(),
        }];
        let contents =
            firmware_contents(&definition(), false, &MemoryLayout::new(1 << 30), &boot).unwrap();
        for file in [
            "etc/e820",
            "etc/table-loader",
            "etc/acpi/tables",
            "etc/acpi/rsdp",
            "etc/smbios/smbios-anchor",
            "etc/smbios/smbios-tables",
            "bootorder",
            "etc/boot-menu-wait",
        ] {
            assert!(
                contents.file(file).is_some_and(|data| !data.is_empty()),
                "{file}"
            );
        }
        assert_eq!(contents.file("etc/system-states").map(<[u8]>::len), Some(6));
    }

    #[test]
    fn the_firmware_switches_intels_virtualization_on_where_guests_may_nest() {
        let file = |vmx, nested| {
            let mut definition = definition();
            definition.processor.nested = nested;
            let layout = MemoryLayout::new(1 << 30);
            let contents = firmware_contents(&definition, vmx, &layout, &[]).unwrap();
            contents.file("etc/msr_feature_control").map(<[u8]>::to_vec)
        };
        assert_eq!(file(true, true), Some(vec![5, 0, 0, 0, 0, 0, 0, 0]));
        for (vmx, nested) in [(true, false), (false, true)] {
            assert_eq!(file(vmx, nested), None);
        }
    }

    #[test]
    fn processors_that_the_tables_cannot_name_are_refused() {
        let mut definition = definition();
        let layout = MemoryLayout::new(1 << 30);
        for (count, expected) in [
            (0, Some(FirmwareError::NoProcessor)),
            (1, None),
            (254, None),
            (255, Some(FirmwareError::Processors(255))),
            (70000, Some(FirmwareError::Processors(70000))),
        ] {
            definition.processor.count = count;
            assert_eq!(
                firmware_contents(&definition, false, &layout, &[]).err(),
                expected
            );
        }
    }
}
