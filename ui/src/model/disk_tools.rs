//! Work on the images in machines' drives, for the windows. None of this is for a thread that draws.

use std::path::{Path, PathBuf};

use guesthouse_engine::disk::check::{self, CheckReport, Severity};
use guesthouse_engine::disk::tools::{self, Source};
use guesthouse_engine::disk::{self, DiskOptions};

use super::machines::Change;
use super::{Drive, ImageFormat, Job, Machines, Phase, StoredMachine, TargetFormat, TrashedImage};
use crate::text::{self, gettext, gettext_with};

/// What a check of an image found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Nothing is wrong.
    pub clean: bool,
    /// Data is in danger or lost, not space alone.
    pub damaged: bool,
    /// What is wrong and what is worth knowing, as sentences.
    pub findings: Vec<String>,
}

impl From<&CheckReport> for Checked {
    fn from(report: &CheckReport) -> Self {
        let serious = |severity| severity != Severity::Note;
        Self {
            clean: report.is_clean(),
            damaged: report.damage > 0,
            findings: report
                .findings
                .iter()
                .filter(|finding| report.is_clean() || serious(finding.severity))
                .map(|finding| text::translated(&finding.text))
                .collect(),
        }
    }
}

/// What a repair did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mended {
    /// What is wrong now.
    pub now: Checked,
    /// Where the image's tables are as they were.
    pub backup: Option<PathBuf>,
    /// Clusters of the disk that were lost.
    pub lost: u64,
}

/// A drive's image, held.
struct Held {
    drive: Drive,
    path: PathBuf,
    source: Source,
    _machine: guesthouse_engine::library::MachineLock,
}

fn sentence(error: impl std::fmt::Display) -> String {
    text::sentence(&error)
}

impl Held {
    fn new(machine: &StoredMachine, drive: usize) -> Result<Self, String> {
        let lock = machine.lock().map_err(sentence)?;
        let drive = machine.definition.drives.get(drive);
        let drive = drive.ok_or_else(|| gettext("There is no such drive."))?;
        let path = drive
            .path(&machine.folder)
            .ok_or_else(|| gettext("There is no image."))?;
        let source = Source::of_drive(drive, &machine.folder)
            .ok_or_else(|| gettext("There is no image."))?;
        Ok(Self {
            drive: drive.clone(),
            path,
            source,
            _machine: lock,
        })
    }
}

impl Machines {
    /// Looks for what is wrong with the image in drive number `drive` of `machine`.
    ///
    /// # Errors
    /// Why it could not be checked, as a sentence.
    pub fn check_disk(
        &self,
        machine: &StoredMachine,
        drive: usize,
        job: &Job<'_>,
    ) -> Result<Checked, String> {
        let held = Held::new(machine, drive)?;
        let report = check::check(&held.path, held.source.format, job).map_err(sentence)?;
        Ok(Checked::from(&report))
    }

    /// Mends it. The image's tables as they were are kept beside it.
    ///
    /// # Errors
    /// Why not, as a sentence; nothing is changed then.
    pub fn repair_disk(
        &self,
        machine: &StoredMachine,
        drive: usize,
        job: &Job<'_>,
    ) -> Result<Mended, String> {
        let held = Held::new(machine, drive)?;
        let done = check::repair(&held.path, true, job).map_err(sentence)?;
        self.tell(&Change::Library);
        Ok(Mended {
            now: Checked::from(&done.after),
            backup: done.backup,
            lost: done.lost,
        })
    }

    /// Gives the space that the image does not need back to the host; tells how many bytes that was.
    ///
    /// # Errors
    /// Why not, as a sentence; the image is then as it was.
    pub fn compact_disk(
        &self,
        machine: &StoredMachine,
        drive: usize,
        job: &Job<'_>,
    ) -> Result<u64, String> {
        let held = Held::new(machine, drive)?;
        let taken = || disk::inspect(&held.path).map_or(0, |info| info.allocated_size);
        let before = taken();
        let format = held
            .source
            .format
            .ok_or_else(|| gettext("The format is not known."))?;
        tools::compact(&held.path, format, false, job).map_err(sentence)?;
        self.tell(&Change::Library);
        Ok(before.saturating_sub(taken()))
    }

    /// Has the image take all that it is based on into itself.
    ///
    /// # Errors
    /// Why not, as a sentence; the image is then as it was.
    pub fn detach_disk(
        &self,
        machine: &StoredMachine,
        drive: usize,
        job: &Job<'_>,
    ) -> Result<(), String> {
        let held = Held::new(machine, drive)?;
        tools::rebase(&held.path, &held.source.backing, None, job).map_err(sentence)?;
        drop(held);
        let mut definition = machine.definition.clone();
        if let Some(drive) = definition.drives.get_mut(drive) {
            drive.backing.clear();
        }
        let updated = self.update(machine, &definition);
        updated.map(drop).map_err(sentence)
    }

    /// Moves what the image has of its own into the one that it is based on, which takes its place in the drive; the emptied image
    /// goes to the Trash if it is in the machine's folder. Tells what the drive has now.
    ///
    /// # Errors
    /// Why not, as a sentence: something else is built on that image, or needs it. Nothing is changed then.
    pub fn commit_disk(
        &self,
        machine: &StoredMachine,
        drive: usize,
        job: &Job<'_>,
    ) -> Result<PathBuf, String> {
        let held = Held::new(machine, drive)?;
        let outline = tools::outline(&held.path).map_err(sentence)?;
        let base = outline
            .chain
            .first()
            .ok_or_else(|| gettext("The image is based on none."))?;
        let tree = self.snapshots(machine).map_err(sentence)?;
        if tree.is_frozen(base) {
            return Err(gettext_with(
                "A snapshot keeps {file}. Delete the snapshot instead, its disk is then joined with what comes after; or detach the disk.",
                &[("file", &base.display())],
            ));
        }
        let users = self.library().users_of(base, Some(&machine.folder));
        if let Some(other) = users.map_err(sentence)?.first() {
            return Err(gettext_with(
                "“{machine}” uses {file} too, and would find another disk there.",
                &[
                    ("machine", &other.definition.name),
                    ("file", &base.display()),
                ],
            ));
        }
        let info = disk::inspect(base).map_err(sentence)?;
        let base = tools::commit(&held.path, &held.source.backing, false, job).map_err(sentence)?;
        let mut definition = machine.definition.clone();
        if let Some(drive) = definition.drives.get_mut(drive) {
            let inside = base.strip_prefix(&machine.folder).map(Path::to_owned);
            drive.file = Some(inside.unwrap_or_else(|_| base.clone()));
            drive.format = info.format;
            drive.backing.retain(|file| *file != base);
        }
        let old = held.drive.file.clone();
        drop(held);
        self.update(machine, &definition).map_err(sentence)?;
        if let Some(old) = old.filter(|file| file.is_relative())
            && let Err(error) = self.trash_image(machine, &old)
        {
            tracing::warn!(%error, "an image that is not used any more is still there");
        }
        Ok(base)
    }

    /// Gives the drive a copy of its disk in another format; the image that it had goes to the Trash if it was in the machine's
    /// folder, else it stays where it is.
    ///
    /// # Errors
    /// Why not, as a sentence; nothing is left behind.
    pub fn convert_disk(
        &self,
        machine: &StoredMachine,
        drive: usize,
        format: ImageFormat,
        job: &Job<'_>,
    ) -> Result<Option<TrashedImage>, String> {
        let held = Held::new(machine, drive)?;
        let file = self.library().free_image_name(machine, format);
        let target = machine.folder.join(&file);
        let kind = match format {
            ImageFormat::Raw => TargetFormat::Raw,
            ImageFormat::Qcow2 => TargetFormat::QCOW2,
        };
        tools::convert(&held.source, &target, kind, true, job).map_err(sentence)?;
        let mut definition = machine.definition.clone();
        if let Some(drive) = definition.drives.get_mut(drive) {
            drive.file = Some(file);
            drive.format = format;
            drive.backing.clear();
        }
        let old = held.drive.file.clone();
        drop(held);
        if let Err(error) = self.update(machine, &definition) {
            // Nothing names it.
            if let Err(error) = std::fs::remove_file(&target) {
                tracing::warn!(%error, "a converted image that is not used could not be removed");
            }
            return Err(sentence(error));
        }
        let keeps = self.snapshots(machine).is_ok_and(|tree| {
            old.as_ref()
                .is_some_and(|old| tree.keeps(&machine.folder.join(old)))
        });
        match old.filter(|file| file.is_relative() && !keeps) {
            Some(old) => self.trash_image(machine, &old).map(Some),
            None => Ok(None),
        }
    }

    /// Makes the image in drive number `drive` of `machine` larger.
    ///
    /// # Errors
    /// Why not, as a sentence.
    pub fn grow(
        &self,
        machine: &StoredMachine,
        drive: usize,
        size: u64,
        job: &Job<'_>,
    ) -> Result<(), String> {
        let held = Held::new(machine, drive)?;
        job.begin(Phase::Storing, 0).map_err(sentence)?;
        let options = DiskOptions::of_drive(&held.drive, &machine.folder);
        let image = options.open(&held.path).map_err(sentence)?;
        let outcome = image.resize(size).and_then(|()| image.flush());
        outcome.map_err(sentence)?;
        self.tell(&Change::Library);
        Ok(())
    }
}
