//! Whether the program is there from the session's start on, without a window. What the desktop starts with the session stands in
//! `autostart` of the user's settings; from within a sandbox the portal is asked to write it.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use ashpd::desktop::background::Background;
use relm4::adw;
use relm4::adw::prelude::*;
use relm4::gtk::glib;

use super::{SESSION, Settings};
use crate::APPLICATION_ID;
use crate::dialogs::question;
use crate::text::{self, gettext, gettext_with};

/// What the program is started with.
const ARGUMENTS: [&str; 2] = ["open", "--background"];

/// The switch.
pub fn row(settings: &Settings) -> adw::SwitchRow {
    let row = adw::SwitchRow::builder()
        .title(gettext("Start with the Session"))
        .subtitle(gettext(
            "Guesthouse waits in the background, and its window opens at once",
        ))
        .active(is_on(settings))
        .build();
    let busy = Rc::<Cell<bool>>::default();
    let settings = settings.clone();
    row.connect_active_notify(move |row| {
        if busy.replace(true) {
            return;
        }
        let (row, settings, busy) = (row.clone(), settings.clone(), Rc::clone(&busy));
        relm4::spawn_local(async move {
            let wanted = row.is_active();
            if let Err(reason) = set(&settings, wanted).await {
                question::error(&row, &gettext("The change was not saved"), &reason);
            }
            row.set_active(is_on(&settings));
            busy.set(false);
        });
    });
    row
}

fn is_on(settings: &Settings) -> bool {
    if is_sandboxed() {
        settings
            .0
            .as_ref()
            .is_some_and(|settings| settings.boolean(SESSION))
    } else {
        entry().exists()
    }
}

async fn set(settings: &Settings, on: bool) -> Result<(), String> {
    if is_sandboxed() {
        let granted = ask_portal(on).await.map_err(|error| {
            gettext_with(
                "The desktop’s portal did not do it: {reason}",
                &[("reason", &text::sentence(&error))],
            )
        })?;
        settings.set(SESSION, granted);
        return if granted == on {
            Ok(())
        } else {
            Err(gettext("The desktop does not allow it."))
        };
    }
    let file = entry();
    let written = if on { write(&file) } else { remove(&file) };
    written.map_err(|error| {
        gettext_with(
            "{file} could not be written: {reason}.",
            &[("file", &file.display()), ("reason", &error)],
        )
    })
}

/// Whether the program can only reach what portals give it.
pub fn is_sandboxed() -> bool {
    Path::new("/.flatpak-info").exists()
}

/// Asks for a start with the session, or for none; tells what there will be.
async fn ask_portal(on: bool) -> Result<bool, ashpd::Error> {
    let request = Background::request()
        .reason(gettext("Guesthouse starts with the session").as_str())
        .auto_start(on)
        .dbus_activatable(false)
        .command(["guesthouse"].into_iter().chain(ARGUMENTS));
    Ok(request.send().await?.response()?.auto_start())
}

fn entry() -> PathBuf {
    let folder = glib::user_config_dir().join("autostart");
    folder.join(format!("{APPLICATION_ID}.desktop"))
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn write(file: &Path) -> io::Result<()> {
    let program = std::env::current_exe()?;
    let program = command_beside(&program)
        .ok_or_else(|| io::Error::other(gettext("the program guesthouse was not found")))?;
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let temporary = file.with_extension("new");
    let mut entry = File::create(&temporary)?;
    entry.write_all(written(&program).as_bytes())?;
    entry.sync_all()?;
    fs::rename(&temporary, file)
}

/// The command line's program that belongs to `window`, the window's: beside it, or in `bin/` of the prefix.
fn command_beside(window: &Path) -> Option<PathBuf> {
    const NAME: &str = "guesthouse";
    let beside = window.with_file_name(NAME);
    let installed = window.ancestors().nth(3)?.join("bin").join(NAME);
    [beside, installed].into_iter().find(|path| path.is_file())
}

/// The desktop entry that starts `program`, by the Desktop Entry Specification's rules for `Exec`.
fn written(program: &Path) -> String {
    let mut quoted = String::new();
    for character in program.to_string_lossy().chars() {
        match character {
            '"' | '`' | '$' | '\\' => quoted.extend(['\\', character]),
            '%' => quoted.push_str("%%"),
            _ => quoted.push(character),
        }
    }
    let arguments = ARGUMENTS.join(" ");
    let entry = glib::KeyFile::new();
    for (key, value) in [
        (
            glib::KEY_FILE_DESKTOP_KEY_TYPE,
            glib::KEY_FILE_DESKTOP_TYPE_APPLICATION.as_str(),
        ),
        (glib::KEY_FILE_DESKTOP_KEY_NAME, "Guesthouse"),
        (glib::KEY_FILE_DESKTOP_KEY_ICON, APPLICATION_ID),
        (
            glib::KEY_FILE_DESKTOP_KEY_EXEC,
            &format!("\"{quoted}\" {arguments}"),
        ),
    ] {
        entry.set_string(glib::KEY_FILE_DESKTOP_GROUP, key, value);
    }
    entry.to_data().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_quoted() {
        for (program, exec) in [
            ("/usr/bin/guesthouse", r#""/usr/bin/guesthouse""#),
            ("/a b/100%", r#""/a b/100%%""#),
            (r#"/a"$\"#, r#""/a\\"\\$\\\\""#),
        ] {
            let entry = written(Path::new(program));
            let line = format!("\nExec={exec} open --background\n");
            assert!(entry.contains(&line), "{entry}");
        }
    }
}
