//! Tools judged by qemu-img and qemu-io.

mod changes;
mod hostile;
mod jobs;
mod matrix;

use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;

/// Runs qemu-img, which must succeed.
pub(in crate::disk) fn qemu_img<S: AsRef<std::ffi::OsStr>>(arguments: &[S]) -> String {
    let output = Command::new("qemu-img")
        .args(arguments)
        .output()
        .expect("these tests need qemu-img (Debian: qemu-utils)");
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    said
}

/// Runs qemu-io's commands on an image.
pub(in crate::disk) fn qemu_io(format: &str, file: &Path, commands: &[&str]) {
    let mut command = Command::new("qemu-io");
    command.args(["-f", format]);
    for one in commands {
        command.args(["-c", one]);
    }
    let output = command.arg(file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success()
            && !said.to_lowercase().contains("error")
            && !said.contains("failed"),
        "{}: {said}",
        file.display()
    );
}

/// A folder for a test's images.
pub(in crate::disk) struct Folder(tempfile::TempDir);

impl Folder {
    pub(in crate::disk) fn new() -> Self {
        // In memory where it can be: nothing here is about what a device keeps.
        let memory = Path::new("/dev/shm");
        Self(if memory.is_dir() {
            tempfile::tempdir_in(memory).unwrap()
        } else {
            tempfile::tempdir().unwrap()
        })
    }

    pub(in crate::disk) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The names of the files in it.
    pub(in crate::disk) fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(self.0.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

/// The content of a disk as qemu-img reads it.
pub(in crate::disk) fn content(format: &str, file: &Path) -> Vec<u8> {
    let raw = file.with_extension("content");
    qemu_img(&[
        "convert".as_ref(),
        "-f".as_ref(),
        format.as_ref(),
        "-O".as_ref(),
        "raw".as_ref(),
        file.as_os_str(),
        raw.as_os_str(),
    ]);
    let content = std::fs::read(&raw).unwrap();
    std::fs::remove_file(raw).unwrap();
    content
}

/// qemu-img finds nothing wrong.
pub(in crate::disk) fn assert_sound(file: &Path) {
    qemu_img(&[
        "check".as_ref(),
        "-f".as_ref(),
        "qcow2".as_ref(),
        file.as_os_str(),
    ]);
}
