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
use relm4::gtk;

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
    let identifier = match &window {
        Some(window) => WindowIdentifier::from_native(window).await,
        None => None,
    };
    let request = SelectedFiles::save_file()
        .identifier(identifier)
        .title(title)
        .accept_label(gettext("Save").as_str())
        .current_name(name)
        .modal(true);
    let by_portal = async { request.send().await?.response() };
    match by_portal.await {
        Ok(files) => {
            let uri = files.uris().first().map(|uri| uri.as_str().to_owned())?;
            gtk::gio::File::for_uri(&uri).path()
        }
        Err(Error::Response(ResponseError::Cancelled)) => None,
        Err(Error::Response(error)) => {
            refused(widget, error);
            None
        }
        Err(error) => {
            tracing::debug!(%error, "no portal let a file be named; GTK's own dialog is used");
            let dialog = gtk::FileDialog::builder()
                .title(title)
                .accept_label(gettext("Save"))
                .initial_name(name)
                .modal(true)
                .build();
            dialog.save_future(window.as_ref()).await.ok()?.path()
        }
    }
}

/// Lets a person choose a file for what `widget`'s window does; nothing if they chose none.
pub async fn open(widget: &impl IsA<gtk::Widget>, title: &str, kind: FileKind) -> Option<PathBuf> {
    let window = widget.root().and_downcast::<gtk::Window>();
    match by_portal(window.as_ref(), title, kind).await {
        Ok(path) => path,
        Err(Error::Response(ResponseError::Cancelled)) => None,
        Err(Error::Response(error)) => {
            refused(widget, error);
            None
        }
        Err(error) => {
            tracing::debug!(%error, "no portal let a file be chosen; GTK's own dialog is used");
            by_toolkit(window.as_ref(), title, kind).await
        }
    }
}

/// Lets a person choose a folder for what `widget`'s window does; nothing if they chose none.
pub async fn folder(widget: &impl IsA<gtk::Widget>, title: &str) -> Option<PathBuf> {
    let window = widget.root().and_downcast::<gtk::Window>();
    let identifier = match &window {
        Some(window) => WindowIdentifier::from_native(window).await,
        None => None,
    };
    let request = SelectedFiles::open_file()
        .identifier(identifier)
        .title(title)
        .accept_label(gettext("Choose").as_str())
        .directory(true)
        .modal(true);
    let by_portal = async { request.send().await?.response() };
    match by_portal.await {
        Ok(files) => {
            let uri = files.uris().first().map(|uri| uri.as_str().to_owned())?;
            gtk::gio::File::for_uri(&uri).path()
        }
        Err(Error::Response(ResponseError::Cancelled)) => None,
        Err(Error::Response(error)) => {
            refused(widget, error);
            None
        }
        Err(error) => {
            tracing::debug!(%error, "no portal let a folder be chosen; GTK's own dialog is used");
            let dialog = gtk::FileDialog::builder()
                .title(title)
                .accept_label(gettext("Choose"))
                .modal(true)
                .build();
            let chosen = dialog.select_folder_future(window.as_ref());
            chosen.await.ok()?.path()
        }
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
) -> Result<Option<PathBuf>, Error> {
    let identifier = match window {
        Some(window) => WindowIdentifier::from_native(window).await,
        None => None,
    };
    let mut request = SelectedFiles::open_file()
        .identifier(identifier)
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
    let files = request.send().await?.response()?;
    let uri = files.uris().first().map(|uri| uri.as_str().to_owned());
    Ok(uri.and_then(|uri| gtk::gio::File::for_uri(&uri).path()))
}

async fn by_toolkit(window: Option<&gtk::Window>, title: &str, kind: FileKind) -> Option<PathBuf> {
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
    dialog.open_future(window).await.ok()?.path()
}
