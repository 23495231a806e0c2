//! The chosen machine's page: what can be done with it in the header, and its views beneath. It does what needs the machine's
//! handle alone; starting, deleting and renaming concern the library, so it asks the window for them.

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use relm4::adw::prelude::*;
use relm4::prelude::*;
use relm4::{adw, gtk};

use super::actions::{self, Act, Actions};
use super::hardware::{HardwareInput, HardwareView};
use super::keys;
use super::log::{self, LogInput, LogView};
use super::overview::{Overview, OverviewInput, OverviewOutput};
use super::screen::{Screen, ScreenInit, ScreenInput};
use super::screenshot;
use super::serial::{SerialInput, SerialView};
use super::snapshots::{SnapshotsInput, SnapshotsView};
use super::{clone, export};
use crate::access;
use crate::dialogs::question::{self, Weight};
use crate::model::{
    CommandError, Definition, DriveKind, Machine, MachineEvent, Machines, State, StoredMachine,
};
use crate::text::{self, gettext, gettext_with, message};

/// The page.
pub struct MachinePage {
    machines: Arc<Machines>,
    machine: StoredMachine,
    state: State,
    full_screen: Rc<Cell<bool>>,
    actions: Actions,
    screen: Controller<Screen>,
    overview: Controller<Overview>,
    hardware: Controller<HardwareView>,
    snapshots: Controller<SnapshotsView>,
    serial: Controller<SerialView>,
    log: Controller<LogView>,
}

/// Which machine it is for.
pub struct PageInit {
    /// All of them.
    pub machines: Arc<Machines>,
    /// This one.
    pub machine: StoredMachine,
    /// What it is doing.
    pub state: State,
}

/// What it is told.
#[derive(Debug)]
pub enum PageInput {
    /// The machine is this now.
    Show(StoredMachine),
    /// It does something else now.
    State(State),
    /// It told something.
    Event(MachineEvent),
    /// It has a new handle.
    Started,
    /// A person wants something done.
    Act(Act),
    /// A person said yes to it.
    Confirmed(Act),
    /// A person wants something changed.
    Change(OverviewOutput),
    /// Take the disc out of this optical drive although the guest has locked it.
    Pull(usize),
    /// The window went full screen, or back.
    FullScreen(bool),
}

/// What it asks of the window.
#[derive(Debug)]
pub enum PageOutput {
    /// Start the machine.
    Start,
    /// Move it to the Trash.
    Delete,
    /// Make it this.
    Update(Definition),
    /// Say something in passing.
    Toast(String),
    /// Say this in passing of a file that was written, and offer to show it.
    Saved(String, PathBuf),
    /// Say what went wrong.
    Failed {
        /// What could not be done.
        heading: String,
        /// Why, and what to do.
        body: String,
    },
}

/// What a worker did.
#[derive(Debug)]
pub enum PageCommand {
    /// The picture was saved, or why not.
    Pictured(Result<PathBuf, String>),
    /// Something was done (as in "could not be paused"), or why not.
    Done(&'static str, Result<(), String>),
    /// The power button was pressed.
    Pressed,
    /// The machine is off and can be deleted.
    Off,
    /// The medium of this optical drive is another now.
    Changed(usize, Option<PathBuf>),
    /// The medium was not changed, and why.
    Unchanged(String),
    /// The guest has locked this optical drive.
    Locked(usize),
}

#[relm4::component(pub)]
impl Component for MachinePage {
    type Init = PageInit;
    type Input = PageInput;
    type Output = PageOutput;
    type CommandOutput = PageCommand;

    view! {
        #[root]
        adw::NavigationPage {
            #[watch]
            set_title: model.machine.definition.name.as_str(),
            set_tag: Some("machine"),
            #[name = "bin"]
            adw::BreakpointBin {
                set_size_request: (300, 200),
                #[wrap(Some)]
                #[name = "view"]
                set_child = &adw::ToolbarView {
                    #[name = "header"]
                    add_top_bar = &adw::HeaderBar {
                        pack_start = &gtk::Button {
                            set_icon_name: "media-playback-start-symbolic",
                            set_action_name: Some("machine.start"),
                            #[watch]
                            set_tooltip_text: Some(&if model.state.is_alive() { gettext("Resume") } else { gettext("Start") }),
                            #[watch]
                            set_visible: !matches!(model.state, State::Running | State::Starting),
                            #[watch]
                            update_property: &[gtk::accessible::Property::Label(&if model.state.is_alive() { gettext("Resume") } else { gettext("Start") })],
                        },
                        pack_start = &gtk::Button {
                            set_icon_name: "media-playback-pause-symbolic",
                            set_tooltip_text: Some(&gettext("Pause")),
                            set_action_name: Some("machine.pause"),
                            #[watch]
                            set_visible: model.state == State::Running,
                            update_property: &[gtk::accessible::Property::Label(&gettext("Pause"))],
                        },
                        #[name = "shut_down"]
                        pack_start = &adw::SplitButton {
                            set_icon_name: "system-shutdown-symbolic",
                            set_tooltip_text: Some(&gettext("Shut Down")),
                            set_dropdown_tooltip: &gettext("Reset or Force Off"),
                            set_action_name: Some("machine.shut-down"),
                            set_menu_model: Some(&actions::power_menu()),
                            #[watch]
                            set_visible: model.state.is_alive(),
                        },
                        #[wrap(Some)]
                        #[name = "switcher"]
                        set_title_widget = &adw::ViewSwitcher {
                            set_policy: adw::ViewSwitcherPolicy::Wide,
                        },
                        pack_end = &gtk::Button {
                            set_icon_name: "view-restore-symbolic",
                            set_tooltip_text: Some(&gettext("Leave Full Screen")),
                            set_action_name: Some("win.full-screen"),
                            #[watch]
                            set_visible: model.full_screen.get(),
                            update_property: &[gtk::accessible::Property::Label(&gettext("Leave Full Screen"))],
                        },
                        pack_end = &gtk::MenuButton {
                            set_icon_name: "view-more-symbolic",
                            set_tooltip_text: Some(&gettext("Machine Menu")),
                            set_menu_model: Some(&actions::machine_menu()),
                            update_property: &[gtk::accessible::Property::Label(&gettext("Machine Menu"))],
                        },
                    },
                    add_top_bar = &adw::Banner {
                        #[watch]
                        set_title: &model.standing(),
                        #[watch]
                        set_revealed: matches!(model.state, State::Paused { .. }),
                        set_button_label: Some(&gettext("Resume")),
                        set_action_name: Some("machine.start"),
                    },
                    #[wrap(Some)]
                    #[name = "views"]
                    set_content = &adw::ViewStack {
                        add_titled_with_icon[Some("display"), &gettext("Display"), "video-display-symbolic"]: model.screen.widget(),
                        add_titled_with_icon[Some("overview"), &gettext("Overview"), "view-list-symbolic"]: model.overview.widget(),
                        add_titled_with_icon[Some("hardware"), &gettext("Hardware"), "drive-harddisk-symbolic"]: model.hardware.widget(),
                        add_titled_with_icon[Some("snapshots"), &gettext("Snapshots"), "camera-photo-symbolic"]: model.snapshots.widget(),
                        add_titled_with_icon[Some("serial"), &gettext("Serial"), "utilities-terminal-symbolic"]: model.serial.widget(),
                        add_titled_with_icon[Some("log"), &gettext("Log"), "text-x-generic-symbolic"]: model.log.widget(),
                    },
                    #[name = "bottom"]
                    add_bottom_bar = &adw::ViewSwitcherBar {},
                },
            },
        }
    }

    fn init(
        init: PageInit,
        root: Self::Root,
        sender: ComponentSender<Self>,
    ) -> ComponentParts<Self> {
        let PageInit {
            machines,
            machine,
            state,
        } = init;
        let input = sender.input_sender().clone();
        let actions = Actions::new(move |act| {
            let _ = input.send(PageInput::Act(act));
        });
        actions.follow(&state);
        let overview = (
            machines.clone(),
            machine.folder.clone(),
            machine.definition.clone(),
        );
        let model = Self {
            screen: Screen::builder()
                .launch(ScreenInit {
                    machines: machines.clone(),
                    folder: machine.folder.clone(),
                    name: machine.definition.name.to_string(),
                    state: state.clone(),
                })
                .detach(),
            overview: Overview::builder()
                .launch(overview)
                .forward(sender.input_sender(), PageInput::Change),
            hardware: HardwareView::builder()
                .launch((machines.clone(), machine.clone(), state.clone()))
                .forward(sender.input_sender(), PageInput::Change),
            snapshots: SnapshotsView::builder()
                .launch((machines.clone(), machine.clone(), state.clone()))
                .detach(),
            serial: SerialView::builder()
                .launch(machines.serial(&machine.folder))
                .detach(),
            log: LogView::builder().launch(()).detach(),
            machines,
            machine,
            state,
            full_screen: Rc::default(),
            actions,
        };
        let widgets = view_output!();
        widgets.switcher.set_stack(Some(&widgets.views));
        widgets.bottom.set_stack(Some(&widgets.views));
        access::name(&widgets.shut_down, &gettext("Shut Down"));
        adapt(&widgets);
        reveal_at_top(&widgets.view, model.full_screen.clone());
        model.show_log();
        ComponentParts { model, widgets }
    }

    fn update_with_view(
        &mut self,
        widgets: &mut Self::Widgets,
        message: PageInput,
        sender: ComponentSender<Self>,
        root: &Self::Root,
    ) {
        match message {
            PageInput::Show(machine) => {
                let definition = machine.definition.clone();
                self.screen
                    .emit(ScreenInput::Name(definition.name.to_string()));
                self.overview.emit(OverviewInput::Show(definition));
                self.hardware.emit(HardwareInput::Show(machine.clone()));
                self.snapshots.emit(SnapshotsInput::Show(machine.clone()));
                self.machine = machine;
            }
            PageInput::State(state) => self.follow(state),
            PageInput::Event(MachineEvent::State(state)) => self.follow(state),
            PageInput::Event(MachineEvent::Network { .. }) => {
                self.hardware.emit(HardwareInput::Network);
            }
            PageInput::Event(MachineEvent::Log { line }) => self.log.emit(LogInput::Line(line)),
            PageInput::Event(MachineEvent::Medium { .. }) => {
                self.overview.emit(OverviewInput::Media);
                self.hardware.emit(HardwareInput::Media);
            }
            PageInput::Event(
                MachineEvent::Lights { .. }
                | MachineEvent::Memory { .. }
                | MachineEvent::Pointer { .. },
            ) => {}
            PageInput::Started => {
                self.show_log();
                let console = self.machines.serial(&self.machine.folder);
                self.serial.emit(SerialInput::Connect(console));
                self.overview.emit(OverviewInput::Media);
                self.hardware.emit(HardwareInput::Media);
                self.follow(self.machines.state(&self.machine.folder));
                widgets.views.set_visible_child_name("display");
            }
            PageInput::Act(Act::View(name)) => widgets.views.set_visible_child_name(&name),
            PageInput::Act(Act::Scale(scaling)) => self.screen.emit(ScreenInput::Scale(scaling)),
            PageInput::Act(Act::Clone) => self.clone_machine(root),
            PageInput::Act(Act::Export) => {
                let (machines, machine) = (self.machines.clone(), self.machine.clone());
                let output = sender.output_sender().clone();
                relm4::spawn_local(export::export(machines, machine, root.clone(), output));
            }
            PageInput::Act(Act::BackUp) => {
                let (machines, machine) = (self.machines.clone(), self.machine.clone());
                let output = sender.output_sender().clone();
                relm4::spawn_local(export::back_up(machines, machine, root.clone(), output));
            }
            PageInput::Act(act) => self.act(act, &sender, root),
            PageInput::Confirmed(act) => self.confirmed(act, &sender),
            PageInput::Change(change) => self.change(change, &sender),
            PageInput::Pull(drive) => self.change_medium(drive, None, true, &sender),
            PageInput::FullScreen(on) => {
                self.full_screen.set(on);
                widgets.view.set_reveal_top_bars(!on);
                widgets.view.set_reveal_bottom_bars(!on);
                widgets.view.set_extend_content_to_top_edge(on);
                if on {
                    widgets.views.set_visible_child_name("display");
                }
            }
        }
        self.update_view(widgets, sender);
    }

    fn update_cmd(
        &mut self,
        message: PageCommand,
        sender: ComponentSender<Self>,
        root: &Self::Root,
    ) {
        let failed = |heading: String, body| {
            let _ = sender.output(PageOutput::Failed { heading, body });
        };
        match message {
            PageCommand::Pictured(Ok(path)) => {
                drop(sender.output(PageOutput::Saved(gettext("Screenshot saved"), path)));
            }
            PageCommand::Pictured(Err(body)) => {
                failed(gettext("The screenshot was not saved"), body);
            }
            PageCommand::Done(_, Ok(())) => {}
            PageCommand::Done(failure, Err(body)) => {
                let name = &self.machine.definition.name;
                failed(gettext_with(failure, &[("name", name)]), body);
            }
            PageCommand::Pressed => {
                let text = gettext(
                    "The power button was pressed. A guest that does not answer can be forced off.",
                );
                let _ = sender.output(PageOutput::Toast(text));
            }
            PageCommand::Off => drop(sender.output(PageOutput::Delete)),
            PageCommand::Changed(drive, path) => self.keep_medium(drive, path, &sender),
            PageCommand::Unchanged(body) => failed(gettext("The disc was not changed"), body),
            PageCommand::Locked(drive) => {
                let (root, input) = (root.clone(), sender.input_sender().clone());
                relm4::spawn_local(async move {
                    let heading = gettext("The guest uses the disc");
                    let body = gettext(
                        "It has locked the drive. Taking the disc out all the same is like pulling it out by hand.",
                    );
                    let answer = (gettext("_Eject Anyway"), Weight::Destructive);
                    if question::ask(&root, &heading, &body, &[answer])
                        .await
                        .is_some()
                    {
                        let _ = input.send(PageInput::Pull(drive));
                    }
                });
            }
        }
    }
}

impl MachinePage {
    /// The machine's actions, for the window's menus and shortcuts.
    pub fn actions(&self) -> &gtk::gio::SimpleActionGroup {
        self.actions.group()
    }

    fn handle(&self) -> Option<Machine> {
        self.machines.handle(&self.machine.folder)
    }

    fn show_log(&self) {
        let lines = self.handle().map(|machine| machine.log());
        let lines = lines.unwrap_or_else(|| log::kept(&self.machine.log()));
        self.log.emit(LogInput::Show(lines));
    }

    fn follow(&mut self, state: State) {
        self.actions.follow(&state);
        self.screen.emit(ScreenInput::State(state.clone()));
        self.overview.emit(OverviewInput::State(state.clone()));
        self.hardware.emit(HardwareInput::State(state.clone()));
        self.snapshots.emit(SnapshotsInput::State(state.clone()));
        self.state = state;
    }

    /// What the banner says while the machine is paused.
    fn standing(&self) -> String {
        match &self.state {
            State::Paused {
                reason: Some(reason),
            } => text::escape(reason),
            _ => gettext("Paused"),
        }
    }

    fn act(&self, act: Act, sender: &ComponentSender<Self>, root: &adw::NavigationPage) {
        let name = &self.machine.definition.name;
        let (heading, body, answer) = match act {
            Act::Reset => (
                gettext_with("Reset “{name}”?", &[("name", name)]),
                gettext(
                    "It starts from the beginning at once. What the guest has not saved is lost.",
                ),
                gettext("_Reset"),
            ),
            Act::PowerOff => (
                gettext_with("Force “{name}” off?", &[("name", name)]),
                gettext("That is like pulling its plug. What the guest has not saved is lost."),
                gettext("_Force Off"),
            ),
            Act::Delete if self.state.is_alive() => (
                gettext_with("“{name}” is not off", &[("name", name)]),
                gettext(
                    "It is forced off before it is moved to the Trash. What the guest has not saved is lost.",
                ),
                gettext("_Force Off and Delete"),
            ),
            act => return self.confirmed(act, sender),
        };
        let (root, input) = (root.clone(), sender.input_sender().clone());
        relm4::spawn_local(async move {
            if question::ask(&root, &heading, &body, &[(answer, Weight::Destructive)])
                .await
                .is_some()
            {
                let _ = input.send(PageInput::Confirmed(act));
            }
        });
    }

    fn clone_machine(&self, root: &adw::NavigationPage) {
        let (machines, machine) = (self.machines.clone(), self.machine.clone());
        relm4::spawn_local(clone::ask(machines, machine, root.clone()));
    }

    fn confirmed(&self, act: Act, sender: &ComponentSender<Self>) {
        let machine = self.handle().filter(|machine| machine.state().is_alive());
        let Some(machine) = machine else {
            match act {
                Act::Start => drop(sender.output(PageOutput::Start)),
                Act::Delete => drop(sender.output(PageOutput::Delete)),
                // The machine went off between the wish and now.
                _ => {}
            }
            return;
        };
        let name = self.machine.definition.name.to_string();
        // What the machine is told it has done when the call returns, and that may last.
        sender.spawn_oneshot_command(move || {
            let done = |failure, result: Result<(), CommandError>| {
                PageCommand::Done(failure, result.map_err(|error| text::sentence(&error)))
            };
            match act {
                Act::Start => done(message("“{name}” could not be resumed"), machine.resume()),
                Act::Pause => done(message("“{name}” could not be paused"), machine.pause()),
                Act::Reset => done(message("“{name}” could not be reset"), machine.reset()),
                Act::ShutDown => match machine.shutdown() {
                    Ok(()) => PageCommand::Pressed,
                    error => done(message("“{name}” could not be shut down"), error),
                },
                Act::PowerOff => done(
                    message("“{name}” could not be forced off"),
                    machine.power_off(),
                ),
                Act::Delete => match machine.power_off() {
                    Ok(()) => PageCommand::Off,
                    error => done(message("“{name}” could not be forced off"), error),
                },
                Act::Screenshot => PageCommand::Pictured(screenshot::save(&machine, &name)),
                Act::SendKeys(id) => {
                    for event in keys::events(&id) {
                        machine.input(event);
                    }
                    done("", Ok(()))
                }
                Act::View(_) | Act::Scale(_) | Act::Clone | Act::Export | Act::BackUp => {
                    done("", Ok(()))
                }
            }
        });
    }

    fn change(&mut self, change: OverviewOutput, sender: &ComponentSender<Self>) {
        match change {
            OverviewOutput::Update(definition) => {
                drop(sender.output(PageOutput::Update(definition)));
            }
            OverviewOutput::Failed(text) => drop(sender.output(PageOutput::Toast(text))),
            OverviewOutput::Insert(drive, path) => {
                self.change_medium(drive, Some(path), false, sender);
            }
            OverviewOutput::Eject(drive) => self.change_medium(drive, None, false, sender),
        }
    }

    /// Changes what is in optical drive number `drive` of the machine, if it is alive, and then of what it is from now on.
    fn change_medium(
        &self,
        drive: usize,
        path: Option<PathBuf>,
        force: bool,
        sender: &ComponentSender<Self>,
    ) {
        let machine = self.handle().filter(|machine| machine.state().is_alive());
        sender.spawn_oneshot_command(move || {
            let file = match path.as_ref().map(std::fs::File::open).transpose() {
                Ok(file) => file,
                Err(error) => {
                    return PageCommand::Unchanged(gettext_with(
                        "The file cannot be opened: {reason}.",
                        &[("reason", &error)],
                    ));
                }
            };
            let result = match (machine, file, path.clone()) {
                (Some(machine), Some(file), Some(path)) => machine.insert(drive, file, path),
                (Some(machine), _, _) => machine.eject(drive, force),
                (None, _, _) => Ok(()),
            };
            match result {
                Ok(()) => PageCommand::Changed(drive, path),
                Err(CommandError::Locked) if path.is_none() => PageCommand::Locked(drive),
                Err(error) => PageCommand::Unchanged(text::sentence(&error)),
            }
        });
    }

    fn keep_medium(&self, drive: usize, path: Option<PathBuf>, sender: &ComponentSender<Self>) {
        let mut definition = self.machine.definition.clone();
        let mut optical = definition
            .drives
            .iter_mut()
            .filter(|drive| drive.kind == DriveKind::Optical);
        if let Some(drive) = optical.nth(drive)
            && drive.file != path
        {
            drive.file = path;
            let _ = sender.output(PageOutput::Update(definition));
        }
    }
}

/// In full screen the header is shown while the pointer is at the upper edge, over the picture.
fn reveal_at_top(view: &adw::ToolbarView, full_screen: Rc<Cell<bool>>) {
    const EDGE: f64 = 8.0;
    const AWAY: f64 = 120.0;
    let pointer = gtk::EventControllerMotion::new();
    pointer.set_propagation_phase(gtk::PropagationPhase::Capture);
    let shown = view.clone();
    pointer.connect_motion(move |_, _, y| {
        if full_screen.get() && !(EDGE..AWAY).contains(&y) {
            shown.set_reveal_top_bars(y < EDGE);
        }
    });
    view.add_controller(pointer);
}

/// Where there is little room, the views are switched beneath, and the header says which machine it is.
fn adapt(widgets: &MachinePageWidgets) {
    let below = |width: f64| {
        let width = adw::BreakpointCondition::new_length(
            adw::BreakpointConditionLengthType::MaxWidth,
            width,
            adw::LengthUnit::Sp,
        );
        adw::Breakpoint::new(width)
    };
    let narrower = below(860.0);
    narrower.add_setter(
        &widgets.switcher,
        "policy",
        Some(&adw::ViewSwitcherPolicy::Narrow.to_value()),
    );
    let narrow = below(500.0);
    narrow.add_setter(
        &widgets.header,
        "title-widget",
        Some(&None::<gtk::Widget>.to_value()),
    );
    narrow.add_setter(
        &widgets.header,
        "decoration-layout",
        Some(&":close".to_value()),
    );
    narrow.add_setter(&widgets.bottom, "reveal", Some(&true.to_value()));
    widgets.bin.add_breakpoint(narrower);
    widgets.bin.add_breakpoint(narrow);
}
