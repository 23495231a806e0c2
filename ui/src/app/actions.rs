//! The window's actions, their keyboard shortcuts and the main menu.

use std::ffi::OsStr;

use relm4::adw;
use relm4::adw::prelude::*;
use relm4::gtk::{self, gio};

use super::AppInput;
use crate::library::Order;
use crate::settings;
use crate::text::gettext;

/// The shortcuts of every action, the machine's page's included.
const SHORTCUTS: [(&str, &[&str]); 23] = [
    ("win.new-machine", &["<Control>n"]),
    ("win.search", &["<Control>f"]),
    ("win.rename", &["F2"]),
    ("win.full-screen", &["F11"]),
    ("win.preferences", &["<Control>comma"]),
    ("win.shortcuts", &["<Control>question"]),
    ("window.close", &["<Control>w"]),
    ("app.quit", &["<Control>q"]),
    ("machine.start", &["<Control>r"]),
    ("machine.pause", &["<Control>p"]),
    ("machine.shut-down", &["<Control><Shift>s"]),
    ("machine.screenshot", &["<Control><Shift>p"]),
    ("machine.window", &["F12"]),
    ("machine.delete", &["<Control>Delete"]),
    ("machine.zoom-in", &["<Control>plus", "<Control>equal"]),
    ("machine.zoom-out", &["<Control>minus"]),
    ("machine.scale::fit", &["<Control>0"]),
    ("machine.view::display", &["<Control>1"]),
    ("machine.view::overview", &["<Control>2"]),
    ("machine.view::hardware", &["<Control>3"]),
    ("machine.view::snapshots", &["<Control>4"]),
    ("machine.view::serial", &["<Control>5"]),
    ("machine.view::log", &["<Control>6"]),
];

/// What begins a new machine on the window's command line.
const NEW: &str = "--new";

/// Makes what an action sends.
type Message = fn() -> AppInput;

/// Makes what an action sends of its target.
type Targeted = fn(String) -> AppInput;

/// Gives `window` its actions, which send to `input`.
pub fn install(window: &adw::ApplicationWindow, input: &relm4::Sender<AppInput>) {
    let actions: [(&str, Message); 10] = [
        ("new-machine", || AppInput::NewMachine),
        ("import", || AppInput::Import),
        ("restore-backup", || AppInput::RestoreBackup),
        ("search", || AppInput::Search),
        ("rename", || AppInput::Rename),
        ("switches", || AppInput::Switches),
        ("full-screen", || AppInput::FullScreen),
        ("preferences", || AppInput::Preferences),
        ("shortcuts", || AppInput::Shortcuts),
        ("about", || AppInput::About),
    ];
    for (name, message) in actions {
        window.add_action(&action(name, message, input));
    }
    window.add_action(&order(input));
    window.add_action(&groups(input));
    let application = relm4::main_application();
    application.add_action(&action("quit", || AppInput::Quit, input));
    application.add_action(&action("new-machine", || AppInput::NewMachine, input));
    let targeted: [(&str, Targeted); 5] = [
        ("show-machine", |folder| {
            AppInput::ShowMachine(folder.into())
        }),
        ("start-machine", |folder| {
            AppInput::StartMachine(folder.into())
        }),
        ("resume-machine", |folder| {
            AppInput::ResumeMachine(folder.into())
        }),
        ("eject-installer", |folder| {
            AppInput::EjectInstaller(folder.into())
        }),
        ("search", AppInput::SearchFor),
    ];
    for (name, message) in targeted {
        application.add_action(&targeted_action(name, message, input));
    }
    window.add_action(&targeted_action(
        "full-screen-on",
        AppInput::FullScreenOn,
        input,
    ));
    take_activations(window, &application, input);
    take_command_lines(window, &application, input);
    for (name, keys) in SHORTCUTS {
        application.set_accels_for_action(name, keys);
    }
}

/// The window's command line, as [`take_command_lines`] reads it in the process that has the window.
pub fn arguments(new_machine: bool, medium: Option<&OsStr>) -> Vec<String> {
    let medium = medium.map(|medium| gio::File::for_commandline_arg(medium).uri().to_string());
    let new_machine = (new_machine && medium.is_none()).then(|| NEW.to_owned());
    std::iter::once("guesthouse".to_owned())
        .chain(medium)
        .chain(new_machine)
        .collect()
}

/// Carries out what this process and later ones are started with.
fn take_command_lines(
    window: &adw::ApplicationWindow,
    application: &gtk::Application,
    input: &relm4::Sender<AppInput>,
) {
    let (window, input) = (window.clone(), input.clone());
    application.connect_command_line(move |_, line| {
        // A machine's own window may be the active one.
        window.present();
        for argument in line.arguments().iter().skip(1) {
            if argument == NEW {
                let _ = input.send(AppInput::NewMachine);
            } else if let Some(path) = line.create_file_for_arg(argument).path() {
                let _ = input.send(AppInput::Medium(path));
            } else {
                tracing::warn!(?argument, "this is no file of this computer");
            }
        }
        gtk::glib::ExitCode::SUCCESS
    });
}

/// Shows the window, and carries out what the desktop asks for by the session bus instead of a command line.
fn take_activations(
    window: &adw::ApplicationWindow,
    application: &gtk::Application,
    input: &relm4::Sender<AppInput>,
) {
    let shown = window.clone();
    application.connect_activate(move |_| shown.present());
    let (window, input) = (window.clone(), input.clone());
    application.connect_open(move |_, files, _| {
        window.present();
        for file in files {
            match file.path() {
                Some(path) => drop(input.send(AppInput::Medium(path))),
                None => tracing::warn!(uri = %file.uri(), "this is no file of this computer"),
            }
        }
    });
}

fn action(name: &str, message: Message, input: &relm4::Sender<AppInput>) -> gio::SimpleAction {
    let (action, input) = (gio::SimpleAction::new(name, None), input.clone());
    action.connect_activate(move |_, _| {
        let _ = input.send(message());
    });
    action
}

fn targeted_action(
    name: &str,
    message: Targeted,
    input: &relm4::Sender<AppInput>,
) -> gio::SimpleAction {
    let action = gio::SimpleAction::new(name, Some(gtk::glib::VariantTy::STRING));
    let input = input.clone();
    action.connect_activate(move |_, target| {
        if let Some(target) = target.and_then(gtk::glib::Variant::get::<String>) {
            let _ = input.send(message(target));
        }
    });
    action
}

const BY_NAME: &str = "name";
const BY_LAST_USE: &str = "last-use";

/// What comes first in the list of machines.
fn order(input: &relm4::Sender<AppInput>) -> gio::SimpleAction {
    let state = match settings::get().order() {
        Order::Name => BY_NAME,
        Order::LastUse => BY_LAST_USE,
    };
    let kind = gtk::glib::VariantTy::STRING;
    let action = gio::SimpleAction::new_stateful("order", Some(kind), &state.to_variant());
    let input = input.clone();
    action.connect_activate(move |action, target| {
        let Some(target) = target else { return };
        action.set_state(target);
        let order = match target.str() {
            Some(BY_LAST_USE) => Order::LastUse,
            _ => Order::Name,
        };
        settings::get().set_order(order);
        let _ = input.send(AppInput::Order(order));
    });
    action
}

/// Whether the list of machines has groups.
fn groups(input: &relm4::Sender<AppInput>) -> gio::SimpleAction {
    let state = settings::get().grouped().to_variant();
    let (action, input) = (
        gio::SimpleAction::new_stateful("group", None, &state),
        input.clone(),
    );
    action.connect_activate(move |action, _| {
        let grouped = !action
            .state()
            .and_then(|state| state.get())
            .unwrap_or(false);
        action.set_state(&grouped.to_variant());
        settings::get().set_grouped(grouped);
        let _ = input.send(AppInput::Group(grouped));
    });
    action
}

/// The main menu.
pub fn main_menu() -> gio::Menu {
    let menu = gio::Menu::new();
    let machines = gio::Menu::new();
    machines.append(Some(&gettext("_Import…")), Some("win.import"));
    machines.append(
        Some(&gettext("_Restore Backup…")),
        Some("win.restore-backup"),
    );
    menu.append_section(None, &machines);
    let list = gio::Menu::new();
    for (label, target) in [
        (gettext("Sort by _Name"), BY_NAME),
        (gettext("Sort by Last _Use"), BY_LAST_USE),
    ] {
        list.append(Some(&label), Some(&format!("win.order::{target}")));
    }
    list.append(Some(&gettext("_Group by State")), Some("win.group"));
    menu.append_section(None, &list);
    menu.append(Some(&gettext("_Virtual Switches…")), Some("win.switches"));
    if settings::get().kept() {
        menu.append(Some(&gettext("_Preferences")), Some("win.preferences"));
    }
    menu.append(Some(&gettext("_Keyboard Shortcuts")), Some("win.shortcuts"));
    menu.append(Some(&gettext("_About Guesthouse")), Some("win.about"));
    menu
}
