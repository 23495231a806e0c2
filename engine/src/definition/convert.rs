//! Another generation for a machine that exists, while it is off.

use super::{Bus, Definition, DriveKind, Generation};

impl Definition {
    /// The same machine as one of `generation`, and what its guest will meet there, a sentence each. Drives whose bus the other
    /// generation lacks go to the one that every operating system knows; no image changes.
    pub fn with_generation(&self, generation: Generation) -> (Self, Vec<String>) {
        let mut changed = self.clone();
        let mut warnings = Vec::new();
        if generation == self.generation {
            return (changed, warnings);
        }
        changed.generation = generation;
        let (lacking, name) = match generation {
            Generation::One => (Bus::Sata, "IDE"),
            Generation::Two => (Bus::Ide, "SATA"),
        };
        let mut moved = 0;
        for drive in changed
            .drives
            .iter_mut()
            .filter(|drive| drive.bus == lacking)
        {
            drive.bus = generation.compatible_bus();
            moved += 1;
        }
        let disks = self
            .drives
            .iter()
            .any(|drive| drive.kind == DriveKind::Disk);
        match generation {
            Generation::One => {
                if disks {
                    warnings.push(
                        "A generation 1 machine starts by BIOS: what was installed for UEFI does not start unless its disk also has a boot loader for a BIOS.".to_owned(),
                    );
                }
                if changed.firmware.secure_boot {
                    changed.firmware.secure_boot = false;
                    warnings
                        .push("Secure Boot is switched off: a BIOS does not know it.".to_owned());
                }
                warnings.push(
                    "The firmware's variables (boot entries, keys) stay in the machine's folder and count again when it becomes generation 2.".to_owned(),
                );
            }
            Generation::Two => {
                if disks {
                    warnings.push(
                        "A generation 2 machine starts by UEFI: what was installed for a BIOS does not start unless its disk also has an EFI system partition with a boot loader.".to_owned(),
                    );
                }
                warnings.push(
                    "A generation 2 machine needs a 64-bit operating system that knows UEFI; DOS and systems of before about 2010 do not start.".to_owned(),
                );
            }
        }
        if moved > 0 {
            warnings.push(format!(
                "Its drives are connected by {name} from now on: a guest that names them by their place (/dev/hda, /dev/sda) or has no driver for {name} does not find them."
            ));
        }
        (changed, warnings)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Drive, Host, ImageFormat, Name};
    use super::*;

    const HOST: Host = Host {
        processors: 4,
        memory: 8 << 30,
        available: 8 << 30,
        secure_boot: true,
    };

    #[test]
    fn there_and_back_is_the_same_machine_and_valid_on_the_way() {
        let mut first = Definition::new(Name::new("test").unwrap());
        first.drives = vec![
            Drive::disk("disk.qcow2".into(), ImageFormat::Qcow2),
            Drive::optical(None),
        ];
        let (second, warnings) = first.with_generation(Generation::Two);
        assert_eq!(second.generation, Generation::Two);
        assert!(second.findings(&HOST).is_empty());
        assert!(second.drives.iter().all(|drive| drive.bus == Bus::Sata));
        for part in ["UEFI", "64-bit", "SATA"] {
            assert!(
                warnings.iter().any(|warning| warning.contains(part)),
                "{part}: {warnings:?}"
            );
        }
        let (back, _) = second.with_generation(Generation::One);
        assert_eq!(back, first);
    }

    #[test]
    fn secure_boot_goes_with_the_uefi_and_says_so() {
        let mut definition = Definition::new(Name::new("test").unwrap());
        definition.generation = Generation::Two;
        definition.firmware.secure_boot = true;
        let (changed, warnings) = definition.with_generation(Generation::One);
        assert!(!changed.firmware.secure_boot);
        assert!(
            warnings
                .iter()
                .any(|warning| warning.contains("Secure Boot"))
        );
    }

    #[test]
    fn the_same_generation_changes_nothing() {
        let definition = Definition::new(Name::new("test").unwrap());
        assert_eq!(
            definition.with_generation(Generation::One),
            (definition.clone(), Vec::new())
        );
    }
}
