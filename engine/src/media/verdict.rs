//! Whether a machine of some generation can start from a medium, and if not, why.

use std::fmt;

use super::{Foreign, Medium, MediumKind, Warning};
use crate::definition::Generation;

/// What becomes of a medium in a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It starts.
    Supported,
    /// It starts, or may, but not all will be well.
    BootsWithLimits(Reason),
    /// It does not start.
    NotBootable(Reason),
}

/// Why a medium does not start, or not well. Shown as a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The file must be unpacked or converted first.
    Foreign(Foreign),
    /// Nothing that can be started was recognised in the file.
    Unknown,
    /// The disc has no boot catalog, or none that a PC starts from.
    NoBootRecord,
    /// The raw disk has no code that a BIOS could start.
    NoBootCode,
    /// Only UEFI starts it.
    NeedsUefi,
    /// UEFI does not start it.
    NeedsBios,
    /// It is for other processors, named as osinfo-db does.
    Architecture(String),
    /// It is for 32-bit processors, as far as is known; the firmware of a generation 2 machine starts 64-bit systems only.
    Narrow,
    /// The operating system, by its name, is not made for machines with a BIOS.
    NotForBios(String),
    /// Something is wrong with the file.
    Damaged(Warning),
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign(kind) => {
                write!(formatter, "It is {kind}; {}.", kind.remedy())
            }
            Self::Unknown => formatter
                .write_str("It is neither an optical disc's image nor a disk image; choose another file."),
            Self::NoBootRecord => formatter.write_str(
                "It is a disc without a boot record; it can be used in a machine that starts from something else.",
            ),
            Self::NoBootCode => formatter.write_str(
                "There is no boot code on the disk; nothing that starts is installed there.",
            ),
            Self::NeedsUefi => formatter.write_str(
                "It starts on machines with UEFI only, and a generation 1 machine has a BIOS; choose generation 2, or a medium that also starts from a BIOS.",
            ),
            Self::NeedsBios => formatter.write_str(
                "It starts on machines with a BIOS only, and a generation 2 machine has UEFI; choose generation 1.",
            ),
            Self::Narrow => formatter.write_str(
                "It is for 32-bit processors, and a generation 2 machine starts 64-bit systems; choose generation 1 or the medium for x86_64.",
            ),
            Self::Architecture(architecture) => write!(
                formatter,
                "It is for {architecture} processors; choose the medium for x86_64 (also called amd64)."
            ),
            Self::NotForBios(name) => write!(
                formatter,
                "{name} is made for machines with UEFI; its installer may refuse a generation 1 machine."
            ),
            Self::Damaged(warning) => warning.fmt(formatter),
        }
    }
}

impl Medium {
    /// What becomes of it in a machine of `generation`.
    pub fn verdict(&self, generation: Generation) -> Verdict {
        let (obstacle, limit) = match generation {
            Generation::One => (self.obstacle_to_bios(), self.limit_with_bios()),
            Generation::Two => (self.obstacle_to_uefi(), self.damage()),
        };
        match (obstacle, limit) {
            (Some(reason), _) => Verdict::NotBootable(reason),
            (None, Some(reason)) => Verdict::BootsWithLimits(reason),
            (None, None) => Verdict::Supported,
        }
    }

    fn obstacle_to_uefi(&self) -> Option<Reason> {
        if let Some(reason) = self.obstacle_to_any() {
            return Some(reason);
        }
        let narrow = self.architecture.as_deref().is_some_and(is_narrow);
        match (self.uefi_bootable, self.bios_bootable, self.kind) {
            (Some(true) | None, _, _) if narrow => Some(Reason::Narrow),
            (Some(true) | None, _, _) => None,
            (Some(false), Some(true), _) => Some(Reason::NeedsBios),
            (Some(false), _, MediumKind::Optical) => Some(Reason::NoBootRecord),
            (Some(false), _, _) => Some(Reason::NoBootCode),
        }
    }

    fn obstacle_to_any(&self) -> Option<Reason> {
        match self.kind {
            MediumKind::Foreign(kind) => return Some(Reason::Foreign(kind)),
            MediumKind::Unknown => return Some(Reason::Unknown),
            MediumKind::Optical | MediumKind::RawDisk(_) | MediumKind::Qcow2 => {}
        }
        let architecture = self.architecture.as_deref().filter(|it| !is_x86(it))?;
        Some(Reason::Architecture(architecture.to_owned()))
    }

    fn obstacle_to_bios(&self) -> Option<Reason> {
        if let Some(reason) = self.obstacle_to_any() {
            return Some(reason);
        }
        match (self.bios_bootable, self.uefi_bootable, self.kind) {
            (Some(true) | None, _, _) => None,
            (Some(false), Some(true), _) => Some(Reason::NeedsUefi),
            (Some(false), _, MediumKind::Optical) => Some(Reason::NoBootRecord),
            (Some(false), _, _) => Some(Reason::NoBootCode),
        }
    }

    fn damage(&self) -> Option<Reason> {
        Some(Reason::Damaged(self.warnings.first()?.clone()))
    }

    fn limit_with_bios(&self) -> Option<Reason> {
        self.damage().or_else(|| {
            let system = self.operating_system.as_ref()?;
            (!system.bios).then(|| Reason::NotForBios(system.name.clone()))
        })
    }
}

fn is_narrow(architecture: &str) -> bool {
    matches!(architecture, "i386" | "i486" | "i586" | "i686")
}

fn is_x86(architecture: &str) -> bool {
    matches!(
        architecture,
        "x86_64" | "i386" | "i486" | "i586" | "i686" | "all" | ""
    )
}
