//! The Display view: the guest's screen while there is one, and what stands in its place while there is none.
//!
//! It connects a viewer to the machine as long as that is alive, and gives it the keyboard when the machine was just started.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use relm4::adw::prelude::*;
use relm4::gtk::gdk;
use relm4::prelude::*;

use crate::display::{Connection, ReadScreen, Scaling, Viewer, ViewerInput, ViewerOutput};
use crate::model::{Machines, State};
use crate::text::{self, gettext, gettext_with};

/// How long a viewer that lost its machine's screen waits before it tries again.
const AGAIN: Duration = Duration::from_secs(1);

/// The view.
pub struct Screen {
    machines: Arc<Machines>,
    folder: PathBuf,
    name: String,
    state: State,
    viewer: Controller<Viewer>,
    connected: bool,
    /// The machine was started while this view was there: its screen gets the keyboard when it comes.
    fresh: bool,
    /// The screen is in a window of its own.
    away: bool,
    /// What the machine's screen showed last, while it is off.
    last: Option<gdk::Texture>,
    /// Why the screen of a machine that another process runs is not shown; empty while it is or is asked for.
    unseen: String,
    asking: bool,
}

/// Which machine it is for.
pub struct ScreenInit {
    /// All of them.
    pub machines: Arc<Machines>,
    /// The machine's folder.
    pub folder: PathBuf,
    /// What it is called.
    pub name: String,
    /// What it is doing.
    pub state: State,
    /// Its screen gets the keyboard when it comes.
    pub takes_keyboard: bool,
}

/// What it is told.
#[derive(Debug)]
pub enum ScreenInput {
    /// What the machine is doing.
    State(State),
    /// What it is called.
    Name(String),
    /// The screen is in a window of its own, or no longer.
    Away(bool),
    /// How the picture is fitted.
    Scale(Scaling),
    /// Make the picture a step larger, or (false) smaller.
    Zoom(bool),
    /// What the viewer tells.
    Viewer(ViewerOutput),
}

/// What it tells.
#[derive(Debug)]
pub enum ScreenOutput {
    /// A person fitted the picture in another way.
    Scaled(Scaling),
    /// The guest's screen has this many pixels across and down.
    Size(u32, u32),
}

/// What the view is told by those that work for it.
#[derive(Debug)]
pub enum ScreenCommand {
    /// It is time to try again.
    Again,
    /// What the machine's screen showed last.
    Last(Option<gdk::Texture>),
    /// The screen of a machine that another process runs, or why there is none.
    Elsewhere(Result<UnixStream, String>),
}

#[relm4::component(pub)]
impl Component for Screen {
    type Init = ScreenInit;
    type Input = ScreenInput;
    type Output = ScreenOutput;
    type CommandOutput = ScreenCommand;

    view! {
        #[root]
        gtk::Stack {
            add_named[Some("off")] = &adw::StatusPage {
                #[watch]
                set_paintable: model.picture().as_ref(),
                #[watch]
                set_css_classes: if model.last.is_some() { &["last-screen"] } else { &[] },
                #[watch]
                set_title: &text::escape(&model.name),
                set_description: Some(&gettext("The machine is off.")),
                gtk::Button {
                    set_label: &gettext("Start"),
                    set_halign: gtk::Align::Center,
                    set_css_classes: &["pill", "suggested-action"],
                    set_action_name: Some("machine.start"),
                },
            },
            add_named[Some("starting")] = &adw::StatusPage {
                set_paintable: Some(&adw::SpinnerPaintable::new(None::<&gtk::Widget>)),
                set_title: &gettext("Starting…"),
            },
            add_named[Some("screen")]: model.viewer.widget(),
            add_named[Some("elsewhere")] = &adw::StatusPage {
                set_icon_name: Some("network-server-symbolic"),
                set_title: &gettext("Running in Another Process"),
                #[watch]
                set_description: Some(&model.unseen),
            },
            add_named[Some("away")] = &adw::StatusPage {
                set_icon_name: Some("window-new-symbolic"),
                set_title: &gettext("In a Window of Its Own"),
                set_description: Some(&gettext("Close that window to have the screen here again.")),
                gtk::Button {
                    set_label: &gettext("Show Window"),
                    set_halign: gtk::Align::Center,
                    add_css_class: "pill",
                    set_action_name: Some("machine.window"),
                },
            },
            add_named[Some("crashed")] = &adw::StatusPage {
                set_icon_name: Some("dialog-error-symbolic"),
                set_title: &gettext("The Machine Cannot Go On"),
                #[watch]
                set_description: Some(&model.reason()),
                adw::WrapBox {
                    set_child_spacing: 12,
                    set_line_spacing: 12,
                    set_align: 0.5,
                    gtk::Button {
                        set_label: &gettext("Start Again"),
                        set_css_classes: &["pill", "suggested-action"],
                        set_action_name: Some("machine.start"),
                    },
                    gtk::Button {
                        set_label: &gettext("Show Log"),
                        add_css_class: "pill",
                        set_action_name: Some("machine.view"),
                        set_action_target_value: Some(&"log".to_variant()),
                    },
                },
            },
            #[watch]
            set_visible_child_name: model.page(),
        }
    }

    fn init(
        init: ScreenInit,
        root: Self::Root,
        sender: ComponentSender<Self>,
    ) -> ComponentParts<Self> {
        let viewer = Viewer::builder()
            .launch(())
            .forward(sender.input_sender(), ScreenInput::Viewer);
        let mut model = Self {
            machines: init.machines,
            folder: init.folder,
            name: init.name,
            state: init.state,
            viewer,
            connected: false,
            fresh: init.takes_keyboard,
            away: false,
            last: None,
            unseen: String::new(),
            asking: false,
        };
        model.look_back(&sender);
        model.follow(&sender);
        let widgets = view_output!();
        ComponentParts { model, widgets }
    }

    fn update(&mut self, message: ScreenInput, sender: ComponentSender<Self>, _: &Self::Root) {
        match message {
            ScreenInput::State(state) => {
                self.fresh |= !self.state.is_alive() && state.is_alive();
                self.state = state;
                self.look_back(&sender);
                self.unseen.clear();
                self.follow(&sender);
            }
            ScreenInput::Name(name) => self.name = name,
            ScreenInput::Away(away) => {
                self.away = away;
                self.follow(&sender);
            }
            ScreenInput::Scale(scaling) => self.viewer.emit(ViewerInput::SetScaling(scaling)),
            ScreenInput::Zoom(larger) => self.viewer.emit(ViewerInput::Zoom(larger)),
            ScreenInput::Viewer(ViewerOutput::Scaled(scaling)) => {
                let _ = sender.output(ScreenOutput::Scaled(scaling));
            }
            ScreenInput::Viewer(ViewerOutput::Room(width, height)) => {
                let (machines, folder) = (Arc::clone(&self.machines), self.folder.clone());
                // Whatever process runs it.
                relm4::spawn_blocking(move || machines.ask_for_screen(&folder, width, height));
            }
            ScreenInput::Viewer(ViewerOutput::Size(width, height)) => {
                let _ = sender.output(ScreenOutput::Size(width, height));
                // Whoever is elsewhere in the window by now keeps the keyboard.
                if std::mem::take(&mut self.fresh) && self.viewer.widget().is_mapped() {
                    self.viewer
                        .widget()
                        .child_focus(gtk::DirectionType::TabForward);
                }
            }
            ScreenInput::Viewer(ViewerOutput::Disconnected(reason)) => {
                self.connected = false;
                if self.shown() {
                    tracing::warn!(reason, "the viewer lost the machine's screen");
                    sender.oneshot_command(async {
                        tokio::time::sleep(AGAIN).await;
                        ScreenCommand::Again
                    });
                }
            }
            ScreenInput::Viewer(ViewerOutput::Grabbed(_) | ViewerOutput::Screenshot(_)) => {}
        }
    }

    fn update_cmd(
        &mut self,
        message: ScreenCommand,
        sender: ComponentSender<Self>,
        _: &Self::Root,
    ) {
        match message {
            ScreenCommand::Again => self.follow(&sender),
            ScreenCommand::Last(last) => self.last = last,
            ScreenCommand::Elsewhere(screen) => {
                self.asking = false;
                match screen {
                    Ok(stream) if self.shown() && !self.connected => {
                        self.connected = true;
                        let connection = Connection::Stream(stream);
                        self.viewer.emit(ViewerInput::Connect(connection));
                    }
                    Ok(_) => {}
                    Err(reason) => self.unseen = self.why_unseen(&reason),
                }
            }
        }
    }
}

impl Screen {
    fn page(&self) -> &'static str {
        match self.state {
            State::Off => "off",
            State::Starting => "starting",
            State::Running | State::Paused { .. } if !self.unseen.is_empty() => "elsewhere",
            State::Running | State::Paused { .. } if self.away => "away",
            State::Running | State::Paused { .. } => "screen",
            State::Crashed { .. } => "crashed",
        }
    }

    /// Has what the screen of a machine that is off showed last looked at.
    fn look_back(&mut self, sender: &ComponentSender<Self>) {
        self.last = None;
        if self.state == State::Off {
            let file = self.machines.last_screen(&self.folder);
            sender.spawn_oneshot_command(move || {
                ScreenCommand::Last(gdk::Texture::from_filename(file).ok())
            });
        }
    }

    /// What stands for a machine that is off.
    fn picture(&self) -> Option<gdk::Paintable> {
        const SIGN: i32 = 128;
        if let Some(last) = &self.last {
            return Some(last.clone().upcast());
        }
        let icons = gtk::IconTheme::for_display(&gdk::Display::default()?);
        let direction = gtk::TextDirection::None;
        let flags = gtk::IconLookupFlags::FORCE_SYMBOLIC;
        let icon = icons.lookup_icon("computer-symbolic", &[], SIGN, 1, direction, flags);
        Some(icon.upcast())
    }

    fn why_unseen(&self, reason: &str) -> String {
        let elsewhere = self.machines.elsewhere(&self.folder);
        let process = elsewhere.map_or(0, |elsewhere| elsewhere.holder.process());
        let reason = text::sentence(&reason);
        let text = gettext_with(
            "The process {number} runs this machine. It can be paused and shut down from here, but its screen cannot be shown: {reason}",
            &[("number", &process), ("reason", &reason)],
        );
        text::escape(&text)
    }

    fn reason(&self) -> String {
        match &self.state {
            State::Crashed { reason } => text::escape(&text::sentence(reason)),
            _ => String::new(),
        }
    }

    /// Whether there is a screen to be shown.
    fn shown(&self) -> bool {
        !self.away && matches!(self.state, State::Running | State::Paused { .. })
    }

    /// Connects the viewer while there is a screen, and takes it off when there is none.
    fn follow(&mut self, sender: &ComponentSender<Self>) {
        if !self.shown() {
            if std::mem::take(&mut self.connected) {
                self.viewer.emit(ViewerInput::Disconnect);
            }
            return;
        }
        if self.connected {
            return;
        }
        let machine = self.machines.handle(&self.folder);
        let Some(machine) = machine.filter(|machine| machine.state().is_alive()) else {
            let elsewhere = self.machines.elsewhere(&self.folder);
            if let Some(elsewhere) = elsewhere.filter(|_| !self.asking) {
                self.asking = true;
                sender.spawn_oneshot_command(move || {
                    ScreenCommand::Elsewhere(elsewhere.holder.screen())
                });
            }
            return;
        };
        match machine.connect_looker() {
            Ok(screen) => {
                self.connected = true;
                self.viewer
                    .emit(ViewerInput::Connect(Connection::Local(screen)));
                let read = move || machine.screen_text();
                self.viewer
                    .emit(ViewerInput::Read(ReadScreen(Arc::new(read))));
            }
            Err(error) => tracing::error!(%error, "the machine's screen could not be shown"),
        }
    }
}
