//! What speaks against a definition on this host: each finding belongs to a field, so that a form can show it beneath it.

use super::{Bus, Definition, DriveKind, Generation, SCHEMA};
use crate::firmware::MOST_PROCESSORS;
use crate::firmware::Uefi;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The machine can be made and started, but may disappoint.
    Warning,
    /// The machine cannot be started like this.
    Error,
}

/// Something that speaks against a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which field, by its path in `machine.toml`: `memory.mebibytes`, `drive.0.file`.
    pub field: String,
    /// How much it matters.
    pub severity: Severity,
    /// Cause and remedy, as a sentence.
    pub message: String,
}

impl Finding {
    pub(super) fn error(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            severity: Severity::Error,
            message: message.into(),
        }
    }

    pub(super) fn warning(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            severity: Severity::Warning,
            message: message.into(),
        }
    }
}

/// What the host has, as far as a definition can ask too much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Host {
    /// Its logical processors.
    pub processors: u32,
    /// Its memory in bytes.
    pub memory: u64,
    /// What of it programs could have now, in bytes.
    pub available: u64,
    /// Whether it has UEFI firmware that knows Secure Boot.
    pub secure_boot: bool,
}

impl Host {
    /// Asks the kernel.
    ///
    /// # Errors
    /// When /proc/meminfo cannot be read.
    pub fn inspect() -> std::io::Result<Self> {
        let text = std::fs::read_to_string("/proc/meminfo")?;
        let value = |key: &str| {
            text.lines()
                .find_map(|line| {
                    line.strip_prefix(key)?
                        .trim()
                        .strip_suffix(" kB")?
                        .trim()
                        .parse::<u64>()
                        .ok()
                })
                .map_or(0, |kibibytes| kibibytes.saturating_mul(1024))
        };
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Ok(Self {
            processors: u32::try_from(processors).unwrap_or(u32::MAX),
            memory: value("MemTotal:"),
            available: value("MemAvailable:"),
            secure_boot: Uefi::has_secure_boot(),
        })
    }
}

impl Definition {
    /// Everything that speaks against the machine on `host`, most important field first.
    pub fn findings(&self, host: &Host) -> Vec<Finding> {
        let mut found = Vec::new();
        if self.schema > SCHEMA {
            found.push(Finding::error("schema", "This machine was made by a newer version of Guesthouse; update it to run the machine."));
        }
        self.check_processor(host, &mut found);
        self.check_memory(host, &mut found);
        self.check_firmware(host, &mut found);
        self.check_drives(&mut found);
        self.check_networks(&mut found);
        found
    }

    fn check_processor(&self, host: &Host, found: &mut Vec<Finding>) {
        let count = self.processor.count;
        if count == 0 {
            found.push(Finding::error(
                "processor.count",
                "A machine needs at least one processor.",
            ));
        } else if count > MOST_PROCESSORS {
            let message = format!("A machine can have at most {MOST_PROCESSORS} processors.");
            found.push(Finding::error("processor.count", message));
        } else if count > host.processors {
            // As for a machine that comes from a larger computer: it runs, but its processors take turns.
            let message = format!(
                "The host has {} processors: the machine's {count} take turns and are slower than as many as the host has.",
                host.processors
            );
            found.push(Finding::warning("processor.count", message));
        }
        if count > 0 && self.processor.topology().is_none() {
            found.push(Finding::error(
                "processor.cores",
                "Sockets, cores and threads do not fit the number of processors: cores have one or two threads, sockets have the same number of cores, and where there are several, that is 1, 2, 4, 8 and so on.",
            ));
        }
    }

    fn check_memory(&self, host: &Host, found: &mut Vec<Finding>) {
        let (mebibytes, bytes) = (self.memory.mebibytes, self.memory.bytes());
        let field = "memory.mebibytes";
        if mebibytes < 1 {
            found.push(Finding::error(
                field,
                "A machine needs at least 1 MiB of memory.",
            ));
        } else if bytes > host.memory {
            let message = format!(
                "The host has {} MiB of memory; give the machine less.",
                host.memory >> 20
            );
            found.push(Finding::error(field, message));
        } else if bytes > host.available {
            let message = format!(
                "Only {} MiB of memory are free now; close other programs or give the machine less before you start it.",
                host.available >> 20
            );
            found.push(Finding::warning(field, message));
        } else if bytes > host.available / 4 * 3 {
            let message = format!(
                "That is more than three quarters of the {} MiB that are free now.",
                host.available >> 20
            );
            found.push(Finding::warning(field, message));
        }
    }

    fn check_firmware(&self, host: &Host, found: &mut Vec<Finding>) {
        if !self.firmware.secure_boot {
            return;
        }
        if self.generation == Generation::One {
            found.push(Finding::error(
                "firmware.secure_boot",
                "A generation 1 machine has a BIOS, which knows no Secure Boot; switch it off or choose generation 2.",
            ));
        } else if !host.secure_boot {
            found.push(Finding::warning(
                "firmware.secure_boot",
                "No UEFI firmware on this computer knows Secure Boot without system management mode: the machine does not start before it is switched off.",
            ));
        }
    }

    fn check_drives(&self, found: &mut Vec<Finding>) {
        for (bus, name, places) in [(Bus::Ide, "IDE", 4), (Bus::Sata, "SATA", 6)] {
            let drives = self.drives.iter().filter(|drive| drive.bus == bus);
            if drives.count() > places {
                let message = format!(
                    "{name} connects {places} drives at most; remove one or use another bus."
                );
                found.push(Finding::error("drive", message));
            }
        }
        for (number, drive) in self.drives.iter().enumerate() {
            let field = || format!("drive.{number}.bus");
            match (self.generation, drive.bus) {
                (Generation::Two, Bus::Ide) => found.push(Finding::error(
                    field(),
                    "A generation 2 machine has no IDE; connect the drive by SATA.",
                )),
                (Generation::One, Bus::Sata) => found.push(Finding::error(
                    field(),
                    "A generation 1 machine has no SATA; connect the drive by IDE.",
                )),
                _ => {}
            }
        }
        for (number, drive) in self.drives.iter().enumerate() {
            if drive.kind == DriveKind::Disk && drive.file.is_none() {
                found.push(Finding::error(
                    format!("drive.{number}.file"),
                    "A hard disk needs an image file; choose one or remove the disk.",
                ));
            }
            if drive.kind == DriveKind::Optical && drive.bus == Bus::Virtio {
                found.push(Finding::error(
                    format!("drive.{number}.bus"),
                    "Virtio connects hard disks only; connect the optical drive in another way.",
                ));
            }
        }
        let mut order: Vec<u32> = self.drives.iter().filter_map(|drive| drive.boot).collect();
        order.sort_unstable();
        if order.windows(2).any(|pair| pair.first() == pair.last()) {
            found.push(Finding::warning("drive", "Two drives have the same place in the boot order; the first of them is tried first."));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Drive, Name};
    use super::*;

    const HOST: Host = Host {
        processors: 4,
        memory: 8 << 30,
        available: 4 << 30,
        secure_boot: false,
    };

    fn machine() -> Definition {
        Definition::new(Name::new("test").unwrap())
    }

    #[test]
    fn a_new_machine_has_nothing_against_it() {
        assert_eq!(machine().findings(&HOST), []);
    }

    #[test]
    fn each_limit_is_found_at_its_field() {
        let check = |change: &dyn Fn(&mut Definition), field: &str, severity: Severity| {
            let mut definition = machine();
            change(&mut definition);
            let found = definition.findings(&HOST);
            assert!(
                found
                    .iter()
                    .any(|finding| finding.field == field && finding.severity == severity),
                "{field}: {found:?}"
            );
        };
        check(
            &|d| d.processor.count = 0,
            "processor.count",
            Severity::Error,
        );
        check(
            &|d| d.processor.count = 5,
            "processor.count",
            Severity::Warning,
        );
        check(
            &|d| d.processor.count = 255,
            "processor.count",
            Severity::Error,
        );
        check(
            &|d| d.processor.threads = 2,
            "processor.cores",
            Severity::Error,
        );
        check(
            &|d| d.memory.mebibytes = 0,
            "memory.mebibytes",
            Severity::Error,
        );
        check(
            &|d| d.memory.mebibytes = 8193,
            "memory.mebibytes",
            Severity::Error,
        );
        check(
            &|d| d.memory.mebibytes = u64::MAX,
            "memory.mebibytes",
            Severity::Error,
        );
        check(
            &|d| d.memory.mebibytes = 5000,
            "memory.mebibytes",
            Severity::Warning,
        );
        check(
            &|d| d.memory.mebibytes = 3500,
            "memory.mebibytes",
            Severity::Warning,
        );
        check(
            &|d| d.drives = vec![Drive::optical(None); 5],
            "drive",
            Severity::Error,
        );
        check(
            &|d| {
                d.drives = vec![Drive {
                    file: None,
                    ..Drive::disk("x".into(), super::super::ImageFormat::Raw)
                }]
            },
            "drive.0.file",
            Severity::Error,
        );
        check(
            &|d| {
                d.drives = vec![Drive {
                    bus: Bus::Virtio,
                    ..Drive::optical(None)
                }]
            },
            "drive.0.bus",
            Severity::Error,
        );
        check(
            &|d| d.firmware.secure_boot = true,
            "firmware.secure_boot",
            Severity::Error,
        );
        check(
            &|d| {
                d.generation = Generation::Two;
                d.firmware.secure_boot = true;
            },
            "firmware.secure_boot",
            Severity::Warning,
        );
        check(
            &|d| {
                d.generation = Generation::Two;
                d.drives = vec![Drive::optical(None)];
            },
            "drive.0.bus",
            Severity::Error,
        );
        let sata = || Drive {
            bus: Bus::Sata,
            ..Drive::optical(None)
        };
        check(&|d| d.drives = vec![sata()], "drive.0.bus", Severity::Error);
        check(
            &|d| {
                d.generation = Generation::Two;
                d.drives = vec![sata(); 7];
            },
            "drive",
            Severity::Error,
        );
        check(&|d| d.schema = SCHEMA + 1, "schema", Severity::Error);
    }

    #[test]
    fn the_host_can_be_asked() {
        let host = Host::inspect().unwrap();
        assert!(host.processors >= 1 && host.memory >= host.available && host.available > 0);
    }
}
