//! How files are shown: their names first, then their folders, with the home folder as `~` and without their middle where there is no
//! room for it.

use std::path::Path;

use relm4::adw;
use relm4::adw::prelude::*;
use relm4::gtk::{self, glib, pango};

use crate::text;

/// A path with the home folder as `~`.
pub fn shortened(path: &Path) -> String {
    beneath(path, &glib::home_dir())
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

/// Has `row` show the file at `path`.
pub fn show(row: &adw::ActionRow, path: &Path) {
    row.set_title(&text::escape(&name(path)));
    row.set_subtitle(&text::escape(&shortened(path.parent().unwrap_or(path))));
    row.set_tooltip_text(Some(&path.display().to_string()));
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
    fn whatever_has_no_name_shows_its_path() {
        assert_eq!(name(Path::new("/srv/a b.iso")), "a b.iso");
        assert_eq!(name(Path::new("/")), "/");
    }
}
