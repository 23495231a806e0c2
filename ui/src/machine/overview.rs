//! What a machine is and does, at a glance: its system, graphs of what it uses with a minute of history, its network with guests'
//! addresses and forwards, its drives and its folder. What it is made of is changed in the Hardware view.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use relm4::adw::prelude::*;
use relm4::prelude::*;
use relm4::{adw, gtk};

use super::drives::{self, Wish};
use super::hardware::card_title;
use super::usage::{Graphs, Sample};
use crate::dialogs::file_choice::{self, FileKind};
use crate::model::{
    CardStatus, Definition, Generation, Machine, Machines, OperatingSystem, State,
    operating_systems,
};
use crate::network::forwards;
use crate::network::switch_name;
use crate::paths;
use crate::text::{self, gettext, gettext_with, ngettext_with};

/// The view.
pub struct Overview {
    machines: Arc<Machines>,
    folder: PathBuf,
    definition: Definition,
    systems: &'static [OperatingSystem],
    alive: bool,
    /// Figures are being asked for.
    asking: bool,
    /// How the network cards were doing when that was asked last.
    cards: Vec<CardStatus>,
    absolute: bool,
    /// Where viewers of other programs reach the machine, or why they do not.
    address: Option<Result<String, String>>,
    graphs: Graphs,
    timer: Option<gtk::glib::SourceId>,
    drives: Vec<adw::ActionRow>,
    networks: Vec<adw::ActionRow>,
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
    /// Ask for the figures.
    Tick,
    /// Something is wanted of a drive.
    Wish(Wish),
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

/// What a worker found out.
#[derive(Debug)]
pub enum OverviewCommand {
    /// What the machine uses, how its cards are doing, and whether its pointer goes where it is put; nothing when it is off.
    Used(Option<(Sample, Vec<CardStatus>, bool)>),
    /// The operating systems were read.
    Systems(&'static [OperatingSystem]),
}

/// The machine.
pub type OverviewInit = (Arc<Machines>, PathBuf, Definition);

#[relm4::component(pub)]
impl Component for Overview {
    type Init = OverviewInit;
    type Input = OverviewInput;
    type Output = OverviewOutput;
    type CommandOutput = OverviewCommand;

    view! {
        #[root]
        adw::PreferencesPage {
            #[name = "use_group"]
            add = &adw::PreferencesGroup {
                set_title: &gettext("Use"),
                add: model.graphs.widget(),
            },
            add = &adw::PreferencesGroup {
                #[name = "system"]
                add = &adw::ActionRow {
                    set_title: &gettext("Operating System"),
                    add_css_class: "property",
                },
                #[name = "kind"]
                add = &adw::ActionRow {
                    set_title: &gettext("Generation"),
                    add_css_class: "property",
                },
                #[name = "size"]
                add = &adw::ActionRow {
                    set_title: &gettext("Processors and Memory"),
                    add_css_class: "property",
                },
                #[name = "pointer"]
                add = &adw::ActionRow {
                    set_title: &gettext("Pointer"),
                    add_css_class: "property",
                },
                #[name = "viewers"]
                add = &adw::ActionRow {
                    set_title: &gettext("Viewers of Other Programs"),
                    set_subtitle_selectable: true,
                    add_css_class: "property",
                },
                #[name = "notes"]
                add = &adw::ActionRow {
                    set_title: &gettext("Notes"),
                    set_subtitle_selectable: true,
                    add_css_class: "property",
                },
            },
            #[name = "network"]
            add = &adw::PreferencesGroup {
                set_title: &gettext("Network"),
            },
            #[name = "drives"]
            add = &adw::PreferencesGroup {
                set_title: &gettext("Drives"),
            },
            add = &adw::PreferencesGroup {
                set_title: &gettext("Files"),
                add = &adw::ActionRow {
                    set_title: &gettext("Folder"),
                    set_subtitle: &text::escape(&paths::shortened(&model.folder)),
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
        (machines, folder, definition): OverviewInit,
        root: Self::Root,
        sender: ComponentSender<Self>,
    ) -> ComponentParts<Self> {
        let alive = machines.state(&folder).is_alive();
        let mut model = Self {
            machines,
            folder,
            definition,
            systems: &[],
            alive: false,
            asking: false,
            cards: Vec::new(),
            absolute: false,
            address: None,
            graphs: Graphs::new(),
            timer: None,
            drives: Vec::new(),
            networks: Vec::new(),
        };
        let widgets = view_output!();
        sender.spawn_oneshot_command(|| OverviewCommand::Systems(operating_systems().systems()));
        model.follow(alive, &sender);
        model.show(&widgets, &sender);
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
            OverviewInput::State(state) => {
                self.follow(state.is_alive(), &sender);
                self.show(widgets, &sender);
            }
            OverviewInput::Media => self.show_drives(widgets, &sender),
            OverviewInput::Tick => self.ask(&sender),
            OverviewInput::Wish(Wish::Eject(drive)) => {
                let _ = sender.output(OverviewOutput::Eject(drive));
            }
            OverviewInput::Wish(Wish::Change(drive)) => {
                let (root, output) = (root.clone(), sender.output_sender().clone());
                relm4::spawn_local(async move {
                    let title = gettext("Choose a Medium");
                    let chosen = file_choice::open(&root, &title, FileKind::Optical);
                    if let Some(path) = chosen.await {
                        let _ = output.send(OverviewOutput::Insert(drive, path));
                    }
                });
            }
            OverviewInput::OpenFolder => {
                let file = gtk::gio::File::for_path(&self.folder);
                let output = sender.output_sender().clone();
                relm4::spawn_local(async move {
                    let launcher = gtk::FileLauncher::new(Some(&file));
                    if let Err(error) = launcher.launch_future(gtk::Window::NONE).await {
                        let _ = output.send(OverviewOutput::Failed(gettext_with(
                            "The folder could not be opened: {error}.",
                            &[("error", &error)],
                        )));
                    }
                });
            }
        }
    }

    fn update_cmd_with_view(
        &mut self,
        widgets: &mut Self::Widgets,
        message: OverviewCommand,
        sender: ComponentSender<Self>,
        _: &Self::Root,
    ) {
        match message {
            OverviewCommand::Used(used) => {
                self.asking = false;
                if let Some((sample, cards, absolute)) = used.filter(|_| self.alive) {
                    self.graphs.add(&sample, &self.definition);
                    let address = self.machines.address(&self.folder);
                    if cards != self.cards || absolute != self.absolute || address != self.address {
                        self.address = address;
                        let news = stands(&cards) != stands(&self.cards);
                        (self.cards, self.absolute) = (cards, absolute);
                        if news {
                            self.show_networks(widgets);
                        }
                        self.show_facts(widgets);
                    }
                }
            }
            OverviewCommand::Systems(systems) => {
                self.systems = systems;
                self.show(widgets, &sender);
            }
        }
    }

    fn shutdown(&mut self, _: &mut Self::Widgets, _: relm4::Sender<OverviewOutput>) {
        if let Some(timer) = self.timer.take() {
            timer.remove();
        }
    }
}

/// What of the cards' state is shown: not how much passed them.
fn stands(cards: &[CardStatus]) -> Vec<CardStatus> {
    let stand = |card: &CardStatus| CardStatus {
        traffic: Default::default(),
        ..card.clone()
    };
    cards.iter().map(stand).collect()
}

impl Overview {
    fn handle(&self) -> Option<Machine> {
        self.machines.handle(&self.folder)
    }

    /// Asks for figures every second while the machine is alive.
    fn follow(&mut self, alive: bool, sender: &ComponentSender<Self>) {
        if alive == self.alive {
            return;
        }
        self.alive = alive;
        self.graphs.clear();
        self.cards.clear();
        self.absolute = false;
        if let Some(timer) = self.timer.take() {
            timer.remove();
        }
        if alive {
            let input = sender.input_sender().clone();
            self.timer = Some(gtk::glib::timeout_add_seconds_local(1, move || match input
                .send(OverviewInput::Tick)
            {
                Ok(()) => gtk::glib::ControlFlow::Continue,
                Err(_) => gtk::glib::ControlFlow::Break,
            }));
        }
    }

    fn ask(&mut self, sender: &ComponentSender<Self>) {
        let Some(machine) = self.handle().filter(|_| !self.asking) else {
            return;
        };
        self.asking = true;
        sender.spawn_oneshot_command(move || {
            if machine.has_balloon() {
                // It answers by and by, if the guest has a driver.
                let _ = machine.ask_memory();
            }
            OverviewCommand::Used(machine.usage().map(|usage| {
                let sample = Sample {
                    usage,
                    time: Instant::now(),
                };
                (sample, machine.networks(), machine.pointer_is_absolute())
            }))
        });
    }

    fn show(&mut self, widgets: &OverviewWidgets, sender: &ComponentSender<Self>) {
        widgets.use_group.set_visible(self.alive);
        self.show_facts(widgets);
        self.show_networks(widgets);
        self.show_drives(widgets, sender);
    }

    fn show_facts(&self, widgets: &OverviewWidgets) {
        let definition = &self.definition;
        let known = definition.operating_system.as_ref().map(|id| {
            let found = self.systems.iter().find(|system| system.id == *id);
            found.map_or_else(|| id.clone(), |system| system.name.clone())
        });
        let system = known.unwrap_or_else(|| gettext("Unknown"));
        widgets.system.set_subtitle(&text::escape(&system));
        widgets.kind.set_subtitle(&match definition.generation {
            Generation::One => gettext("1, a compatible PC with a BIOS"),
            Generation::Two if definition.firmware.secure_boot => {
                gettext("2, with UEFI and Secure Boot")
            }
            Generation::Two => gettext("2, with UEFI"),
        });
        widgets.size.set_subtitle(&ngettext_with(
            "{number} processor, {memory}",
            "{number} processors, {memory}",
            u64::from(definition.processor.count),
            &[("memory", &text::bytes(definition.memory.bytes()))],
        ));
        widgets.pointer.set_visible(self.alive);
        widgets.pointer.set_subtitle(&if self.absolute {
            gettext("Goes where you point; nothing needs to be grabbed")
        } else {
            gettext("Moves as a mouse does; click the guest’s screen to grab it")
        });
        let address = self.address.as_ref().filter(|_| self.alive);
        widgets.viewers.set_visible(address.is_some());
        widgets.viewers.set_subtitle(&match address {
            Some(Ok(address)) => text::escape(address),
            Some(Err(reason)) => text::escape(&text::sentence(reason)),
            None => String::new(),
        });
        widgets.notes.set_visible(!definition.notes.is_empty());
        widgets.notes.set_subtitle(&text::escape(&definition.notes));
    }

    fn show_networks(&mut self, widgets: &OverviewWidgets) {
        for row in self.networks.drain(..) {
            widgets.network.remove(&row);
        }
        for (number, card) in self.definition.networks.iter().enumerate() {
            let status = self.cards.get(number).filter(|_| self.alive);
            let row = adw::ActionRow::builder()
                .title(card_title(&self.definition, number))
                .subtitle(text::escape(&network(&card.switch, status)))
                .subtitle_selectable(true)
                .css_classes(["property"])
                .build();
            self.networks.push(row);
            for forward in &card.forwards {
                let state = status.and_then(|status| {
                    let mut all = status.forwards.iter();
                    all.find(|one| one.forward == *forward)
                });
                let fault = state.and_then(|state| state.error.as_ref());
                let row = adw::ActionRow::builder()
                    .title(text::escape(&forwards::title(forward)))
                    .build();
                if let Some(fault) = fault {
                    row.set_subtitle(&text::escape(&text::sentence(fault)));
                    row.add_css_class("error");
                }
                self.networks.push(row);
            }
        }
        widgets.network.set_visible(!self.networks.is_empty());
        for row in &self.networks {
            widgets.network.add(row);
        }
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
}

/// Where a card ends and what the guest is called there.
fn network(switch: &str, status: Option<&CardStatus>) -> String {
    let name = switch_name(switch);
    let Some(status) = status else { return name };
    if let Some(error) = &status.error {
        return text::sentence(error);
    }
    if !status.connected {
        return gettext_with("{switch}, not connected", &[("switch", &name)]);
    }
    let addresses: Vec<String> = status.addresses.iter().map(ToString::to_string).collect();
    if addresses.is_empty() {
        return name;
    }
    format!("{name} · {}", addresses.join(", "))
}
