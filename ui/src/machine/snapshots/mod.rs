//! The Snapshots view: the machine's snapshots as a tree, from which it can be brought back to one of them and new machines are
//! made. Deleting one can be undone for as long as its toast is there; then its space is given back, with progress, beneath the
//! list. While the machine runs all of it says why it cannot be done.

mod branch;
mod row;

use std::sync::Arc;

use relm4::adw::prelude::*;
use relm4::prelude::*;
use relm4::{adw, gtk};
use uuid::Uuid;

use self::row::Wish;
use crate::dialogs::form::{self, Field};
use crate::dialogs::question::{self, Weight};
use crate::dialogs::{progress, toast};
use crate::model::{
    Cancel, Job, Machines, Name, NewSnapshot, Progress, Snapshot, State, StoredMachine,
};
use crate::text::{self, gettext, gettext_with, message};

/// Why nothing can be done while the machine is alive.
const RUNNING: &str = message("Turn the machine off to take, revert to or delete snapshots.");

/// The view.
pub struct SnapshotsView {
    machines: Arc<Machines>,
    machine: StoredMachine,
    alive: bool,
    snapshots: Vec<Snapshot>,
    /// Deleted snapshots take space that nobody is giving back.
    leftover: bool,
    /// What gives space back right now.
    reclaiming: Option<Cancel>,
    /// A change is under way.
    busy: bool,
    rows: Vec<adw::ActionRow>,
    /// What the rows were made of: the snapshots, and whether they can be changed.
    shown: Option<(Vec<Snapshot>, bool)>,
}

/// What it is told.
#[derive(Debug)]
pub enum SnapshotsInput {
    /// The machine is this now.
    Show(StoredMachine),
    /// What it is doing.
    State(State),
    /// Look at the disk.
    Read,
    /// Ask for a name and take a snapshot.
    Take,
    /// Take this one.
    Taken(NewSnapshot),
    /// Something is wanted of a snapshot.
    Wish(Uuid, Wish),
    /// It is wanted for certain.
    Do(Deed),
    /// Give the space of deleted snapshots back.
    Reclaim,
    /// Stop that.
    Stop,
}

/// Something to be done.
#[derive(Debug, Clone)]
pub enum Deed {
    /// Bring the machine back to the snapshot; take one of how it is before, if there is a name for that.
    Revert(Uuid, Option<NewSnapshot>),
    /// Delete the snapshot with this name.
    Delete(Uuid, String),
    /// Bring it back.
    Restore(Uuid),
    /// Give it this name and these notes.
    Describe(Uuid, NewSnapshot),
    /// Make a machine with this name from it.
    Branch(Uuid, Name),
}

/// What a worker found out or did.
#[derive(Debug)]
pub enum SnapshotsCommand {
    /// The snapshots, and whether deleted ones take space; or what is wrong with them.
    Read(Result<(Vec<Snapshot>, bool), String>),
    /// It was done, or (what could not be done) why not.
    Done(Deed, Result<(), String>),
    /// A snapshot was taken, or why not.
    Taken(Result<(), String>),
    /// How far giving space back is.
    Progress(Progress),
    /// Space was given back, or why not.
    Reclaimed(Result<(), String>),
}

#[relm4::component(pub)]
impl Component for SnapshotsView {
    type Init = (Arc<Machines>, StoredMachine, State);
    type Input = SnapshotsInput;
    type Output = ();
    type CommandOutput = SnapshotsCommand;

    view! {
        #[root]
        gtk::Stack {
            connect_map => SnapshotsInput::Read,
            add_named[Some("empty")] = &adw::StatusPage {
                set_icon_name: Some("camera-photo-symbolic"),
                set_title: &gettext("No Snapshots"),
                #[watch]
                set_description: Some(&gettext(if model.alive { RUNNING } else {
                    message("A snapshot keeps the machine’s disks and settings as they are now, so that you can go back to it.")
                })),
                gtk::Button {
                    set_label: &gettext("Take Snapshot"),
                    set_halign: gtk::Align::Center,
                    set_css_classes: &["pill", "suggested-action"],
                    #[watch]
                    set_sensitive: !model.alive && !model.busy,
                    #[watch]
                    set_tooltip_text: model.running().as_deref(),
                    connect_clicked => SnapshotsInput::Take,
                },
            },
            #[name = "problem"]
            add_named[Some("problem")] = &adw::StatusPage {
                set_icon_name: Some("dialog-error-symbolic"),
                set_title: &gettext("The Snapshots Cannot Be Read"),
                gtk::Button {
                    set_label: &gettext("Check Again"),
                    set_halign: gtk::Align::Center,
                    add_css_class: "pill",
                    connect_clicked => SnapshotsInput::Read,
                },
            },
            add_named[Some("list")] = &adw::PreferencesPage {
                #[name = "group"]
                add = &adw::PreferencesGroup {
                    set_title: &gettext("Snapshots"),
                    #[watch]
                    set_description: model.running().as_deref(),
                    #[wrap(Some)]
                    set_header_suffix = &gtk::Button {
                        set_label: &gettext("Take Snapshot"),
                        set_valign: gtk::Align::Center,
                        #[watch]
                        set_sensitive: !model.alive && !model.busy,
                        #[watch]
                        set_tooltip_text: model.running().as_deref(),
                        connect_clicked => SnapshotsInput::Take,
                    },
                },
                add = &adw::PreferencesGroup {
                    #[watch]
                    set_visible: model.leftover || model.reclaiming.is_some(),
                    add = &adw::ActionRow {
                        #[watch]
                        set_title: &if model.reclaiming.is_some() { gettext("Joining Disks") } else { gettext("Deleted Snapshots Take Space") },
                        #[watch]
                        set_subtitle: &if model.reclaiming.is_some() {
                            gettext("What deleted snapshots held is joined with what comes after them.")
                        } else {
                            gettext("Their space can be given back while the machine is off.")
                        },
                        #[name = "bar"]
                        add_suffix = &gtk::ProgressBar {
                            set_show_text: true,
                            set_valign: gtk::Align::Center,
                            set_width_request: 120,
                            #[watch]
                            set_visible: model.reclaiming.is_some(),
                            update_property: &[gtk::accessible::Property::Label(&gettext("Joining Disks"))],
                        },
                        add_suffix = &gtk::Button {
                            set_label: &gettext("Stop"),
                            set_valign: gtk::Align::Center,
                            #[watch]
                            set_visible: model.reclaiming.is_some(),
                            connect_clicked => SnapshotsInput::Stop,
                        },
                        add_suffix = &gtk::Button {
                            set_label: &gettext("Give Back"),
                            set_valign: gtk::Align::Center,
                            #[watch]
                            set_visible: model.reclaiming.is_none(),
                            #[watch]
                            set_sensitive: !model.alive && !model.busy,
                            connect_clicked => SnapshotsInput::Reclaim,
                        },
                    },
                },
            },
        }
    }

    fn init(
        (machines, machine, state): Self::Init,
        root: Self::Root,
        sender: ComponentSender<Self>,
    ) -> ComponentParts<Self> {
        let model = Self {
            machines,
            machine,
            alive: state.is_alive(),
            snapshots: Vec::new(),
            leftover: false,
            reclaiming: None,
            busy: false,
            rows: Vec::new(),
            shown: None,
        };
        let widgets = view_output!();
        model.read(&sender);
        ComponentParts { model, widgets }
    }

    fn update_with_view(
        &mut self,
        widgets: &mut Self::Widgets,
        message: SnapshotsInput,
        sender: ComponentSender<Self>,
        root: &Self::Root,
    ) {
        match message {
            SnapshotsInput::Show(machine) => {
                self.machine = machine;
                self.read(&sender);
            }
            SnapshotsInput::State(state) => {
                self.alive = state.is_alive();
                self.show(widgets, &sender);
            }
            SnapshotsInput::Read => self.read(&sender),
            SnapshotsInput::Take => self.ask_name(&sender, root),
            SnapshotsInput::Taken(new) => self.take(new, &sender),
            SnapshotsInput::Wish(id, wish) => self.wish(id, wish, &sender, root),
            SnapshotsInput::Do(deed) => self.carry_out(deed, &sender),
            SnapshotsInput::Reclaim => self.reclaim(&sender),
            SnapshotsInput::Stop => {
                if let Some(cancel) = &self.reclaiming {
                    cancel.cancel();
                }
            }
        }
        self.update_view(widgets, sender);
    }

    fn update_cmd_with_view(
        &mut self,
        widgets: &mut Self::Widgets,
        message: SnapshotsCommand,
        sender: ComponentSender<Self>,
        root: &Self::Root,
    ) {
        match message {
            SnapshotsCommand::Read(Ok((snapshots, leftover))) => {
                self.snapshots = snapshots;
                self.leftover = leftover;
                let empty = self.snapshots.is_empty() && !leftover;
                root.set_visible_child_name(if empty { "empty" } else { "list" });
                self.show(widgets, &sender);
            }
            SnapshotsCommand::Read(Err(problem)) => {
                widgets
                    .problem
                    .set_description(Some(&text::escape(&problem)));
                root.set_visible_child_name("problem");
            }
            SnapshotsCommand::Taken(result) => {
                self.busy = false;
                if let Err(body) = result {
                    question::error(root, &gettext("No snapshot was taken"), &body);
                }
                self.read(&sender);
            }
            SnapshotsCommand::Done(deed, result) => {
                self.busy = false;
                match result {
                    Ok(()) => told(&deed, &sender, root),
                    Err(body) => question::error(root, &failure(&deed), &body),
                }
                self.read(&sender);
            }
            SnapshotsCommand::Progress(now) => progress::show(&widgets.bar, now),
            SnapshotsCommand::Reclaimed(result) => {
                self.reclaiming = None;
                if let Err(body) = result {
                    question::error(root, &gettext("The space was not given back"), &body);
                }
                self.read(&sender);
            }
        }
        self.update_view(widgets, sender);
    }
}

impl SnapshotsView {
    /// Why nothing can be changed, while the machine is alive.
    fn running(&self) -> Option<String> {
        self.alive.then(|| gettext(RUNNING))
    }

    fn read(&self, sender: &ComponentSender<Self>) {
        let (machines, machine) = (self.machines.clone(), self.machine.clone());
        sender.spawn_oneshot_command(move || {
            let read = machines.snapshots(&machine);
            let read = read.map(|tree| (tree.snapshots(), tree.has_deleted()));
            SnapshotsCommand::Read(read.map_err(|error| text::sentence(&error)))
        });
    }

    fn show(&mut self, widgets: &SnapshotsViewWidgets, sender: &ComponentSender<Self>) {
        let able = !self.alive && !self.busy && self.reclaiming.is_none();
        // The library is read again whenever something moves in its folder. Rows that stay as they are keep the keyboard.
        let shown = Some((self.snapshots.clone(), able));
        if self.shown == shown {
            return;
        }
        self.shown = shown;
        for row in self.rows.drain(..) {
            widgets.group.remove(&row);
        }
        let input = sender.input_sender();
        self.rows = row::rows(&self.snapshots, able, |id| {
            let input = input.clone();
            Box::new(move |wish| {
                let _ = input.send(SnapshotsInput::Wish(id, wish));
            })
        });
        for row in &self.rows {
            widgets.group.add(row);
        }
    }

    fn get(&self, id: Uuid) -> Option<&Snapshot> {
        self.snapshots.iter().find(|snapshot| snapshot.id == id)
    }

    /// A name that no snapshot has.
    fn next_name(&self) -> String {
        let taken = |name: &str| self.snapshots.iter().any(|snapshot| snapshot.name == name);
        (self.snapshots.len() + 1..)
            .map(|number| gettext_with("Snapshot {number}", &[("number", &number)]))
            .find(|name| !taken(name))
            .unwrap_or_default()
    }

    fn ask_name(&self, sender: &ComponentSender<Self>, root: &gtk::Stack) {
        let (input, root, name) = (
            sender.input_sender().clone(),
            root.clone(),
            self.next_name(),
        );
        relm4::spawn_local(async move {
            let (title, notes) = (gettext("Name"), gettext("Notes"));
            let fields = [Field::Text(&title, &name), Field::Text(&notes, "")];
            let (heading, accept) = (gettext("Take Snapshot"), gettext("_Take"));
            let values = form::ask(&root, (&heading, ""), &fields, &accept, |values| {
                values.first().and_then(|name| objection(name.text()))
            });
            if let Some([name, notes]) = values.await.as_deref() {
                let new = new(name.text(), notes.text());
                let _ = input.send(SnapshotsInput::Taken(new));
            }
        });
    }

    fn take(&mut self, new: NewSnapshot, sender: &ComponentSender<Self>) {
        self.busy = true;
        let (machines, machine) = (self.machines.clone(), self.machine.clone());
        sender.spawn_oneshot_command(move || {
            let taken = machines.take_snapshot(&machine, &new).map(drop);
            SnapshotsCommand::Taken(taken.map_err(|error| text::sentence(&error)))
        });
    }

    fn wish(&self, id: Uuid, wish: Wish, sender: &ComponentSender<Self>, root: &gtk::Stack) {
        let Some(snapshot) = self.get(id).cloned() else {
            return;
        };
        let (input, root) = (sender.input_sender().clone(), root.clone());
        let name = snapshot.name;
        match wish {
            Wish::Delete => drop(input.send(SnapshotsInput::Do(Deed::Delete(id, name)))),
            Wish::Revert => {
                let before = new(
                    &gettext_with("Before “{name}”", &[("name", &name)])
                        .chars()
                        .take(64)
                        .collect::<String>(),
                    "",
                );
                relm4::spawn_local(async move {
                    let heading = gettext_with("Revert to “{name}”?", &[("name", &name)]);
                    let body = gettext(
                        "The machine becomes as it was then. What was changed since its last snapshot is lost, unless a snapshot of it is taken first.",
                    );
                    let answers = [
                        (gettext("_Revert"), Weight::Destructive),
                        (gettext("_Take Snapshot and Revert"), Weight::Suggested),
                    ];
                    let before = match question::ask(&root, &heading, &body, &answers).await {
                        Some(0) => None,
                        Some(_) => Some(before),
                        None => return,
                    };
                    let _ = input.send(SnapshotsInput::Do(Deed::Revert(id, before)));
                });
            }
            Wish::Describe => drop(relm4::spawn_local(async move {
                let (title, notes) = (gettext("Name"), gettext("Notes"));
                let fields = [
                    Field::Text(&title, &name),
                    Field::Text(&notes, &snapshot.notes),
                ];
                let (heading, accept) = (gettext("Rename Snapshot"), gettext("_Rename"));
                let values = form::ask(&root, (&heading, ""), &fields, &accept, |values| {
                    values.first().and_then(|name| objection(name.text()))
                });
                if let Some([name, notes]) = values.await.as_deref() {
                    let new = new(name.text(), notes.text());
                    let _ = input.send(SnapshotsInput::Do(Deed::Describe(id, new)));
                }
            })),
            Wish::Branch => {
                let machines = self.machines.clone();
                let start = format!("{} {name}", self.machine.definition.name);
                let start: String = start.chars().take(64).collect();
                relm4::spawn_local(async move {
                    let heading = gettext("New Machine from Snapshot");
                    let body = gettext(
                        "Its disks hold only what differs from the snapshot, which cannot be deleted before the new machine is.",
                    );
                    let (title, accept) = (gettext("Name"), gettext("_Create"));
                    let fields = [Field::Text(&title, &start)];
                    let values =
                        form::ask(&root, (&heading, &body), &fields, &accept, move |values| {
                            machine_name_objection(&machines, values.first()?.text())
                        });
                    if let Some([value]) = values.await.as_deref()
                        && let Ok(name) = Name::new(value.text())
                    {
                        let _ = input.send(SnapshotsInput::Do(Deed::Branch(id, name)));
                    }
                });
            }
        }
    }

    fn carry_out(&mut self, deed: Deed, sender: &ComponentSender<Self>) {
        self.busy = true;
        let (machines, machine) = (self.machines.clone(), self.machine.clone());
        sender.spawn_oneshot_command(move || {
            let result = match &deed {
                Deed::Revert(id, before) => before
                    .as_ref()
                    .map_or(Ok(()), |before| {
                        machines.take_snapshot(&machine, before).map(drop)
                    })
                    .and_then(|()| machines.revert(&machine, *id)),
                Deed::Delete(id, _) => machines.delete_snapshot(&machine, *id),
                Deed::Restore(id) => machines.restore_snapshot(&machine, *id),
                Deed::Describe(id, new) => machines.describe_snapshot(&machine, *id, new),
                Deed::Branch(id, name) => machines.branch(&machine, *id, name.clone()).map(drop),
            };
            SnapshotsCommand::Done(deed, result.map_err(|error| text::sentence(&error)))
        });
    }

    fn reclaim(&mut self, sender: &ComponentSender<Self>) {
        if self.alive || self.reclaiming.is_some() {
            return;
        }
        let cancel = Cancel::default();
        self.reclaiming = Some(cancel.clone());
        let (machines, machine) = (self.machines.clone(), self.machine.clone());
        sender.spawn_command(move |output| {
            let report = |now: Progress| {
                let _ = output.send(SnapshotsCommand::Progress(now));
            };
            let result = machines.reclaim(&machine, &Job::new(&report, cancel.clone()));
            let result = match result {
                // Who stopped it knows.
                Err(_) if cancel.is_cancelled() => Ok(()),
                result => result.map_err(|error| text::sentence(&error)),
            };
            let _ = output.send(SnapshotsCommand::Reclaimed(result));
        });
    }
}

fn new(name: &str, notes: &str) -> NewSnapshot {
    NewSnapshot {
        name: name.trim().to_owned(),
        notes: notes.trim().to_owned(),
    }
}

/// What speaks against a snapshot's name.
fn objection(name: &str) -> Option<String> {
    let length = name.trim().chars().count();
    (!(1..=64).contains(&length)).then(|| gettext("A snapshot’s name has 1 to 64 characters."))
}

/// What speaks against a new machine's name.
pub fn machine_name_objection(machines: &Machines, name: &str) -> Option<String> {
    match Name::new(name) {
        Err(error) => Some(text::sentence(&error)),
        Ok(name) => {
            let entries = machines.scan().ok()?;
            let taken = entries.iter().any(|entry| name.matches(&entry.title()));
            taken.then(|| {
                gettext_with(
                    "A machine called {name} exists already.",
                    &[("name", &name)],
                )
            })
        }
    }
}

/// Says that something was done, with Undo where that can be.
fn told(deed: &Deed, sender: &ComponentSender<SnapshotsView>, root: &gtk::Stack) {
    match deed {
        Deed::Delete(id, name) => {
            let (undo, kept, id) = (
                sender.input_sender().clone(),
                sender.input_sender().clone(),
                *id,
            );
            toast::undoable(
                root,
                &gettext_with("“{name}” was deleted", &[("name", name)]),
                move || drop(undo.send(SnapshotsInput::Do(Deed::Restore(id)))),
                move || drop(kept.send(SnapshotsInput::Reclaim)),
            );
        }
        Deed::Branch(_, name) => toast::say(
            root,
            &gettext_with("“{name}” was created", &[("name", name)]),
        ),
        Deed::Revert(..) => toast::say(root, &gettext("The machine is as it was then")),
        Deed::Restore(_) | Deed::Describe(..) => {}
    }
}

fn failure(deed: &Deed) -> String {
    match deed {
        Deed::Revert(..) => gettext("The machine was not reverted"),
        Deed::Delete(..) => gettext("The snapshot was not deleted"),
        Deed::Restore(_) => gettext("The snapshot could not be brought back"),
        Deed::Describe(..) => gettext("The snapshot was not renamed"),
        Deed::Branch(..) => gettext("No machine was made"),
    }
}
