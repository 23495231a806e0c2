//! The page of a machine whose file cannot be read: which file, which line, what is wrong there. The file is never touched, but the
//! machine can be moved to the Trash with it.

use std::path::PathBuf;

use relm4::adw::prelude::*;
use relm4::prelude::*;
use relm4::{adw, gtk};

use crate::model::BrokenMachine;
use crate::text::{self, gettext, gettext_with};

/// The page.
pub struct BrokenPage {
    broken: BrokenMachine,
}

/// What it tells.
#[derive(Debug)]
pub enum BrokenOutput {
    /// Read the file again.
    Check,
    /// Move the machine to the Trash.
    Delete,
}

/// What it is told.
#[derive(Debug)]
pub enum BrokenInput {
    /// Show the file in the program that edits such files.
    Open,
    /// Show its folder in the file manager.
    OpenFolder,
}

#[relm4::component(pub)]
impl SimpleComponent for BrokenPage {
    type Init = BrokenMachine;
    type Input = BrokenInput;
    type Output = BrokenOutput;

    view! {
        adw::NavigationPage {
            set_title: &model.broken.title(),
            adw::ToolbarView {
                add_top_bar = &adw::HeaderBar {},
                #[wrap(Some)]
                set_content = &adw::StatusPage {
                    set_icon_name: Some("dialog-error-symbolic"),
                    set_title: &if model.broken.newer_schema.is_some() {
                        gettext("Made by a Newer Version")
                    } else {
                        gettext("This Machine’s File Cannot Be Read")
                    },
                    set_description: Some(&text::escape(&text::sentence(&model.broken.message))),
                    gtk::Box {
                        set_orientation: gtk::Orientation::Vertical,
                        set_spacing: 18,
                        gtk::Label {
                            set_label: &model.place(),
                            set_wrap: true,
                            set_wrap_mode: gtk::pango::WrapMode::WordChar,
                            set_selectable: true,
                            set_justify: gtk::Justification::Center,
                            add_css_class: "monospace",
                            // What the keyboard comes by is not selected for that; the toolkit selects it once it has the focus.
                            connect_has_focus_notify => move |label| {
                                let label = label.clone();
                                gtk::glib::idle_add_local_once(move || label.select_region(0, 0));
                            },
                        },
                        gtk::Label {
                            set_label: &if model.broken.newer_schema.is_some() {
                                gettext("Update Guesthouse to use the machine. The file stays as it is.")
                            } else {
                                gettext("Correct the file and check again. Guesthouse leaves it as it is.")
                            },
                            set_wrap: true,
                            set_justify: gtk::Justification::Center,
                        },
                        adw::WrapBox {
                            set_child_spacing: 12,
                            set_line_spacing: 12,
                            set_align: 0.5,
                            gtk::Button {
                                set_label: &gettext("Check Again"),
                                set_css_classes: &["pill", "suggested-action"],
                                connect_clicked[sender] => move |_| { let _ = sender.output(BrokenOutput::Check); },
                            },
                            gtk::Button {
                                set_label: &gettext("Open File"),
                                add_css_class: "pill",
                                connect_clicked => BrokenInput::Open,
                            },
                            gtk::Button {
                                set_label: &gettext("Open Folder"),
                                add_css_class: "pill",
                                connect_clicked => BrokenInput::OpenFolder,
                            },
                            gtk::Button {
                                set_label: &gettext("Move to Trash"),
                                set_css_classes: &["pill", "destructive-action"],
                                connect_clicked[sender] => move |_| { let _ = sender.output(BrokenOutput::Delete); },
                            },
                        },
                    },
                },
            },
        }
    }

    fn init(
        broken: BrokenMachine,
        root: Self::Root,
        sender: ComponentSender<Self>,
    ) -> ComponentParts<Self> {
        let model = Self { broken };
        let widgets = view_output!();
        ComponentParts { model, widgets }
    }

    fn update(&mut self, message: BrokenInput, _: ComponentSender<Self>) {
        open(match message {
            BrokenInput::Open => self.broken.file.clone(),
            BrokenInput::OpenFolder => self.broken.folder.clone(),
        });
    }
}

impl BrokenPage {
    fn place(&self) -> String {
        let file = self.broken.file.display();
        self.broken.line.map_or_else(
            || file.to_string(),
            |line| gettext_with("{file}, line {line}", &[("file", &file), ("line", &line)]),
        )
    }
}

fn open(path: PathBuf) {
    relm4::spawn_local(async move {
        let file = gtk::gio::File::for_path(&path);
        let launcher = gtk::FileLauncher::new(Some(&file));
        if let Err(error) = launcher.launch_future(gtk::Window::NONE).await {
            tracing::warn!(path = %path.display(), %error, "no program opened the file");
        }
    });
}
