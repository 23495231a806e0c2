//! Finds firmware files that the distribution installed.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Names a folder that is searched before all others.
pub const DIRECTORY_VARIABLE: &str = "GUESTHOUSE_FIRMWARE_DIR";

/// Where distributions and the Flatpak put SeaBIOS and its VGA BIOS.
const DIRECTORIES: [&str; 8] = [
    "/app/share/seabios",
    "/app/share/qemu",
    "/usr/share/seabios",
    "/usr/share/seavgabios",
    "/usr/share/qemu",
    "/usr/local/share/seabios",
    "/usr/local/share/qemu",
    "/run/current-system/sw/share/qemu",
];

/// A firmware file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirmwareFile {
    /// SeaBIOS, 256 KiB, which ends at 4 GiB.
    Bios,
    /// The VGA BIOS for the adapter 1234:1111: its expansion ROM.
    VgaBios,
    /// iPXE for the card 8086:100e: its expansion ROM.
    NetworkBoot,
}

impl FirmwareFile {
    /// The name of the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bios => "bios-256k.bin",
            Self::VgaBios => "vgabios-stdvga.bin",
            Self::NetworkBoot => "efi-e1000.rom",
        }
    }

    fn packages(self) -> &'static str {
        match self {
            Self::Bios => {
                "seabios (Debian, Ubuntu, Arch), seabios-bin (Fedora, Gentoo) or qemu-seabios (openSUSE)"
            }
            Self::VgaBios => {
                "seabios (Debian, Ubuntu, Arch), seavgabios-bin (Fedora), seabios-bin (Gentoo) or qemu-vgabios (openSUSE)"
            }
            Self::NetworkBoot => {
                "ipxe-qemu (Debian, Ubuntu), ipxe-roms-qemu (Fedora) or qemu-ipxe (openSUSE)"
            }
        }
    }

    /// What is wrong with `data` as such a file.
    fn fault(self, data: &[u8]) -> Option<&'static str> {
        match self {
            Self::NetworkBoot if data.get(..2) != Some(&[0x55, 0xaa]) => {
                Some("it does not begin like an expansion ROM")
            }
            Self::NetworkBoot if data.len() > 0x10_0000 => Some("it is longer than 1 MiB"),
            Self::Bios if data.len() != 0x4_0000 => Some("it is not 256 KiB long"),
            Self::VgaBios if data.get(..2) != Some(&[0x55, 0xaa]) => {
                Some("it does not begin like an expansion ROM")
            }
            Self::VgaBios if data.len() > 0x1_0000 => Some("it is longer than 64 KiB"),
            _ => None,
        }
    }
}

/// Why there is no firmware.
#[derive(Debug, thiserror::Error)]
pub enum LocateError {
    /// Not in any folder.
    #[error(
        "the firmware file {file} is not installed; install the package {packages}, or set {DIRECTORY_VARIABLE} to the folder that holds it (looked in {directories})"
    )]
    Missing {
        /// The file's name.
        file: &'static str,
        /// Where it comes from.
        packages: &'static str,
        /// The folders that were searched, separated by commas.
        directories: String,
    },
    /// It is there but cannot be read.
    #[error("could not read the firmware file {path}: {source}", path = .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The host's word.
        source: io::Error,
    },
    /// No build has Secure Boot, keys for it, and no need of system management mode.
    #[error(
        "no UEFI firmware is installed that knows Secure Boot without system management mode, which machines here do not have (the builds of most distributions need it); switch Secure Boot off, use the Flatpak of Guesthouse, which brings such a build, or describe one in /etc/qemu/firmware"
    )]
    NoSecureBoot,
    /// It is something else.
    #[error("{path} is not the firmware it should be: {fault}; reinstall the package {packages}", path = .path.display())]
    Unsuitable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        fault: &'static str,
        /// Where it comes from.
        packages: &'static str,
    },
}

/// Where to look for firmware.
#[derive(Debug, Clone)]
pub struct Locations {
    directories: Vec<PathBuf>,
}

impl Locations {
    /// This host's: the folder that [`DIRECTORY_VARIABLE`] names, if it is set, then those of distributions.
    pub fn of_host() -> Self {
        let chosen = std::env::var_os(DIRECTORY_VARIABLE).filter(|value| !value.is_empty());
        Self::new(
            chosen
                .map(PathBuf::from)
                .into_iter()
                .chain(DIRECTORIES.map(PathBuf::from)),
        )
    }

    /// These folders, the first that has a file winning.
    pub fn new(directories: impl IntoIterator<Item = PathBuf>) -> Self {
        Self {
            directories: directories.into_iter().collect(),
        }
    }

    /// The path of `file`.
    ///
    /// # Errors
    /// When no folder has it.
    pub fn find(&self, file: FirmwareFile) -> Result<PathBuf, LocateError> {
        self.directories
            .iter()
            .map(|directory| directory.join(file.name()))
            .find(|path| path.is_file())
            .ok_or_else(|| LocateError::Missing {
                file: file.name(),
                packages: file.packages(),
                directories: self
                    .directories
                    .iter()
                    .map(|directory| directory.display().to_string())
                    .collect::<Vec<_>>()
                    .join(", "),
            })
    }

    /// What `file` holds.
    ///
    /// # Errors
    /// When no folder has it, it cannot be read, or it is not such a firmware.
    pub fn load(&self, file: FirmwareFile) -> Result<Vec<u8>, LocateError> {
        let path = self.find(file)?;
        let data = read(&path).map_err(|source| LocateError::Read {
            path: path.clone(),
            source,
        })?;
        match file.fault(&data) {
            None => Ok(data),
            Some(fault) => Err(LocateError::Unsuitable {
                path,
                fault,
                packages: file.packages(),
            }),
        }
    }
}

/// At most a little more than the largest firmware, so that a wrong file is not read whole.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut data = Vec::new();
    File::open(path)?.take(0x4_0001).read_to_end(&mut data)?;
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_folder_that_has_the_file_wins() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let locations = Locations::new([first.path().into(), second.path().into()]);
        std::fs::write(second.path().join("bios-256k.bin"), vec![2; 0x4_0000]).unwrap();
        assert_eq!(locations.load(FirmwareFile::Bios).unwrap()[0], 2);
        std::fs::write(first.path().join("bios-256k.bin"), vec![1; 0x4_0000]).unwrap();
        assert_eq!(locations.load(FirmwareFile::Bios).unwrap()[0], 1);
    }

    #[test]
    fn a_missing_file_is_named_with_folders_and_packages() {
        let folder = tempfile::tempdir().unwrap();
        let locations = Locations::new([folder.path().into(), "/nowhere/seabios".into()]);
        let message = locations
            .load(FirmwareFile::VgaBios)
            .unwrap_err()
            .to_string();
        let folder = folder.path().display().to_string();
        for part in [
            "vgabios-stdvga.bin",
            "seavgabios-bin",
            "GUESTHOUSE_FIRMWARE_DIR",
            "/nowhere/seabios",
            &folder,
        ] {
            assert!(message.contains(part), "{part} is not in: {message}");
        }
    }

    #[test]
    fn files_that_are_something_else_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let locations = Locations::new([folder.path().into()]);
        for (file, data) in [
            (FirmwareFile::Bios, vec![0; 0x2_0000]),
            (FirmwareFile::Bios, vec![0; 0x8_0000]),
            (FirmwareFile::VgaBios, vec![0; 0x9800]),
            (FirmwareFile::VgaBios, [0x55, 0xaa].repeat(0x1_0000)),
            (FirmwareFile::VgaBios, Vec::new()),
        ] {
            std::fs::write(folder.path().join(file.name()), data).unwrap();
            assert!(matches!(
                locations.load(file),
                Err(LocateError::Unsuitable { .. })
            ));
        }
        let mut rom = vec![0; 0x9800];
        rom[..2].copy_from_slice(&[0x55, 0xaa]);
        std::fs::write(folder.path().join("vgabios-stdvga.bin"), &rom).unwrap();
        assert_eq!(locations.load(FirmwareFile::VgaBios).unwrap(), rom);
    }
}
