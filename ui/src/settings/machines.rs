//! The preferences' page about machines: what new ones are like, where they are, and who else sees them.

use relm4::adw::prelude::*;
use relm4::{adw, gtk};

use super::dialog::choice;
use super::{DISK_SIZE, MEMORY, PROCESSORS, START, Settings, VIEWERS, session};
use crate::access;
use crate::dialogs::{file_choice, question};
use crate::model::{Host, Library, Viewers};
use crate::paths;
use crate::text::{self, gettext, ngettext_with};

/// What people usually choose, in the settings' units: MiB, and GiB.
const MEMORIES: [u32; 8] = [512, 1024, 2048, 4096, 6144, 8192, 16_384, 32_768];
const DISK_SIZES: [u32; 8] = [10, 20, 40, 60, 100, 200, 500, 1000];
const PROCESSOR_COUNTS: [u32; 7] = [1, 2, 3, 4, 6, 8, 16];

/// The page, for `dialog`.
pub fn page(settings: &Settings, dialog: &adw::PreferencesDialog) -> adw::PreferencesPage {
    let page = adw::PreferencesPage::builder()
        .title(gettext("Machines"))
        .icon_name("computer-symbolic")
        .build();
    page.add(&new_machines(settings));
    page.add(&places(dialog));
    page.add(&viewers(settings));
    page
}

fn new_machines(settings: &Settings) -> adw::PreferencesGroup {
    let group = adw::PreferencesGroup::builder()
        .title(gettext("New Machines"))
        .description(gettext(
            "What the New Machine window suggests; each time, you can decide otherwise",
        ))
        .build();
    let host = Host::inspect().ok();
    let fits = |value: u32, most: Option<u64>| most.is_none_or(|most| u64::from(value) <= most);
    let processors = host.as_ref().map(|host| u64::from(host.processors));
    let counts = PROCESSOR_COUNTS.into_iter();
    let counts = counts.filter(|count| fits(*count, processors)).collect();
    let title = gettext("Processors");
    group.add(&number(settings, PROCESSORS, &title, counts, |count| {
        let words = ("{number} processor", "{number} processors");
        ngettext_with(words.0, words.1, count.into(), &[])
    }));
    let memory = host.as_ref().map(|host| host.memory >> 20);
    let memories = MEMORIES.into_iter();
    let memories = memories.filter(|memory_| fits(*memory_, memory)).collect();
    let title = gettext("Memory");
    group.add(&number(settings, MEMORY, &title, memories, |mebibytes| {
        text::bytes(u64::from(mebibytes) << 20)
    }));
    let title = gettext("Disk Size");
    let sizes = DISK_SIZES.to_vec();
    group.add(&number(settings, DISK_SIZE, &title, sizes, |gibibytes| {
        text::bytes(u64::from(gibibytes) << 30)
    }));
    let start = adw::SwitchRow::builder()
        .title(gettext("Start New Machines at Once"))
        .build();
    if let Some(settings) = &settings.0 {
        settings.bind(START, &start, "active").build();
    }
    group.add(&start);
    group
}

/// A row with the `usual` numbers of a setting, and with the one that is kept now; 0 leaves it to the operating system.
fn number(
    settings: &Settings,
    key: &'static str,
    title: &str,
    mut usual: Vec<u32>,
    label: impl Fn(u32) -> String,
) -> adw::ComboRow {
    let kept = settings.0.as_ref().map_or(0, |settings| settings.uint(key));
    usual.push(0);
    usual.push(kept);
    usual.sort_unstable();
    usual.dedup();
    let names = usual.iter().map(|number| match number {
        0 => gettext("As the operating system suggests"),
        number => label(*number),
    });
    let chosen = usual.iter().position(|number| *number == kept);
    let row = adw::ComboRow::builder()
        .title(title)
        .use_subtitle(true)
        .model(&names.collect::<gtk::StringList>())
        .selected(
            chosen
                .and_then(|number| u32::try_from(number).ok())
                .unwrap_or(0),
        )
        .build();
    let settings = settings.clone();
    row.connect_selected_notify(move |row| {
        let chosen = usize::try_from(row.selected()).ok();
        if let Some(number) = chosen.and_then(|number| usual.get(number)) {
            settings.set(key, *number);
        }
    });
    row
}

/// Where machines are.
fn places(dialog: &adw::PreferencesDialog) -> adw::PreferencesGroup {
    let group = adw::PreferencesGroup::builder()
        .title(gettext("Folder"))
        .build();
    let row = adw::ActionRow::builder()
        .title(gettext("Machines and Their Disks"))
        .css_classes(["property"])
        .build();
    let usual = gtk::Button::builder()
        .icon_name("edit-undo-symbolic")
        .tooltip_text(gettext("Use the Usual Folder"))
        .valign(gtk::Align::Center)
        .css_classes(["flat"])
        .build();
    access::name(&usual, &gettext("Use the Usual Folder"));
    let choose = gtk::Button::builder()
        .label(gettext("Choose…"))
        .valign(gtk::Align::Center)
        .build();
    row.add_suffix(&usual);
    row.add_suffix(&choose);
    group.add(&row);
    show_place(&row, &usual);
    if session::is_sandboxed() {
        // A folder that a portal gives is no place for disks that are worked on.
        choose.set_visible(false);
        usual.set_visible(false);
        group.set_description(Some(&gettext(
            "A sandboxed program keeps them in its own folder",
        )));
        return group;
    }
    let (shown, button, over) = (row.downgrade(), usual.downgrade(), dialog.downgrade());
    let keep = move |folder: Option<std::path::PathBuf>| {
        let (shown, button, over) = (shown.clone(), button.clone(), over.clone());
        relm4::spawn_local(async move {
            let kept = relm4::spawn_blocking(move || Library::choose_folder(folder.as_deref()));
            let kept = kept.await;
            let (Some(row), Some(usual), Some(dialog)) =
                (shown.upgrade(), button.upgrade(), over.upgrade())
            else {
                return;
            };
            match kept {
                Ok(Ok(())) => {
                    show_place(&row, &usual);
                    let said = gettext(
                        "Used from the next start of Guesthouse on; machines stay where they are",
                    );
                    dialog.add_toast(adw::Toast::new(&said));
                }
                Ok(Err(error)) => {
                    let heading = gettext("The folder was not changed");
                    question::error(&row, &heading, &text::sentence(&error));
                }
                Err(error) => tracing::error!(%error, "the folder of machines was not kept"),
            }
        });
    };
    let kept = keep.clone();
    usual.connect_clicked(move |_| kept(None));
    choose.connect_clicked(move |button| {
        let (button, keep) = (button.clone(), keep.clone());
        relm4::spawn_local(async move {
            let title = gettext("Choose a Folder for Machines");
            if let Some(folder) = file_choice::folder(&button, &title).await {
                keep(Some(folder));
            }
        });
    });
    group
}

fn show_place(row: &adw::ActionRow, usual: &gtk::Button) {
    let chosen = Library::chosen_folder().unwrap_or_else(|error| {
        tracing::warn!(%error, "where machines are to be is not known");
        None
    });
    usual.set_visible(chosen.is_some());
    let folder = chosen.or_else(Library::default_folder).unwrap_or_default();
    row.set_subtitle(&text::escape(&paths::shortened(&folder)));
}

/// Who else sees machines.
fn viewers(settings: &Settings) -> adw::PreferencesGroup {
    let group = adw::PreferencesGroup::builder()
        .title(gettext("Other Viewers"))
        .description(gettext(
            "VNC viewers can show machines that are started in this window and work them. No password is asked for. A change holds for machines that are started after it; where they are reached stands in their overview.",
        ))
        .build();
    let names = [
        gettext("May not connect"),
        gettext("Through a socket of yours"),
        gettext("Through a port of this computer"),
    ];
    let title = gettext("Viewers of Other Programs");
    let row = choice(settings, VIEWERS, &title, None, &names);
    let warning = adw::ActionRow::builder()
        .title(gettext(
            "Every user of this computer, and every program on it, can see and work the machines. Other computers cannot.",
        ))
        .css_classes(["reason", "warning"])
        .build();
    warning.add_prefix(&gtk::Image::from_icon_name("dialog-warning-symbolic"));
    access::describe(&row, &warning);
    warning.set_visible(settings.viewers() == Viewers::Port);
    let (shown, settings) = (warning.clone(), settings.clone());
    row.connect_selected_notify(move |_| shown.set_visible(settings.viewers() == Viewers::Port));
    group.add(&row);
    group.add(&warning);
    group
}
