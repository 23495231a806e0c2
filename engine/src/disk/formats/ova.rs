//! OVA files: a tar archive with a machine's description (OVF) and its disks, of which nothing is unpacked: disks are read where
//! they are. An `.ovf` file with its disks beside it is the same.

use std::path::{Path, PathBuf};

use super::super::OpenError;
use super::chain::{Chain, open_part};
use super::ovf::{self, Description};
use super::{Container, Format, FormatError, index};

const BLOCK: u64 = 512;
/// The most files in an archive, and the longest description and name.
const MOST_FILES: usize = 4096;
const DESCRIPTION: u64 = 4 << 20;
const NAME: u64 = 4096;

/// A machine that was packed up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appliance {
    /// The OVA or OVF file.
    pub file: PathBuf,
    /// Its name.
    pub name: Option<String>,
    /// What its maker calls the operating system.
    pub operating_system: Option<String>,
    /// Virtual processors.
    pub processors: Option<u32>,
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// It starts by UEFI.
    pub uefi: bool,
    /// Network cards.
    pub networks: usize,
    /// Its disks, in the order in which they are attached.
    pub disks: Vec<ApplianceDisk>,
}

/// A disk of a machine that was packed up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplianceDisk {
    /// The name of its image.
    pub name: String,
    /// Bytes of the disk, as the description says.
    pub capacity: Option<u64>,
    place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Within { offset: u64, length: u64 },
    Beside(PathBuf),
}

impl Appliance {
    /// Reads the description in the OVA or OVF file at `path`.
    ///
    /// # Errors
    /// When the file cannot be read, is not whole, or describes what is not supported: several machines, disks that are missing.
    pub fn read(path: &Path) -> Result<Self, FormatError> {
        let container = Container::open(path, false)?;
        let start = container.bytes(0, index(container.length().min(BLOCK)), "its beginning")?;
        if start.get(257..262) == Some(b"ustar") {
            let files = list(&container)?;
            let description = files
                .iter()
                .find(|file| file.name.to_ascii_lowercase().ends_with(".ovf"))
                .ok_or_else(|| container.damaged("the archive has no description (.ovf)"))?;
            let text = text(&container.part(description.offset, description.length))?;
            return Self::describe(&container, &text, |name| {
                files
                    .iter()
                    .find(|file| file.name.trim_start_matches("./") == name)
                    .map(|file| Place::Within {
                        offset: file.offset,
                        length: file.length,
                    })
            });
        }
        let text = text(&container)?;
        Self::describe(&container, &text, |name| {
            let bare = !name.contains('/') && name != "..";
            let place = path.with_file_name(name);
            (bare && place.is_file()).then_some(Place::Beside(place))
        })
    }

    fn describe(
        container: &Container,
        text: &str,
        find: impl Fn(&str) -> Option<Place>,
    ) -> Result<Self, FormatError> {
        let description = ovf::parse(text).map_err(|fault| {
            container.damaged(format!("its description cannot be read: {fault}"))
        })?;
        let unsupported = |feature: &str, remedy| {
            Err(FormatError::unsupported(container.path(), feature, remedy))
        };
        if description.systems > 1 {
            return unsupported(
                "holds several machines",
                "unpack it (tar -xf) and import the disks of each by themselves",
            );
        }
        let mut disks = Vec::new();
        for (file, capacity) in ordered(&description) {
            let Some(file) = file else {
                // A disk without a file is an empty one.
                continue;
            };
            let Some((_, name, compression)) =
                description.files.iter().find(|(id, ..)| *id == file)
            else {
                return Err(container.damaged("its description names a file that it does not list"));
            };
            if compression.is_some() {
                return unsupported(
                    "holds disks that are compressed as whole files",
                    "unpack it (tar -xf), unpack the disks (gunzip) and import them by themselves",
                );
            }
            let place = find(name).ok_or_else(|| OpenError::Missing {
                file: container.path().with_file_name(name),
            })?;
            disks.push(ApplianceDisk {
                name: name.clone(),
                capacity,
                place,
            });
        }
        Ok(Self {
            file: container.path().to_owned(),
            name: description.name,
            operating_system: description.operating_system,
            processors: description.processors,
            memory: description.memory,
            uefi: description.uefi,
            networks: description.networks,
            disks,
        })
    }

    /// Opens one of the disks.
    pub(in crate::disk) fn open(&self, disk: &ApplianceDisk) -> Result<Chain, FormatError> {
        match &disk.place {
            Place::Within { offset, length } => {
                let container = Container::open(&self.file, false)?;
                let opened = open_part(container.part(*offset, *length))?;
                Ok(Chain::single(&self.file, Format::Vmdk, opened))
            }
            Place::Beside(path) => Chain::open(path, &super::ChainOptions::default()),
        }
    }
}

/// The disks' files and sizes, those that are attached first and in that order.
fn ordered(description: &Description) -> Vec<(Option<String>, Option<u64>)> {
    let attached = description
        .attached
        .iter()
        .filter_map(|id| description.disks.iter().find(|(disk, ..)| disk == id));
    let others = description
        .disks
        .iter()
        .filter(|(disk, ..)| !description.attached.contains(disk));
    attached
        .chain(others)
        .map(|(_, file, capacity)| (file.clone(), *capacity))
        .collect()
}

fn text(container: &Container) -> Result<String, FormatError> {
    if container.length() > DESCRIPTION {
        return Err(FormatError::Not {
            file: container.path().to_owned(),
            format: "OVA or OVF",
        });
    }
    let bytes = container.bytes(0, index(container.length()), "its description")?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A file in an archive.
struct Member {
    name: String,
    offset: u64,
    length: u64,
}

/// The files in an archive (POSIX.1-2001 ustar and pax, and GNU's long names). The tar crate would take as much memory for a long
/// name as the archive says.
fn list(container: &Container) -> Result<Vec<Member>, FormatError> {
    let mut members = Vec::new();
    let mut long_name = None;
    let mut long_size = None;
    let mut at = 0;
    for _ in 0..MOST_FILES {
        if at >= container.length() {
            break;
        }
        let header = container.bytes(at, index(BLOCK), "an entry of the archive")?;
        if header.iter().all(|byte| *byte == 0) {
            break;
        }
        let sum: u32 = header
            .iter()
            .enumerate()
            .map(|(at, byte)| {
                if (148..156).contains(&at) {
                    32
                } else {
                    u32::from(*byte)
                }
            })
            .sum();
        if octal(header.get(148..156).unwrap_or_default()) != Some(u64::from(sum)) {
            return Err(container.damaged("the checksum of an entry of the archive is wrong"));
        }
        let size = long_size
            .take()
            .or_else(|| octal(header.get(124..136).unwrap_or_default()))
            .ok_or_else(|| container.damaged("the size of a file in the archive is no number"))?;
        let data = at + BLOCK;
        let end = data
            .checked_add(size)
            .filter(|end| *end <= container.length());
        let Some(end) = end else {
            return Err(container.damaged("the archive is not whole"));
        };
        let small = |most: u64| {
            if size > most {
                return Err(container.damaged("a name in the archive is too long"));
            }
            container.bytes(data, index(size), "a name in the archive")
        };
        match header.get(156) {
            Some(b'L') => long_name = Some(string(&small(NAME)?)),
            Some(b'x') => {
                let records = small(1 << 20)?;
                long_name = pax(&records, "path").or(long_name);
                long_size = pax(&records, "size").and_then(|text| text.parse().ok());
            }
            Some(0 | b'0' | b'7') => {
                let prefix = string(header.get(345..500).unwrap_or_default());
                let name = string(header.get(..100).unwrap_or_default());
                let name = long_name.take().unwrap_or(if prefix.is_empty() {
                    name
                } else {
                    format!("{prefix}/{name}")
                });
                members.push(Member {
                    name,
                    offset: data,
                    length: size,
                });
            }
            _ => long_name = None,
        }
        at = end.next_multiple_of(BLOCK);
    }
    Ok(members)
}

fn string(bytes: &[u8]) -> String {
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

/// A number in octal digits, or, with the first bit set, in bytes.
fn octal(field: &[u8]) -> Option<u64> {
    let (first, rest) = field.split_first()?;
    if first & 0x80 != 0 {
        let (high, low) = rest.split_at_checked(rest.len().checked_sub(8)?)?;
        let small = first & 0x7f == 0 && high.iter().all(|byte| *byte == 0);
        return small.then(|| u64::from_be_bytes(super::container::array(low, 0)));
    }
    let text = std::str::from_utf8(field).ok()?;
    let digits = text.trim_matches(|character| matches!(character, ' ' | '\0'));
    u64::from_str_radix(if digits.is_empty() { "0" } else { digits }, 8).ok()
}

/// A value in pax records, "LENGTH KEY=VALUE\n" each.
fn pax(records: &[u8], wanted: &str) -> Option<String> {
    let text = String::from_utf8_lossy(records);
    text.lines().find_map(|line| {
        let (_, record) = line.split_once(' ')?;
        let (key, value) = record.split_once('=')?;
        (key == wanted).then(|| value.to_owned())
    })
}
