//! The machines' own windows: opened, told what happens to their machines, and closed.

use relm4::adw::prelude::*;
use relm4::prelude::*;

use super::*;

impl App {
    /// Shows the screen of the machine in `folder` in a window of its own.
    pub(super) fn open_window(&mut self, folder: &Path, sender: &ComponentSender<Self>) {
        if let Some(window) = self.windows.get(folder) {
            return window.emit(WindowInput::Present);
        }
        let Some(machine) = self.machine(folder).cloned() else {
            return;
        };
        let state = self.state(folder);
        let asked = folder.to_owned();
        let window = MachineWindow::builder()
            .launch((self.machines.clone(), machine, state))
            .forward(sender.input_sender(), move |output| {
                AppInput::Window(asked.clone(), output)
            });
        window.widget().present();
        self.windows.insert(folder.to_owned(), window);
        self.tell_if_shown(folder, PageInput::Away(true));
    }

    /// Does what a machine's own window asks for.
    pub(super) fn window_asked(
        &mut self,
        folder: PathBuf,
        output: WindowOutput,
        widgets: &AppWidgets,
        sender: &ComponentSender<Self>,
        root: &adw::ApplicationWindow,
    ) {
        match output {
            WindowOutput::Start => {
                if let Some(machine) = self.machine(&folder).cloned() {
                    self.start(machine, sender);
                }
            }
            WindowOutput::View(name) => {
                self.show_machine(folder.clone(), widgets, sender, root);
                self.tell_if_shown(&folder, PageInput::View(name));
            }
            WindowOutput::Open(other) => self.show_machine(other, widgets, sender, root),
            WindowOutput::Update(definition) => {
                if let Some(machine) = self.machine(&folder).cloned() {
                    self.redefine(machine, definition, sender);
                }
            }
            WindowOutput::NewFrom(file) => {
                root.present();
                sender.input(AppInput::Medium(file));
            }
            WindowOutput::Closed => self.close_window(&folder),
        }
    }

    fn close_window(&mut self, folder: &Path) {
        if let Some(window) = self.windows.remove(folder) {
            window.widget().destroy();
            self.tell_if_shown(folder, PageInput::Away(false));
        }
    }

    pub(super) fn tell_window(&self, folder: &Path, input: WindowInput) {
        if let Some(window) = self.windows.get(folder) {
            window.emit(input);
        }
    }

    /// Follows what is on disk now, where `before` was: windows of machines that are gone close.
    pub(super) fn follow_windows(&mut self, before: &[Entry]) {
        let open: Vec<PathBuf> = self.windows.keys().cloned().collect();
        for folder in open {
            match self.machine(&folder) {
                None => self.close_window(&folder),
                Some(machine) => {
                    let known = before
                        .iter()
                        .any(|entry| matches!(entry, Entry::Machine(before) if before == machine));
                    if !known {
                        self.tell_window(&folder, WindowInput::Show(machine.clone()));
                    }
                }
            }
        }
    }
}
