//! The Display view: what stands where the guest's screen is while there is none, and the screen while there is.

use relm4::adw::prelude::*;
use relm4::prelude::*;
use relm4::{adw, gtk};

use crate::model::State;
use crate::text;

/// The view.
pub struct Screen {
    name: String,
    state: State,
}

/// What it is told.
#[derive(Debug)]
pub enum ScreenInput {
    /// What the machine is doing.
    State(State),
    /// What it is called.
    Name(String),
}

impl Screen {
    fn page(&self) -> &'static str {
        match self.state {
            State::Off => "off",
            State::Starting => "starting",
            State::Running | State::Paused { .. } => "screen",
            State::Crashed { .. } => "crashed",
        }
    }

    fn reason(&self) -> String {
        match &self.state {
            State::Crashed { reason } => text::escape(reason),
            _ => String::new(),
        }
    }
}

#[relm4::component(pub)]
impl SimpleComponent for Screen {
    type Init = (String, State);
    type Input = ScreenInput;
    type Output = ();

    view! {
        #[root]
        gtk::Stack {
            add_named[Some("off")] = &adw::StatusPage {
                set_icon_name: Some("computer-symbolic"),
                #[watch]
                set_title: &text::escape(&model.name),
                set_description: Some("The machine is off."),
                gtk::Button {
                    set_label: "Start",
                    set_halign: gtk::Align::Center,
                    set_css_classes: &["pill", "suggested-action"],
                    set_action_name: Some("machine.start"),
                },
            },
            add_named[Some("starting")] = &adw::StatusPage {
                set_paintable: Some(&adw::SpinnerPaintable::new(None::<&gtk::Widget>)),
                set_title: "Starting…",
            },
            add_named[Some("screen")] = &gtk::Box {},
            add_named[Some("crashed")] = &adw::StatusPage {
                set_icon_name: Some("dialog-error-symbolic"),
                set_title: "The Machine Cannot Go On",
                #[watch]
                set_description: Some(&model.reason()),
                gtk::Box {
                    set_spacing: 12,
                    set_halign: gtk::Align::Center,
                    gtk::Button {
                        set_label: "Start Again",
                        set_css_classes: &["pill", "suggested-action"],
                        set_action_name: Some("machine.start"),
                    },
                    gtk::Button {
                        set_label: "Show Log",
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
        (name, state): (String, State),
        root: Self::Root,
        _sender: ComponentSender<Self>,
    ) -> ComponentParts<Self> {
        let model = Self { name, state };
        let widgets = view_output!();
        ComponentParts { model, widgets }
    }

    fn update(&mut self, message: ScreenInput, _: ComponentSender<Self>) {
        match message {
            ScreenInput::State(state) => self.state = state,
            ScreenInput::Name(name) => self.name = name,
        }
    }
}
