//! The wizard that makes a machine: four pages over one draft, with Create beneath all of them. Files are read on a worker, and
//! what a late answer says about a file that is no longer chosen is passed over. Where the host cannot run machines, a page that
//! says why stands in its place.

mod command;
mod copying;
mod draft;
mod field;
mod file_field;
mod findings;
mod place;
mod review;
mod source;
mod storage;
mod system;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use relm4::adw::prelude::*;
use relm4::prelude::*;
use relm4::{adw, gtk};

use crate::dialogs::host_check::{HostCheck, HostCheckOutput};
use crate::dialogs::{progress, question};
use crate::model::media::{self, Found};
use crate::model::{Machines, Name, Severity, StoredMachine, check_host};
use crate::settings;
use crate::text::gettext;
use draft::{Choice, Draft};
pub use draft::{Place, Preferred};
use field::View;
use findings::Objection;
pub use place::survey;
use review::{ReviewInput, ReviewOutput, ReviewPage};
use source::{SourceInput, SourceOutput, SourcePage};
use storage::{StorageInput, StorageOutput, StoragePage};
use system::{SystemOutput, SystemPage};

/// Makes a choice of what was found in a file.
type Answer = fn(PathBuf, Result<Box<Found>, String>) -> Choice;

/// How long typing must rest before a file is read.
const REST: Duration = Duration::from_millis(250);

/// The wizard.
pub struct Wizard {
    machines: Arc<Machines>,
    place: Arc<Place>,
    draft: Draft,
    objections: Vec<Objection>,
    creating: bool,
    host: Option<Controller<HostCheck>>,
    source: Controller<SourcePage>,
    system: Controller<SystemPage>,
    storage: Controller<StoragePage>,
    review: Controller<ReviewPage>,
}

/// What it is told.
#[derive(Debug)]
pub enum WizardInput {
    /// A person chose something.
    Choose(Choice),
    /// Begin with this file, which was chosen elsewhere.
    Medium(PathBuf),
    /// Show the page with this tag.
    Go(&'static str),
    /// Make the machine.
    Create,
    /// Leave.
    Cancel,
    /// Say something in passing.
    Toast(String),
    /// The host can run machines now.
    Usable,
}

/// What it tells.
#[derive(Debug)]
pub enum WizardOutput {
    /// A machine was made.
    Created {
        /// Which.
        machine: Box<StoredMachine>,
        /// Whether it is to be started.
        start: bool,
    },
    /// The dialog is closed.
    Closed,
}

/// What a worker found out.
#[derive(Debug)]
pub enum WizardCommand {
    /// What is in a file.
    Found(Choice),
    /// The machine, or why it could not be made.
    Created(Result<StoredMachine, String>),
}

#[relm4::component(pub)]
impl Component for Wizard {
    type Init = (Arc<Machines>, Place, Option<PathBuf>);
    type Input = WizardInput;
    type Output = WizardOutput;
    type CommandOutput = WizardCommand;

    view! {
        #[root]
        adw::Dialog {
            set_title: &gettext("New Machine"),
            set_content_width: 560,
            set_content_height: 640,
            connect_closed[sender] => move |_| { let _ = sender.output(WizardOutput::Closed); },
            #[wrap(Some)]
            #[name = "toasts"]
            set_child = &adw::ToastOverlay {
                #[name = "stack"]
                gtk::Stack {
                    add_named[Some("form")] = &adw::ToolbarView {
                        set_bottom_bar_style: adw::ToolbarStyle::Raised,
                        #[wrap(Some)]
                        #[name = "pages"]
                        set_content = &adw::NavigationView {
                            add: model.source.widget(),
                            add: model.system.widget(),
                            add: model.storage.widget(),
                            add: model.review.widget(),
                        },
                        add_bottom_bar = &gtk::Box {
                            set_spacing: 12,
                            set_margin_all: 12,
                            gtk::Box {
                                set_orientation: gtk::Orientation::Vertical,
                                set_valign: gtk::Align::Center,
                                set_hexpand: true,
                                gtk::Label {
                                    #[watch]
                                    set_label: model.draft.name.trim(),
                                    set_xalign: 0.0,
                                    set_ellipsize: gtk::pango::EllipsizeMode::End,
                                    add_css_class: "heading",
                                },
                                gtk::Label {
                                    #[watch]
                                    set_label: &model.verdict(),
                                    #[watch]
                                    set_css_classes: if model.blocked().is_some() { &["caption", "error"] } else { &["caption", "dimmed"] },
                                    set_xalign: 0.0,
                                    set_wrap: true,
                                    set_lines: 2,
                                    set_ellipsize: gtk::pango::EllipsizeMode::End,
                                },
                            },
                            gtk::Button {
                                set_label: &gettext("Create"),
                                set_valign: gtk::Align::Center,
                                set_css_classes: &["suggested-action", "pill"],
                                #[watch]
                                set_sensitive: model.blocked().is_none() && !model.creating,
                                connect_clicked => WizardInput::Create,
                            },
                        },
                    },
                    #[name = "problem"]
                    add_named[Some("problem")] = &adw::ToolbarView {
                        add_top_bar = &adw::HeaderBar {},
                    },
                },
            },
        }
    }

    fn init(
        (machines, mut place, file): Self::Init,
        root: Self::Root,
        sender: ComponentSender<Self>,
    ) -> ComponentParts<Self> {
        place.preferred = settings::get().preferred();
        let place = Arc::new(place);
        let input = sender.input_sender();
        let mut draft = Draft::new(&place);
        draft.start = settings::get().start_after_creating();
        if file.is_some() {
            // What is imported is there to be had, not to be installed at once.
            draft.take(Choice::Start(false), &place);
        }
        let mut model = Self {
            draft,
            objections: Vec::new(),
            creating: false,
            host: None,
            source: SourcePage::builder()
                .launch(())
                .forward(input, |output| match output {
                    SourceOutput::Choose(choice) => WizardInput::Choose(choice),
                    SourceOutput::Next => WizardInput::Go("system"),
                    SourceOutput::Cancel => WizardInput::Cancel,
                    SourceOutput::Failed(text) => WizardInput::Toast(text),
                }),
            system: SystemPage::builder().launch(place.clone()).forward(
                input,
                |output| match output {
                    SystemOutput::Choose(choice) => WizardInput::Choose(choice),
                    SystemOutput::Next => WizardInput::Go("storage"),
                },
            ),
            storage: StoragePage::builder()
                .launch(place.clone())
                .forward(input, |output| match output {
                    StorageOutput::Choose(choice) => WizardInput::Choose(choice),
                    StorageOutput::Next => WizardInput::Go("review"),
                    StorageOutput::Failed(text) => WizardInput::Toast(text),
                }),
            review: ReviewPage::builder()
                .launch(())
                .forward(input, |output| match output {
                    ReviewOutput::Choose(choice) => WizardInput::Choose(choice),
                    ReviewOutput::Copied(text) => WizardInput::Toast(text),
                }),
            machines,
            place,
        };
        let widgets = view_output!();
        if let Err(problem) = check_host() {
            let check =
                HostCheck::builder()
                    .launch(problem)
                    .forward(input, |output| match output {
                        HostCheckOutput::Usable => WizardInput::Usable,
                    });
            widgets.problem.set_content(Some(check.widget()));
            // The dialog would look for its focus among the fields that are not shown, and then no key would move it.
            check.widgets().button.connect_map(|button| {
                let button = button.clone();
                gtk::glib::idle_add_local_once(move || {
                    button.grab_focus();
                });
            });
            widgets.stack.set_visible_child_name("problem");
            model.host = Some(check);
        }
        root.set_focus(Some(model.source.model().first()));
        if let Some(file) = file {
            model.source.emit(SourceInput::Chosen(file));
        }
        model.refresh();
        ComponentParts { model, widgets }
    }

    fn update_with_view(
        &mut self,
        widgets: &mut Self::Widgets,
        message: WizardInput,
        sender: ComponentSender<Self>,
        root: &Self::Root,
    ) {
        match message {
            WizardInput::Choose(choice) => {
                self.read(&choice, &sender);
                self.draft.take(choice, &self.place);
                self.refresh();
            }
            WizardInput::Medium(path) => self.source.emit(SourceInput::Chosen(path)),
            WizardInput::Go(tag) => widgets.pages.push_by_tag(tag),
            WizardInput::Create => self.create(root, &sender),
            WizardInput::Cancel => {
                root.close();
            }
            WizardInput::Toast(text) => widgets.toasts.add_toast(adw::Toast::new(&text)),
            WizardInput::Usable => {
                widgets.stack.set_visible_child_name("form");
                self.host = None;
            }
        }
        self.update_view(widgets, sender);
    }

    fn update_cmd_with_view(
        &mut self,
        widgets: &mut Self::Widgets,
        message: WizardCommand,
        sender: ComponentSender<Self>,
        root: &Self::Root,
    ) {
        match message {
            WizardCommand::Found(choice) => {
                self.draft.take(choice, &self.place);
                self.refresh();
            }
            WizardCommand::Created(Ok(machine)) => {
                let start = self.draft.start;
                let machine = Box::new(machine);
                let _ = sender.output(WizardOutput::Created { machine, start });
                root.close();
            }
            WizardCommand::Created(Err(message)) => {
                self.creating = false;
                question::error(root, &gettext("The machine could not be made"), &message);
            }
        }
        self.update_view(widgets, sender);
    }
}

impl Wizard {
    fn refresh(&mut self) {
        self.objections = findings::objections(&self.draft, &self.place);
        let view = Arc::new(View {
            draft: self.draft.clone(),
            objections: self.objections.clone(),
        });
        self.source.emit(SourceInput::Show(view.clone()));
        self.system.emit(view.clone());
        self.storage.emit(StorageInput::Show(view.clone()));
        self.review.emit(ReviewInput::Show(view));
    }

    /// What stands in the way of making the machine.
    fn blocked(&self) -> Option<&Objection> {
        let mut objections = self.objections.iter();
        objections.find(|objection| objection.severity == Severity::Error)
    }

    fn verdict(&self) -> String {
        if self.creating {
            return gettext("Creating…");
        }
        self.blocked().map_or_else(
            || self.draft.summary(),
            |objection| objection.message.clone(),
        )
    }

    /// Has the file that was chosen read.
    fn read(&self, choice: &Choice, sender: &ComponentSender<Self>) {
        let (path, answer): (PathBuf, Answer) = match choice {
            Choice::Source(Some(path)) => (path.clone(), Choice::Inspected),
            Choice::DiskFile(text) => (PathBuf::from(text.trim()), Choice::DiskInspected),
            _ => return,
        };
        if !path.is_absolute() {
            return;
        }
        sender.oneshot_command(async move {
            tokio::time::sleep(REST).await;
            let file = path.clone();
            let result = relm4::spawn_blocking(move || media::inspect(&file)).await;
            let result = result.unwrap_or_else(|_| Err(gettext("The file could not be read.")));
            WizardCommand::Found(answer(path, result))
        });
    }

    fn create(&mut self, root: &adw::Dialog, sender: &ComponentSender<Self>) {
        let Ok(name) = Name::new(&self.draft.name) else {
            return;
        };
        if self.blocked().is_some() || self.creating {
            return;
        }
        self.creating = true;
        let (definition, disk) = (self.draft.definition(name), self.draft.new_disk());
        let copies = self.draft.copied_disks();
        let machines = self.machines.clone();
        let (root, input) = (root.clone(), sender.command_sender().clone());
        relm4::spawn_local(async move {
            let made = progress::run(&root, gettext("Creating the Machine"), move |job| {
                machines.create_with(&definition, disk.as_slice(), &copies, job)
            });
            let fault = || Err(gettext("A fault in Guesthouse ended the work."));
            let made = made.await.unwrap_or_else(fault);
            let _ = input.send(WizardCommand::Created(made));
        });
    }
}
