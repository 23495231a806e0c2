//! Handing files and places to the desktop: its file manager shows them.

use std::path::Path;

use relm4::gtk::{self, gio};

/// Shows the file at `path` in its folder.
pub fn show_in_folder(path: &Path) {
    let launcher = gtk::FileLauncher::new(Some(&gio::File::for_path(path)));
    relm4::spawn_local(async move {
        if let Err(error) = launcher
            .open_containing_folder_future(gtk::Window::NONE)
            .await
        {
            tracing::warn!(%error, "no file manager showed the file");
        }
    });
}

/// Shows what is in the Trash.
pub fn show_trash() {
    let launcher = gtk::UriLauncher::new("trash:///");
    relm4::spawn_local(async move {
        if let Err(error) = launcher.launch_future(gtk::Window::NONE).await {
            tracing::warn!(%error, "no file manager showed the Trash");
        }
    });
}
