//! The window: the list of machines beside the chosen machine's page, or an invitation to make one.
//!
//! It follows what happens to the machines and hands it to the parts, starts and deletes machines on workers, and keeps the
//! session from ending under those that run. What a machine's page can do by itself is done there.

mod actions;
mod closing;
mod entries;
mod following;
mod launch;
mod messages;
mod notifications;
mod restore;
mod together;
mod windows;
mod work;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use relm4::adw::prelude::*;
use relm4::prelude::*;
use relm4::{adw, gtk};

use crate::dialogs::file_choice::{self, FileKind};
use crate::dialogs::{about, file_drop, question, toast};
use crate::library::{
    Item, MachineList, MachineListInit, MachineListInput, MachineListOutput, Several, Together,
    several_menu,
};
use crate::machine::{
    BrokenOutput, BrokenPage, MachinePage, MachineWindow, PageInit, PageInput, PageOutput,
    WindowInput, WindowOutput, enter_full_screen, enter_full_screen_on, row_menu,
};
use crate::model::{
    Change, Database, Definition, Deleted, Entry, MachineEvent, MachineLog, Machines, Name, State,
    StoredMachine, operating_systems,
};
use crate::network::switches::SwitchManager;
use crate::settings;
use crate::text::{self, gettext, gettext_with};
use crate::wizard::{self, Place, Wizard, WizardInput, WizardOutput};
use closing::Closing;
pub use launch::{Options, run};
pub use messages::{AppCommand, AppInput, Found};
use notifications::installed_id;

/// The program's name on the session bus and in desktop files.
pub const APPLICATION_ID: &str = "io.github.guesthouse_vm.Guesthouse";

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
    /// What is to be said when the window is shown.
    problem: Option<String>,
    _monitor: Option<gtk::gio::FileMonitor>,
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
            add_css_class: "takes-files",
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
            machines,
            service,
            background,
            problem,
            ..
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
            closing: Closing::new(background),
            problem,
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
        model.machines.set_viewers(settings::get().viewers());
        let machines = model.machines.clone();
        settings::get().connect_viewers_changed(move |viewers| machines.set_viewers(viewers));
        let input = sender.input_sender().clone();
        root.add_controller(file_drop::target(move |file| {
            let _ = input.send(AppInput::Medium(file));
        }));
        sender.spawn_oneshot_command(|| AppCommand::Systems(operating_systems()));
        model.scan(&sender);
        following::follow_signals(sender.input_sender());
        if service {
            following::leave_when_idle(&root, sender.input_sender());
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
            AppInput::StartWithBase(folder, base) => {
                if let Some(machine) = self.machine(&folder).cloned() {
                    self.launch(machine, Some(base), &sender);
                }
            }
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
                } else if let Some(machine) = self.shown() {
                    enter_full_screen(root, machine.definition.uuid);
                }
            }
            AppInput::FullScreenOn(monitor) => {
                if let Some(machine) = self.shown() {
                    enter_full_screen_on(root, machine.definition.uuid, &monitor);
                }
            }
            AppInput::FullScreened(on) => {
                widgets
                    .split
                    .set_collapsed(on || root.current_breakpoint().is_some());
                widgets.split.set_show_content(true);
                self.tell(PageInput::FullScreen(on));
            }
            AppInput::Shown => {
                self.closing.shown();
                if let Some(problem) = self.problem.take() {
                    question::error(root, &gettext("Your machines are not there"), &problem);
                }
            }
            AppInput::Preferences => settings::show(root),
            AppInput::About => about::about(root),
            AppInput::Shortcuts => about::shortcuts(root),
            AppInput::Close => self
                .closing
                .requested(&self.machines, root, sender.input_sender()),
            AppInput::Quit => {
                self.closing.stays_no_longer();
                self.closing
                    .requested(&self.machines, root, sender.input_sender());
            }
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
                if let Err(refusal) = result {
                    self.refused(&folder, &refusal, &sender, root);
                }
                self.set_state(&folder, self.machines.state(&folder), root);
            }
            AppCommand::Deleted(name, Ok(deleted)) => {
                widgets
                    .toasts
                    .add_toast(work::undo(&name, deleted, sender.input_sender()));
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
