//! The wizard's third page: the machine's hard disk, a new one, an image that is there already, or none; the virtual switch that
//! its network card is attached to, and the ports of this computer that lead to it.

use std::sync::Arc;

use relm4::adw::prelude::*;
use relm4::prelude::*;
use relm4::{adw, gtk};

use super::copying::CopyRows;
use super::draft::{Choice, DiskChoice, Inspection, Place};
use super::field::{Guard, Reason, View};
use super::file_field::{FileField, Words};
use super::findings::Field;
use super::source::hard_disk;
use crate::access;
use crate::dialogs::file_choice::FileKind;
use crate::model::media::Role;
use crate::model::{NAT, UNPLUGGED};
use crate::network::forwards::{Forwards, ForwardsInput};
use crate::network::{switch_name, switch_purpose};
use crate::paths;
use crate::text::{self, gettext, gettext_with, whole};

const DISKS: [DiskChoice; 3] = [DiskChoice::New, DiskChoice::Existing, DiskChoice::None];

/// The page.
pub struct StoragePage {
    place: Arc<Place>,
    disk: (Guard, Reason),
    size: Guard,
    file: (FileField, Reason),
    copying: CopyRows,
    network: Reason,
    forwards: Controller<Forwards>,
}

/// What it is told.
#[derive(Debug)]
pub enum StorageInput {
    /// The machine so far.
    Show(Arc<View>),
}

/// What it tells the wizard.
#[derive(Debug)]
pub enum StorageOutput {
    /// A choice.
    Choose(Choice),
    /// On to the next page.
    Next,
    /// Something did not work.
    Failed(String),
}

#[relm4::component(pub)]
impl Component for StoragePage {
    type Init = Arc<Place>;
    type Input = StorageInput;
    type Output = StorageOutput;
    type CommandOutput = ();

    view! {
        #[root]
        adw::NavigationPage {
            set_title: &gettext("Storage and Network"),
            set_tag: Some("storage"),
            adw::ToolbarView {
                add_top_bar = &adw::HeaderBar {
                    set_show_start_title_buttons: false,
                    set_show_end_title_buttons: false,
                    #[wrap(Some)]
                    set_title_widget = &adw::WindowTitle::new(&gettext("New Machine"), &gettext("Storage and Network")),
                    pack_end = &gtk::Button {
                        set_label: &gettext("Next"),
                        set_tooltip_text: Some(&gettext("On to Review")),
                        connect_clicked[sender] => move |_| { let _ = sender.output(StorageOutput::Next); },
                    },
                },
                #[wrap(Some)]
                set_content = &adw::PreferencesPage {
                    add = &adw::PreferencesGroup {
                        set_title: &gettext("Hard Disk"),
                        #[local_ref]
                        add = disk -> adw::ComboRow {
                            set_title: &gettext("Disk"),
                            set_model: Some(&gtk::StringList::new(&[&gettext("New disk"), &gettext("Existing image"), &gettext("None")])),
                            connect_selected_notify[sender, guard = model.disk.0.clone()] => move |row| if guard.touch() {
                                let chosen = usize::try_from(row.selected()).ok().and_then(|number| DISKS.get(number));
                                if let Some(disk) = chosen {
                                    let _ = sender.output(StorageOutput::Choose(Choice::Disk(*disk)));
                                }
                            },
                        },
                        #[local_ref]
                        add = size -> adw::SpinRow {
                            set_title: &gettext("Size in GiB"),
                            set_subtitle: &model.room(),
                            set_adjustment: Some(&gtk::Adjustment::new(20.0, 1.0, 65_536.0, 1.0, 10.0, 0.0)),
                            set_numeric: true,
                            connect_value_notify[sender, guard = model.size.clone()] => move |row| if guard.touch() {
                                let _ = sender.output(StorageOutput::Choose(Choice::DiskSize(whole(row.value()))));
                            },
                        },
                        add: model.disk.1.row(),
                        add: model.file.0.entry(),
                        add: model.file.0.row(),
                        add: model.file.1.row(),
                        #[name = "found"]
                        add = &adw::ActionRow {
                            set_visible: false,
                            add_prefix = &gtk::Image {
                                set_icon_name: Some("drive-harddisk-symbolic"),
                                set_accessible_role: gtk::AccessibleRole::Presentation,
                            },
                        },
                    },
                    add: model.copying.group(),
                    #[name = "from_source"]
                    add = &adw::PreferencesGroup {
                        set_title: &gettext("From the Source"),
                        #[name = "source"]
                        add = &adw::ActionRow {
                            add_css_class: "property",
                        },
                    },
                    add = &adw::PreferencesGroup {
                        set_title: &gettext("Network"),
                        #[local_ref]
                        add = network -> adw::ComboRow {
                            set_title: &gettext("Virtual Switch"),
                            set_subtitle: &switch_purpose(NAT),
                            set_model: Some(&switches.iter().map(|switch| switch_name(switch)).collect::<gtk::StringList>()),
                            connect_selected_notify[sender, switches = switches.clone()] => move |row| {
                                let chosen = usize::try_from(row.selected()).ok().and_then(|number| switches.get(number));
                                if let Some(switch) = chosen {
                                    row.set_subtitle(&switch_purpose(switch));
                                    let _ = sender.output(StorageOutput::Choose(Choice::Switch(switch.clone())));
                                }
                            },
                        },
                        add: model.network.row(),
                    },
                    add: model.forwards.widget(),
                },
            },
        }
    }

    fn init(
        place: Arc<Place>,
        root: Self::Root,
        sender: ComponentSender<Self>,
    ) -> ComponentParts<Self> {
        let words = Words {
            title: gettext("Image"),
            choose: gettext("Choose a disk image"),
            ask: gettext("Choose a Disk Image"),
            clear: gettext("Clear file"),
        };
        let output = sender.output_sender().clone();
        let file = FileField::new(&words, FileKind::Disk, move |message| {
            let _ = output.send(StorageOutput::Failed(message));
        });
        file.set_visible(false);
        let output = sender.output_sender().clone();
        file.entry().connect_changed(move |entry| {
            let choice = Choice::DiskFile(entry.text().into());
            let _ = output.send(StorageOutput::Choose(choice));
        });
        let reason = Reason::new(Field::DiskFile, file.entry());
        file.describe(reason.row());
        let disk = adw::ComboRow::new();
        let network = adw::ComboRow::new();
        let switches: Vec<String> = [NAT.to_owned()]
            .into_iter()
            .chain(place.switches.iter().cloned())
            .chain([UNPLUGGED.to_owned()])
            .collect();
        let output = sender.output_sender().clone();
        let model = Self {
            disk: (Guard::default(), Reason::new(Field::Disk, &disk)),
            size: Guard::default(),
            file: (file, reason),
            copying: CopyRows::new(move |choice| {
                let _ = output.send(StorageOutput::Choose(choice));
            }),
            network: Reason::new(Field::Network, &network),
            forwards: Forwards::builder()
                .launch(())
                .forward(sender.output_sender(), |forwards| {
                    StorageOutput::Choose(Choice::Forwards(forwards))
                }),
            place,
        };
        let network = &network;
        let (disk, size) = (&disk, &access::spin_row());
        let widgets = view_output!();
        ComponentParts { model, widgets }
    }

    fn update_with_view(
        &mut self,
        widgets: &mut Self::Widgets,
        StorageInput::Show(view): StorageInput,
        _: ComponentSender<Self>,
        _: &Self::Root,
    ) {
        self.show(widgets, &view);
    }
}

impl StoragePage {
    fn room(&self) -> String {
        match self.place.free {
            Some(free) => gettext_with(
                "Takes room as the guest writes; {size} are free",
                &[("size", &text::bytes(free))],
            ),
            None => gettext("Takes room as the guest writes"),
        }
    }

    fn show(&self, widgets: &StoragePageWidgets, view: &View) {
        let draft = &view.draft;
        self.disk.0.fill(|| {
            let number = DISKS
                .iter()
                .position(|disk| *disk == draft.disk)
                .unwrap_or(0);
            widgets
                .disk
                .set_selected(u32::try_from(number).unwrap_or(0));
        });
        self.size.fill(|| {
            let size = u32::try_from(draft.disk_size).unwrap_or(u32::MAX);
            widgets.size.set_value(f64::from(size));
        });
        widgets.size.set_visible(draft.disk == DiskChoice::New);
        self.file.0.set_visible(draft.disk == DiskChoice::Existing);
        self.disk.1.show(view);
        self.file.1.show(view);
        self.copying.show(draft, draft.disk_found());
        self.network.show(view);
        self.forwards
            .widget()
            .set_visible(draft.switch != UNPLUGGED);
        self.forwards
            .emit(ForwardsInput::Show(draft.forwards.clone()));
        let found = match &draft.disk_inspection {
            Some(Inspection::Done(found)) if draft.disk == DiskChoice::Existing => {
                Some(hard_disk(found))
            }
            Some(Inspection::Pending) if draft.disk == DiskChoice::Existing => {
                Some(gettext("Reading the file…"))
            }
            _ => None,
        };
        widgets.found.set_visible(found.is_some());
        widgets
            .found
            .set_title(&text::escape(&found.unwrap_or_default()));
        widgets.from_source.set_visible(draft.source.is_some());
        if let Some(source) = &draft.source {
            widgets.source.set_title(&match draft.source_role() {
                Some(Role::Appliance) => gettext("Hard Disks"),
                Some(role) if role.is_disk() => gettext("Hard Disk"),
                _ => gettext("Optical Drive"),
            });
            let whole = paths::shortened(&source.path);
            widgets
                .source
                .set_subtitle(&text::escape(&paths::name(&source.path)));
            widgets.source.set_tooltip_text(Some(&whole));
        }
    }
}
