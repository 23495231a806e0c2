//! The engine's facade until it stands: the signatures that the windows are built against, with a library that lasts as long as
//! the program and machines that cannot be started and say so.

#![expect(
    missing_docs,
    reason = "the engine documents its own face, which replaces this"
)]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use guesthouse_engine::definition::{Definition, Name};
use guesthouse_engine::display::Surface;
use guesthouse_engine::input::InputEvent;
use guesthouse_engine::machine::{MachineEvent, State};
use parking_lot::Mutex;

#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct Failure(String);

pub type StartError = Failure;
pub type CommandError = Failure;
pub type LibraryError = Failure;

fn absent() -> Failure {
    Failure("This build has no engine yet that could do this.".into())
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    pub file: PathBuf,
    pub line: Option<usize>,
    pub message: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub folder: PathBuf,
    pub content: Result<Definition, Broken>,
}

#[derive(Debug, Clone, Default)]
pub struct StartOptions {}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewDisk {
    pub bytes: u64,
}

#[derive(Debug)]
pub struct Deleted(Entry);

pub struct Library {
    folder: PathBuf,
    entries: Mutex<Vec<Entry>>,
}

impl Library {
    pub fn open(folder: PathBuf) -> Result<Self, LibraryError> {
        Ok(Self {
            folder,
            entries: Mutex::default(),
        })
    }
    pub fn folder(&self) -> &Path {
        &self.folder
    }
    pub fn scan(&self) -> Result<Vec<Entry>, LibraryError> {
        Ok(self.entries.lock().clone())
    }
    pub fn read(&self, folder: &Path) -> Result<Definition, LibraryError> {
        let entries = self.entries.lock();
        let entry = entries
            .iter()
            .find(|entry| entry.folder == folder)
            .ok_or_else(absent)?;
        entry
            .content
            .clone()
            .map_err(|broken| Failure(broken.message))
    }
    pub fn create(
        &self,
        definition: &Definition,
        _disk: Option<NewDisk>,
    ) -> Result<PathBuf, LibraryError> {
        let folder = self.folder.join(definition.name.as_str());
        self.entries.lock().push(Entry {
            folder: folder.clone(),
            content: Ok(definition.clone()),
        });
        Ok(folder)
    }
    pub fn update(&self, folder: &Path, definition: &Definition) -> Result<(), LibraryError> {
        for entry in self
            .entries
            .lock()
            .iter_mut()
            .filter(|entry| entry.folder == folder)
        {
            entry.content = Ok(definition.clone());
        }
        Ok(())
    }
    pub fn rename(&self, folder: &Path, name: Name) -> Result<PathBuf, LibraryError> {
        for entry in self
            .entries
            .lock()
            .iter_mut()
            .filter(|entry| entry.folder == folder)
        {
            if let Ok(definition) = &mut entry.content {
                definition.name = name.clone();
            }
        }
        Ok(folder.to_owned())
    }
    pub fn delete(&self, folder: &Path) -> Result<Deleted, LibraryError> {
        let mut entries = self.entries.lock();
        let index = entries
            .iter()
            .position(|entry| entry.folder == folder)
            .ok_or_else(absent)?;
        Ok(Deleted(entries.remove(index)))
    }
    pub fn restore(&self, deleted: Deleted) -> Result<PathBuf, LibraryError> {
        let folder = deleted.0.folder.clone();
        self.entries.lock().push(deleted.0);
        Ok(folder)
    }
}

#[derive(Clone)]
pub struct Machine {
    surface: Arc<Surface>,
}

impl Machine {
    pub fn start(_: &Definition, _: &Path, _: StartOptions) -> Result<Self, StartError> {
        Err(absent())
    }
    pub fn state(&self) -> State {
        State::Off
    }
    pub fn subscribe(&self) -> crossbeam_channel::Receiver<MachineEvent> {
        crossbeam_channel::never()
    }
    pub fn pause(&self) -> Result<(), CommandError> {
        Err(absent())
    }
    pub fn resume(&self) -> Result<(), CommandError> {
        Err(absent())
    }
    pub fn reset(&self) -> Result<(), CommandError> {
        Err(absent())
    }
    pub fn shutdown(&self) -> Result<(), CommandError> {
        Err(absent())
    }
    pub fn power_off(&self) -> Result<(), CommandError> {
        Err(absent())
    }
    pub fn surface(&self) -> &Arc<Surface> {
        &self.surface
    }
    pub fn input(&self, _: InputEvent) {}
    pub fn insert(&self, _: usize, _: File, _: PathBuf) -> Result<(), CommandError> {
        Err(absent())
    }
    pub fn eject(&self, _: usize) -> Result<(), CommandError> {
        Err(absent())
    }
    pub fn screenshot(&self) -> Vec<u8> {
        Vec::new()
    }
    pub fn log(&self) -> Vec<String> {
        Vec::new()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostProblem {
    pub title: String,
    pub cause: String,
    pub remedy: String,
}

pub fn check_host() -> Result<(), HostProblem> {
    match std::fs::OpenOptions::new().read(true).write(true).open("/dev/kvm") {
        Ok(_) => Ok(()),
        Err(error) => Err(HostProblem {
            title: "Virtual machines cannot run here".into(),
            cause: format!("/dev/kvm cannot be opened: {error}."),
            remedy: "Turn virtualization on in the computer's firmware and load the kernel's kvm module.".into(),
        }),
    }
}
