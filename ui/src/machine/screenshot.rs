//! Saving a machine's picture among the person's screenshots.

use std::path::{Path, PathBuf};

use relm4::gtk::glib;

use crate::text::{gettext, gettext_with};

/// Saves `png`, the picture of the machine called `name`, under a name that no file has; tells where. Not for a thread that draws.
///
/// # Errors
/// What was tried and why it failed, as a sentence.
pub fn save(png: &[u8], name: &str) -> Result<PathBuf, String> {
    let pictures =
        glib::user_special_dir(glib::UserDirectory::Pictures).unwrap_or_else(glib::home_dir);
    let folder = pictures.join(gettext("Screenshots"));
    let now = glib::DateTime::now_local().and_then(|now| now.format("%Y-%m-%d %H-%M-%S"));
    let now = now.map_or_else(|_| String::new(), |now| format!(" {now}"));
    save_in(&folder, &format!("{name}{now}"), png)
}

fn save_in(folder: &Path, name: &str, png: &[u8]) -> Result<PathBuf, String> {
    let failed = |path: &Path, error: std::io::Error| {
        gettext_with(
            "{file} could not be written: {reason}.",
            &[("file", &path.display()), ("reason", &error)],
        )
    };
    std::fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    let mut number = 1_u32;
    loop {
        let suffix = if number == 1 {
            String::new()
        } else {
            format!(" {number}")
        };
        let path = folder.join(format!("{name}{suffix}.png"));
        match std::fs::File::create_new(&path) {
            Ok(mut file) => {
                return std::io::Write::write_all(&mut file, png)
                    .map(|()| path.clone())
                    .map_err(|error| failed(&path, error));
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && number < 1000 => {
                number += 1
            }
            Err(error) => return Err(failed(&path, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_screenshot_overwrites_another() {
        let folder = tempfile::tempdir().unwrap();
        let first = save_in(folder.path(), "a", b"1").unwrap();
        let second = save_in(folder.path(), "a", b"2").unwrap();
        assert_ne!(first, second);
        assert_eq!(std::fs::read(first).unwrap(), b"1");
        assert_eq!(std::fs::read(second).unwrap(), b"2");
    }
}
