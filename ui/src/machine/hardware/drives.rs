//! The machine's drives: a row each, which opens to what can be changed of it and to the tools for its image. What the person
//! brought is never deleted: removing a drive leaves its image alone, unless it was made for the machine and the person says so.

use std::sync::Arc;

use relm4::adw::prelude::*;
use relm4::gtk::gio;
use relm4::prelude::*;
use relm4::{adw, gtk};

use super::add::{self, Addition};
use super::disk_tools::{self, Tool};
use super::drive_row::{Made, Row, describe};
use super::titles;
use crate::dialogs::file_choice::{self, FileKind};
use crate::dialogs::question::{self, Weight};
use crate::dialogs::toast;
use crate::machine::overview::OverviewOutput;
use crate::model::images::{self, Facts};
use crate::model::{Definition, Drive, DriveKind, Machines, StoredMachine, TrashedImage};
use crate::text::{self, gettext, gettext_with, message};

/// Why most of it cannot be changed while the machine is alive.
const RUNNING: &str = message(
    "Turn the machine off to change its drives. Discs can be changed and ejected at any time.",
);

/// The group.
pub struct Drives {
    machines: Arc<Machines>,
    machine: StoredMachine,
    alive: bool,
    facts: Vec<Result<Facts, String>>,
    rows: Vec<Row>,
}

/// What it is told.
#[derive(Debug)]
pub enum DrivesInput {
    /// The machine is this now.
    Show(StoredMachine),
    /// Whether it is alive.
    Alive(bool),
    /// Show what is there again.
    Refresh,
    /// Add something.
    Add(Addition),
    /// Put another disc into the optical drive with this number among the optical ones.
    Change(usize),
    /// Take the disc out of it.
    Eject(usize),
    /// The guest may only read the drive with this number, or write to it too.
    ReadOnly(usize, bool),
    /// Use a tool on the image of the drive with this number.
    Use(usize, Tool),
    /// Take away the drive with this number.
    Remove(usize),
    /// It is taken away for certain; whether its image goes to the Trash.
    Removed(usize, bool),
    /// Make the machine this again, and bring this image back.
    Restore(Box<(Definition, Option<TrashedImage>)>),
}

/// What a worker found out or did.
#[derive(Debug)]
pub enum DrivesCommand {
    /// What the drives' images are.
    Read(Vec<Result<Facts, String>>),
    /// A drive was taken away (its title), what the machine was before, and its image, if that is in the Trash.
    Removed(String, Box<(Definition, Option<TrashedImage>)>),
    /// What could not be done and why.
    Failed(&'static str, String),
    /// It was done.
    Done,
}

#[relm4::component(pub)]
impl Component for Drives {
    type Init = (Arc<Machines>, StoredMachine, bool);
    type Input = DrivesInput;
    type Output = OverviewOutput;
    type CommandOutput = DrivesCommand;

    view! {
        #[root]
        adw::PreferencesGroup {
            set_title: &gettext("Drives"),
            connect_map => DrivesInput::Refresh,
            #[watch]
            set_description: model.alive.then(|| gettext(RUNNING)).as_deref(),
            #[wrap(Some)]
            #[name = "add"]
            set_header_suffix = &gtk::MenuButton {
                set_icon_name: "list-add-symbolic",
                set_tooltip_text: Some(&gettext("Add a Drive")),
                set_valign: gtk::Align::Center,
                add_css_class: "flat",
                set_menu_model: Some(&add_menu()),
                #[watch]
                set_sensitive: !model.alive,
                update_property: &[gtk::accessible::Property::Label(&gettext("Add a Drive"))],
            },
        }
    }

    fn init(
        (machines, machine, alive): Self::Init,
        root: Self::Root,
        sender: ComponentSender<Self>,
    ) -> ComponentParts<Self> {
        let mut model = Self {
            machines,
            machine,
            alive,
            facts: Vec::new(),
            rows: Vec::new(),
        };
        let actions = gio::SimpleActionGroup::new();
        for (name, addition) in [
            ("new", Addition::NewDisk),
            ("existing", Addition::ExistingDisk),
            ("optical", Addition::Optical),
        ] {
            let action = gio::SimpleAction::new(name, None);
            let input = sender.input_sender().clone();
            action.connect_activate(move |_, _| {
                let _ = input.send(DrivesInput::Add(addition));
            });
            actions.add_action(&action);
        }
        root.insert_action_group("drives", Some(&actions));
        let widgets = view_output!();
        model.show(&root, &sender);
        model.read(&sender);
        ComponentParts { model, widgets }
    }

    fn update_with_view(
        &mut self,
        widgets: &mut Self::Widgets,
        message: DrivesInput,
        sender: ComponentSender<Self>,
        root: &Self::Root,
    ) {
        match message {
            DrivesInput::Show(machine) => {
                self.machine = machine;
                self.facts.clear();
                self.show(root, &sender);
                self.read(&sender);
            }
            DrivesInput::Alive(alive) => {
                if alive != self.alive {
                    self.alive = alive;
                    self.show(root, &sender);
                    self.read(&sender);
                }
            }
            DrivesInput::Refresh => {
                self.show(root, &sender);
                self.read(&sender);
            }
            DrivesInput::Add(addition) => {
                let (machines, machine) = (self.machines.clone(), self.machine.clone());
                relm4::spawn_local(add::add(addition, machines, machine, root.clone()));
            }
            DrivesInput::Change(drive) => {
                let (root, output) = (root.clone(), sender.output_sender().clone());
                relm4::spawn_local(async move {
                    let title = gettext("Choose a Medium");
                    let chosen = file_choice::open(&root, &title, FileKind::Optical);
                    if let Some(path) = chosen.await {
                        let _ = output.send(OverviewOutput::Insert(drive, path));
                    }
                });
            }
            DrivesInput::Eject(drive) => drop(sender.output(OverviewOutput::Eject(drive))),
            DrivesInput::ReadOnly(number, read_only) => {
                let mut definition = self.machine.definition.clone();
                if let Some(drive) = definition.drives.get_mut(number)
                    && drive.read_only != read_only
                {
                    drive.read_only = read_only;
                    let _ = sender.output(OverviewOutput::Update(definition));
                }
            }
            DrivesInput::Use(number, tool) => self.use_tool(number, tool, root, &sender),
            DrivesInput::Remove(number) => self.ask_to_remove(number, root, &sender),
            DrivesInput::Removed(number, trash) => self.remove(number, trash, &sender),
            DrivesInput::Restore(before) => self.restore(*before, &sender),
        }
        self.update_view(widgets, sender);
    }

    fn update_cmd(
        &mut self,
        message: DrivesCommand,
        sender: ComponentSender<Self>,
        root: &Self::Root,
    ) {
        match message {
            DrivesCommand::Read(facts) => {
                let based = |facts: &[Result<Facts, String>]| -> Vec<bool> {
                    let based = |facts: &Result<Facts, String>| {
                        facts.as_ref().is_ok_and(|facts| facts.base.is_some())
                    };
                    facts.iter().map(based).collect()
                };
                let tools = based(&facts) != based(&self.facts);
                if facts != self.facts {
                    self.facts = facts;
                    self.show_facts();
                }
                // Which tools there are depends on it.
                if tools && self.facts.iter().any(|facts| facts.is_ok()) {
                    self.show(root, &sender);
                }
            }
            DrivesCommand::Removed(title, before) => {
                let what = if before.1.is_some() {
                    gettext_with(
                        "{drive} was removed, its image is in the Trash",
                        &[("drive", &title)],
                    )
                } else {
                    gettext_with("{drive} was removed", &[("drive", &title)])
                };
                let input = sender.input_sender().clone();
                let undo = move || drop(input.send(DrivesInput::Restore(before.clone())));
                toast::undoable(root, &what, undo, || {});
            }
            DrivesCommand::Failed(heading, body) => question::error(root, &gettext(heading), &body),
            DrivesCommand::Done => {}
        }
    }
}

fn add_menu() -> gio::Menu {
    let menu = gio::Menu::new();
    menu.append(Some(&gettext("_New Hard Disk…")), Some("drives.new"));
    menu.append(
        Some(&gettext("_Existing Disk Image…")),
        Some("drives.existing"),
    );
    menu.append(Some(&gettext("_Optical Drive")), Some("drives.optical"));
    menu
}

impl Drives {
    /// Looks at the images, which may be on a file system that takes its time.
    fn read(&self, sender: &ComponentSender<Self>) {
        let machine = self.machine.clone();
        sender.spawn_oneshot_command(move || {
            let drives = machine.definition.drives.iter();
            let facts = drives.map(|drive| images::facts(drive, &machine.folder));
            DrivesCommand::Read(facts.collect())
        });
    }

    /// What the drives' rows are made of.
    fn made(&self) -> Vec<Made> {
        let titles = titles(&self.machine.definition);
        let mut optical = 0;
        let drives = self.machine.definition.drives.iter().enumerate();
        let made = drives.map(|(number, drive)| {
            let facts = self.facts.get(number).and_then(|facts| facts.as_ref().ok());
            let tools = Tool::ALL.into_iter().map(|(tool, _)| tool);
            let mut made = Made {
                title: titles.get(number).cloned().unwrap_or_default(),
                drive: Drive {
                    read_only: false,
                    ..drive.clone()
                },
                optical: None,
                tools: Vec::new(),
                alive: self.alive,
            };
            match drive.kind {
                DriveKind::Disk => made.tools = tools.filter(|tool| tool.is_for(facts)).collect(),
                DriveKind::Optical => {
                    let medium = self.machines.medium(&self.machine.folder, optical);
                    let medium = medium.filter(|_| self.alive);
                    made.optical = Some((optical, medium.unwrap_or_else(|| drive.file.clone())));
                    optical += 1;
                }
            }
            made
        });
        made.collect()
    }

    fn show(&mut self, root: &adw::PreferencesGroup, sender: &ComponentSender<Self>) {
        let made = self.made();
        let same = self.rows.iter().zip(&made);
        let kept = same.take_while(|(row, made)| row.made_of == **made).count();
        let focus = root.root().and_then(|root| root.focus());
        let mut focused = None;
        let mut open = Vec::new();
        for (number, row) in self.rows.drain(kept..).enumerate() {
            open.push(row.widget.is_expanded());
            let inside = |focus: &gtk::Widget| {
                focus.is_ancestor(&row.widget) || focus == row.widget.upcast_ref::<gtk::Widget>()
            };
            if focus.as_ref().is_some_and(inside) {
                focused = Some(kept + number);
            }
            root.remove(&row.widget);
        }
        for (number, made) in made.into_iter().enumerate().skip(kept) {
            let row = Row::new(number, made, sender);
            let open = open.get(number.saturating_sub(kept));
            row.widget.set_expanded(open == Some(&true));
            root.add(&row.widget);
            self.rows.push(row);
        }
        // The row that took the place of one that was left keeps the keyboard.
        let focused = focused.map(|number| number.min(self.rows.len().saturating_sub(1)));
        if let Some(row) = focused.and_then(|number| self.rows.get(number)) {
            row.widget.grab_focus();
        }
        for (row, drive) in self.rows.iter().zip(&self.machine.definition.drives) {
            row.show(drive);
        }
        self.show_facts();
    }

    /// Says what the images are, where that is known by now.
    fn show_facts(&self) {
        for ((row, drive), facts) in self
            .rows
            .iter()
            .zip(&self.machine.definition.drives)
            .zip(&self.facts)
        {
            if drive.kind == DriveKind::Disk {
                let subtitle = text::escape(&describe(drive, Some(facts)));
                row.widget.set_subtitle(&subtitle);
            }
        }
    }

    fn use_tool(
        &self,
        number: usize,
        tool: Tool,
        root: &adw::PreferencesGroup,
        sender: &ComponentSender<Self>,
    ) {
        let size = match self.facts.get(number) {
            Some(Ok(facts)) => facts.size,
            _ => 0,
        };
        let (machines, machine) = (self.machines.clone(), self.machine.clone());
        let (root, input) = (root.clone(), sender.input_sender().clone());
        relm4::spawn_local(async move {
            disk_tools::run(tool, machines, machine, number, size, root).await;
            let _ = input.send(DrivesInput::Refresh);
        });
    }

    fn ask_to_remove(
        &self,
        number: usize,
        root: &adw::PreferencesGroup,
        sender: &ComponentSender<Self>,
    ) {
        let input = sender.input_sender().clone();
        let drive = self.machine.definition.drives.get(number);
        let own = drive.and_then(|drive| {
            let file = drive.file.clone().filter(|file| file.is_relative())?;
            (drive.kind == DriveKind::Disk).then_some(file)
        });
        let Some(file) = own else {
            let _ = input.send(DrivesInput::Removed(number, false));
            return;
        };
        let title = titles(&self.machine.definition)
            .get(number)
            .cloned()
            .unwrap_or_default();
        let root = root.clone();
        relm4::spawn_local(async move {
            let body = gettext_with(
                "Its image, {file}, was made for this machine and is in its folder.",
                &[("file", &file.display())],
            );
            let answers = [
                (gettext("_Remove and Keep Image"), Weight::Plain),
                (gettext("Move Image to _Trash"), Weight::Destructive),
            ];
            let heading = gettext_with("Remove {drive}?", &[("drive", &title)]);
            if let Some(answer) = question::ask(&root, &heading, &body, &answers).await {
                let _ = input.send(DrivesInput::Removed(number, answer == 1));
            }
        });
    }

    fn remove(&self, number: usize, trash: bool, sender: &ComponentSender<Self>) {
        let (machines, machine) = (self.machines.clone(), self.machine.clone());
        let Some(title) = titles(&machine.definition).get(number).cloned() else {
            return;
        };
        sender.spawn_oneshot_command(move || {
            let before = machine.definition.clone();
            let mut definition = before.clone();
            let drive = definition.drives.remove(number);
            if let Err(error) = machines.update(&machine, &definition) {
                return DrivesCommand::Failed(
                    message("The drive was not removed"),
                    text::sentence(&error),
                );
            }
            let image = match drive.file.filter(|_| trash) {
                None => None,
                Some(file) => match machines.trash_image(&machine, &file) {
                    Ok(image) => Some(image),
                    Err(body) => {
                        let heading =
                            message("The drive was removed, but its image is still there");
                        return DrivesCommand::Failed(heading, body);
                    }
                },
            };
            DrivesCommand::Removed(title, Box::new((before, image)))
        });
    }

    fn restore(
        &self,
        (before, image): (Definition, Option<TrashedImage>),
        sender: &ComponentSender<Self>,
    ) {
        let (machines, machine) = (self.machines.clone(), self.machine.clone());
        sender.spawn_oneshot_command(move || {
            let restored = image.map_or(Ok(()), |image| machines.restore_image(&image));
            let restored = restored.and_then(|()| {
                let mut definition = machine.definition.clone();
                definition.drives = before.drives;
                let updated = machines.update(&machine, &definition).map(drop);
                updated.map_err(|error| text::sentence(&error))
            });
            match restored {
                Ok(()) => DrivesCommand::Done,
                Err(body) => {
                    DrivesCommand::Failed(message("The drive could not be brought back"), body)
                }
            }
        });
    }
}
