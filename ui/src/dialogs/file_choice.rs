//! Choosing a file: through the desktop's portal, which also works from a sandbox, or with GTK's own dialog where no portal
//! answers. Whether one does is only known by asking it. GTK's dialog asks the portal again where there is one, and GTK 4.18 does not survive an
//! answer that is an error: such a one is told instead.

use std::path::PathBuf;

use super::question;
use crate::text::gettext;
use ashpd::desktop::ResponseError;
use ashpd::desktop::file_chooser::{FileFilter, SelectedFiles};
use ashpd::{Error, WindowIdentifier};
use relm4::adw::prelude::*;
use relm4::gtk::{self, glib};

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// Optical media.
    Optical,
    /// Hard disks' images.
    Disk,
    /// Either, or a machine that was packed up.
    Any,
    /// What a machine can be made of that other programs made.
    Import,
    /// Machines' backups.
    Backup,
}

impl FileKind {
    fn filter(self) -> Option<(String, Vec<&'static str>)> {
        const OPTICAL: [&str; 2] = ["*.iso", "*.ISO"];
        const DISK: [&str; 4] = ["*.qcow2", "*.img", "*.raw", "*.IMG"];
        const FOREIGN: [&str; 6] = ["*.vmdk", "*.vdi", "*.vhd", "*.vhdx", "*.ova", "*.ovf"];
        match self {
            Self::Optical => Some((gettext("Optical media"), OPTICAL.to_vec())),
            Self::Disk => Some((gettext("Disk images"), DISK.to_vec())),
            Self::Any => Some((
                gettext("Media, disk images and machines"),
                [OPTICAL.as_slice(), &DISK, &FOREIGN].concat(),
            )),
            Self::Import => Some((
                gettext("Machines and disk images"),
                [FOREIGN.as_slice(), &DISK].concat(),
            )),
            Self::Backup => Some((gettext("Backups of machines"), vec!["*.tar.zst"])),
        }
    }
}

/// Lets a person choose where a file is to be written, called `name` unless they say otherwise; nothing if they chose no place.
pub async fn save(widget: &impl IsA<gtk::Widget>, title: &str, name: &str) -> Option<PathBuf> {
    let window = widget.root().and_downcast::<gtk::Window>();
    let by_portal = async {
        SelectedFiles::save_file()
            .identifier(identifier(window.as_ref()).await)
            .title(title)
            .accept_label(gettext("Save").as_str())
            .current_name(name)
            .modal(true)
            .send()
            .await?
            .response()
    };
    let by_toolkit = async {
        let dialog = gtk::FileDialog::builder()
            .title(title)
            .accept_label(gettext("Save"))
            .initial_name(name)
            .modal(true)
            .build();
        dialog.save_future(window.as_ref()).await
    };
    chosen(widget, by_portal, by_toolkit).await
}

/// Lets a person choose a file for what `widget`'s window does; nothing if they chose none.
pub async fn open(widget: &impl IsA<gtk::Widget>, title: &str, kind: FileKind) -> Option<PathBuf> {
    let window = widget.root().and_downcast::<gtk::Window>();
    chosen(
        widget,
        by_portal(window.as_ref(), title, kind),
        by_toolkit(window.as_ref(), title, kind),
    )
    .await
}

/// Lets a person choose a folder for what `widget`'s window does; nothing if they chose none.
pub async fn folder(widget: &impl IsA<gtk::Widget>, title: &str) -> Option<PathBuf> {
    let window = widget.root().and_downcast::<gtk::Window>();
    let by_portal = async {
        SelectedFiles::open_file()
            .identifier(identifier(window.as_ref()).await)
            .title(title)
            .accept_label(gettext("Choose").as_str())
            .directory(true)
            .modal(true)
            .send()
            .await?
            .response()
    };
    let by_toolkit = async {
        let dialog = gtk::FileDialog::builder()
            .title(title)
            .accept_label(gettext("Choose"))
            .modal(true)
            .build();
        dialog.select_folder_future(window.as_ref()).await
    };
    chosen(widget, by_portal, by_toolkit).await
}

/// What is chosen in the portal's dialog, or where no portal shows one in the toolkit's.
async fn chosen(
    widget: &impl IsA<gtk::Widget>,
    by_portal: impl Future<Output = Result<SelectedFiles, Error>>,
    by_toolkit: impl Future<Output = Result<gtk::gio::File, glib::Error>>,
) -> Option<PathBuf> {
    match by_portal.await {
        Ok(files) => gtk::gio::File::for_uri(files.uris().first()?.as_str()).path(),
        Err(Error::Response(ResponseError::Cancelled)) => None,
        Err(Error::Response(error)) => {
            refused(widget, error);
            None
        }
        Err(error) => {
            tracing::debug!(%error, "no portal shows a dialog for files; GTK's own is used");
            by_toolkit.await.ok()?.path()
        }
    }
}

async fn identifier(window: Option<&gtk::Window>) -> Option<WindowIdentifier> {
    match window {
        Some(window) => WindowIdentifier::from_native(window).await,
        None => None,
    }
}

fn refused(widget: &impl IsA<gtk::Widget>, error: ResponseError) {
    tracing::warn!(%error, "the portal's dialog for files failed");
    question::error(
        widget,
        &gettext("No File Could Be Chosen"),
        &gettext(
            "The desktop’s dialog for files ended with an error. Try again; if that changes nothing, log in anew.",
        ),
    );
}

async fn by_portal(
    window: Option<&gtk::Window>,
    title: &str,
    kind: FileKind,
) -> Result<SelectedFiles, Error> {
    let mut request = SelectedFiles::open_file()
        .identifier(identifier(window).await)
        .title(title)
        .accept_label(gettext("Choose").as_str())
        .modal(true);
    if let Some((name, globs)) = kind.filter() {
        let filter = globs
            .iter()
            .fold(FileFilter::new(&name), |filter, glob| filter.glob(glob));
        request = request
            .filter(filter)
            .filter(FileFilter::new(&gettext("All files")).glob("*"));
    }
    request.send().await?.response()
}

async fn by_toolkit(
    window: Option<&gtk::Window>,
    title: &str,
    kind: FileKind,
) -> Result<gtk::gio::File, glib::Error> {
    let filters = gtk::gio::ListStore::new::<gtk::FileFilter>();
    if let Some((name, globs)) = kind.filter() {
        let filter = gtk::FileFilter::new();
        filter.set_name(Some(&name));
        for glob in globs {
            filter.add_pattern(glob);
        }
        filters.append(&filter);
        let all = gtk::FileFilter::new();
        all.set_name(Some(&gettext("All files")));
        all.add_pattern("*");
        filters.append(&all);
    }
    let dialog = gtk::FileDialog::builder()
        .title(title)
        .accept_label(gettext("Choose"))
        .modal(true)
        .filters(&filters)
        .build();
    dialog.open_future(window).await
}
