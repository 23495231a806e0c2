//! The window: the list of machines beside the chosen machine's page, or an invitation to make one.
//!
//! It follows what happens to the machines and hands it to the parts, starts and deletes machines on workers, and keeps the
//! session from ending under those that run. What a machine's page can do by itself is done there.

mod actions;
mod closing;
mod entries;
mod following;
mod notifications;
mod restore;
mod together;
mod windows;

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use relm4::adw::prelude::*;
use relm4::prelude::*;
use relm4::{adw, gtk};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::dialogs::file_choice::{self, FileKind};
use crate::dialogs::{about, question, toast};
use crate::library::{
    Item, MachineList, MachineListInit, MachineListInput, MachineListOutput, Order, Several,
    Together, several_menu, sign,
};
use crate::machine::{
    BrokenOutput, BrokenPage, MachinePage, MachineWindow, PageInit, PageInput, PageOutput,
    WindowInput, WindowOutput, row_menu,
};
use crate::model::{
    Change, Database, Definition, Deleted, Entry, MachineEvent, MachineLog, Machines, Name, State,
    StoredMachine, operating_systems,
};
use crate::network::switches::SwitchManager;
use crate::settings;
use crate::text::{self, gettext, gettext_with, message};
use crate::wizard::{self, Place, Wizard, WizardInput, WizardOutput};
use closing::Closing;
use notifications::installed_id;

/// The program's name on the session bus and in desktop files.
pub const APPLICATION_ID: &str = "io.github.guesthouse_vm.Guesthouse";

/// What the windows are opened with.
pub struct Options {
    /// The machines, which a control socket may share.
    pub machines: Arc<Machines>,
    /// Open the wizard at once.
    pub new_machine: bool,
    /// Open the wizard with this file, a name or an address.
    pub medium: Option<OsString>,
    /// Show no window until one is asked for: the session bus started the program for somebody who calls it.
    pub service: bool,
}

/// Shows the window and returns when it is closed for good.
pub fn run(options: Options) -> ExitCode {
    let arguments = actions::arguments(options.new_machine, options.medium.as_deref());
    // A second process hands over what it was asked for and ends: the first one's window shows it. A launcher is never the first,
    // and waits for nothing when it has handed over, as relm4's way to run an application does.
    // Whom the bus started is the first.
    let launcher = gtk::gio::Application::new(
        Some(APPLICATION_ID),
        gtk::gio::ApplicationFlags::HANDLES_COMMAND_LINE | gtk::gio::ApplicationFlags::IS_LAUNCHER,
    );
    if !options.service
        && is_running()
        && launcher.register(gtk::gio::Cancellable::NONE).is_ok()
        && launcher.is_remote()
    {
        let code = launcher.run_with_args(&arguments);
        return ExitCode::from(code.get());
    }
    drop(launcher);
    text::prepare();
    // The session bus hands over files as such, whoever starts the program as a command line.
    let mut flags =
        gtk::gio::ApplicationFlags::HANDLES_COMMAND_LINE | gtk::gio::ApplicationFlags::HANDLES_OPEN;
    if options.service {
        flags |= gtk::gio::ApplicationFlags::IS_SERVICE;
    }
    let application = adw::Application::builder()
        .application_id(APPLICATION_ID)
        .flags(flags)
        .build();
    application.connect_startup(|_| {
        relm4::set_global_css(&(include_str!("style.css").to_owned() + &sign::style()));
        if let Some(display) = gtk::gdk::Display::default() {
            let icons = gtk::IconTheme::for_display(&display);
            for share in crate::share::folders() {
                icons.add_search_path(share.join("icons"));
            }
        }
        gtk::Window::set_default_icon_name(APPLICATION_ID);
        settings::get().follow_colour_scheme();
    });
    RelmApp::from_app(application)
        .with_args(arguments)
        .run::<App>(options);
    ExitCode::SUCCESS
}

/// Whether a process has the application's name. A launcher must not find that out: the bus would start one.
fn is_running() -> bool {
    let bus = gtk::gio::bus_get_sync(gtk::gio::BusType::Session, gtk::gio::Cancellable::NONE);
    let asked = bus.and_then(|bus| {
        bus.call_sync(
            Some("org.freedesktop.DBus"),
            "/org/freedesktop/DBus",
            "org.freedesktop.DBus",
            "NameHasOwner",
            Some(&(APPLICATION_ID,).to_variant()),
            None,
            gtk::gio::DBusCallFlags::NONE,
            -1,
            gtk::gio::Cancellable::NONE,
        )
    });
    asked.is_ok_and(|answer| answer.get() == Some((true,)))
}

/// What stands beside the list.
enum Page {
    /// Nothing yet: the machine was only just made, and what is in its folder has not been read.
    None,
    Machine(Controller<MachinePage>),
    /// Several machines are selected.
    Several(Several, Vec<PathBuf>),
    Broken(
        #[expect(dead_code, reason = "the page lasts as long as its controller")]
        Controller<BrokenPage>,
    ),
}

/// The window.
pub struct App {
    machines: Arc<Machines>,
    entries: Vec<Entry>,
    systems: Option<&'static Database>,
    starting: HashSet<PathBuf>,
    /// When each machine was used last.
    used: HashMap<PathBuf, SystemTime>,
    list: Controller<MachineList>,
    page: Option<(PathBuf, Page)>,
    /// The machines' own windows.
    windows: HashMap<PathBuf, Controller<MachineWindow>>,
    /// To be started when it is known.
    wanted: Option<PathBuf>,
    wizard: Option<Controller<Wizard>>,
    switches: Option<Controller<SwitchManager>>,
    surveying: bool,
    /// What the wizard is to begin with when the survey is done.
    medium: Option<PathBuf>,
    closing: Closing,
    _monitor: Option<gtk::gio::FileMonitor>,
}

/// What it is told.
#[derive(Debug)]
pub enum AppInput {
    /// Something happened to the machines.
    Change(Change),
    /// A machine was chosen in the list.
    Selected(PathBuf),
    /// Several machines were.
    Several(Vec<PathBuf>),
    /// Something is to be done with all that are selected.
    Together(Together),
    /// The chosen machine's page is wanted in front.
    Opened,
    /// This machine's screen is wanted in a window of its own.
    OpenWindow(PathBuf),
    /// Show this machine's page.
    ShowMachine(PathBuf),
    /// Show it and start the machine.
    StartMachine(PathBuf),
    /// Go on with this machine.
    ResumeMachine(PathBuf),
    /// Show the machines that fit this.
    SearchFor(String),
    /// Take what this machine was installed from out of its drives.
    EjectInstaller(PathBuf),
    /// Nobody may need the program any more.
    Idle,
    /// What a machine's own window asks for.
    Window(PathBuf, WindowOutput),
    /// Write the chosen machine's name in the list.
    Rename,
    /// The machine in this folder is to be called so.
    Renamed(PathBuf, String),
    /// What comes first in the list.
    Order(Order),
    /// Whether the list has groups.
    Group(bool),
    /// Open the wizard.
    NewMachine,
    /// Open the wizard with this file.
    Medium(PathBuf),
    /// Choose a file from elsewhere and open the wizard with it.
    Import,
    /// Open the wizard with this file, from which nothing is to be started at once.
    NewFrom(PathBuf),
    /// Bring a machine back from a backup.
    RestoreBackup,
    /// Open the manager of virtual switches.
    Switches,
    /// It was closed.
    SwitchesClosed,
    /// What the wizard did.
    Wizard(WizardOutput),
    /// What a machine's page asks for.
    Page(PathBuf, PageOutput),
    /// What the page of a broken machine asks for.
    Broken(PathBuf, BrokenOutput),
    /// Bring a deleted machine back.
    Restore(Box<Deleted>),
    /// Open or close the search.
    Search,
    /// Go full screen, or back.
    FullScreen,
    /// The window went full screen, or back.
    FullScreened(bool),
    /// What program this is.
    About,
    /// Show the preferences.
    Preferences,
    /// The window appeared, for the first time or again.
    Shown,
    /// The keyboard shortcuts.
    Shortcuts,
    /// The window is to be closed.
    Close,
    /// An answer to what becomes of the machines that run.
    Closing(closing::Answer),
    /// The session ends, or somebody ends the program.
    SessionEnds,
    /// The desktop does not let the program run without a window.
    Refused,
    /// The window came to the front: somebody may have edited a file meanwhile.
    Refresh,
}

/// What is on disk, and when each machine was used last.
#[derive(Debug)]
pub struct Found {
    entries: Vec<Entry>,
    used: HashMap<PathBuf, SystemTime>,
}

/// What a worker found out or did.
#[derive(Debug)]
pub enum AppCommand {
    /// What is on disk.
    Scanned(Result<Found, String>),
    /// What operating systems are called.
    Systems(&'static Database),
    /// What the wizard has to know, and what it begins with.
    Surveyed(Box<Place>, Option<PathBuf>),
    /// A machine runs, or why not.
    Started(PathBuf, Result<(), String>),
    /// A machine, by its name, is in the Trash, or why not.
    Deleted(String, Result<Box<Deleted>, String>),
    /// A machine is back in this folder.
    Restored(PathBuf),
    /// What could not be done and why.
    Failed(String, String),
    /// It was done, and this is to be said in passing.
    Said(String),
    /// It was done.
    Done,
}

#[relm4::component(pub)]
impl Component for App {
    type Init = Options;
    type Input = AppInput;
    type Output = ();
    type CommandOutput = AppCommand;

    view! {
        #[root]
        adw::ApplicationWindow {
            set_title: Some(&gettext("Guesthouse")),
            connect_show => AppInput::Shown,
            set_size_request: (360, 294),
            connect_close_request[sender] => move |_| {
                sender.input(AppInput::Close);
                gtk::glib::Propagation::Stop
            },
            connect_fullscreened_notify[sender] => move |window| sender.input(AppInput::FullScreened(window.is_fullscreen())),
            connect_is_active_notify[sender] => move |window| if window.is_active() { sender.input(AppInput::Refresh) },
            #[name = "toasts"]
            adw::ToastOverlay {
                #[name = "stack"]
                gtk::Stack {
                    set_transition_type: gtk::StackTransitionType::Crossfade,
                    add_named[Some("loading")] = &adw::ToolbarView {
                        add_top_bar = &adw::HeaderBar {},
                    },
                    add_named[Some("empty")] = &adw::ToolbarView {
                        add_top_bar = &adw::HeaderBar {
                            set_show_title: false,
                            pack_end = &gtk::MenuButton {
                                set_icon_name: "open-menu-symbolic",
                                set_tooltip_text: Some(&gettext("Main Menu")),
                                set_menu_model: Some(&actions::main_menu()),
                                update_property: &[gtk::accessible::Property::Label(&gettext("Main Menu"))],
                            },
                        },
                        #[wrap(Some)]
                        set_content = &adw::StatusPage {
                            set_icon_name: Some("computer-symbolic"),
                            set_title: &gettext("No Machines Yet"),
                            set_description: Some(&gettext("Choose an installer and create a machine from it: its screen appears here.")),
                            gtk::Button {
                                set_label: &gettext("_New Machine"),
                                set_use_underline: true,
                                set_halign: gtk::Align::Center,
                                set_css_classes: &["pill", "suggested-action"],
                                set_action_name: Some("win.new-machine"),
                            },
                        },
                    },
                    #[name = "split"]
                    add_named[Some("machines")] = &adw::NavigationSplitView {
                        set_min_sidebar_width: 250.0,
                        set_max_sidebar_width: 280.0,
                        set_sidebar: Some(model.list.widget()),
                    },
                },
            },
            add_breakpoint = adw::Breakpoint::new(adw::BreakpointCondition::new_length(
                adw::BreakpointConditionLengthType::MaxWidth,
                640.0,
                adw::LengthUnit::Sp,
            )) {
                add_setter: (&split, "collapsed", Some(&true.to_value())),
            },
        }
    }

    fn init(
        Options {
            machines, service, ..
        }: Options,
        root: Self::Root,
        sender: ComponentSender<Self>,
    ) -> ComponentParts<Self> {
        let menu: gtk::gio::MenuModel = actions::main_menu().upcast();
        let list = MachineList::builder()
            .launch(MachineListInit {
                menu,
                menus: [row_menu(), several_menu()],
                machines: machines.clone(),
                order: settings::get().order(),
                grouped: settings::get().grouped(),
            })
            .forward(sender.input_sender(), |output| match output {
                MachineListOutput::Selected(folder) => AppInput::Selected(folder),
                MachineListOutput::Several(folders) => AppInput::Several(folders),
                MachineListOutput::Opened => AppInput::Opened,
                MachineListOutput::Window(folder) => AppInput::OpenWindow(folder),
                MachineListOutput::Rename(folder, name) => AppInput::Renamed(folder, name),
            });
        let monitor = following::watch(&machines);
        let model = Self {
            machines,
            entries: Vec::new(),
            systems: None,
            starting: HashSet::new(),
            used: HashMap::new(),
            list,
            page: None,
            windows: HashMap::new(),
            wanted: None,
            wizard: None,
            switches: None,
            surveying: false,
            medium: None,
            closing: Closing::default(),
            _monitor: monitor,
        };
        let widgets = view_output!();
        model
            .list
            .widgets()
            .adapt(widgets.split.upcast_ref::<gtk::Widget>());
        let ((width, height), maximised) = settings::get().window();
        root.set_default_size(width, height);
        root.set_maximized(maximised);
        actions::install(&root, sender.input_sender());
        following::relay(&model.machines, sender.input_sender().clone());
        sender.spawn_oneshot_command(|| AppCommand::Systems(operating_systems()));
        model.scan(&sender);
        follow_signals(sender.input_sender());
        if service {
            leave_when_idle(&root, sender.input_sender());
        }
        ComponentParts { model, widgets }
    }

    fn update_with_view(
        &mut self,
        widgets: &mut Self::Widgets,
        message: AppInput,
        sender: ComponentSender<Self>,
        root: &Self::Root,
    ) {
        match message {
            AppInput::Change(change) => self.follow(change, &widgets.toasts, &sender, root),
            AppInput::Selected(folder) => self.open(folder, widgets, &sender, root),
            AppInput::Several(folders) => self.open_several(folders, widgets, &sender, root),
            AppInput::Together(what) => self.together(what, &sender),
            AppInput::Opened => widgets.split.set_show_content(true),
            AppInput::OpenWindow(folder) => self.open_window(&folder, &sender),
            AppInput::ShowMachine(folder) => self.show_machine(folder, widgets, &sender, root),
            AppInput::StartMachine(folder) => {
                self.wanted = Some(folder.clone());
                self.show_machine(folder, widgets, &sender, root);
                self.start_wanted(&sender);
            }
            AppInput::ResumeMachine(folder) => {
                if let Some(machine) = self.machine(&folder).cloned() {
                    self.start_or_resume(machine, &sender);
                }
            }
            AppInput::EjectInstaller(folder) => {
                if let Some(machine) = self.machine(&folder).cloned() {
                    let machines = self.machines.clone();
                    relm4::main_application().withdraw_notification(&installed_id(&folder));
                    sender.spawn_oneshot_command(move || match machines.eject_all(&machine) {
                        Ok(()) => AppCommand::Said(gettext("The installer was ejected")),
                        Err(body) => AppCommand::Failed(gettext("The disc was not changed"), body),
                    });
                }
            }
            AppInput::SearchFor(text) => {
                root.present();
                self.list.emit(MachineListInput::SearchFor(text));
            }
            AppInput::Idle => {
                let needed = root.is_visible()
                    || !self.windows.is_empty()
                    || !self.starting.is_empty()
                    || !self.machines.alive().is_empty();
                if !needed {
                    relm4::main_application().quit();
                }
            }
            AppInput::Window(folder, output) => {
                self.window_asked(folder, output, widgets, &sender, root);
            }
            AppInput::Rename => self.list.emit(MachineListInput::Rename),
            AppInput::Renamed(folder, name) => self.rename(&folder, &name, &sender),
            AppInput::Order(order) => self.list.emit(MachineListInput::Order(order)),
            AppInput::Group(grouped) => self.list.emit(MachineListInput::Group(grouped)),
            AppInput::NewMachine => self.new_machine(None, &sender),
            AppInput::NewFrom(file) => self.new_machine(Some(file), &sender),
            AppInput::Import => {
                let (root, input) = (root.clone(), sender.input_sender().clone());
                relm4::spawn_local(async move {
                    let title = gettext("Import a Machine or Disk");
                    let chosen = file_choice::open(&root, &title, FileKind::Import);
                    if let Some(file) = chosen.await {
                        let _ = input.send(AppInput::NewFrom(file));
                    }
                });
            }
            AppInput::RestoreBackup => {
                relm4::spawn_local(restore::ask(self.machines.clone(), widgets.toasts.clone()));
            }
            AppInput::Medium(path) => {
                if let Some(wizard) = &self.wizard {
                    wizard.emit(WizardInput::Medium(path));
                } else {
                    self.medium = Some(path);
                    self.new_machine(None, &sender);
                }
            }
            AppInput::Switches => {
                if self.switches.is_none() {
                    let manager = SwitchManager::builder()
                        .launch(self.machines.clone())
                        .forward(sender.input_sender(), |()| AppInput::SwitchesClosed);
                    manager.widget().present(Some(root));
                    self.switches = Some(manager);
                }
            }
            AppInput::SwitchesClosed => self.switches = None,
            AppInput::Wizard(WizardOutput::Closed) => self.wizard = None,
            AppInput::Wizard(WizardOutput::Created { machine, start }) => {
                // The scan that this machine caused may still be on its way; its page is opened when it arrives.
                self.page = Some((machine.folder.clone(), Page::None));
                widgets.split.set_show_content(true);
                self.scan(&sender);
                if start {
                    self.start(*machine, &sender);
                }
            }
            AppInput::Page(folder, output) => self.asked(folder, output, widgets, &sender, root),
            AppInput::Broken(_, BrokenOutput::Check) => self.scan(&sender),
            AppInput::Broken(folder, BrokenOutput::Delete) => self.delete(&folder, &sender),
            AppInput::Restore(deleted) => {
                let machines = self.machines.clone();
                sender.spawn_oneshot_command(move || match machines.restore(&deleted) {
                    Ok(machine) => AppCommand::Restored(machine.folder().to_owned()),
                    Err(error) => AppCommand::Failed(
                        gettext("The machine could not be brought back"),
                        text::sentence(&error),
                    ),
                });
            }
            AppInput::Search => self.list.emit(MachineListInput::Search),
            AppInput::FullScreen => {
                if root.is_fullscreen() {
                    root.unfullscreen();
                } else if matches!(self.page, Some((_, Page::Machine(_)))) {
                    root.fullscreen();
                }
            }
            AppInput::FullScreened(on) => {
                widgets
                    .split
                    .set_collapsed(on || root.current_breakpoint().is_some());
                widgets.split.set_show_content(true);
                self.tell(PageInput::FullScreen(on));
            }
            AppInput::Shown => self.closing.shown(),
            AppInput::Preferences => settings::show(root),
            AppInput::About => about::about(root),
            AppInput::Shortcuts => about::shortcuts(root),
            AppInput::Close => self
                .closing
                .requested(&self.machines, root, sender.input_sender()),
            AppInput::Closing(answer) => {
                self.closing
                    .answered(answer, &self.machines, root, sender.input_sender())
            }
            AppInput::SessionEnds => {
                self.closing
                    .session_ends(&self.machines, root, sender.input_sender());
            }
            AppInput::Refused => self.closing.refused(root),
            AppInput::Refresh => self.scan(&sender),
        }
    }

    fn update_cmd_with_view(
        &mut self,
        widgets: &mut Self::Widgets,
        message: AppCommand,
        sender: ComponentSender<Self>,
        root: &Self::Root,
    ) {
        match message {
            AppCommand::Scanned(Ok(found)) => self.show(found, widgets, &sender, root),
            AppCommand::Scanned(Err(body)) => {
                question::error(root, &gettext("The machines could not be read"), &body)
            }
            AppCommand::Systems(systems) => {
                self.systems = Some(systems);
                self.list.emit(MachineListInput::Show(self.items()));
            }
            AppCommand::Surveyed(place, file) => self.open_wizard(*place, file, &sender, root),
            AppCommand::Started(folder, result) => {
                self.starting.remove(&folder);
                if let Err(body) = result {
                    let heading = gettext_with(
                        "“{name}” could not be started",
                        &[("name", &self.name(&folder))],
                    );
                    let log = MachineLog::path(&folder);
                    let body = gettext_with(
                        "{reason}\n\nIts log is {file}.",
                        &[("reason", &body), ("file", &log.display())],
                    );
                    question::error(root, &heading, &body);
                }
                self.set_state(&folder, self.machines.state(&folder), root);
            }
            AppCommand::Deleted(name, Ok(deleted)) => {
                widgets
                    .toasts
                    .add_toast(undo(&name, deleted, sender.input_sender()));
            }
            AppCommand::Deleted(name, Err(body)) => {
                question::error(
                    root,
                    &gettext_with(
                        "“{name}” could not be moved to the Trash",
                        &[("name", &name)],
                    ),
                    &body,
                );
            }
            AppCommand::Restored(folder) => {
                self.page = Some((folder, Page::None));
                self.scan(&sender);
            }
            AppCommand::Failed(heading, body) => {
                question::error(root, &heading, &body);
                // What the page shows may not be what stands.
                self.scan(&sender);
            }
            AppCommand::Said(text) => {
                let toast = adw::Toast::builder().title(text::escape(&text)).timeout(10);
                widgets.toasts.add_toast(toast.build());
            }
            AppCommand::Done => {}
        }
    }
}

impl App {
    fn scan(&self, sender: &ComponentSender<Self>) {
        let machines = self.machines.clone();
        sender.spawn_oneshot_command(move || {
            let found = machines.scan().map(|entries| {
                let used = entries.iter().filter_map(|entry| {
                    let folder = entry.folder();
                    Some((folder.to_owned(), MachineLog::last_written(folder)?))
                });
                Found {
                    used: used.collect(),
                    entries,
                }
            });
            AppCommand::Scanned(found.map_err(|error| text::sentence(&error)))
        });
    }

    fn tell(&self, input: PageInput) {
        if let Some((_, Page::Machine(page))) = &self.page {
            page.emit(input);
        }
    }

    fn tell_if_shown(&self, folder: &Path, input: PageInput) {
        if self.page.as_ref().is_some_and(|(shown, _)| shown == folder) {
            self.tell(input);
        }
    }

    fn follow(
        &mut self,
        change: Change,
        toasts: &adw::ToastOverlay,
        sender: &ComponentSender<Self>,
        root: &adw::ApplicationWindow,
    ) {
        match change {
            Change::Library => self.scan(sender),
            Change::Started { folder } => {
                self.tell_if_shown(&folder, PageInput::Started);
                self.set_state(&folder, self.machines.state(&folder), root);
            }
            Change::Installed { folder, written } => self.say_installed(&folder, written, toasts),
            Change::Event { folder, event } => {
                if let MachineEvent::State(state) = &event {
                    self.notify(&folder, state);
                    self.used.insert(folder.clone(), SystemTime::now());
                    self.set_state(&folder, state.clone(), root);
                } else {
                    self.tell_if_shown(&folder, PageInput::Event(event));
                }
            }
        }
    }

    fn set_state(&self, folder: &Path, state: State, root: &adw::ApplicationWindow) {
        self.show_row(folder);
        self.tell_window(folder, WindowInput::State(state.clone()));
        self.tell_if_shown(folder, PageInput::State(state));
        self.show_several();
        self.closing.follow(&self.machines, root);
    }

    /// Opens the wizard once it is known what there is.
    fn new_machine(&mut self, file: Option<PathBuf>, sender: &ComponentSender<Self>) {
        if self.wizard.is_none() && !self.surveying {
            self.surveying = true;
            let machines = self.machines.clone();
            sender.spawn_oneshot_command(move || {
                AppCommand::Surveyed(Box::new(wizard::survey(&machines)), file)
            });
        }
    }

    fn open_wizard(
        &mut self,
        place: Place,
        file: Option<PathBuf>,
        sender: &ComponentSender<Self>,
        root: &adw::ApplicationWindow,
    ) {
        self.surveying = false;
        let wizard = Wizard::builder()
            .launch((self.machines.clone(), place, file))
            .forward(sender.input_sender(), AppInput::Wizard);
        if let Some(path) = self.medium.take() {
            wizard.emit(WizardInput::Medium(path));
        }
        wizard.widget().present(Some(root));
        self.wizard = Some(wizard);
    }

    fn start(&mut self, machine: StoredMachine, sender: &ComponentSender<Self>) {
        let folder = machine.folder.clone();
        if !self.starting.insert(folder.clone()) {
            return;
        }
        self.show_row(&folder);
        self.tell_window(&folder, WindowInput::State(State::Starting));
        self.tell_if_shown(&folder, PageInput::State(State::Starting));
        self.show_several();
        let machines = self.machines.clone();
        sender.spawn_oneshot_command(move || {
            let started = machines.start(&machine).map(drop);
            AppCommand::Started(folder, started.map_err(|error| text::sentence(&error)))
        });
    }

    /// Makes `machine` what `definition` says.
    fn redefine(
        &self,
        machine: StoredMachine,
        definition: Definition,
        sender: &ComponentSender<Self>,
    ) {
        let machines = self.machines.clone();
        sender.spawn_oneshot_command(move || match machines.update(&machine, &definition) {
            Ok(_) => AppCommand::Done,
            Err(error) => {
                AppCommand::Failed(gettext("The change was not saved"), text::sentence(&error))
            }
        });
    }

    fn rename(&self, folder: &Path, name: &str, sender: &ComponentSender<Self>) {
        // The list has looked at the name.
        if let (Some(machine), Ok(name)) = (self.machine(folder), Name::new(name)) {
            let mut definition = machine.definition.clone();
            definition.name = name;
            self.redefine(machine.clone(), definition, sender);
        }
    }

    fn delete(&self, folder: &Path, sender: &ComponentSender<Self>) {
        let Some(machine) = self.entry(folder).cloned() else {
            return;
        };
        let machines = self.machines.clone();
        sender.spawn_oneshot_command(move || {
            let deleted = machines.delete(&machine).map(Box::new);
            let name = machine.title();
            AppCommand::Deleted(name, deleted.map_err(|error| text::sentence(&error)))
        });
    }

    fn asked(
        &mut self,
        folder: PathBuf,
        output: PageOutput,
        widgets: &AppWidgets,
        sender: &ComponentSender<Self>,
        root: &adw::ApplicationWindow,
    ) {
        let machine = self.machine(&folder).cloned();
        match output {
            PageOutput::Start => machine
                .into_iter()
                .for_each(|machine| self.start(machine, sender)),
            PageOutput::Window => self.open_window(&folder, sender),
            PageOutput::Delete => self.delete(&folder, sender),
            PageOutput::Open(other) => self.list.emit(MachineListInput::Select(Some(other))),
            PageOutput::Update(definition) => {
                if let Some(machine) = machine {
                    self.redefine(machine, definition, sender);
                }
            }
            PageOutput::Toast(text) => widgets.toasts.add_toast(adw::Toast::new(&text)),
            PageOutput::Saved(what, path) => widgets.toasts.add_toast(toast::saved(&what, path)),
            PageOutput::Failed { heading, body } => question::error(root, &heading, &body),
        }
    }
}

/// What ends programs from outside ends this one in order.
fn follow_signals(input: &relm4::Sender<AppInput>) {
    let input = input.clone();
    let follow = move |mut signals: Signals| {
        for _ in signals.forever() {
            let _ = input.send(AppInput::SessionEnds);
        }
    };
    let followed = Signals::new([SIGTERM, SIGINT, SIGHUP]).and_then(|signals| {
        let thread = std::thread::Builder::new().name("signals".into());
        thread.spawn(move || follow(signals))
    });
    if let Err(error) = followed {
        tracing::warn!(%error, "what ends programs is not followed");
    }
}

/// Asks now and then whether anybody needs the program, until its window is shown: who only asked the bus for something leaves
/// nothing behind.
fn leave_when_idle(window: &adw::ApplicationWindow, input: &relm4::Sender<AppInput>) {
    const PATIENCE: u32 = 30;
    let (window, input) = (window.downgrade(), input.clone());
    gtk::glib::timeout_add_seconds_local(PATIENCE, move || match window.upgrade() {
        Some(window) if !window.is_visible() => {
            let _ = input.send(AppInput::Idle);
            gtk::glib::ControlFlow::Continue
        }
        _ => gtk::glib::ControlFlow::Break,
    });
}

fn undo(name: &str, deleted: Box<Deleted>, input: &relm4::Sender<AppInput>) -> adw::Toast {
    let toast = adw::Toast::builder()
        .title(text::escape(&gettext_with(
            "“{name}” is in the Trash",
            &[("name", &name)],
        )))
        .button_label(gettext("_Undo"))
        .timeout(10)
        .priority(adw::ToastPriority::High)
        .build();
    let (deleted, input) = (std::cell::Cell::new(Some(deleted)), input.clone());
    toast.connect_button_clicked(move |_| {
        if let Some(deleted) = deleted.take() {
            let _ = input.send(AppInput::Restore(deleted));
        }
    });
    toast
}
