//! What the window does with machines, and how it hears what became of it: on workers, since nothing here may keep it from drawing.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use relm4::adw::prelude::*;
use relm4::prelude::*;

use super::messages::Refusal;
use super::*;
use crate::dialogs::question::Weight;
use crate::model::{SnapshotError, StartError};

impl App {
    pub(super) fn scan(&self, sender: &ComponentSender<Self>) {
        let machines = self.machines.clone();
        sender.spawn_oneshot_command(move || {
            let found = machines.scan().map(|entries| {
                let used = entries.iter().filter_map(|entry| {
                    let folder = entry.folder();
                    Some((folder.to_owned(), MachineLog::last_written(folder)?))
                });
                Found {
                    used: used.collect(),
                    entries,
                }
            });
            AppCommand::Scanned(found.map_err(|error| text::sentence(&error)))
        });
    }

    pub(super) fn tell(&self, input: PageInput) {
        if let Some((_, Page::Machine(page))) = &self.page {
            page.emit(input);
        }
    }

    pub(super) fn tell_if_shown(&self, folder: &Path, input: PageInput) {
        if self.page.as_ref().is_some_and(|(shown, _)| shown == folder) {
            self.tell(input);
        }
    }

    pub(super) fn follow(
        &mut self,
        change: Change,
        toasts: &adw::ToastOverlay,
        sender: &ComponentSender<Self>,
        root: &adw::ApplicationWindow,
    ) {
        match change {
            Change::Library => self.scan(sender),
            Change::Started { folder } => {
                self.tell_if_shown(&folder, PageInput::Started);
                self.set_state(&folder, self.machines.state(&folder), root);
            }
            Change::Installed { folder, written } => self.say_installed(&folder, written, toasts),
            Change::Event { folder, event } => {
                if let MachineEvent::State(state) = &event {
                    self.notify(&folder, state);
                    self.used.insert(folder.clone(), SystemTime::now());
                    self.set_state(&folder, state.clone(), root);
                } else {
                    self.tell_if_shown(&folder, PageInput::Event(event));
                }
            }
        }
    }

    pub(super) fn set_state(&self, folder: &Path, state: State, root: &adw::ApplicationWindow) {
        self.show_row(folder);
        self.tell_window(folder, WindowInput::State(state.clone()));
        self.tell_if_shown(folder, PageInput::State(state));
        self.show_several();
        self.closing.follow(&self.machines, root);
    }

    /// Opens the wizard once it is known what there is.
    pub(super) fn new_machine(&mut self, file: Option<PathBuf>, sender: &ComponentSender<Self>) {
        if self.wizard.is_none() && !self.surveying {
            self.surveying = true;
            let machines = self.machines.clone();
            sender.spawn_oneshot_command(move || {
                AppCommand::Surveyed(Box::new(wizard::survey(&machines)), file)
            });
        }
    }

    pub(super) fn open_wizard(
        &mut self,
        place: Place,
        file: Option<PathBuf>,
        sender: &ComponentSender<Self>,
        root: &adw::ApplicationWindow,
    ) {
        self.surveying = false;
        let wizard = Wizard::builder()
            .launch((self.machines.clone(), place, file))
            .forward(sender.input_sender(), AppInput::Wizard);
        if let Some(path) = self.medium.take() {
            wizard.emit(WizardInput::Medium(path));
        }
        wizard.widget().present(Some(root));
        self.wizard = Some(wizard);
    }

    pub(super) fn start(&mut self, machine: StoredMachine, sender: &ComponentSender<Self>) {
        self.launch(machine, None, sender);
    }

    /// Starts `machine`, unless it is being started; with `base`, that file, which its disks are built on, is taken as it is now.
    pub(super) fn launch(
        &mut self,
        machine: StoredMachine,
        base: Option<PathBuf>,
        sender: &ComponentSender<Self>,
    ) {
        let folder = machine.folder.clone();
        if !self.starting.insert(folder.clone()) {
            return;
        }
        self.show_row(&folder);
        self.tell_window(&folder, WindowInput::State(State::Starting));
        self.tell_if_shown(&folder, PageInput::State(State::Starting));
        self.show_several();
        let machines = self.machines.clone();
        sender.spawn_oneshot_command(move || {
            let accepted = base.map_or(Ok(()), |base| machines.accept_base(&machine, &base));
            let accepted = accepted.map_err(StartError::from);
            let started = accepted.and_then(|()| machines.start(&machine).map(drop));
            let refused = |error| Refusal {
                reason: text::sentence(&error),
                base: match error {
                    StartError::Snapshot(SnapshotError::BaseChanged { file, .. }) => Some(file),
                    _ => None,
                },
            };
            AppCommand::Started(folder, started.map_err(refused))
        });
    }

    /// Says why the machine in `folder` did not start, and offers what a person may know better.
    pub(super) fn refused(
        &self,
        folder: &Path,
        refusal: &Refusal,
        sender: &ComponentSender<Self>,
        root: &adw::ApplicationWindow,
    ) {
        let heading = gettext_with(
            "“{name}” could not be started",
            &[("name", &self.name(folder))],
        );
        let log = MachineLog::path(folder);
        let body = gettext_with(
            "{reason}\n\nIts log is {file}.",
            &[("reason", &refusal.reason), ("file", &log.display())],
        );
        let Some(base) = refusal.base.clone() else {
            return question::error(root, &heading, &body);
        };
        let (root, input) = (root.clone(), sender.input_sender().clone());
        let folder = folder.to_owned();
        relm4::spawn_local(async move {
            let answer = (gettext("_Use as It Is"), Weight::Destructive);
            if question::ask(&root, &heading, &body, &[answer])
                .await
                .is_some()
            {
                let _ = input.send(AppInput::StartWithBase(folder, base));
            }
        });
    }

    /// Makes `machine` what `definition` says.
    pub(super) fn redefine(
        &self,
        machine: StoredMachine,
        definition: Definition,
        sender: &ComponentSender<Self>,
    ) {
        let machines = self.machines.clone();
        sender.spawn_oneshot_command(move || match machines.update(&machine, &definition) {
            Ok(_) => AppCommand::Done,
            Err(error) => {
                AppCommand::Failed(gettext("The change was not saved"), text::sentence(&error))
            }
        });
    }

    pub(super) fn rename(&self, folder: &Path, name: &str, sender: &ComponentSender<Self>) {
        // The list has looked at the name.
        if let (Some(machine), Ok(name)) = (self.machine(folder), Name::new(name)) {
            let mut definition = machine.definition.clone();
            definition.name = name;
            self.redefine(machine.clone(), definition, sender);
        }
    }

    pub(super) fn delete(&self, folder: &Path, sender: &ComponentSender<Self>) {
        let Some(machine) = self.entry(folder).cloned() else {
            return;
        };
        let machines = self.machines.clone();
        sender.spawn_oneshot_command(move || {
            let deleted = machines.delete(&machine).map(Box::new);
            let name = machine.title();
            AppCommand::Deleted(name, deleted.map_err(|error| text::sentence(&error)))
        });
    }

    pub(super) fn asked(
        &mut self,
        folder: PathBuf,
        output: PageOutput,
        widgets: &AppWidgets,
        sender: &ComponentSender<Self>,
        root: &adw::ApplicationWindow,
    ) {
        let machine = self.machine(&folder).cloned();
        match output {
            PageOutput::Start => machine
                .into_iter()
                .for_each(|machine| self.start(machine, sender)),
            PageOutput::Window => self.open_window(&folder, sender),
            PageOutput::Delete => self.delete(&folder, sender),
            PageOutput::Open(other) => self.list.emit(MachineListInput::Select(Some(other))),
            PageOutput::NewFrom(file) => sender.input(AppInput::Medium(file)),
            PageOutput::Update(definition) => {
                if let Some(machine) = machine {
                    self.redefine(machine, definition, sender);
                }
            }
            PageOutput::Toast(text) => widgets.toasts.add_toast(adw::Toast::new(&text)),
            PageOutput::Saved(what, path) => widgets.toasts.add_toast(toast::saved(&what, path)),
            PageOutput::Failed { heading, body } => question::error(root, &heading, &body),
        }
    }
}

/// Says that a machine is in the Trash, with a button that brings it back.
pub(super) fn undo(
    name: &str,
    deleted: Box<Deleted>,
    input: &relm4::Sender<AppInput>,
) -> adw::Toast {
    let toast = adw::Toast::builder()
        .title(text::escape(&gettext_with(
            "“{name}” is in the Trash",
            &[("name", &name)],
        )))
        .button_label(gettext("_Undo"))
        .timeout(10)
        .priority(adw::ToastPriority::High)
        .build();
    let (deleted, input) = (std::cell::Cell::new(Some(deleted)), input.clone());
    toast.connect_button_clicked(move |_| {
        if let Some(deleted) = deleted.take() {
            let _ = input.send(AppInput::Restore(deleted));
        }
    });
    toast
}
