//! The rows of a machine's disks and optical drives. An optical drive's medium can be changed and ejected, also while the
//! machine runs; the rows say what is wanted, and the page does it.

use std::path::{Path, PathBuf};

use relm4::adw::prelude::*;
use relm4::{adw, gtk};

use crate::access;
use crate::model::{Drive, DriveKind, ImageFormat};
use crate::paths;
use crate::text::{self, gettext, gettext_with};

/// What a person wants done with a drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Put another medium into optical drive number so and so, counting from 0.
    Change(usize),
    /// Take the medium out of it.
    Eject(usize),
}

/// A row for each of `drives`. `current` tells what is in an optical drive now; `wish` takes what a person wants.
pub fn rows(
    folder: &Path,
    drives: &[Drive],
    current: impl Fn(usize, &Drive) -> Option<PathBuf>,
    wish: impl Fn(Wish) + Clone + 'static,
) -> Vec<adw::ActionRow> {
    let mut optical = 0;
    let mut disks = 0;
    let mut row = |drive: &Drive| match drive.kind {
        DriveKind::Disk => {
            disks += 1;
            disk_row(folder, drive, disks)
        }
        DriveKind::Optical => {
            let number = optical;
            optical += 1;
            optical_row(number, current(number, drive), wish.clone())
        }
    };
    drives.iter().map(&mut row).collect()
}

fn disk_row(folder: &Path, drive: &Drive, number: usize) -> adw::ActionRow {
    let format = match drive.format {
        ImageFormat::Raw => "raw",
        ImageFormat::Qcow2 => "qcow2",
    };
    let subtitle = match &drive.file {
        Some(file) => {
            let file_name = paths::line(file);
            let used = std::fs::metadata(folder.join(file)).map(|metadata| {
                let blocks = std::os::unix::fs::MetadataExt::blocks(&metadata);
                text::bytes(blocks.saturating_mul(512))
            });
            match used {
                Ok(used) => gettext_with(
                    "{file} ({format}, {size} used)",
                    &[("file", &file_name), ("format", &format), ("size", &used)],
                ),
                Err(_) => gettext_with(
                    "{file} ({format}, missing)",
                    &[("file", &file_name), ("format", &format)],
                ),
            }
        }
        None => gettext("No image"),
    };
    row(
        &gettext_with("Hard Disk {number}", &[("number", &number)]),
        &subtitle,
        "drive-harddisk-symbolic",
    )
}

fn optical_row(
    number: usize,
    medium: Option<PathBuf>,
    wish: impl Fn(Wish) + Clone + 'static,
) -> adw::ActionRow {
    let subtitle = medium
        .as_ref()
        .map_or_else(|| gettext("Empty"), |file| paths::line(file));
    let title = gettext_with("Optical Drive {number}", &[("number", &(number + 1))]);
    let row = row(&title, &subtitle, "media-optical-symbolic");
    row.set_tooltip_text(medium.as_deref().map(paths::shortened).as_deref());
    let eject = eject_button(&title, medium.is_some());
    let ejected = wish.clone();
    eject.connect_clicked(move |_| ejected(Wish::Eject(number)));
    let change = gtk::Button::builder()
        .label(if medium.is_some() {
            gettext("Change…")
        } else {
            gettext("Insert…")
        })
        .valign(gtk::Align::Center)
        .build();
    change.connect_clicked(move |_| wish(Wish::Change(number)));
    row.add_suffix(&eject);
    row.add_suffix(&change);
    row
}

/// The button that takes the disc out of the drive called `drive`.
pub fn eject_button(drive: &str, holds_disc: bool) -> gtk::Button {
    let button = gtk::Button::builder()
        .icon_name("media-eject-symbolic")
        .tooltip_text(gettext("Eject"))
        .valign(gtk::Align::Center)
        .css_classes(["flat"])
        .visible(holds_disc)
        .build();
    access::name(
        &button,
        &gettext_with("Eject from {drive}", &[("drive", &drive)]),
    );
    button
}

/// What a drive is, before its name.
pub fn drive_image(icon: &str) -> gtk::Image {
    let image = gtk::Image::from_icon_name(icon);
    image.set_accessible_role(gtk::AccessibleRole::Presentation);
    image
}

fn row(title: &str, subtitle: &str, icon: &str) -> adw::ActionRow {
    let row = adw::ActionRow::builder()
        .title(title)
        .subtitle(text::escape(subtitle))
        .subtitle_lines(2)
        .build();
    row.add_prefix(&drive_image(icon));
    row
}
