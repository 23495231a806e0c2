//! What keeps this computer from running machines: a status page with the cause, the remedy and a way to look again.

use relm4::adw::prelude::*;
use relm4::prelude::*;
use relm4::{adw, gtk};

use crate::model::{HostProblem, check_host};
use crate::text::{self, gettext};

/// The page.
pub struct HostCheck {
    problem: HostProblem,
    again: bool,
}

/// What it is told.
#[derive(Debug)]
pub enum HostCheckInput {
    /// Look again.
    Check,
}

/// What it tells.
#[derive(Debug)]
pub enum HostCheckOutput {
    /// Machines can run now.
    Usable,
}

#[relm4::component(pub)]
impl SimpleComponent for HostCheck {
    type Init = HostProblem;
    type Input = HostCheckInput;
    type Output = HostCheckOutput;

    view! {
        adw::StatusPage {
            set_icon_name: Some("computer-fail-symbolic"),
            #[watch]
            set_title: &text::escape(&text::translated(&model.problem.title)),
            #[watch]
            set_description: Some(&text::escape(&text::translated(&model.problem.cause))),
            gtk::Box {
                set_orientation: gtk::Orientation::Vertical,
                set_spacing: 18,
                set_halign: gtk::Align::Center,
                gtk::Label {
                    #[watch]
                    set_label: &text::translated(&model.problem.remedy),
                    set_wrap: true,
                    set_selectable: true,
                    set_max_width_chars: 50,
                    set_justify: gtk::Justification::Center,
                },
                #[name = "button"]
                gtk::Button {
                    set_label: &gettext("Check Again"),
                    set_halign: gtk::Align::Center,
                    set_css_classes: &["pill", "suggested-action"],
                    connect_clicked => HostCheckInput::Check,
                },
                gtk::Label {
                    set_label: &gettext("Still the same."),
                    #[watch]
                    set_visible: model.again,
                    add_css_class: "dimmed",
                },
            },
        }
    }

    fn init(
        problem: HostProblem,
        root: Self::Root,
        sender: ComponentSender<Self>,
    ) -> ComponentParts<Self> {
        let model = Self {
            problem,
            again: false,
        };
        let widgets = view_output!();
        ComponentParts { model, widgets }
    }

    fn update(&mut self, _: HostCheckInput, sender: ComponentSender<Self>) {
        match check_host() {
            Ok(_) => {
                let _ = sender.output(HostCheckOutput::Usable);
            }
            Err(problem) => {
                self.again = problem == self.problem;
                self.problem = problem;
            }
        }
    }
}
