//! The machine that the wizard is making: what has been chosen so far, filled in from what is known wherever the person has not
//! said otherwise. Pure data with no widget, so that every rule can be tested; what speaks against it is in `findings`.

use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::model::media::{Found, Role, format_of};
use crate::model::{
    CopiedDisk, Defaults, Definition, Drive, Forward, Generation, Host, ImageFormat, Medium, NAT,
    Name, NewDisk, OperatingSystem, Original, Reason, Suggestion, UNPLUGGED, Verdict, copies_of,
    suited, usable_name,
};
use crate::text::{self, gettext, gettext_with, ngettext_with};

const GIBIBYTE: u64 = 1 << 30;

/// What the disk that is made with a machine is called.
const NEW_DISK: &str = "disk.qcow2";

/// What the wizard knows of the place it makes a machine for.
#[derive(Debug, Clone)]
pub struct Place {
    /// What the host has.
    pub host: Host,
    /// The names that are taken.
    pub names: Vec<Name>,
    /// The images that machines have, each with its machine's name.
    pub images: Vec<(PathBuf, Name)>,
    /// Room where the machine's folder will be, in bytes, if it is known.
    pub free: Option<u64>,
    /// The largest file there in bytes, if there is a limit (FAT's 4 GiB).
    pub largest_file: Option<u64>,
    /// The operating systems there are.
    pub systems: &'static [OperatingSystem],
    /// Why this host cannot run generation 2 machines, if it cannot.
    pub no_uefi: Option<String>,
    /// The virtual switches there are.
    pub switches: Vec<String>,
    /// The forwards that machines have, each with its machine's name.
    pub forwards: Vec<(Forward, Name)>,
    /// What is preferred.
    pub preferred: Preferred,
}

/// What a person prefers for new machines, where that is not what their operating systems suggest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Preferred {
    /// How many processors.
    pub processors: Option<u32>,
    /// Memory in MiB.
    pub memory: Option<u64>,
    /// A new disk's size in GiB.
    pub disk_size: Option<u64>,
}

/// How far the file that was chosen has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inspection {
    /// It is being read.
    Pending,
    /// This is what is in it.
    Done(Box<Found>),
    /// This is why it cannot be used.
    Failed(String),
}

/// The file that was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Where it is.
    pub path: PathBuf,
    /// What is in it.
    pub inspection: Inspection,
}

/// Which hard disk the machine gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskChoice {
    /// A new one of its own.
    New,
    /// An image that is there already.
    Existing,
    /// None.
    None,
}

/// One thing that a person chose.
#[derive(Debug, Clone)]
pub enum Choice {
    /// A file to start from, or none.
    Source(Option<PathBuf>),
    /// What was found in a file.
    Inspected(PathBuf, Result<Box<Found>, String>),
    /// The name.
    Name(String),
    /// The operating system, by its number in [`Place::systems`].
    System(Option<usize>),
    /// The kind of machine.
    Generation(Generation),
    /// Whether the firmware starts only what is signed.
    SecureBoot(bool),
    /// How many processors.
    Processors(u32),
    /// Memory in MiB.
    Memory(u64),
    /// Which hard disk.
    Disk(DiskChoice),
    /// The new disk's size in GiB.
    DiskSize(u64),
    /// The image that is there already.
    DiskFile(String),
    /// What was found in that image.
    DiskInspected(PathBuf, Result<Box<Found>, String>),
    /// Whether the machine gets copies of the disks' images that were chosen, or the images themselves.
    Copy(bool),
    /// These files may be read, because an image takes data from them, or may not.
    Agree(Vec<PathBuf>, bool),
    /// The virtual switch that the network card is attached to, or [`UNPLUGGED`].
    Switch(String),
    /// What of this computer leads to the guest.
    Forwards(Vec<Forward>),
    /// Whether the machine is started when it has been made.
    Start(bool),
}

/// The machine so far.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The file that was chosen.
    pub source: Option<Source>,
    /// Its name, as typed.
    pub name: String,
    /// Its operating system.
    pub system: Option<OperatingSystem>,
    /// What kind of machine it is.
    pub generation: Generation,
    /// Whether its firmware starts only what is signed.
    pub secure_boot: bool,
    /// Its processors.
    pub processors: u32,
    /// Its memory in MiB.
    pub memory: u64,
    /// Which hard disk.
    pub disk: DiskChoice,
    /// The new disk's size in GiB.
    pub disk_size: u64,
    /// The existing image, as typed, and what is in it.
    pub disk_file: String,
    /// What is in the existing image.
    pub disk_inspection: Option<Inspection>,
    /// Whether the machine gets copies of the images that were chosen.
    pub copy: bool,
    /// The files that images may take data from.
    pub agreed: Vec<PathBuf>,
    /// The virtual switch that its network card is attached to; with [`UNPLUGGED`] it has no card.
    pub switch: String,
    /// What of this computer leads to it.
    pub forwards: Vec<Forward>,
    /// Whether it is started when it has been made.
    pub start: bool,
    uuid: Uuid,
    name_typed: bool,
    system_chosen: bool,
    generation_chosen: bool,
    processors_chosen: bool,
    memory_chosen: bool,
    disk_chosen: bool,
    disk_size_chosen: bool,
}

impl Draft {
    /// A machine with good values in every field.
    pub fn new(place: &Place) -> Self {
        let mut draft = Self {
            source: None,
            name: String::new(),
            system: None,
            generation: Generation::One,
            secure_boot: false,
            processors: 1,
            memory: 1024,
            disk: DiskChoice::New,
            disk_size: 20,
            disk_file: String::new(),
            disk_inspection: None,
            copy: true,
            agreed: Vec::new(),
            switch: NAT.to_owned(),
            forwards: Vec::new(),
            start: true,
            uuid: Uuid::new_v4(),
            name_typed: false,
            system_chosen: false,
            generation_chosen: false,
            processors_chosen: false,
            memory_chosen: false,
            disk_chosen: false,
            disk_size_chosen: false,
        };
        draft.fill(place);
        draft
    }

    /// Takes a choice, and fills in what follows from it where the person has not said otherwise.
    pub fn take(&mut self, choice: Choice, place: &Place) {
        match choice {
            Choice::Source(path) => {
                self.source = path.map(|path| Source {
                    path,
                    inspection: Inspection::Pending,
                });
            }
            Choice::Inspected(path, result) => self.take_inspection(&path, result),
            Choice::Name(name) => {
                (self.name, self.name_typed) = (name, true);
            }
            Choice::System(number) => {
                self.system_chosen = true;
                self.system = number.and_then(|number| place.systems.get(number)).cloned();
            }
            Choice::Generation(generation) => {
                (self.generation, self.generation_chosen) = (generation, true);
            }
            Choice::SecureBoot(on) => self.secure_boot = on,
            Choice::Processors(count) => {
                (self.processors, self.processors_chosen) = (count, true);
            }
            Choice::Memory(mebibytes) => (self.memory, self.memory_chosen) = (mebibytes, true),
            Choice::Disk(disk) => (self.disk, self.disk_chosen) = (disk, true),
            Choice::DiskSize(size) => (self.disk_size, self.disk_size_chosen) = (size, true),
            Choice::DiskFile(file) => {
                self.disk_inspection = (!file.trim().is_empty()).then_some(Inspection::Pending);
                self.disk_file = file;
            }
            Choice::DiskInspected(path, result) => {
                if self.disk_path().as_deref() == Some(path.as_path()) {
                    self.disk_inspection =
                        Some(result.map_or_else(Inspection::Failed, Inspection::Done));
                }
            }
            Choice::Copy(copy) => self.copy = copy,
            Choice::Agree(files, agreed) => {
                self.agreed.retain(|file| !files.contains(file));
                if agreed {
                    self.agreed.extend(files);
                }
            }
            Choice::Switch(switch) => self.switch = switch,
            Choice::Forwards(forwards) => self.forwards = forwards,
            Choice::Start(start) => self.start = start,
        }
        self.fill(place);
    }

    fn take_inspection(&mut self, path: &Path, result: Result<Box<Found>, String>) {
        // An answer about a file that has since been replaced by another is late.
        if let Some(source) = self
            .source
            .as_mut()
            .filter(|source| source.path.as_path() == path)
        {
            source.inspection = result.map_or_else(Inspection::Failed, Inspection::Done);
        }
    }

    fn fill(&mut self, place: &Place) {
        if !self.system_chosen {
            self.system = self
                .medium()
                .and_then(|medium| medium.operating_system.clone());
        }
        if !self.generation_chosen {
            self.generation = self.suited_generation(place);
        }
        let defaults = self.defaults();
        let minimum = self
            .system
            .as_ref()
            .and_then(|system| system.minimum.memory);
        if !self.name_typed {
            self.name = self.free_name(place);
        }
        let suggestion = self.suggestion();
        let (processors, memory) =
            suggestion.map_or((None, None), |it| (it.processors, it.memory_mebibytes));
        if !self.processors_chosen {
            let preferred = place.preferred.processors.unwrap_or(defaults.processors);
            let wanted = processors.unwrap_or(preferred);
            self.processors = wanted.min(place.host.processors).max(1);
        }
        if !self.memory_chosen
            && let Some(memory) = memory
        {
            self.memory = memory;
        } else if !self.memory_chosen
            && let Some(memory) = place.preferred.memory
        {
            self.memory = memory.min(place.host.memory >> 20).max(1);
        } else if !self.memory_chosen {
            // Half of what is free leaves the host usable; a guest still needs its minimum.
            let room = (place.host.available / 2).max(minimum.unwrap_or(0)) >> 20;
            self.memory = defaults.memory_mebibytes.min(room).max(1);
        }
        if !self.disk_chosen {
            let disk_given = self.source_role().is_some_and(|role| role != Role::Optical);
            self.disk = if disk_given {
                DiskChoice::None
            } else {
                DiskChoice::New
            };
        }
        if !self.disk_size_chosen {
            let suggested = defaults.disk.div_ceil(GIBIBYTE);
            self.disk_size = place.preferred.disk_size.unwrap_or(suggested).max(1);
        }
    }

    /// Generation 1, which most systems start on, unless the medium starts on machines with UEFI only.
    fn suited_generation(&self, place: &Place) -> Generation {
        if let Some(suggestion) = self.suggestion() {
            return suggestion.generation;
        }
        let verdict = self.medium().map(|medium| medium.verdict(Generation::One));
        let uefi_only = verdict == Some(Verdict::NotBootable(Reason::NeedsUefi));
        if uefi_only && place.no_uefi.is_none() {
            Generation::Two
        } else {
            Generation::One
        }
    }

    fn defaults(&self) -> Defaults {
        let system = self.system.as_ref();
        system.map_or(Defaults::UNKNOWN, OperatingSystem::defaults)
    }

    /// A name nobody has: the operating system's, or the file's, or "New machine", with a number where that is taken.
    fn free_name(&self, place: &Place) -> String {
        let of_file = || {
            let stem = self.source.as_ref()?.path.file_stem()?.to_string_lossy();
            Name::new(&stem).ok()
        };
        let of_system = || Name::new(&self.system.as_ref()?.name).ok();
        let packed = self.suggestion().and_then(|packed| packed.name.clone());
        let of_disk = || {
            let stem = self.source.as_ref()?.path.file_stem()?.to_string_lossy();
            usable_name(&stem).filter(|_| self.source_role().is_some_and(Role::is_disk))
        };
        let base = packed
            .or_else(of_system)
            .or_else(of_disk)
            .or_else(of_file)
            .map_or_else(|| gettext("New machine"), String::from);
        let taken = |name: &str| place.names.iter().any(|other| other.matches(name));
        if !taken(&base) {
            return base;
        }
        (2_u32..)
            .map(|number| {
                let number = format!(" {number}");
                let room = 64_usize.saturating_sub(number.len());
                base.chars().take(room).collect::<String>() + &number
            })
            .find(|name| !taken(name))
            .unwrap_or(base)
    }

    /// What was found in the file that was chosen, once it has been read.
    pub fn medium(&self) -> Option<&Medium> {
        self.found().map(|found| &found.medium)
    }

    /// All that was found in it.
    pub fn found(&self) -> Option<&Found> {
        match &self.source.as_ref()?.inspection {
            Inspection::Done(found) => Some(found),
            _ => None,
        }
    }

    /// What the machine that was packed up in it is as one of this host's.
    pub fn suggestion(&self) -> Option<&Suggestion> {
        self.found()?
            .packed
            .as_ref()
            .map(|(_, suggestion)| suggestion)
    }

    /// What was found in the existing image, if one was chosen.
    pub fn disk_found(&self) -> Option<&Found> {
        match &self.disk_inspection {
            Some(Inspection::Done(found)) if self.disk == DiskChoice::Existing => Some(found),
            _ => None,
        }
    }

    /// Whether the machine gets a copy of the image in which `found` was found.
    pub fn copies(&self, found: &Found) -> bool {
        match found.role() {
            Role::OtherDisk | Role::Appliance => true,
            Role::RawDisk | Role::Qcow2Disk => self.copy,
            Role::Optical => false,
        }
    }

    /// Whether every file that the image takes data from may be read.
    pub fn may_read(&self, found: &Found) -> bool {
        found.chain.iter().all(|file| self.agreed.contains(file))
    }

    /// What the file that was chosen is to the machine: an optical medium until something else is known.
    pub fn source_role(&self) -> Option<Role> {
        self.source.as_ref()?;
        Some(self.found().map_or(Role::Optical, Found::role))
    }

    /// The existing image that was named.
    pub fn disk_path(&self) -> Option<PathBuf> {
        let text = self.disk_file.trim();
        (self.disk == DiskChoice::Existing && !text.is_empty()).then(|| PathBuf::from(text))
    }

    /// The new disk that has to be made.
    pub fn new_disk(&self) -> Option<NewDisk> {
        (self.disk == DiskChoice::New).then(|| NewDisk {
            file: NEW_DISK.into(),
            format: ImageFormat::Qcow2,
            size: self.disk_size.saturating_mul(GIBIBYTE),
        })
    }

    /// The machine as its file will hold it. The new disk is made with it.
    pub fn definition(&self, name: Name) -> Definition {
        let mut definition = Definition::new(name);
        definition.uuid = self.uuid;
        definition.operating_system = self.system.as_ref().map(|system| system.id.clone());
        definition.processor.count = self.processors;
        definition.memory.mebibytes = self.memory;
        definition.clock = self.defaults().clock;
        definition.generation = self.generation;
        definition.firmware.secure_boot = self.secure_boot && self.generation == Generation::Two;
        definition.drives = self.drives().0;
        if self.switch != UNPLUGGED {
            definition.add_network_card(&self.switch);
        }
        for card in &mut definition.networks {
            card.forwards.clone_from(&self.forwards);
        }
        suited::connect(&mut definition, self.system.as_ref());
        definition
    }

    /// The disks that are copied when the machine is made.
    pub fn copied_disks(&self) -> Vec<CopiedDisk> {
        self.drives().1
    }

    /// The drives, and what is copied for them. An empty new disk is tried first and passed over, so that what was installed starts
    /// afterwards; a disk with something on it comes after the medium that was put in on purpose.
    fn drives(&self) -> (Vec<Drive>, Vec<CopiedDisk>) {
        let (mut drives, mut copies) = (Vec::new(), Vec::new());
        let source = self.source.as_ref();
        if let Some(disk) = self.new_disk() {
            drives.push(Drive::disk(disk.file, disk.format));
        }
        let mut own = drives.len();
        if let (Some(source), Some(found)) = (source, self.found()) {
            self.add_disks(&source.path, found, &mut own, &mut drives, &mut copies);
        }
        match (self.disk_path(), self.disk_found()) {
            (Some(path), Some(found)) if found.role().is_disk() => {
                self.add_disks(&path, found, &mut own, &mut drives, &mut copies);
            }
            (Some(path), _) => drives.push(Drive::disk(path, ImageFormat::Raw)),
            (None, _) => {}
        }
        let medium = source
            .filter(|_| self.source_role() == Some(Role::Optical))
            .map(|source| source.path.clone());
        let optical = Drive::optical(medium);
        let medium_first = optical.file.is_some() && self.disk != DiskChoice::New;
        drives.push(optical);
        let mut order: Vec<&mut Drive> = drives.iter_mut().collect();
        if medium_first {
            order.rotate_right(1);
        }
        for (drive, place) in order.into_iter().zip(1..) {
            drive.boot = Some(place);
        }
        (drives, copies)
    }

    /// Adds the disks in the file at `path`; `own` is how many of the machine's disks have their images in its folder.
    fn add_disks(
        &self,
        path: &Path,
        found: &Found,
        own: &mut usize,
        drives: &mut Vec<Drive>,
        copies: &mut Vec<CopiedDisk>,
    ) {
        let mut copied: Vec<CopiedDisk> = match &found.packed {
            Some((appliance, _)) => copies_of(appliance),
            None if !found.role().is_disk() => return,
            None if self.copies(found) => {
                let mut image = crate::model::Source::new(path);
                image.format = Some(format_of(&found.medium));
                image.backing.folders.clear();
                image.backing.files.clone_from(&found.chain);
                vec![CopiedDisk {
                    file: NEW_DISK.into(),
                    format: ImageFormat::Qcow2,
                    from: Original::Image(image),
                }]
            }
            None => {
                let format = match found.role() {
                    Role::Qcow2Disk => ImageFormat::Qcow2,
                    _ => ImageFormat::Raw,
                };
                drives.push(Drive {
                    backing: found.chain.clone(),
                    ..Drive::disk(path.to_owned(), format)
                });
                return;
            }
        };
        for copy in &mut copied {
            *own += 1;
            if *own > 1 {
                copy.file = format!("disk-{own}.qcow2").into();
            } else {
                copy.file = NEW_DISK.into();
            }
            drives.push(Drive::disk(copy.file.clone(), copy.format));
        }
        copies.extend(copied);
    }

    /// The machine in a line: what Create will make.
    pub fn summary(&self) -> String {
        let mut parts = vec![
            ngettext_with(
                "{number} processor",
                "{number} processors",
                u64::from(self.processors),
                &[],
            ),
            gettext_with(
                "{size} memory",
                &[("size", &text::bytes(self.memory << 20))],
            ),
        ];
        match self.disk {
            DiskChoice::New => parts.push(gettext_with(
                "{size} GiB disk",
                &[("size", &self.disk_size)],
            )),
            DiskChoice::Existing => parts.push(gettext("existing disk")),
            DiskChoice::None => {
                let disks = self.copied_disks().len() as u64;
                parts.push(match self.source_role() {
                    Some(Role::Appliance) => {
                        ngettext_with("{number} disk", "{number} disks", disks, &[])
                    }
                    Some(role) if role.is_disk() => gettext("existing disk"),
                    _ => gettext("no disk"),
                });
            }
        }
        parts.push(match self.switch.as_str() {
            UNPLUGGED => gettext("no network"),
            NAT => gettext("network"),
            switch => gettext_with("network “{name}”", &[("name", &switch)]),
        });
        parts.join(" · ")
    }
}
