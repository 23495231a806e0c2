//! A machine's screen in a window of its own. It shows the screen and does what concerns it; everything else is on the machine's
//! page. Closing it leaves the machine as it is.

use std::path::PathBuf;
use std::sync::Arc;

use relm4::adw::prelude::*;
use relm4::gtk::gio;
use relm4::prelude::*;
use relm4::{adw, gtk};

use super::actions::{self, Act, Actions, Scale};
use super::banners::Banners;
use super::command::{self, Done};
use super::dropped::{self, Use};
use super::full_screen::{self, Bars};
use super::medium::{self, Change};
use super::power::PowerButtons;
use super::screen::{Screen, ScreenInit, ScreenInput, ScreenOutput};
use super::{layout, space, typing};
use crate::dialogs::question::{self, Weight};
use crate::dialogs::{file_drop, toast};
use crate::model::{Definition, Machines, State, StoredMachine};
use crate::settings;
use crate::text::{self, gettext, gettext_with};

/// The window.
pub struct MachineWindow {
    machines: Arc<Machines>,
    machine: StoredMachine,
    state: State,
    actions: Actions,
    screen: Controller<Screen>,
    power: PowerButtons,
    banners: Banners,
    bars: Bars,
    scale: Scale,
    /// Width and height of the guest's screen in its pixels.
    guest: (u32, u32),
}

/// What it is told.
#[derive(Debug)]
pub enum WindowInput {
    /// The machine is this now.
    Show(StoredMachine),
    /// It does something else now.
    State(State),
    /// Come to the front.
    Present,
    /// A person wants something done.
    Act(Act),
    /// A person said yes to it.
    Confirmed(Act),
    /// Go full screen, or back.
    FullScreen,
    /// Go full screen on the monitor at this connector.
    FullScreenOn(String),
    /// The window went full screen, or back.
    FullScreened(bool),
    /// The window is to be closed.
    Close,
    /// What the screen tells.
    Screen(ScreenOutput),
    /// A file was dropped on the screen.
    Dropped(PathBuf),
    /// This disc is to be put into the first optical drive.
    Insert(PathBuf),
}

/// What it asks of the main window.
#[derive(Debug)]
pub enum WindowOutput {
    /// Start the machine.
    Start,
    /// Show this view of the machine's page.
    View(String),
    /// Show the page of the machine in this folder.
    Open(PathBuf),
    /// The machine is this from now on.
    Update(Definition),
    /// Make a machine from this file.
    NewFrom(PathBuf),
    /// The window is closed.
    Closed,
}

/// What has been done beside the window.
#[derive(Debug)]
pub enum WindowCommand {
    /// Something with the machine.
    Done(Done),
    /// A disc was changed, or not.
    Medium(Change),
}

/// What of a machine's actions is done on its page alone.
const ELSEWHERE: [&str; 5] = ["window", "clone", "export", "back-up", "delete"];

#[relm4::component(pub)]
impl Component for MachineWindow {
    type Init = (Arc<Machines>, StoredMachine, State);
    type Input = WindowInput;
    type Output = WindowOutput;
    type CommandOutput = WindowCommand;

    view! {
        #[root]
        adw::ApplicationWindow {
            #[watch]
            set_title: Some(model.machine.definition.name.as_str()),
            set_size_request: (360, 294),
            add_breakpoint = adw::Breakpoint::new(adw::BreakpointCondition::new_length(
                adw::BreakpointConditionLengthType::MaxWidth,
                500.0,
                adw::LengthUnit::Sp,
            )) {
                add_setter: (header, "decoration-layout", Some(&":close".to_value())),
            },
            connect_close_request[sender] => move |_| {
                sender.input(WindowInput::Close);
                gtk::glib::Propagation::Stop
            },
            connect_fullscreened_notify[sender] => move |window| sender.input(WindowInput::FullScreened(window.is_fullscreen())),
            #[name = "toasts"]
            adw::ToastOverlay {
                #[local_ref]
                view -> adw::ToolbarView {
                    #[local_ref]
                    add_top_bar = header -> adw::HeaderBar {
                        #[wrap(Some)]
                        set_title_widget = &adw::WindowTitle {
                            #[watch]
                            set_title: model.machine.definition.name.as_str(),
                            #[watch]
                            set_subtitle: &text::state(&model.state),
                        },
                        pack_end = &gtk::MenuButton {
                            set_icon_name: "view-more-symbolic",
                            set_tooltip_text: Some(&gettext("Machine Menu")),
                            set_menu_model: Some(&actions::screen_menu(true)),
                            update_property: &[gtk::accessible::Property::Label(&gettext("Machine Menu"))],
                        },
                        pack_end = &gtk::MenuButton {
                            set_icon_name: "input-keyboard-symbolic",
                            set_tooltip_text: Some(&gettext("Send Keys")),
                            set_menu_model: Some(&actions::keys_menu()),
                            #[watch]
                            set_sensitive: model.state == State::Running,
                            update_property: &[gtk::accessible::Property::Label(&gettext("Send Keys"))],
                        },
                        pack_end: model.bars.leave(),
                    },
                    add_top_bar: model.banners.widget(),
                    set_content: Some(model.screen.widget()),
                },
            },
        }
    }

    fn init(
        (machines, machine, state): Self::Init,
        root: Self::Root,
        sender: ComponentSender<Self>,
    ) -> ComponentParts<Self> {
        let input = sender.input_sender().clone();
        let actions = Actions::new(move |act| {
            let _ = input.send(WindowInput::Act(act));
        });
        for name in ELSEWHERE {
            actions.group().remove_action(name);
        }
        actions.follow(&state);
        root.insert_action_group("machine", Some(actions.group()));
        let full_screen = gio::SimpleAction::new("full-screen", None);
        let input = sender.input_sender().clone();
        full_screen.connect_activate(move |_, _| {
            let _ = input.send(WindowInput::FullScreen);
        });
        root.add_action(&full_screen);
        let kind = Some(gtk::glib::VariantTy::STRING);
        let full_screen_on = gio::SimpleAction::new("full-screen-on", kind);
        let input = sender.input_sender().clone();
        full_screen_on.connect_activate(move |_, target| {
            if let Some(monitor) = target.and_then(gtk::glib::Variant::get::<String>) {
                let _ = input.send(WindowInput::FullScreenOn(monitor));
            }
        });
        root.add_action(&full_screen_on);
        root.set_application(Some(&relm4::main_application()));
        let screen = Screen::builder()
            .launch(ScreenInit {
                machines: machines.clone(),
                folder: machine.folder.clone(),
                name: machine.definition.name.to_string(),
                state: state.clone(),
                takes_keyboard: true,
            })
            .forward(sender.input_sender(), WindowInput::Screen);
        let input = sender.input_sender().clone();
        screen.widget().add_css_class("takes-files");
        screen
            .widget()
            .add_controller(file_drop::target(move |file| {
                let _ = input.send(WindowInput::Dropped(file));
            }));
        let (view, header) = (&adw::ToolbarView::new(), &adw::HeaderBar::new());
        let power = PowerButtons::new(header);
        power.follow(&state);
        let machine_identifier = machine.definition.uuid;
        let ((width, height), maximised) = settings::get().machine_window(machine_identifier);
        root.set_default_size(width, height);
        root.set_maximized(maximised);
        let banners = Banners::new(machine.folder.clone(), &state);
        let model = Self {
            machines,
            machine,
            state,
            actions,
            screen,
            power,
            banners,
            bars: Bars::new(view),
            scale: settings::get().scale(machine_identifier),
            guest: (0, 0),
        };
        model.screen.emit(ScreenInput::Scale(model.scale.scaling()));
        model.actions.set_scale(model.scale);
        let widgets = view_output!();
        ComponentParts { model, widgets }
    }

    fn update_with_view(
        &mut self,
        widgets: &mut Self::Widgets,
        message: WindowInput,
        sender: ComponentSender<Self>,
        root: &Self::Root,
    ) {
        match message {
            WindowInput::Show(machine) => {
                let name = machine.definition.name.to_string();
                self.screen.emit(ScreenInput::Name(name));
                self.machine = machine;
            }
            WindowInput::State(state) => {
                self.actions.follow(&state);
                self.power.follow(&state);
                self.banners.follow(&state);
                self.screen.emit(ScreenInput::State(state.clone()));
                self.state = state;
            }
            WindowInput::Present => root.present(),
            WindowInput::Act(Act::View(name)) => drop(sender.output(WindowOutput::View(name))),
            WindowInput::Act(Act::Scale(scale)) => {
                self.screen.emit(ScreenInput::Scale(scale.scaling()));
                self.scaled(scale, widgets, root);
            }
            WindowInput::Act(Act::ZoomIn) => self.screen.emit(ScreenInput::Zoom(true)),
            WindowInput::Act(Act::ZoomOut) => self.screen.emit(ScreenInput::Zoom(false)),
            WindowInput::Screen(ScreenOutput::Scaled(scaling)) => {
                self.scaled(Scale::Picture(scaling), widgets, root);
            }
            WindowInput::Screen(ScreenOutput::Size(width, height)) => {
                self.guest = (width, height);
                self.follow_guest(widgets, root);
            }
            WindowInput::Act(Act::KeyboardLayout) => {
                let machine = self.machine.definition.uuid;
                relm4::spawn_local(layout::ask(machine, root.clone().upcast()));
            }
            WindowInput::Act(Act::TypeClipboard) => {
                let (machines, machine) = (self.machines.clone(), self.machine.clone());
                let view = self.screen.widget().clone().upcast();
                relm4::spawn_local(typing::type_clipboard(machines, machine, view));
            }
            WindowInput::Act(Act::FreeSpace) => {
                if let Some(file) = space::wanted_by(&self.state, &self.machine.folder) {
                    let output = sender.output_sender().clone();
                    let open = move |folder| drop(output.send(WindowOutput::Open(folder)));
                    let root = root.clone().upcast();
                    relm4::spawn_local(space::show(self.machines.clone(), file, root, open));
                }
            }
            WindowInput::Act(act) => {
                let name = self.machine.definition.name.as_str();
                let Some([heading, body, answer]) = command::question(&act, name, &self.state)
                else {
                    return self.confirmed(act, &sender);
                };
                let (root, input) = (root.clone(), sender.input_sender().clone());
                relm4::spawn_local(async move {
                    let answers = [(answer, Weight::Destructive)];
                    let answer = question::ask(&root, &heading, &body, &answers).await;
                    if answer.is_some() {
                        let _ = input.send(WindowInput::Confirmed(act));
                    }
                });
            }
            WindowInput::Confirmed(act) => self.confirmed(act, &sender),
            WindowInput::FullScreen => {
                if root.is_fullscreen() {
                    root.unfullscreen();
                } else {
                    full_screen::enter(root, self.machine.definition.uuid);
                }
            }
            WindowInput::FullScreenOn(monitor) => {
                full_screen::enter_on(root, self.machine.definition.uuid, &monitor);
            }
            WindowInput::Dropped(file) => self.dropped(file, &sender, root),
            WindowInput::Insert(file) => {
                let machine = self.machines.handle(&self.machine.folder);
                sender.spawn_oneshot_command(move || {
                    WindowCommand::Medium(medium::change(machine.as_ref(), 0, Some(file), false))
                });
            }
            WindowInput::FullScreened(on) => self.bars.follow(on),
            WindowInput::Close => {
                settings::get().keep_machine_window(self.machine.definition.uuid, root);
                let _ = sender.output(WindowOutput::Closed);
            }
        }
        self.update_view(widgets, sender);
    }

    fn update_cmd_with_view(
        &mut self,
        widgets: &mut Self::Widgets,
        message: WindowCommand,
        sender: ComponentSender<Self>,
        root: &Self::Root,
    ) {
        match message {
            WindowCommand::Done(Done::Pictured(Ok(path))) => {
                saved(widgets, &gettext("Screenshot saved"), path);
            }
            WindowCommand::Done(Done::Pictured(Err(body))) => {
                question::error(root, &gettext("The screenshot was not saved"), &body);
            }
            WindowCommand::Done(Done::Carried(failure, Err(body))) => {
                let name = &self.machine.definition.name;
                question::error(root, &gettext_with(failure, &[("name", name)]), &body);
            }
            WindowCommand::Done(Done::Carried(_, Ok(())) | Done::Off) => {}
            WindowCommand::Done(Done::Pressed) => widgets
                .toasts
                .add_toast(adw::Toast::new(&command::pressed())),
            WindowCommand::Medium(Change::Made(drive, path)) => {
                if let Some(definition) = medium::kept(&self.machine.definition, drive, path) {
                    let _ = sender.output(WindowOutput::Update(definition));
                }
            }
            WindowCommand::Medium(Change::Failed(body)) => {
                question::error(root, &gettext("The disc was not changed"), &body);
            }
            // A guest holds what is taken out, not what is put in.
            WindowCommand::Medium(Change::Locked(_)) => {}
        }
    }
}

impl MachineWindow {
    fn scaled(
        &mut self,
        scale: Scale,
        widgets: &MachineWindowWidgets,
        root: &adw::ApplicationWindow,
    ) {
        self.scale = scale;
        self.actions.set_scale(scale);
        settings::get().keep_scale(self.machine.definition.uuid, scale);
        self.follow_guest(widgets, root);
    }

    /// Makes the window as large as the guest's screen and its own bars, if that is wanted.
    fn follow_guest(&self, widgets: &MachineWindowWidgets, root: &adw::ApplicationWindow) {
        let alone = !root.is_maximized() && !root.is_fullscreen();
        let (Scale::Follow, Some(surface), true) = (self.scale, root.surface(), alone) else {
            return;
        };
        #[expect(
            clippy::cast_possible_truncation,
            reason = "at most 8192, of which a monitor shows a part"
        )]
        let units = |pixels: u32| (f64::from(pixels) / surface.scale()).ceil() as i32;
        if self.guest.0 > 0 && self.guest.1 > 0 {
            let bars = widgets.view.top_bar_height();
            root.set_default_size(units(self.guest.0), units(self.guest.1) + bars);
        }
    }

    fn dropped(
        &self,
        file: PathBuf,
        sender: &ComponentSender<Self>,
        root: &adw::ApplicationWindow,
    ) {
        let (output, input) = (
            sender.output_sender().clone(),
            sender.input_sender().clone(),
        );
        let (root, machine) = (root.clone(), self.machine.definition.clone());
        let runs = self
            .machines
            .handle(&self.machine.folder)
            .is_some_and(|machine| machine.state().is_alive());
        relm4::spawn_local(async move {
            match dropped::ask(&root, &machine, runs, &file).await {
                Some(Use::Insert) => drop(input.send(WindowInput::Insert(file))),
                Some(Use::NewMachine) => drop(output.send(WindowOutput::NewFrom(file))),
                None => {}
            }
        });
    }

    fn confirmed(&self, act: Act, sender: &ComponentSender<Self>) {
        let machine = self.machines.handle(&self.machine.folder);
        let Some(machine) = machine.filter(|machine| machine.state().is_alive()) else {
            if let Some(elsewhere) = self.machines.elsewhere(&self.machine.folder) {
                let name = self.machine.definition.name.to_string();
                sender.spawn_oneshot_command(move || {
                    WindowCommand::Done(command::carry_out_elsewhere(&elsewhere, &name, act))
                });
            } else if act == Act::Start {
                let _ = sender.output(WindowOutput::Start);
            }
            return;
        };
        let name = self.machine.definition.name.to_string();
        sender.spawn_oneshot_command(move || {
            WindowCommand::Done(command::carry_out(&machine, &name, act))
        });
    }
}

fn saved(widgets: &MachineWindowWidgets, what: &str, path: PathBuf) {
    widgets.toasts.add_toast(toast::saved(what, path));
}
