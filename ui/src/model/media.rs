//! What the wizard wants to know of a file that a person chose, and of the operating systems there are.

use std::path::Path;

/// What an operating system asks of a machine, in bytes; nothing where nobody says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    /// Memory.
    pub memory: Option<u64>,
    /// Room on disk.
    pub storage: Option<u64>,
    /// Processors.
    pub processors: Option<u32>,
}

/// An operating system that a machine can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatingSystem {
    /// As osinfo-db identifies it.
    pub id: String,
    /// As people call it: "Debian 12".
    pub name: String,
    /// What it cannot do without.
    pub minimum: Needs,
    /// What it runs well with.
    pub recommended: Needs,
}

impl OperatingSystem {
    /// Whether its clock shows local time on bare hardware.
    pub fn wants_local_time(&self) -> bool {
        ["http://microsoft.com/", "http://freedos.org/"]
            .iter()
            .any(|vendor| self.id.starts_with(vendor))
    }
}

/// What a file is to a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Something for the optical drive.
    Optical,
    /// A hard disk's image, byte for byte.
    RawDisk,
    /// A hard disk's image in QEMU's format.
    Qcow2Disk,
}

/// What was found in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Medium {
    /// What it is to a machine.
    pub role: Role,
    /// Its volume label.
    pub label: Option<String>,
    /// Whether a BIOS can start from it.
    pub bios_bootable: bool,
    /// Whether UEFI can start from it.
    pub uefi_bootable: bool,
    /// What it installs.
    pub operating_system: Option<OperatingSystem>,
    /// Its size in bytes.
    pub bytes: u64,
}

/// Reads what `path` holds: cheap, but a network file system can make it last, so on a worker.
///
/// # Errors
/// Why it cannot be used, as a sentence.
pub fn inspect(path: &Path) -> Result<Medium, String> {
    let file = std::fs::File::open(path)
        .map_err(|error| format!("The file cannot be opened: {error}."))?;
    let metadata = file
        .metadata()
        .map_err(|error| format!("The file cannot be read: {error}."))?;
    if metadata.is_dir() {
        return Err("That is a folder; choose a file.".into());
    }
    Ok(Medium {
        role: if path
            .extension()
            .is_some_and(|extension| extension == "qcow2")
        {
            Role::Qcow2Disk
        } else {
            Role::Optical
        },
        label: None,
        bios_bootable: true,
        uefi_bootable: false,
        operating_system: None,
        bytes: metadata.len(),
    })
}

/// Every operating system known, by name.
pub fn operating_systems() -> Vec<OperatingSystem> {
    Vec::new()
}
