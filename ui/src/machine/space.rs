//! A machine stands still because there is no space for its disk: how much there is now, and where a person finds more.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use relm4::adw::prelude::*;
use relm4::gtk::{gio, glib};
use relm4::{adw, gtk};

use crate::access;
use crate::dialogs::launch;
use crate::model::{FaultCause, Machines, Space, State, StoredMachine};
use crate::text::{self, gettext};

/// How often the file system is asked.
const LOOKS: Duration = Duration::from_secs(1);
/// The most machines that are shown.
const MOST: usize = 8;

/// The image that there is no space for, if that is why a machine in `folder` is paused.
pub fn wanted_by(state: &State, folder: &Path) -> Option<PathBuf> {
    match state {
        State::Paused {
            reason: Some(reason),
        } if reason.cause == FaultCause::NoSpace => Some(folder.join(&reason.file)),
        _ => None,
    }
}

/// Looks again and again how much space there is where a file is, as long as this lives.
pub struct Watch(glib::JoinHandle<()>);

impl Watch {
    /// Tells `show` the free bytes where `file` is.
    pub fn new(file: &Path, show: impl Fn(u64) + 'static) -> Self {
        let folder = file.parent().unwrap_or(file).to_owned();
        Self(glib::spawn_future_local(async move {
            loop {
                let folder = folder.clone();
                // A file system that does not answer must not keep the window.
                let space = gio::spawn_blocking(move || Space::of(&folder)).await;
                if let Ok(Ok(space)) = space {
                    show(space.available);
                }
                glib::timeout_future(LOOKS).await;
            }
        }))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Shows over `root` what frees space for `file`, the image that a machine waits with. `open` goes to the machine in a folder.
pub async fn show(
    machines: Arc<Machines>,
    file: PathBuf,
    root: gtk::Widget,
    open: impl Fn(PathBuf) + Clone + 'static,
) {
    let near = file.clone();
    let others = relm4::spawn_blocking(move || machines.off_beside(&near));
    let others = others.await.unwrap_or_default();
    let dialog = adw::Dialog::builder()
        .title(gettext("Free Space"))
        .content_width(460)
        .build();
    let page = adw::PreferencesPage::new();
    page.add(&places(&file, &dialog));
    if !others.is_empty() {
        page.add(&takers(&others, &dialog, &open));
    }
    let resume = gtk::Button::builder()
        .label(gettext("Resume the Machine"))
        .action_name("machine.start")
        .halign(gtk::Align::Center)
        .margin_top(6)
        .margin_bottom(12)
        .css_classes(["pill", "suggested-action"])
        .build();
    let closing = dialog.clone();
    resume.connect_clicked(move |_| {
        closing.close();
    });
    let view = adw::ToolbarView::builder().content(&page).build();
    view.add_top_bar(&adw::HeaderBar::new());
    view.add_bottom_bar(&resume);
    dialog.set_child(Some(&view));
    dialog.present(Some(&root));
}

fn row(title: &str, subtitle: &str) -> adw::ActionRow {
    adw::ActionRow::builder()
        .title(text::escape(title))
        .subtitle(text::escape(subtitle))
        .build()
}

/// A row that leads somewhere.
fn leading(title: &str, subtitle: &str) -> adw::ActionRow {
    let row = row(title, subtitle);
    row.set_activatable(true);
    let arrow = gtk::Image::builder()
        .icon_name("go-next-symbolic")
        .accessible_role(gtk::AccessibleRole::Presentation)
        .build();
    row.add_suffix(&arrow);
    access::name(&row, title);
    row
}

/// Where the disk is, and the Trash.
fn places(file: &Path, dialog: &adw::Dialog) -> adw::PreferencesGroup {
    let group = adw::PreferencesGroup::builder()
        .description(gettext(
            "The guest waits, and nothing of it is lost. It goes on once there is room for its disk.",
        ))
        .build();
    let free = row(&gettext("Free Where the Disk Is"), "");
    free.add_css_class("property");
    let shown = free.clone();
    let watch = Watch::new(file, move |bytes| shown.set_subtitle(&text::bytes(bytes)));
    let watch = std::cell::Cell::new(Some(watch));
    dialog.connect_closed(move |_| drop(watch.take()));
    group.add(&free);
    let folder = file.parent().unwrap_or(file).to_string_lossy();
    let show = leading(&gettext("Show the Disk in Its Folder"), &folder);
    let file = file.to_owned();
    show.connect_activated(move |_| launch::show_in_folder(&file));
    group.add(&show);
    let trash = leading(
        &gettext("Show the Trash"),
        &gettext("What was deleted takes up space until the Trash is emptied"),
    );
    trash.connect_activated(|_| launch::show_trash());
    group.add(&trash);
    group
}

/// Machines that take up space there.
fn takers(
    machines: &[(StoredMachine, u64)],
    dialog: &adw::Dialog,
    open: &(impl Fn(PathBuf) + Clone + 'static),
) -> adw::PreferencesGroup {
    let group = adw::PreferencesGroup::builder()
        .title(gettext("Machines That Are Off"))
        .description(gettext(
            "They have their disks there, too. Compact those, delete snapshots, or delete machines that nobody needs.",
        ))
        .build();
    for (machine, used) in machines.iter().take(MOST) {
        let row = leading(machine.definition.name.as_str(), &text::bytes(*used));
        let (folder, open) = (machine.folder.clone(), open.clone());
        let dialog = dialog.clone();
        row.connect_activated(move |_| {
            dialog.close();
            open(folder.clone());
        });
        group.add(&row);
    }
    group
}
