//! The Display view: the guest's screen while there is one, and what stands in its place while there is none.
//!
//! It connects a viewer to the machine as long as that is alive, and gives it the keyboard when the machine was just started.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use relm4::adw::prelude::*;
use relm4::prelude::*;

use crate::display::{Connection, Scaling, Viewer, ViewerInput, ViewerOutput};
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
    /// What the viewer tells.
    Viewer(ViewerOutput),
}

/// It is time to try again.
#[derive(Debug)]
pub struct Again;

#[relm4::component(pub)]
impl Component for Screen {
    type Init = ScreenInit;
    type Input = ScreenInput;
    type Output = ();
    type CommandOutput = Again;

    view! {
        #[root]
        gtk::Stack {
            add_named[Some("off")] = &adw::StatusPage {
                set_icon_name: Some("computer-symbolic"),
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
                set_description: Some(&model.elsewhere()),
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
        };
        model.follow();
        let widgets = view_output!();
        ComponentParts { model, widgets }
    }

    fn update(&mut self, message: ScreenInput, sender: ComponentSender<Self>, _: &Self::Root) {
        match message {
            ScreenInput::State(state) => {
                self.fresh |= !self.state.is_alive() && state.is_alive();
                self.state = state;
                self.follow();
            }
            ScreenInput::Name(name) => self.name = name,
            ScreenInput::Away(away) => {
                self.away = away;
                self.follow();
            }
            ScreenInput::Scale(scaling) => self.viewer.emit(ViewerInput::SetScaling(scaling)),
            ScreenInput::Viewer(ViewerOutput::Size(..)) => {
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
                        Again
                    });
                }
            }
            ScreenInput::Viewer(ViewerOutput::Grabbed(_) | ViewerOutput::Screenshot(_)) => {}
        }
    }

    fn update_cmd(&mut self, Again: Again, _: ComponentSender<Self>, _: &Self::Root) {
        self.follow();
    }
}

impl Screen {
    fn page(&self) -> &'static str {
        match self.state {
            State::Off => "off",
            State::Starting => "starting",
            State::Running | State::Paused { .. }
                if self.machines.elsewhere(&self.folder).is_some() =>
            {
                "elsewhere"
            }
            State::Running | State::Paused { .. } if self.away => "away",
            State::Running | State::Paused { .. } => "screen",
            State::Crashed { .. } => "crashed",
        }
    }

    fn elsewhere(&self) -> String {
        let process = self
            .machines
            .elsewhere(&self.folder)
            .map(|elsewhere| elsewhere.holder.process());
        process.map_or_else(String::new, |process| {
            gettext_with(
                "The process {number} runs this machine. It can be paused and shut down from here, but its screen is not shown.",
                &[("number", &process)],
            )
        })
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
    fn follow(&mut self) {
        if !self.shown() {
            if std::mem::take(&mut self.connected) {
                self.viewer.emit(ViewerInput::Disconnect);
            }
            return;
        }
        let Some(machine) = self
            .machines
            .handle(&self.folder)
            .filter(|_| !self.connected)
        else {
            return;
        };
        match machine.connect_looker() {
            Ok(screen) => {
                self.connected = true;
                self.viewer
                    .emit(ViewerInput::Connect(Connection::Local(screen)));
            }
            Err(error) => tracing::error!(%error, "the machine's screen could not be shown"),
        }
    }
}
