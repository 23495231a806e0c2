//! Adding drives: a new disk, an image that is there already, an optical drive.

use std::path::Path;
use std::sync::Arc;

use relm4::adw;

use crate::dialogs::file_choice::{self, FileKind};
use crate::dialogs::form::{self, Field};
use crate::dialogs::question::{self, Weight};
use crate::dialogs::{progress, toast};
use crate::model::media::{self, Role, role};
use crate::model::{Drive, ImageFormat, Machines, StoredMachine, images};
use crate::text::{self, gettext, gettext_with};

/// What is to be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addition {
    /// A new disk.
    NewDisk,
    /// An image.
    ExistingDisk,
    /// An optical drive.
    Optical,
}

/// What a new disk has unless somebody says otherwise, in GiB.
const USUAL: &str = "20";

/// Asks what has to be known and adds it.
pub async fn add(
    addition: Addition,
    machines: Arc<Machines>,
    machine: StoredMachine,
    root: adw::PreferencesGroup,
) {
    let outcome = match addition {
        Addition::NewDisk => new_disk(machines, machine, &root).await,
        Addition::ExistingDisk => existing_disk(machines, machine, &root).await,
        Addition::Optical => put(Drive::optical(None), machines, machine, &root).await,
    };
    match outcome {
        Some(Ok(said)) => toast::say(&root, &said),
        Some(Err(body)) => question::error(&root, &gettext("The drive was not added"), &body),
        None => {}
    }
}

type Outcome = Option<Result<String, String>>;

async fn new_disk(
    machines: Arc<Machines>,
    machine: StoredMachine,
    root: &adw::PreferencesGroup,
) -> Outcome {
    let (size, raw) = (gettext("Size in GiB"), gettext("Raw Image"));
    let meaning = gettext("Byte for byte, for other programs; it cannot be compressed");
    let fields = [
        Field::Text(&size, USUAL),
        Field::Switch(&raw, &meaning, false),
    ];
    let heading = gettext("New Hard Disk");
    let body = gettext("It takes space on this computer as the guest fills it.");
    let accept = gettext("_Create");
    let values = form::ask(root, (&heading, &body), &fields, &accept, |values| {
        size_objection(values.first()?.text(), 0)
    })
    .await?;
    let [size, raw] = values.as_slice() else {
        return None;
    };
    let size = text::gibibytes(size.text())?;
    let format = if raw.is_on() {
        ImageFormat::Raw
    } else {
        ImageFormat::Qcow2
    };
    let made = progress::run(root, gettext("Creating the Disk"), move |_| {
        machines.add_disk(&machine, format, size)
    });
    Some(made.await?.map(|()| gettext("The hard disk was added")))
}

/// What speaks against `text` as a size in GiB, where it must be more than `least` bytes.
pub fn size_objection(text: &str, least: u64) -> Option<String> {
    const LARGEST: u64 = 64 << 40;
    match text::gibibytes(text) {
        None => Some(gettext("Give a number, such as 20 or 1.5.")),
        Some(size) if size <= least && least > 0 => Some(gettext_with(
            "The disk has {size} already.",
            &[("size", &text::bytes(least))],
        )),
        Some(size) if !(1 << 20..=LARGEST).contains(&size) => {
            Some(gettext("A disk has 1 MiB to 64 TiB."))
        }
        Some(_) => None,
    }
}

async fn existing_disk(
    machines: Arc<Machines>,
    machine: StoredMachine,
    root: &adw::PreferencesGroup,
) -> Outcome {
    let path = file_choice::open(root, &gettext("Choose a Disk Image"), FileKind::Disk).await?;
    let read = path.clone();
    let found = relm4::spawn_blocking(move || look(&read)).await.ok()?;
    let (format, backing) = match found {
        Ok(found) => found,
        Err(body) => return Some(Err(body)),
    };
    if !backing.is_empty() {
        let names: Vec<_> = backing
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        let body = gettext_with(
            "The image holds only what differs from other files. The machine reads these too, if you let it:\n\n{files}",
            &[("files", &names.join("\n"))],
        );
        let answer = (gettext("_Let It Read Them"), Weight::Suggested);
        question::ask(
            root,
            &gettext("The image needs other files"),
            &body,
            &[answer],
        )
        .await?;
    }
    let drive = Drive {
        backing,
        ..Drive::disk(path, format)
    };
    put(drive, machines, machine, root).await
}

/// What kind of image is at `path`, and what it is built on.
fn look(path: &Path) -> Result<(ImageFormat, Vec<std::path::PathBuf>), String> {
    match role(&*media::recognise(path)?) {
        Role::Qcow2Disk => Ok((ImageFormat::Qcow2, images::bases(path)?)),
        Role::RawDisk | Role::Optical => Ok((ImageFormat::Raw, Vec::new())),
        Role::OtherDisk | Role::Appliance => Err(gettext(
            "It is not an image that a machine can write to; copy it with “guesthouse disk convert”, or make a machine of it.",
        )),
    }
}

async fn put(
    drive: Drive,
    machines: Arc<Machines>,
    machine: StoredMachine,
    root: &adw::PreferencesGroup,
) -> Outcome {
    let mut definition = machine.definition.clone();
    definition.drives.push(drive);
    let changed = progress::run(root, gettext("Adding the Drive"), move |_| {
        machines.change(&machine, &definition)
    });
    Some(changed.await?.map(|()| gettext("The drive was added")))
}
