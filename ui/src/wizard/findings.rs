//! What speaks against the machine that the wizard is making: the definition's own findings, and those that need the library,
//! the chosen files or the disk they lie on. Each belongs to a field, beneath which it is shown.

use crate::model::media::{Found, Role};
use crate::model::{Finding, Generation, MediumKind, Name, Severity, UNPLUGGED, Verdict};
use crate::text::{self, gettext, gettext_with};

use super::draft::{DiskChoice, Draft, Inspection, Place};

/// A place in the wizard that a finding is shown at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// The file that was chosen.
    Source,
    /// The name.
    Name,
    /// The operating system.
    System,
    /// The kind of machine.
    Generation,
    /// How many processors.
    Processors,
    /// How much memory.
    Memory,
    /// Which hard disk, and its size.
    Disk,
    /// The existing image.
    DiskFile,
    /// The virtual switch, and what leads to the guest.
    Network,
}

/// Something that speaks against a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objection {
    /// Where it is shown.
    pub field: Field,
    /// Whether it stands in the way.
    pub severity: Severity,
    /// Cause and remedy, as a sentence.
    pub message: String,
}

impl Objection {
    fn error(field: Field, message: impl Into<String>) -> Self {
        Self {
            field,
            severity: Severity::Error,
            message: message.into(),
        }
    }

    fn warning(field: Field, message: impl Into<String>) -> Self {
        Self {
            field,
            severity: Severity::Warning,
            message: message.into(),
        }
    }

    /// Where the wizard shows what the engine says about a field of `machine.toml`.
    fn of_engine(finding: Finding) -> Self {
        let field = match finding.field.as_str() {
            field if field.starts_with("processor") => Field::Processors,
            field if field.starts_with("memory") => Field::Memory,
            field if field.starts_with("generation") => Field::Generation,
            field if field.starts_with("firmware") => Field::Generation,
            field if field.starts_with("drive") => Field::Disk,
            field if field.starts_with("network") => Field::Network,
            _ => Field::Name,
        };
        Self {
            field,
            severity: finding.severity,
            message: text::translated(&finding.message),
        }
    }
}

/// Everything that speaks against `draft` in `place`, in the order of the pages.
pub fn objections(draft: &Draft, place: &Place) -> Vec<Objection> {
    let mut found = Vec::new();
    check_source(draft, place, &mut found);
    let name = check_name(draft, place, &mut found);
    let engine = draft.definition(name).findings(&place.host);
    found.extend(engine.into_iter().map(Objection::of_engine));
    check_generation(draft, place, &mut found);
    check_needs(draft, &mut found);
    check_disk(draft, place, &mut found);
    check_network(draft, place, &mut found);
    found
}

fn check_source(draft: &Draft, place: &Place, found: &mut Vec<Objection>) {
    let Some(source) = &draft.source else { return };
    if !source.path.is_absolute() {
        found.push(Objection::error(
            Field::Source,
            gettext("Give the whole path, from / on."),
        ));
        return;
    }
    match &source.inspection {
        Inspection::Pending => {}
        Inspection::Failed(message) => found.push(Objection::error(Field::Source, message)),
        Inspection::Done(file) => {
            let own = file.role().is_disk() && !draft.copies(file);
            let owner = place.images.iter().find(|(path, _)| *path == source.path);
            if let Some((_, owner)) = owner.filter(|_| own) {
                found.push(in_use(Field::Source, owner));
            }
            check_copy(draft, place, Field::Source, file, found);
            if let Some(suggestion) = draft.suggestion() {
                let notes = suggestion.notes.iter();
                found.extend(
                    notes.map(|note| Objection::warning(Field::Source, text::translated(note))),
                );
            }
            if matches!(file.role(), Role::OtherDisk | Role::Appliance) {
                return;
            }
            match file.medium.verdict(draft.generation) {
                Verdict::Supported => {}
                Verdict::NotBootable(reason)
                    if matches!(file.medium.kind, MediumKind::Foreign(_)) =>
                {
                    found.push(Objection::error(
                        Field::Source,
                        text::translated(&reason.to_string()),
                    ));
                }
                Verdict::NotBootable(reason) | Verdict::BootsWithLimits(reason) => {
                    found.push(Objection::warning(
                        Field::Source,
                        text::translated(&reason.to_string()),
                    ));
                }
            }
        }
    }
}

/// What speaks against copying the disks in a file, or against what they take data from.
fn check_copy(
    draft: &Draft,
    place: &Place,
    field: Field,
    file: &Found,
    found: &mut Vec<Objection>,
) {
    if !draft.may_read(file) {
        found.push(Objection::error(
            field,
            gettext(
                "The image holds only what differs from other files; let the machine read them, or choose another.",
            ),
        ));
    }
    // What the image's file takes up is about what the copy will.
    let needed = file.medium.size;
    if draft.copies(file)
        && let Some(free) = place.free.filter(|free| needed > *free)
    {
        let message = gettext_with(
            "The copy may need {needed}, and only {free} are free.",
            &[
                ("needed", &text::bytes(needed)),
                ("free", &text::bytes(free)),
            ],
        );
        found.push(Objection::warning(field, message));
    }
}

fn in_use(field: Field, owner: &Name) -> Objection {
    Objection::error(
        field,
        gettext_with(
            "“{name}” has this disk; two machines cannot share one.",
            &[("name", owner)],
        ),
    )
}

fn check_name(draft: &Draft, place: &Place, found: &mut Vec<Objection>) -> Name {
    match Name::new(&draft.name) {
        Ok(name) => {
            if place.names.iter().any(|other| other.matches(name.as_str())) {
                found.push(Objection::error(
                    Field::Name,
                    gettext("Another machine has this name; choose a different one."),
                ));
            }
            name
        }
        Err(error) => {
            found.push(Objection::error(Field::Name, text::sentence(&error)));
            stand_in()
        }
    }
}

/// A name for asking the engine about everything but the name.
#[expect(clippy::unwrap_used, reason = "the text is a name")]
fn stand_in() -> Name {
    Name::new("machine").unwrap()
}

fn check_generation(draft: &Draft, place: &Place, found: &mut Vec<Objection>) {
    if draft.generation == Generation::Two
        && let Some(reason) = &place.no_uefi
    {
        found.push(Objection::error(Field::Generation, reason));
    }
}

fn check_network(draft: &Draft, place: &Place, found: &mut Vec<Objection>) {
    if draft.switch == UNPLUGGED {
        return;
    }
    for forward in &draft.forwards {
        let other = place
            .forwards
            .iter()
            .find(|(other, _)| other.conflicts_with(forward));
        if let Some((_, owner)) = other {
            let message = gettext_with(
                "“{name}” forwards port {port} too; only one of both machines can have it while both run.",
                &[("name", owner), ("port", &forward.host_port)],
            );
            found.push(Objection::warning(Field::Network, message));
        }
    }
}

fn check_needs(draft: &Draft, found: &mut Vec<Objection>) {
    let Some(system) = &draft.system else { return };
    if let Some(minimum) = system
        .minimum
        .memory
        .filter(|minimum| draft.memory << 20 < *minimum)
    {
        let message = gettext_with(
            "{system} needs at least {size}.",
            &[("system", &system.name), ("size", &text::bytes(minimum))],
        );
        found.push(Objection::warning(Field::Memory, message));
    }
    if let Some(minimum) = system.minimum.storage
        && draft.new_disk().is_some_and(|disk| disk.size < minimum)
    {
        let message = gettext_with(
            "{system} needs a disk of at least {size}.",
            &[("system", &system.name), ("size", &text::bytes(minimum))],
        );
        found.push(Objection::warning(Field::Disk, message));
    }
}

fn check_disk(draft: &Draft, place: &Place, found: &mut Vec<Objection>) {
    match draft.disk {
        DiskChoice::New => {
            let bytes = draft.new_disk().map_or(0, |disk| disk.size);
            if place.largest_file.is_some_and(|limit| bytes > limit) {
                found.push(Objection::error(
                    Field::Disk,
                    gettext("The file system for machines holds no file above 4 GiB; make the disk smaller."),
                ));
            } else if let Some(free) = place.free.filter(|free| bytes > *free) {
                let message = gettext_with(
                    "Only {size} are free; the disk takes room as the guest writes, and the machine pauses when none is left.",
                    &[("size", &text::bytes(free))],
                );
                found.push(Objection::warning(Field::Disk, message));
            }
        }
        DiskChoice::Existing => check_existing_disk(draft, place, found),
        DiskChoice::None => {
            if draft.source.is_none() {
                found.push(Objection::warning(
                    Field::Disk,
                    gettext("The machine has neither a disk nor a medium; there is nothing it could start."),
                ));
            }
        }
    }
}

fn check_existing_disk(draft: &Draft, place: &Place, found: &mut Vec<Objection>) {
    let field = Field::DiskFile;
    let Some(path) = draft.disk_path() else {
        found.push(Objection::error(
            field,
            gettext("Choose the image, or another kind of disk."),
        ));
        return;
    };
    if !path.is_absolute() {
        found.push(Objection::error(
            field,
            gettext("Give the whole path, from / on."),
        ));
    } else if let Some((_, owner)) = place
        .images
        .iter()
        .find(|(image, _)| *image == path)
        .filter(|_| !draft.disk_found().is_some_and(|file| draft.copies(file)))
    {
        found.push(in_use(field, owner));
    } else if draft
        .source
        .as_ref()
        .is_some_and(|source| source.path == path)
    {
        found.push(Objection::error(
            field,
            gettext("This file was already chosen as the source."),
        ));
    } else {
        match &draft.disk_inspection {
            Some(Inspection::Failed(message)) => found.push(Objection::error(field, message)),
            Some(Inspection::Done(file)) => {
                check_copy(draft, place, field, file, found);
                check_disk_image(file, found);
            }
            _ => {}
        }
    }
}

fn check_disk_image(file: &Found, found: &mut Vec<Objection>) {
    let field = Field::DiskFile;
    match file.medium.kind {
        _ if file.role() == Role::OtherDisk => {}
        _ if file.role() == Role::Appliance => found.push(Objection::error(
            field,
            gettext("This is a whole machine; choose it as the source."),
        )),
        MediumKind::Foreign(kind) => {
            found.push(Objection::error(
                field,
                gettext_with(
                    "It is {kind}; {remedy}.",
                    &[("kind", &kind), ("remedy", &kind.remedy())],
                ),
            ));
        }
        MediumKind::Optical => found.push(Objection::warning(
            field,
            gettext("This is an optical disc’s image; as a hard disk it could be overwritten."),
        )),
        MediumKind::RawDisk(_) | MediumKind::Qcow2 | MediumKind::Unknown => {}
    }
}
