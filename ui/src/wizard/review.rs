//! The wizard's last page: everything that Create will make, what speaks against it, and the same as text or as a command.

use std::path::Path;
use std::sync::Arc;

use relm4::adw::prelude::*;
use relm4::prelude::*;
use relm4::{adw, gtk};

use super::draft::{Choice, DiskChoice, Draft};
use super::field::View;
use crate::model::media::Role;
use crate::model::{Generation, Severity, UNPLUGGED};
use crate::network::{forwards, switch_name};
use crate::paths;
use crate::text::{self, gettext, gettext_with};

/// The page.
pub struct ReviewPage {
    view: Option<Arc<View>>,
    properties: Vec<adw::ActionRow>,
    objections: Vec<adw::ActionRow>,
}

/// What it is told.
#[derive(Debug)]
pub enum ReviewInput {
    /// The machine so far.
    Show(Arc<View>),
    /// Put the list on the clipboard.
    CopyText,
    /// Put the command on the clipboard.
    CopyCommand,
}

/// What it tells the wizard.
#[derive(Debug)]
pub enum ReviewOutput {
    /// A choice.
    Choose(Choice),
    /// Something was put on the clipboard.
    Copied(String),
}

#[relm4::component(pub)]
impl Component for ReviewPage {
    type Init = ();
    type Input = ReviewInput;
    type Output = ReviewOutput;
    type CommandOutput = ();

    view! {
        #[root]
        adw::NavigationPage {
            set_title: &gettext("Review"),
            set_tag: Some("review"),
            adw::ToolbarView {
                add_top_bar = &adw::HeaderBar {
                    set_show_start_title_buttons: false,
                    set_show_end_title_buttons: false,
                    #[wrap(Some)]
                    set_title_widget = &adw::WindowTitle::new(&gettext("New Machine"), &gettext("Review")),
                },
                #[wrap(Some)]
                set_content = &adw::PreferencesPage {
                    #[name = "against"]
                    add = &adw::PreferencesGroup {
                        set_title: &gettext("To Consider"),
                    },
                    #[name = "machine"]
                    add = &adw::PreferencesGroup {
                        set_title: &gettext("Machine"),
                    },
                    add = &adw::PreferencesGroup {
                        #[name = "start"]
                        add = &adw::SwitchRow {
                            set_title: &gettext("Start After Creating"),
                            set_active: true,
                            connect_active_notify[sender] => move |row| {
                                let _ = sender.output(ReviewOutput::Choose(Choice::Start(row.is_active())));
                            },
                        },
                    },
                    add = &adw::PreferencesGroup {
                        add = &adw::ButtonRow {
                            set_title: &gettext("Copy as Text"),
                            set_start_icon_name: Some("edit-copy-symbolic"),
                            connect_activated => ReviewInput::CopyText,
                        },
                        add = &adw::ButtonRow {
                            set_title: &gettext("Copy as Command"),
                            set_start_icon_name: Some("edit-copy-symbolic"),
                            connect_activated => ReviewInput::CopyCommand,
                        },
                    },
                },
            },
        }
    }

    fn init(_: (), root: Self::Root, sender: ComponentSender<Self>) -> ComponentParts<Self> {
        let model = Self {
            view: None,
            properties: Vec::new(),
            objections: Vec::new(),
        };
        let widgets = view_output!();
        ComponentParts { model, widgets }
    }

    fn update_with_view(
        &mut self,
        widgets: &mut Self::Widgets,
        message: ReviewInput,
        sender: ComponentSender<Self>,
        root: &Self::Root,
    ) {
        let view = self.view.clone();
        match (message, view) {
            (ReviewInput::Show(view), _) => {
                self.show(widgets, &view);
                self.view = Some(view);
            }
            (ReviewInput::CopyText, Some(view)) => {
                let lines = properties(&view.draft).into_iter();
                let text: String = lines
                    .map(|(name, value)| format!("{name}: {value}\n"))
                    .collect();
                root.clipboard().set_text(&text);
                let _ = sender.output(ReviewOutput::Copied(gettext("Copied as text")));
            }
            (ReviewInput::CopyCommand, Some(view)) => {
                root.clipboard().set_text(&view.draft.command());
                let _ = sender.output(ReviewOutput::Copied(gettext("Command copied")));
            }
            (ReviewInput::CopyText | ReviewInput::CopyCommand, None) => {}
        }
    }
}

impl ReviewPage {
    fn show(&mut self, widgets: &ReviewPageWidgets, view: &View) {
        widgets.start.set_active(view.draft.start);
        for row in self.properties.drain(..) {
            widgets.machine.remove(&row);
        }
        for (name, value) in properties(&view.draft) {
            let row = adw::ActionRow::builder()
                .title(name)
                .subtitle(text::escape(&value))
                .subtitle_selectable(true)
                .css_classes(["property"])
                .build();
            widgets.machine.add(&row);
            self.properties.push(row);
        }
        for row in self.objections.drain(..) {
            widgets.against.remove(&row);
        }
        widgets.against.set_visible(!view.objections.is_empty());
        for objection in &view.objections {
            let (icon, class) = match objection.severity {
                Severity::Error => ("dialog-error-symbolic", "error"),
                Severity::Warning => ("dialog-warning-symbolic", "warning"),
            };
            let row = adw::ActionRow::builder()
                .title(text::escape(&objection.message))
                .build();
            let image = gtk::Image::from_icon_name(icon);
            image.add_css_class(class);
            // What it says stands beside it.
            image.set_accessible_role(gtk::AccessibleRole::Presentation);
            row.add_prefix(&image);
            widgets.against.add(&row);
            self.objections.push(row);
        }
    }
}

/// The machine as a list of names and values.
fn properties(draft: &Draft) -> Vec<(String, String)> {
    let system = draft
        .system
        .as_ref()
        .map_or_else(|| gettext("Unknown"), |system| system.name.clone());
    let mut list = vec![
        (gettext("Name"), draft.name.trim().to_owned()),
        (gettext("Operating system"), system),
        (gettext("Generation"), generation(draft)),
        (gettext("Processors"), draft.processors.to_string()),
        (gettext("Memory"), text::bytes(draft.memory << 20)),
    ];
    if let Some(source) = &draft.source {
        let name = if draft.source_role() == Some(Role::Optical) {
            gettext("Optical drive")
        } else {
            gettext("Hard disk")
        };
        list.push((name, paths::shortened(&source.path)));
    }
    match draft.disk {
        DiskChoice::New => list.push((
            gettext("Hard disk"),
            gettext_with("New, {size} GiB", &[("size", &draft.disk_size)]),
        )),
        DiskChoice::Existing => {
            let file = Path::new(draft.disk_file.trim());
            list.push((gettext("Hard disk"), paths::shortened(file)));
        }
        DiskChoice::None => {}
    }
    list.push((gettext("Network"), switch_name(&draft.switch)));
    if draft.switch != UNPLUGGED {
        let forwards = draft.forwards.iter();
        list.extend(forwards.map(|forward| (gettext("Forwarded port"), forwards::title(forward))));
    }
    list
}

fn generation(draft: &Draft) -> String {
    match (draft.generation, draft.secure_boot) {
        (Generation::One, _) => gettext("1 (BIOS)"),
        (Generation::Two, false) => gettext("2 (UEFI)"),
        (Generation::Two, true) => gettext("2 (UEFI with Secure Boot)"),
    }
}
