//! How files are shown: their names first, then their folders, with the home folder as `~` and without their middle where there is no
//! room for it.
//!
//! In a sandbox a file that a person chose is below the folder of the document portal, under a number that says nothing to them. The portal
//! tells in an extended attribute where it is on the host.
//! <https://flatpak.github.io/xdg-desktop-portal/docs/doc-org.freedesktop.portal.Documents.html>

use std::path::{Path, PathBuf};

use relm4::adw;
use relm4::adw::prelude::*;
use relm4::gtk::{self, gio, glib, pango};

use crate::text;

/// What the portal calls the attribute `user.document-portal.host-path`, in the toolkit's words.
const HOST_PATH: &str = "xattr::document-portal.host-path";

/// A path with the home folder as `~`, as people know it.
pub fn shortened(path: &Path) -> String {
    beneath(&on_host(path), &glib::home_dir())
}

/// Where a file is for the person who chose it.
fn on_host(path: &Path) -> PathBuf {
    let of_user = glib::user_runtime_dir().join("doc");
    known(path, &[&of_user, Path::new("/run/flatpak/doc")])
}

/// Where the file at `path` is on the host, if it is in one of the portal's folders and the portal tells it; else what it is called.
fn known(path: &Path, portals: &[&Path]) -> PathBuf {
    if !portals.iter().any(|portal| path.starts_with(portal)) {
        return path.to_owned();
    }
    let found = gio::File::for_path(path).query_info(
        HOST_PATH,
        gio::FileQueryInfoFlags::NONE,
        gio::Cancellable::NONE,
    );
    let told = found.ok().and_then(|info| info.attribute_string(HOST_PATH));
    match told {
        Some(told) => PathBuf::from(told.as_str()),
        None => PathBuf::from(name(path)),
    }
}

fn beneath(path: &Path, home: &Path) -> String {
    match path.strip_prefix(home) {
        Ok(inside) if inside.as_os_str().is_empty() => "~".to_owned(),
        Ok(inside) => Path::new("~").join(inside).display().to_string(),
        Err(_) => path.display().to_string(),
    }
}

/// What the file at `path` is called.
pub fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

/// The file at `path` in a line of text: its name, and its folder where one is told.
pub fn line(path: &Path) -> String {
    let path = on_host(path);
    match path.parent().filter(|folder| *folder != Path::new("")) {
        Some(folder) => format!("{} · {}", name(&path), shortened(folder)),
        None => name(&path),
    }
}

/// Has `row` show the file at `path`.
pub fn show(row: &adw::ActionRow, path: &Path) {
    let path = &on_host(path);
    row.set_title(&text::escape(&name(path)));
    row.set_subtitle(&text::escape(&shortened(path.parent().unwrap_or(path))));
    row.set_tooltip_text(Some(&shortened(path)));
    row.set_title_lines(1);
    row.set_subtitle_lines(1);
    // Both ends say more than what lies between: an ending, and the folder that the file is in.
    for class in ["title", "subtitle"] {
        if let Some(label) = label(row.upcast_ref(), class) {
            label.set_ellipsize(pango::EllipsizeMode::Middle);
        }
    }
}

/// The label of this style class in `widget`, as rows have one for their title and one for what stands beneath.
pub fn label(widget: &gtk::Widget, class: &str) -> Option<gtk::Label> {
    let found = widget.downcast_ref::<gtk::Label>();
    if let Some(found) = found.filter(|label| label.has_css_class(class)) {
        return Some(found.clone());
    }
    let mut child = widget.first_child();
    while let Some(inner) = child {
        if let Some(found) = label(&inner, class) {
            return Some(found);
        }
        child = inner.next_sibling();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_home_folder_is_short() {
        let home = Path::new("/home/ada");
        for (path, shown) in [
            ("/home/ada", "~"),
            ("/home/ada/Downloads", "~/Downloads"),
            ("/home/adam/Downloads", "/home/adam/Downloads"),
            ("/", "/"),
        ] {
            assert_eq!(beneath(Path::new(path), home), shown);
        }
    }

    #[test]
    fn a_line_has_the_name_before_the_folder() {
        for (path, shown) in [
            ("/srv/images/old.iso", "old.iso · /srv/images"),
            ("disk.qcow2", "disk.qcow2"),
            ("disks/1.qcow2", "1.qcow2 · disks"),
            ("/", "/"),
        ] {
            assert_eq!(line(Path::new(path)), shown);
        }
    }

    #[test]
    fn a_document_of_the_portal_is_shown_where_it_is_on_the_host() {
        let portal = tempfile::tempdir().unwrap();
        let [told, silent] = ["old.iso", "new.iso"].map(|name| portal.path().join(name));
        for file in [&told, &silent] {
            std::fs::write(file, "").unwrap();
        }
        let own = gio::File::for_path(&told).set_attribute_string(
            HOST_PATH,
            "/home/ada/old.iso",
            gio::FileQueryInfoFlags::NONE,
            gio::Cancellable::NONE,
        );
        own.expect("the folder for temporary files has extended attributes");
        let portals = [portal.path()];
        assert_eq!(known(&told, &portals), Path::new("/home/ada/old.iso"));
        assert_eq!(known(&silent, &portals), Path::new("new.iso"));
        assert_eq!(
            known(&portal.path().join("gone"), &portals),
            Path::new("gone")
        );
        assert_eq!(known(&told, &[]), told);
    }

    #[test]
    fn whatever_has_no_name_shows_its_path() {
        assert_eq!(name(Path::new("/srv/a b.iso")), "a b.iso");
        assert_eq!(name(Path::new("/")), "/");
    }
}
