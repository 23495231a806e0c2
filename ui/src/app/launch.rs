//! How the program begins: as the one process that has the windows, or as one that hands over to it and ends.

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;

use relm4::adw::prelude::*;
use relm4::prelude::*;
use relm4::{adw, gtk};

use super::{APPLICATION_ID, App, actions};
use crate::library::sign;
use crate::model::Machines;
use crate::{settings, text};

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
    /// Show no window until one is asked for, and wait for that: the session started the program.
    pub background: bool,
    /// What is to be said first.
    pub problem: Option<String>,
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
    let unseen = options.service || options.background;
    if options.background && is_running() {
        return ExitCode::SUCCESS;
    }
    if !unseen
        && is_running()
        && launcher.register(gtk::gio::Cancellable::NONE).is_ok()
        && launcher.is_remote()
    {
        let code = launcher.run_with_args(&arguments);
        return ExitCode::from(code.get());
    }
    drop(launcher);
    text::prepare();
    text::speak_in_window();
    // The session bus hands over files as such, whoever starts the program as a command line.
    let mut flags =
        gtk::gio::ApplicationFlags::HANDLES_COMMAND_LINE | gtk::gio::ApplicationFlags::HANDLES_OPEN;
    if unseen {
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
