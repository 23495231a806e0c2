//! A topic's row in the list: what the topic comes to, in a few words, and whether something speaks against it.

use relm4::adw::prelude::*;
use relm4::gtk;

use super::TOPICS;
use super::topic::View;
use crate::access;
use crate::model::{Clock, DriveKind, Generation, Severity};
use crate::network::switch_name;
use crate::text::{self, gettext, gettext_with, ngettext_with};

/// A topic's row in the list.
pub struct Mark {
    pub row: gtk::ListBoxRow,
    summary: gtk::Label,
    icon: gtk::Image,
}

impl Mark {
    /// A row called `title`.
    pub fn new(title: &str, icon: &str) -> Self {
        let label = |text: &str, classes: &[&str]| {
            gtk::Label::builder()
                .label(text)
                .xalign(0.0)
                .ellipsize(gtk::pango::EllipsizeMode::End)
                .css_classes(classes)
                .build()
        };
        let summary = label("", &["caption", "dimmed"]);
        let texts = gtk::Box::builder()
            .orientation(gtk::Orientation::Vertical)
            .valign(gtk::Align::Center)
            .hexpand(true)
            .build();
        texts.append(&label(title, &[]));
        texts.append(&summary);
        let picture = gtk::Image::from_icon_name(icon);
        let icon = gtk::Image::new();
        for image in [&picture, &icon] {
            image.set_accessible_role(gtk::AccessibleRole::Presentation);
        }
        let content = gtk::Box::builder()
            .spacing(12)
            .margin_top(6)
            .margin_bottom(6)
            .build();
        content.append(&picture);
        content.append(&texts);
        content.append(&icon);
        let row = gtk::ListBoxRow::builder().child(&content).build();
        Self { row, summary, icon }
    }

    /// Shows what the topic comes to, and the worst of what speaks against it.
    pub fn show(&self, title: &str, summary: &str, worst: Option<Severity>) {
        self.summary.set_label(summary);
        self.summary.set_visible(!summary.is_empty());
        let (icon, class) = match worst {
            Some(Severity::Error) => ("dialog-error-symbolic", "error"),
            Some(Severity::Warning) => ("dialog-warning-symbolic", "warning"),
            None => ("", ""),
        };
        self.icon.set_visible(worst.is_some());
        self.icon
            .set_icon_name(Some(icon).filter(|icon| !icon.is_empty()));
        self.icon.set_css_classes(&[class]);
        let name = match summary {
            "" => title.to_owned(),
            summary => format!("{title}, {summary}"),
        };
        let places: &[(&str, &dyn std::fmt::Display)] = &[("topic", &name)];
        access::name(
            &self.row,
            &match worst {
                Some(Severity::Error) => gettext_with("{topic}, has an error", places),
                Some(Severity::Warning) => gettext_with("{topic}, has a warning", places),
                None => name.clone(),
            },
        );
    }
}

/// What each topic comes to, in a few words.
pub fn summaries(view: &View) -> [String; TOPICS.len()] {
    let definition = &view.definition;
    let of_kind = |kind: DriveKind| {
        let drives = definition.drives.iter();
        drives.filter(|drive| drive.kind == kind).count() as u64
    };
    let disks = of_kind(DriveKind::Disk);
    let disks = (disks > 0).then(|| ngettext_with("{number} disk", "{number} disks", disks, &[]));
    let optical = of_kind(DriveKind::Optical);
    let optical =
        (optical > 0).then(|| ngettext_with("{number} optical", "{number} optical", optical, &[]));
    let drives: Vec<String> = disks.into_iter().chain(optical).collect();
    let network = match definition.networks.as_slice() {
        [] => gettext("No card"),
        [card] => switch_name(&card.switch),
        cards => ngettext_with("{number} card", "{number} cards", cards.len() as u64, &[]),
    };
    [
        String::new(),
        ngettext_with(
            "{number} processor",
            "{number} processors",
            u64::from(definition.processor.count),
            &[],
        ),
        text::bytes(definition.memory.bytes()),
        match definition.generation {
            Generation::One => gettext("Generation 1, BIOS"),
            Generation::Two if definition.firmware.secure_boot => {
                gettext("Generation 2, Secure Boot")
            }
            Generation::Two => gettext("Generation 2, UEFI"),
        },
        if drives.is_empty() {
            gettext("None")
        } else {
            drives.join(", ")
        },
        network,
        match (definition.devices.graphics, definition.devices.input) {
            (true, true) => gettext("Virtio, tablet and PS/2"),
            (true, false) => gettext("Virtio, PS/2"),
            (false, true) => gettext("VGA, tablet and PS/2"),
            (false, false) => gettext("VGA, PS/2"),
        },
        match definition.clock {
            Clock::Utc => gettext("Universal time"),
            Clock::Local => gettext("Local time"),
        },
    ]
}
