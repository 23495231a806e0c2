//! All operating systems that osinfo-db knows on this host.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use regex_lite::Regex;

use super::parser::{self, Entry, ForArchitecture, Media};
use super::{DiscIdentity, Drivers, OperatingSystem, Recognised, Resources};
use crate::definition::Devices;

/// Where osinfo-db is when `OSINFO_SYSTEM_DIR` does not say: of the distribution, and of a Flatpak.
const SYSTEM_DIRECTORIES: [&str; 2] = ["/usr/share/osinfo", "/app/share/osinfo"];
/// What an administrator added, when `OSINFO_LOCAL_DIR` does not say otherwise.
const LOCAL_DIRECTORY: &str = "/etc/osinfo";
/// How deep folders are in the database: vendor, family, additions to one system.
const MOST_DEPTH: u32 = 4;
/// How many files are read; the database of 2025 has 950.
const MOST_FILES: usize = 20_000;
/// Larger files are left out; the largest of 2025 has 70 KB.
const LARGEST_FILE: u64 = 4 << 20;
/// How many ancestors are asked for what a system's own entry does not say.
const MOST_ANCESTORS: usize = 16;

/// The devices of virtio 1.0, as osinfo-db identifies them: the older form that shares their name is not what machines have.
const VIRTIO_BLOCK: &str = "http://pcisig.com/pci/1af4/1042";
const VIRTIO_NETWORK: &str = "http://pcisig.com/pci/1af4/1041";
const VIRTIO_ENTROPY: &str = "http://pcisig.com/pci/1af4/1044";
const VIRTIO_BALLOON: &str = "http://pcisig.com/pci/1af4/1045";
const VIRTIO_GRAPHICS: &str = "http://pcisig.com/pci/1af4/1050";
const VIRTIO_INPUT: &str = "http://pcisig.com/pci/1af4/1052";

/// The entry that stands for a system that is not known.
const PLACEHOLDER: &str = "http://libosinfo.org/unknown";

/// The processors of this computer, as osinfo-db calls them, the better first.
const ARCHITECTURES: [&str; 3] = ["x86_64", "all", "i686"];

/// The operating systems of this host's osinfo-db, read at the first call: that takes a moment, so do it off the main thread.
pub fn operating_systems() -> &'static Database {
    static DATABASE: OnceLock<Database> = OnceLock::new();
    DATABASE.get_or_init(|| {
        let started = std::time::Instant::now();
        let database = Database::load(&host_directories());
        tracing::info!(
            systems = database.systems.len(),
            milliseconds = started.elapsed().as_millis(),
            "read the descriptions of operating systems"
        );
        database
    })
}

/// The folders of osinfo-db, as libosinfo has them; later ones win.
fn host_directories() -> Vec<PathBuf> {
    let variable = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let mut directories = variable("OSINFO_SYSTEM_DIR").map_or_else(
        || SYSTEM_DIRECTORIES.map(PathBuf::from).into(),
        |chosen| vec![chosen],
    );
    directories.push(variable("OSINFO_LOCAL_DIR").unwrap_or_else(|| LOCAL_DIRECTORY.into()));
    let configuration =
        variable("XDG_CONFIG_HOME").or_else(|| Some(variable("HOME")?.join(".config")));
    directories.extend(variable("OSINFO_USER_DIR").or_else(|| Some(configuration?.join("osinfo"))));
    directories
}

/// Operating systems and how their discs are recognised.
#[derive(Debug, Default)]
pub struct Database {
    /// Sorted by name.
    systems: Vec<OperatingSystem>,
    discs: Vec<Disc>,
}

/// How a disc of one system is recognised.
#[derive(Debug)]
struct Disc {
    /// The system's place in the database.
    system: usize,
    unsettled: bool,
    media: ForArchitecture<Media>,
}

impl Database {
    /// Reads `directories`, each laid out as osinfo-db (`os/VENDOR/*.xml`). A file in a later one stands in place of the file
    /// with the same name in an earlier one. What cannot be read is left out.
    pub fn load(directories: &[PathBuf]) -> Self {
        let mut files = BTreeMap::new();
        for directory in directories {
            collect(&directory.join("os"), Path::new(""), MOST_DEPTH, &mut files);
        }
        let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
        for path in files.values() {
            for entry in read(path) {
                match entries.get_mut(&entry.id) {
                    Some(existing) => existing.merge(entry),
                    None => {
                        entries.insert(entry.id.clone(), entry);
                    }
                }
            }
        }
        Self::build(&entries)
    }

    fn build(entries: &BTreeMap<String, Entry>) -> Self {
        let mut named: Vec<&Entry> = entries
            .values()
            .filter(|entry| !entry.id.is_empty() && !entry.name.is_empty())
            .filter(|entry| entry.id != PLACEHOLDER)
            .collect();
        named.sort_by_cached_key(|entry| (entry.name.to_lowercase(), entry.id.clone()));
        let mut database = Self::default();
        for (system, entry) in named.into_iter().enumerate() {
            database.systems.push(entry.system(entries));
            database.discs.extend(entry.media.iter().map(|media| Disc {
                system,
                unsettled: entry.unsettled || entry.id.ends_with("unknown"),
                media: media.clone(),
            }));
        }
        database
    }

    /// All operating systems, sorted by name.
    pub fn systems(&self) -> &[OperatingSystem] {
        &self.systems
    }

    /// The operating system that `id` identifies, by its long or its short name.
    pub fn find(&self, id: &str) -> Option<&OperatingSystem> {
        self.systems
            .iter()
            .find(|system| system.id == id || system.short_id == id)
    }

    /// The operating system that another program calls `text`: "Microsoft Windows 10 (64-bit)", "Debian_64", "ubuntu64Guest".
    /// Letters and digits alone are compared, and the longest name in it is taken.
    pub fn called(&self, text: &str) -> Option<&OperatingSystem> {
        let plain = |text: &str| -> String {
            let kept = text.chars().filter(|character| character.is_alphanumeric());
            kept.flat_map(char::to_lowercase).take(256).collect()
        };
        // What says for which processors it is, and who wrote it down.
        const NOISE: [&str; 8] = [
            "64bit",
            "32bit",
            "x8664",
            "amd64",
            "64guest",
            "guest",
            "gnulinux",
            "microsoft",
        ];
        let trim = |text: &str| {
            // VirtualBox's way to say for which processors it is.
            let bare = plain(text.trim().trim_end_matches("_64"));
            NOISE
                .iter()
                .fold(bare, |text, noise| text.replace(noise, ""))
        };
        let (wanted, whole) = (trim(text), plain(text));
        if wanted.is_empty() {
            return None;
        }
        self.systems
            .iter()
            .filter_map(|system| {
                let name = trim(&system.name);
                let short = plain(&system.short_id);
                let exact = name == wanted || short == wanted || short == whole;
                let versioned = name.ends_with(|character: char| character.is_ascii_digit());
                // "Windows 1" is not in "Windows 10".
                let within = name.len() >= 4
                    && versioned
                    && wanted.match_indices(&name).any(|(at, _)| {
                        !wanted.get(at + name.len()..).is_some_and(|rest| {
                            rest.starts_with(|next: char| next.is_ascii_digit())
                        })
                    });
                (exact || within).then_some((exact, name.len(), system))
            })
            .max_by_key(|(exact, length, system)| (*exact, *length, system.released.clone()))
            .map(|(.., system)| system)
    }

    /// What the disc with these words is, as libosinfo decides it: every regular expression that an entry has must be found in
    /// the disc's word for it, and a size must be the same. Of several entries that do, one with a size wins, then a released
    /// system, then the longer expressions, then the later system.
    pub(in super::super) fn recognise(&self, disc: &DiscIdentity<'_>) -> Option<Recognised<'_>> {
        let mut expressions = Expressions::default();
        let best = self
            .discs
            .iter()
            .filter(|known| known.media.value.matches(disc, &mut expressions))
            .max_by_key(|known| {
                let released = self.systems.get(known.system).map(|it| &it.released);
                let media = &known.media.value;
                let length = [
                    &media.volume,
                    &media.system,
                    &media.publisher,
                    &media.application,
                ]
                .map(|expression| expression.as_ref().map_or(0, String::len))
                .iter()
                .sum::<usize>();
                (media.size.is_some(), !known.unsettled, length, released)
            })?;
        Some(Recognised {
            system: self.systems.get(best.system)?,
            architecture: &best.media.architecture,
            live: best.media.value.live,
        })
    }
}

/// The answers that regular expressions gave for one disc: many entries share theirs.
#[derive(Default)]
struct Expressions<'a> {
    answers: HashMap<(&'a str, &'a str), bool>,
}

impl<'a> Expressions<'a> {
    fn found(&mut self, expression: Option<&'a str>, word: &'a str) -> bool {
        let Some(expression) = expression else {
            return true;
        };
        if word.is_empty() {
            return false;
        }
        *self
            .answers
            .entry((expression, word))
            .or_insert_with(|| match Regex::new(expression) {
                Ok(compiled) => compiled.is_match(word),
                Err(error) => {
                    tracing::debug!(expression, %error, "a regular expression of osinfo-db is not understood");
                    false
                }
            })
    }
}

impl Media {
    fn matches<'a>(&'a self, disc: &DiscIdentity<'a>, expressions: &mut Expressions<'a>) -> bool {
        self.size.is_none_or(|size| size == 0 || size == disc.size)
            && expressions.found(self.volume.as_deref(), disc.volume)
            && expressions.found(self.system.as_deref(), disc.system)
            && expressions.found(self.publisher.as_deref(), disc.publisher)
            && expressions.found(self.application.as_deref(), disc.application)
    }
}

impl Entry {
    /// Adds what another file says of the same system.
    fn merge(&mut self, other: Self) {
        for (place, value) in [
            (&mut self.short_id, other.short_id),
            (&mut self.name, other.name),
            (&mut self.version, other.version),
            (&mut self.vendor, other.vendor),
            (&mut self.family, other.family),
            (&mut self.distribution, other.distribution),
        ] {
            if place.is_empty() {
                *place = value;
            }
        }
        self.released = self.released.take().or(other.released);
        self.derives_from = self.derives_from.take().or(other.derives_from);
        self.unsettled |= other.unsettled;
        self.resources.extend(other.resources);
        self.firmware.extend(other.firmware);
        self.devices.extend(other.devices);
        self.media.extend(other.media);
    }

    fn system(&self, entries: &BTreeMap<String, Self>) -> OperatingSystem {
        let (minimum, recommended) = self.needs(entries);
        let (bios, uefi) = self.firmware_support();
        OperatingSystem {
            id: self.id.clone(),
            short_id: self.short_id.clone(),
            name: self.name.clone(),
            version: self.version.clone(),
            vendor: self.vendor.clone(),
            family: self.family.clone(),
            distribution: self.distribution.clone(),
            released: self.released.clone(),
            minimum,
            recommended,
            bios,
            uefi,
            drivers: Drivers {
                virtio_block: self.drives(VIRTIO_BLOCK, entries),
                virtio_network: self.drives(VIRTIO_NETWORK, entries),
                others: Devices {
                    entropy: self.drives(VIRTIO_ENTROPY, entries),
                    balloon: self.drives(VIRTIO_BALLOON, entries),
                    graphics: self.drives(VIRTIO_GRAPHICS, entries),
                    input: self.drives(VIRTIO_INPUT, entries),
                    console: false,
                },
            },
        }
    }

    /// Itself and the systems that it comes from, nearest first.
    fn lineage<'a>(
        &'a self,
        entries: &'a BTreeMap<String, Self>,
    ) -> impl Iterator<Item = &'a Self> {
        let parent = |entry: &&'a Self| entry.derives_from.as_ref().and_then(|id| entries.get(id));
        std::iter::successors(Some(self), parent).take(MOST_ANCESTORS)
    }

    /// Whether it has a driver for a device, or comes from a system that has, unless one nearer to it has not.
    fn drives(&self, device: &str, entries: &BTreeMap<String, Self>) -> bool {
        self.lineage(entries)
            .flat_map(|entry| &entry.devices)
            .find(|support| support.id == device)
            .is_some_and(|support| support.supported)
    }

    /// What it needs on this computer's architecture, or else what the system that it comes from needs.
    fn needs(&self, entries: &BTreeMap<String, Self>) -> (Resources, Resources) {
        for current in self.lineage(entries) {
            let needs = ARCHITECTURES
                .iter()
                .filter_map(|wanted| {
                    current
                        .resources
                        .iter()
                        .find(|it| it.architecture == *wanted)
                })
                .map(|it| it.value)
                .find(|needs| !needs.minimum.is_empty() || !needs.recommended.is_empty());
            if let Some(needs) = needs {
                return (needs.minimum, needs.recommended);
            }
        }
        Default::default()
    }

    /// Whether BIOS and UEFI are supported on PCs. What is not said: BIOS is, UEFI is not known to be.
    fn firmware_support(&self) -> (bool, bool) {
        let said = |kind: &str| {
            let mut all = self
                .firmware
                .iter()
                .filter(|it| ARCHITECTURES.contains(&it.architecture.as_str()))
                .filter(|it| it.value.kind == kind)
                .map(|it| it.value.supported)
                .peekable();
            all.peek()?;
            Some(all.any(|supported| supported))
        };
        (said("bios").unwrap_or(true), said("efi").unwrap_or(false))
    }
}

/// Adds the XML files in `directory` to `files` by their place in the database.
fn collect(directory: &Path, place: &Path, depth: u32, files: &mut BTreeMap<PathBuf, PathBuf>) {
    let Ok(listing) = fs::read_dir(directory) else {
        return;
    };
    for item in listing.flatten() {
        let place = place.join(item.file_name());
        let Ok(kind) = item.file_type() else {
            continue;
        };
        if kind.is_dir() {
            if depth > 1 {
                collect(&item.path(), &place, depth - 1, files);
            }
        } else if place.extension().is_some_and(|it| it == "xml") && files.len() < MOST_FILES {
            files.insert(place, item.path());
        }
    }
}

/// The entries of one file; none when it cannot be read.
fn read(path: &Path) -> Vec<Entry> {
    let small = fs::metadata(path).is_ok_and(|it| it.is_file() && it.len() <= LARGEST_FILE);
    if !small {
        return Vec::new();
    }
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            tracing::debug!(path = %path.display(), %error, "could not read a description of an operating system");
            return Vec::new();
        }
    };
    parser::parse(&text).unwrap_or_else(|error| {
        tracing::debug!(path = %path.display(), %error, "a description of an operating system is not well-formed");
        Vec::new()
    })
}
