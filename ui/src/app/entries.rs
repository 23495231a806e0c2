//! How the window follows what is on disk: the list's rows, and the page of the machine that is chosen.

use std::path::{Path, PathBuf};

use relm4::adw::prelude::*;
use relm4::prelude::*;

use super::*;

impl App {
    /// What the machine in `folder` is called.
    pub(super) fn name(&self, folder: &Path) -> String {
        let entry = self.entries.iter().find(|entry| entry.folder == folder);
        entry.map_or_else(|| folder_name(folder), name)
    }

    fn system(&self, entry: &Entry) -> Option<String> {
        let id = entry.content.as_ref().ok()?.operating_system.as_ref()?;
        self.systems.get(id).cloned()
    }

    fn state(&self, folder: &Path) -> State {
        if self.starting.contains(folder) {
            State::Starting
        } else {
            self.machines.state(folder)
        }
    }

    /// The list's rows.
    pub(super) fn items(&self) -> Vec<Item> {
        let item = |entry: &Entry| Item {
            folder: entry.folder.clone(),
            name: name(entry),
            system: self.system(entry),
            state: entry.content.is_ok().then(|| self.state(&entry.folder)),
        };
        self.entries.iter().map(item).collect()
    }

    /// Takes what is on disk now: shows it, and keeps the chosen machine chosen.
    pub(super) fn show(
        &mut self,
        entries: Vec<Entry>,
        widgets: &AppWidgets,
        sender: &ComponentSender<Self>,
        root: &adw::ApplicationWindow,
    ) {
        let before = std::mem::replace(&mut self.entries, entries);
        let shown = self.page.as_ref().map(|(folder, _)| folder.clone());
        if before != self.entries {
            self.list.emit(MachineListInput::Show(self.items()));
        }
        let chosen = shown
            .clone()
            .filter(|shown| self.entries.iter().any(|entry| entry.folder == *shown));
        let chosen =
            chosen.or_else(|| Some(self.neighbour(&before, shown.as_deref()?)?.folder.clone()));
        let chosen = chosen.or_else(|| self.entries.first().map(|entry| entry.folder.clone()));
        let pending = matches!(self.page, Some((_, Page::None)));
        if pending || chosen != shown || self.replaced(&before) {
            self.page = None;
            if let Some(folder) = chosen.clone() {
                self.open(folder, widgets, sender, root);
            }
        } else if let Some(Ok(definition)) = chosen.as_ref().and_then(|folder| self.content(folder))
        {
            let changed = before.iter().all(|entry| {
                Some(&entry.folder) != chosen.as_ref() || entry.content.as_ref() != Ok(definition)
            });
            if changed {
                self.tell(PageInput::Show(definition.clone()));
            }
        }
        if before != self.entries || chosen != shown {
            self.list.emit(MachineListInput::Select(chosen));
        }
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

    fn content(&self, folder: &Path) -> Option<Result<&Definition, &Broken>> {
        let entry = self.entries.iter().find(|entry| entry.folder == folder)?;
        Some(entry.content.as_ref())
    }

    /// Whether the shown machine's page is of the wrong kind now: its file was broken or mended, or is broken elsewhere.
    fn replaced(&self, before: &[Entry]) -> bool {
        let Some((folder, page)) = &self.page else {
            return false;
        };
        match (page, self.content(folder)) {
            (Page::Machine(_), Some(Err(_))) | (Page::Broken(_), Some(Ok(_))) => true,
            (Page::Broken(_), Some(Err(broken))) => {
                let old = before.iter().find(|entry| entry.folder == *folder);
                old.is_none_or(|old| old.content.as_ref() != Err(broken))
            }
            _ => false,
        }
    }

    /// The machine that stands where `gone` stood.
    fn neighbour(&self, before: &[Entry], gone: &Path) -> Option<&Entry> {
        let place = before.iter().position(|entry| entry.folder == gone)?;
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
        let Some(entry) = self.entries.iter().find(|entry| entry.folder == folder) else {
            return;
        };
        let input = sender.input_sender();
        let page = match &entry.content {
            Ok(definition) => {
                let init = PageInit {
                    machines: self.machines.clone(),
                    folder: folder.clone(),
                    definition: definition.clone(),
                    state: self.state(&folder),
                    system: self.system(entry),
                };
                let asked = folder.clone();
                let page = MachinePage::builder()
                    .launch(init)
                    .forward(input, move |output| AppInput::Page(asked.clone(), output));
                root.insert_action_group("machine", Some(page.model().actions()));
                widgets.split.set_content(Some(page.widget()));
                Page::Machine(page)
            }
            Err(broken) => {
                let asked = folder.clone();
                let page = BrokenPage::builder()
                    .launch((name(entry), broken.clone()))
                    .forward(input, move |output| AppInput::Broken(asked.clone(), output));
                root.insert_action_group("machine", None::<&gtk::gio::SimpleActionGroup>);
                widgets.split.set_content(Some(page.widget()));
                Page::Broken(page)
            }
        };
        self.page = Some((folder, page));
    }
}

fn name(entry: &Entry) -> String {
    let definition = entry.content.as_ref();
    definition.map_or_else(
        |_| folder_name(&entry.folder),
        |definition| definition.name.to_string(),
    )
}

fn folder_name(folder: &Path) -> String {
    folder
        .file_name()
        .unwrap_or(folder.as_os_str())
        .to_string_lossy()
        .into_owned()
}
