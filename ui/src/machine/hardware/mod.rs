//! The Hardware view: what the machine is made of, a topic for each part of it. Each change is made at once; what needs the
//! machine to be off says so.
//!
//! A topic shows a [`View`] and tells what a person changed as an [`Edit`]. Edits are applied to the definition that is wanted,
//! which is saved on a worker, one save after the other, so that quick changes do not get in each other's way.

mod add;
mod boot_order;
mod devices;
mod disk_tools;
mod drive_row;
mod drives;
mod edit;
mod firmware;
mod general;
mod mark;
mod memory;
mod network;
mod processors;
mod topic;

pub use firmware::GENERATIONS;

use std::sync::Arc;

use relm4::adw::prelude::*;
use relm4::prelude::*;
use relm4::{adw, gtk};

use self::devices::{Input, Others};
use self::drives::{Drives, DrivesInput};
use self::edit::Edit;
use self::firmware::Firmware;
use self::general::General;
use self::mark::{Mark, summaries};
use self::memory::Memory;
use self::network::Network;
use self::processors::Processors;
use self::topic::{Editor, Topic, View};
use super::overview::OverviewOutput;
use crate::dialogs::question::{self, Weight};
use crate::dialogs::toast;
use crate::model::{
    Definition, DriveKind, Finding, Generation, Machine, Machines, NetworkCard, OperatingSystem,
    Severity, State, StoredMachine, SwitchDefinition, operating_systems,
};
use crate::text::{self, gettext, gettext_with, message};

/// The topics in the order they are listed: a name for the program, what people read, the icon, and the fields of `machine.toml`
/// whose findings are theirs.
const TOPICS: [(&str, &str, &str, &[&str]); 8] = [
    (
        "general",
        message("General"),
        "computer-symbolic",
        &["name"],
    ),
    (
        "processors",
        message("Processors"),
        "power-profile-performance-symbolic",
        &["processor."],
    ),
    (
        "memory",
        message("Memory"),
        "drive-multidisk-symbolic",
        &["memory."],
    ),
    (
        "firmware",
        message("Firmware"),
        "application-x-firmware-symbolic",
        &["firmware.", "schema"],
    ),
    (
        "drives",
        message("Drives"),
        "drive-harddisk-symbolic",
        &["drive"],
    ),
    (
        "network",
        message("Network"),
        "network-wired-symbolic",
        &["network"],
    ),
    (
        "input",
        message("Display and Input"),
        "input-keyboard-symbolic",
        &[],
    ),
    (
        "others",
        message("Clock and Others"),
        "preferences-system-time-symbolic",
        &["clock", "devices"],
    ),
];

/// The view.
pub struct HardwareView {
    machines: Arc<Machines>,
    /// The machine as its file says.
    machine: StoredMachine,
    /// What it is to be.
    wanted: Definition,
    saving: bool,
    alive: bool,
    findings: Vec<Finding>,
    /// What was typed and cannot be: its field, and why.
    refused: Option<Finding>,
    switches: Vec<SwitchDefinition>,
    systems: &'static [OperatingSystem],
    balloon: bool,
    editor: Editor,
    topics: Vec<Box<dyn Topic>>,
    marks: Vec<Mark>,
    drives: Controller<Drives>,
}

/// What it is told.
#[derive(Debug)]
pub enum HardwareInput {
    /// The machine is this now.
    Show(StoredMachine),
    /// What it is doing.
    State(State),
    /// A medium was changed.
    Media,
    /// A network card is doing something else.
    Network,
    /// Look at what is outside of the machine's file again: the switches.
    Look,
    /// A person chose this topic.
    Topic(usize),
    /// A person changed this.
    Edit(Edit),
    /// What a person typed cannot be: the field, and why.
    Refused(String, String),
    /// A person wants another generation.
    Generation(Generation),
    /// A person wants this card gone.
    RemoveCard(usize),
    /// Have the guest give back so many bytes of memory.
    Balloon(u64),
    /// Make the network cards these again.
    RestoreCards(Vec<NetworkCard>),
}

/// What a worker found out or did.
#[derive(Debug)]
pub enum HardwareCommand {
    /// The machine was saved, or why not.
    Saved(Result<Box<StoredMachine>, String>),
    /// What speaks against this definition, and the switches there are.
    Looked(Box<Definition>, Vec<Finding>, Vec<SwitchDefinition>),
    /// The operating systems were read.
    Systems(&'static [OperatingSystem]),
    /// A running network card was changed.
    Changed,
}

#[relm4::component(pub)]
impl Component for HardwareView {
    type Init = (Arc<Machines>, StoredMachine, State);
    type Input = HardwareInput;
    type Output = OverviewOutput;
    type CommandOutput = HardwareCommand;

    view! {
        #[root]
        adw::BreakpointBin {
            set_size_request: (300, 200),
            connect_map => HardwareInput::Look,
            #[wrap(Some)]
            #[name = "split"]
            set_child = &adw::NavigationSplitView {
                set_min_sidebar_width: 200.0,
                set_max_sidebar_width: 260.0,
                #[wrap(Some)]
                set_sidebar = &adw::NavigationPage {
                    set_title: &gettext("Hardware"),
                    set_tag: Some("topics"),
                    gtk::ScrolledWindow {
                        set_hscrollbar_policy: gtk::PolicyType::Never,
                        #[name = "list"]
                        gtk::ListBox {
                            set_css_classes: &["navigation-sidebar"],
                            set_tab_behavior: gtk::ListTabBehavior::Item,
                            update_property: &[gtk::accessible::Property::Label(&gettext("Topics"))],
                            connect_row_selected[sender] => move |_, row| {
                                if let Some(number) = row.and_then(|row| usize::try_from(row.index()).ok()) {
                                    sender.input(HardwareInput::Topic(number));
                                }
                            },
                        },
                    },
                },
                #[wrap(Some)]
                #[name = "content"]
                set_content = &adw::NavigationPage {
                    set_title: &gettext("General"),
                    set_tag: Some("topic"),
                    #[name = "view"]
                    adw::ToolbarView {
                        add_top_bar = &adw::HeaderBar {
                            set_show_start_title_buttons: false,
                            set_show_end_title_buttons: false,
                        },
                        #[wrap(Some)]
                        #[name = "stack"]
                        set_content = &gtk::Stack {
                            set_vhomogeneous: false,
                            set_transition_type: gtk::StackTransitionType::Crossfade,
                        },
                    },
                },
            },
        }
    }

    fn init(
        (machines, machine, state): Self::Init,
        root: Self::Root,
        sender: ComponentSender<Self>,
    ) -> ComponentParts<Self> {
        let editor = Editor::new(sender.input_sender().clone());
        let topics: Vec<Box<dyn Topic>> = vec![
            Box::new(General::new(&editor)),
            Box::new(Processors::new(&editor)),
            Box::new(Memory::new(&editor)),
            Box::new(Firmware::new(&editor)),
            Box::new(DrivesTopic(adw::PreferencesPage::new())),
            Box::new(Network::new(&editor)),
            Box::new(Input::new(&editor)),
            Box::new(Others::new(&editor)),
        ];
        let alive = state.is_alive();
        let mut model = Self {
            drives: Drives::builder()
                .launch((machines.clone(), machine.clone(), alive))
                .forward(sender.output_sender(), |output| output),
            machines,
            wanted: machine.definition.clone(),
            machine,
            saving: false,
            alive,
            findings: Vec::new(),
            refused: None,
            switches: Vec::new(),
            systems: &[],
            balloon: false,
            editor,
            topics,
            marks: Vec::new(),
        };
        let widgets = view_output!();
        for (number, ((name, title, icon, _), topic)) in
            TOPICS.iter().zip(&model.topics).enumerate()
        {
            if *name == "drives" {
                topic.page().add(model.drives.widget());
            }
            widgets.stack.add_named(topic.page(), Some(name));
            let mark = Mark::new(&gettext(*title), icon);
            widgets.list.append(&mark.row);
            if number == 0 {
                widgets.list.select_row(Some(&mark.row));
            }
            model.marks.push(mark);
        }
        let split = widgets.split.clone();
        widgets
            .list
            .connect_row_activated(move |_, _| split.set_show_content(true));
        widgets
            .split
            .bind_property("collapsed", &widgets.view, "reveal-top-bars")
            .sync_create()
            .build();
        adapt(&root, &widgets.split);
        sender.spawn_oneshot_command(|| HardwareCommand::Systems(operating_systems().systems()));
        model.learn_balloon();
        model.show();
        ComponentParts { model, widgets }
    }

    fn update_with_view(
        &mut self,
        widgets: &mut Self::Widgets,
        message: HardwareInput,
        sender: ComponentSender<Self>,
        root: &Self::Root,
    ) {
        match message {
            HardwareInput::Show(machine) => {
                self.drives.emit(DrivesInput::Show(machine.clone()));
                // What is being saved comes when it is.
                if !self.saving {
                    self.wanted = machine.definition.clone();
                }
                self.machine = machine;
                self.look(&sender);
            }
            HardwareInput::State(state) => {
                self.alive = state.is_alive();
                self.drives.emit(DrivesInput::Alive(self.alive));
                self.learn_balloon();
                self.look(&sender);
            }
            HardwareInput::Media => self.drives.emit(DrivesInput::Refresh),
            HardwareInput::Network => {}
            HardwareInput::Look => self.look(&sender),
            HardwareInput::Topic(number) => {
                if let Some((name, title, ..)) = TOPICS.get(number) {
                    widgets.stack.set_visible_child_name(name);
                    widgets.content.set_title(&gettext(*title));
                }
                return;
            }
            HardwareInput::Edit(edit) => self.edit(edit, &sender),
            HardwareInput::Refused(field, message) => {
                self.refused = Some(Finding {
                    field,
                    severity: Severity::Error,
                    message,
                });
            }
            HardwareInput::Generation(generation) => self.ask_generation(generation, &sender, root),
            HardwareInput::RemoveCard(number) => {
                let before = self.wanted.networks.clone();
                self.edit(Edit::RemoveCard(number), &sender);
                let input = sender.input_sender().clone();
                let undo = move || drop(input.send(HardwareInput::RestoreCards(before.clone())));
                toast::undoable(root, &gettext("The network card was removed"), undo, || {});
            }
            HardwareInput::RestoreCards(cards) => {
                self.wanted.networks = cards;
                self.save(&sender);
            }
            HardwareInput::Balloon(bytes) => {
                if let Some(machine) = self.handle()
                    && let Err(error) = machine.set_balloon(bytes)
                {
                    toast::say(root, &text::sentence(&error));
                }
                return;
            }
        }
        self.show();
    }

    fn update_cmd(
        &mut self,
        message: HardwareCommand,
        sender: ComponentSender<Self>,
        root: &Self::Root,
    ) {
        match message {
            HardwareCommand::Saved(Ok(machine)) => {
                self.saving = false;
                self.machine = *machine;
                self.save(&sender);
                self.look(&sender);
            }
            HardwareCommand::Saved(Err(body)) => {
                self.saving = false;
                self.wanted = self.machine.definition.clone();
                question::error(root, &gettext("The change was not saved"), &body);
                self.machines.refresh();
            }
            HardwareCommand::Looked(definition, findings, switches) => {
                self.switches = switches;
                if *definition == self.wanted {
                    self.findings = findings;
                }
            }
            HardwareCommand::Systems(systems) => self.systems = systems,
            HardwareCommand::Changed => {}
        }
        self.show();
    }
}

/// The drives, which show themselves.
struct DrivesTopic(adw::PreferencesPage);

impl Topic for DrivesTopic {
    fn page(&self) -> &adw::PreferencesPage {
        &self.0
    }

    fn show(&self, _: &View) {}
}

impl HardwareView {
    fn handle(&self) -> Option<Machine> {
        let machine = self.machines.handle(&self.machine.folder);
        machine.filter(|machine| machine.state().is_alive())
    }

    /// A machine that was started with a balloon has it until it is off, whatever its file says by then.
    fn learn_balloon(&mut self) {
        self.balloon = self.alive && self.handle().is_some_and(|machine| machine.has_balloon());
    }

    fn edit(&mut self, edit: Edit, sender: &ComponentSender<Self>) {
        self.refused = None;
        let mut wanted = self.wanted.clone();
        let card = match &edit {
            Edit::Card(number, card) => Some((*number, card.clone())),
            _ => None,
        };
        edit.apply(&mut wanted);
        if wanted == self.wanted {
            return;
        }
        self.wanted = wanted;
        if let (Some((number, card)), Some(machine)) = (card, self.handle()) {
            sender.spawn_oneshot_command(move || {
                if let Err(error) = machine.change_network(number, &card) {
                    tracing::warn!(%error, "a running network card was not changed");
                }
                HardwareCommand::Changed
            });
        }
        self.save(sender);
    }

    /// Saves what is wanted, unless that is being done: then once it is.
    fn save(&mut self, sender: &ComponentSender<Self>) {
        if self.saving || self.wanted == self.machine.definition {
            return;
        }
        self.saving = true;
        let (machines, machine) = (self.machines.clone(), self.machine.clone());
        let wanted = self.wanted.clone();
        sender.spawn_oneshot_command(move || {
            let saved = machines.update(&machine, &wanted);
            HardwareCommand::Saved(saved.map(Box::new).map_err(|error| text::sentence(&error)))
        });
    }

    /// Looks for what speaks against the machine.
    fn look(&self, sender: &ComponentSender<Self>) {
        let (machines, machine) = (self.machines.clone(), self.machine.clone());
        let wanted = self.wanted.clone();
        sender.spawn_oneshot_command(move || {
            let findings = machines.findings(&machine, &wanted);
            let switches = machines.switches().list().unwrap_or_else(|error| {
                tracing::warn!(%error, "the virtual switches are not known");
                Vec::new()
            });
            HardwareCommand::Looked(Box::new(wanted), findings, switches)
        });
    }

    /// Asks whether the machine shall become another computer, and says what its guest will meet.
    fn ask_generation(
        &self,
        generation: Generation,
        sender: &ComponentSender<Self>,
        root: &adw::BreakpointBin,
    ) {
        if generation == self.wanted.generation {
            return;
        }
        let (_, warnings) = self.wanted.with_generation(generation);
        let heading = gettext_with(
            "Make This a Generation {number} Machine?",
            &[("number", &generation.number())],
        );
        let body: Vec<_> = warnings.iter().map(|it| text::translated(it)).collect();
        let body = body.join("\n\n");
        let (root, input) = (root.clone(), sender.input_sender().clone());
        relm4::spawn_local(async move {
            let accept = gettext("_Change Generation");
            let answer = (accept.as_str(), Weight::Suggested);
            let message = match question::ask(&root, &heading, &body, &[answer]).await {
                Some(_) => HardwareInput::Edit(Edit::Generation(generation)),
                // The row shows again what the machine is.
                None => HardwareInput::Look,
            };
            let _ = input.send(message);
        });
    }

    fn show(&self) {
        let cards = self.handle().map(|machine| machine.networks());
        let view = View {
            definition: self.wanted.clone(),
            folder: self.machine.folder.clone(),
            alive: self.alive,
            findings: self.findings.iter().chain(&self.refused).cloned().collect(),
            cards: cards.unwrap_or_default(),
            systems: self.systems,
            balloon: self.balloon,
            switches: self.switches.clone(),
        };
        self.editor.fill(|| {
            for topic in &self.topics {
                topic.show(&view);
            }
        });
        for ((mark, (_, title, _, fields)), summary) in
            self.marks.iter().zip(&TOPICS).zip(summaries(&view))
        {
            let about =
                |finding: &&Finding| fields.iter().any(|field| finding.field.starts_with(field));
            let worst = view.findings.iter().filter(about).map(|one| one.severity);
            mark.show(&gettext(*title), &summary, worst.max());
        }
    }
}

/// Where there is little room, the list and its topics are pages that follow one another.
fn adapt(bin: &adw::BreakpointBin, split: &adw::NavigationSplitView) {
    let narrow = adw::Breakpoint::new(adw::BreakpointCondition::new_length(
        adw::BreakpointConditionLengthType::MaxWidth,
        560.0,
        adw::LengthUnit::Sp,
    ));
    narrow.add_setter(split, "collapsed", Some(&true.to_value()));
    bin.add_breakpoint(narrow);
}

/// What people call network card `number`.
pub fn card_title(definition: &Definition, number: usize) -> String {
    if definition.networks.len() == 1 {
        gettext("Network Card")
    } else {
        gettext_with("Network Card {number}", &[("number", &(number + 1))])
    }
}

/// What people call the drives: "Hard Disk 1", "Optical Drive 1".
fn titles(definition: &Definition) -> Vec<String> {
    let (mut disks, mut optical) = (0, 0);
    definition
        .drives
        .iter()
        .map(|drive| match drive.kind {
            DriveKind::Disk => {
                disks += 1;
                gettext_with("Hard Disk {number}", &[("number", &disks)])
            }
            DriveKind::Optical => {
                optical += 1;
                gettext_with("Optical Drive {number}", &[("number", &optical)])
            }
        })
        .collect()
}
