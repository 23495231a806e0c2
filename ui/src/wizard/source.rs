//! The wizard's first page: the file to start from. It can be dropped here, chosen, typed or picked from the recent ones; what
//! was found in it is shown in a row. The wizard reads the file, not this page.

use std::path::PathBuf;
use std::sync::Arc;

use relm4::adw::prelude::*;
use relm4::prelude::*;
use relm4::{adw, gtk};

use super::copying::CopyRows;
use super::draft::{Choice, Inspection};
use super::field::{Reason, View};
use super::file_field::{FileField, Words};
use super::findings::Field;
use crate::dialogs::file_choice::FileKind;
use crate::dialogs::file_drop;
use crate::model::media::{Found, Role, format_of};
use crate::model::{Generation, MediumKind, Verdict};
use crate::paths;
use crate::text::{self, gettext, gettext_with, ngettext_with};

const RECENT: usize = 4;

/// The page.
pub struct SourcePage {
    file: FileField,
    reason: Reason,
    copying: CopyRows,
    view: Option<Arc<View>>,
}

/// What it is told.
#[derive(Debug)]
pub enum SourceInput {
    /// The machine so far.
    Show(Arc<View>),
    /// A person chose a file elsewhere: dropped it, or picked one of the recent.
    Chosen(PathBuf),
    /// The path was typed or set.
    Typed(String),
}

/// What it tells the wizard.
#[derive(Debug)]
pub enum SourceOutput {
    /// A choice.
    Choose(Choice),
    /// On to the next page.
    Next,
    /// Leave the wizard.
    Cancel,
    /// Something did not work.
    Failed(String),
}

#[relm4::component(pub)]
impl Component for SourcePage {
    type Init = ();
    type Input = SourceInput;
    type Output = SourceOutput;
    type CommandOutput = ();

    view! {
        #[root]
        adw::NavigationPage {
            set_title: &gettext("Source"),
            set_tag: Some("source"),
            adw::ToolbarView {
                add_top_bar = &adw::HeaderBar {
                    set_show_start_title_buttons: false,
                    set_show_end_title_buttons: false,
                    #[wrap(Some)]
                    set_title_widget = &adw::WindowTitle::new(&gettext("New Machine"), &gettext("Source")),
                    pack_start = &gtk::Button {
                        set_label: &gettext("Cancel"),
                        connect_clicked[sender] => move |_| { let _ = sender.output(SourceOutput::Cancel); },
                    },
                    pack_end = &gtk::Button {
                        set_label: &gettext("Next"),
                        set_tooltip_text: Some(&gettext("On to System")),
                        connect_clicked[sender] => move |_| { let _ = sender.output(SourceOutput::Next); },
                    },
                },
                #[wrap(Some)]
                set_content = &adw::PreferencesPage {
                    add = &adw::PreferencesGroup {
                        set_title: &gettext("Installer or Disk Image"),
                        set_description: Some(&gettext("Drop a file here, choose one, or go on without.")),
                        add: model.file.entry(),
                        add: model.file.row(),
                        add: model.reason.row(),
                        #[name = "result"]
                        add = &adw::ActionRow {
                            set_visible: false,
                            #[name = "result_icon"]
                            add_prefix = &gtk::Image {
                                set_pixel_size: 32,
                                set_accessible_role: gtk::AccessibleRole::Presentation,
                            },
                            #[name = "spinner"]
                            add_suffix = &adw::Spinner {},
                        },
                    },
                    add: model.copying.group(),
                    #[name = "recent"]
                    add = &adw::PreferencesGroup {
                        set_title: &gettext("Recent"),
                    },
                },
            },
        }
    }

    fn init(_: (), root: Self::Root, sender: ComponentSender<Self>) -> ComponentParts<Self> {
        let words = Words {
            title: gettext("File"),
            choose: gettext("Choose a file"),
            ask: gettext("Choose an Installer or Disk"),
            clear: gettext("Go on without a file"),
        };
        let output = sender.output_sender().clone();
        let file = FileField::new(&words, FileKind::Any, move |message| {
            let _ = output.send(SourceOutput::Failed(message));
        });
        let input = sender.input_sender().clone();
        file.entry().connect_changed(move |entry| {
            let _ = input.send(SourceInput::Typed(entry.text().into()));
        });
        let output = sender.output_sender().clone();
        let model = Self {
            reason: Reason::new(Field::Source, file.entry()),
            file,
            copying: CopyRows::new(move |choice| {
                let _ = output.send(SourceOutput::Choose(choice));
            }),
            view: None,
        };
        model.file.describe(model.reason.row());
        let widgets = view_output!();
        let recent = recent_media();
        widgets.recent.set_visible(!recent.is_empty());
        for path in recent {
            widgets.recent.add(&recent_row(path, &sender));
        }
        let input = sender.input_sender().clone();
        root.add_controller(file_drop::target(move |path| {
            let _ = input.send(SourceInput::Chosen(path));
        }));
        ComponentParts { model, widgets }
    }

    fn update_with_view(
        &mut self,
        widgets: &mut Self::Widgets,
        message: SourceInput,
        sender: ComponentSender<Self>,
        _: &Self::Root,
    ) {
        match message {
            SourceInput::Show(view) => self.view = Some(view),
            SourceInput::Chosen(path) => self.file.choose(&path),
            SourceInput::Typed(text) => {
                let text = text.trim();
                let path = (!text.is_empty()).then(|| PathBuf::from(text));
                let _ = sender.output(SourceOutput::Choose(Choice::Source(path)));
            }
        }
        self.show(widgets);
    }
}

impl SourcePage {
    /// What has the keyboard at first.
    pub fn first(&self) -> &adw::EntryRow {
        self.file.entry()
    }

    fn show(&self, widgets: &SourcePageWidgets) {
        let Some(view) = &self.view else { return };
        self.reason.show(view);
        self.copying.show(&view.draft, view.draft.found());
        let inspection = view.draft.source.as_ref().map(|source| &source.inspection);
        widgets
            .spinner
            .set_visible(inspection == Some(&Inspection::Pending));
        let (icon, title, subtitle) = match inspection {
            Some(Inspection::Pending) => (
                "media-optical-symbolic",
                gettext("Reading the file…"),
                String::new(),
            ),
            Some(Inspection::Done(found)) => describe(found, view.draft.generation),
            Some(Inspection::Failed(_)) | None => {
                widgets.result.set_visible(false);
                return;
            }
        };
        widgets.result.set_visible(true);
        widgets.result_icon.set_icon_name(Some(icon));
        widgets.result.set_title(&text::escape(&title));
        widgets.result.set_subtitle(&text::escape(&subtitle));
    }
}

/// Icon, name and verdict of what was found.
fn describe(found: &Found, generation: Generation) -> (&'static str, String, String) {
    let medium = &found.medium;
    let system = medium
        .operating_system
        .as_ref()
        .map(|system| system.name.clone());
    if let Some((appliance, _)) = &found.packed {
        let title = appliance.name.clone().or(system);
        let disks = appliance.disks.len() as u64;
        return (
            "computer-symbolic",
            title.unwrap_or_else(|| gettext("Machine without a name")),
            ngettext_with(
                "A machine that was packed up, {number} hard disk",
                "A machine that was packed up, {number} hard disks",
                disks,
                &[],
            ),
        );
    }
    let role = found.role();
    let icon = match role {
        Role::Optical | Role::Appliance => "media-optical-symbolic",
        Role::RawDisk | Role::Qcow2Disk | Role::OtherDisk => "drive-harddisk-symbolic",
    };
    let title = system.or_else(|| medium.label.clone());
    let title = title.unwrap_or_else(|| gettext("Operating system not recognised"));
    let what = match medium.kind {
        MediumKind::Optical => gettext_with(
            "Optical disc, {size}",
            &[("size", &text::bytes(medium.size))],
        ),
        _ if role.is_disk() => hard_disk(found),
        _ => gettext_with("File, {size}", &[("size", &text::bytes(medium.size))]),
    };
    let whole = match medium.verdict(generation) {
        Verdict::Supported if medium.kind == MediumKind::Qcow2 => what,
        Verdict::NotBootable(_) if role == Role::OtherDisk => what,
        Verdict::Supported => gettext_with("Supported · {what}", &[("what", &what)]),
        Verdict::BootsWithLimits(_) => {
            gettext_with("Boots with limits · {what}", &[("what", &what)])
        }
        Verdict::NotBootable(_) => gettext_with("Not bootable · {what}", &[("what", &what)]),
    };
    (icon, title, whole)
}

/// A hard disk's image in a few words.
pub fn hard_disk(found: &Found) -> String {
    let format = format_of(&found.medium);
    let size = found.disk_size.unwrap_or(found.medium.size);
    gettext_with(
        "Hard disk, {format}, {size}",
        &[("format", &format), ("size", &text::bytes(size))],
    )
}

/// Media that other programs used lately and that are still there.
fn recent_media() -> Vec<PathBuf> {
    let medium = |path: &PathBuf| {
        let extension = path
            .extension()
            .map(|extension| extension.to_ascii_lowercase());
        extension.is_some_and(|extension| extension == "iso") && path.is_file()
    };
    let items = gtk::RecentManager::default().items();
    let paths = items
        .iter()
        .filter_map(|item| gtk::gio::File::for_uri(&item.uri()).path());
    paths.filter(medium).take(RECENT).collect()
}

fn recent_row(path: PathBuf, sender: &ComponentSender<SourcePage>) -> adw::ActionRow {
    let row = adw::ActionRow::builder().activatable(true).build();
    paths::show(&row, &path);
    let input = sender.input_sender().clone();
    row.connect_activated(move |_| {
        let _ = input.send(SourceInput::Chosen(path.clone()));
    });
    row
}
