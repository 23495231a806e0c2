//! Writing a machine into files: for other programs, and as a backup.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use relm4::adw;
use relm4::gtk::glib;

use super::page::PageOutput;
use crate::dialogs::form::{self, Field};
use crate::dialogs::{file_choice, progress};
use crate::model::{DriveKind, Machines, Occupied, StoredMachine, TargetFormat};
use crate::text::{gettext, gettext_with, message};

/// The formats that a disk can be written in: what they are called, how files' names end, and what they are.
const FORMATS: [(&str, &str, TargetFormat); 3] = [
    ("qcow2", "qcow2", TargetFormat::QCOW2),
    ("raw", "raw", TargetFormat::Raw),
    (message("VMDK"), "vmdk", TargetFormat::VmdkStreamOptimised),
];

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq)]
enum What {
    Machine,
    Disk(usize, TargetFormat),
}

/// Asks what is to be written and where, and writes it.
pub async fn export(
    machines: Arc<Machines>,
    machine: StoredMachine,
    root: adw::NavigationPage,
    output: relm4::Sender<PageOutput>,
) {
    let mut choices = vec![(gettext("The whole machine (OVA)"), "ova", What::Machine)];
    let drives = machine.definition.drives.iter().enumerate();
    let disks = drives.filter(|(_, drive)| drive.kind == DriveKind::Disk);
    for ((drive, _), number) in disks.zip(1_u32..) {
        for (called, ending, format) in FORMATS {
            let title = gettext_with(
                "Hard Disk {number} ({format})",
                &[("number", &number), ("format", &called)],
            );
            choices.push((title, ending, What::Disk(drive, format)));
        }
    }
    let titles: Vec<&str> = choices.iter().map(|(title, ..)| title.as_str()).collect();
    let heading = gettext("Export");
    let body = gettext(
        "A copy for other programs, of the disks as they are now. Snapshots and media are not in it.",
    );
    let (title, accept) = (gettext("What to Write"), gettext("_Choose Place…"));
    let fields = [Field::Choice(&title, &titles, 0)];
    let values = form::ask(&root, (&heading, &body), &fields, &accept, |_| None);
    let Some(values) = values.await else { return };
    let chosen = values.first().map_or(0, |value| value.number());
    let Some((_, ending, what)) = choices.get(chosen) else {
        return;
    };
    let (ending, what) = (*ending, *what);
    let name = file_name(machine.definition.name.as_str(), ending);
    let Some(target) = file_choice::save(&root, &heading, &name).await else {
        return;
    };
    let (target, occupied) = with_ending(target, ending);
    let place = target.clone();
    let written = progress::run(&root, gettext("Exporting"), move |job| match what {
        What::Machine => machines.export_machine(&machine, &place, occupied, job),
        What::Disk(drive, format) => {
            machines.export_disk(&machine, drive, &place, format, occupied, job)
        }
    });
    tell(
        written.await,
        gettext("The export was written"),
        gettext("Nothing was exported"),
        target,
        &output,
    );
}

/// Asks where the backup is to be, and writes it.
pub async fn back_up(
    machines: Arc<Machines>,
    machine: StoredMachine,
    root: adw::NavigationPage,
    output: relm4::Sender<PageOutput>,
) {
    let today = glib::DateTime::now_local().and_then(|now| now.format("%Y-%m-%d"));
    let today = today.map_or_else(|_| String::new(), |today| format!(" {today}"));
    let name = file_name(&format!("{}{today}", machine.definition.name), ENDING);
    let Some(target) = file_choice::save(&root, &gettext("Back Up"), &name).await else {
        return;
    };
    let (target, occupied) = with_ending(target, ENDING);
    let place = target.clone();
    let written = progress::run(&root, gettext("Backing Up"), move |job| {
        machines.back_up(&machine, &place, occupied, job)
    });
    tell(
        written.await,
        gettext("The backup was written"),
        gettext("The machine was not backed up"),
        target,
        &output,
    );
}

/// How backups' names end.
const ENDING: &str = "tar.zst";

fn tell(
    written: Option<Result<(), String>>,
    done: String,
    failed: String,
    target: PathBuf,
    output: &relm4::Sender<PageOutput>,
) {
    let message = match written {
        Some(Ok(())) => PageOutput::Saved(done, target),
        Some(Err(body)) => PageOutput::Failed {
            heading: failed,
            body,
        },
        None => return,
    };
    let _ = output.send(message);
}

/// A file's name from a machine's.
fn file_name(name: &str, ending: &str) -> String {
    format!("{}.{ending}", name.trim_start_matches('.'))
}

/// `path` with the ending that says what is in the file, where a person left it out; and whether what is there goes, which the
/// dialog has asked about the name that was given.
fn with_ending(path: PathBuf, ending: &str) -> (PathBuf, Occupied) {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if Path::new(name.as_ref()).extension().is_some() {
        return (path, Occupied::Replace);
    }
    let name = format!("{name}.{ending}");
    (path.with_file_name(name), Occupied::Refuse)
}
