//! What speaks against a definition because of the files it names.

use std::fs;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Access, access};
use rustix::io::Errno;

use super::{Definition, Drive, DriveKind, Finding, ImageFormat, Severity};
use crate::disk::{DiskOptions, inspect};

impl Drive {
    /// Where its image is, for a machine in `folder`; none in an empty drive.
    pub fn path(&self, folder: &Path) -> Option<PathBuf> {
        self.file.as_ref().map(|file| folder.join(file))
    }
}

impl Definition {
    /// Everything that speaks against the files of its drives, for a machine in `folder`; without a folder yet, relative names are
    /// disks to be made and not looked at.
    pub fn file_findings(&self, folder: Option<&Path>) -> Vec<Finding> {
        let mut found = Vec::new();
        let mut seen: Vec<(PathBuf, bool)> = Vec::new();
        for (number, drive) in self.drives.iter().enumerate() {
            let Some(file) = &drive.file else { continue };
            let mut add = |severity, message: String| {
                found.push(Finding {
                    field: format!("drive.{number}.file"),
                    severity,
                    message,
                });
            };
            let path = match folder {
                Some(folder) => folder.join(file),
                None => file.clone(),
            };
            let real = fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
            let shared = seen
                .iter()
                .any(|(other, writes)| *other == real && (*writes || !drive.read_only));
            if shared {
                add(
                    Severity::Error,
                    "Another drive of this machine uses this image too; choose another.".to_owned(),
                );
            }
            seen.push((real, !drive.read_only));
            if file.is_relative() && file.components().any(|part| part == Component::ParentDir) {
                add(
                    Severity::Error,
                    "A relative path cannot lead out of the machine's folder; give the whole path."
                        .to_owned(),
                );
            } else if folder.is_some() || file.is_absolute() {
                check_image(drive, &path, folder, &mut add);
            }
        }
        found
    }
}

fn check_image(
    drive: &Drive,
    path: &Path,
    folder: Option<&Path>,
    add: &mut dyn FnMut(Severity, String),
) {
    if !drive.read_only
        && drive.kind == DriveKind::Disk
        && matches!(
            access(path, Access::WRITE_OK),
            Err(Errno::ACCESS | Errno::ROFS)
        )
    {
        add(
            Severity::Error,
            "The image may not be written to; change its permissions or attach it read-only."
                .to_owned(),
        );
    }
    let remedy = match drive.kind {
        DriveKind::Disk => "",
        DriveKind::Optical => " Or eject it.",
    };
    match inspect(path) {
        Err(error) => {
            let mut message = error.to_string();
            message.push('.');
            message.push_str(remedy);
            add(Severity::Error, message);
        }
        Ok(info) => {
            if info.format == ImageFormat::Qcow2 && drive.format == ImageFormat::Raw {
                add(
                    Severity::Warning,
                    "The image looks like qcow2 but is attached as raw; the guest sees the file itself. Set the format to qcow2 unless that is meant.".to_owned(),
                );
            } else if info.format == ImageFormat::Raw && drive.format == ImageFormat::Qcow2 {
                add(
                    Severity::Error,
                    "The image is not qcow2; set the format to raw or choose another image."
                        .to_owned(),
                );
            } else if drive.kind == DriveKind::Disk
                && let Err(error) = DiskOptions::of_drive(drive, folder.unwrap_or(Path::new("")))
                    .check_references(path)
            {
                add(Severity::Error, format!("{error}."));
            }
        }
    }
}
