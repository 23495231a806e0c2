//! The chosen machine's page: what can be done with it in the header, and its views beneath. It does what needs the machine's
//! handle alone; starting, deleting and renaming concern the library, so it asks the window for them.

use std::path::PathBuf;
use std::sync::Arc;

use relm4::adw::prelude::*;
use relm4::prelude::*;
use relm4::{adw, gtk};

use super::actions::{self, Act, Actions, Scale};
use super::banners::Banners;
use super::command::{self, Done};
use super::dropped::{self, Use};
use super::full_screen::Bars;
use super::hardware::{HardwareInput, HardwareView};
use super::log::{self, LogInput, LogView};
use super::medium::{self, Change};
use super::overview::{Overview, OverviewInput, OverviewOutput};
use super::power::PowerButtons;
use super::room::Adapting;
use super::screen::{Screen, ScreenInit, ScreenInput, ScreenOutput};
use super::serial::{SerialInput, SerialView};
use super::snapshots::{SnapshotsInput, SnapshotsView};
use super::{clone, export, layout, space, typing};
use crate::dialogs::file_drop;
use crate::dialogs::question::{self, Weight};
use crate::model::{Definition, Machine, MachineEvent, Machines, State, StoredMachine};
use crate::settings;
use crate::text::{gettext, gettext_with};

/// The page.
pub struct MachinePage {
    machines: Arc<Machines>,
    machine: StoredMachine,
    state: State,
    bars: Bars,
    power: PowerButtons,
    banners: Banners,
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
    /// Show the view with this name.
    View(String),
    /// The window went full screen, or back.
    FullScreen(bool),
    /// The screen is in a window of its own, or no longer.
    Away(bool),
    /// What the screen tells.
    Screen(ScreenOutput),
    /// A file was dropped on the screen.
    Dropped(PathBuf),
}

/// What it asks of the window.
#[derive(Debug)]
pub enum PageOutput {
    /// Start the machine.
    Start,
    /// Show its screen in a window of its own.
    Window,
    /// Move it to the Trash.
    Delete,
    /// Make it this.
    Update(Definition),
    /// Go to the machine in this folder.
    Open(PathBuf),
    /// Begin to make a machine from this file.
    NewFrom(PathBuf),
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
    /// What a person wanted was done, or why not.
    Done(Done),
    /// A disc was changed, or not.
    Medium(Change),
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
                #[local_ref]
                set_child = view -> adw::ToolbarView {
                    #[local_ref]
                    add_top_bar = header -> adw::HeaderBar {
                        #[wrap(Some)]
                        #[name = "switcher"]
                        set_title_widget = &adw::ViewSwitcher {
                            set_policy: adw::ViewSwitcherPolicy::Wide,
                        },
                        pack_end: model.bars.leave(),
                        pack_end = &gtk::MenuButton {
                            set_icon_name: "view-more-symbolic",
                            set_tooltip_text: Some(&gettext("Machine Menu")),
                            set_menu_model: Some(&actions::machine_menu()),
                            update_property: &[gtk::accessible::Property::Label(&gettext("Machine Menu"))],
                        },
                        #[name = "own"]
                        pack_end = &gtk::Button {
                            set_icon_name: "window-new-symbolic",
                            set_tooltip_text: Some(&gettext("Open in New Window")),
                            set_action_name: Some("machine.window"),
                            update_property: &[gtk::accessible::Property::Label(&gettext("Open in New Window"))],
                        },
                    },
                    add_top_bar: model.banners.widget(),
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
        let (view, header) = (&adw::ToolbarView::new(), &adw::HeaderBar::new());
        let power = PowerButtons::new(header);
        power.follow(&state);
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
                    takes_keyboard: state == State::Starting,
                    state: state.clone(),
                })
                .forward(sender.input_sender(), PageInput::Screen),
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
            banners: Banners::new(machine.folder.clone(), &state),
            machines,
            machine,
            state,
            bars: Bars::new(view),
            power,
            actions,
        };
        model.scale(settings::get().scale(model.machine.definition.uuid));
        let widgets = view_output!();
        widgets.switcher.set_stack(Some(&widgets.views));
        widgets.bottom.set_stack(Some(&widgets.views));
        Adapting {
            bin: &widgets.bin,
            header,
            switcher: &widgets.switcher,
            bottom: &widgets.bottom,
            own: &widgets.own,
        }
        .adapt();
        let input = sender.input_sender().clone();
        let screen = model.screen.widget();
        screen.add_css_class("takes-files");
        screen.add_controller(file_drop::target(move |file| {
            let _ = input.send(PageInput::Dropped(file));
        }));
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
            PageInput::State(state) | PageInput::Event(MachineEvent::State(state)) => {
                self.follow(state);
            }
            PageInput::Event(MachineEvent::Network { .. }) => {
                self.hardware.emit(HardwareInput::Network);
            }
            PageInput::Event(MachineEvent::Log { line }) => self.log.emit(LogInput::Line(line)),
            PageInput::Event(MachineEvent::Medium { .. }) => {
                self.overview.emit(OverviewInput::Media);
                self.hardware.emit(HardwareInput::Media);
            }
            PageInput::Event(
                MachineEvent::Ended { .. }
                | MachineEvent::Lights { .. }
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
            PageInput::View(name) | PageInput::Act(Act::View(name)) => {
                widgets.views.set_visible_child_name(&name)
            }
            PageInput::Act(Act::KeyboardLayout) => {
                let machine = self.machine.definition.uuid;
                relm4::spawn_local(layout::ask(machine, root.clone().upcast()));
            }
            PageInput::Act(Act::TypeClipboard) => {
                let (machines, machine) = (self.machines.clone(), self.machine.clone());
                let view = root.clone().upcast();
                relm4::spawn_local(typing::type_clipboard(machines, machine, view));
            }
            PageInput::Act(Act::Window) => drop(sender.output(PageOutput::Window)),
            PageInput::Away(away) => self.screen.emit(ScreenInput::Away(away)),
            PageInput::Act(Act::Scale(scale)) => self.scale(scale),
            PageInput::Act(Act::ZoomIn) => self.screen.emit(ScreenInput::Zoom(true)),
            PageInput::Act(Act::ZoomOut) => self.screen.emit(ScreenInput::Zoom(false)),
            PageInput::Screen(ScreenOutput::Scaled(scaling)) => {
                self.scaled(Scale::Picture(scaling));
            }
            PageInput::Screen(ScreenOutput::Size(..)) => {}
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
            PageInput::Act(Act::FreeSpace) => {
                if let Some(file) = space::wanted_by(&self.state, &self.machine.folder) {
                    let output = sender.output_sender().clone();
                    let open = move |folder| drop(output.send(PageOutput::Open(folder)));
                    let root = root.clone().upcast();
                    relm4::spawn_local(space::show(self.machines.clone(), file, root, open));
                }
            }
            PageInput::Act(act) => self.act(act, &sender, root),
            PageInput::Confirmed(act) => self.confirmed(act, &sender),
            PageInput::Change(change) => self.change(change, &sender),
            PageInput::Dropped(file) => self.dropped(file, &sender, root),
            PageInput::Pull(drive) => self.change_medium(drive, None, true, &sender),
            PageInput::FullScreen(on) => {
                self.bars.follow(on);
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
            PageCommand::Done(Done::Pictured(Ok(path))) => {
                drop(sender.output(PageOutput::Saved(gettext("Screenshot saved"), path)));
            }
            PageCommand::Done(Done::Pictured(Err(body))) => {
                failed(gettext("The screenshot was not saved"), body);
            }
            PageCommand::Done(Done::Carried(_, Ok(()))) => {}
            PageCommand::Done(Done::Carried(failure, Err(body))) => {
                let name = &self.machine.definition.name;
                failed(gettext_with(failure, &[("name", name)]), body);
            }
            PageCommand::Done(Done::Pressed) => {
                drop(sender.output(PageOutput::Toast(command::pressed())));
            }
            PageCommand::Done(Done::Off) => drop(sender.output(PageOutput::Delete)),
            PageCommand::Medium(Change::Made(drive, path)) => {
                if let Some(definition) = medium::kept(&self.machine.definition, drive, path) {
                    let _ = sender.output(PageOutput::Update(definition));
                }
            }
            PageCommand::Medium(Change::Failed(body)) => {
                failed(gettext("The disc was not changed"), body);
            }
            PageCommand::Medium(Change::Locked(drive)) => {
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

    /// Fits the picture, and keeps how.
    fn scale(&self, scale: Scale) {
        self.screen.emit(ScreenInput::Scale(scale.scaling()));
        self.scaled(scale);
    }

    fn scaled(&self, scale: Scale) {
        self.actions.set_scale(scale);
        settings::get().keep_scale(self.machine.definition.uuid, scale);
    }

    fn show_log(&self) {
        let lines = self.handle().map(|machine| machine.log());
        let lines = lines.unwrap_or_else(|| log::kept(&self.machine.log()));
        self.log.emit(LogInput::Show(lines));
    }

    fn follow(&mut self, state: State) {
        self.actions.follow(&state);
        self.power.follow(&state);
        self.banners.follow(&state);
        self.screen.emit(ScreenInput::State(state.clone()));
        self.overview.emit(OverviewInput::State(state.clone()));
        self.hardware.emit(HardwareInput::State(state.clone()));
        self.snapshots.emit(SnapshotsInput::State(state.clone()));
        self.state = state;
    }

    fn act(&self, act: Act, sender: &ComponentSender<Self>, root: &adw::NavigationPage) {
        let name = self.machine.definition.name.as_str();
        let Some([heading, body, answer]) = command::question(&act, name, &self.state) else {
            return self.confirmed(act, sender);
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

    fn dropped(&self, file: PathBuf, sender: &ComponentSender<Self>, root: &adw::NavigationPage) {
        let (output, input) = (
            sender.output_sender().clone(),
            sender.input_sender().clone(),
        );
        let (root, machine) = (root.clone(), self.machine.definition.clone());
        let runs = self
            .handle()
            .is_some_and(|machine| machine.state().is_alive());
        relm4::spawn_local(async move {
            match dropped::ask(&root, &machine, runs, &file).await {
                Some(Use::Insert) => {
                    let _ = input.send(PageInput::Change(OverviewOutput::Insert(0, file)));
                }
                Some(Use::NewMachine) => drop(output.send(PageOutput::NewFrom(file))),
                None => {}
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
            if let Some(elsewhere) = self.machines.elsewhere(&self.machine.folder) {
                let name = self.machine.definition.name.to_string();
                sender.spawn_oneshot_command(move || {
                    PageCommand::Done(command::carry_out_elsewhere(&elsewhere, &name, act))
                });
                return;
            }
            match act {
                Act::Start => drop(sender.output(PageOutput::Start)),
                Act::Delete => drop(sender.output(PageOutput::Delete)),
                // The machine went off between the wish and now.
                _ => {}
            }
            return;
        };
        let name = self.machine.definition.name.to_string();
        sender.spawn_oneshot_command(move || {
            PageCommand::Done(command::carry_out(&machine, &name, act))
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
        let machine = self.handle();
        sender.spawn_oneshot_command(move || {
            PageCommand::Medium(medium::change(machine.as_ref(), drive, path, force))
        });
    }
}
