//! The rows of the Snapshots view: a snapshot each, with lines from the one before it, and the machine as it is now.

use relm4::adw::prelude::*;
use relm4::gtk::{gio, glib};
use relm4::{adw, gtk};
use uuid::Uuid;

use super::branch::{self, Branch, Lines};
use crate::access;
use crate::model::Snapshot;
use crate::text::{self, gettext, gettext_with};

/// What a person wants of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Bring the machine back to it.
    Revert,
    /// Delete it.
    Delete,
    /// Give it another name.
    Describe,
    /// Make a machine from it.
    Branch,
}

/// Takes what a person wants of one snapshot.
pub type Wisher = Box<dyn Fn(Wish)>;

/// The width and height of a screen's picture in pixels, as in the list of machines.
const PICTURE: (i32, i32) = (64, 48);

/// Rows for `snapshots`, and for the machine as it is now beneath the one that it goes on from.
pub fn rows(
    snapshots: &[Snapshot],
    able: bool,
    wisher: impl Fn(Uuid) -> Wisher,
) -> Vec<adw::ActionRow> {
    let mut shown = Vec::new();
    for snapshot in snapshots {
        shown.push((snapshot.depth, Some(snapshot)));
        if snapshot.current {
            shown.push((snapshot.depth + 1, None));
        }
    }
    if !snapshots.iter().any(|snapshot| snapshot.current) {
        shown.push((0, None));
    }
    let levels: Vec<usize> = shown.iter().map(|(level, _)| *level).collect();
    let lines = branch::lines(&levels).into_iter();
    let rows = shown.into_iter().zip(lines);
    rows.map(|((level, snapshot), lines)| {
        let row = match snapshot {
            Some(snapshot) => snapshot_row(snapshot, lines, able, wisher(snapshot.id)),
            None => now_row(lines),
        };
        // What the lines say to those who do not see them.
        let level = i32::try_from(level + 1).unwrap_or(i32::MAX);
        row.upcast_ref::<gtk::Widget>()
            .update_property(&[gtk::accessible::Property::Level(level)]);
        row
    })
    .collect()
}

fn snapshot_row(snapshot: &Snapshot, lines: Lines, able: bool, wisher: Wisher) -> adw::ActionRow {
    let mut facts = vec![time(snapshot.created), text::bytes(snapshot.size)];
    if snapshot.has_clones {
        facts.push(gettext("base of another machine"));
    }
    let mut subtitle = facts.join(" · ");
    if !snapshot.notes.is_empty() {
        subtitle.push('\n');
        subtitle.push_str(&snapshot.notes);
    }
    let row = adw::ActionRow::builder()
        .title(text::escape(&snapshot.name))
        .subtitle(text::escape(&subtitle))
        .subtitle_lines(3)
        .build();
    row.add_prefix(&Branch::new(lines, &picture(snapshot)));
    let group = gio::SimpleActionGroup::new();
    let wisher = std::rc::Rc::new(wisher);
    for (name, wish) in [
        ("revert", Wish::Revert),
        ("delete", Wish::Delete),
        ("describe", Wish::Describe),
        ("branch", Wish::Branch),
    ] {
        let action = gio::SimpleAction::new(name, None);
        action.set_enabled(able);
        let wisher = std::rc::Rc::clone(&wisher);
        action.connect_activate(move |_, _| wisher(wish));
        group.add_action(&action);
    }
    row.insert_action_group("snapshot", Some(&group));
    let revert = gtk::Button::builder()
        .icon_name("edit-undo-symbolic")
        .tooltip_text(gettext("Revert to This Snapshot"))
        .valign(gtk::Align::Center)
        .css_classes(["flat"])
        .action_name("snapshot.revert")
        .build();
    access::name(
        &revert,
        &gettext_with("Revert to {name}", &[("name", &snapshot.name)]),
    );
    row.add_suffix(&revert);
    let menu = gio::Menu::new();
    menu.append(Some(&gettext("_New Machine…")), Some("snapshot.branch"));
    menu.append(Some(&gettext("_Rename…")), Some("snapshot.describe"));
    menu.append(Some(&gettext("_Delete")), Some("snapshot.delete"));
    let more = gtk::MenuButton::builder()
        .icon_name("view-more-symbolic")
        .tooltip_text(gettext("More"))
        .valign(gtk::Align::Center)
        .css_classes(["flat"])
        .menu_model(&menu)
        .build();
    access::name(
        &more,
        &gettext_with("More for {name}", &[("name", &snapshot.name)]),
    );
    row.add_suffix(&more);
    row
}

/// The screen at the time, or a sign for a snapshot that has none.
fn picture(snapshot: &Snapshot) -> gtk::Widget {
    let texture = snapshot
        .screen
        .as_ref()
        .and_then(|file| gtk::gdk::Texture::from_filename(file).ok());
    match texture {
        Some(texture) => {
            let picture = gtk::Picture::for_paintable(&texture);
            picture.set_content_fit(gtk::ContentFit::Cover);
            picture.set_can_shrink(true);
            picture.set_height_request(PICTURE.1);
            picture.set_overflow(gtk::Overflow::Hidden);
            picture.add_css_class("machine-tile");
            picture.set_accessible_role(gtk::AccessibleRole::Presentation);
            adw::Clamp::builder()
                .maximum_size(PICTURE.0)
                .tightening_threshold(PICTURE.0)
                .valign(gtk::Align::Center)
                .margin_top(6)
                .margin_bottom(6)
                .child(&picture)
                .build()
                .upcast()
        }
        None => sign("camera-photo-symbolic").upcast(),
    }
}

fn sign(icon: &str) -> gtk::Image {
    let image = gtk::Image::from_icon_name(icon);
    image.set_accessible_role(gtk::AccessibleRole::Presentation);
    image.set_valign(gtk::Align::Center);
    image
}

fn now_row(lines: Lines) -> adw::ActionRow {
    let row = adw::ActionRow::builder()
        .title(gettext("Now"))
        .subtitle(gettext("The machine as it is"))
        .build();
    let image = sign("computer-symbolic");
    image.add_css_class("accent");
    row.add_prefix(&Branch::new(lines, &image));
    row
}

/// A time as people write it.
fn time(milliseconds: i64) -> String {
    // Translators: a day and a time, as g_date_time_format() takes it.
    let format = gettext("%-e %B %Y, %H:%M");
    glib::DateTime::from_unix_local(milliseconds / 1000)
        .and_then(|time| time.format(&format))
        .map_or_else(|_| String::new(), Into::into)
}
