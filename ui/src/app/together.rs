//! Several machines at once: the page that stands for them, and what is done with all of them.

use relm4::adw::prelude::*;
use relm4::prelude::*;

use super::*;
use crate::model::Wish;
use crate::text::ngettext_with;

impl App {
    /// Opens the page of the machines in `folders`.
    pub(super) fn open_several(
        &mut self,
        folders: Vec<PathBuf>,
        widgets: &AppWidgets,
        sender: &ComponentSender<Self>,
        root: &adw::ApplicationWindow,
    ) {
        let Some(first) = folders.first().cloned() else {
            return;
        };
        if let Some((shown, Page::Several(_, selected))) = &mut self.page {
            *shown = first;
            *selected = folders;
        } else {
            let input = sender.input_sender().clone();
            let page = Several::new(move |what| {
                let _ = input.send(AppInput::Together(what));
            });
            // What the keyboard's shortcuts would do to one machine they do to none.
            root.insert_action_group("machine", None::<&gtk::gio::SimpleActionGroup>);
            root.insert_action_group("selection", Some(page.actions()));
            widgets.split.set_content(Some(page.widget()));
            self.page = Some((first, Page::Several(page, folders)));
        }
        self.show_several();
    }

    /// The machines among `folders` that can be started or gone on with, and those that run.
    fn parts(&self, folders: &[PathBuf]) -> (Vec<StoredMachine>, Vec<StoredMachine>) {
        let machines = folders.iter().filter_map(|folder| self.machine(folder));
        let (running, others): (Vec<_>, Vec<_>) = machines
            .cloned()
            .map(|machine| (self.state(&machine.folder), machine))
            .filter(|(state, _)| *state != State::Starting)
            .partition(|(state, _)| *state == State::Running);
        let machines = |found: Vec<(State, StoredMachine)>| {
            found.into_iter().map(|(_, machine)| machine).collect()
        };
        (machines(others), machines(running))
    }

    /// Shows what can be done with the selected machines now.
    pub(super) fn show_several(&self) {
        if let Some((_, Page::Several(page, folders))) = &self.page {
            let (startable, running) = self.parts(folders);
            page.show(folders.len(), startable.len(), running.len());
        }
    }

    /// Does it with all that are selected.
    pub(super) fn together(&mut self, what: Together, sender: &ComponentSender<Self>) {
        let Some((_, Page::Several(_, folders))) = &self.page else {
            return;
        };
        let (startable, running) = self.parts(folders);
        match what {
            Together::Start => {
                for machine in startable {
                    self.start_or_resume(machine, sender);
                }
            }
            Together::ShutDown => {
                let machines = self.machines.clone();
                sender.spawn_oneshot_command(move || shut_down(&machines, &running));
            }
        }
    }

    pub(super) fn start_or_resume(
        &mut self,
        machine: StoredMachine,
        sender: &ComponentSender<Self>,
    ) {
        if !self.state(&machine.folder).is_alive() {
            return self.start(machine, sender);
        }
        let machines = self.machines.clone();
        sender.spawn_oneshot_command(move || match machines.ask(&machine.folder, Wish::Resume) {
            None | Some(Ok(())) => AppCommand::Done,
            Some(Err(error)) => AppCommand::Failed(
                gettext_with(
                    "“{name}” could not be resumed",
                    &[("name", &machine.definition.name)],
                ),
                text::sentence(&error),
            ),
        });
    }
}

/// Presses the power buttons of `running`; all of them, even if one cannot be pressed.
fn shut_down(machines: &Machines, running: &[StoredMachine]) -> AppCommand {
    let mut failed = Vec::new();
    for machine in running {
        if let Some(Err(error)) = machines.ask(&machine.folder, Wish::ShutDown) {
            failed.push(format!(
                "{}: {}",
                machine.definition.name,
                text::translated(&error)
            ));
        }
    }
    if failed.is_empty() {
        return AppCommand::Said(gettext(
            "The power buttons were pressed. A guest that does not answer can be forced off.",
        ));
    }
    AppCommand::Failed(
        ngettext_with(
            "{number} Machine Could Not Be Shut Down",
            "{number} Machines Could Not Be Shut Down",
            u64::try_from(failed.len()).unwrap_or(u64::MAX),
            &[],
        ),
        failed.join("\n"),
    )
}
