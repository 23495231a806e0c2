//! How the window follows what is on disk: the list's rows, and the page of the machine that is chosen.

use std::path::{Path, PathBuf};

use relm4::adw::prelude::*;
use relm4::prelude::*;

use super::*;

impl App {
    /// What is in `folder`, if it is one of the library's.
    pub(super) fn entry(&self, folder: &Path) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.folder() == folder)
    }

    /// The machine in `folder`, if there is one and its file can be read.
    pub(super) fn machine(&self, folder: &Path) -> Option<&StoredMachine> {
        match self.entry(folder)? {
            Entry::Machine(machine) => Some(machine),
            Entry::Broken(_) => None,
        }
    }

    /// The machine whose page is shown.
    pub(super) fn shown(&self) -> Option<&StoredMachine> {
        match &self.page {
            Some((folder, Page::Machine(_))) => self.machine(folder),
            _ => None,
        }
    }

    /// What the machine in `folder` is called.
    pub(super) fn name(&self, folder: &Path) -> String {
        let name = folder.file_name().unwrap_or(folder.as_os_str());
        self.entry(folder)
            .map_or_else(|| name.to_string_lossy().into_owned(), Entry::title)
    }

    fn system(&self, machine: &StoredMachine) -> Option<String> {
        let id = machine.definition.operating_system.as_ref()?;
        Some(self.systems?.find(id)?.name.clone())
    }

    pub(super) fn state(&self, folder: &Path) -> State {
        if self.starting.contains(folder) {
            State::Starting
        } else {
            self.machines.state(folder)
        }
    }

    fn item(&self, entry: &Entry) -> Item {
        let machine = match entry {
            Entry::Machine(machine) => Some(machine),
            Entry::Broken(_) => None,
        };
        Item {
            folder: entry.folder().to_owned(),
            name: entry.title(),
            system: machine.and_then(|machine| self.system(machine)),
            size: machine.map(|machine| {
                let definition = &machine.definition;
                (definition.processor.count, definition.memory.bytes())
            }),
            state: machine.map(|machine| self.state(&machine.folder)),
            used: self.used.get(entry.folder()).copied(),
        }
    }

    /// The list's rows.
    pub(super) fn items(&self) -> Vec<Item> {
        self.entries.iter().map(|entry| self.item(entry)).collect()
    }

    /// Shows the row of the machine in `folder` as it is now.
    pub(super) fn show_row(&self, folder: &Path) {
        if let Some(entry) = self.entry(folder) {
            self.list.emit(MachineListInput::Change(self.item(entry)));
        }
    }

    /// Takes what is on disk now: shows it, and keeps the chosen machine chosen.
    pub(super) fn show(
        &mut self,
        Found { entries, used }: Found,
        widgets: &AppWidgets,
        sender: &ComponentSender<Self>,
        root: &adw::ApplicationWindow,
    ) {
        let before = std::mem::replace(&mut self.entries, entries);
        let shown = self.page.as_ref().map(|(folder, _)| folder.clone());
        let used = std::mem::replace(&mut self.used, used);
        if before != self.entries || used != self.used {
            self.list.emit(MachineListInput::Show(self.items()));
        }
        self.follow_windows(&before);
        let chosen = shown
            .clone()
            .filter(|shown| self.entry(shown).is_some())
            .or_else(|| {
                Some(
                    self.neighbour(&before, shown.as_deref()?)?
                        .folder()
                        .to_owned(),
                )
            })
            .or_else(|| Some(self.entries.first()?.folder().to_owned()));
        let pending = matches!(self.page, Some((_, Page::None)));
        let old = chosen.as_ref().and_then(|folder| {
            let mut before = before.iter();
            before.find(|entry| entry.folder() == folder)
        });
        let now = chosen
            .as_ref()
            .and_then(|folder| self.entry(folder))
            .cloned();
        match (old, now) {
            (Some(Entry::Machine(old)), Some(Entry::Machine(now)))
                if !pending && chosen == shown =>
            {
                if *old != now {
                    self.tell(PageInput::Show(now));
                }
            }
            (Some(old), Some(now)) if !pending && chosen == shown && *old == now => {}
            (_, Some(now)) => {
                self.page = None;
                self.open(now.folder().to_owned(), widgets, sender, root);
            }
            (_, None) => self.page = None,
        }
        if pending || chosen != shown {
            self.list.emit(MachineListInput::Select(chosen));
        }
        self.start_wanted(sender);
        let name = if self.entries.is_empty() {
            "empty"
        } else {
            "machines"
        };
        widgets.stack.set_visible_child_name(name);
        if self.entries.is_empty() {
            widgets.split.set_content(None::<&adw::NavigationPage>);
            if root.is_fullscreen() {
                root.unfullscreen();
            }
        }
    }

    /// Shows the window with the page of the machine in `folder`, which may not be known yet.
    pub(super) fn show_machine(
        &mut self,
        folder: PathBuf,
        widgets: &AppWidgets,
        sender: &ComponentSender<Self>,
        root: &adw::ApplicationWindow,
    ) {
        if self.entry(&folder).is_some() {
            self.open(folder.clone(), widgets, sender, root);
            self.list.emit(MachineListInput::Select(Some(folder)));
        } else {
            self.page = Some((folder, Page::None));
            self.scan(sender);
        }
        widgets.split.set_show_content(true);
        root.present();
    }

    /// Starts the machine that somebody wanted before it was known.
    pub(super) fn start_wanted(&mut self, sender: &ComponentSender<Self>) {
        let machine = self.wanted.as_ref().and_then(|folder| self.machine(folder));
        if let Some(machine) = machine.cloned() {
            self.wanted = None;
            if !self.state(&machine.folder).is_alive() {
                self.start(machine, sender);
            }
        }
    }

    /// The machine that stands where `gone` stood.
    fn neighbour(&self, before: &[Entry], gone: &Path) -> Option<&Entry> {
        let place = before.iter().position(|entry| entry.folder() == gone)?;
        self.entries
            .get(place.min(self.entries.len().checked_sub(1)?))
    }

    /// Opens the page of the machine in `folder`.
    pub(super) fn open(
        &mut self,
        folder: PathBuf,
        widgets: &AppWidgets,
        sender: &ComponentSender<Self>,
        root: &adw::ApplicationWindow,
    ) {
        if matches!(&self.page, Some((shown, Page::Machine(_) | Page::Broken(_))) if *shown == folder)
        {
            return;
        }
        let Some(entry) = self.entry(&folder) else {
            return;
        };
        let input = sender.input_sender();
        let page = match entry {
            Entry::Machine(machine) => {
                let init = PageInit {
                    machines: self.machines.clone(),
                    machine: machine.clone(),
                    state: self.state(&folder),
                };
                let asked = folder.clone();
                let page = MachinePage::builder()
                    .launch(init)
                    .forward(input, move |output| AppInput::Page(asked.clone(), output));
                root.insert_action_group("machine", Some(page.model().actions()));
                widgets.split.set_content(Some(page.widget()));
                page.emit(PageInput::Away(self.windows.contains_key(&folder)));
                Page::Machine(page)
            }
            Entry::Broken(broken) => {
                let asked = folder.clone();
                let page = BrokenPage::builder()
                    .launch(broken.clone())
                    .forward(input, move |output| AppInput::Broken(asked.clone(), output));
                root.insert_action_group("machine", None::<&gtk::gio::SimpleActionGroup>);
                widgets.split.set_content(Some(page.widget()));
                Page::Broken(page)
            }
        };
        self.page = Some((folder, page));
    }
}
