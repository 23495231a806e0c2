//! What a machine is: its name, operating system, processors, memory, drives and folder. The name can be changed while the
//! machine is off, and so can processors and memory, at once and without a button to apply; what cannot be changed now says why.

use std::path::PathBuf;
use std::sync::Arc;

use relm4::adw::prelude::*;
use relm4::prelude::*;
use relm4::{adw, gtk};

use super::drives::{self, Wish};
use crate::access;
use crate::dialogs::file_choice::{self, FileKind};
use crate::model::{Definition, Host, Machines, Name, State};
use crate::text::{self, gettext, gettext_with};

/// The view.
pub struct Overview {
    machines: Arc<Machines>,
    folder: PathBuf,
    definition: Definition,
    system: Option<String>,
    drives: Vec<adw::ActionRow>,
}

/// What it is told.
#[derive(Debug)]
pub enum OverviewInput {
    /// The machine is this now.
    Show(Definition),
    /// What it is doing.
    State(State),
    /// A medium was changed.
    Media,
    /// Something is wanted of a drive.
    Wish(Wish),
    /// The name was typed and applied.
    Rename,
    /// Processors or memory were changed.
    Changed,
    /// Show the folder in the file manager.
    OpenFolder,
}

/// What it tells.
#[derive(Debug)]
pub enum OverviewOutput {
    /// Make the machine this.
    Update(Definition),
    /// Put a file into optical drive number so and so.
    Insert(usize, PathBuf),
    /// Empty it.
    Eject(usize),
    /// Something did not work.
    Failed(String),
}

/// The machine, and its operating system's name if it is known.
pub type OverviewInit = (Arc<Machines>, PathBuf, Definition, Option<String>);

#[relm4::component(pub)]
impl Component for Overview {
    type Init = OverviewInit;
    type Input = OverviewInput;
    type Output = OverviewOutput;
    type CommandOutput = ();

    view! {
        #[root]
        adw::PreferencesPage {
            add = &adw::PreferencesGroup {
                #[name = "name"]
                add = &adw::EntryRow {
                    set_title: &gettext("Name"),
                    set_show_apply_button: true,
                    connect_apply => OverviewInput::Rename,
                },
                add = &adw::ActionRow {
                    set_title: &gettext("Operating System"),
                    set_subtitle: &text::escape(&model.system.clone().unwrap_or_else(|| gettext("Unknown"))),
                    add_css_class: "property",
                },
                add = &adw::ActionRow {
                    set_title: &gettext("Generation"),
                    set_subtitle: &gettext("1, a compatible PC with a BIOS"),
                    add_css_class: "property",
                },
            },
            #[name = "hardware"]
            add = &adw::PreferencesGroup {
                set_title: &gettext("Processors and Memory"),
                #[local_ref]
                add = processors -> adw::SpinRow {
                    set_title: &gettext("Processors"),
                    set_numeric: true,
                    connect_value_notify => OverviewInput::Changed,
                },
                #[local_ref]
                add = memory -> adw::SpinRow {
                    set_title: &gettext("Memory in MiB"),
                    set_numeric: true,
                    connect_value_notify => OverviewInput::Changed,
                },
            },
            #[name = "drives"]
            add = &adw::PreferencesGroup {
                set_title: &gettext("Drives"),
            },
            add = &adw::PreferencesGroup {
                set_title: &gettext("Files"),
                add = &adw::ActionRow {
                    set_title: &gettext("Folder"),
                    set_subtitle: &text::escape(&model.folder.to_string_lossy()),
                    set_subtitle_selectable: true,
                    add_css_class: "property",
                    add_suffix = &gtk::Button {
                        set_icon_name: "folder-open-symbolic",
                        set_tooltip_text: Some(&gettext("Open Folder")),
                        set_valign: gtk::Align::Center,
                        add_css_class: "flat",
                        update_property: &[gtk::accessible::Property::Label(&gettext("Open Folder"))],
                        connect_clicked => OverviewInput::OpenFolder,
                    },
                },
            },
        }
    }

    fn init(
        (machines, folder, definition, system): OverviewInit,
        root: Self::Root,
        sender: ComponentSender<Self>,
    ) -> ComponentParts<Self> {
        let mut model = Self {
            machines,
            folder,
            definition,
            system,
            drives: Vec::new(),
        };
        let (processors, memory) = (&access::spin_row(), &access::spin_row());
        let widgets = view_output!();
        let host = Host::inspect().ok();
        let processors = host.map_or(256, |host| host.processors);
        let memory = host.map_or(u64::from(u32::MAX), |host| host.memory >> 20);
        let memory = f64::from(u32::try_from(memory).unwrap_or(u32::MAX));
        // A machine from elsewhere may have more than this host; the rows must not cut that down by themselves.
        let processors = f64::from(processors.max(model.definition.processor.count));
        let present = u32::try_from(model.definition.memory.mebibytes).unwrap_or(u32::MAX);
        widgets
            .processors
            .set_adjustment(Some(&gtk::Adjustment::new(
                1.0, 1.0, processors, 1.0, 2.0, 0.0,
            )));
        let memory = memory.max(f64::from(present));
        widgets.memory.set_adjustment(Some(&gtk::Adjustment::new(
            1.0, 1.0, memory, 256.0, 1024.0, 0.0,
        )));
        model.show(&widgets, &sender);
        let state = model.machines.state(&model.folder);
        show_state(&widgets, &state);
        ComponentParts { model, widgets }
    }

    fn update_with_view(
        &mut self,
        widgets: &mut Self::Widgets,
        message: OverviewInput,
        sender: ComponentSender<Self>,
        root: &Self::Root,
    ) {
        match message {
            OverviewInput::Show(definition) => {
                self.definition = definition;
                self.show(widgets, &sender);
            }
            OverviewInput::State(state) => show_state(widgets, &state),
            OverviewInput::Media => self.show_drives(widgets, &sender),
            OverviewInput::Wish(Wish::Eject(drive)) => {
                let _ = sender.output(OverviewOutput::Eject(drive));
            }
            OverviewInput::Wish(Wish::Change(drive)) => {
                let (root, output) = (root.clone(), sender.output_sender().clone());
                relm4::spawn_local(async move {
                    if let Some(path) =
                        file_choice::open(&root, &gettext("Choose a Medium"), FileKind::Optical)
                            .await
                    {
                        let _ = output.send(OverviewOutput::Insert(drive, path));
                    }
                });
            }
            OverviewInput::Rename => match Name::new(&widgets.name.text()) {
                Ok(name) => self.change(&sender, |definition| definition.name = name),
                Err(error) => {
                    widgets.name.set_text(self.definition.name.as_str());
                    let text =
                        gettext_with("The name was not changed: {reason}.", &[("reason", &error)]);
                    let _ = sender.output(OverviewOutput::Failed(text));
                }
            },
            OverviewInput::Changed => self.changed(widgets, &sender),
            OverviewInput::OpenFolder => {
                let file = gtk::gio::File::for_path(&self.folder);
                let output = sender.output_sender().clone();
                relm4::spawn_local(async move {
                    let launcher = gtk::FileLauncher::new(Some(&file));
                    if let Err(error) = launcher.launch_future(gtk::Window::NONE).await {
                        let _ = output.send(OverviewOutput::Failed(gettext_with(
                            "The folder could not be opened: {reason}.",
                            &[("reason", &error)],
                        )));
                    }
                });
            }
        }
    }
}

impl Overview {
    fn show(&mut self, widgets: &OverviewWidgets, sender: &ComponentSender<Self>) {
        if widgets.name.text() != self.definition.name.as_str() {
            widgets.name.set_text(self.definition.name.as_str());
        }
        let memory = u32::try_from(self.definition.memory.mebibytes).unwrap_or(u32::MAX);
        widgets.memory.set_value(f64::from(memory));
        widgets
            .processors
            .set_value(f64::from(self.definition.processor.count));
        self.show_drives(widgets, sender);
    }

    fn show_drives(&mut self, widgets: &OverviewWidgets, sender: &ComponentSender<Self>) {
        for row in self.drives.drain(..) {
            widgets.drives.remove(&row);
        }
        let input = sender.input_sender().clone();
        self.drives = drives::rows(
            &self.folder,
            &self.definition.drives,
            |number, drive| {
                self.machines
                    .medium(&self.folder, number)
                    .unwrap_or_else(|| drive.file.clone())
            },
            move |wish| {
                let _ = input.send(OverviewInput::Wish(wish));
            },
        );
        widgets.drives.set_visible(!self.drives.is_empty());
        for row in &self.drives {
            widgets.drives.add(row);
        }
    }

    fn changed(&mut self, widgets: &OverviewWidgets, sender: &ComponentSender<Self>) {
        let processors = text::whole(widgets.processors.value());
        let memory = text::whole(widgets.memory.value());
        self.change(sender, |definition| {
            definition.processor.count = u32::try_from(processors).unwrap_or(u32::MAX);
            definition.memory.mebibytes = memory;
        });
    }

    fn change(&mut self, sender: &ComponentSender<Self>, change: impl FnOnce(&mut Definition)) {
        let mut definition = self.definition.clone();
        change(&mut definition);
        if definition != self.definition {
            self.definition = definition.clone();
            let _ = sender.output(OverviewOutput::Update(definition));
        }
    }
}

/// What can be changed while the machine is in `state`, and why the rest cannot.
fn show_state(widgets: &OverviewWidgets, state: &State) {
    let alive = state.is_alive();
    widgets.name.set_sensitive(!alive);
    widgets.processors.set_sensitive(!alive);
    widgets.memory.set_sensitive(!alive);
    let reason = alive.then(|| gettext("Turn the machine off to change these or its name."));
    widgets.hardware.set_description(reason.as_deref());
}
