//! A file that is dropped on the screen of a machine that runs: a disc for its drive, or the beginning of another machine.

use std::path::Path;

use relm4::gtk;
use relm4::gtk::prelude::*;

use crate::dialogs::question::{self, Weight};
use crate::model::{Definition, DriveKind};
use crate::text::{gettext, gettext_with};

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// It is put into the first optical drive.
    Insert,
    /// A machine is made from it.
    NewMachine,
}

/// Whether `file` could be put into an optical drive of the machine.
fn is_disc(file: &Path, machine: &Definition) -> bool {
    let extension = file.extension();
    let mut drives = machine.drives.iter();
    extension.is_some_and(|extension| extension.eq_ignore_ascii_case("iso"))
        && drives.any(|drive| drive.kind == DriveKind::Optical)
}

/// What becomes of `file`: if it is a disc and the machine `runs`, asks over `view`, else another machine is made from it.
pub async fn ask(
    view: &impl IsA<gtk::Widget>,
    machine: &Definition,
    runs: bool,
    file: &Path,
) -> Option<Use> {
    if !runs || !is_disc(file, machine) {
        return Some(Use::NewMachine);
    }
    let name = file.file_name().unwrap_or(file.as_os_str());
    let heading = gettext_with("Insert “{file}”?", &[("file", &name.to_string_lossy())]);
    let body = gettext_with(
        "It can be put into the optical drive of “{name}”, or a new machine can be made from it.",
        &[("name", &machine.name)],
    );
    let answers = [
        (gettext("_New Machine"), Weight::Plain),
        (gettext("_Insert"), Weight::Suggested),
    ];
    match question::ask(view, &heading, &body, &answers).await? {
        0 => Some(Use::NewMachine),
        _ => Some(Use::Insert),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Drive, Name};

    #[test]
    fn discs_are_for_drives() {
        let mut machine = Definition::new(Name::new("Test").unwrap());
        assert!(!is_disc(Path::new("/a.iso"), &machine));
        machine.drives.push(Drive::optical(None));
        for (file, disc) in [
            ("/a.iso", true),
            ("/A.ISO", true),
            ("/a.qcow2", false),
            ("/iso", false),
        ] {
            assert_eq!(is_disc(Path::new(file), &machine), disc, "{file}");
        }
    }
}
